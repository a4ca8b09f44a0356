"""The generate step as a Kubeflow component."""
