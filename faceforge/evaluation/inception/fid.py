"""Two sets of images, or files of statistics, compared in the features of the FID network."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from faceforge.errors import FaceForgeError
from faceforge.evaluation.inception.extractor import Inception
from faceforge.evaluation.inception.feature_statistics import Gathered, cached, gather
from faceforge.evaluation.inception.image_inputs import ImageInput, open_images
from faceforge.evaluation.inception.metrics import FIRST_NAME, LABELS, MIN_FID, MINIMA, Measure, measure
from faceforge.evaluation.inception.weights import FILE, SHA256, cache_folder, find_weights

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
    """What came out, with all that is needed to quote it.

    Attributes:
        metrics: by name: `inception/...` with the published weights on both sides, else `inception_unverified/...`.
        real, fake: what was compared.
        weights: SHA-256 of the network's weights; empty = unknown.
        precision: what the network computed in; empty = unknown.
        notes: what must be said beside the numbers.
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
    wanted: Collection[Measure] = FID_ONLY,
    min_samples: int = MIN_FID,
    cache: Path | None = None,
) -> Comparison:
    """Compares two sets; each is a `.npz` of statistics (ours, pytorch-fid's, TTUR's), or what `open_images` takes.

    Args:
        real: reference.
        fake: what is judged; the Inception score and the extrapolation are made of it.
        weights: see `find_weights`; not needed for two files of statistics.
        precision: see `Inception`; with `auto`, a file of statistics that knows its own decides.
        wanted: measures; one with too few images is left out and noted, an error if none remains.
        min_samples: FID needs so many images of a kind.
        cache: folder for weights and statistics; default `cache_folder()`.

    Raises:
        FaceForgeError: a side is missing, or has too few images or other features; the network is not there.
    """
    sides = [_Side.open(real), _Side.open(fake)]
    minima = {**MINIMA, "fid": min_samples}
    for side in sides:
        side.refuse_if_few(side.count, wanted, minima)
    network = _network(sides, weights, precision, cache)
    gathered = first, second = [side.gather(network, cache) for side in sides]
    for side, part in zip(sides, gathered, strict=True):
        side.refuse_if_few(part.gaussian.count, wanted, minima)  # some may have been unreadable
    _check_alike(sides, gathered)
    metrics = measure(first, second, wanted, network.logits if network else None, minima=minima)
    identity = next((part.identity for part in gathered if part.identity), "")
    published = all(part.identity.startswith(SHA256) for part in gathered)
    space = "inception" if published else "inception_unverified"
    return Comparison(
        metrics={f"{space}/{name}": value for name, value in metrics.items()},
        real=sides[0].told(gathered[0]),
        fake=sides[1].told(gathered[1]),
        weights=identity.partition(":")[0],
        precision=identity.partition(":")[2],
        notes=list(_notes(sides, gathered, network, wanted, metrics, minima)),
    )


def gather_set(images: str, *, weights: str = "", precision: str = "auto", cache: Path | None = None) -> Gathered:
    """The features of one set, to be saved and compared later; arguments as in `compare_sets`."""
    side = _Side.open(images)
    return side.gather(_network([side], weights, precision, cache), cache)


@dataclass(frozen=True)
class _Side:
    """What is gathered already, or images yet to be measured."""

    name: str
    ready: Gathered | None
    images: ImageInput | None

    @classmethod
    def open(cls, spec: str) -> _Side:
        if spec.endswith(".npz"):
            return cls(spec, Gathered.load(Path(spec).expanduser()), None)
        return cls(spec, None, open_images(spec))

    @property
    def count(self) -> int:
        return self.images.count if self.images else self.ready.gaussian.count if self.ready else 0

    def gather(self, network: Inception | None, cache: Path | None) -> Gathered:
        if self.ready is not None or self.images is None or network is None:
            assert self.ready is not None  # noqa: S101 - `_network` gives None only where no images are
            return self.ready
        images = self.images

        def make() -> Gathered:
            return gather(network.blocks(images), network.identity)

        if not images.key:
            return make()
        return cached(cache or cache_folder(), f"{images.key}:{network.identity}", make)

    def told(self, gathered: Gathered) -> Part:
        return Part(self.name, gathered.gaussian.count, len(self.images.skipped) if self.images else 0)

    def refuse_if_few(self, count: int, wanted: Collection[Measure], minima: Mapping[Measure, int]) -> None:
        """Raises if no wanted measure can be had of so many images; 0 = unknown."""
        if 0 < count < min(minima[name] for name in wanted):
            needs = ", ".join(f"{LABELS[name]} {minima[name]:,}" for name in wanted)
            raise FaceForgeError(
                f"{self.name} has {count:,} images, too few: needed are, for {needs}; give more, choose KID, which is"
                f" unbiased, or accept a biased FID with --min-samples {count}"
            )


def _network(sides: Sequence[_Side], weights: str, precision: str, cache: Path | None) -> Inception | None:
    """The network, where there are images to measure; with the weights and precision of statistics beside them."""
    if all(side.ready is not None for side in sides):
        return None
    file = find_weights(weights, cache)
    for side in sides:
        if side.ready is not None and side.ready.identity:
            digest, _, computed_in = side.ready.identity.partition(":")
            if digest != file.sha256:
                raise FaceForgeError(
                    f"{side.name} was made with other weights (SHA-256 {digest[:12]}...) than {file.path}; make it anew"
                )
            precision = computed_in if precision == "auto" else precision
    return Inception(file, precision)


def _check_alike(sides: Sequence[_Side], gathered: Sequence[Gathered]) -> None:
    (first, second), (one, other) = sides, gathered
    if one.rows.shape[1] != other.rows.shape[1]:
        raise FaceForgeError(
            f"{first.name} has {one.rows.shape[1]:,} features an image, {second.name} {other.rows.shape[1]:,};"
            " compare statistics of one network"
        )
    digests = {part.identity.partition(":")[0] for part in gathered} - {""}
    if len(digests) > 1:
        raise FaceForgeError(f"{first.name} and {second.name} were made with different weights; make one of them anew")


def _notes(
    sides: Sequence[_Side],
    gathered: Sequence[Gathered],
    network: Inception | None,
    wanted: Collection[Measure],
    metrics: Mapping[str, float],
    minima: Mapping[Measure, int],
) -> Iterator[str]:
    if network is not None and network.file.note:
        yield network.file.note
    elif any(part.identity and not part.identity.startswith(SHA256) for part in gathered):
        yield f"not FID: statistics of weights other than the published {FILE}"
    for side, part in zip(sides, gathered, strict=True):
        if not part.identity:
            yield f"{side.name} does not say which network made it; another resizing or network makes another number"
        if side.images and side.images.skipped:
            yield f"{side.name}: {len(side.images.skipped):,} images skipped, the first: {side.images.skipped[0]}"
    if len({part.identity.partition(":")[2] for part in gathered if part.identity}) > 1:
        yield "the two sides were computed in different precisions"
    for name in wanted:
        if FIRST_NAME[name] not in metrics:
            rowless = [side.name for side, part in zip(sides, gathered, strict=True) if not len(part.rows)]
            why = f"{rowless[0]} holds no rows of features" if rowless and name != "fid" else ""
            yield f"{LABELS[name]} left out: {why or f'it takes {minima[name]:,} images of each kind'}"
