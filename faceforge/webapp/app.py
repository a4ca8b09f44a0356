"""The Streamlit script; `faceforge ui` runs it."""

from __future__ import annotations

import streamlit as st
from PIL import Image

from faceforge.data.sources.toyfaces import draw_toyfaces
from faceforge.webapp.check_page import check_page
from faceforge.webapp.explore_page import explore_page
from faceforge.webapp.generate_page import generate_page
from faceforge.webapp.runs_page import runs_page

# An own picture: browsers would fetch a named icon from the network.
st.set_page_config(page_title="FaceForge", page_icon=Image.fromarray(draw_toyfaces(1, 64, seed=3)[0][0]), layout="wide")
page = st.navigation(
    [
        st.Page(generate_page, title="Generate", icon=":material/face:", url_path="generate", default=True),
        st.Page(check_page, title="Real or not", icon=":material/fact_check:", url_path="check"),
        st.Page(explore_page, title="Explore", icon=":material/tune:", url_path="explore"),
        st.Page(runs_page, title="Runs", icon=":material/monitoring:", url_path="runs"),
    ],
    position="top",
)
page.run()
