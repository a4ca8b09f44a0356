"""Recurring runs on a Kubeflow Pipelines server, declared in a file."""
