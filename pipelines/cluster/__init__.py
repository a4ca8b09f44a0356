"""Running a compiled pipeline on a Kubeflow Pipelines server: submit, watch, retry, read logs."""
