"""The ingest step as a Kubeflow component."""
