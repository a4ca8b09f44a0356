"""The notebook runs top to bottom, with numbers so small that it takes seconds."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "FaceForge_Training.ipynb"
TINY = (
    "ingest.limit=600, train.kimg=0.64, train.grids=5, train.log_points=20, train.checkpoints=1, model.width=8, "
    "model.max_width=16, evaluate.samples=100, evaluate.classifier_epochs=1"
)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (settings,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    assert 'SETTINGS = ""' in settings.source
    settings.source = settings.source.replace('SETTINGS = ""', f'SETTINGS = "{TINY}"')
    folder = tmp_path_factory.mktemp("notebook")
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def test_it_ends_with_a_model_and_its_evaluation(executed: nbformat.NotebookNode) -> None:
    printed = "".join(
        output.text for cell in executed.cells for output in cell.get("outputs", ()) if output.output_type == "stream"
    )
    assert "model: faceforge-notebook/model/bundle" in printed
    assert "decision:" in printed
    assert "smiling" in printed
    (last,) = executed.cells[-2].outputs
    assert last.data["text/plain"].startswith("<24 samples of 32 x 32 px, RGB; expression: neutral 8")


def test_it_shows_pictures_of_data_training_and_samples(executed: nbformat.NotebookNode) -> None:
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
        for cell in executed.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 5  # the set, samples in training, curves, the evaluation's sheet, generated ones
    for picture in pictures:
        assert len(set(picture.convert("L").tobytes())) > 10  # not a blank


def test_it_is_committed_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if "outputs" in cell)
