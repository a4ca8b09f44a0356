"""Where images come from: every kind of source behind one function, `open_source`."""

from faceforge.data.samples import Sample, Source
from faceforge.data.sources.drawn import TOYFACES
from faceforge.data.sources.open import is_path, open_source

__all__ = ["TOYFACES", "Sample", "Source", "is_path", "open_source"]
