"""Page "Generate": choose labels and a number of images, look at them, download them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from faceforge.inference.generator import Generator, Samples
from faceforge.markdown import plain
from faceforge.webapp.pictures import gallery, grid_png, zipped
from faceforge.webapp.session import choose_model

ANY = "any"
AT_MOST = 64


def generate_page() -> None:
    """Renders the page."""
    st.title("Generate faces")
    generator = choose_model()
    attributes = attribute_boxes(generator, "generate")
    left, middle, right = st.columns(3)
    count = left.slider("How many", 1, AT_MOST, 16)
    truncation = middle.slider(
        "Variety",
        0.0,
        1.0,
        1.0,
        0.05,
        help="Scale of the latents: 1 gives full variety, lower values more typical faces.",
    )
    seed = right.number_input("Seed", 0, 2**31 - 1, 0, key="seed", help="The same seed gives the same faces.")
    right.button("Other faces", on_click=_next_seed, icon=":material/casino:")
    samples = generator.generate(count, attributes=attributes, seed=int(seed), truncation=truncation)
    st.html(gallery(samples.images, captions(samples)))
    left, middle, _ = st.columns(3)
    left.download_button(
        "Download images and labels", zipped(samples.images, samples.labels), f"faces-{seed}.zip", "application/zip"
    )
    middle.download_button("Download as one picture", grid_png(samples.images), f"faces-{seed}.png", "image/png")
    with st.expander("The same from Python"):
        arguments = f"attributes={attributes!r}, " if attributes else ""
        scale = f", truncation={truncation}" if truncation != 1 else ""
        st.code(f"samples = generator.generate({count}, {arguments}seed={seed}{scale})", language="python")


def attribute_boxes(generator: Generator, key: str, free: bool = True) -> dict[str, str]:
    """A select box per label column; returns column -> class, without columns left at `any`."""
    if not generator.labels:
        return {}
    boxes = st.columns(min(len(generator.labels), 4))
    chosen = {}
    for number, (column, classes) in enumerate(generator.labels.items()):
        box = boxes[number % len(boxes)]
        chosen[column] = box.selectbox(plain(column), [*([ANY] if free else []), *classes], key=f"{key}-{column}")
    return {column: name for column, name in chosen.items() if not (free and name == ANY)}


def captions(samples: Samples) -> list[str]:
    """The requested labels of each image, as text."""
    return [", ".join(names) for names in zip(*samples.labels.values(), strict=True)]


def _next_seed() -> None:
    st.session_state["seed"] = int(np.random.default_rng().integers(2**31))
