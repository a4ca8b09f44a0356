"""Page "Explore": one face with every label and along latent directions; interpolation between two faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from faceforge.inference.generator import Generator, Samples
from faceforge.markdown import plain
from faceforge.webapp.generate_page import captions
from faceforge.webapp.pictures import gallery
from faceforge.webapp.session import choose_model

DIRECTIONS = 4
REACH = 3.0  # range of the sliders, in standard deviations of a latent
STEPS = 9


def explore_page() -> None:
    """Renders the page."""
    st.title("Explore")
    generator = choose_model()
    one, two = st.tabs(["One face", "From face to face"])
    with one:
        _one_face(generator)
    with two:
        _between(generator)


def move_along_directions(face: Samples, amounts: list[float]) -> Samples:
    """A face whose latent is moved along fixed random directions by `amounts` (standard deviations)."""
    return replace(
        face, latents=face.latents + np.array(amounts, np.float32) @ _directions(face.latents.shape[1], len(amounts))
    )


def _one_face(generator: Generator) -> None:
    left, right = st.columns([2, 3])
    with right:
        seed = st.number_input("Seed", 0, 2**31 - 1, 1, key="explore-seed")
        attributes = {
            column: st.select_slider(plain(column), classes, key=f"explore-{column}")
            for column, classes in generator.labels.items()
        }
        st.caption("These are random directions in latent space; move the sliders to see what they change.")
        sliders = st.columns(2)
        amounts = [
            sliders[number % 2].slider(f"Direction {number + 1}", -REACH, REACH, 0.0, 0.1, key=f"direction-{number}")
            for number in range(DIRECTIONS)
        ]
    face = move_along_directions(generator.generate(1, attributes=attributes, seed=int(seed)), amounts)
    with left:
        st.html(gallery(generator.edit(face, attributes=attributes).images, tile=240))
    for column, classes in generator.labels.items():
        st.markdown(f"The same face for every **{plain(column)}**")
        versions = [generator.edit(face, attributes={**attributes, column: name}).images for name in classes]
        st.html(gallery(np.concatenate(versions), classes))


def _between(generator: Generator) -> None:
    left, right = st.columns(2)
    first = left.number_input("From seed", 0, 2**31 - 1, 1)
    second = right.number_input("To seed", 0, 2**31 - 1, 2)
    ends = generator.interpolate([int(first), int(second)], STEPS)
    at = st.slider("On the way", 0, STEPS - 1, (STEPS - 1) // 2)
    st.html(gallery(ends.images[at : at + 1], captions(ends[at]), tile=240))
    st.html(gallery(ends.images))


def _directions(size: int, count: int) -> NDArray[np.float32]:
    """Fixed random orthonormal directions float32 (count, Z); length 1 is one standard deviation of a latent."""
    random = np.random.default_rng(0).standard_normal((size, min(count, size)))
    return np.linalg.qr(random)[0].T[:count].astype(np.float32)
