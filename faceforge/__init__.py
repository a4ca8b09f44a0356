"""FaceForge: a pipeline for face GANs with tracked experiments.

The package does the work (images, networks, metrics, tracking) without Kubeflow; `components` wraps its steps as
Kubeflow components and `pipelines` chains them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faceforge.compute.quiet import quiet_tensorflow

if TYPE_CHECKING:
    from faceforge.inference.generator import Generator

__all__ = ["Generator", "__version__"]
__version__ = "0.1.0"

quiet_tensorflow()


def __getattr__(name: str) -> Any:
    # `from faceforge import Generator` works, yet `import faceforge` stays instant.
    if name == "Generator":
        from faceforge.inference.generator import Generator

        return Generator
    raise AttributeError(f"module 'faceforge' has no attribute {name!r}")
