"""The train step as a Kubeflow component."""
