"""What every pipeline ends with, whatever has become of its steps."""

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

STEPS = "steps"  # the inner pipeline, as it shows in the UI


def closing(
    function: Callable[..., Any], definition: Definition, summary: str, options: CompileSettings
) -> BaseComponent:
    """A pipeline of the parameters, steps and outputs of `function`, followed by `close` even when a step has failed.

    kfp's ExitHandler does the same, but lets no output through. The cluster's backend runs such a task as the exit
    hook of the steps, so that their failure stays the run's.
    """
    signature = inspect.signature(function)
    steps = dsl.pipeline(name=STEPS, description=summary)(function)

    @dsl.pipeline(name=definition.name, description=summary)
    @functools.wraps(function)
    def whole(*values: Any) -> Any:
        inputs = dict(zip(signature.parameters, values, strict=True))
        worked = steps(**inputs).set_caching_options(False)
        tracking = {name: inputs[name] for name in ("tracking_uri", "experiment", "run_key")}
        closed = close(**tracking, job=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
        closed.after(worked).ignore_upstream_failure()
        configure(CLOSE, closed, options)
        outputs = signature.return_annotation
        return outputs(**{name: worked.outputs[name] for name in outputs._fields})

    return whole
