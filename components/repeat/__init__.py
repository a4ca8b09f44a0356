"""The repeat step as a Kubeflow component."""
