"""Defaults of the parameters that commands, pipelines and steps share."""

from __future__ import annotations

import re

SOURCE = "toyfaces"
PRESET = "toy"
EXPERIMENT = "faceforge"
MODEL_NAME = SOURCE  # of commands without a source: the model that a run without parameters registers
CHAMPION_URI = f"models:/{MODEL_NAME}@champion"

_SUFFIXES = re.compile(r"(\.(zip|tar|tgz|gz|bz2|xz|csv|tsv|parquet|pq))+$", re.IGNORECASE)


def model_name_of(source: str) -> str:
    """Name of the registered model of a source: its last part without suffix, reduced to letters, digits, `_` and `-`.

    >>> [model_name_of(source) for source in ("toyfaces:glasses=1", "tfds:celeb_a", "~/my photos/", "s3://b/faces.parquet")]
    ['toyfaces', 'celeb_a', 'my-photos', 'faces']
    """
    if "://" in source:
        path = source.split("://", 1)[1].split("?")[0]
    else:
        kind, _, rest = source.partition(":")
        path = rest.split("/")[0] if kind == "tfds" else kind if re.fullmatch(r"\w+", kind) else source
    parts = [part for part in path.split("/") if part not in ("", ".", "..", "~") and "*" not in part]
    name = _SUFFIXES.sub("", parts[-1]) if parts else ""
    return re.sub(r"[^\w-]+", "-", name).strip("-")[:100] or "faces"
