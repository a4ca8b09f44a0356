"""Real or generated? The model's own discriminator on an uploaded image, in plain words and with its uncertainty."""

from __future__ import annotations

import streamlit as st

from faceforge.config import IngestConfig, read_section
from faceforge.data.preprocess.prepare import RejectedError, prepare_image
from faceforge.errors import FaceForgeError
from faceforge.inference.generator import Generator
from faceforge.webapp.generate_page import attribute_boxes
from faceforge.webapp.pictures import gallery
from faceforge.webapp.session import choose_model

# Below these probabilities of being real; what it then says. The middle is wide, as the answer is often not to be had.
VERDICTS = (
    (0.1, "Very likely generated", "this discriminator would be wrong about one such image in ten, or fewer"),
    (0.35, "Rather generated", "a leaning, no more"),
    (0.65, "It cannot tell", "images like this one are real about as often as not"),
    (0.9, "Rather real", "a leaning, no more"),
    (1.01, "Very likely real", "this discriminator would be wrong about one such image in ten, or fewer"),
)


def check_page() -> None:
    """The page."""
    generator = choose_model()
    st.title("Real or generated?")
    st.markdown(
        "Every GAN trains a critic that tells real images from generated ones. Here you can ask this model's "
        "critic. It knows only images like those it was trained on: about any other picture its answer means nothing."
    )
    if generator.calibration is None:
        st.info(
            "This model came without an evaluation report, so its critic's scores have no meaning as probabilities."
        )
        return
    attributes = attribute_boxes(generator, "check")
    file = st.file_uploader("An image", type=["png", "jpg", "jpeg", "webp", "bmp"])
    if file is None:
        return
    spec = generator.bundle.info.spec
    try:
        config = read_section(IngestConfig, {"image_size": spec.image_size, "channels": spec.channels})
        pixels = prepare_image(file.getvalue(), config).pixels
        probability = float(generator.discriminate(pixels[None], attributes=attributes)[0])
    except (RejectedError, FaceForgeError) as error:
        st.error(f"{file.name} cannot be used: {error}")
        return
    left, right = st.columns([1, 3])
    left.html(gallery(pixels[None], ["as the model sees it"], tile=160))
    with right:
        _answer(probability, generator, open_labels=len(attributes) < len(generator.labels))


def verdict(probability: float) -> tuple[str, str]:
    """A few words for P(real), and what to make of them."""
    return next((words, meaning) for limit, words, meaning in VERDICTS if probability < limit)


def _answer(probability: float, generator: Generator, open_labels: bool) -> None:
    words, meaning = verdict(probability)
    st.subheader(words)
    st.progress(probability, f"{probability:.0%} real, {1 - probability:.0%} generated")
    st.markdown(
        f"Of the images that get this score, about {probability:.0%} were real when as many real images as samples of "
        f"this model were shown: {meaning}."
    )
    if open_labels:
        st.caption("Labels left at *any* were tried in turn; the answer is for those that suit the image best.")
