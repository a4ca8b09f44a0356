"""Loading the served model, and replacing it after a promotion while requests are running."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from faceforge.errors import FaceForgeError
from faceforge.inference.generator import Generator
from faceforge.serving.batching import BatchedModel, Batcher
from faceforge.tracking.model_source import current_version, model_address

_log = logging.getLogger("uvicorn.error")


@dataclass(frozen=True)
class Served:
    """The model being served.

    Attributes:
        generator: the model; its network is called through the batcher.
        name: `models:/NAME/VERSION`, or the name of the folder or file.
        loaded: time of loading, ISO 8601, UTC.
    """

    generator: Generator
    name: str
    loaded: str


def resolve_source(source: str, tracking_uri: str) -> str:
    """The source with a name or alias replaced by the version that it stands for now; loads nothing.

    Args:
        source: folder, `FILE.onnx`, `NAME` (the champion of a registered model), `models:/NAME@ALIAS` or
            `models:/NAME/VERSION`.
        tracking_uri: MLflow server of the registry; empty: the default of `Generator.load`.

    Raises:
        FaceForgeError: there is no such file, folder or version, or the registry does not answer.
    """
    address = model_address(source)
    if address.startswith("models:"):
        from faceforge.tracking.connection import current_uri

        return current_version(source, tracking_uri or current_uri())
    if not address.startswith("runs:") and not Path(source).exists():
        raise FaceForgeError(f"{source} does not exist; name a bundle folder, FILE.onnx, or a model in MLflow")
    return address


class Loader:
    """Loads a model in its own thread; if the source is a registry alias, loads the new version whenever it moves.

    A request finishes with the model it started with; an old model is freed after its last request. If a new version
    cannot be loaded, the error is logged, the old version keeps serving, and loading is tried again.

    Args:
        source: as `resolve_source` takes it.
        tracking_uri: MLflow server of the registry; empty: the default of `Generator.load`.
        poll: seconds between checks of the alias.
        batcher: calls the model's network.
        on_load: called after every attempt, with whether it succeeded.
        on_failure: called with the error if the first attempt fails; there is nothing to serve then.
    """

    def __init__(
        self,
        source: str,
        tracking_uri: str,
        poll: float,
        batcher: Batcher,
        on_load: Callable[[bool], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._source, self._tracking_uri, self._poll, self._batcher = source, tracking_uri, poll, batcher
        self._address = model_address(source)
        self._on_load, self._on_failure = on_load, on_failure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)
        self.served: Served | None = None

    def start(self) -> None:
        """Starts loading."""
        self._thread.start()

    def close(self) -> None:
        """Stops checking the alias."""
        self._stop.set()

    def _run(self) -> None:
        try:
            address = resolve_source(self._source, self._tracking_uri)
            if not address.endswith(".onnx"):
                import keras  # noqa: F401
            gc.freeze()  # the libraries' objects: each collection that includes them stops the server for 0.3 s
            self._load(address)
        except Exception as error:
            self._on_failure(error)
            return
        while "@" in self._address and self._address.startswith("models:") and not self._stop.wait(self._poll):
            self._follow()

    def _follow(self) -> None:
        try:
            name = resolve_source(self._source, self._tracking_uri)
            if self.served is not None and name != self.served.name:
                self._load(name)
                gc.collect()  # networks are cyclic garbage, which Python would keep for a long time
        except FaceForgeError as error:
            self._on_load(False)
            _log.warning("%s; still serving %s", error, self.served.name if self.served else "nothing")
        except Exception:
            self._on_load(False)
            _log.exception("the new version cannot be loaded")

    def _load(self, name: str) -> None:
        loaded = Generator.load(name, self._tracking_uri)
        generator = Generator(BatchedModel(loaded.bundle, self._batcher), loaded.calibration)
        _warm_up(generator)
        shown = name if name.startswith("models:") else Path(name).resolve().name
        self.served = Served(generator, shown, datetime.now(UTC).isoformat(timespec="seconds"))
        self._on_load(True)
        _log.info("Ready: serving %s", shown)


def _warm_up(generator: Generator) -> None:
    """Samples and scores 1, then 2 images: TensorFlow compiles on the first call and when the batch size varies."""
    for count in (1, 2):
        samples = generator.generate(count)
        if generator.calibration is not None:
            generator.discriminate(samples.images, labels=samples.labels)
