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
_DATABASE = f"postgresql+psycopg2://bob:{PASSWORD}@127.0.0.1:9/studies"
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
    (("serve", "--port", "0", "--tracking-uri", _TRACKING), {}),
    (("serve", "--port", "0", "--model", f"{_TRACKING}/bundle"), {}),
    (("serve", "--port", "0", "--allow-origin", f"https://bob:{PASSWORD}@example.org"), {}),
    (("serve", "--port", "0", "--model", "none"), {"FACEFORGE_API_KEY": f"{PASSWORD}\n"}),
    (("lineage", "models:/faces@champion", "--tracking-uri", _TRACKING), {}),
    (("evaluate", "--data", _SOURCES[0], "--model", _SOURCES[1], "--out", "report"), {}),
    (("train", "--data", _SOURCES[0], "--out", "model"), {}),
    (("pipeline", "run", "--set", f"train.init_from={_TRACKING}/bundle"), {}),
    (("pipeline", "run", "--set", f"evaluate.inception_weights={_TRACKING}/weights.pth"), {}),
    (("pipeline", "submit", "--set", f"evaluate.inception_weights={_TRACKING}/weights.pth"), {}),
    (("fid", "a", "b", "--weights", f"{_TRACKING}/weights.pth"), {}),
    (("fid", _SOURCES[0], _SOURCES[1], "--weights", "none"), {}),
    (
        ("ingest", "http://127.0.0.1:9/faces.parquet", "--out", "set"),
        {"HTTP_PROXY": _TRACKING, "http_proxy": _TRACKING},
    ),
    (("registry", "list", "--tracking-uri", "http://mlflow:5000"), {"http_proxy": _TRACKING}),
    (("registry", "list", "--tracking-uri", "http://127.0.0.1:9"), {"MLFLOW_TRACKING_TOKEN": f"{PASSWORD}\nX: y"}),
    (
        ("registry", "list", "--tracking-uri", "http://127.0.0.1:9"),
        {"MLFLOW_TRACKING_USERNAME": "bob", "MLFLOW_TRACKING_PASSWORD": f"{PASSWORD}\r\n"},
    ),
    (("pipeline", "submit"), {"KF_PIPELINES_ENDPOINT": "http://127.0.0.1:9", "KF_PIPELINES_TOKEN": f"{PASSWORD}\n"}),
    (("pipeline", "submit", "--endpoint", _ENDPOINT), {}),
    (("tune", "--data", "none", "--budget", "1min", "--storage", _DATABASE, "--out", "found"), {}),
    (("tune", "--data", "none", "--budget", "1min", "--out", "found"), {"OPTUNA_STORAGE": _DATABASE}),
    (("registry", "list", "--tracking-uri", _DATABASE), {}),
    (("schedule", "plan", "--file", "schedules.yaml"), {"KF_PIPELINES_ENDPOINT": "http://127.0.0.1:9"}),
    (("schedule", "apply", "--file", "schedules.yaml"), {"KF_PIPELINES_ENDPOINT": "http://127.0.0.1:9"}),
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
    (tmp_path / "schedules.yaml").write_text(f"schedules:\n  - name: nightly\n    source: {_SOURCES[0]}\n")
    with caplog.at_level(logging.DEBUG):
        result = CliRunner().invoke(main, list(command))
    assert result.exit_code == 2 or result.exit_code == 1, result.output
    assert PASSWORD not in result.output
    assert PASSWORD not in caplog.text
    for file in tmp_path.rglob("*"):
        if file.is_file() and file.name != "schedules.yaml":
            content = file.read_bytes()
            content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
            assert PASSWORD.encode() not in content, file
