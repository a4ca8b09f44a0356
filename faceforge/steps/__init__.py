"""The pipeline's steps, one file each: compute, and log to MLflow if asked to."""
