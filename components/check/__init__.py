"""The check step as a Kubeflow component."""
