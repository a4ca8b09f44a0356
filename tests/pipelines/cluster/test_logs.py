"""Logs of a run's steps, read through a SIMULATED Kubeflow Pipelines server."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from pipelines.cli.pipeline import pipeline
from pipelines.cluster.workflow import error_line, pods_of_workflow
from tests.pipelines.argo import node, step_node, workflow
from tests.pipelines.kfp_server import SimulatedServer

POD = "faceforge-x-system-container-impl-{}"


@pytest.fixture
def run(server: SimulatedServer, kubernetes: dict[str, str]) -> SimulatedServer:
    """A run whose train was retried; a log of the first attempt is missing, evaluate waits for its image."""
    server.runs["r-1"] = {"run_id": "r-1", "state": "RUNNING"}
    server.workflow = workflow(
        step_node("train", "Running", 4, attempt=1),
        node("faceforge-x(0).root-driver(0)", "Succeeded", 0),
        node("faceforge-x(0).root(0).steps(0).ingest-driver(0)", "Succeeded", 1),
        step_node("ingest", "Succeeded", 2),
        step_node("train", "Error", 3, "pod deleted"),
        step_node("evaluate", "Pending", 5, "ErrImagePull: not found"),
    )
    server.logs = {POD.format(2): "2 a\n2 b\n2 c\n"}
    kubernetes[POD.format(4)] = "4 a\n4 b\n4 c\n"
    return server


def logs(*arguments: str) -> Result:
    return CliRunner().invoke(pipeline, ["logs", *arguments])


def test_attempts_are_told_apart_and_a_missing_log_does_not_end_the_list(run: SimulatedServer) -> None:
    lines = logs("r-1").output.splitlines()
    assert [line.split(maxsplit=1)[0] for line in lines] == ["ingest"] * 3 + ["train"] + ["train#2"] * 3 + ["evaluate"]
    assert lines[0].split() == ["ingest", "2", "a"]
    assert "no log of pod faceforge-x-system-container-impl-3: Failed to read logs" in lines[3]
    assert "Kubernetes: pods not found" in lines[3]
    assert "archived as private-artifacts/3/main.log" in lines[3]
    assert lines[-1].endswith("(waiting to start: ErrImagePull: not found)")


def test_one_step_and_its_last_lines(run: SimulatedServer) -> None:
    assert [line.split()[0] for line in logs("r-1", "--step", "train").output.splitlines()] == ["train"] + [
        "train#2"
    ] * 3
    assert logs("r-1", "--step", "train#2", "--tail", "1").output.split() == ["train#2", "4", "c"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["r-9"], "404"), (["r-1", "--step", "register"], "no pods of step register of run r-1 yet")],
)
def test_missing_pods_are_reported_in_one_line(run: SimulatedServer, arguments: list[str], message: str) -> None:
    result = logs(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert len(result.output.splitlines()) == 1


def test_lines_of_kubeflow_are_left_out_unless_asked_for(run: SimulatedServer) -> None:
    lines = [
        "I1129 13:54:18.663361      16 main.go:67] Setting log level to: '1'",
        "[KFP Executor 2026-11-29 13:54:20,217 INFO]: Got executor_input:",
        "{",
        '    "inputs": {',
        "    }",
        "}",
        "ingest 64/6,000 images · 10/s",
        "{",
        "E1129 13:59:15.226419      15 launcher_v2.go:449] Component failed",
        "I1129 13:57:38.197997      16 launcher_v2.go:1230] ExecutorOutput: {",
        "  }",
        "}",
        'time=2026-11-29T13:40:19.942Z level=INFO msg="file signal handler exiting" argo=true',
        "bye",
    ]
    run.logs[POD.format(2)] = "\n".join(lines)
    shown = [line.removeprefix("ingest").strip() for line in logs("r-1", "--step", "ingest").output.splitlines()]
    assert shown == [lines[6], lines[7], lines[8], "bye"]
    assert len(logs("r-1", "--step", "ingest", "--all").output.splitlines()) == len(lines)
    assert logs("r-1", "--step", "ingest", "--tail", "2").output.split()[-1] == "bye"


def test_a_log_that_breaks_off_is_shown_as_far_as_it_goes(run: SimulatedServer) -> None:
    run.logs[POD.format(2)] = 'one\ntwo\n{"error_message":"stream broke","error_details":"x"}'
    assert [line.split()[1] for line in logs("r-1", "--step", "ingest").output.splitlines()] == ["one", "two"]


def test_pods_of_a_parallel_loop_are_numbered() -> None:
    names = [
        f"faceforge-x(0).root(0).steps(0).for-loop-1(0).iteration({i}:{i})(0).prepare(0).executor(0)" for i in (1, 0)
    ]
    pods = pods_of_workflow(workflow(*(node(name, "Running", 9 - place) for place, name in enumerate(names))))
    assert [(pod.step, pod.attempt) for pod in pods] == [("prepare/0", 1), ("prepare/1", 1)]


def test_names_without_retry_indices_are_understood() -> None:
    (pod,) = pods_of_workflow(workflow(node("faceforge-x.root.steps.train.executor", "Running", 1)))
    assert (pod.label, pod.name) == ("train", POD.format(1))


def test_the_line_that_explains_a_failure() -> None:
    assert error_line(["x", "error: one", "error: two", "bye"]) == "two"
    assert (
        error_line(["Traceback (most recent call last):", "  File x", "KeyError: 'a'", "launcher"]) == "KeyError: 'a'"
    )
    assert error_line(["all is well"]) == ""
