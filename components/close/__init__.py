"""The close step as a Kubeflow component."""
