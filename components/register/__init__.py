"""The register step as a Kubeflow component."""
