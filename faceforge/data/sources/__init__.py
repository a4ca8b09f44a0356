"""Sources of images: `open_source` opens all kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faceforge.data.sources.drawn import TOYFACES
    from faceforge.data.sources.open import is_path, open_source
    from faceforge.data.sources.samples import Sample, Source

__all__ = ["TOYFACES", "Sample", "Source", "is_path", "open_source"]
_PLACES = {"TOYFACES": "drawn", "is_path": "open", "open_source": "open"}


def __getattr__(name: str) -> Any:
    # Imported on first use: a worker process that only reads files does not need what opens sources.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"faceforge.data.sources.{_PLACES.get(name, 'samples')}"), name)
