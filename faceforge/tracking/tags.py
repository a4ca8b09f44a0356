"""Names of the tags that runs, model versions and registered models carry in MLflow.

Saved searches and other programs rely on these names: a renamed tag must still be read under its old name.
"""

from __future__ import annotations

# Of MLflow and Kubeflow.
MLFLOW_PARENT_TAG = "mlflow.parentRunId"
MLFLOW_NOTE_TAG = "mlflow.note.content"  # description of a run, Markdown
MLFLOW_SOURCE_TAG = "mlflow.source.name"
MLFLOW_KIND_TAG = "mlflow.experimentKind"  # which of its views MLflow opens an experiment in
KUBEFLOW_RUN_TAG = "kfp.pipeline_run_id"  # on parent runs that Kubeflow's MLflow plugin creates and ends

# What a run is; RUN_KEY_TAG also stands on the model version that the run registered.
RUN_KEY_TAG = "faceforge.run_key"  # the same on every retry of a pipeline run
ROLE_TAG = "faceforge.role"  # pipeline | step
STEP_TAG = "faceforge.step"
REVISION_TAG = "faceforge.revision"  # commit of the code
IMAGE_TAG = "faceforge.image"  # container image
FAILURE_TAG = "faceforge.failure"  # reason, in one line
PIPELINE_JOB_TAG = "faceforge.pipeline_job"  # id that Kubeflow Pipelines gave the run
CHANGED_TAG = "faceforge.changed."  # + name of a parameter whose value differs from an earlier attempt's

# What a run produced.
DATASET_TAG = "faceforge.dataset_digest"
DRIFT_TAG = "faceforge.drift"
DOMAIN_DRIFT_TAG = "faceforge.domain_drift"
STARTED_TAG = "faceforge.started_from"  # bundle or model version whose weights training started from
DECISION_TAG = "faceforge.decision"  # promote | hold | reject
REASONS_TAG = "faceforge.reasons"  # of the decision
MODEL_TAG = "faceforge.model"  # models:/NAME/VERSION
MODEL_VERSION_TAG = "faceforge.model_version"
SYNTHETIC_TAG = "faceforge.synthetic_digest"
VERDICT_TAG = "faceforge.verdict"  # of the check of a synthetic set
PUBLISHED_TAG = "faceforge.published"  # where a synthetic set was published

# Of a model version or a registered model.
PARENT_RUN_TAG = "faceforge.parent_run_id"  # pipeline run that made the version
PRIVACY_TAG = "faceforge.differential_privacy"  # epsilon, delta and accountant in words; absent = trained without
HOLDOUT_TAG = "faceforge.holdout_digest"  # images that the evaluation used
REGISTERED_TAG = "faceforge.registered"  # all files and tags of the version are in place
APPROVAL_TAG = "faceforge.approval"  # of a registered model: the rule; of a version: waiting, or who approved it
PROMOTED_TAG = "faceforge.promoted_"  # + at, by, reason
EVENT_TAG = "faceforge.event."  # + time; one tag per event, so that writers never overwrite each other
