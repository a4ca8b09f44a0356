"""The model as an HTTP service: `faceforge serve`."""
