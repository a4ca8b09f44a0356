"""The step `ingest`: source -> image set. On several machines: `prepare` shares of the source, then ingest those."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from faceforge.config import flatten, labels_option, resolve
from faceforge.data.imageset.reader import ImageSet
from faceforge.defaults import model_name_of
from faceforge.models.size import generator_bytes
from faceforge.steps.log_data import log_drift, log_image_set
from faceforge.steps.tracked import Tracking, maybe_tracked
from faceforge.tracking.artifacts import check_server_reads
from faceforge.tracking.preflight import check_tracking
from faceforge.tracking.tags import REVISION_TAG


def run_ingest(
    *,
    source: str,
    labels: str | None,
    preset: str,
    settings: str,
    out: Path,
    tracking: Tracking | None,
    work: Path | None = None,
    prepared: Sequence[Path] = (),
    model_name: str | None = None,
    for_evaluation: bool = False,
) -> ImageSet:
    """Builds an image set from a source and prints what it contains; see `faceforge.data.ingest.build`.

    Args:
        source: what to read.
        labels: columns or a file, see `labels_option`; None: all that the source declares.
        preset: name.
        settings: overrides.
        out: folder of the image set.
        tracking: None = no MLflow.
        work: folder for prepared images that outlives this attempt; None: beside `out`.
        prepared: folders that `run_prepare` has filled.
        model_name: registered model whose champion's training set this one is compared with; None: no comparison.
        for_evaluation: refuse a source with too few images to evaluate a model on.
    """
    from faceforge.data.ingest.build import build_image_set
    from faceforge.data.ingest.summary import summary
    from faceforge.tracking.revision import code_revision

    config = resolve(preset, settings)
    ingest_config, label_file = labels_option(config.ingest, labels)
    if tracking is not None and model_name:
        check_tracking(
            tracking.uri, tracking.experiment, model_name, generator_bytes(config)
        )  # the pipeline's first step
    with maybe_tracked("ingest", tracking) as run:
        if run is not None:
            check_server_reads(run.run_id)  # before any work
        images = build_image_set(
            source,
            out,
            ingest_config,
            labels_csv=label_file,
            work=work,
            prepared=prepared,
            for_evaluation=for_evaluation,
        )
        print(summary(images.info), flush=True)
        if run is not None:
            run.headline(params=flatten(config), tags={REVISION_TAG: code_revision() or "unknown"})
            log_image_set(run, images)
            run.rename_parent(f"{model_name_of(images.info.source)} · {preset}")
            if model_name:
                log_drift(run, images, model_name)
    return images


def run_prepare(
    *, source: str, labels: str | None, preset: str, settings: str, share: int, shares: int, out: Path
) -> None:
    """Prepares one of several shares of a source; see `faceforge.data.ingest.build.prepare_share`."""
    from faceforge.data.ingest.build import prepare_share

    ingest_config, label_file = labels_option(resolve(preset, settings).ingest, labels)
    prepare_share(source, out, ingest_config, share=share, shares=shares, labels_csv=label_file)
