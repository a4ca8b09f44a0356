import numpy as np

from faceforge.models.build import build_networks
from faceforge.models.spec import ModelSpec


def test_the_style_reaches_all_positions_alike() -> None:
    """Without anything at 4 x 4 pixels, latents and labels change the colour of the whole image."""
    spec = ModelSpec(family="style", image_size=32, channels=3, latent_size=8, width=4, max_width=8, classes=(2,))
    generator, _ = build_networks(spec, seed=1)
    first = generator.get_layer("first").kernel
    first.assign(np.zeros(first.shape, "float32"))
    latents = np.random.default_rng(0).normal(size=(3, 8)).astype("float32")
    latents[1] = latents[0]
    for size in spec.stages():  # scales and shifts of trained networks, which are further from 1 and 0
        for kind in ("scale", "shift"):
            kernel = generator.get_layer(f"{kind}{size}").kernel
            kernel.assign(5.0 * kernel)
    images = np.asarray(generator([latents, np.array([[0], [1], [0]], "int32")]))
    inner = images[:, 8:24, 8:24]  # what zeros around the image do not reach
    assert inner.std(axis=(1, 2)).max() < 1e-5
    colours = inner[:, 0, 0]
    assert np.abs(colours[0] - colours[1]).max() > 1e-2  # another label
    assert np.abs(colours[0] - colours[2]).max() > 1e-2  # other latents
