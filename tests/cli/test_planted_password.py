"""A password in every place where an address can come from: it is never printed, logged or written."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

PASSWORD = "pl4nted-S3CRET"
_SOURCES = (
    f"http://alice:{PASSWORD}@127.0.0.1:9/faces.parquet",
    f"s3://key:{PASSWORD}@bucket/faces.parquet",
    f"https://example.org/faces.parquet?X-Amz-Signature={PASSWORD}",
)
_TRACKING = f"http://bob:{PASSWORD}@127.0.0.1:9"
_ENDPOINT = f"http://bob:{PASSWORD}@127.0.0.1:9"
_COMMANDS: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
    *((("ingest", source, "--out", "set"), {}) for source in _SOURCES[:2]),
    *((("pipeline", "run", "--source", source), {}) for source in _SOURCES),
    *(
        (("pipeline", "submit", "--source", source), {"KF_PIPELINES_ENDPOINT": "http://127.0.0.1:9"})
        for source in _SOURCES
    ),
    *((("retrain", source), {"KF_PIPELINES_ENDPOINT": "http://127.0.0.1:9"}) for source in _SOURCES),
    (("pipeline", "run", "--tracking-uri", _TRACKING), {}),
    (("pipeline", "run"), {"MLFLOW_TRACKING_URI": _TRACKING}),
    (("pipeline", "submit"), {"KF_PIPELINES_ENDPOINT": _ENDPOINT}),
    (("registry", "list", "--tracking-uri", _TRACKING), {}),
    (("registry", "list"), {"MLFLOW_TRACKING_URI": f"{_TRACKING}\n"}),
    (("registry", "list"), {"MLFLOW_REGISTRY_URI": _TRACKING}),
    (("registry", "list", "--tracking-uri", f"ftp://bob:{PASSWORD}@127.0.0.1:9"), {}),
    (("generate", "--model", f"{_TRACKING}/generator.onnx", "--out", "made"), {}),
)


@pytest.mark.parametrize(("command", "environment"), _COMMANDS, ids=lambda value: "-".join(value)[:40] if value else "")
def test_no_command_repeats_a_password(
    command: tuple[str, ...],
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from faceforge.cli.main import main

    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_REGISTRY_URI"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.DEBUG):
        result = CliRunner().invoke(main, list(command))
    assert result.exit_code == 2 or result.exit_code == 1, result.output
    assert PASSWORD not in result.output
    assert PASSWORD not in caplog.text
    for file in tmp_path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
            assert PASSWORD.encode() not in content, file
