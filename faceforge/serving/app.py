"""The HTTP interface: endpoints, their documentation and their error responses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, Response
from fastapi.security import APIKeyHeader
from pydantic import ValidationError

import faceforge
from faceforge.inference.generator import Generator, Samples
from faceforge.serving import responses, schemas
from faceforge.serving.batching import Batcher
from faceforge.serving.concurrency import ConcurrencyLimit
from faceforge.serving.error_responses import add_error_handlers
from faceforge.serving.forms import FormRoute
from faceforge.serving.limits import MAX_IMAGES, MAX_UPLOADS, UPLOAD_BYTES, UPLOAD_PIXELS, Limits
from faceforge.serving.loading import Loader, Served
from faceforge.serving.metrics import Metrics
from faceforge.serving.middleware import KEY_HEADER, Access, RequestMiddleware
from faceforge.serving.reference_page import reference_page
from faceforge.serving.uploads import read_uploads

_ABOUT = """Generates labelled images of faces of people who do not exist, and rates how real an uploaded image looks.

The `Accept` header chooses the format of generated images: `application/json` (base64 PNG and labels), `image/png`
(one contact sheet), `application/zip` or `application/vnd.apache.parquet`."""

_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

Sampling = Callable[[Generator], Samples]


def create_app(
    source: str,
    limits: Limits,
    *,
    tracking_uri: str,
    poll: float,
    on_failure: Callable[[Exception], None],
    access: Access | None = None,
) -> FastAPI:
    """The FastAPI application; it starts loading its model when the server starts.

    Args:
        source: model to serve, as `Generator.load` takes it.
        limits: queue length, batch size and time limit.
        tracking_uri: MLflow server of the registry; empty: the default of `Generator.load`.
        poll: seconds between checks of the alias in `source`.
        on_failure: called with the error if the first model cannot be loaded.
        access: API key, allowed origins and prefix of paths; None: everyone on this machine, no prefix.
    """
    access = access or Access()
    requests = ConcurrencyLimit(limits)
    metrics = Metrics(lambda: requests.in_progress)
    batcher = Batcher(limits.batch, metrics.batch)
    loader = Loader(source, tracking_uri, poll, batcher, metrics.load, on_failure)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loader.start()
        yield
        loader.close()
        requests.close()
        batcher.close()

    app = FastAPI(
        title="FaceForge",
        version=faceforge.__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages load scripts from other servers; ours needs none
        redoc_url=None,
    )
    app.router.route_class = FormRoute
    app.add_middleware(RequestMiddleware, access=access, requests=requests, metrics=metrics, limits=limits)
    if access.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=access.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Accept", "Authorization", "Content-Type", KEY_HEADER],
            expose_headers=["Retry-After", responses.MODEL_HEADER],
        )
    app.state.requests, app.state.loader, app.state.limits = requests, loader, limits
    add_error_handlers(app, requests)
    _add_state(app, loader, metrics)
    _add_model(app)
    return app


def _add_state(app: FastAPI, loader: Loader, metrics: Metrics) -> None:
    """Endpoints for operators: health, readiness, metrics."""

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", tags=["state"])
    async def health() -> schemas.Health:
        """Whether the process responds."""
        return schemas.Health(status="ok")

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", tags=["state"], responses={503: {"model": schemas.Problem, "description": "no model yet"}})
    async def ready() -> schemas.Health:
        """Whether a model is loaded."""
        if loader.served is None:
            raise HTTPException(503, "the model is being loaded", {"Retry-After": "2"})
        return schemas.Health(status="ready")

    @app.get("/metrics", tags=["state"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def prometheus_metrics() -> Response:
        """Metrics in the Prometheus text format."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/docs", include_in_schema=False)
    async def reference() -> HTMLResponse:
        """The interface as a page that needs no scripts."""
        return HTMLResponse(reference_page(app.openapi()), headers={"Content-Security-Policy": _PAGE_POLICY})


def _served(request: Request) -> Served:
    served: Served | None = request.app.state.loader.served
    if served is None:
        raise HTTPException(503, "the model is being loaded", {"Retry-After": "2"})
    return served


_Model = Annotated[Served, Depends(_served)]
_key = APIKeyHeader(name=KEY_HEADER, auto_error=False, description="required if the server has an API key")


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": schemas.Problem, "description": _MEANINGS[status]} for status in statuses}


_MEANINGS = {
    400: "the body cannot be read",
    401: "API key missing or wrong",
    403: "sent by a web page of another site",
    406: "none of the accepted formats is available",
    408: "the request body arrived too slowly",
    409: "not supported by this model",
    413: "too large",
    415: "the charset of the body is not supported",
    422: "invalid input; the detail says what is expected",
    429: "too many requests; see Retry-After",
    503: "the model is still loading, or the time limit was exceeded",
}
_ALWAYS = _problems(400, 401, 403, 408, 413, 415, 422, 429, 503)
_IMAGES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": schemas.GeneratedImages,
        "description": "the images in the accepted format",
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
    """Endpoints for users of the model."""
    options: dict[str, Any] = {"tags": ["model"], "dependencies": [Depends(_key)]}

    @app.get("/v1/model", responses=_problems(401, 403, 408, 413, 415, 503), **options)
    async def model(served: _Model) -> schemas.ModelFacts:
        """Which model is served, what it was trained on, and its label columns."""
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
    async def generate(body: schemas.GenerateRequest, request: Request, served: _Model) -> Response:
        """Generates images with the requested labels."""
        return await _draw(request, served, lambda generator: generator.generate(**body.model_dump()))

    @app.post("/v1/interpolate", responses=_IMAGES, response_class=Response, **options)
    async def interpolate(body: schemas.InterpolateRequest, request: Request, served: _Model) -> Response:
        """Interpolates from the face of one seed to that of the next."""
        count = (len(body.seeds) - 1) * (body.steps - 1) + 1
        if count > MAX_IMAGES:
            raise HTTPException(422, f"{count} images requested; the limit is {MAX_IMAGES} per request")
        options = body.model_dump(exclude={"seeds"})
        return await _draw(request, served, lambda generator: generator.interpolate(body.seeds, **options))

    @app.post("/v1/discriminate", responses=_problems(409) | _ALWAYS, **options)
    async def discriminate(
        request: Request,
        served: _Model,
        images: Annotated[list[UploadFile], File(min_length=1, max_length=MAX_UPLOADS, description="image files")],
        attributes: Annotated[
            str,
            Form(max_length=10_000, description="JSON: label column -> class of all images", examples=["{}"]),
        ] = "{}",
    ) -> schemas.Ratings:
        """Rates how real uploaded images look; for columns without a given class the best-scoring class is used."""
        if served.generator.calibration is None:
            raise HTTPException(409, f"{served.name} cannot rate images: it has no calibrated discriminator")
        labels = _columns(attributes)
        files = [((upload.filename or "image")[:200], upload.file) for upload in images]

        def rate() -> schemas.Ratings:
            pixels = read_uploads(files, served.generator.bundle.info.spec)
            probabilities = served.generator.discriminate(pixels, attributes=labels)
            ratings = [
                schemas.Rating(file=name, probability_real=float(value))
                for (name, _), value in zip(files, probabilities, strict=True)
            ]
            return schemas.Ratings(model=served.name, images=ratings)

        ratings: schemas.Ratings = await request.app.state.requests.run(rate)
        return ratings


def _columns(attributes: str) -> dict[str, Any]:
    """Label column -> class, from the form field `attributes`."""
    try:
        return schemas.ATTRIBUTES.validate_json(attributes)
    except ValidationError:
        raise HTTPException(422, 'attributes: expected a JSON object such as {"gender": "female"}') from None


async def _draw(request: Request, served: Served, sample: Sampling) -> Response:
    """Samples images and returns them in the accepted format."""
    media_type = responses.chosen_type(request.headers.get("accept", ""))
    if media_type is None:
        raise HTTPException(406, f"available formats: {', '.join(responses.WRITERS)}")

    def work() -> bytes:
        return responses.WRITERS[media_type](sample(served.generator), served)

    body = await request.app.state.requests.run(work)
    return Response(body, media_type=media_type, headers=responses.headers(served))
