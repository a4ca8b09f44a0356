"""Adds the `close` task to a pipeline: it runs after the steps, whether they have succeeded or failed."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from components.close.component import close
from pipelines.definition.compile_settings import CompileSettings
from pipelines.definition.definitions import CLOSE, Definition
from pipelines.definition.tasks import configure

STEPS = "steps"  # name of the inner pipeline in the UI


def closing(
    function: Callable[..., Any], definition: Definition, summary: str, options: CompileSettings
) -> BaseComponent:
    """A pipeline with the parameters, steps and outputs of `function`, followed by `close` even if a step has failed.

    kfp's ExitHandler would do the same but cannot pass outputs. The backend runs a task that ignores upstream failures
    as the exit hook of the steps, so that a failed step still fails the run.
    """
    signature = inspect.signature(function)
    steps = dsl.pipeline(name=STEPS, description=summary)(function)

    @dsl.pipeline(name=definition.name, description=summary)
    @functools.wraps(function)
    def outer(*values: Any) -> Any:
        inputs = dict(zip(signature.parameters, values, strict=True))
        inner = steps(**inputs).set_caching_options(False)
        tracking = {name: inputs[name] for name in ("tracking_uri", "experiment", "run_key")}
        close_task = close(**tracking, job=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
        close_task.after(inner).ignore_upstream_failure()
        configure(CLOSE, close_task, options)
        outputs = signature.return_annotation
        return outputs(**{name: inner.outputs[name] for name in outputs._fields})

    return outer
