"""Page "Runs": model versions, and each run's decision, sample grids, loss curves and metrics."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from faceforge.errors import FaceForgeError
from faceforge.markdown import plain
from faceforge.tracking.browse import Grid, RunSummary, list_runs, read_grid, training_curves, training_grids
from faceforge.tracking.connection import connect
from faceforge.webapp.session import options, versions

_LOSSES = ("loss/generator", "loss/discriminator")
_HEADLINE = ("domain/frechet", "domain/label_agreement", "inception/fid")


def runs_page() -> None:
    """Renders the page."""
    st.title("Runs and models")
    try:
        connect(options().tracking_uri, create=False)
        runs = list_runs(options().experiment)
    except FaceForgeError as error:
        st.info(f"MLflow cannot be read ({plain(str(error))}). `make run` creates a local database.")
        return
    _models()
    if not runs:
        st.info(f"The experiment **{plain(options().experiment)}** has no runs yet.")
        return
    st.subheader("Runs")
    st.dataframe(pd.DataFrame([_row(run) for run in runs]), hide_index=True)
    chosen = st.selectbox("Run", runs, format_func=_title)
    _details(chosen)


def _title(run: RunSummary) -> str:
    """Name with the outcome, which names of evaluated runs end with."""
    outcome = run.decision or run.status.lower()
    return run.name if run.name.endswith(f" · {outcome}") else f"{run.name} · {outcome}"


def _minute(time: str) -> str:
    """`2026-11-22 09:07` of `2026-11-22T09:07:31+00:00`."""
    return time[:16].replace("T", " ")


def _models() -> None:
    rows = [
        {
            "version": version.version,
            "aliases": ", ".join(version.aliases),
            "decision": version.decision,
            "created (UTC)": _minute(version.created),
        }
        for version in versions()
    ]
    if rows:
        st.subheader(f"Versions of {plain(options().name)}")
        st.dataframe(pd.DataFrame(rows), hide_index=True)


def _row(run: RunSummary) -> dict[str, object]:
    headline = {name: run.metrics[name] for name in _HEADLINE if name in run.metrics}
    return {
        "run": run.name,
        "started (UTC)": _minute(run.started),
        "status": run.status.lower(),
        "decision": run.decision,
        "model": run.model,
        **headline,
    }


def _details(run: RunSummary) -> None:
    if run.failure:
        st.error(plain(run.failure))
    if run.decision:
        st.markdown(f"**{plain(run.decision)}**: {plain(run.reasons)}")
    grids = training_grids(run.run_id)
    left, right = st.columns(2)
    with left:
        st.markdown("**Samples over training**")
        if grids:
            steps = [grid.images_seen for grid in grids]
            step = steps[0]
            if len(steps) > 1:
                step = st.select_slider(
                    "Images seen", steps, steps[-1], format_func="{:,}".format, key=f"at-{run.run_id}"
                )
            grid = grids[steps.index(step)]
            st.image(_picture(grid.images_seen, grid.run_id, grid.path), width="stretch")
        else:
            st.caption("No sample grids were logged.")
    with right:
        st.markdown("**Losses**")
        curves = training_curves(run.run_id, _LOSSES)
        if curves:
            columns = {name: dict(points) for name, points in curves.items()}
            st.line_chart(pd.DataFrame(columns).rename_axis("images seen"), x_label="images seen")
        else:
            st.caption("No losses were logged.")
    with st.expander("All metrics"):
        st.dataframe(pd.DataFrame(sorted(run.metrics.items()), columns=["metric", "value"]), hide_index=True)


@st.cache_data(max_entries=200, show_spinner=False)
def _picture(images_seen: int, run_id: str, path: str) -> bytes:
    return read_grid(Grid(images_seen, run_id, path))
