"""The ASGI app: routes for programs, the web page, error responses and middleware."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from portrait18.server.middleware import RequestMiddleware
from portrait18.server.model_card import ModelCard
from portrait18.server.pages import add_pages
from portrait18.server.problems import add_problem_details
from portrait18.server.routes import Endpoints
from portrait18.server.service import PredictionService, Predictor
from portrait18.server.settings import Settings
from portrait18.server.telemetry import Telemetry

PATHS = {"/predict", "/model", "/health", "/metrics", "/openapi.json"}


def create_app(
    predictor: Predictor, settings: Settings, card: ModelCard, device: str = "cpu"
) -> FastAPI:
    """Return the server of one loaded bundle.

    Args:
        predictor: the loaded bundle.
        settings: limits and the API key.
        card: the facts of the bundle, for /model and /health.
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
    router = Endpoints(service, settings, telemetry, device, card).router()
    _answer_head(router)
    app.include_router(router)
    paths = PATHS | add_pages(app)
    _answer_head(app.router)
    add_problem_details(app)
    app.add_exception_handler(ClientDisconnect, lambda *_: Response(status_code=499))
    app.add_middleware(RequestMiddleware, telemetry=telemetry, paths=paths)
    return app


def _answer_head(router: APIRouter) -> None:
    """Add HEAD to all routes with GET: monitors ask with it, and FastAPI leaves it out."""
    for route in list(router.routes):
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            router.add_api_route(
                route.path,
                route.endpoint,
                methods=["HEAD"],
                dependencies=route.dependencies,
                response_class=route.response_class,
                include_in_schema=False,
            )
