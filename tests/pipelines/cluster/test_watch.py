"""Following runs to their end, against a SIMULATED Kubeflow Pipelines server."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from pipelines.cli.pipeline import pipeline
from tests.pipelines.argo import step_node, workflow
from tests.pipelines.kfp_server import LOGIN_PAGE, SimulatedServer

TRAIN_POD = "faceforge-x-system-container-impl-2"


@pytest.fixture(autouse=True)
def _at_every_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.cluster.pods.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("pipelines.cluster.pods.SLOW_START_SECONDS", 0.0)
    monkeypatch.setattr("pipelines.cluster.watch.MAX_FAILED_POLLS", 5)


def submit(*arguments: str) -> Result:
    return CliRunner().invoke(pipeline, ["submit", "--every", "0.01", *arguments])


def watch(run_id: str, *arguments: str) -> Result:
    return CliRunner().invoke(pipeline, ["watch", run_id, "--every", "0.01", *arguments])


def error(result: Result, code: int = 2) -> str:
    assert result.exit_code == code, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("error: ")]
    return line


def test_a_failed_run_ends_with_the_error_line_of_its_step(server: SimulatedServer) -> None:
    server.states, server.tasks = ["RUNNING", "FAILED"], [{"ingest": "FAILED"}]
    server.workflow = workflow(
        step_node("ingest", "Failed", 2, "main: Error (exit code 2)"), step_node("close", "Failed", 9)
    )
    server.logs = {TRAIN_POD: "reading\nerror: s3://faces holds no Parquet files\nF1129 main.go:63] exit status 2\n"}
    line = error(submit())
    assert "ended FAILED in ingest: s3://faces holds no Parquet files (log: faceforge pipeline logs r-1)" in line


def test_of_several_attempts_the_last_one_counts(server: SimulatedServer) -> None:
    server.states = ["FAILED"]
    server.workflow = workflow(
        step_node("ingest", "Succeeded", 1, attempt=1),
        step_node("train", "Failed", 2, "main: Error (exit code 1)"),
        step_node("train", "Failed", 3, "main: Error (exit code 1)", attempt=1),
    )
    traceback = 'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: second attempt\n'
    server.logs = {TRAIN_POD: "error: first attempt\n", TRAIN_POD[:-1] + "3": traceback}
    assert "in train: ValueError: second attempt" in error(submit())


def test_memory_that_ran_out_is_named_with_the_limit(server: SimulatedServer) -> None:
    server.states = ["FAILED"]
    server.workflow = workflow(step_node("train", "Failed", 2, "main: OOMKilled (exit code 137)", memory="4Gi"))
    assert "in train: ran out of memory (limit 4Gi); compile with a larger --memory" in error(submit())


def test_without_a_log_the_reason_of_kubernetes_is_shown(server: SimulatedServer) -> None:
    server.states = ["FAILED"]
    server.workflow = workflow(step_node("train", "Error", 2, "pod deleted"))
    assert "in train: pod deleted" in error(submit())


def test_a_pod_that_cannot_start_is_reported_once_with_its_reason(server: SimulatedServer) -> None:
    server.states = [*["RUNNING"] * 6, "SUCCEEDED"]
    server.workflow = workflow(step_node("ingest", "Pending", 2, "ImagePullBackOff: no such image"))
    output = submit().output
    assert output.count("ingest     waiting to start: ImagePullBackOff: no such image") == 1


def test_a_missing_image_is_reported_at_once_in_one_line(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.cluster.pods.SLOW_START_SECONDS", 3600.0)
    pull = 'ErrImagePull: failed to pull and unpack image "docker.io/library/nothere:1": ' + "not found " * 20
    told = []
    for message in (pull, f'ImagePullBackOff: Back-off pulling image "nothere:1": {pull}'):
        server.states, server.polls = [*["RUNNING"] * 6, "SUCCEEDED"], 0
        server.workflow = workflow(step_node("ingest", "Pending", 2, message))
        told += [line for line in submit().output.splitlines() if "waiting to start" in line]
    assert len(told) == 2
    assert told[0] == told[1]
    assert told[0].startswith("  ingest     waiting to start: ErrImagePull: failed to pull")


def test_a_run_without_pods_is_reported(server: SimulatedServer) -> None:
    server.states = [*["PENDING"] * 3, "SUCCEEDED"]
    assert "no step has a pod yet" in submit().output


def test_the_start_deadline_terminates_the_run(server: SimulatedServer) -> None:
    server.states = ["RUNNING"]
    server.workflow = workflow(step_node("train", "Pending", 2, "Unschedulable: 0/1 nodes are available"))
    line = error(submit("--start-deadline", "0.001"))
    assert "train has not started for" in line
    assert "Unschedulable: 0/1 nodes are available" in line
    assert server.runs["r-1"]["state"] == "CANCELING"


def test_progress_of_a_running_step_is_shown_also_when_reconnecting(
    server: SimulatedServer, kubernetes: dict[str, str]
) -> None:
    assert submit("--detach").exit_code == 0
    server.states = [*["RUNNING"] * 4, "SUCCEEDED"]
    server.workflow = workflow(step_node("train", "Running", 2))
    line = "train 12,800/30,208 images · 410/s · 42 s left · loss 0.7"
    kubernetes[TRAIN_POD] = f"starting\ntrain 64/30,208 images · 400/s · 75 s left\n{line}\nlast words\n"
    assert watch("r-1").output.count(f"  train      {line}\n") == 1


def test_a_failed_run_is_retried_as_often_as_asked(server: SimulatedServer) -> None:
    server.states = ["FAILED", "RUNNING", "FAILED", "SUCCEEDED"]
    result = submit("--retry-failed", "2")
    assert result.exit_code == 0, result.output
    assert "r-1 · retry 2 of 2" in result.output
    server.states, server.polls = ["FAILED"], 0
    assert "ended FAILED" in error(submit("--retry-failed", "1"))
    assert server.calls.count("POST /apis/v2beta1/runs/r-2:retry") == 1


def test_after_a_retry_old_states_of_steps_are_not_shown(server: SimulatedServer) -> None:
    server.states = ["FAILED", "RUNNING", "RUNNING", "SUCCEEDED"]
    failed = {"ingest": "SUCCEEDED", "train": "FAILED", "close": "FAILED"}
    server.tasks = [failed, failed, {**failed, "train": "RUNNING"}, dict.fromkeys(failed, "SUCCEEDED")]
    output = submit("--retry-failed", "1").output
    second = output.partition("retry 1 of 1")[2]
    assert "ingest     succeeded" in second
    assert "train      running" in second
    assert "failed" not in second


def test_a_terminated_run_is_not_retried(server: SimulatedServer) -> None:
    server.states = ["CANCELING", "FAILED"]
    assert "because it was terminated" in error(submit("--retry-failed", "2"))


def test_missing_access_to_running_pods_is_reported_once(server: SimulatedServer, no_kubernetes: None) -> None:
    server.states = [*["RUNNING"] * 4, "SUCCEEDED"]
    server.workflow = workflow(step_node("train", "Running", 2))
    output = submit().output
    assert output.count("progress cannot be shown") == 1
    assert "no Kubernetes cluster is configured; set KUBECONFIG" in output


def test_omitted_steps_are_skipped(server: SimulatedServer) -> None:
    server.states = ["RUNNING", "SUCCEEDED"]
    server.tasks = [{"ingest": "SUCCEEDED", "export": "RUNTIME_STATE_UNSPECIFIED"}]
    assert "export     skipped" in submit().output


def test_a_run_deleted_with_its_schedule_is_noticed(server: SimulatedServer) -> None:
    server.recurring["rr-1"] = {"recurring_run_id": "rr-1", "display_name": "nightly"}
    run_id = server.fire("rr-1")
    server.states = ["RUNNING"]
    del server.recurring["rr-1"]
    assert f"run {run_id} no longer exists: its schedule was deleted" in error(watch(run_id))
    assert f"{run_id}  gone" in CliRunner().invoke(pipeline, ["runs"]).output


def test_a_run_whose_workflow_was_deleted_is_noticed(
    server: SimulatedServer, kubernetes: dict[str, str], deleted_workflows: set[str]
) -> None:
    server.states = ["RUNNING"]
    server.workflow = workflow(step_node("train", "Running", 2))
    assert submit("--detach").exit_code == 0
    assert "gone" not in CliRunner().invoke(pipeline, ["runs"]).output
    deleted_workflows.add("faceforge-x")
    assert "gone" not in CliRunner().invoke(pipeline, ["runs"]).output  # this may be the Kubernetes of another server
    server.runs["r-0"] = {"run_id": "r-0", "state": "SUCCEEDED"}
    line = error(watch("r-1"))
    assert (
        "run r-1 no longer exists: Kubernetes (context here) has no workflow faceforge-x in namespace kubeflow" in line
    )
    assert "r-1  gone" in CliRunner().invoke(pipeline, ["runs"]).output


def test_without_kubernetes_a_deleted_workflow_is_not_claimed(server: SimulatedServer, no_kubernetes: None) -> None:
    server.states = [*["RUNNING"] * 4, "SUCCEEDED"]
    server.workflow = workflow(step_node("train", "Running", 2))
    assert submit().exit_code == 0


def test_a_run_whose_schedule_alone_was_deleted_is_followed_to_its_end(server: SimulatedServer) -> None:
    server.recurring["rr-1"] = {"recurring_run_id": "rr-1", "display_name": "nightly"}
    run_id = server.fire("rr-1")
    del server.recurring["rr-1"]
    server.orphaned.add(run_id)
    server.states = [*["RUNNING"] * 4, "SUCCEEDED"]
    assert watch(run_id).exit_code == 0


@pytest.mark.parametrize("failure", [429, 408, 500, 502])
def test_short_failures_of_the_server_are_survived(server: SimulatedServer, failure: int) -> None:
    server.states = ["RUNNING", failure, failure, "SUCCEEDED"]
    assert submit().exit_code == 0


@pytest.mark.parametrize(
    ("failure", "message"),
    [(500, "500"), (429, "429"), (401, "set KF_PIPELINES_TOKEN"), (403, "--namespace"), (LOGIN_PAGE, "login page")],
)
def test_lost_watching_has_its_own_exit_code_and_tells_how_to_go_on(
    server: SimulatedServer, failure: str | int, message: str
) -> None:
    server.states = ["RUNNING", failure]
    line = error(submit(), 3)
    assert message in line
    assert "the run goes on, follow it with: faceforge pipeline watch r-1" in line


def test_a_time_limit_ends_watching_only(server: SimulatedServer) -> None:
    server.states = ["RUNNING"]
    assert "still running" in error(submit("--timeout", "0.1"), 3)
    assert server.runs["r-1"]["state"] == "RUNNING"


def test_watch_of_an_unknown_run(server: SimulatedServer) -> None:
    assert "404" in error(watch("r-9"))
