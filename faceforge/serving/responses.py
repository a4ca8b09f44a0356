"""Generated images in the format that a client accepts: JSON, one PNG contact sheet, zip or Parquet."""

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

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from faceforge.data.overview.contact_sheet import image_grid
from faceforge.data.pixels import encode, to_png
from faceforge.inference.generator import Samples
from faceforge.serving.loading import Served

JSON = "application/json"
MODEL_HEADER = "X-FaceForge-Model"


def write_json(samples: Samples, served: Served) -> bytes:
    """A JSON object (`GeneratedImages`): every image as base64 PNG with its labels."""
    images = [
        {"png": base64.b64encode(to_png(image)).decode(), "labels": labels}
        for image, labels in zip(samples.images, _rows(samples), strict=True)
    ]
    return json.dumps({"model": served.name, "images": images}).encode()


def write_grid(samples: Samples, served: Served) -> bytes:
    """One PNG: a contact sheet, as close to a square as possible."""
    return to_png(image_grid(samples.images, math.ceil(math.sqrt(len(samples)))))


def write_zip(samples: Samples, served: Served) -> bytes:
    """A zip of PNG files and `labels.csv`, which `faceforge ingest` reads."""
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
        size, channels = info.spec.image_size, info.spec.channels
        writer = ImageSetWriter.of_model(
            Path(folder), source=served.name, image_size=size, channels=channels, labels=info.labels
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
    """The media type of the response; None if the client accepts none of ours.

    The highest quality wins; among equals, ours in the order of `WRITERS` (RFC 9110, 12.5.1).
    """
    accepted = parse_accept_header(accept or "*/*", MIMEAccept)
    qualities = {media_type: accepted.quality(media_type) for media_type in WRITERS}
    best = max(qualities, key=qualities.__getitem__)  # the first of equals
    return best if qualities[best] > 0 else None


def headers(served: Served) -> dict[str, str]:
    """The header that names the model, for formats without a place for it."""
    return {MODEL_HEADER: quote(served.name, safe=":/@")}


def _rows(samples: Samples) -> list[dict[str, str]]:
    """Label column -> class, for each image."""
    return [{column: classes[row] for column, classes in samples.labels.items()} for row in range(len(samples))]
