"""The publish step as a Kubeflow component."""
