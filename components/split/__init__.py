"""The split step as a Kubeflow component."""
