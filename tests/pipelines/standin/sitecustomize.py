"""SIMULATED steps: with this folder on PYTHONPATH, `faceforge.steps.steps` is this stand-in, in every process.

The pipeline, its components, kfp and the local runner stay the real ones. FACEFORGE_STANDIN names a folder: every
call is noted in its `calls.txt`; a file `fail-STEP` makes that step fail with the file's text (`crash-STEP`: with a
traceback), a file `block-STEP` makes it count until it is interrupted, keeping count in `checkpoints`.
"""

import contextlib
import json
import os
import sys
import time
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Tracking:
    """As in the real steps."""

    uri: str
    experiment: str
    run_key: str
    tags: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """As in the real steps: a mendable problem is one line."""
    try:
        yield
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _work(step: str, *arguments: object) -> None:
    folder = Path(os.environ["FACEFORGE_STANDIN"])
    with (folder / "calls.txt").open("a") as calls:
        calls.write(json.dumps([step, *map(str, arguments)]) + "\n")
    print(f"{step} 10/10 images · 5/s")
    print("2026/11/22 08:00:00 INFO mlflow.tracking: chatter of a library")
    if (folder / f"fail-{step}").is_file():
        raise ValueError((folder / f"fail-{step}").read_text())
    if (folder / f"crash-{step}").is_file():
        raise RuntimeError((folder / f"crash-{step}").read_text())


def _write(out: Path, **files: str) -> None:
    out.mkdir(parents=True)
    for name, text in files.items():
        (out / name.replace("_", ".")).write_text(text)


def _train(
    data: Path, preset: str, settings: str, out: Path, checkpoints: str, tracking: Tracking, model_name: str
) -> None:
    _work("train", data, preset, settings, checkpoints, tracking.run_key)
    kept = Path(checkpoints) / "count.txt"
    kept.parent.mkdir(parents=True, exist_ok=True)
    count = int(kept.read_text()) if kept.is_file() else 0
    print(f"train goes on from {count}")
    blocker = Path(os.environ["FACEFORGE_STANDIN"]) / "block-train"
    try:
        while blocker.is_file():
            count += 1
            (blocker.parent / f"training-{os.getpid()}").touch()
            time.sleep(0.05)
    except KeyboardInterrupt:
        if blocker.read_text() == "stubborn":
            time.sleep(600)
        for line in range(200):  # saving says a lot: nobody reading it would be fatal
            print(f"saving {line}", flush=True)
        kept.write_text(str(count))
        raise SystemExit(130) from None
    _write(out, bundle_json=str(count))


def _evaluate(
    bundle: Path, data: Path, preset: str, settings: str, out: Path, model_name: str, tracking: Tracking, page: Path
) -> str:
    _work("evaluate", bundle, data, model_name)
    _write(out, samples_png="picture", summary_txt="domain/frechet 1.0", report_json="{}", report_html="<html>")
    page.write_text("<html>")
    return "promote"


def _step(step: str, position: int, result: str = "") -> types.FunctionType:
    def work(*arguments: object) -> str:
        _work(step, *arguments)
        if position:
            _write(Path(str(arguments[position])), done_txt=step)
        return result

    return work  # type: ignore[return-value]


if "FACEFORGE_STANDIN" in os.environ:
    stand_in = types.ModuleType("faceforge.steps.steps")
    stand_in.__dict__.update(
        Tracking=Tracking,
        guarded=guarded,
        ingest=_step("ingest", 4),
        augment=_step("augment", 3),
        train=_train,
        evaluate=_evaluate,
        export=_step("export", 1),
        register=_step("register", 0, "7"),
        close=lambda tracking: print(f"closed {tracking.run_key}"),
    )
    sys.modules["faceforge.steps.steps"] = stand_in
