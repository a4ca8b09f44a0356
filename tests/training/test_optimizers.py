"""Parity with Keras' own optimizers over several steps."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from faceforge.training import optimizers


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("adam", keras.optimizers.Adam(0.01, beta_1=0.5, beta_2=0.9, epsilon=1e-8)),
        ("adam", keras.optimizers.Adam(0.01, beta_1=0.0, beta_2=0.99, epsilon=1e-8)),
        ("rmsprop", keras.optimizers.RMSprop(0.01, rho=0.9, epsilon=1e-12)),
    ],
)
def test_ten_steps_equal_those_of_keras(name: str, reference: Any) -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 2)).astype("float32")
    variable = keras.Variable(start)
    reference.build([variable])
    parameters, state = [ops.array(start)], [[ops.zeros((3, 2))] for _ in range(optimizers.slots(name))]
    for time in range(1, 11):
        gradient = rng.normal(size=(3, 2)).astype("float32")
        reference.apply([ops.array(gradient)])
        hyper = {
            "learning_rate": 0.01,
            "beta1": float(getattr(reference, "beta_1", 0.0)),
            "beta2": float(getattr(reference, "beta_2", getattr(reference, "rho", 0.0))),
            "time": float(time),
        }
        hyper = {key: ops.array(value, "float32") for key, value in hyper.items()}
        parameters, state = optimizers.update(name, parameters, [ops.array(gradient)], state, hyper)
    np.testing.assert_allclose(np.asarray(parameters[0]), np.asarray(variable), rtol=2e-5, atol=1e-6)
