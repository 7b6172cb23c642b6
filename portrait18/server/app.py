"""The ASGI app: routes for programs, the web page, error responses and middleware."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from starlette.requests import ClientDisconnect

from portrait18.deployment.bundle import Manifest
from portrait18.server.middleware import RequestMiddleware
from portrait18.server.pages import add_pages
from portrait18.server.problems import add_problem_details
from portrait18.server.routes import Endpoints
from portrait18.server.schemas import Model
from portrait18.server.service import PredictionService, Predictor
from portrait18.server.settings import Settings
from portrait18.server.telemetry import Telemetry

PATHS = {"/predict", "/health", "/metrics", "/openapi.json"}


def describe_model(manifest: Manifest) -> Model:
    """Return what /health and the page say about a bundle."""
    metrics, data = manifest.metrics, manifest.training_set
    scores = {"all": metrics, **{name: metrics.get(name, {}) for name in ("mask", "gender", "age")}}
    return Model(
        description=manifest.description(),
        networks=len(manifest.networks),
        training_people=data.people,
        training_photos=data.photos,
        validation={k: v["macro_f1"] for k, v in scores.items() if "macro_f1" in v},
    )


def create_app(
    predictor: Predictor, settings: Settings, model: Model, device: str = "cpu"
) -> FastAPI:
    """Return the server of one loaded bundle.

    Args:
        predictor: the loaded bundle.
        settings: limits and the API key.
        model: the loaded networks, for /health.
        device: where they run, for /health.
    """
    telemetry = Telemetry()
    service = PredictionService(predictor, settings, telemetry)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.batcher.start()
        yield
        await service.close()

    app = FastAPI(
        title="Portrait18",
        version="1",
        summary="Predicts mask, gender and age group of every face in a photo.",
        docs_url=None,  # FastAPI's own pages load scripts from other hosts
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.draining = False  # True once the server stops: responses then close connections
    app.include_router(Endpoints(service, settings, telemetry, device, model).router())
    paths = PATHS | add_pages(app)
    add_problem_details(app)
    app.add_exception_handler(ClientDisconnect, lambda *_: Response(status_code=499))
    app.add_middleware(RequestMiddleware, telemetry=telemetry, paths=paths)
    return app
