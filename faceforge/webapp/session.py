"""The app's command-line options, and the models it has loaded."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import streamlit as st

from faceforge.defaults import EXPERIMENT, MODEL_NAME
from faceforge.errors import FaceForgeError
from faceforge.inference.generator import Generator
from faceforge.markdown import plain
from faceforge.tracking.connection import connect
from faceforge.tracking.uri import without_password
from faceforge.tracking.versions import VersionInfo, list_versions


@dataclass(frozen=True)
class Options:
    """Options that `faceforge ui` passes on.

    Attributes:
        model: bundle folder, ONNX file or `models:/...`; empty = choose among the versions of `name`.
        name: registered model.
        experiment: MLflow experiment whose runs are shown.
        tracking_uri: MLflow tracking URI.
    """

    model: str
    name: str
    experiment: str
    tracking_uri: str


def options() -> Options:
    """The options on the command line of the Streamlit process."""
    parser = argparse.ArgumentParser()
    for name, default in (("model", ""), ("name", MODEL_NAME), ("experiment", EXPERIMENT), ("tracking-uri", "")):
        parser.add_argument(f"--{name}", default=default)
    return Options(**vars(parser.parse_args(sys.argv[1:])))


def versions() -> list[VersionInfo]:
    """The versions of the registered model, newest first; empty if there is no registry or no such model."""
    chosen = options()
    try:
        connect(chosen.tracking_uri, create=False)
        return list_versions(chosen.name)
    except FaceForgeError:
        return []


def choose_model() -> Generator:
    """The model selected in the sidebar; without any model, explains how to get one and stops the page."""
    chosen = options()
    place = plain(without_password(chosen.tracking_uri)) or "the local database"
    with st.spinner(f"Asking MLflow ({place}) for models..."):
        choices = _model_choices(chosen)
    if not choices:
        st.info(
            f"There is no model yet: **{chosen.name}** has no registered version. Run `make run`, or start the "
            "app with a bundle folder: `faceforge ui --model work/model/bundle`."
        )
        st.stop()
    uri = st.sidebar.selectbox("Model", list(choices), format_func=choices.__getitem__, key="model")
    try:
        return _load(uri, chosen.tracking_uri)
    except FaceForgeError as error:
        st.error(f"This model cannot be used: {plain(str(error))}")
        st.stop()


@st.cache_resource(
    max_entries=3, show_spinner="Loading the model; the first one also starts TensorFlow (some ten seconds)..."
)
def _load(uri: str, tracking_uri: str) -> Generator:
    return Generator.load(uri, tracking_uri)


def _model_choices(chosen: Options) -> dict[str, str]:
    """Model URI -> name in the sidebar; the champion comes first."""
    if chosen.model:
        return {chosen.model: chosen.model}
    ordered = sorted(versions(), key=lambda version: "champion" not in version.aliases)
    return {
        f"models:/{chosen.name}/{version.version}": " · ".join([f"version {version.version}", *version.aliases])
        for version in ordered
    }
