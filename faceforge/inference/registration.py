"""Registers a model bundle as a version that `mlflow.pyfunc.load_model` can load."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError
from faceforge.inference import pyfunc
from faceforge.models.bundle import BundleInfo
from faceforge.tracking.connection import readable
from faceforge.tracking.promotion import WAITING, approval_required, promote
from faceforge.tracking.revision import code_revision
from faceforge.tracking.step_run import StepRun
from faceforge.tracking.tags import (
    APPROVAL_TAG,
    DATASET_TAG,
    DECISION_TAG,
    HOLDOUT_TAG,
    PARENT_RUN_TAG,
    PRIVACY_TAG,
    REGISTERED_TAG,
    REVISION_TAG,
    RUN_KEY_TAG,
)
from faceforge.tracking.versions import CHALLENGER, Decision, all_versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def register_bundle(
    bundle: Path,
    *,
    name: str,
    run: StepRun,
    decision: Decision,
    tags: Mapping[str, Any] | None = None,
    extra_artifacts: Mapping[str, Path] | None = None,
    auto_promote: bool = True,
    reason: str = "",
) -> str:
    """Registers a bundle as a version of the model `name`; call it inside `step_run`. Returns the version's number.

    There is one version per run key: a retry completes and returns the existing one. Unless rejected, it becomes
    `challenger`; with the decision "promote" also `champion`, if no approval is required.

    Args:
        bundle: the bundle's folder.
        name: registered model; created if missing.
        run: the open step.
        decision: the evaluation's decision.
        tags: tags of the version, in addition to data digest, code revision, run ids and decision.
        extra_artifacts: name -> file or folder to store in the version, for example the report.
        auto_promote: False leaves `champion` unchanged whatever the decision.
        reason: why it was decided so, for the history.

    Returns:
        The version's number.

    Raises:
        FaceForgeError: the bundle is unreadable, or the registry cannot be reached.
    """
    import mlflow

    if decision not in ("promote", "hold", "reject"):
        raise FaceForgeError(f"decision {decision!r} does not exist; one of promote, hold, reject")
    info = BundleInfo.read(Path(bundle))
    with readable("MLflow registry"):
        client = mlflow.MlflowClient()
        version = _registered(client, name, run.run_key)
        if version is not None and REGISTERED_TAG in version.tags:
            return str(version.version)
        if version is None:
            model_id = _logged(client, run, name) or _log(Path(bundle), info, run, name, extra_artifacts or {})
            facts = {
                RUN_KEY_TAG: run.run_key,
                PARENT_RUN_TAG: run.parent_id,
                DATASET_TAG: info.dataset_digest,
                HOLDOUT_TAG: info.holdout_digest,
                REVISION_TAG: code_revision() or "unknown",
                DECISION_TAG: decision,
                **({PRIVACY_TAG: info.privacy.summary()} if info.privacy else {}),
                **{key: str(value)[:4000] for key, value in (tags or {}).items()},
            }
            version = mlflow.register_model(f"models:/{model_id}", name, tags=facts, await_registration_for=0)
            # Processes that register the same run at once have all written their version before they look again: the
            # oldest stays, its process completes it, and the others withdraw theirs.
            first = _registered(client, name, run.run_key)
            if first is not None and str(first.version) != str(version.version):
                client.delete_model_version(name, str(version.version))
                return str(first.version)
        number = str(version.version)
        run.output_model(version.source.removeprefix("models:/"))
        if decision != "reject":
            client.set_registered_model_alias(name, CHALLENGER, number)
    if decision == "promote" and approval_required(name):
        if APPROVAL_TAG not in version.tags:
            with readable("MLflow registry"):
                client.set_model_version_tag(name, number, APPROVAL_TAG, WAITING)
        print(f"{name} version {number} waits for approval: faceforge registry approve {number} --name {name}")
    elif decision == "promote" and auto_promote:
        promote(name, number, reason or "the evaluation decided so", by=f"pipeline run {run.run_key}")
    with readable("MLflow registry"):
        client.set_model_version_tag(name, number, REGISTERED_TAG, "true")
    return number


def _registered(client: MlflowClient, name: str, run_key: str) -> ModelVersion | None:
    """The version that an earlier attempt of this pipeline run registered, if any."""
    mine = [item for item in all_versions(client, name) if item.tags.get(RUN_KEY_TAG) == run_key]
    return min(mine, key=lambda item: int(item.version), default=None)


def _logged(client: MlflowClient, run: StepRun, name: str) -> str:
    """The id of a model that an earlier attempt logged completely but did not register; empty = none."""
    from mlflow.entities import LoggedModelStatus

    models = client.search_logged_models(
        experiment_ids=[run.experiment_id], filter_string=f"source_run_id = '{run.run_id}' AND name = '{name}'"
    )
    return next((model.model_id for model in models if model.status == LoggedModelStatus.READY), "")


def _log(bundle: Path, info: BundleInfo, run: StepRun, name: str, extra: Mapping[str, Path]) -> str:
    import mlflow

    active = mlflow.active_run()
    if active is None or active.info.run_id != run.run_id:
        raise RuntimeError("register_bundle must be called inside its step_run")
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*input example"
        )  # an input example would be run, which loads TensorFlow
        logged = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(pyfunc.CODE_FILE),
            artifacts={pyfunc.BUNDLE_ARTIFACT: str(bundle), **{key: str(path) for key, path in extra.items()}},
            signature=pyfunc.signature(info.labels),
            pip_requirements=pyfunc.pip_requirements(),
            metadata={"faceforge": info.versions.get("faceforge", ""), "dataset_digest": info.dataset_digest},
        )
    return str(logged.model_id)
