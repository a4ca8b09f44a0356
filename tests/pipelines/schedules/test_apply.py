"""Schedules over HTTP, against a SIMULATED Kubeflow Pipelines server that can fail between any two calls."""

from __future__ import annotations

import importlib
import itertools
import json
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from pipelines.cli.schedule import schedule
from pipelines.schedules.file import SCHEDULES, read_schedules
from tests.pipelines.kfp_server import CUT_AFTER, CUT_BEFORE, SimulatedServer

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with the schedule `weekly`."""
    return write(tmp_path / "schedules.yaml", weekly())


def weekly(**changes: Any) -> dict[str, Any]:
    return {"name": "weekly", "cron": "0 3 * * 0", "parameters": {"preset": "toy"}, **changes}


def write(path: Path, *entries: dict[str, Any], zone: str = "UTC") -> Path:
    path.write_text(yaml.safe_dump({"scheduler_time_zone": zone, "schedules": list(entries)}))
    return path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(schedule, list(arguments))


def apply(path: Path, *arguments: str) -> Result:
    return call("apply", "--file", str(path), *arguments)


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def assert_one_error(result: Result, *parts: str) -> None:
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("error: ")]
    for part in parts:
        assert part in line


def test_a_schedule_becomes_a_recurring_run(server: SimulatedServer, path: Path) -> None:
    assert "+ weekly: create" in done(apply(path))
    (made,) = server.recurring.values()
    assert made["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * 0"
    assert made["no_catchup"] is True
    assert made["max_concurrency"] == 1
    assert made["status"] == "ENABLED"
    assert made["pipeline_version_reference"]["pipeline_version_id"] in server.versions
    parameters = made["runtime_config"]["parameters"]
    assert parameters["preset"] == "toy"
    assert "run_key" not in parameters, "every run needs a key of its own"
    assert all(isinstance(value, str) for value in parameters.values())


def test_the_same_again_changes_nothing(server: SimulatedServer, path: Path) -> None:
    done(apply(path))
    before = dict(server.recurring), len(server.calls)
    assert done(apply(path)) == "= weekly: unchanged\n"
    assert done(call("plan", "--file", str(path))) == "= weekly: unchanged\n"
    assert (dict(server.recurring), len(server.calls)) == before


def test_plan_reports_differences_and_changes_nothing(server: SimulatedServer, path: Path) -> None:
    done(apply(path))
    calls = len(server.calls)
    write(path, weekly(cron="30 4 * * *", parameters={"preset": "faces64", "settings": "train.kimg=50"}))
    line = done(call("plan", "--file", str(path)))
    assert line.startswith("~ weekly: change (cron 0 0 3 * * 0 -> 0 30 4 * * * (UTC)")
    assert "preset toy -> faces64" in line
    assert "settings unset -> train.kimg=50" in line
    assert len(server.calls) == calls
    done(apply(path))
    (live,) = server.copies("weekly")
    assert live["runtime_config"]["parameters"]["preset"] == "faces64"


@pytest.mark.parametrize("failure", [503, CUT_BEFORE, CUT_AFTER])
@pytest.mark.parametrize("at", range(6))
def test_apply_survives_every_cut(server: SimulatedServer, path: Path, at: int, failure: str | int) -> None:
    """From nothing and from an older copy: the server is gone from the n-th changing call on."""
    server.fail_at, server.failure = at, failure
    first = apply(path)
    server.fail_at = None
    assert len(server.active("weekly")) <= 1
    done(apply(path))
    assert len(server.copies("weekly")) == len(server.active("weekly")) == 1

    write(path, weekly(cron="0 4 * * 0"))
    calls = len(server.calls)
    server.fail_at = calls + at
    second = apply(path)
    server.fail_at = None
    assert server.active("weekly"), "never none"
    crons = [one["trigger"]["cron_schedule"]["cron"] for one in server.active("weekly")]
    assert len(crons) == len(set(crons)), "never the same twice"
    if second.exit_code:
        assert "error: " in second.output
        assert "Traceback" not in second.output
    if len(crons) > 1:
        assert "surplus" in done(call("list"))
    done(apply(path))
    (live,) = server.copies("weekly")
    assert live["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * 0"
    assert live["status"] == "ENABLED"
    assert first.exit_code in (0, 2)


def test_one_lost_response_is_recovered_by_a_retry(server: SimulatedServer, path: Path) -> None:
    done(apply(path))
    write(path, weekly(cron="0 4 * * 0"))
    server.fail_at, server.lasting, server.failure = len(server.calls) + 1, False, 503  # the old copy's deletion
    done(apply(path))
    assert len(server.copies("weekly")) == 1


@pytest.mark.parametrize("same", [True, False], ids=["same file", "different files"])
@pytest.mark.parametrize("existing", [True, False], ids=["from an older copy", "from nothing"])
def test_two_at_once_leave_one(server: SimulatedServer, tmp_path: Path, same: bool, existing: bool) -> None:
    if existing:
        done(apply(write(tmp_path / "old.yaml", weekly())))
    files = [write(tmp_path / "a.yaml", weekly(cron="0 4 * * 0"))]
    files.append(files[0] if same else write(tmp_path / "b.yaml", weekly(cron="0 5 * * 0")))
    # Both have looked, and both have made a copy, before either looks again.
    barrier = threading.Barrier(2)
    meetings = itertools.count()

    def meet(request: str) -> None:
        if request == "POST /apis/v2beta1/recurringruns" and next(meetings) < 2:
            barrier.wait(timeout=30)

    server.before = meet
    results: list[Result] = []
    threads = [threading.Thread(target=lambda file=file: results.append(run(file))) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(server.copies("weekly")) == len(server.active("weekly")) == 1
    assert all(result is None or "same time" in str(result) for result in results)
    if same:
        assert results == [None, None]
    server.before = None
    done(apply(files[0]))
    assert len(server.copies("weekly")) == 1


def test_ctrl_c_waits_until_the_older_copy_is_gone(server: SimulatedServer, path: Path) -> None:
    done(apply(path))
    write(path, weekly(cron="0 4 * * 0"))
    command = "from pipelines.cli.schedule import schedule; schedule()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "apply", "--file", str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

    def interrupt(request: str) -> None:
        if request == "POST /apis/v2beta1/recurringruns":
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)

    server.before = interrupt
    output = process.communicate(timeout=120)[0]
    (live,) = server.copies("weekly")
    assert live["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * 0"
    assert process.returncode == 130, output
    assert b"Traceback" not in output


def test_the_commands_are_offered() -> None:
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["faceforge.commands"]
    assert {"pipeline", "schedule", "retrain"} <= set(offered)
    for name, target in offered.items():
        module, _, attribute = target.partition(":")
        assert getattr(importlib.import_module(module), attribute).name == name


def run(file: Path) -> Any:
    """Applies a file in this thread; returns the error that it raised, or None."""
    from pipelines.cluster.connection import connect
    from pipelines.cluster.server import Server
    from pipelines.schedules.apply import apply

    where = Server()
    try:
        list(apply(connect(where), where, read_schedules(file)))
    except Exception as error:
        return error
    return None


def test_pause_is_kept_by_apply_and_ended_by_resume(server: SimulatedServer, path: Path) -> None:
    done(apply(path))
    assert done(call("pause", "weekly")) == "weekly: paused\n"
    assert done(call("pause", "weekly")) == "weekly: is already paused\n"
    assert "paused by hand" in done(apply(path))
    write(path, weekly(cron="0 4 * * 0"))
    done(apply(path))
    (live,) = server.copies("weekly")
    assert live["status"] == "DISABLED", "a changed schedule stays paused"
    assert "paused" in done(call("list"))
    assert done(call("resume", "weekly")) == "weekly: resumed\n"
    assert len(server.active("weekly")) == 1
    write(path, weekly(cron="0 4 * * 0", enabled=False))
    assert "disabled" in done(apply(path))
    assert not server.active("weekly")
    write(path, weekly(cron="0 4 * * 0", enabled=True))
    done(apply(path))
    assert len(server.active("weekly")) == 1


def test_runs_in_progress_survive_a_change_and_a_deletion(server: SimulatedServer, path: Path) -> None:
    done(apply(path))
    first = server.fire(server.copies("weekly")[0]["recurring_run_id"])
    done(apply(write(path, weekly(cron="0 4 * * 0"))))
    second = server.fire(server.copies("weekly")[0]["recurring_run_id"])
    done(call("delete", "weekly"))
    assert not server.recurring
    assert not {first, second} & server.deleted_workflows


def test_resume_does_not_make_up_for_missed_runs(server: SimulatedServer, path: Path) -> None:
    done(apply(path))
    done(call("pause", "weekly"))
    (paused,) = server.copies("weekly")
    done(call("resume", "weekly"))
    assert not server.runs
    (resumed,) = server.copies("weekly")
    same = ("trigger", "runtime_config", "description", "experiment_id", "pipeline_version_reference", "no_catchup")
    assert [resumed[key] for key in same] == [paused[key] for key in same]
    assert "unchanged" in done(apply(path))


def test_only_a_changed_service_account_is_reported(server: SimulatedServer, path: Path) -> None:
    done(apply(path))
    write(path, weekly(cron="0 4 * * 0"))
    assert "service account" not in done(call("plan", "--file", str(path)))
    assert "service account default -> editor" in done(call("plan", "--file", str(path), "--service-account", "editor"))


def test_a_description_that_kubeflow_cannot_store_is_refused(server: SimulatedServer, path: Path) -> None:
    line_limit = "Kubeflow has room for"
    assert_one_error(apply(write(path, weekly(description="x" * 200))), "description has 200 characters", line_limit)
    assert not server.calls
    done(apply(write(path, weekly(description="x" * 100))))


def test_list_shows_the_next_run(server: SimulatedServer, path: Path) -> None:
    assert "no schedules" in done(call("list"))
    done(apply(write(path, weekly(time_zone="Europe/Berlin"), zone="Europe/Berlin")))
    assert "next 20" in (line := done(call("list")))
    assert "03:00" in line
    assert "Europe/Berlin" in line


def test_run_now_starts_a_run_of_the_schedule(server: SimulatedServer, path: Path) -> None:
    done(apply(path))
    done(call("pause", "weekly"))
    assert "started run r-1" in done(call("run-now", "weekly"))
    (run,) = server.submitted
    (live,) = server.copies("weekly")
    assert run["runtime_config"]["parameters"] == live["runtime_config"]["parameters"]
    assert run["pipeline_version_reference"] == live["pipeline_version_reference"]


def test_schedules_of_others_are_left_alone_unless_pruned(server: SimulatedServer, path: Path) -> None:
    done(apply(write(path, weekly(), weekly(name="daily", cron="@daily"))))
    done(apply(write(path, weekly())))
    assert len(server.copies("daily")) == 1
    assert "daily: left alone (not in the file)" in done(call("plan", "--file", str(path)))
    assert "- daily: delete" in done(call("plan", "--prune", "--file", str(path)))
    done(apply(path, "--prune"))
    assert not server.copies("daily")
    assert server.copies("weekly")


def test_a_recurring_run_created_in_the_ui_is_never_changed(server: SimulatedServer, path: Path) -> None:
    done(apply(path))
    (live,) = server.copies("weekly")
    live["description"] = "made in the UI"
    assert_one_error(apply(path), "was not created by this command")
    assert_one_error(call("delete", "weekly"), "was not created by this command")
    assert len(server.recurring) == 1


def test_delete_and_names_that_are_not_there(server: SimulatedServer, path: Path) -> None:
    done(apply(path))
    assert_one_error(call("pause", "wekly"), "'wekly' does not exist", "existing schedules: weekly")
    assert done(call("delete", "weekly")) == "weekly: deleted\n"
    assert not server.recurring
    assert_one_error(call("delete", "weekly"), "does not exist")


def test_many_schedules_over_several_pages(server: SimulatedServer, path: Path) -> None:
    done(apply(write(path, weekly())))
    (live,) = server.recurring.values()
    for number in range(230):
        identifier = f"rr-x{number}"
        server.recurring[identifier] = {**live, "recurring_run_id": identifier, "display_name": f"s{number}"}
    assert len(done(call("list")).splitlines()) == 231


def test_a_single_schedule_without_a_file(server: SimulatedServer) -> None:
    arguments = ("set", "--cron", "0 3 * * 0", "--preset", "digits", "--source", "digits")
    assert "+ retrain: create" in done(call(*arguments))
    assert "= retrain: unchanged" in done(call(*arguments))
    (live,) = server.copies("retrain")
    assert live["runtime_config"]["parameters"]["source"] == "digits"


def test_several_users(server: SimulatedServer, path: Path) -> None:
    server.multi_user, server.forbidden = True, {"theirs"}
    assert_one_error(apply(path), "give --namespace")
    assert_one_error(apply(path, "--namespace", "theirs"), "403")
    done(apply(path, "--namespace", "faces", "--service-account", "editor"))
    assert server.copies("weekly")[0]["service_account"] == "editor"
    done(call("list", "--namespace", "faces"))


def test_the_cron_is_sent_in_the_time_zone_of_the_scheduler(server: SimulatedServer, path: Path) -> None:
    for entry in (weekly(), weekly(time_zone="Asia/Tokyo")):
        done(apply(write(path, entry, zone="Asia/Tokyo")))
        (live,) = server.copies("weekly")
        assert live["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * 0"
        assert json.loads(live["description"].rpartition("faceforge: ")[2])["time_zone"] == "Asia/Tokyo"
    assert "unchanged" in done(apply(path))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"cron": "0 3 * *"}, "schedule 'weekly': cron '0 3 * *' has 4 fields"),
        ({"cron": "* 0 3 * * 0"}, "the first means seconds"),
        ({"time_zone": "Berlin"}, "time zone 'Berlin' is unknown"),
        ({"name": "Weekly Retrain"}, "use lower-case letters"),
        ({"parameters": {"preset": "huge"}}, "preset 'huge' does not exist"),
        ({"parameters": {"sauce": "x"}}, "parameter 'sauce' does not exist"),
        ({"parameters": {"settings": "train.kimgs=1"}}, "did you mean 'train.kimg'"),
        ({"parameters": {"source": 5}}, "put it in quotes"),
        ({"start": "champion"}, "start: Extra inputs are not permitted"),
        ({"package": "nowhere.yaml"}, "nowhere.yaml does not exist"),
        (
            {"time_zone": "Asia/Tokyo"},
            "one time zone for all schedules: write cron in UTC, or set cron",
        ),
    ],
)
def test_a_wrong_entry_is_refused_before_anything_is_sent(
    server: SimulatedServer, path: Path, entry: dict[str, Any], message: str
) -> None:
    write(path, weekly(name="first"), weekly(**entry))
    assert_one_error(apply(path), message)
    assert not server.calls


@pytest.mark.parametrize(
    ("text", "message"),
    [("schedules: [", "are not YAML"), ("- a", "must contain a list"), ("sets: []", "Extra inputs")],
)
def test_a_wrong_file_is_refused(server: SimulatedServer, path: Path, text: str, message: str) -> None:
    path.write_text(text)
    assert_one_error(apply(path), message)
    path.unlink()
    assert_one_error(apply(path), "cannot be read")
    write(path, weekly(), weekly())
    assert_one_error(apply(path), "twice")


def test_the_file_in_the_repository_is_valid() -> None:
    (one,) = read_schedules(ROOT / SCHEDULES)
    assert not one.enabled


def test_a_file_is_checked_without_a_server(tmp_path: Path) -> None:
    path = write(tmp_path / "schedules.yaml", weekly(), {**weekly(), "name": "paused", "enabled": False})
    result = CliRunner().invoke(schedule, ["check", "--file", str(path)])
    assert result.exit_code == 0, result.output
    first, second = result.output.splitlines()
    assert first.startswith(weekly()["name"])
    assert " next 20" in first
    assert second.split()[:2] == ["paused", "disabled"]
    write(path, {**weekly(), "parameters": {"preset": "nope"}})
    refused = CliRunner().invoke(schedule, ["check", "--file", str(path)])
    assert refused.exit_code == 2
    assert "preset 'nope' does not exist" in refused.output
