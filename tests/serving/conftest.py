"""Servers as they run in earnest: processes, started by the command line, spoken to over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

SIZE, LATENTS = 16, 8
LABELS = {"sex": ["female", "male"], "age": ["child", "adult", "old"]}


class Server:
    """A server process; `url` once it listens, `wait()` for its model."""

    def __init__(self, *options: str | Path, log: Path, **environment: str) -> None:
        pytest.importorskip("fastapi", reason="the serve extra is not installed")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "FACEFORGE"))}
        self._log = log
        with log.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "faceforge.cli.main", "serve", *("--port", "0"), *map(str, options)],
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                env={**clean, "PYTHONUNBUFFERED": "1", **environment},
            )
        assert self.process.stdout is not None
        found = re.search(r"http://\S+:\d+", self.process.stdout.readline())
        self.url = found[0] if found else ""

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait(self, seconds: float = 300) -> Server:
        """Until a model is loaded."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=60).status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the server is not ready: {self.log}")

    def end(self, how: int = signal.SIGTERM) -> int:
        """Ends the process; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(timeout=60)
        finally:
            self.process.kill()
            assert self.process.stdout is not None
            self.process.stdout.close()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts servers that end with the module."""
    started: list[Server] = []

    def start(*options: str | Path, **environment: str) -> Server:
        started.append(Server(*options, log=tmp_path_factory.mktemp("server") / "log", **environment))
        return started[-1]

    yield start
    for server in started:
        server.end()


@pytest.fixture(scope="session")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator of one layer, two label columns, and RGB images; made without TensorFlow."""
    onnx = pytest.importorskip("onnx", reason="the onnx extra is not installed")
    from onnx import TensorProto, helper, numpy_helper

    draw = np.random.default_rng(0)
    shape = (SIZE, SIZE, 3)
    weights: dict[str, np.ndarray] = {
        "kernel": draw.normal(0, 0.3, (LATENTS, np.prod(shape))).astype(np.float32),
        "sexes": draw.normal(0, 0.5, (2, np.prod(shape))).astype(np.float32),
        "ages": draw.normal(0, 0.5, (3, np.prod(shape))).astype(np.float32),
        "shape": np.array([0, *shape], np.int64),
        "first": np.array(0),
        "second": np.array(1),
    }
    nodes = [
        helper.make_node("MatMul", ["latents", "kernel"], ["face"]),
        helper.make_node("Gather", ["labels", "first"], ["sex"], axis=1),
        helper.make_node("Gather", ["labels", "second"], ["age"], axis=1),
        helper.make_node("Gather", ["sexes", "sex"], ["sex look"]),
        helper.make_node("Gather", ["ages", "age"], ["age look"]),
        helper.make_node("Sum", ["face", "sex look", "age look"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["bounded"]),
        helper.make_node("Reshape", ["bounded", "shape"], ["images"]),
    ]
    graph = helper.make_graph(
        nodes,
        "generator",
        [
            helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["batch", LATENTS]),
            helper.make_tensor_value_info("labels", TensorProto.INT32, ["batch", 2]),
        ],
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *shape])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    facts = {
        "format_version": 1, "latent_size": LATENTS, "image_size": SIZE, "channels": 3, "labels": LABELS,
        "dataset_digest": "d",
    }  # fmt: skip
    helper.set_model_props(model, {"faceforge": json.dumps(facts)})
    path = tmp_path_factory.mktemp("onnx") / "generator.onnx"
    onnx.save_model(model, path)
    return path
