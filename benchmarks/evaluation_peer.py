"""KID, PRDC and the FID network of other programs: the peer's side of `evaluation.py`.

    python benchmarks/evaluation_peer.py IMAGES SAMPLES DIMENSIONS

Prints on one line what the installed packages can compute: `network` and `kid` by torch-fidelity, `prdc` by prdc. Then
computes one of them for each line of input that names it, and answers with a line.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any
from unittest.mock import MagicMock, patch

import numpy as np

SIZE = 64


def main() -> None:
    """Answers until standard input ends."""
    count, samples, dimensions = map(int, sys.argv[1:])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the packages print must not mix with the answers
    rng = np.random.default_rng(0)
    real, fake = (rng.gamma(0.5, scale, (samples, dimensions)).astype(np.float32) for scale in (0.8, 0.82))
    parts: dict[str, Callable[[], Any]] = {}
    if find_spec("torch") and find_spec("torch_fidelity"):
        if find_spec("torchvision") is None:  # imported by the package, not needed here
            names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
            sys.modules.update({name: MagicMock() for name in (*names, "torchvision.datasets")})
        parts = {"network": network(count), "kid": lambda: kid(real, fake)}
    if find_spec("prdc"):
        parts["prdc"] = lambda: importlib.import_module("prdc").compute_prdc(real, fake, nearest_k=5)
    print(*parts, file=answers)
    for line in sys.stdin:
        parts[line.strip()]()
        print("done", file=answers)


def kid(real: Any, fake: Any) -> Any:
    """As `fidelity --kid` computes it from features."""
    torch, metric = (importlib.import_module(name) for name in ("torch", "torch_fidelity.metric_kid"))
    settings = {"kid_subsets": 100, "kid_subset_size": min(1000, len(real)), "kid_degree": 3, "kid_gamma": None}
    return metric.kid_features_to_metric(
        *map(torch.from_numpy, (real, fake)), **settings, kid_coef0=1, rng_seed=2020, verbose=False
    )


def network(count: int) -> Callable[[], None]:
    """Features of `count` images by torch-fidelity's network, with weights that nobody set: speed is the same."""
    torch = importlib.import_module("torch")
    extractors = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    pixels = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    # Its constructor wants a file of weights.
    with patch("torch.load"), patch.object(extractors.FeatureExtractorInceptionV3, "load_state_dict"):
        extractor = extractors.FeatureExtractorInceptionV3("peer", ["2048"], feature_extractor_weights_path="none")
    extractor.eval()

    def compute() -> None:
        with torch.no_grad():
            for batch in images.split(64):
                extractor(batch)

    return compute


if __name__ == "__main__":
    main()
