"""The select step as a Kubeflow component."""
