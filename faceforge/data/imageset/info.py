"""`dataset.json`: what an image set says about itself."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Literal

import numpy as np
import PIL
from pydantic import BaseModel, ConfigDict, Field

FORMAT_VERSION = 1
INFO_FILE = "dataset.json"
Split = Literal["train", "holdout"]
SPLITS: tuple[Split, ...] = ("train", "holdout")
SKETCH = 64  # smallest digests that stand for a holdout
LISTED_AT_MOST = 1000  # rejects and duplicates named one by one; beyond, only counted
RESERVED_COLUMNS = frozenset({"image", "sha256", "source"})


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SplitCounts(_Part):
    """Images of one split: in total, and per label column and class."""

    total: int = 0
    classes: dict[str, dict[str, int]] = Field(default_factory=dict)


class Reject(_Part):
    """An image that could not be used."""

    path: str
    reason: str


class Duplicate(_Part):
    """An image whose pixels equal those of one that was taken, or that hardly differs from one of the holdout."""

    path: str
    of: str


class LeftOut(_Part):
    """What an image set does not hold: the first `LISTED_AT_MOST` of each kind by name, and how many there are."""

    rejects: list[Reject] = Field(default_factory=list)
    reject_count: int = 0
    duplicates: list[Duplicate] = Field(default_factory=list)
    duplicate_count: int = 0


class Combination(_Part):
    """How many images have these classes, one per label column."""

    labels: dict[str, str]
    train: int
    holdout: int


class Distribution(_Part):
    """A histogram: `counts[i]` images lie from `edges[i]` to below `edges[i + 1]`, outliers in the outermost bins."""

    edges: list[float]
    counts: list[int]


class ThumbnailMoments(_Part):
    """Mean and covariance of the images averaged to 4 x 4 pixels, grey levels 0..1; see `data.statistics`.

    Attributes:
        count: of images.
        size: K, the numbers of a thumbnail: 16 per channel.
        packed: the mean and the upper triangle of the covariance, row by row: base64 of little-endian float32.
    """

    count: int
    size: int
    packed: str


class Statistics(_Part):
    """What the train split looks like.

    Attributes:
        mean: per channel, over all pixels, 0..1.
        std: likewise.
        distributions: of width and height (of the source images, pixels), brightness, contrast and sharpness
            (`prepare.Measures`); empty for augmented sets and arrays.
        thumbnails: for the distance between sets (`data.drift`); likewise.
    """

    mean: list[float]
    std: list[float]
    distributions: dict[str, Distribution] = Field(default_factory=dict)
    thumbnails: ThumbnailMoments | None = None


class DatasetInfo(_Part):
    """What is in an image set.

    Attributes:
        source: name of what was ingested.
        image_size: edge of the square images in pixels.
        channels: 1 (greyscale) or 3 (RGB).
        labels: label column -> its classes, in the order of their codes.
        counts: split -> how many images, per class.
        combinations: what classes occur together, the most frequent first (the first `LISTED_AT_MOST`), where there are
            several label columns; `combination_count` counts all.
        rejects: what was refused and why (the first `LISTED_AT_MOST`; `reject_count` counts all).
        duplicates: what was left out because it, or nearly it, is there already (likewise).
        notes: what was odd about the source, a sentence each.
        digest: SHA-256 of the content (pixels, labels, split), whatever the order and layout of files.
        holdout_digest: the same of the holdout alone: equal digests mean that two models can be compared.
        holdout_sketch: the `SKETCH` smallest SHA-256 of the holdout's images. Sides are chosen by content: a set with
            all of another one's sketch in its holdout has grown from it, and keeps apart what that one did.
        parent_digest: digest of the image set that this one was made from, if any.
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


def versions() -> dict[str, str]:
    """The versions that shape pixels."""
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
