"""The HTTP interface: what there is to ask, and how failures are told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import Response
from fastapi.security import APIKeyHeader

import faceforge
from faceforge.inference.generator import Generator, Samples
from faceforge.serving import responses, schemas
from faceforge.serving.batching import Batcher
from faceforge.serving.concurrency import Admission
from faceforge.serving.error_responses import tell_failures
from faceforge.serving.limits import MAX_IMAGES, MAX_UPLOADS, UPLOAD_BYTES, UPLOAD_PIXELS, Limits
from faceforge.serving.loading import Loader, Served
from faceforge.serving.metrics import Metrics
from faceforge.serving.middleware import KEY_HEADER, Guard
from faceforge.serving.uploads import read_uploads

_ABOUT = """Draws labelled face images that show nobody, and says how real an image looks to the model.

`Accept` chooses the format of drawn images: `application/json` (base64 PNG beside labels), `image/png` (all in one),
`application/zip` or `application/vnd.apache.parquet`."""

Make = Callable[[Generator], Samples]


def create_app(
    source: str,
    limits: Limits,
    *,
    tracking_uri: str,
    api_key: str,
    poll: float,
    on_failure: Callable[[Exception], None],
) -> FastAPI:
    """The application; it begins to load its model when the server starts.

    Args:
        source: what to serve, as `Generator.load` takes it.
        limits: of this installation.
        tracking_uri: where the registry is; empty: as `Generator.load` has it.
        api_key: what clients must send to use `/v1/`; empty = nothing.
        poll: seconds between looks at the source's alias.
        on_failure: told why no model could be loaded at first.
    """
    admission = Admission(limits)
    metrics = Metrics(lambda: admission.taken)
    batcher = Batcher(limits.batch, metrics.batch)
    loader = Loader(source, tracking_uri, poll, batcher, metrics.load, on_failure)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loader.start()
        yield
        loader.close()
        admission.close()
        batcher.close()

    app = FastAPI(title="FaceForge", version=faceforge.__version__, description=_ABOUT, lifespan=lifespan)
    app.add_middleware(Guard, api_key=api_key, admission=admission, metrics=metrics, limits=limits)
    app.state.admission, app.state.loader, app.state.limits = admission, loader, limits
    tell_failures(app, admission)
    _add_state(app, loader, metrics)
    _add_model(app)
    return app


def _add_state(app: FastAPI, loader: Loader, metrics: Metrics) -> None:
    """What operators ask."""

    @app.get("/healthz", tags=["state"])
    async def alive() -> schemas.Health:
        """Whether the process answers."""
        return schemas.Health(status="ok")

    @app.get("/readyz", tags=["state"], responses={503: {"model": schemas.Problem, "description": "no model yet"}})
    async def ready() -> schemas.Health:
        """Whether a model is loaded."""
        if loader.served is None:
            raise HTTPException(503, "the model is being loaded", {"Retry-After": "2"})
        return schemas.Health(status="ready")

    @app.get("/metrics", tags=["state"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def measures() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _served(request: Request) -> Served:
    served: Served | None = request.app.state.loader.served
    if served is None:
        raise HTTPException(503, "the model is being loaded", {"Retry-After": "2"})
    return served


_Model = Annotated[Served, Depends(_served)]
_key = APIKeyHeader(name=KEY_HEADER, auto_error=False, description="needed where the server has an API key")


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": schemas.Problem, "description": _MEANINGS[status]} for status in statuses}


_MEANINGS = {
    400: "the body cannot be read",
    401: "API key missing or wrong",
    406: "none of the accepted formats exists",
    408: "the request came too slowly",
    409: "the model cannot do this",
    413: "too large",
    422: "not what is expected; the detail says what is",
    429: "too many requests at the moment; see Retry-After",
    503: "no model yet, or no time left",
}
_ALWAYS = _problems(400, 401, 408, 413, 422, 429, 503)
_IMAGES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": schemas.DrawnImages,
        "description": "the images, in the accepted format",
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}}
            for media_type in responses.WRITERS
            if media_type != responses.JSON
        },
    },
    **_problems(406),
    **_ALWAYS,
}


def _add_model(app: FastAPI) -> None:
    """What users ask."""
    options: dict[str, Any] = {"tags": ["model"], "dependencies": [Depends(_key)]}

    @app.get("/v1/model", responses=_problems(401, 408, 413, 503), **options)
    async def model(served: _Model) -> schemas.ModelFacts:
        """Which model is served, what it was trained on and which labels it takes."""
        info = served.generator.bundle.info
        return schemas.ModelFacts(
            model=served.name,
            loaded=served.loaded,
            image_size=info.spec.image_size,
            channels=info.spec.channels,
            labels=info.labels,
            rates_images=served.generator.calibration is not None,
            dataset_digest=info.dataset_digest,
            limits={
                "images": MAX_IMAGES,
                "uploads": MAX_UPLOADS,
                "upload_bytes": UPLOAD_BYTES,
                "upload_pixels": UPLOAD_PIXELS,
                **asdict(app.state.limits),
            },
        )

    @app.post("/v1/generate", responses=_IMAGES, response_class=Response, **options)
    async def generate(wish: schemas.GenerateRequest, request: Request, served: _Model) -> Response:
        """Draws images of the wished labels."""
        return await _draw(request, served, lambda generator: generator.generate(**wish.model_dump()))

    @app.post("/v1/interpolate", responses=_IMAGES, response_class=Response, **options)
    async def interpolate(wish: schemas.InterpolateRequest, request: Request, served: _Model) -> Response:
        """Draws the way from one seed's face to the next."""
        count = (len(wish.seeds) - 1) * (wish.steps - 1) + 1
        if count > MAX_IMAGES:
            raise HTTPException(422, f"{count} images are asked for; at most {MAX_IMAGES} per request")
        given = wish.model_dump(exclude={"seeds"})
        return await _draw(request, served, lambda generator: generator.interpolate(wish.seeds, **given))

    @app.post("/v1/discriminate", responses=_problems(409) | _ALWAYS, **options)
    async def discriminate(
        request: Request,
        served: _Model,
        images: Annotated[list[UploadFile], File(min_length=1, max_length=MAX_UPLOADS, description="image files")],
        attributes: Annotated[
            str, Form(max_length=10_000, description="JSON: column -> class that the images show", examples=["{}"])
        ] = "{}",
    ) -> schemas.Ratings:
        """Rates uploaded images; those whose labels are left open under the labels that suit them best."""
        if served.generator.calibration is None:
            raise HTTPException(409, f"{served.name} cannot rate images: it came without a calibrated discriminator")
        labels = _columns(attributes)
        files = [((upload.filename or "image")[:200], upload.file) for upload in images]

        def rate() -> schemas.Ratings:
            pixels = read_uploads(files, served.generator.bundle.info.spec)
            rated = served.generator.discriminate(pixels, attributes=labels)
            ratings = [
                schemas.Rating(file=name, probability_real=float(value))
                for (name, _), value in zip(files, rated, strict=True)
            ]
            return schemas.Ratings(model=served.name, images=ratings)

        ratings: schemas.Ratings = await request.app.state.admission.run(rate)
        return ratings


def _columns(attributes: str) -> dict[str, Any]:
    """The form field `attributes`."""
    try:
        columns = json.loads(attributes)
    except (ValueError, RecursionError):
        columns = None
    if not isinstance(columns, dict) or not all(isinstance(value, str | bool | int) for value in columns.values()):
        raise HTTPException(422, 'attributes: JSON such as {"gender": "female"} is expected')
    return columns


async def _draw(request: Request, served: Served, make: Make) -> Response:
    """Draws and answers in the accepted format."""
    media_type = responses.chosen_type(request.headers.get("accept", ""))
    if media_type is None:
        raise HTTPException(406, f"images come as {', '.join(responses.WRITERS)}")

    def work() -> bytes:
        return responses.WRITERS[media_type](make(served.generator), served)

    body = await request.app.state.admission.run(work)
    return Response(body, media_type=media_type, headers=responses.headers(served))
