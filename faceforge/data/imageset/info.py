"""`dataset.json`: the schema of an image set's description."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np
import PIL
from pydantic import BaseModel, ConfigDict, Field

FORMAT_VERSION = 1
INFO_FILE = "dataset.json"
Split = Literal["train", "holdout"]
SPLITS: tuple[Split, ...] = ("train", "holdout")
SKETCH = 64  # the holdout is recognised later by this many of its smallest digests (a bottom-k sketch)
LISTED_AT_MOST = 1000  # rejects and duplicates that are listed; the rest is only counted
RESERVED_COLUMNS = frozenset({"image", "sha256", "source"})


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SplitCounts(_Part):
    """Number of images of one split: in total, and for each class of each label column."""

    total: int = 0
    classes: dict[str, dict[str, int]] = Field(default_factory=dict)


class Reject(_Part):
    """An image that could not be used, and why."""

    path: str
    reason: str


class Duplicate(_Part):
    """An image left out because another has the same pixels, or because it is a near duplicate of a holdout image."""

    path: str
    of: str


class LeftOut(_Part):
    """Rejected and duplicate images: the first `LISTED_AT_MOST` of each with their paths, and their total numbers."""

    rejects: list[Reject] = Field(default_factory=list)
    reject_count: int = 0
    duplicates: list[Duplicate] = Field(default_factory=list)
    duplicate_count: int = 0


class Combination(_Part):
    """Number of images in each split that have this combination of classes, one for each label column."""

    labels: dict[str, str]
    train: int
    holdout: int


class Distribution(_Part):
    """A histogram: `counts[i]` values are in `[edges[i], edges[i + 1])`; outliers are in the first or last bin."""

    edges: list[float]
    counts: list[int]


class ThumbnailMoments(_Part):
    """Mean and covariance of the images averaged to 4 x 4 pixels, values 0..1; see `imageset.statistics`.

    Attributes:
        count: number of images.
        size: K, values in a thumbnail: 16 for each channel.
        packed: base64 of little-endian float32: the mean, then the upper triangle of the covariance, row by row.
    """

    count: int
    size: int
    packed: str


class Statistics(_Part):
    """Statistics of the train split.

    Attributes:
        mean: mean of all pixel values of each channel, 0..1.
        std: standard deviation, likewise.
        distributions: histograms of width and height (of the source images, pixels), brightness, contrast and
            sharpness (`measures.Measures`); empty for augmented sets and sets made from arrays.
        thumbnails: moments that `data.drift` compares; None for augmented sets and sets made from arrays.
    """

    mean: list[float]
    std: list[float]
    distributions: dict[str, Distribution] = Field(default_factory=dict)
    thumbnails: ThumbnailMoments | None = None


class DatasetInfo(_Part):
    """The content of `dataset.json`.

    Attributes:
        source: name of what was ingested.
        image_size: edge of the square images in pixels.
        channels: 1 (greyscale) or 3 (RGB).
        labels: label column -> its classes, in the order of their codes.
        counts: split -> number of images of each class.
        combinations: which classes occur together, the most frequent first (at most `LISTED_AT_MOST`); empty where
            there are fewer than two label columns. `combination_count` is the number of all combinations.
        rejects: rejected images with reasons (the first `LISTED_AT_MOST`; `reject_count` is the total).
        duplicates: exact and near duplicates that were left out (likewise, `duplicate_count`).
        notes: warnings about the source, one sentence each.
        digest: SHA-256 of the content (pixels, labels, splits); it does not depend on the order of rows or files.
        holdout_digest: the same of the holdout alone. Models evaluated on equal holdouts can be compared.
        holdout_sketch: the `SKETCH` smallest SHA-256 of the holdout's images. The split is chosen by content, so a set
            whose holdout contains the whole sketch of an older set is a grown version of that set.
        parent_digest: digest of the image set that this one was made from; empty if there is none.
    """

    format_version: int = FORMAT_VERSION
    source: str
    image_size: int
    channels: int
    labels: dict[str, list[str]]
    counts: dict[str, SplitCounts]
    combinations: list[Combination] = Field(default_factory=list)
    combination_count: int = 0
    rejects: list[Reject] = Field(default_factory=list)
    reject_count: int = 0
    duplicates: list[Duplicate] = Field(default_factory=list)
    duplicate_count: int = 0
    notes: list[str] = Field(default_factory=list)
    statistics: Statistics
    digest: str
    holdout_digest: str
    holdout_sketch: list[str] = Field(default_factory=list)
    parent_digest: str = ""
    created_by: dict[str, str] = Field(default_factory=dict)


def is_image_set(folder: Path) -> bool:
    """Whether a folder is an image set: its `dataset.json` has a format version, which StyleGAN's has not."""
    try:
        content = json.loads((folder / INFO_FILE).read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, ValueError, RecursionError):
        return True  # damaged: opening it reports how
    return not isinstance(content, dict) or "format_version" in content


def versions() -> dict[str, str]:
    """Versions of the software that determines pixel values: package -> version."""
    import cv2

    try:
        own = metadata.version("faceforge")
    except metadata.PackageNotFoundError:  # run from a source tree
        own = "source tree"
    return {
        "faceforge": own,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
    }
