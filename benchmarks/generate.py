"""Images per second of the same generator in Keras and in onnxruntime, by batch.

    python benchmarks/generate.py                          # the standard DCGAN-64 on this machine's processor
    python benchmarks/generate.py --preset faces64 --batches 1,64,1024

Fresh weights: they do not change the speed. Keras computes on the GPU where TensorFlow sees one, onnxruntime on the
processor. Time includes the way from latents to uint8 images in memory. Rounds are interleaved, medians compared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from faceforge.config import preset_names, resolve
from faceforge.export.onnx import write_onnx
from faceforge.inference.generator import Model
from faceforge.inference.onnx import OnnxModel
from faceforge.models.build import build_networks
from faceforge.models.bundle import Bundle, BundleInfo
from faceforge.models.sampling import cycle_labels, draw_latents
from faceforge.models.spec import ModelSpec

LABELS = {"expression": ["neutral", "smiling", "glasses"]}


def main() -> None:
    """Prints a line of JSON per batch size: medians in images per second, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="dcgan64", choices=preset_names())
    parser.add_argument("--batches", default="1,16,64,256")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round, for each contender")
    options = parser.parse_args()
    bundle = fresh_bundle(options.preset)
    with tempfile.TemporaryDirectory() as folder:
        write_onnx(bundle, Path(folder) / "generator.onnx")
        contenders: dict[str, Model] = {"keras": bundle, "onnx": OnnxModel.load(Path(folder) / "generator.onnx")}
    device = "gpu" if tf.config.list_physical_devices("GPU") else "cpu"
    for batch in map(int, options.batches.split(",")):
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for model in contenders.values():
            rate(model, batch, 0)  # compile
        for _ in range(options.rounds):
            for name, model in contenders.items():
                rates[name].append(rate(model, batch, options.seconds))
        medians = {name: statistics.median(values) for name, values in rates.items()}
        print(
            json.dumps(
                {
                    "preset": options.preset,
                    "batch": batch,
                    f"keras_{device}_images_per_second": round(medians["keras"], 1),
                    "onnx_cpu_images_per_second": round(medians["onnx"], 1),
                    "onnx_to_keras": round(medians["onnx"] / medians["keras"], 2),
                }
            ),
            flush=True,
        )


def fresh_bundle(preset: str) -> Bundle:
    """An untrained model of a preset's sizes, conditional on one column of three classes."""
    config = resolve(preset, "")
    spec = ModelSpec(
        **config.model.model_dump(),
        image_size=config.ingest.image_size,
        channels=config.ingest.channels,
        classes=tuple(len(classes) for classes in LABELS.values()),
    )
    info = BundleInfo(
        spec=spec, labels=LABELS, loss="relativistic", dataset_digest="none", config={}, training={}, versions={}
    )
    return Bundle(info, *build_networks(spec))


def rate(model: Model, batch: int, seconds: float) -> float:
    """Images per second over at least `seconds` and at least one batch."""
    latents, labels = draw_latents(0, batch, model.info.spec.latent_size), cycle_labels(model.info.labels, batch)
    began, made = time.perf_counter(), 0
    while made == 0 or time.perf_counter() - began < seconds:
        assert model.generate(latents, labels, batch=batch).dtype == np.uint8
        made += batch
    return made / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
