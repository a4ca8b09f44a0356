"""From a definition to the one YAML that a laptop runs and a cluster is sent."""

from __future__ import annotations

from pathlib import Path

from faceforge.files import atomic_file
from pipelines.definition.compile_settings import CompileSettings, compile_settings
from pipelines.definition.definitions import TRAINING, Definition

COMMITTED = TRAINING.committed
"""The training pipeline compiled with the default settings, kept in the repository."""


def compile_pipeline(
    path: Path = COMMITTED, options: CompileSettings | None = None, definition: Definition = TRAINING
) -> Path:
    """Write a pipeline as IR YAML to `path` and return it.

    With options that only a cluster understands (secrets, volumes, tolerations) the file has a second document, the
    platform configuration, which submission sends along and local runs ignore.
    """
    from kfp import compiler  # slow to import, and not needed to parse a command line

    with atomic_file(path) as partial:
        target = partial.with_suffix(".yaml")  # the compiler insists on the suffix
        try:
            compiler.Compiler().compile(definition.build(options or compile_settings()), str(target))
            target.replace(partial)
        finally:
            target.unlink(missing_ok=True)
    return path
