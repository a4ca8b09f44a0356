"""The estimate of a generator's size, against generators that are built."""

from __future__ import annotations

import pytest

from faceforge.config import preset_names, resolve
from faceforge.models.build import FAMILIES
from faceforge.models.conditioning import Conditions
from faceforge.models.size import generator_bytes
from faceforge.models.spec import ModelSpec


@pytest.mark.parametrize("preset", preset_names())
def test_the_estimate_is_near_the_weights_of_the_generator(preset: str) -> None:
    config = resolve(preset, "")
    spec = ModelSpec(
        **config.model.model_dump(),
        image_size=config.ingest.image_size,
        channels=config.ingest.channels,
        classes=() if config.train.labels == () else (3,),
    )
    network = FAMILIES[spec.family].generator(spec, Conditions.make(spec), "float32")
    assert generator_bytes(config) == pytest.approx(4 * network.count_params(), rel=0.35)
