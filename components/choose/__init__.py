"""The choose step as a Kubeflow component."""
