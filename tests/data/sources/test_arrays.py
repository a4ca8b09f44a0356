"""Images as arrays: NumPy files, MNIST's idx files, CSV files of pixels."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.data.sources.conftest import listing, opened, refuse

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 9, 8, 3), np.uint8)
GREY = IMAGES[..., 0]
LABELS = np.array([0, 1, 2, 0, 1, 2])


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def test_an_npz_of_splits_as_keras_writes_mnist(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", x_train=GREY, y_train=LABELS, x_test=GREY[:3], y_test=LABELS[:3])
    samples = listing(tmp_path / "mnist.npz")
    assert [(sample.split, sample.labels["label"]) for sample in samples] == [
        *(("train", str(label)) for label in LABELS),
        *(("holdout", str(label)) for label in LABELS[:3]),
    ]
    pixels = samples[1].read()
    assert isinstance(pixels, np.ndarray)
    assert pixels.shape == (9, 8, 3)
    assert (pixels == GREY[1][..., None]).all()


@pytest.mark.parametrize(
    "array", [IMAGES, IMAGES.transpose(0, 3, 1, 2), np.concatenate([IMAGES, np.full((6, 9, 8, 1), 255, np.uint8)], -1)]
)
def test_arrays_of_colours_in_any_order(tmp_path: Path, array: np.ndarray) -> None:
    np.savez_compressed(tmp_path / "a.npz", arr_0=array, arr_1=np.eye(3, dtype=int)[LABELS])
    samples = listing(tmp_path / "a.npz")
    assert [sample.labels["label"] for sample in samples] == [str(label) for label in LABELS]
    assert (np.asarray(samples[4].read()) == IMAGES[4]).all()


def test_npy_has_no_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "faces.npy", GREY)
    source = opened(tmp_path / "faces.npy", limit=2)
    assert (source.name, source.labels, source.count) == ("faces", (), 2)


@pytest.mark.parametrize("packed", [True, False])
def test_mnist_in_its_own_format(tmp_path: Path, packed: bool) -> None:
    content = {"train-images-idx3-ubyte": GREY, "train-labels-idx1-ubyte": LABELS.astype(np.uint8)}
    content |= {"t10k-images-idx3-ubyte": GREY[:3], "t10k-labels-idx1-ubyte": LABELS[:3].astype(np.uint8)}
    for name, array in content.items():
        data = idx(array)
        (tmp_path / f"{name}{'.gz' if packed else ''}").write_bytes(gzip.compress(data) if packed else data)
    samples = listing(tmp_path)
    assert [(sample.split, sample.labels["label"]) for sample in samples] == [
        *(("holdout", str(label)) for label in LABELS[:3]),
        *(("train", str(label)) for label in LABELS),
    ]
    one = opened(next(tmp_path.glob("train-images*")))
    assert (one.count, {sample.split for sample in one.samples()}) == (6, {None})
    refuse("holds labels of MNIST's format", next(tmp_path.glob("train-labels*")))


def test_splits_in_any_part_of_the_names_of_idx_files_in_folders(tmp_path: Path) -> None:
    folder = tmp_path / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    for split, count in (("train", 6), ("test", 3)):
        for kind, array in (("images.idx3", GREY), ("labels.idx1", LABELS.astype(np.uint8))):
            (folder / f"emnist-letters-{split}-{kind}-ubyte").write_bytes(idx(array[:count]))
    packed = folder / "emnist-letters-train-images.idx3-ubyte.gz"  # as torchvision leaves them
    packed.write_bytes(gzip.compress(idx(GREY)))
    samples = listing(tmp_path)
    assert [sample.split for sample in samples] == ["holdout"] * 3 + ["train"] * 6
    assert [sample.labels["label"] for sample in samples[3:]] == [str(label) for label in LABELS]


def test_npy_files_of_a_folder_belong_together(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("test", 3)):
        np.save(tmp_path / f"X_{split}.npy", GREY[:count])
        np.save(tmp_path / f"y_{split}.npy", LABELS[:count])
    samples = listing(tmp_path)
    assert sorted((sample.split, sample.labels["label"]) for sample in samples) == sorted(
        [*(("train", str(label)) for label in LABELS), *(("holdout", str(label)) for label in LABELS[:3])]
    )
    alone = opened(tmp_path / "X_train.npy")
    assert alone.labels == ()
    assert "not used: X_test.npy, y_test.npy, y_train.npy beside X_train.npy" in " ".join(alone.notes)


def test_npz_files_of_a_folder_are_splits(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("test", 3)):
        np.savez(tmp_path / f"{split}.npz", x=GREY[:count], y=LABELS[:count])
    samples = listing(tmp_path)
    assert [sample.split for sample in samples] == ["holdout"] * 3 + ["train"] * 6
    assert {sample.labels["label"] for sample in samples} == {"0", "1", "2"}


def test_test_images_without_labels_are_left_out(tmp_path: Path) -> None:
    header = [f"pixel{n}" for n in range(16)]
    for split, columns in (("train", ["label", *header]), ("test", header)):
        rows = [",".join(map(str, range(n, n + len(columns)))) for n in range(4)]
        (tmp_path / f"{split}.csv").write_text("\n".join([",".join(columns), *rows]))
    source = opened(tmp_path)
    assert [sample.labels["label"] for sample in source.samples()] == ["0", "1", "2", "3"]
    assert "the images of test have no labels, so they are left out (4)" in source.notes
    assert opened(tmp_path, labels=()).count == 8


def test_names_and_measurements_in_a_csv_of_pixels_are_no_labels(tmp_path: Path) -> None:
    rows = [f"{20 + n},{n % 2},{n}.jpg,{' '.join(['7'] * 16)}" for n in range(30)]
    (tmp_path / "faces.csv").write_text("\n".join(["age,gender,img_name,pixels", *rows]))
    source = opened(tmp_path / "faces.csv")
    assert source.labels == ("gender",)
    assert "age (30 values), img_name (30 values); ingest.bins divides" in source.notes[0]
    assert opened(tmp_path / "faces.csv", bins="age:30,40").vocabularies["age"] == ["<30", "30-39", "40+"]


def test_fer2013(tmp_path: Path) -> None:
    rows = [f"{n % 2},{' '.join(map(str, GREY[0, :8].ravel()))},{('Training', 'PublicTest')[n // 2]}" for n in range(4)]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]))
    samples = listing(tmp_path / "fer2013.csv", labels=("emotion",))
    assert [(s.split, s.labels["emotion"]) for s in samples] == [
        ("train", "0"),
        ("train", "1"),
        ("holdout", "0"),
        ("holdout", "1"),
    ]
    assert (np.asarray(samples[0].read())[..., 1] == GREY[0, :8]).all()
    assert opened(tmp_path / "fer2013.csv").labels == ("emotion",)
    (tmp_path / "fer2013.csv").write_text("emotion,pixels\n0,1 2 3\n")
    refuse("row 2: 3 pixels are not a square", tmp_path / "fer2013.csv")


def test_kaggles_mnist(tmp_path: Path) -> None:
    header = ",".join(["label", *(f"pixel{n}" for n in range(16))])
    rows = [",".join([str(n % 2), *map(str, range(16))]) for n in range(4)]
    places = ",".join(["label", *(f"{row}x{column}" for row in range(1, 5) for column in range(1, 5))])
    for names in (header, places):
        (tmp_path / "train.csv").write_text("\n".join([names, *rows]))
        samples = listing(tmp_path / "train.csv")
        assert [sample.labels["label"] for sample in samples] == ["0", "1", "0", "1"]
        assert (np.asarray(samples[0].read())[..., 0] == np.arange(16).reshape(4, 4)).all()


def test_what_is_no_array_of_images_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", x=IMAGES / 255)
    refuse("holds float64 numbers, whose range is not known", tmp_path / "f.npz")
    np.savez(tmp_path / "s.npz", mu=np.zeros(4), sigma=np.eye(4))
    refuse("holds feature statistics", tmp_path / "s.npz")
    np.savez(tmp_path / "o.npz", x=np.array([{}, {}], object))
    refuse("holds no array of images", tmp_path / "o.npz")
    (tmp_path / "c.npz").write_bytes((tmp_path / "f.npz").read_bytes()[:500])
    refuse("cannot be read as arrays", tmp_path / "c.npz")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(GREY)[:100])
    refuse("ends after 84 of 432 values", tmp_path / "train-images-idx3-ubyte")
    (tmp_path / "x.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    refuse("a MATLAB file; save its images as an .npz", tmp_path / "x.mat")
