"""Summary of a finished local run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from faceforge.errors import FaceForgeError
from faceforge.terminal import relative
from faceforge.tracking.closing import find_pipeline_run
from faceforge.tracking.connection import current_uri, limited_retries
from faceforge.tracking.pages import run_page, version_page
from pipelines.definition.parameters import PipelineParameters, RunParameters, SynthesisParameters
from pipelines.local.run_folder import RunFolder

_REPORT_FILES = ("samples.png", "summary.txt", "report.html", "report.json", "check.json", "study.html", "study.json")


def summary(folder: RunFolder, parameters: PipelineParameters, seconds: float) -> Iterator[str]:
    """Lines for the user: metrics, decision, model version and paths of a finished run."""
    outputs = folder.result()
    yield ""
    if (folder.root / "summary.txt").is_file():
        yield from (folder.root / "summary.txt").read_text(encoding="utf-8").rstrip().splitlines()
        yield ""
    if isinstance(parameters, RunParameters):
        rows = {
            "decision": outputs["decision"],
            "model": f"models:/{parameters.model_name}/{outputs['version']}",
            "sample grid": relative(folder.root / "samples.png"),
            "report": relative(folder.root / "report.html"),
            "exports": relative(Path(outputs["exported"])),
        }
    elif isinstance(parameters, SynthesisParameters):
        rows = {
            "verdict": outputs["verdict"],
            "image set": relative(Path(outputs["dataset"])),
            "published": outputs["address"],
        }
    else:
        rows = {"settings": outputs["settings"] or "those of the preset", "page": relative(folder.root / "study.html")}
    rows |= _pages(folder.key, parameters, outputs)
    yield from (f"{name:<12} {value}" for name, value in rows.items())
    yield f"run {folder.key} succeeded in {seconds / 60:.1f} min"


def _pages(run_key: str, parameters: PipelineParameters, outputs: dict[str, str]) -> dict[str, str]:
    """Addresses of the run and of the model version in MLflow; a database needs `make mlflow-ui` first."""
    uri = current_uri()
    try:
        with limited_retries():  # the run is finished: nobody should wait long for a link
            parent = find_pipeline_run(run_key)
    except FaceForgeError as error:
        return {"MLflow run": f"not shown: {error}"}
    rows = {"MLflow run": run_page(uri, parent.info.experiment_id, parent.info.run_id)} if parent else {}
    if isinstance(parameters, RunParameters):
        rows["version page"] = version_page(uri, parameters.model_name, outputs["version"])
    if not uri.startswith("http"):
        rows["to open them"] = "make mlflow-ui"
    return rows


def copy_report(folder: RunFolder) -> None:
    """Copies the report to the top of the run folder."""
    report = Path(folder.result()["report"])
    for name in _REPORT_FILES:
        if (report / name).is_file():
            shutil.copyfile(report / name, folder.root / name)
