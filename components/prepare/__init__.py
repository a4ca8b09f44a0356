"""The prepare step as a Kubeflow component."""
