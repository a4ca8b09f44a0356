from __future__ import annotations

import io

from pipelines.local.console import Console

START = "08:00:00.000 - INFO - Executing task \x1b[96m'train'\x1b[0m\n"
FAILURE = "08:00:09.000 - ERROR - Task \x1b[96m'train'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m\n"


def shown(*lines: str) -> tuple[list[str], Console]:
    found: list[str] = []
    console = Console(("ingest", "train"), io.StringIO(), found.append)
    for line in lines:
        console.feed(line)
    return found, console


def test_a_step_has_a_title_and_a_time() -> None:
    found, console = shown(START, "    loss 0.7\n", FAILURE.replace("FAILURE", "SUCCESS"))
    assert found[0] == "[2/2] train"
    assert found[1].strip() == "loss 0.7"
    assert found[2].strip().startswith("done in")
    assert "train" in console.seconds
    assert not console.failed


def test_a_step_is_at_work_from_its_first_line_to_its_end() -> None:
    assert not shown(START)[1].step_at_work
    assert shown(START, "    loss 0.7\n")[1].step_at_work
    assert not shown(START, "    loss 0.7\n", FAILURE)[1].step_at_work


def test_the_error_line_is_the_reason() -> None:
    found, console = shown(START, "    error: width = 3: must be at least 4\n", FAILURE)
    assert (console.failed, console.reason) == ("train", "width = 3: must be at least 4")
    assert found == ["[2/2] train"]


def test_of_a_chained_traceback_the_last_line_counts() -> None:
    _, console = shown(
        START,
        "    Traceback (most recent call last):\n",
        '      File "a.py", line 1, in f\n',
        "    KeyError: 1\n",
        "    \n",
        "    During handling of the above exception, another exception occurred:\n",
        "    \n",
        "    Traceback (most recent call last):\n",
        '      File "a.py", line 3, in f\n',
        "    RuntimeError: the real one\n",
        FAILURE,
    )
    assert console.reason == "RuntimeError: the real one"


def test_noise_of_libraries_is_not_shown() -> None:
    noise = [
        "    [KFP Executor 2026-11-22 08:00:00,000 INFO]: Got executor_input:\n",
        "    {\n",
        '        "inputs": {\n',
        "        }\n",
        "    }\n",
        "    2026/11/22 08:00:00 INFO mlflow.store.db.utils: Creating initial MLflow database tables...\n",
        "    INFO  [alembic.runtime.migration] Running upgrade\n",
        "    I0000 00:00:1700000000.0 1 cpu_feature_guard.cc:227] This TensorFlow binary is optimised\n",
        "    /x/site-packages/a.py:3: FutureWarning: old\n",
        "      warnings.warn(\n",
        "    \n",
    ]
    found, _ = shown(START, *noise, "    train 64/128 images · 10/s\n")
    assert [line.strip() for line in found] == ["[2/2] train", "train 64/128 images · 10/s"]


def test_outputs_that_the_runner_lists_are_not_step_lines() -> None:
    found, _ = shown(START, FAILURE.replace("FAILURE", "SUCCESS"), "    bundle: Model( name='bundle',\n")
    assert len(found) == 2


def test_the_log_gets_everything() -> None:
    log = io.StringIO()
    console = Console(("train",), log, lambda _: None)
    for line in (START, "    [KFP Executor x INFO]: y\n", "no line end"):
        console.feed(line)
    assert log.getvalue() == START + "    [KFP Executor x INFO]: y\nno line end\n"
