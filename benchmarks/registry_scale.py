"""How long tracking and registry commands take with many versions and runs.

    python benchmarks/registry_scale.py                                  # 1,000 versions, 10,000 pipeline runs, SQLite
    python benchmarks/registry_scale.py --versions 100 --runs 1000
    python benchmarks/registry_scale.py --server                         # through an MLflow server on this machine

Logs one pipeline run with a model version as the pipeline does, then copies its rows in the database. Prints the
seconds of each operation, the median of three: `list` as `faceforge registry list`, `compare` of two versions,
`lineage` of one, `doctor`, `runs` as the web app lists them, and `start`, the opening of a new step's run.
"""

from __future__ import annotations

import argparse
import json
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

NAME, EXPERIMENT, ROUNDS = "faces", "faceforge", 3


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--server", action="store_true", help="ask an MLflow server instead of the database")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "mlflow.db"
        log_one(f"sqlite:///{database}")
        multiply(database, options.versions, options.runs)
        with server(database) if options.server else plain(database) as uri:
            seconds = measure(uri, options.versions)
    print(
        json.dumps({"versions": options.versions, "runs": options.runs, "server": options.server, "seconds": seconds})
    )


def log_one(uri: str) -> None:
    """A pipeline run with two steps and a version, as the pipeline logs them."""
    from mlflow import MlflowClient

    from faceforge.tracking.runs import connect, finish_parent, step_run
    from faceforge.tracking.tags import DECISION_TAG, PARENT_RUN_TAG

    connect(uri)
    metrics = {f"domain/metric{number}": float(number) for number in range(30)}
    for step in ("train", "evaluate"):
        with step_run(step, run_key="one", experiment=EXPERIMENT) as run:
            run.log_metrics(metrics)
            run.headline(metrics=metrics, params={f"setting{number}": number for number in range(40)})
    finish_parent("one", "FINISHED")
    client = MlflowClient()
    client.create_registered_model(NAME)
    tags = {PARENT_RUN_TAG: run.parent_id, DECISION_TAG: "promote"}
    client.create_model_version(NAME, f"{uri}/model", run.parent_id, tags=tags)
    client.set_registered_model_alias(NAME, "champion", "1")


def multiply(database: Path, versions: int, runs: int) -> None:
    """Copies the pipeline run, its steps and its version within the database until there are so many."""
    from faceforge.tracking.tags import MLFLOW_PARENT_TAG, PARENT_RUN_TAG, RUN_KEY_TAG

    def copy(table: str, id_column: str, source: str, **changed: str) -> None:
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        values = ", ".join(changed.get(column, f't."{column}"') for column in columns)
        db.execute(f"INSERT INTO {table} SELECT {values} FROM {table} t JOIN {source} c ON t.{id_column} = c.old")

    def renamed(column: str) -> str:  # the id of the copy of a run
        return f"printf('%08x', c.number) || substr(t.{column}, 9)"

    with sqlite3.connect(database) as db:
        ids = [name for (name,) in db.execute("SELECT run_uuid FROM runs")]
        db.execute("CREATE TEMP TABLE run_copies (old TEXT, number INTEGER)")
        db.executemany("INSERT INTO run_copies VALUES (?, ?)", [(name, n) for n in range(1, runs) for name in ids])
        db.execute("CREATE TEMP TABLE version_copies (old INTEGER, number INTEGER)")
        db.executemany("INSERT INTO version_copies VALUES (1, ?)", [(number,) for number in range(1, versions)])
        value = (
            f"CASE t.key WHEN '{MLFLOW_PARENT_TAG}' THEN {renamed('value')} WHEN '{RUN_KEY_TAG}' THEN 'key' || c.number"
        )
        copy("runs", "run_uuid", "run_copies", run_uuid=renamed("run_uuid"), start_time="t.start_time + c.number")
        copy("tags", "run_uuid", "run_copies", run_uuid=renamed("run_uuid"), value=f"{value} ELSE t.value END")
        for table in ("params", "latest_metrics", "metrics"):
            copy(table, "run_uuid", "run_copies", run_uuid=renamed("run_uuid"))
        value = f"CASE t.key WHEN '{PARENT_RUN_TAG}' THEN {renamed('value')} ELSE t.value END"
        copy("model_versions", "version", "version_copies", version="c.number + 1", run_id=renamed("run_id"))
        copy("model_version_tags", "version", "version_copies", version="c.number + 1", value=value)


@contextmanager
def plain(database: Path) -> Iterator[str]:
    """The database itself."""
    yield f"sqlite:///{database}"


@contextmanager
def server(database: Path) -> Iterator[str]:
    """An MLflow server of the database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{database}"]
    process = subprocess.Popen([*command, "--port", str(port), "--workers", "1"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def measure(uri: str, versions: int) -> dict[str, float]:
    """Median seconds of each operation."""
    from faceforge.doctor import mlflow as doctor
    from faceforge.tracking.browse import list_runs
    from faceforge.tracking.comparison import compare, key_metrics
    from faceforge.tracking.lineage import lineage_of
    from faceforge.tracking.runs import connect, step_run
    from faceforge.tracking.versions import list_versions

    connect(uri)
    number = 0

    def start() -> None:
        nonlocal number
        number += 1
        with step_run("train", run_key=f"new{number}", experiment=EXPERIMENT):
            pass

    operations: dict[str, Callable[[], object]] = {
        "list": lambda: key_metrics(list_versions(NAME)[:50]),
        "compare": lambda: compare(NAME, "champion", str(versions)),
        "lineage": lambda: lineage_of(f"models:/{NAME}@champion"),
        "doctor": lambda: list(doctor.checks(uri, NAME, EXPERIMENT)),
        "runs": lambda: list_runs(EXPERIMENT),
        "start": start,
    }
    return {
        name: round(statistics.median(taken(operation) for _ in range(ROUNDS)), 3)
        for name, operation in operations.items()
    }


def taken(operation: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    operation()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
