"""The search step as a Kubeflow component."""
