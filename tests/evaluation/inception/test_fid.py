"""`compare_sets` and the command: inputs, refusals, provenance; a small network stands for the large one."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from faceforge.cli.main import main
from faceforge.data.imageset.writer import write_image_set
from faceforge.errors import FaceForgeError
from faceforge.evaluation.inception import fid
from faceforge.evaluation.inception.fid import KID_ONLY, collect_set_statistics, compare_sets
from faceforge.evaluation.inception.image_inputs import open_images
from faceforge.evaluation.inception.metrics import MEASURES
from faceforge.evaluation.inception.weights import SHA256, InceptionUnavailableError, WeightsFile
from faceforge.evaluation.metrics.frechet import frechet_from_features

Pixels = NDArray[np.uint8]
SOME = {"min_samples": 30}


class SmallNetwork:
    """Features are means of colours and their products; counts what it computes."""

    images = 0

    def __init__(self, file: WeightsFile, precision: str) -> None:
        self.file, self.precision = file, "float32" if precision == "auto" else precision
        self.identity = f"{file.sha256}:{self.precision}"

    def blocks(self, images: Iterable[Pixels]) -> Iterator[NDArray[np.float32]]:
        for image in images:
            type(self).images += 1
            yield features(image)[None]

    def logits(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return rows


def features(image: Pixels) -> NDArray[np.float32]:
    mean, spread = image.mean(axis=(0, 1)) / 64, image.std(axis=(0, 1)) / 64
    return np.concatenate([mean, spread]).astype(np.float32)


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[SmallNetwork]:
    monkeypatch.setattr(fid, "Inception", SmallNetwork)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    SmallNetwork.images = 0
    return SmallNetwork


@pytest.fixture
def weights(tmp_path: Path) -> str:
    (tmp_path / "standin.pth").write_bytes(b"weights")
    return str(tmp_path / "standin.pth")


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = WeightsFile(tmp_path / "published.pth", SHA256)
    monkeypatch.setattr(fid, "find_weights", lambda where, cache: found)


def draw(count: int, seed: int, size: int = 8) -> Pixels:
    rng = np.random.default_rng(seed)
    colours = rng.integers(40, 200 - 40 * seed, (count, 1, 1, 3))
    return np.clip(colours + rng.normal(0, 20, (count, size, size, 3)), 0, 255).astype(np.uint8)


def folder(path: Path, images: Pixels) -> str:
    path.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(path / f"{number:03}.png")
    return str(path)


def test_two_folders_agree_with_the_formula_on_the_same_features(tmp_path: Path, published: None) -> None:
    real, fake = draw(40, 0), draw(50, 1)
    found = compare_sets(folder(tmp_path / "a", real), folder(tmp_path / "b", fake), **SOME)  # type: ignore[arg-type]
    expected = frechet_from_features(np.stack([features(x) for x in real]), np.stack([features(x) for x in fake]))
    assert found.metrics == {"inception/fid": pytest.approx(expected)}
    assert (found.real.images, found.fake.images) == (40, 50)
    assert found.weights == SHA256
    assert found.notes == []


def test_other_weights_are_in_the_names_and_the_notes(tmp_path: Path, weights: str) -> None:
    a, b = folder(tmp_path / "a", draw(40, 0)), folder(tmp_path / "b", draw(40, 1))
    found = compare_sets(a, b, weights=weights, min_samples=30)
    assert list(found.metrics) == ["inception_unverified/fid"]
    assert "standin.pth" in found.notes[0]
    assert "not FID" in found.notes[0]


def test_too_few_images_are_refused_before_any_work_with_the_minimum(
    tmp_path: Path, published: None, network: type[SmallNetwork]
) -> None:
    a, b = folder(tmp_path / "a", draw(40, 0)), folder(tmp_path / "b", draw(120, 1))
    with pytest.raises(FaceForgeError, match=r"a has only 40 images \(needed: FID 2,048\)"):
        compare_sets(a, b)
    with pytest.raises(FaceForgeError, match=r"only 40 images \(needed: KID 100\)"):
        compare_sets(a, b, measures=KID_ONLY)
    assert network.images == 0
    found = compare_sets(b, b, measures=MEASURES)
    assert "inception/kid" in found.metrics
    assert "inception/fid" not in found.metrics
    assert any("FID skipped: it needs 2,048 images" in note for note in found.notes)


def test_unreadable_images_are_skipped_counted_and_told(tmp_path: Path, published: None) -> None:
    a, b = folder(tmp_path / "a", draw(40, 0)), folder(tmp_path / "b", draw(40, 1))
    (tmp_path / "a" / "broken.png").write_bytes(b"not an image")
    found = compare_sets(a, b, min_samples=40)
    assert (found.real.images, found.real.skipped) == (40, 1)
    assert "broken.png" in found.notes[0]
    with pytest.raises(FaceForgeError, match="a has only 40 images"):
        compare_sets(a, a, min_samples=41)


def test_statistics_stand_for_the_images_they_were_made_of(
    tmp_path: Path, published: None, network: type[SmallNetwork]
) -> None:
    a, b = folder(tmp_path / "a", draw(40, 0)), folder(tmp_path / "b", draw(40, 1))
    collect_set_statistics(a).save(tmp_path / "a.npz")
    direct, kept = compare_sets(a, b, min_samples=30), compare_sets(str(tmp_path / "a.npz"), b, min_samples=30)
    assert kept.metrics == direct.metrics
    network.images = 0
    assert compare_sets(str(tmp_path / "a.npz"), str(tmp_path / "a.npz"), min_samples=30).metrics == {
        "inception/fid": pytest.approx(0, abs=1e-9)
    }
    assert network.images == 0


def test_statistics_of_pytorch_fid_are_taken_but_not_trusted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(90, 5)), rng.normal(0.4, 1, size=(80, 5))]
    for name, row in zip("ab", rows, strict=True):
        np.savez(tmp_path / f"{name}.npz", mu=row.mean(axis=0), sigma=np.cov(row, rowvar=False))
    found = compare_sets(str(tmp_path / "a.npz"), str(tmp_path / "b.npz"), measures=MEASURES)
    assert found.metrics == {"inception_unverified/fid": pytest.approx(frechet_from_features(*rows))}
    assert found.real.images == 0
    assert any("does not name its network" in note for note in found.notes)
    assert any("KID skipped" in note and "no rows" in note for note in found.notes)


def test_statistics_that_cannot_be_compared_are_refused(tmp_path: Path, weights: str, published: None) -> None:
    a = folder(tmp_path / "a", draw(40, 0))
    for name, size in (("x", 4), ("y", 5)):
        np.savez(tmp_path / f"{name}.npz", mu=np.zeros(size), sigma=np.eye(size))
    with pytest.raises(FaceForgeError, match=r"x.npz has 4 features an image, .*y.npz 5"):
        compare_sets(str(tmp_path / "x.npz"), str(tmp_path / "y.npz"))
    saved = collect_set_statistics(a)
    saved._replace(identity="0123:float32").save(tmp_path / "other.npz")
    with pytest.raises(FaceForgeError, match="other weights"):
        compare_sets(str(tmp_path / "other.npz"), a, min_samples=30)
    saved.save(tmp_path / "a.npz")
    with pytest.raises(FaceForgeError, match="different weights"):
        compare_sets(str(tmp_path / "other.npz"), str(tmp_path / "a.npz"), min_samples=30)


def test_image_sets_name_their_split_and_are_measured_once(
    tmp_path: Path, published: None, network: type[SmallNetwork]
) -> None:
    codes = np.zeros((40, 0), np.int32)
    splits: Any = {"train": (draw(40, 0, 32), codes), "holdout": (draw(35, 1, 32), codes[:35])}
    data = str(write_image_set(tmp_path / "data", splits, {}).root)
    first = compare_sets(data, f"{data}:holdout", min_samples=30)
    assert (first.real.images, first.fake.images) == (40, 35)
    assert first.metrics["inception/fid"] > 0.1
    assert network.images == 75
    assert compare_sets(data, f"{data}:holdout", min_samples=30) == first
    assert network.images == 75
    with pytest.raises(FaceForgeError, match="has no split"):
        open_images(f"{tmp_path}:holdout")


def test_what_is_missing_is_told_in_one_line(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", draw(4, 0))
    with pytest.raises(InceptionUnavailableError, match="download"):
        compare_sets(a, a, min_samples=2)
    with pytest.raises(FaceForgeError, match="does not exist"):
        compare_sets(a, str(tmp_path / "absent"), min_samples=2)
    with pytest.raises(FaceForgeError, match="holds no statistics"):
        compare_sets(a, str(tmp_path / "absent.npz"), min_samples=2)


def test_the_command_speaks_text_and_json(tmp_path: Path, weights: str) -> None:
    a, b = folder(tmp_path / "a", draw(120, 0)), folder(tmp_path / "b", draw(110, 1))
    run = CliRunner().invoke(main, ["fid", a, b, "--weights", weights, "--min-samples", "100", "--all"])
    assert run.exit_code == 0, run.output
    for part in ("FID (unverified)", "KID (unverified)", "±", "coverage", "120 images", "110 images", "note"):
        assert part in run.stdout
    run = CliRunner().invoke(main, ["fid", a, b, "--weights", weights, "--kid", "--json"])
    assert json.loads(run.stdout)["real"] == {"name": a, "images": 120, "skipped": 0}
    assert set(json.loads(run.stdout)["metrics"]) == {"inception_unverified/kid", "inception_unverified/kid_std"}


def test_the_command_keeps_statistics(tmp_path: Path, weights: str) -> None:
    a, kept = folder(tmp_path / "a", draw(40, 0)), tmp_path / "a.npz"
    run = CliRunner().invoke(main, ["fid", a, "--weights", weights, "--save", str(kept)])
    assert run.exit_code == 0, run.output
    with np.load(kept) as arrays:
        assert arrays["mu"].shape == (6,)
    for arguments in ([a], [a, "--save", str(tmp_path / "a.txt")]):
        assert CliRunner().invoke(main, ["fid", *arguments]).exit_code == 2
