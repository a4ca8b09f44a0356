from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from faceforge.data.ingest.build import build_image_set
from faceforge.data.sources import is_path
from faceforge.data.sources.remote import refuse_credentials
from faceforge.errors import FaceForgeError
from tests.data.sources.conftest import listing, opened, parquet, picture, refuse, settings


class _Ranges(SimpleHTTPRequestHandler):
    """Files with ranges, as object stores and file hosts serve them."""

    def do_GET(self) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        file = Path(self.translate_path(self.path))
        if not wanted or not file.is_file():
            return super().do_GET()
        data = file.read_bytes()
        start, stop = int(wanted[1]), min(int(wanted[2] or len(data) - 1) + 1, len(data))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        self.wfile.write(data[start:stop])
        return None

    def end_headers(self) -> None:
        self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "www").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Ranges, directory=str(tmp_path / "www"))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_parquet_behind_http(server: str, tmp_path: Path) -> None:
    file = parquet(tmp_path / "www" / "faces.parquet", rows=40, label=[n % 2 for n in range(40)])
    source = opened(f"{server}/faces.parquet?token=secret")
    assert source.name == "faces"
    assert source.count == 40
    assert "secret" not in "".join(source.stamps())
    remote, local = listing(f"{server}/faces.parquet"), listing(file)
    assert [sample.labels for sample in remote] == [sample.labels for sample in local]
    assert remote[7].read() == picture(7)
    options = settings(holdout=0.3, min_edge=1)
    one = build_image_set(f"{server}/faces.parquet", tmp_path / "a", options).info
    two = build_image_set(str(file), tmp_path / "b", options).info
    assert one.digest == two.digest


def test_a_change_behind_http_is_seen_without_tags(server: str, tmp_path: Path) -> None:
    file = parquet(tmp_path / "www" / "faces.parquet")
    before = opened(f"{server}/faces.parquet").stamps()
    assert opened(f"{server}/faces.parquet").stamps() == before
    os.utime(file, (1e9, 1e9))
    assert opened(f"{server}/faces.parquet").stamps() != before


def test_what_is_not_behind_http_is_told(server: str, tmp_path: Path) -> None:
    refuse("gone.parquet does not exist", f"{server}/gone.parquet")
    (tmp_path / "www" / "text.parquet").write_text("text")
    refuse("text.parquet is not a readable Parquet file", f"{server}/text.parquet")
    refuse("out of reach", "http://127.0.0.1:9/faces.parquet")
    refuse("reference:// is no protocol that names files", "reference://faces.parquet")


def test_folders_and_patterns_in_a_store(tmp_path: Path) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    for name in ("train-0", "test-0"):
        data = parquet(tmp_path / f"{name}.parquet", label=[0, 1, 0, 1]).read_bytes()
        store.pipe(f"/bucket/faces/{name}.parquet", data)
    store.pipe("/bucket/faces/readme.md", b"text")
    try:
        source = opened("memory://bucket/faces")
        assert (source.name, source.count) == ("faces", 8)
        assert [sample.split for sample in source.samples()] == ["holdout"] * 4 + ["train"] * 4
        assert len(listing("memory://bucket/faces/*-0.parquet")) == 8
        assert len(listing("memory://bucket/faces/train-0.parquet")) == 4
        before = source.fingerprint()
        store.pipe("/bucket/faces/test-0.parquet", data)
        assert opened("memory://bucket/faces").fingerprint() != before
        refuse("holds no Parquet files", "memory://bucket/other")
    finally:
        store.rm("/bucket", recursive=True)


def test_unknown_kinds_of_addresses_are_told() -> None:
    refuse("cannot be read .ValueError.*check the address", "nowhere://bucket/faces.parquet")


@pytest.mark.parametrize(
    "spec, path",
    [
        ("s3://b/f", False),
        ("https://h/f.parquet", False),
        ("tfds:mnist", False),
        ("digits", False),
        ("C", True),
        ("./a", True),
    ],
)
def test_paths_are_told_from_addresses(spec: str, path: bool) -> None:
    assert is_path(spec) is path


PASSWORD = "tok3n-S3CRET"


@pytest.mark.parametrize(
    "url",
    [
        f"http://alice:{PASSWORD}@127.0.0.1:9/faces.parquet",
        f"s3://key:{PASSWORD}@bucket/faces-*.parquet",
        f"https://{PASSWORD}@example.org/faces.parquet",
        f"s3://key:ab/{PASSWORD}@bucket/faces.parquet",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(FaceForgeError, match="user name or password") as caught:
        opened(url)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("key", ["X-Amz-Signature", "sig", "access_token", "X-Goog-Credential", "apikey", "token"])
def test_signed_addresses_are_not_stored_with_runs(key: str) -> None:
    url = f"https://example.org/faces.parquet?a=b&{key}={PASSWORD}"
    refuse_credentials(url)
    with pytest.raises(FaceForgeError, match="key or signature") as caught:
        refuse_credentials(url, stored=True)
    assert PASSWORD not in str(caught.value)
    refuse_credentials("https://example.org/faces.parquet?monkey=1&version=2", stored=True)
    for plain in ("work/a@b/faces", "s3://bucket/a@b.parquet", "http://host:80/a@b.parquet"):
        refuse_credentials(plain, stored=True)


def test_errors_do_not_repeat_the_query_of_an_address(server: str) -> None:
    for name in ("none.parquet", "none/"):
        with pytest.raises(FaceForgeError) as caught:
            opened(f"{server}/{name}?token={PASSWORD}")
        assert PASSWORD not in str(caught.value)


def test_credentials_come_from_the_environment(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.config import conf, set_conf_env

    seen: list[str | None] = []
    original = _Ranges.do_GET

    def recorded(self: _Ranges) -> None:
        seen.append(self.headers.get("Authorization"))
        original(self)

    monkeypatch.setattr(_Ranges, "do_GET", recorded)
    monkeypatch.setenv("FSSPEC_HTTP", json.dumps({"headers": {"Authorization": f"Basic {PASSWORD}"}}))
    settings_ = dict(conf)
    set_conf_env(conf)
    try:
        parquet(tmp_path / "www" / "faces.parquet", rows=40, label=[n % 2 for n in range(40)])
        source = opened(f"{server}/faces.parquet")
        assert source.count == 40
    finally:
        conf.clear()
        conf.update(settings_)
    assert set(seen) == {f"Basic {PASSWORD}"}
    assert PASSWORD not in json.dumps(source.stamps())
