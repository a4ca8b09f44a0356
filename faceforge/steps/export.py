"""The step `export`: model bundle -> the formats that other programs load, and contact sheets of samples."""

from __future__ import annotations

from pathlib import Path

from faceforge.steps.tracked import Tracking, maybe_tracked


def run_export(
    *, bundle: Path, out: Path, tracking: Tracking | None, with_discriminator: bool | None = None
) -> dict[str, Path]:
    """Writes all formats of a bundle; see `faceforge.export.export`. Returns format -> path."""
    from faceforge.export.export import export_bundle

    with maybe_tracked("export", tracking) as run:
        paths = export_bundle(bundle, out, with_discriminator)
        if run is not None:
            run.log_artifacts(paths["samples"], "samples")
            run.log_artifacts(paths["listing"])
    return paths
