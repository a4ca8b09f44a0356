"""Compares two sets of images, or files of statistics, in the features of the FID network."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from faceforge.errors import FaceForgeError
from faceforge.evaluation.inception.extractor import Inception
from faceforge.evaluation.inception.feature_statistics import FeatureStatistics, cached, collect_statistics
from faceforge.evaluation.inception.image_inputs import ImageInput, open_images
from faceforge.evaluation.inception.metrics import FIRST_NAME, LABELS, MIN_FID, MINIMA, Measure, measure
from faceforge.evaluation.inception.weights import FILE, SHA256, cache_folder, find_weights

FEATURES = 2048  # of the FID network
FID_ONLY: tuple[Measure, ...] = ("fid",)
KID_ONLY: tuple[Measure, ...] = ("kid",)


@dataclass(frozen=True)
class Part:
    """One of the two sets.

    Attributes:
        name: as the user named it.
        images: behind its numbers; 0 = unknown (statistics that another program wrote).
        skipped: images that could not be read.
    """

    name: str
    images: int
    skipped: int


@dataclass(frozen=True)
class Comparison:
    """The metrics of two sets, with everything needed to quote them.

    Attributes:
        metrics: by name: `inception/...` with the published weights on both sides, else `inception_unverified/...`.
        real, fake: what was compared.
        weights: SHA-256 of the network's weights; empty = unknown.
        precision: what the network computed in; empty = unknown.
        notes: qualifications that belong with the numbers.
    """

    metrics: dict[str, float]
    real: Part
    fake: Part
    weights: str
    precision: str
    notes: list[str]


def compare_sets(
    real: str,
    fake: str,
    *,
    weights: str = "",
    precision: str = "auto",
    measures: Collection[Measure] = FID_ONLY,
    min_samples: int = MIN_FID,
    cache: Path | None = None,
) -> Comparison:
    """Compares two sets; each is a `.npz` of statistics (ours, pytorch-fid's, TTUR's) or a source of images.

    Args:
        real: the reference set; see `open_images`.
        fake: the evaluated set; the Inception score and the extrapolation are computed from it.
        weights: see `find_weights`; not needed for two files of statistics.
        precision: see `Inception`; `auto` uses the precision stored in a file of statistics, if there is one.
        measures: to compute; those with too few images are skipped with a note, and it is an error if none remains.
        min_samples: least number of images of each kind for FID.
        cache: folder for weights and statistics; default `cache_folder()`.

    Raises:
        FaceForgeError: a side is absent, or has too few images or other features; the network is not available.
    """
    sides = [_Side.open(real), _Side.open(fake)]
    minima = {**MINIMA, "fid": min_samples}
    for side in sides:
        side.check_count(side.count, measures, minima)
    network = _network(sides, weights, precision, cache)
    statistics = first, second = [side.statistics(network, cache) for side in sides]
    for side, part in zip(sides, statistics, strict=True):
        side.check_count(part.gaussian.count, measures, minima)  # some may have been unreadable
    _check_alike(sides, statistics)
    metrics = measure(first, second, measures, network.logits if network else None, minima=minima)
    if broken := [name for name, value in metrics.items() if not math.isfinite(value)]:
        raise FaceForgeError(f"{', '.join(broken)} of {real} and {fake} is not a finite number; compute them again")
    identity = next((part.identity for part in statistics if part.identity), "")
    published = all(part.identity.startswith(SHA256) for part in statistics)
    space = "inception" if published else "inception_unverified"
    return Comparison(
        metrics={f"{space}/{name}": value for name, value in metrics.items()},
        real=sides[0].part(statistics[0]),
        fake=sides[1].part(statistics[1]),
        weights=identity.partition(":")[0],
        precision=identity.partition(":")[2],
        notes=list(_notes(sides, statistics, network, measures, metrics, minima)),
    )


def collect_set_statistics(
    images: str, *, weights: str = "", precision: str = "auto", cache: Path | None = None
) -> FeatureStatistics:
    """Statistics of one set, to be saved and compared later; arguments as in `compare_sets`."""
    side = _Side.open(images)
    return side.statistics(_network([side], weights, precision, cache), cache)


@dataclass(frozen=True)
class _Side:
    """One of the two sets: statistics that were loaded, or images whose features are computed."""

    name: str
    ready: FeatureStatistics | None
    images: ImageInput | None

    @classmethod
    def open(cls, spec: str) -> _Side:
        if spec.endswith(".npz"):
            return cls(spec, FeatureStatistics.load(Path(spec).expanduser()), None)
        return cls(spec, None, open_images(spec))

    @property
    def count(self) -> int:
        return self.images.count if self.images else self.ready.gaussian.count if self.ready else 0

    def statistics(self, network: Inception | None, cache: Path | None) -> FeatureStatistics:
        if self.ready is not None or self.images is None or network is None:
            assert self.ready is not None  # noqa: S101 - `_network` gives None only where no images are
            return self.ready
        images = self.images

        def make() -> FeatureStatistics:
            return collect_statistics(network.blocks(images), network.identity)

        if not images.key:
            return make()
        return cached(cache or cache_folder(), f"{images.key}:{network.identity}", make)

    def part(self, statistics: FeatureStatistics) -> Part:
        return Part(self.name, statistics.gaussian.count, len(self.images.skipped) if self.images else 0)

    def check_count(self, count: int, measures: Collection[Measure], minima: Mapping[Measure, int]) -> None:
        """Raises an error if `count` images are too few for every measure; 0 = unknown."""
        if 0 < count < min(minima[name] for name in measures):
            needs = ", ".join(f"{LABELS[name]} {minima[name]:,}" for name in measures)
            raise FaceForgeError(
                f"{self.name} has only {count:,} images (needed: {needs}); give more, use --kid, which is unbiased, or"
                f" accept a biased FID with --min-samples {count}"
            )


def _network(sides: Sequence[_Side], weights: str, precision: str, cache: Path | None) -> Inception | None:
    """The network, if a side has images; its weights and precision must fit the other side's statistics."""
    if all(side.ready is not None for side in sides):
        return None
    file = find_weights(weights, cache)
    for side in sides:
        if side.ready is not None and side.ready.identity:
            digest, _, computed_in = side.ready.identity.partition(":")
            if digest != file.sha256:
                raise FaceForgeError(
                    f"{side.name} was computed with other weights (SHA-256 {digest[:12]}...) than {file.path};"
                    " compute it again"
                )
            precision = computed_in if precision == "auto" else precision
    return Inception(file, precision)


def _check_alike(sides: Sequence[_Side], statistics: Sequence[FeatureStatistics]) -> None:
    (first, second), (one, other) = sides, statistics
    if one.rows.shape[1] != other.rows.shape[1]:
        raise FaceForgeError(
            f"{first.name} has {one.rows.shape[1]:,} features an image, {second.name} {other.rows.shape[1]:,};"
            " compare statistics of one network"
        )
    digests = {part.identity.partition(":")[0] for part in statistics} - {""}
    if len(digests) > 1:
        raise FaceForgeError(
            f"{first.name} and {second.name} were computed with different weights; compute one of them again"
        )


def _notes(
    sides: Sequence[_Side],
    statistics: Sequence[FeatureStatistics],
    network: Inception | None,
    measures: Collection[Measure],
    metrics: Mapping[str, float],
    minima: Mapping[Measure, int],
) -> Iterator[str]:
    if network is not None and network.file.note:
        yield network.file.note
    elif any(part.identity and not part.identity.startswith(SHA256) for part in statistics):
        yield f"not FID: statistics of weights other than the published {FILE}"
    for side, part in zip(sides, statistics, strict=True):
        if not part.identity:
            yield f"{side.name} does not name its network; another network or resizing gives another number"
            if (size := len(part.gaussian.mean)) != FEATURES:
                yield f"not FID: {side.name} has {size:,} features per image, FID has {FEATURES:,}"
        if side.images and side.images.skipped:
            yield f"{side.name}: {len(side.images.skipped):,} images skipped, the first: {side.images.skipped[0]}"
    if len({part.identity.partition(":")[2] for part in statistics if part.identity}) > 1:
        yield "the two sides were computed in different precisions"
    for name in measures:
        if FIRST_NAME[name] not in metrics:
            rowless = [side.name for side, part in zip(sides, statistics, strict=True) if not len(part.rows)]
            why = f"{rowless[0]} holds no rows of features" if rowless and name != "fid" else ""
            yield f"{LABELS[name]} skipped: {why or f'it needs {minima[name]:,} images of each kind'}"
