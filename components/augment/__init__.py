"""The augment step as a Kubeflow component."""
