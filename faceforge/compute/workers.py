"""Environment variables that tell each of several workers its place and where the others are."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from faceforge.errors import FaceForgeError


def environment(index: int, hosts: Sequence[str]) -> dict[str, str]:
    """Environment variables of one worker, for both backends.

    Args:
        index: the worker's place in `hosts`, 0 to N - 1. Worker 0 is the chief, which writes the files.
        hosts: N addresses `name:port`, the same list on every worker.

    Raises:
        FaceForgeError: the index is out of range, or an address has no port.
    """
    return {
        "TF_CONFIG": tf_config(index, hosts),
        "JAX_COORDINATOR_ADDRESS": hosts[0],
        "JAX_NUM_PROCESSES": str(len(hosts)),
        "JAX_PROCESS_ID": str(index),
    }


def is_chief() -> bool:
    """Whether this is the only process or the first worker: the one that writes files and logs to MLflow."""
    task = json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {})
    return not task.get("index", 0) and os.environ.get("JAX_PROCESS_ID", "0") == "0"


def tf_config(index: int, hosts: Sequence[str]) -> str:
    """The value of TensorFlow's TF_CONFIG for one worker; see `environment`."""
    if not 0 <= index < len(hosts):
        raise FaceForgeError(
            f"worker {index} does not exist; with {len(hosts)} hosts, workers are 0 to {len(hosts) - 1}"
        )
    for host in hosts:
        if not host.rpartition(":")[2].isdecimal() or host.startswith(":"):
            raise FaceForgeError(f"worker address {host!r} has no port; write it as machine:2222")
    return json.dumps({"cluster": {"worker": list(hosts)}, "task": {"type": "worker", "index": index}})
