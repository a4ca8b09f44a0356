"""One folder per pipeline step: a few lines that wrap one function of `faceforge.steps` as a Kubeflow component.

The body of a component is shipped as text and runs where only the image's packages exist, so each imports what it
needs inside. Annotations are read at run time: no postponed evaluation in these files.
"""

import os

IMAGE = os.environ.get("FACEFORGE_IMAGE", "faceforge:latest")
"""Image the steps run in, unless the compile step names another."""
