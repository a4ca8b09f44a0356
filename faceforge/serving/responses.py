"""Generated images in the format that a client accepts: JSON, one PNG with all of them, zip or Parquet."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from faceforge.data.overview.contact_sheet import image_grid
from faceforge.data.pixels import encode, to_png
from faceforge.inference.generator import Samples
from faceforge.serving.loading import Served

JSON = "application/json"


def write_json(samples: Samples, served: Served) -> bytes:
    """An object that holds every image as base64 PNG beside its labels (`DrawnImages`)."""
    images = [
        {"png": base64.b64encode(to_png(image)).decode(), "labels": labels}
        for image, labels in zip(samples.images, _rows(samples), strict=True)
    ]
    return json.dumps({"model": served.name, "images": images}).encode()


def write_grid(samples: Samples, served: Served) -> bytes:
    """One PNG: the images in rows, as near to a square as can be."""
    return to_png(image_grid(samples.images, math.ceil(math.sqrt(len(samples)))))


def write_zip(samples: Samples, served: Served) -> bytes:
    """A zip of PNG files and `labels.csv`: a folder that `faceforge ingest` reads."""
    buffer, table = io.BytesIO(), io.StringIO()
    lines = csv.writer(table, lineterminator="\n")
    lines.writerow(["file", *samples.labels])
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # PNG is compressed already
        for number, (image, labels) in enumerate(zip(samples.images, _rows(samples), strict=True)):
            name = f"{number:05d}.png"
            archive.writestr(zipfile.ZipInfo(name), to_png(image))
            lines.writerow([name, *labels.values()])
        archive.writestr(zipfile.ZipInfo("labels.csv"), table.getvalue())
    return buffer.getvalue()


def write_parquet(samples: Samples, served: Served) -> bytes:
    """A shard of an image set, as `faceforge.data.imageset.reader` describes it."""
    from faceforge.data.imageset.writer import ImageSetWriter

    info = served.generator.bundle.info
    with TemporaryDirectory() as folder:
        writer = ImageSetWriter(
            Path(folder),
            source=served.name,
            image_size=info.spec.image_size,
            channels=info.spec.channels,
            columns=tuple(info.labels),
            vocabularies=info.labels,
        )
        for number, (image, labels) in enumerate(zip(samples.images, _rows(samples), strict=True)):
            writer.add("train", encode(image), f"{number:05d}.png", labels)
        writer.finish()
        (shard,) = Path(folder).glob("train-*.parquet")
        return shard.read_bytes()


WRITERS: dict[str, Callable[[Samples, Served], bytes]] = {
    JSON: write_json,
    "image/png": write_grid,
    "application/zip": write_zip,
    "application/vnd.apache.parquet": write_parquet,
}


def chosen_type(accept: str) -> str | None:
    """The media type to answer with; None if the client accepts none of ours.

    The one with the highest quality counts; among equals ours in the order of `WRITERS` (RFC 9110, 12.5.1).
    """
    ranges = [_media_range(part) for part in (accept or "*/*").split(",") if part.strip()]
    best, best_quality = None, 0.0
    for media_type in WRITERS:
        fitting = [(len(name), quality) for name, quality in ranges if _fits(name, media_type)]
        quality = max(fitting)[1] if fitting else 0.0  # the longest name is the most specific range
        if quality > best_quality:
            best, best_quality = media_type, quality
    return best


def headers(served: Served) -> dict[str, str]:
    """Which model made it, for answers that have no other place to say so."""
    return {"X-FaceForge-Model": quote(served.name, safe=":/@")}


def _media_range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        return name, min(max(float(quality), 0.0), 1.0)
    except ValueError:
        return name, 0.0


def _fits(media_range: str, media_type: str) -> bool:
    family = media_type.partition("/")[0]
    return media_range in ("*/*", "*", f"{family}/*", media_type)


def _rows(samples: Samples) -> list[dict[str, str]]:
    """The labels, image by image."""
    return [{column: classes[row] for column, classes in samples.labels.items()} for row in range(len(samples))]
