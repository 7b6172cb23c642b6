"""The routes for programs: POST /predict, GET /model, GET /health and GET /metrics."""

import asyncio
import hmac
from collections.abc import Callable
from contextlib import ExitStack
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect

from portrait18.server.limits import Limiter
from portrait18.server.model_card import ModelCard
from portrait18.server.problems import ApiError, openapi_responses
from portrait18.server.schemas import Health, Limits, Model, PredictResponse
from portrait18.server.service import PredictionService
from portrait18.server.settings import Settings
from portrait18.server.telemetry import Telemetry
from portrait18.server.uploads import FIELD, FormLimits, Upload, read_uploads

T = TypeVar("T")


class Endpoints:
    """Handlers of the routes and the limits that they share.

    Args:
        service: predicts uploads.
        settings: limits and the API key.
        telemetry: content of /metrics.
        device: where the networks run, for /health.
        card: the facts of the bundle, for /model and /health.
    """

    def __init__(
        self,
        service: PredictionService,
        settings: Settings,
        telemetry: Telemetry,
        device: str,
        card: ModelCard,
    ):
        self._service, self._settings, self._telemetry = service, settings, telemetry
        self._device, self._card = device, card
        self._photos = Limiter(settings.queue, "photos")
        self._bytes = Limiter(settings.max_total_bytes, "bytes")

    def router(self) -> APIRouter:
        """Return a router with all routes."""
        router = APIRouter()
        key = self._settings.api_key
        dependencies = [] if key is None else [require_key(key.get_secret_value())]
        unauthorized = {} if key is None else {401: "API key missing or wrong"}
        router.add_api_route(
            "/predict",
            self.predict,
            methods=["POST"],
            summary="Predict every face of one or several photos",
            response_model=PredictResponse,
            response_description="predictions for each photo, in the order sent",
            dependencies=dependencies,
            openapi_extra=_form_schema(self._settings.max_photos),
            responses=openapi_responses(dict(sorted((_PREDICT_ERRORS | unauthorized).items()))),
        )
        router.add_api_route(
            "/model",
            self.model,
            summary="Facts about the loaded networks",
            response_description="training data, scores, limits and networks",
        )
        router.add_api_route(
            "/health",
            self.health,
            summary="State of the server and its limits",
            response_description="the server works",
            responses={
                503: {
                    "model": Health,
                    "description": "the server stopped, or its last batches failed: restart it",
                }
            },
        )
        router.add_api_route(
            "/metrics",
            self.metrics,
            summary="Metrics for Prometheus",
            dependencies=dependencies,
            response_class=Response,
            response_description="Prometheus text format",
            responses={
                200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
                **openapi_responses(unauthorized),
            },
        )
        return router

    async def predict(self, request: Request) -> Response:
        """Send photos as the form field photos, which may be repeated. No photo is stored."""
        with ExitStack() as held:
            self._photos.acquire(1, held)
            with self._telemetry.phase("upload"):
                uploads = await self._read_uploads(
                    request, lambda count: self._bytes.acquire(count, held)
                )
            self._photos.acquire(len(uploads) - 1, held)
            task = asyncio.create_task(self._service.predict(uploads))
            # Threads may still decode after a timeout, so the task releases the limits, not us.
            until_done = held.pop_all()
            task.add_done_callback(lambda _: until_done.close())
        timeout = self._settings.timeout_s
        try:
            async with asyncio.timeout(timeout):
                predictions = await cancel_on_disconnect(request, task)
        except TimeoutError:
            raise ApiError(
                504, f"no prediction within {timeout:g} s; send fewer or smaller photos"
            ) from None
        body = {"photos": [photo.to_dict() for photo in predictions]}
        return Response(
            PredictResponse.model_validate(body).model_dump_json(by_alias=True),
            media_type="application/json",
        )

    async def _read_uploads(
        self, request: Request, acquire_bytes: Callable[[int], None]
    ) -> list[Upload]:
        settings = self._settings
        timeout = settings.upload_timeout_s
        try:
            async with asyncio.timeout(timeout):
                return await read_uploads(
                    request.stream(),
                    request.headers,
                    FormLimits(settings.max_bytes, settings.max_photos),
                    acquire_bytes,
                )
        except TimeoutError:
            raise ApiError(
                408, f"the upload took more than {timeout:g} s; send fewer or smaller photos"
            ) from None

    async def health(self, response: Response) -> Health:
        """Return 200 while the server works, else 503."""
        healthy, settings = self._service.batcher.healthy, self._settings
        response.status_code = 200 if healthy else 503
        return Health(
            status="ok" if healthy else "broken",
            device=self._device,
            model=_summary(self._card),
            waiting=self._photos.in_use,
            limits=Limits(
                bytes=settings.max_bytes,
                pixels=settings.max_pixels,
                photos=settings.max_photos,
                upload_seconds=settings.upload_timeout_s,
                seconds=settings.timeout_s,
            ),
            needs_key=settings.api_key is not None,
        )

    async def model(self) -> ModelCard:
        """Return what the networks were trained on, their scores and their limits."""
        return self._card

    async def metrics(self) -> Response:
        """Return counters and histograms since the start of the server."""
        return Response(self._telemetry.text(), media_type=CONTENT_TYPE_LATEST)


_PREDICT_ERRORS = {
    400: "the body is not a well-formed form",
    408: "the upload took too long",
    413: "too many bytes",
    415: "the body is not a form",
    422: "too many photos, or unusable ones, which the field photos lists; no photo was processed",
    500: "the server failed",
    503: "too many photos or bytes in progress; retry after the seconds in Retry-After",
    504: "the prediction took too long",
}


def _summary(card: ModelCard) -> Model:
    scores = card.validation.scores.items()
    return Model(
        description=card.description,
        networks=len(card.networks),
        training_people=card.training_set.people,
        training_photos=card.training_set.photos,
        validation={name: score.macro_f1 for name, score in scores if score.macro_f1 is not None},
    )


def require_key(key: str) -> Any:
    """Return a dependency that raises 401 unless the request carries the API key."""

    async def check_key(
        sent: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
    ) -> None:
        # The key is ASCII, but what a client sends need not be.
        if sent is None or not hmac.compare_digest(
            sent.credentials.encode("latin-1"), key.encode()
        ):
            raise ApiError(
                401,
                "this server requires an API key; send it as Authorization: Bearer KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )

    return Depends(check_key)


def _form_schema(max_photos: int) -> dict[str, Any]:
    photo = {"type": "string", "format": "binary"}
    photos = {"type": "array", "items": photo, "minItems": 1, "maxItems": max_photos}
    schema = {
        "type": "object",
        "properties": {FIELD: photos},
        "required": [FIELD],
        "additionalProperties": False,
    }
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


async def cancel_on_disconnect(request: Request, task: "asyncio.Task[T]") -> T:
    """Await a task; cancel it, without awaiting its end, if the client disconnects.

    The task is also cancelled if this coroutine is.

    Raises:
        ClientDisconnect: the client disconnected first.
    """

    async def disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    watcher = asyncio.create_task(disconnected())
    try:
        await asyncio.wait([task, watcher], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
