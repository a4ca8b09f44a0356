"""Page "Real or not": the discriminator's calibrated rating of an uploaded image, in words."""

from __future__ import annotations

import streamlit as st

from faceforge.config import IngestConfig, read_section
from faceforge.data.preprocess.prepare import RejectedError, prepare_image
from faceforge.errors import FaceForgeError
from faceforge.inference.generator import Generator
from faceforge.markdown import plain
from faceforge.webapp.generate_page import attribute_boxes
from faceforge.webapp.pictures import gallery
from faceforge.webapp.session import choose_model

# (upper limit of P(real), verdict, meaning). The middle is wide because the discriminator is often undecided.
VERDICTS = (
    (0.1, "Very likely generated", "this discriminator would be wrong about one such image in ten, or fewer"),
    (0.35, "Rather generated", "a tendency, not more"),
    (0.65, "Undecided", "images like this one are real about as often as not"),
    (0.9, "Rather real", "a tendency, not more"),
    (1.01, "Very likely real", "this discriminator would be wrong about one such image in ten, or fewer"),
)


def check_page() -> None:
    """Renders the page."""
    st.title("Real or generated?")
    generator = choose_model()
    st.markdown(
        "A GAN trains a discriminator to distinguish real images from generated ones. This page shows how it rates "
        "your image. The rating is only meaningful for images like those the model was trained on."
    )
    if generator.calibration is None:
        st.info(
            "This model cannot rate images: it was released without its discriminator, which can reveal training "
            "images (set export.with_discriminator=true to include it), or it has no evaluation report."
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
        st.error(plain(f"{file.name} cannot be used: {error}"))
        return
    left, right = st.columns([1, 3])
    left.html(gallery(pixels[None], ["as the model sees it"], tile=160))
    with right:
        _show_rating(probability, generator, open_labels=len(attributes) < len(generator.labels))


def verdict(probability: float) -> tuple[str, str]:
    """The verdict for P(real), and what it means."""
    return next((words, meaning) for limit, words, meaning in VERDICTS if probability < limit)


def _show_rating(probability: float, generator: Generator, open_labels: bool) -> None:
    words, meaning = verdict(probability)
    st.subheader(words)
    st.progress(probability, f"{probability:.0%} real, {1 - probability:.0%} generated")
    st.markdown(
        f"In an equal mix of real images and samples of this model, about {probability:.0%} of those with this score "
        f"were real: {meaning}."
    )
    if open_labels:
        st.caption("For labels left at *any*, every class was tried and the best-scoring one is shown.")
