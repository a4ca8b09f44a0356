"""Draws a plan's images and keeps those that pass the checks, part by part, so that an interrupted run can resume.

For each cell, the first `wanted` images of its sequence that pass the checks are kept, so the result depends neither
on batch sizes nor on interruptions. Each part holds the same share of every cell, shuffled: the whole set is mixed
although only one part is in memory at a time.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import ImageSetWriter
from faceforge.data.pixels import encode, map_ordered
from faceforge.errors import FaceForgeError
from faceforge.export.export import sheet_name
from faceforge.files import atomic_folder
from faceforge.inference.generator import Generator
from faceforge.progress import Progress
from faceforge.synthesis.checks import BATCH, Check
from faceforge.synthesis.latents import latents_of
from faceforge.synthesis.options import SynthesisConfig
from faceforge.synthesis.plan import Cell

PART_IMAGES = 2000
_AT_ONCE = 8 * BATCH  # candidates in memory
_STATE = "state.json"


@dataclass
class Tally:
    """Progress of a cell: images kept, candidates generated, and candidates rejected by reason."""

    made: int = 0
    drawn: int = 0
    refused: dict[str, int] = field(default_factory=dict)


@dataclass
class _Row:
    """An image that passed the checks."""

    image: NDArray[np.uint8]
    cell: Cell
    number: int  # in the cell's sequence


def draw_parts(
    generator: Generator, plan: Sequence[Cell], checks: Sequence[Check], config: SynthesisConfig, work: Path
) -> tuple[list[ImageSet], list[Tally]]:
    """Generates the planned images in the folder `work`; parts finished by an earlier attempt are kept.

    Returns:
        the parts as image sets, in order, and the tally of each cell.

    Raises:
        FaceForgeError: too many candidates of a cell were rejected.
    """
    total = sum(cell.wanted for cell in plan)
    parts = -(-total // PART_IMAGES)
    tallies = [Tally() for _ in plan]
    finished = _finished(work, parts)
    if finished:
        state = json.loads((finished[-1].root / _STATE).read_text())
        tallies = [Tally(**tally) for tally in state]
    with Progress("generate", total=total, done=sum(tally.made for tally in tallies)) as progress:
        for number in range(len(finished), parts):
            goals = [cell.wanted * (number + 1) // parts for cell in plan]
            rows = _fill(generator, plan, tallies, goals, checks, config, progress)
            order = np.random.default_rng([config.seed, number]).permutation(len(rows))
            finished.append(_write(work / f"part-{number:05d}", generator, [rows[row] for row in order], tallies))
    return finished, tallies


def _fill(
    generator: Generator,
    plan: Sequence[Cell],
    tallies: Sequence[Tally],
    goals: Sequence[int],
    checks: Sequence[Check],
    config: SynthesisConfig,
    progress: Progress,
) -> list[_Row]:
    """Generates candidates until every cell has reached its goal."""
    passed: list[_Row] = []
    while requests := _next_requests(plan, tallies, goals, config.max_tries):
        cells = np.repeat([place for place, _ in requests], [count for _, count in requests])
        latents = [
            latents_of(generator, plan[place], tallies[place].drawn, count, config.seed, config.truncation)
            for place, count in requests
        ]
        codes = np.array([plan[place].codes for place in cells], np.int32).reshape(len(cells), len(generator.labels))
        images = generator.bundle.generate(np.concatenate(latents), codes, BATCH)
        reasons = _reasons(images, codes, checks)
        before = len(passed)
        for row, place in enumerate(cells):
            tally = tallies[place]
            if tally.made >= goals[place]:
                continue  # not needed for this part; the next part generates it again
            if reasons[row]:
                tally.refused[reasons[row]] = tally.refused.get(reasons[row], 0) + 1
            else:
                passed.append(_Row(images[row], plan[place], tally.drawn))
                tally.made += 1
            tally.drawn += 1
        progress.advance(len(passed) - before, note=_note(tallies))
    return passed


def _next_requests(
    plan: Sequence[Cell], tallies: Sequence[Tally], goals: Sequence[int], max_tries: int
) -> list[tuple[int, int]]:
    """(cell, candidates) to generate next, in full batches; empty when all goals are met."""
    requests: Counter[int] = Counter()
    room = _AT_ONCE
    for place, (cell, tally, goal) in enumerate(zip(plan, tallies, goals, strict=True)):
        missing = goal - tally.made
        if missing <= 0 or room <= 0:
            continue
        allowed = max_tries * cell.wanted + BATCH - tally.drawn  # one batch more, so that small cells have a chance
        if allowed <= 0:
            rejected = ", ".join(f"{count:,} for {reason}" for reason, count in sorted(tally.refused.items()))
            raise FaceForgeError(
                f"{cell.name}: only {tally.made:,} of {cell.wanted:,} images passed out of {tally.drawn:,} candidates "
                f"(rejected: {rejected}); use fewer checks, request fewer images, raise max_tries, or train longer"
            )
        likely = missing * max(tally.drawn, 1) / max(tally.made, 1) if tally.drawn else missing
        requests[place] = min(int(np.ceil(min(likely, 4 * missing))), allowed, room)
        room -= requests[place]
    places = list(requests)
    for turn in range(-sum(requests.values()) % BATCH):
        requests[places[turn % len(places)]] += 1
    return list(requests.items())


def _reasons(images: NDArray[np.uint8], codes: NDArray[np.int32], checks: Sequence[Check]) -> list[str]:
    """Reason of rejection of each image; empty = passed."""
    reasons = [""] * len(images)
    for check in reversed(checks):  # the first check that rejects an image gives the reason
        for row in np.flatnonzero(check.rejected(images, codes)):
            reasons[row] = check.name
    return reasons


def _write(folder: Path, generator: Generator, rows: Sequence[_Row], tallies: Sequence[Tally]) -> ImageSet:
    spec = generator.bundle.info.spec
    with atomic_folder(folder) as partial:
        size, channels = spec.image_size, spec.channels
        writer = ImageSetWriter.of_model(
            partial, source="synthetic", image_size=size, channels=channels, labels=generator.labels
        )
        for row, encoded in zip(rows, map_ordered(encode, (row.image for row in rows)), strict=True):
            writer.add("train", encoded, _path(row.cell.labels, row.number), row.cell.labels)
        info = writer.finish()
        (partial / _STATE).write_text(json.dumps([asdict(tally) for tally in tallies]))
    return ImageSet(folder, info)


def _path(labels: Mapping[str, str], number: int) -> str:
    """Path made of the image's labels and its number in the sequence: `expression-smiling/00000042.png`."""
    return f"{sheet_name(dict(labels)) or 'images'}/{number:08d}.png"


def _finished(work: Path, parts: int) -> list[ImageSet]:
    """The finished parts up to the first gap; later ones are removed."""
    finished: list[ImageSet] = []
    for number in range(parts):
        folder = work / f"part-{number:05d}"
        try:
            finished.append(ImageSet.open(folder))
        except FaceForgeError:
            break
    for leftover in sorted(work.glob("part-*"))[len(finished) :]:
        shutil.rmtree(leftover, ignore_errors=True)
    return finished


def _note(tallies: Sequence[Tally]) -> str:
    rejected = sum(sum(tally.refused.values()) for tally in tallies)
    return f"{rejected:,} rejected" if rejected else ""
