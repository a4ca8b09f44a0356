"""Applies cluster options to the tasks of a pipeline."""

from kfp import kubernetes
from kfp.dsl import PipelineTask

from pipelines.definition.compile_settings import CompileSettings

_NEURAL_STEPS = ("train", "evaluate", "export", "generate", "check")


def configure(step: str, task: PipelineTask, options: CompileSettings) -> None:
    """Apply `options` to the task of `step`."""
    # Every step logs to MLflow, which a cached step would skip: caching stays off.
    task.set_caching_options(False)
    image = options.train_image if step in _NEURAL_STEPS else options.core_image
    task.set_container_image(image)
    task.set_env_variable("FACEFORGE_IMAGE", image)  # a container cannot see its image's name; lineage records it
    for secret in options.secrets:
        kubernetes.use_secret_as_env(task, secret.secret, {secret.key: secret.env})
    if options.pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(options.pull_secrets))
    if step in ("ingest", "prepare", "generate") and options.data_claim:
        kubernetes.mount_pvc(task, options.data_claim, options.data_path)
    if step in ("ingest", "train", "generate") and options.checkpoint_claim:  # a retry resumes from there
        kubernetes.mount_pvc(task, options.checkpoint_claim, options.checkpoint_path)
    if step in ("ingest", "prepare", "train", "generate") and options.retries:
        task.set_retry(num_retries=options.retries, backoff_duration="30s")
    if step in ("train", "evaluate", "generate"):
        if options.memory:
            task.set_memory_limit(options.memory)
        if options.shm_size:
            # The default /dev/shm of a pod is 64 MiB: larger batches end in bus errors.
            kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit=options.shm_size)  # noqa: S108
    if step in ("train", "generate"):
        _configure_compute(task, options)


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
