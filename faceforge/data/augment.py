"""Augments the train split of an image set: mirrored and jittered copies, balanced classes."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from faceforge.config import AugmentConfig
from faceforge.data.imageset.info import INFO_FILE, SPLITS
from faceforge.data.imageset.reader import DatasetInfo, ImageSet, Record
from faceforge.data.imageset.writer import ImageSetWriter, check_target, link_or_copy
from faceforge.data.pixels import Encoded, Pixels, encode, from_bytes, map_ordered
from faceforge.errors import FaceForgeError
from faceforge.files import atomic_folder
from faceforge.progress import Progress


def augment_image_set(data: Path, out: Path, config: AugmentConfig, seed: int) -> ImageSet:
    """Writes an image set with an augmented train split; the holdout is copied unchanged.

    Each training image is followed by its mirror image (`flip`), its jittered copies (`copies`) and, with `balance`, by
    more variants until all combinations of classes are as frequent as the most frequent one. These variants are
    jittered like copies and, with `flip`, mirrored half of the time; with `colour` and `geometry` at 0 and no `flip`
    they are exact repeats. If nothing is enabled, the files are linked.

    Args:
        data: folder of an image set.
        out: folder of the new image set; one that exists is replaced once the new one is complete.
        config: which variants to add.
        seed: random seed; the variants of an image depend only on it and on the image's position.

    Raises:
        FaceForgeError: `data` is not an image set, or a column to balance does not exist.
    """
    parent = ImageSet.open(data)
    parent.label_columns(config.balance)
    check_target(out)
    if data.resolve() == out.resolve():
        raise FaceForgeError(f"{out} is the image set to augment; name another folder to write to")
    try:
        with atomic_folder(out) as folder:
            enabled = config.flip or config.copies or config.balance
            info = _enlarge(parent, folder, config, seed) if enabled else _pass_through(parent, folder)
    except OSError as error:
        raise FaceForgeError(f"cannot write the image set {out}: {error.strerror or error}") from None
    return ImageSet(out, info)


def jitter(pixels: Pixels, config: AugmentConfig, random: np.random.Generator) -> Pixels:
    """Changes colours and geometry of an image slightly and randomly.

    Brightness, contrast and (RGB only) saturation are scaled by 1 +- `colour`; the image is shifted by up to
    `geometry` of its edge, zoomed in or out by up to 2 ** `geometry`, and rotated by up to `geometry` x 90 degrees.
    Borders are filled by reflection.

    Args:
        pixels: uint8 (H, W, C).
        config: strengths of both.
        random: random number generator.

    Returns:
        uint8 (H, W, C).
    """
    shift_x, shift_y, zoom, turn = random.uniform(-1, 1, 4) * config.geometry
    brightness, contrast, saturation = 1 + random.uniform(-1, 1, 3) * config.colour
    if config.geometry > 0:
        pixels = _warp(pixels, (shift_x, shift_y), 2**zoom, turn * np.pi / 2)
    if config.colour > 0:
        image = pixels.astype(np.float32) * brightness
        image = image.mean() + contrast * (image - image.mean())
        grey = image.mean(-1, keepdims=True)
        image = grey + saturation * (image - grey)
        pixels = np.clip(image + 0.5, 0, 255).astype(np.uint8)
    return pixels


def plan_balance(combinations: Sequence[tuple[str, ...]], seed: int) -> list[int]:
    """Number of extra variants of each image that make every combination as frequent as the most frequent one.

    >>> plan_balance([("a",), ("a",), ("b",)], seed=0)
    [0, 0, 1]
    """
    counts = Counter(combinations)
    most = max(counts.values(), default=0)
    # Round robin in shuffled order: within a combination, the numbers of variants differ by at most one.
    order = np.random.default_rng(seed).permutation(len(combinations))
    extra, visited = [0] * len(combinations), Counter[tuple[str, ...]]()
    for place in order.tolist():
        own = combinations[place]
        each, rest = divmod(most - counts[own], counts[own])
        extra[place] = each + (visited[own] < rest)
        visited[own] += 1
    return extra


@dataclass(frozen=True)
class _Job:
    number: int
    record: Record
    extra: int


def _pass_through(parent: ImageSet, folder: Path) -> DatasetInfo:
    for split in SPLITS:
        for shard in parent.shards(split):
            link_or_copy(shard, folder / shard.name)
    shutil.copyfile(parent.root / INFO_FILE, folder / INFO_FILE)
    return parent.info


def _enlarge(parent: ImageSet, folder: Path, config: AugmentConfig, seed: int) -> DatasetInfo:
    info = parent.info
    writer = ImageSetWriter.like(info, folder)
    writer.copy_split(parent, "holdout")
    each = 1 + config.flip + config.copies
    extra = [0] * info.counts["train"].total
    if config.balance:
        rows = parent.records("train", images=False)
        # Each image already occurs `each` times (itself, mirrored, copies), so combinations are counted that often.
        combinations = [tuple(row.labels[column] for column in config.balance) for row in rows for _ in range(each)]
        planned = plan_balance(combinations, seed)
        extra = [sum(planned[start : start + each]) for start in range(0, len(planned), each)]

    def jobs() -> Iterator[_Job]:
        for number, (record, more) in enumerate(zip(parent.records("train"), extra, strict=True)):
            yield _Job(number, record, more)

    with Progress("augment", len(extra) * each + sum(extra)) as progress:
        work = partial(_variants, config=config, seed=seed, channels=info.channels)
        for job, images in map_ordered(work, jobs()):
            for suffix, image in images:
                path, source = job.record.path + suffix, job.record.source
                writer.add("train", image, path, job.record.labels, source)
            progress.advance(len(images))
    return writer.finish(parent_digest=info.digest)


def _variants(job: _Job, config: AugmentConfig, seed: int, channels: int) -> tuple[_Job, list[tuple[str, Encoded]]]:
    """The original image and its variants, each with the suffix of its path."""
    original = from_bytes(job.record.image, channels)
    variants = [("", encode(original, job.record.image))]
    if config.flip:
        variants.append(("#flip", encode(np.ascontiguousarray(original[:, ::-1]))))
    for copy in range(config.copies + job.extra):
        random = np.random.default_rng([seed, job.number, copy])
        mirrored = config.flip and random.random() < 0.5
        pixels = np.ascontiguousarray(original[:, ::-1]) if mirrored else original
        variants.append((f"#copy{copy}", encode(jitter(pixels, config, random))))
    return job, variants


def _warp(pixels: Pixels, shift: tuple[float, float], scale: float, angle: float) -> Pixels:
    """Shifts (as a share of the edge), scales and rotates about the centre, with bicubic interpolation."""
    height, width, channels = pixels.shape
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
    centre = np.array([width, height]) / 2
    # Pillow needs the inverse map, from a position in the result to one in the source: turn @ position + origin.
    origin = centre - turn @ (centre + np.array(shift) * (width, height))
    corners = turn @ np.array([[0, width, 0, width], [0, 0, height, height]]) + origin[:, None]
    margin = int(np.ceil(max(-corners.min(), corners.max() - min(width, height), 0))) + 2
    padded = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), "symmetric")
    image = Image.fromarray(padded[..., 0] if channels == 1 else padded)
    inverse = (*turn[0], origin[0] + margin, *turn[1], origin[1] + margin)
    warped = image.transform((width, height), Image.Transform.AFFINE, inverse, Image.Resampling.BICUBIC)
    return np.asarray(warped).reshape(height, width, channels)
