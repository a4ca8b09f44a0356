"""The training data of the champion, as its pipeline run logged it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from faceforge.errors import FaceForgeError
from faceforge.tracking.connection import readable
from faceforge.tracking.tags import MLFLOW_PARENT_TAG, PARENT_RUN_TAG, STEP_TAG
from faceforge.tracking.versions import CHAMPION

_FILE = "dataset.json"


@dataclass(frozen=True)
class ChampionData:
    """The `dataset.json` that the champion's ingest step logged.

    Attributes:
        version: number of the champion; '' = there is no champion.
        text: content of the file; '' without a champion.
    """

    version: str = ""
    text: str = ""


def champion_data(name: str) -> ChampionData:
    """Downloads the description of the image set that the champion of the model `name` was trained on.

    Raises:
        FaceForgeError: the registry does not answer, or the champion's run is deleted.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    with readable("MLflow"), TemporaryDirectory() as folder:
        client = MlflowClient()
        try:
            number = client.get_registered_model(name).aliases.get(CHAMPION)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return ChampionData()
            raise
        if not number:
            return ChampionData()
        version = client.get_model_version(name, str(number))
        parent = client.get_run(version.tags.get(PARENT_RUN_TAG, ""))
        query = f"tags.`{STEP_TAG}` = 'ingest' and tags.`{MLFLOW_PARENT_TAG}` = '{parent.info.run_id}'"
        steps = client.search_runs([parent.info.experiment_id], query, max_results=1)
        if not steps:
            raise FaceForgeError(f"the run of {name} version {number} has no ingest step")
        file = client.download_artifacts(steps[0].info.run_id, _FILE, folder)
        return ChampionData(str(number), Path(file).read_text())
