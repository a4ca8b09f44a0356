"""The evaluate step as a Kubeflow component."""
