"""Who a worker is told to be."""

import json

import pytest

from faceforge.compute.workers import environment, is_chief
from faceforge.errors import FaceForgeError

HOSTS = ["here:2222", "there:2223"]


@pytest.mark.parametrize("index", [0, 1])
def test_the_environment_names_a_worker_and_its_peers(monkeypatch: pytest.MonkeyPatch, index: int) -> None:
    told = environment(index, HOSTS)
    config = json.loads(told.pop("TF_CONFIG"))
    assert config == {"cluster": {"worker": HOSTS}, "task": {"type": "worker", "index": index}}
    assert told == {
        "JAX_COORDINATOR_ADDRESS": "here:2222",
        "JAX_NUM_PROCESSES": "2",
        "JAX_PROCESS_ID": str(index),
    }
    monkeypatch.delenv("JAX_PROCESS_ID", raising=False)
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert is_chief() == (index == 0)
    monkeypatch.delenv("TF_CONFIG")
    assert is_chief()
    monkeypatch.setenv("JAX_PROCESS_ID", str(index))
    assert is_chief() == (index == 0)


@pytest.mark.parametrize(
    ("index", "hosts", "message"),
    [
        (2, HOSTS, "worker 2 does not exist; with 2 hosts, workers are 0 to 1"),
        (-1, HOSTS, "worker -1 does not exist"),
        (0, ["here:2222", "there"], "worker address 'there' has no port; write it as machine:2222"),
        (0, [":2222"], "worker address ':2222'"),
    ],
)
def test_impossible_workers_are_refused(index: int, hosts: list[str], message: str) -> None:
    with pytest.raises(FaceForgeError, match=message):
        environment(index, hosts)
