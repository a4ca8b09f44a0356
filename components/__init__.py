"""One folder per pipeline step: a few lines that wrap one function of `faceforge.steps` as a Kubeflow component.

The body of a component is shipped as text and runs where only the image's packages exist, so each imports what it
needs inside. Annotations are read at run time: no postponed evaluation in these files.
"""

from faceforge import __version__

IMAGE = f"faceforge-core:{__version__}"
"""Image of the steps that handle image sets and the registry; the compile step may name another.

The tag is the release: Kubernetes pulls `latest` anew for every pod.
"""

TRAIN_IMAGE = f"faceforge-train:{__version__}"
"""Image of the steps that compute with networks."""
