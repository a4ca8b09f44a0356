"""Verifies a synthetic image set before it is published: hashes, counts, repeats, labels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceforge.data.imageset.reader import ImageSet, Record
from faceforge.data.pixels import from_bytes, map_ordered, pixel_digest
from faceforge.errors import FaceForgeError
from faceforge.evaluation.domain_classifier import DomainClassifier
from faceforge.files import atomic_file, sha256_file
from faceforge.progress import Progress
from faceforge.synthesis.manifest import MANIFEST, Manifest

VERDICT = "check.json"
MAX_REPEATS = 0.01  # share of images whose pixels another one has: beyond, the model has collapsed


@dataclass(frozen=True)
class Verification:
    """What a check has found.

    Attributes:
        problems: in words; none = fit.
        metrics: `synthetic/images`, `synthetic/repeats` (share of images that are not unique), and with a classifier
            `synthetic/label_agreement` (share in which it sees all the labels of the image).
    """

    problems: list[str]
    metrics: dict[str, float]

    @property
    def verdict(self) -> str:
        """`publish` or `refuse`."""
        return "refuse" if self.problems else "publish"

    def write(self, folder: Path) -> Path:
        """Keeps it as `check.json` in a folder."""
        path = folder / VERDICT
        with atomic_file(path) as partial:
            content = {"verdict": self.verdict, "problems": self.problems, "metrics": self.metrics}
            partial.write_text(json.dumps(content, indent=2) + "\n")
        return path


def verify(folder: Path, classifier: DomainClassifier | None = None) -> Verification:
    """Verifies a synthetic image set by reading all of it, as a stream.

    Checks the hash of every file, the pixels of every image against its digest, the number of images per combination of
    labels, repeated images and, given a classifier, the labels.

    Raises:
        FaceForgeError: the folder is not a synthetic image set.
    """
    manifest, images = Manifest.read(folder), ImageSet.open(folder)
    problems = [
        f"{file.path} is missing or has been changed"
        for file in manifest.files
        if not (folder / file.path).is_file() or sha256_file(folder / file.path) != file.sha256
    ]
    if problems:
        return Verification(problems, {})
    listed = {file.path for file in manifest.files} | {MANIFEST}
    present = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    problems += [f"{path} is not in the manifest" for path in sorted(present - listed)]
    if images.info.digest != manifest.digest:
        problems.append(f"the content has digest {images.info.digest}, the manifest says {manifest.digest}")
    counts: Counter[str] = Counter()
    digests: set[bytes] = set()
    damaged, agreed = 0, 0
    with Progress("check", total=manifest.made) as progress:
        for records, pixels in _batches(images):
            counts.update(json.dumps(record.labels) for record in records)
            digests.update(bytes.fromhex(record.sha256) for record in records)
            damaged += sum(pixel_digest(image) != r.sha256 for image, r in zip(pixels, records, strict=True))
            agreed += 0 if classifier is None else _agreeing(classifier, records, pixels)
            progress.advance(len(records))
    total = sum(counts.values())
    if damaged:
        problems.append(f"{damaged:,} images do not match their digest")
    for cell in manifest.cells:
        if (count := counts[json.dumps(cell.labels)]) != cell.wanted:
            problems.append(f"{cell.labels}: {count:,} images instead of {cell.wanted:,}")
    repeats = 1 - len(digests) / max(total, 1)
    if repeats > MAX_REPEATS:
        problems.append(f"{repeats:.1%} of the images are repeated: the model has collapsed")
    metrics = {"synthetic/images": float(total), "synthetic/repeats": repeats}
    if classifier is not None:
        agreement = metrics["synthetic/label_agreement"] = agreed / max(total, 1)
        limit = float(manifest.options["min_label_agreement"])
        if not agreement >= limit:
            problems.append(
                f"the classifier confirms the label of {agreement:.1%} of the images; the limit is {limit:.0%}"
            )
    return Verification(problems, metrics)


def _batches(images: ImageSet) -> Iterator[tuple[list[Record], NDArray[np.uint8]]]:
    """Records with their pixels, in batches of one size, since TensorFlow compiles a network for each size."""

    def decoded(record: Record) -> tuple[Record, NDArray[np.uint8]]:
        return record, from_bytes(record.image, images.info.channels)

    pairs = map_ordered(decoded, images.records("train"))
    while batch := list(islice(pairs, 1024)):
        yield [record for record, _ in batch], np.stack([pixels for _, pixels in batch])


def _agreeing(classifier: DomainClassifier, records: list[Record], pixels: NDArray[np.uint8]) -> int:
    """Number of images for which the classifier confirms all labels."""
    columns = list(records[0].labels)
    if missing := [column for column in columns if column not in classifier.vocabularies]:
        raise FaceForgeError(f"the classifier does not know the label {missing[0]!r}")
    places = [list(classifier.vocabularies).index(column) for column in columns]
    predicted = classifier.predict_balanced(pixels)[:, places]
    vocabularies = [classifier.vocabularies[column] for column in columns]
    names = [
        [vocabulary[code] for vocabulary, code in zip(vocabularies, row, strict=True)] for row in predicted.tolist()
    ]
    return sum(row == list(record.labels.values()) for row, record in zip(names, records, strict=True))
