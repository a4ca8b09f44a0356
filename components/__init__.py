"""One folder per pipeline step: a few lines that wrap one function of `faceforge.steps` as a Kubeflow component.

The body of a component is shipped as text and runs where only the image's packages exist, so each imports what it
needs inside. Annotations are read at run time: no postponed evaluation in these files.
"""

IMAGE = "faceforge-core:latest"
"""Image of the steps that handle image sets and the registry; the compile step may name another."""

TRAIN_IMAGE = "faceforge-train:latest"
"""Image of the steps that compute with networks."""
