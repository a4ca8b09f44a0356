"""Images per second of FaceForge, TensorFlow Datasets and Hugging Face datasets from a folder to a data set of 64 px.

    python benchmarks/ingest.py                        # 20,000 drawn faces as JPEG of 178 x 218, in a temporary folder
    python benchmarks/ingest.py --width 1024 --height 1024 --count 1000
    python benchmarks/ingest.py --images photos/ --rounds 5

Each reads the same files, decodes them, crops the central square, resizes it to 64 x 64 with a filter as wide as the
reduction, encodes PNG, and writes a data set to disk, on all cores:

    faceforge   `build_image_set`, which also removes duplicates, measures, splits and counts
    tfds        TensorFlow Datasets' `ImageFolder`, mapped in parallel, written as TFRecord
    datasets    Hugging Face `load_dataset("imagefolder")`, `map` in a process per core, written as Parquet
    bare        decodes, resizes and encodes with OpenCV in a process per core; writes nothing

Each runs in its own process, after a warm-up on a few images and after all files have been read once: imports and the
disk are not timed, starting workers is. Rounds are interleaved; the medians are compared. Libraries that are not
installed are skipped with a message.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SIZE, FEW = 64, 200
NEEDS = {"faceforge": "faceforge", "tfds": "tensorflow_datasets", "datasets": "datasets", "bare": "cv2"}


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of JPEG files; default: draw some")
    parser.add_argument("--count", type=int, default=20_000, help="images to draw, or to use at most")
    parser.add_argument("--width", type=int, default=178, help="of drawn images")
    parser.add_argument("--height", type=int, default=218, help="of drawn images")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", choices=NEEDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        CONTENDERS[options.run](options.images.with_name("few"))
        for file in options.images.rglob("*.jpg"):
            file.read_bytes()
        print(json.dumps({"seconds": CONTENDERS[options.run](options.images)}))
        return
    with tempfile.TemporaryDirectory() as scratch:
        files = sorted(options.images.rglob("*.jpg"))[: options.count] if options.images else []
        root = Path(scratch) / "images"
        count = link(files, root) if files else draw(options.count, root, (options.width, options.height))
        link(sorted(root.rglob("*.jpg"))[:FEW], root.with_name("few"))
        seconds: dict[str, list[float]] = {name: [] for name in NEEDS if find_spec(NEEDS[name])}
        for name in NEEDS.keys() - seconds.keys():
            print(f"skipped: {name} is not installed", file=sys.stderr)
        for _ in range(options.rounds):
            for name, taken in seconds.items():
                command = [sys.executable, __file__, "--run", name, "--images", str(root)]
                output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                taken.append(json.loads(output.splitlines()[-1])["seconds"])
    rates = {name: count / statistics.median(taken) for name, taken in seconds.items()}
    ratios = {
        f"faceforge_over_{name}": rates["faceforge"] / rate for name, rate in rates.items() if name != "faceforge"
    }
    measured = {f"{name}_images_per_second": round(rate, 1) for name, rate in rates.items()}
    rounded = {name: round(ratio, 2) for name, ratio in ratios.items()}
    print(json.dumps({"images": count, "size": SIZE, "cores": cores(), **measured, **rounded}))


def draw(count: int, root: Path, size: tuple[int, int] = (178, 218)) -> int:
    """Writes drawn faces with noise as JPEG files into one folder per class; returns their number."""
    from faceforge.data.sources.toyfaces import ToyFaces

    faces, random = ToyFaces(count, 128), np.random.default_rng(0)
    for start in range(0, count, 128):
        for number, face in enumerate(faces.draw(start, start + 128), start):
            picture = np.asarray(Image.fromarray(face).resize(size, Image.Resampling.BICUBIC), np.int16)
            picture = (picture + random.integers(-12, 13, picture.shape)).clip(0, 255).astype(np.uint8)
            file = root / "train" / str(faces.codes[number]) / f"{number:06d}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(file, quality=90)
    return count


def link(files: list[Path], root: Path) -> int:
    """Links existing files into the same layout; returns their number."""
    from faceforge.data.imageset.writer import link_or_copy

    for number, file in enumerate(files):
        target = root / "train" / str(number % 2) / f"{number:06d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(file, target)
    return len(files)


def run_faceforge(root: Path) -> float:
    """The whole of ingest."""
    from faceforge.config import IngestConfig
    from faceforge.data.ingest.build import build_image_set

    config = IngestConfig.model_validate({"image_size": SIZE, "max_rejects": 1.0})
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        build_image_set(str(root / "train"), Path(out) / "set", config)
        return time.perf_counter() - began


def run_tfds(root: Path) -> float:
    """`ImageFolder`, `map`, TFRecord."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def prepare(example: dict[str, tf.Tensor]) -> tf.Tensor:
        image = example["image"]
        edge = tf.minimum(tf.shape(image)[0], tf.shape(image)[1])
        image = tf.image.resize_with_crop_or_pad(image, edge, edge)
        image = tf.image.resize(image, (SIZE, SIZE), method="area")
        return tf.io.encode_png(tf.cast(tf.clip_by_value(image + 0.5, 0, 255), tf.uint8))

    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        images = tfds.ImageFolder(str(root)).as_dataset(split="train", shuffle_files=False)
        with tf.io.TFRecordWriter(f"{out}/train.tfrecord") as writer:
            for data in images.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(64).as_numpy_iterator():
                writer.write(data)
        return time.perf_counter() - began


def run_datasets(root: Path) -> float:
    """`imagefolder`, `map`, Parquet."""
    with tempfile.TemporaryDirectory() as out:
        import datasets  # type: ignore[import-untyped]

        datasets.disable_progress_bars()
        began = time.perf_counter()
        images = datasets.load_dataset(
            "imagefolder", data_dir=str(root), cache_dir=f"{out}/cache", split="train", num_proc=cores()
        )
        images = images.map(lambda row: {"image": small(row["image"].convert("RGB"))}, num_proc=cores())
        images.to_parquet(f"{out}/train.parquet")
        return time.perf_counter() - began


def run_bare(root: Path) -> float:
    """Decode, resize, encode."""
    files = [str(file) for file in sorted(root.rglob("*.jpg"))]
    began = time.perf_counter()
    with multiprocessing.Pool(cores()) as pool:
        for _ in pool.imap(bare, files, chunksize=16):
            pass
        return time.perf_counter() - began


def bare(file: str) -> int:
    """The length of one image's PNG."""
    image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    edge = min(image.shape[:2])
    top, left = (image.shape[0] - edge) // 2, (image.shape[1] - edge) // 2
    square = image[top : top + edge, left : left + edge]
    pixels = cv2.resize(square, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
    return len(cv2.imencode(".png", pixels, options)[1])


def small(image: Image.Image) -> Image.Image:
    """The central square, reduced."""
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    return image.resize((SIZE, SIZE), Image.Resampling.HAMMING, box=(left, top, left + edge, top + edge))


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


CONTENDERS: dict[str, Callable[[Path], float]] = {
    "faceforge": run_faceforge,
    "tfds": run_tfds,
    "datasets": run_datasets,
    "bare": run_bare,
}

if __name__ == "__main__":
    main()
