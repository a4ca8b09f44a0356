"""The step `choose` of a search by several workers: trials of all workers -> the best settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from faceforge.files import atomic_folder
from faceforge.tuning.workers import choose


def run_choose(*, searched: Sequence[Path], out: Path) -> None:
    """Gathers the trials of a search; see `faceforge.tuning.workers.choose`.

    Args:
        searched: outputs of `search`, one per worker.
        out: folder of the result.
    """
    with atomic_folder(out) as partial:
        choose(searched, partial)
