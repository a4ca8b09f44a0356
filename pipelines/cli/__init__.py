"""The commands that need Kubeflow Pipelines: `faceforge pipeline`, `schedule` and `retrain`."""
