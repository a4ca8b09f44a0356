"""What the app was started with, and the models it has loaded."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import streamlit as st

from faceforge.errors import FaceForgeError
from faceforge.inference.generator import Generator
from faceforge.tracking.connection import connect
from faceforge.tracking.versions import VersionInfo, list_versions


@dataclass(frozen=True)
class Options:
    """`faceforge ui` passes these on.

    Attributes:
        model: bundle folder, ONNX file or `models:/...`; empty = the versions of `name` are offered.
        name: registered model.
        experiment: whose runs are shown.
        tracking_uri: MLflow.
    """

    model: str
    name: str
    experiment: str
    tracking_uri: str


def options() -> Options:
    """The options on the command line of the Streamlit process."""
    parser = argparse.ArgumentParser()
    for name, default in (("model", ""), ("name", "faceforge"), ("experiment", "faceforge"), ("tracking-uri", "")):
        parser.add_argument(f"--{name}", default=default)
    return Options(**vars(parser.parse_args(sys.argv[1:])))


def versions() -> list[VersionInfo]:
    """The versions of the registered model, newest first; none where there is no registry or no such model."""
    chosen = options()
    try:
        connect(chosen.tracking_uri, create=False)
        return list_versions(chosen.name)
    except FaceForgeError:
        return []


def choose_model() -> Generator:
    """The model picked in the sidebar; the page ends with an explanation where there is none."""
    chosen = options()
    offered = _offered(chosen)
    if not offered:
        st.info(
            f"There is no model yet: no version of **{chosen.name}** is registered here. Make one with `make run`, "
            "or start the app with a model's folder: `faceforge ui --model work/model/bundle`."
        )
        st.stop()
    uri = st.sidebar.selectbox("Model", list(offered), format_func=offered.__getitem__, key="model")
    try:
        return _load(uri, chosen.tracking_uri)
    except FaceForgeError as error:
        st.error(f"This model cannot be used: {error}")
        st.stop()


@st.cache_resource(max_entries=3, show_spinner="Loading the model...")
def _load(uri: str, tracking_uri: str) -> Generator:
    return Generator.load(uri, tracking_uri)


def _offered(chosen: Options) -> dict[str, str]:
    """Model -> what to call it; the champion comes first."""
    if chosen.model:
        return {chosen.model: chosen.model}
    found = sorted(versions(), key=lambda version: "champion" not in version.aliases)
    return {
        f"models:/{chosen.name}/{version.version}": " · ".join([f"version {version.version}", *version.aliases])
        for version in found
    }
