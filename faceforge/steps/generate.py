"""The step `generate`: registered model -> synthetic image set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceforge.data.imageset.reader import ImageSet
from faceforge.steps.log_data import log_image_set
from faceforge.steps.tracked import Tracking, maybe_tracked
from faceforge.tracking.preflight import check_tracking
from faceforge.tracking.tags import MODEL_TAG, SYNTHETIC_TAG

if TYPE_CHECKING:
    from faceforge.synthesis.manifest import Manifest
    from faceforge.synthesis.options import SynthesisConfig
    from faceforge.tracking.runs import StepRun


def run_generate(
    *,
    model: str,
    data: Path | None,
    settings: str | Mapping[str, Any],
    out: Path,
    tracking: Tracking | None,
    work: Path | None = None,
    report: Path | None = None,
    registry_uri: str | None = None,
) -> Manifest:
    """Generates a labelled synthetic image set; see `faceforge.synthesis.synthesise`.

    Args:
        model: `models:/NAME@ALIAS`, or whatever else `synthesise` accepts.
        data: image set of real images; None: none.
        settings: the options, for example `per_class=500, reject=labels`.
        out: folder of the synthetic set.
        tracking: None = no MLflow run.
        work: folder for finished parts that outlives this attempt; None: beside `out`.
        report: output folder of the model's evaluation; None: the one kept with the model.
        registry_uri: MLflow where a `models:/` model is; None: that of `tracking`, else MLFLOW_TRACKING_URI.
    """
    from faceforge.synthesis.options import synthesis_config
    from faceforge.synthesis.synthesise import synthesise

    config = synthesis_config(settings if isinstance(settings, str) else dict(settings))
    uri = registry_uri or (tracking.uri if tracking else None)
    if tracking is not None:
        check_tracking(tracking.uri, tracking.experiment)  # the pipeline's first step
    with maybe_tracked("generate", tracking) as run:
        manifest = synthesise(model, out, config, data, report, uri or "", work)
        if run is not None:
            _log_synthetic_set(run, manifest, config, out)
    return manifest


def _log_synthetic_set(run: StepRun, manifest: Manifest, config: SynthesisConfig, out: Path) -> None:
    run.log_metrics({f"synthetic/refused_{reason}": float(count) for reason, count in manifest.refused.items()})
    run.log_metrics(manifest.metrics)
    run.headline(
        params={"model": manifest.model["name"], **config.model_dump(mode="json")},
        metrics={"synthetic/images": float(manifest.made), **manifest.metrics},
        tags={MODEL_TAG: manifest.model["name"], SYNTHETIC_TAG: manifest.digest},
        artifacts=[out / "report.html", out / "README.md", out / "manifest.json"],
    )
    log_image_set(run, ImageSet.open(out))
