"""Explore: one face under every label and along a few directions, and the way from one face to another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from faceforge.inference.generator import Generator, Samples
from faceforge.webapp.generate_page import captions
from faceforge.webapp.pictures import gallery
from faceforge.webapp.session import choose_model

DIRECTIONS = 4
REACH = 3.0  # standard deviations of a latent, either way
STEPS = 9


def explore_page() -> None:
    """The page."""
    generator = choose_model()
    st.title("Explore")
    one, two = st.tabs(["One face", "From face to face"])
    with one:
        _one_face(generator)
    with two:
        _between(generator)


def along(face: Samples, amounts: list[float]) -> Samples:
    """A face whose latent is moved along fixed random directions, as far as `amounts` say."""
    return replace(
        face, latents=face.latents + np.array(amounts, np.float32) @ _directions(face.latents.shape[1], len(amounts))
    )


def _one_face(generator: Generator) -> None:
    left, right = st.columns([2, 3])
    with right:
        seed = st.number_input("Seed", 0, 2**31 - 1, 1, key="explore-seed")
        wanted = {
            column: st.select_slider(column, classes, key=f"explore-{column}")
            for column, classes in generator.labels.items()
        }
        st.caption("The model has no names for these directions; slide to see what they change.")
        sliders = st.columns(2)
        amounts = [
            sliders[number % 2].slider(f"Direction {number + 1}", -REACH, REACH, 0.0, 0.1, key=f"direction-{number}")
            for number in range(DIRECTIONS)
        ]
    face = along(generator.generate(1, attributes=wanted, seed=int(seed)), amounts)
    with left:
        st.html(gallery(generator.edit(face, attributes=wanted).images, tile=240))
    for column, classes in generator.labels.items():
        st.markdown(f"The same face for every **{column}**")
        versions = [generator.edit(face, attributes={**wanted, column: name}).images for name in classes]
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
    """The same orthonormal directions (count, Z) every time; scaled so that 1 is one standard deviation of a latent."""
    drawn = np.random.default_rng(0).standard_normal((size, min(count, size)))
    return np.linalg.qr(drawn)[0].T[:count].astype(np.float32)
