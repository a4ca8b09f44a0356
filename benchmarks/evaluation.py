"""Speed of FID, KID, precision and recall and the FID network, beside other programs; one run, medians.

    python benchmarks/evaluation.py
    python benchmarks/evaluation.py --peer ~/torch-venv/bin/python     # one that has torch, torch-fidelity and prdc

Frechet distance: ours against pytorch-fid's formula (scipy's sqrtm) at 2,048 dimensions, of rank 2,048 and of rank 999.
KID: ours against torch-fidelity, 100 subsets of 1,000. Precision, recall, density and coverage for k = 5: ours against
prdc. Nearest neighbours in both directions: ours against scikit-learn. Network: images of 64 px through ours in float32
and bfloat16, and through torch-fidelity's, same batch, random weights. The packages run in the peer's Python
(`evaluation_peer.py`); rounds are interleaved. `pairwise_relative_difference` is the largest relative difference of our
values from the packages' formulas in float64.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
SIZE = 64


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=256, help="through the network in a round")
    parser.add_argument("--dimensions", type=int, default=2048)
    parser.add_argument("--samples", type=int, default=10_000, help="rows of each kind for KID, precision and recall")
    parser.add_argument("--only", choices=("formulas", "pairwise", "network"), help="one part of it")
    parser.add_argument("--peer", default=sys.executable, help="Python that has torch, torch-fidelity and prdc")
    options = parser.parse_args()
    peer = start_peer(options.peer, options.images, options.samples, options.dimensions)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "formulas": partial(formulas, options.dimensions, options.rounds),
        "pairwise": partial(pairwise, options.samples, options.dimensions, options.rounds, peer),
        "network": partial(network, options.images, options.rounds, peer),
    }
    results = {name: getattr(options, name) for name in ("rounds", "images", "samples", "dimensions")}
    for name, part in parts.items():
        if options.only in (None, name):
            results |= part()
    if peer[0] is not None:
        peer[0].kill()
        peer[0].wait()
    print(json.dumps(results | {"peer": peer[1]}))


def formulas(dimensions: int, rounds: int) -> dict[str, Any]:
    """Seconds of the distances, and how often ours fits into the reference's time."""
    from faceforge.evaluation.metrics.frechet import frechet_distance, gaussian

    rng = np.random.default_rng(0)
    scales = np.linspace(1, 0.01, dimensions)
    real, fake = (rng.normal(shift, 1, (2 * dimensions, dimensions)) * scales for shift in (0, 0.1))
    few = min(1000, dimensions // 2)
    cases = {
        "frechet": (gaussian(real), gaussian(fake)),
        "frechet_singular": (gaussian(real[:few]), gaussian(fake[:few])),
    }
    contenders: dict[str, Callable[[], Any]] = {}
    for name, (one, other) in cases.items():
        contenders[name] = partial(frechet_distance, *one, *other)
        contenders[f"{name}_reference"] = partial(reference_frechet, *one, *other)
    return ratios(interleaved(contenders, rounds))


def pairwise(count: int, dimensions: int, rounds: int, peer: tuple[Any, list[str]]) -> dict[str, Any]:
    """Seconds of KID and of precision, recall, density and coverage, and how far the values are from float64."""
    from faceforge.evaluation.metrics.kernel import SUBSET_SIZE, SUBSETS, kernel_distance
    from faceforge.evaluation.metrics.neighbours import nearest
    from faceforge.evaluation.metrics.precision_recall import overlap

    real, fake = features(count, dimensions)
    size = min(SUBSET_SIZE, count)
    contenders: dict[str, Callable[[], Any]] = {
        "kid": partial(kernel_distance, real, fake, 0, SUBSETS, size),
        "prdc": partial(overlap, real, fake, 5),
        "neighbours": partial(nearest, real, fake),
        "neighbours_reference": partial(reference_nearest, real, fake),
    }
    process, able = peer
    contenders |= {f"{name}_reference": partial(ask, process, name) for name in ("kid", "prdc") if name in able}
    seconds = interleaved(contenders, rounds)
    subset = slice(min(count, 2000))
    ours, exact = ([*kid, *np.ravel(prdc)] for kid, prdc in (
        (kernel_distance(real[subset], fake[subset], 0, 10, size), overlap(real[subset], fake[subset], 5)),
        (reference_kid(real[subset].astype(np.float64), fake[subset].astype(np.float64), 10, size),
         reference_prdc(real[subset].astype(np.float64), fake[subset].astype(np.float64), 5)),
    ))  # fmt: skip
    differences = np.abs(np.array(ours) - exact) / np.maximum(np.abs(exact), 1e-12)
    return ratios(seconds) | {"pairwise_relative_difference": float(f"{differences.max():.2g}")}


def features(count: int, dimensions: int) -> Any:
    """Two sets (count, dimensions) like Inception's features: at least 0, of mean 0.4, with few large values."""
    rng = np.random.default_rng(0)
    return tuple(rng.gamma(0.5, scale, (count, dimensions)).astype(np.float32) for scale in (0.8, 0.82))


def ratios(seconds: dict[str, float]) -> dict[str, Any]:
    """Seconds, and how many times each of ours is faster than its `..._reference`."""
    return {f"{name}_seconds": round(value, 3) for name, value in seconds.items()} | {
        f"{name}_times_faster": round(seconds[f"{name}_reference"] / seconds[name], 1)
        for name in seconds
        if f"{name}_reference" in seconds
    }


def network(count: int, rounds: int, peer: tuple[Any, list[str]]) -> dict[str, Any]:
    """Images a second through the networks."""
    from faceforge.evaluation.inception.extractor import Inception
    from faceforge.evaluation.inception.weights import WeightsFile

    images = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
    weights, file = random_weights(), WeightsFile(Path("random"), "")
    contenders: dict[str, Callable[[], Any]] = {}
    for precision in ("float32", "bfloat16"):
        contenders[precision] = partial(Inception(file, precision, weights).features, images)
    process, able = peer
    if "network" in able:
        contenders["torch_fidelity"] = partial(ask, process, "network")
    rates = {name: round(count / seconds, 1) for name, seconds in interleaved(contenders, rounds).items()}
    results: dict[str, Any] = {f"{name}_images_per_second": rate for name, rate in rates.items()}
    if "torch_fidelity" in rates:
        best = max(rates["float32"], rates["bfloat16"])
        results["network_times_faster"] = round(best / rates["torch_fidelity"], 1)
    return results


def interleaved(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each, all of them once in every round."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for contender in contenders.values():
        contender()  # import, compile
    for _ in range(rounds):
        for name, contender in contenders.items():
            began = time.perf_counter()
            contender()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def reference_frechet(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> float:
    """As pytorch-fid computes it."""
    from scipy.linalg import sqrtm

    root = sqrtm(cov1 @ cov2)
    if not np.isfinite(root).all():
        offset = np.eye(len(cov1)) * 1e-6
        root = sqrtm((cov1 + offset) @ (cov2 + offset))
    apart = mean1 - mean2
    return float(apart @ apart + np.trace(cov1) + np.trace(cov2) - 2 * np.trace(root.real))


def reference_kid(real: Any, fake: Any, subsets: int, size: int) -> tuple[float, float]:
    """As torch-fidelity computes it, in the precision of the features."""
    rng = np.random.default_rng(0)
    drawn = [[rng.choice(len(part), size, replace=False) for part in (real, fake)] for _ in range(subsets)]
    estimates = [reference_mmd2(real[rows], fake[others]) for rows, others in drawn]
    return float(np.mean(estimates)), float(np.std(estimates))


def reference_prdc(real: Any, fake: Any, k: int) -> tuple[float, float, float, float]:
    """As prdc computes them: three whole matrices of distances."""
    from sklearn.metrics import pairwise_distances

    def distances(first: Any, second: Any) -> Any:
        return pairwise_distances(first, second, metric="euclidean", n_jobs=8)

    def radii(points: Any) -> Any:
        matrix = distances(points, points)
        nearest = np.argpartition(matrix, k + 1, axis=-1)[..., : k + 1]
        return np.take_along_axis(matrix, nearest, axis=-1).max(axis=-1)

    of_real, of_fake, between = radii(real), radii(fake), distances(real, fake)
    inside = between < of_real[:, None]
    recall = (between < of_fake[None]).any(axis=1).mean()
    coverage = (between.min(axis=1) < of_real).mean()
    return float(inside.any(axis=0).mean()), float(recall), float(inside.sum(axis=0).mean() / k), float(coverage)


def reference_nearest(real: Any, fake: Any) -> Any:
    """With scikit-learn, by brute force, as it chooses itself at so many dimensions; both directions."""
    from sklearn.neighbors import NearestNeighbors

    return [
        NearestNeighbors(n_neighbors=1, algorithm="brute", n_jobs=-1).fit(points).kneighbors(others)
        for points, others in ((real, fake), (fake, real))
    ]


def reference_mmd2(first: Any, second: Any) -> float:
    """As torch-fidelity computes it."""
    size = first.shape[1]
    xx, yy, xy = ((a @ b.T / size + 1) ** 3 for a, b in ((first, first), (second, second), (first, second)))
    n = len(first)
    return float((xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (n * (n - 1)) - 2 * xy.mean())


def random_weights() -> dict[str, Any]:
    """For every tensor of the network; speed does not depend on them."""
    from faceforge.evaluation.inception.tensors import tensor_shapes

    rng = np.random.default_rng(0)
    weights = {}
    for name, shape in tensor_shapes().items():
        values = rng.standard_normal(shape, np.float32)
        weights[name] = np.abs(values) + 1 if name.endswith("var") else values * (2 / np.prod(shape[1:])) ** 0.5
    return weights


def start_peer(python: str, *settings: int) -> tuple[subprocess.Popen[str] | None, list[str]]:
    """`evaluation_peer.py` in another Python, waiting for lines, and the names of what it can compute."""
    command = [python, str(Path(__file__).with_name("evaluation_peer.py")), *map(str, settings)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    names = process.stdout.readline().split()
    if not names:
        process.kill()
        process.wait()
        return None, []
    return process, names


def ask(process: subprocess.Popen[str], name: str) -> None:
    """Waits until the peer has computed something once."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{name}\n")
    process.stdin.flush()
    assert process.stdout.readline(), "the peer has stopped"


if __name__ == "__main__":
    main()
