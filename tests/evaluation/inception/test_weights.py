"""Where weights come from, and that only the published ones pass for those of FID."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.evaluation.inception import weights
from faceforge.evaluation.inception.tensors import tensor_shapes
from faceforge.evaluation.inception.weights import InceptionUnavailableError, find_weights, read_weights

REFERENCE = Path(__file__).parents[1] / "reference"
Save = Callable[..., Path]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small file that passes for the published one."""
    file = tmp_path / "shelf" / "weights.pth"
    file.parent.mkdir()
    file.write_bytes(b"not really weights")
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
    return file


@pytest.fixture
def server(published: Path) -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(published.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def test_the_tensors_are_those_of_the_published_checkpoint() -> None:
    listed = json.loads((REFERENCE / "inception_tensors.json").read_text())
    needed = tensor_shapes()
    assert {name: list(shape) for name, shape in needed.items()} == {
        name: shape for name, shape in listed.items() if name != "fc.bias"
    }


def test_without_a_file_the_message_names_file_hash_and_remedy() -> None:
    with pytest.raises(InceptionUnavailableError) as caught:
        find_weights()
    for part in (weights.FILE, weights.SHA256, "download", weights.URL):
        assert part in str(caught.value)
    with pytest.raises(InceptionUnavailableError, match=r"absent.pth do not exist"):
        find_weights("absent.pth")


def test_other_weights_can_be_named_but_are_told_from_the_published_ones(tmp_path: Path) -> None:
    file = tmp_path / "mine.pth"
    file.write_bytes(b"x")
    found = find_weights(str(file))
    assert not found.published
    assert "not FID" in found.note
    assert "mine.pth" in found.note


def test_the_published_file_is_found_where_pytorch_fid_left_it(home: Path, published: Path) -> None:
    left = home / "torch" / "hub" / "checkpoints" / weights.FILE
    left.parent.mkdir(parents=True)
    left.write_bytes(b"something else of that name")
    with pytest.raises(InceptionUnavailableError):
        find_weights()
    left.write_bytes(published.read_bytes())
    found = find_weights()
    assert found == (left, weights.SHA256)
    assert found.published
    assert not found.note


def test_fetches_once_checks_and_keeps(home: Path, published: Path, server: str) -> None:
    found = find_weights(f"{server}/weights.pth")
    assert found.path == home / "faceforge" / weights.FILE
    assert found.path.read_bytes() == published.read_bytes()
    published.unlink()
    assert find_weights(f"{server}/weights.pth") == found
    assert find_weights() == found


def test_a_fetched_file_of_another_hash_is_refused_and_not_kept(home: Path, server: str, published: Path) -> None:
    (published.parent / "other.pth").write_bytes(b"other")
    with pytest.raises(FaceForgeError, match="is not the published file"):
        find_weights(f"{server}/other.pth")
    with pytest.raises(InceptionUnavailableError, match="cannot be fetched"):
        find_weights(f"{server}/absent.pth")
    assert list((home / "faceforge").iterdir()) == []


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, save_zip: Save) -> None:
    name = "Conv2d_1a_3x3.conv.weight"
    with pytest.raises(FaceForgeError, match=f"lacks .*{name}|lacks fc.weight"):
        read_weights(find_weights(str(save_zip(tmp_path / "x.pth", {"w": np.zeros(3, np.float32)}))))
    with pytest.raises(FaceForgeError, match=r"has the shape \(3,\) for fc.weight"):
        read_weights(find_weights(str(save_zip(tmp_path / "y.pth", {"fc.weight": np.zeros(3, np.float32)}))))
