"""The export step as a Kubeflow component."""
