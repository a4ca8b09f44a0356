"""Images and labels: sources, the image-set format, ingest, augmentation. Knows nothing of networks or MLflow."""
