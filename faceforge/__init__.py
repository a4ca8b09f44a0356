"""FaceForge: a pipeline for face GANs with tracked experiments.

The package computes (images, networks, metrics, tracking) and knows nothing of Kubeflow; `components`
wraps its steps and `pipelines` chains them.
"""

__version__ = "0.1.0"
