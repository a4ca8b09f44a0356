"""How often the stated 95 % intervals of an evaluation contain the true value; the target is 92 to 98 %.

    python benchmarks/coverage.py
    python benchmarks/coverage.py --repeats 400 --images 1000

Every repeat draws new holdout images and samples from known distributions in a feature space of 16 and of 64 dimensions
(their expectation over all repeats is the true value of a metric; the true difference of two models of equal
distribution is 0) and computes the intervals as an evaluation does. Prints a line of JSON per interval: the coverage,
the standard deviation of the estimate over the repeats and the mean stated standard error. No network is needed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from io import StringIO

import numpy as np

Z95 = 1.959963984540054
Estimate = tuple[float, float, float, float | None]  # value, low, high, true value (None = the mean of all repeats)


def main() -> None:
    """Measures all intervals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--images", type=int, default=600, help="holdout images and samples, each")
    parser.add_argument("--only", default="", help="name, or part of it, of the experiments to run")
    options = parser.parse_args()
    experiments: dict[str, Callable[[np.random.Generator, int], Iterator[tuple[str, Estimate]]]] = {
        "comparison 16": lambda rng, images: comparison(rng, images, 16),
        "comparison 64": lambda rng, images: comparison(rng, images, 64),
        "fid_infinity": lambda rng, images: infinity(rng),
        "two_sample": two_sample,
        "share": share,
    }
    for title, experiment in experiments.items():
        if options.only not in title:
            continue
        estimates: dict[str, list[Estimate]] = {}
        for repeat in range(options.repeats):
            with redirect_stderr(StringIO()):  # progress
                for name, estimate in experiment(np.random.default_rng([7, repeat]), options.images):
                    estimates.setdefault(f"{title}: {name}", []).append(estimate)
        for name, values in estimates.items():
            print(json.dumps({"interval": name, "repeats": options.repeats, **summary(values)}), flush=True)


def summary(estimates: list[Estimate]) -> dict[str, float]:
    """Coverage, spread of the estimate and mean stated standard error."""
    values, low, high = (np.array([estimate[part] for estimate in estimates], float) for part in range(3))
    truth = estimates[0][3] if estimates[0][3] is not None else values.mean()
    return {
        "coverage": round(float(np.mean((low <= truth) & (truth <= high))), 3),
        "deviation": float(f"{values.std():.3g}"),
        "stated": float(f"{((high - low) / 2 / Z95).mean():.3g}"),
    }


def comparison(rng: np.random.Generator, images: int, dimensions: int) -> Iterator[tuple[str, Estimate]]:
    """Two models of one distribution, a little narrower than the real one, compared with each other."""
    from faceforge.evaluation.metrics.comparison import Evidence, compare_models
    from faceforge.evaluation.metrics.precision_recall import recalled_images

    real = rng.normal(size=(images, dimensions))
    models = []
    for _ in range(2):
        features = rng.normal(size=(images, dimensions)) * 0.85 + 0.1
        agreement = (rng.random(2 * images) < 0.9).astype(float)
        models.append(Evidence(features, recalled_images(real, features, k=3), agreement))
    result = compare_models(real, *models, resamples=200, confidence=0.95, seed=int(rng.integers(2**31)))
    for name, known in result.candidate.items():
        yield name, (known.value, known.low, known.high, None)
    for name, known in result.differences.items():
        yield f"difference in {name}", (known.value, known.low, known.high, 0.0)


def infinity(rng: np.random.Generator) -> Iterator[tuple[str, Estimate]]:
    """10,000 samples of known mean and covariance in 64 dimensions, against statistics of 20,000 real images."""
    from faceforge.evaluation.metrics.extrapolation import frechet_infinity
    from faceforge.evaluation.metrics.frechet import frechet_distance
    from faceforge.evaluation.metrics.moments import Moments

    fixed, size = np.random.default_rng(1), 64
    base = fixed.normal(size=(size, size)) / 8
    other = base + fixed.normal(size=(size, size)) / 30
    covariances = [matrix @ matrix.T + 0.1 * np.eye(size) for matrix in (base, other)]
    factors = [np.linalg.cholesky(covariance) for covariance in covariances]
    real = Moments.of(fixed.normal(size=(20_000, size)) @ factors[0].T).gaussian
    truth = frechet_distance(real.mean, real.covariance, np.full(size, 0.05), covariances[1])
    samples = rng.normal(size=(10_000, size)) @ factors[1].T + 0.05
    found = frechet_infinity(real, samples, seed=int(rng.integers(2**31)))
    yield "fid_infinity", (found.value, found.value - Z95 * found.error, found.value + Z95 * found.error, truth)


def two_sample(rng: np.random.Generator, images: int) -> Iterator[tuple[str, Estimate]]:
    """Accuracy of the two-sample test between features of slightly different distributions."""
    from faceforge.evaluation.diagnostics.two_sample import two_sample_test

    real, fake = (rng.integers(0, 256, (images, 8, 8, 1), np.uint8) for _ in range(2))
    spaces = {"domain": (rng.normal(size=(images, 64)), rng.normal(size=(images, 64)) + 0.1)}
    metrics = two_sample_test(real, fake, spaces, seed=int(rng.integers(2**31))).metrics
    for space in ("domain", "pixels"):
        name = f"two_sample/accuracy_{space}"
        truth = 0.5 if space == "pixels" else None
        yield name, (metrics[name], metrics[f"{name}_low"], metrics[f"{name}_high"], truth)


def share(rng: np.random.Generator, images: int) -> Iterator[tuple[str, Estimate]]:
    """Shares of detected faces and agreement per class: Wilson's interval, for a common and a rare class."""
    from faceforge.evaluation.diagnostics.rates import interval

    for count, truth in ((images, 0.9), (128, 0.6), (20, 0.7)):
        value = rng.binomial(count, truth) / count
        yield f"{truth} of {count}", (value, *interval(value, count), truth)


if __name__ == "__main__":
    main()
