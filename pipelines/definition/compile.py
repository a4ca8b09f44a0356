"""Compiling a pipeline definition to the YAML file that runs locally and on a cluster."""

from __future__ import annotations

from pathlib import Path

from faceforge.files import atomic_file
from pipelines.definition.compile_settings import CompileSettings, compile_settings
from pipelines.definition.definitions import TRAINING, Definition

COMMITTED = TRAINING.committed
"""The training pipeline compiled with default settings; it is kept in the repository."""


def compile_pipeline(
    path: Path = COMMITTED, options: CompileSettings | None = None, definition: Definition = TRAINING
) -> Path:
    """Write a pipeline as IR YAML to `path` and return `path`.

    With Kubernetes options (secrets, volumes, tolerations) the file has a second document, the platform configuration,
    which is part of a submission and ignored by local runs.
    """
    from kfp import compiler  # slow to import

    with atomic_file(path) as partial:
        target = partial.with_suffix(".yaml")  # the compiler requires this suffix
        try:
            compiler.Compiler().compile(definition.build(options or compile_settings()), str(target))
            target.replace(partial)
        finally:
            target.unlink(missing_ok=True)
    return path
