"""Losses, penalties and changes say the same under both backends, compiled and differentiated."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras import ops

from faceforge.compute import backend
from faceforge.training import diffaugment, losses, penalties, spectral


def results() -> dict[str, Any]:
    """Values and gradients at fixed points."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return ops.array(rng.normal(size=shape).astype("float32"))

    real, fake, noise = (normal(6, 8, 8, 3) for _ in range(3))
    draws = ops.array(rng.random((6, diffaugment.DRAWS)).astype("float32"))
    kernels = [normal(192, 5), normal(5), normal(5, 1)]
    vectors = spectral.initial_vectors(kernels, 0)
    strength = ops.array(np.float32(0.7))

    def judge(weights: list[Any], images: Any) -> Any:
        hidden = ops.tanh(ops.matmul(ops.reshape(images, (-1, 192)), weights[0]) + weights[1])
        return ops.matmul(hidden, weights[2])

    def see(images: Any) -> tuple[Any, Any]:
        moved = diffaugment.change(images, draws, strength, ("flip", "colour", "translation", "cutout"))
        return diffaugment.diffuse(moved, draws, noise, strength)

    def terms(weights: list[Any]) -> dict[str, Any]:
        weights, _ = spectral.normalise(weights, vectors)
        a, b = judge(weights, see(real)[0]), judge(weights, see(fake)[0])
        found = {
            kind: losses.discriminator_loss(kind, a, b) for kind in ("relativistic", "bce", "hinge", "wasserstein")
        }
        found["generator"] = losses.generator_loss("relativistic", a, b)
        found["r1"] = penalties.squared_gradient_norm(lambda x: judge(weights, see(x)[0]), real)
        found["gap"] = penalties.gradient_norm_gap(lambda x: judge(weights, x), real, fake, draws[:, :1])
        return found

    def total(weights: list[Any]) -> tuple[Any, dict[str, Any]]:
        found = terms(weights)
        return sum(number * term for number, term in enumerate(found.values(), 1)), found

    def gradients_of(weights: list[Any]) -> tuple[dict[str, Any], list[Any]]:
        _, pull, found = backend.vjp(total, weights, has_aux=True)
        return found, pull(ops.ones(()))[0]

    found, gradients = backend.jit(gradients_of)(kernels)
    found |= {f"gradient{number}": gradient for number, gradient in enumerate(gradients)}
    found["seen"], found["levels"] = backend.jit(see)(fake)
    found["overfitting"] = diffaugment.overfitting(judge(kernels, real), judge(kernels, fake))
    found |= {f"vector{number}": v for number, v in enumerate(backend.jit(spectral.normalise)(kernels, vectors)[1])}
    return {name: np.asarray(value) for name, value in found.items()}


@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="jax is not installed")
def test_jax_and_tensorflow_agree(tmp_path: Path) -> None:
    file = tmp_path / "results.npz"
    subprocess.run([sys.executable, __file__, str(file)], check=True, env=os.environ | {"KERAS_BACKEND": "jax"})
    here, there = results(), np.load(file)
    assert set(there) == set(here)
    for name, value in here.items():
        np.testing.assert_allclose(there[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


if __name__ == "__main__":
    np.savez(sys.argv[1], **results())
