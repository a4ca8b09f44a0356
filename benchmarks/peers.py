"""Quality beside public GAN programs on the same images: at equal images and at equal processor time.

    git clone https://github.com/brownvc/R3GAN
    git clone https://github.com/NVlabs/stylegan2-ada-pytorch
    python -m venv torch && torch/bin/pip install torch numpy scipy requests click
    python benchmarks/peers.py --data work/faces32 --kimg 20 --torch torch/bin/python \
        --r3gan R3GAN --stylegan2 stylegan2-ada-pytorch --out work/peers

FaceForge trains the preset's recipe without labels for `--kimg` thousand images of the set's training split. Every peer
trains its own networks with its own losses and settings (see `torch_peers.py`) on the same images, and is sampled after
the same number of images and after the processor time that FaceForge took. As many samples of each are compared with
the holdout, which nobody trains on, in the features that `faceforge evaluate` uses. Widths of the peers are reduced to
`--width` channels, since a processor cannot train the full ones; their presets were made for long runs on GPUs. A peer
without a checkout, or whose program fails, is skipped with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from faceforge.data.imageset.reader import ImageSet
    from faceforge.evaluation.reference import EvaluationReference

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
PEERS = ("r3gan", "stylegan2")
METRICS = ("frechet", "precision", "recall")


def main() -> None:
    """Prints a table and writes `peers.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="image set, as ingest wrote it")
    parser.add_argument("--out", type=Path, default=Path("work/peers"))
    parser.add_argument("--preset", default="faces64", help="FaceForge's recipe")
    parser.add_argument("--set", default="", metavar="SETTINGS", help="further settings of FaceForge")
    parser.add_argument("--kimg", type=float, default=20)
    parser.add_argument("--width", type=int, default=128, help="channels of the peers")
    parser.add_argument("--torch", default="", metavar="PYTHON", help="a Python that has PyTorch")
    for option in ("--r3gan", "--stylegan2"):
        parser.add_argument(option, default="", metavar="CHECKOUT", help="of that program")
    options = parser.parse_args()

    from faceforge.data.imageset.reader import ImageSet
    from faceforge.errors import FaceForgeError
    from faceforge.evaluation.reference import comparable, prepare

    try:
        images = ImageSet.open(options.data)
        config = recipe(options.preset, options.kimg, options.set, images)
    except FaceForgeError as error:
        parser.error(str(error))
    reference = prepare(images, options.out / "classifier", config.evaluate, comparable(images.info, config.evaluate))
    count = reference.compared
    rows = [ours(images, config, options.out / "faceforge", count, reference)]
    np.save(options.out / "train.npy", reference.all_train)
    rows.append({"program": "training images", "after": "", **judge(reference.train, reference)})
    for peer in PEERS:
        checkout = getattr(options, peer)
        if not (checkout and options.torch):
            rows.append({"program": peer, "skipped": f"give --torch and --{peer}"})
            continue
        arguments = {"checkout": checkout, "images": options.out / "train.npy", "out": options.out / peer,
                     "kimg": options.kimg, "seconds": rows[0]["seconds"], "samples": count,
                     "width": options.width}  # fmt: skip
        rows += theirs(peer, options.torch, arguments, reference)
    report = {"data": images.info.digest, "preset": options.preset, "settings": options.set, "rows": rows}
    (options.out / "peers.json").write_text(json.dumps(report, indent=2) + "\n")
    print(table(rows))


def recipe(preset: str, kimg: float, settings: str, images: ImageSet) -> Any:
    """The preset at the size of the image set, unconditional."""
    from faceforge.config import resolve

    size = images.info.image_size
    fixed = f'ingest.image_size={size}, train.labels="", train.kimg={kimg}'
    return resolve(preset, ", ".join(filter(None, (fixed, settings))))


def ours(images: ImageSet, config: Any, out: Path, count: int, reference: EvaluationReference) -> dict[str, Any]:
    """FaceForge's row."""
    from faceforge.models.bundle import Bundle
    from faceforge.models.sampling import cycle_labels, draw_latents
    from faceforge.training.train import train_bundle

    began = time.process_time()
    bundle = Bundle.load(train_bundle(images.root, out, config))
    seconds = round(time.process_time() - began, 1)
    latents = draw_latents(1, count, bundle.info.spec.latent_size)
    samples = bundle.generate(latents, cycle_labels(bundle.info.labels, count))
    weights = sum(int(np.prod(weight.shape)) for weight in bundle.generator.trainable_variables)
    facts = {"program": "FaceForge", "weights": weights, "kimg": config.train.kimg, "seconds": seconds}
    return {**facts, "after": "equal images and seconds", **judge(samples, reference)}


def theirs(peer: str, python: str, arguments: dict[str, Any], reference: EvaluationReference) -> list[dict[str, Any]]:
    """A peer's rows, after equal images and after equal processor time; or one with the reason why not."""
    command = [python, str(Path(__file__).with_name("torch_peers.py")), peer]
    command += [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except OSError as error:
        return [{"program": peer, "skipped": f"{python}: {error.strerror}"}]
    except subprocess.CalledProcessError as error:
        return [{"program": peer, "skipped": (error.stderr.strip().splitlines() or ["failed"])[-1]}]
    figures = json.loads(done.stdout.splitlines()[-1])
    rows = []
    for mark in ("images", "seconds"):
        samples = np.load(Path(arguments["out"]) / f"{mark}.npy")
        facts = {"program": peer, "weights": figures["weights"], **figures[mark], "after": f"equal {mark}"}
        rows.append({**facts, **judge(samples, reference)})
    return rows


def judge(samples: NDArray[np.uint8], reference: EvaluationReference) -> dict[str, float]:
    """Frechet distance, precision and recall of samples uint8 (N, H, W, C) against the holdout."""
    from faceforge.evaluation.metrics.frechet import frechet_from_features
    from faceforge.evaluation.metrics.precision_recall import overlap

    features = reference.classifier.features(samples)
    both = overlap(reference.holdout_features, features, k=3)
    frechet = frechet_from_features(reference.holdout_features, features)
    values = dict(zip(METRICS, (frechet, both.precision, both.recall), strict=True))
    return {name: round(float(value), 3) for name, value in values.items()}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    columns = ("program", "after", "kimg", "seconds", "weights", *METRICS, "skipped")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {' | '.join(str(row.get(column, '')) for column in columns)} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
