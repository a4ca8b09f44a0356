"""Applies cluster options to the tasks of a pipeline."""

from kfp import kubernetes
from kfp.dsl import PipelineTask

from faceforge.steps.supervise import RETRIES
from pipelines.definition.compile_settings import CompileSettings
from pipelines.definition.definitions import CLOSE

_EXECUTOR = "kfp.dsl.executor_main"
_NO_RETRY_DEADLINE = f"{30 * 24 * 3600}s"  # counts from the first attempt; by default, nothing is retried after an hour
_CLOSE_SECONDS = 120  # a pod of `close` that cannot start must not keep a terminated run from ending
_TRAINING = ("train", "train-worker")
_TRIALS = ("search", "repeat")
_NEURAL_STEPS = (*_TRAINING, "evaluate", "export", "generate", "check", "split", *_TRIALS, "choose", "select")
# The network policy of k8s/components/workers lets only pods with this label reach each other.
_WORKER_LABEL = ("app.kubernetes.io/name", "faceforge-workers")


def configure(step: str, task: PipelineTask, options: CompileSettings) -> None:
    """Apply `options` to the task of `step`."""
    # Every step logs to MLflow, which a cached step would skip: caching stays off.
    task.set_caching_options(False)
    _supervise(task)
    _configure_container(step, task, options)
    _configure_pod(task, options)
    _configure_volumes(step, task, options)
    if options.retries:
        task.set_retry(num_retries=options.retries, backoff_duration="30s", backoff_max_duration=_NO_RETRY_DEADLINE)
    if step == CLOSE:
        kubernetes.set_timeout(task, _CLOSE_SECONDS)
    if step in (*_TRAINING, *_TRIALS, "generate"):
        _configure_compute(task, options)
    if step in _TRAINING and options.workers > 1:
        kubernetes.add_pod_label(task, *_WORKER_LABEL)


def _supervise(task: PipelineTask) -> None:
    """Runs kfp's executor under `faceforge.steps.supervise`, which starts a step again that has crashed."""
    command = task.container_spec.command
    task.container_spec.command = [
        part.replace(_EXECUTOR, f"faceforge.steps.supervise {_EXECUTOR}", 1) for part in command
    ]


def _configure_container(step: str, task: PipelineTask, options: CompileSettings) -> None:
    image = options.train_image if step in _NEURAL_STEPS else options.core_image
    task.set_container_image(image)
    task.set_env_variable("FACEFORGE_IMAGE", image)  # a container cannot see its image's name; lineage records it
    if options.retries:
        task.set_env_variable(RETRIES, str(options.retries))
    for name, value in options.env.items():
        task.set_env_variable(name, value)
    for secret in options.secrets:
        kubernetes.use_secret_as_env(task, secret.secret, {secret.key: secret.env})
    if options.cpu_request:
        task.set_cpu_request(options.cpu_request)
    if options.memory_request:
        task.set_memory_request(options.memory_request)
    if step in (*_TRAINING, *_TRIALS, "evaluate", "generate", "select"):
        if options.memory:
            task.set_memory_limit(options.memory)
        if options.shm_size:
            # The default /dev/shm of a pod is 64 MiB: larger batches end in bus errors.
            kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit=options.shm_size)  # noqa: S108


def _configure_pod(task: PipelineTask, options: CompileSettings) -> None:
    if options.pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(options.pull_secrets))
    if options.pull_policy:
        kubernetes.set_image_pull_policy(task, options.pull_policy)
    for name, value in options.pod_labels.items():
        kubernetes.add_pod_label(task, name, value)
    for name, value in options.pod_annotations.items():
        kubernetes.add_pod_annotation(task, name, value)
    user, group = options.run_as_user, options.run_as_group
    if options.run_as_non_root or user is not None or group is not None:
        kubernetes.set_security_context(
            task, run_as_user=user, run_as_group=group, run_as_non_root=options.run_as_non_root or None
        )


def _configure_volumes(step: str, task: PipelineTask, options: CompileSettings) -> None:
    if step in ("ingest", "prepare", "generate") and options.data_claim:
        kubernetes.mount_pvc(task, options.data_claim, options.data_path)
    if step in ("ingest", *_TRAINING, *_TRIALS, "generate") and options.checkpoint_claim:  # a retry resumes from there
        kubernetes.mount_pvc(task, options.checkpoint_claim, options.checkpoint_path)


def _configure_compute(task: PipelineTask, options: CompileSettings) -> None:
    if options.gpu:
        task.set_accelerator_type(options.gpu_type).set_accelerator_limit(options.gpu)
    if options.cpu:
        task.set_cpu_limit(options.cpu)
    for toleration in options.tolerations:
        kubernetes.add_toleration(
            task,
            key=toleration.key,
            operator="Equal" if toleration.value else "Exists",
            value=toleration.value or None,
            effect=toleration.effect or None,
        )
    for label, value in options.node_selector.items():
        kubernetes.add_node_selector(task, label, value)
