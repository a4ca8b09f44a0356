"""The merge step as a Kubeflow component."""
