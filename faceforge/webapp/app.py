"""The Streamlit script; `faceforge ui` runs it."""

from __future__ import annotations

import streamlit as st

from faceforge.webapp.generate_page import generate_page
from faceforge.webapp.runs_page import runs_page

st.set_page_config(page_title="FaceForge", page_icon=":material/face:", layout="wide")
page = st.navigation(
    [
        st.Page(generate_page, title="Generate", icon=":material/face:", url_path="generate", default=True),
        st.Page(runs_page, title="Runs", icon=":material/monitoring:", url_path="runs"),
    ],
    position="top",
)
page.run()
