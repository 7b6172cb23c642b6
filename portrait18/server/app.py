"""The routes: POST /predict, GET /health and /metrics, the page at / and the interface's description at /docs."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect

from portrait18.server import limits, problems, uploads
from portrait18.server.batching import Ensemble
from portrait18.server.middleware import edge
from portrait18.server.prediction import Answering, unless_gone
from portrait18.server.problems import Refused
from portrait18.server.schemas import Health, Limits, Reply
from portrait18.server.settings import Settings
from portrait18.server.static import add_page
from portrait18.server.telemetry import Telemetry


def create_app(
    ensemble: Ensemble, settings: Settings, device: str = "cpu", networks: int = 0
) -> FastAPI:
    """The server of one loaded ensemble.

    Args:
        ensemble: a bundle, or anything that finds crops and answers them as one does.
        device: where it runs, for /health.
        networks: how many it holds, for /health.
    """
    telemetry = Telemetry()
    gate, bodies = (
        limits.Gate(settings.queue, "photos"),
        limits.Gate(settings.max_total_bytes, "bytes"),
    )
    answering = Answering(ensemble, settings, telemetry)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        answering.batcher.start()
        yield
        await answering.close()

    app = FastAPI(
        title="Portrait18",
        version="1",
        summary="Tells from a photo whether a mask is worn, the gender and the age group of every face.",
        docs_url=None,  # FastAPI's own pages load their scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(edge, telemetry=telemetry, routes=app.routes)
    add_page(app)
    problems.add_to(app)
    key = (
        []
        if settings.api_key is None
        else [_asks_for(settings.api_key.get_secret_value().encode())]
    )

    @app.post(
        "/predict",
        summary="Answers for every face of one photo or several",
        response_model=Reply,
        response_description="the answers, a photo each, in the order they were sent",
        dependencies=key,
        openapi_extra=_body(settings),
        responses=problems.documented(
            _400="the body is not a well-formed form",
            **({"_401": "no key, or a wrong one"} if key else {}),
            _408="the upload took too long",
            _413="too many bytes",
            _415="the body is not a form",
            _422="too many photos, or some that can't be used, all of them listed; the others are not answered either",
            _500="the server failed",
            _503="too many photos or bytes are waiting; Retry-After says for how many seconds to wait",
            _504="the answer took too long",
        ),
    )
    async def predict(request: Request) -> Response:
        """Send the photos as the form's field photos, which may be repeated. Nothing of them is kept."""
        with ExitStack() as held:
            take, take_bytes = (held.enter_context(each.enter()) for each in (gate, bodies))
            take(1)
            with telemetry.phase("upload"):
                batch = await _uploads(request, settings, take_bytes)
            take(len(batch) - 1)
            work = asyncio.create_task(answering(batch))
            # Not before: threads may still decode when the client has been told that it took too long.
            until_then = held.pop_all()
            work.add_done_callback(lambda _: until_then.close())
            try:
                async with asyncio.timeout(settings.timeout_s):
                    found = await unless_gone(request, work)
            except TimeoutError:
                refusal = f"no answer within {settings.timeout_s:g} s; send fewer or smaller photos"
                raise Refused(504, refusal) from None
        return Response(
            Reply.model_validate(found).model_dump_json(by_alias=True),
            media_type="application/json",
        )

    @app.get(
        "/health",
        summary="Whether the server can answer, and what it lets in",
        response_description="it can",
        responses={
            503: {
                "model": Health,
                "description": "it can't, or answered nothing lately: start it again",
            }
        },
    )
    async def health(response: Response) -> Health:
        alive = answering.batcher.alive
        response.status_code = 200 if alive else 503
        return Health(
            status="ok" if alive else "broken",
            device=device,
            networks=networks,
            waiting=gate.inside,
            limits=Limits(
                bytes=settings.max_bytes,
                pixels=settings.max_pixels,
                photos=settings.max_photos,
                seconds=settings.timeout_s,
            ),
            needs_key=settings.api_key is not None,
        )

    @app.get(
        "/metrics",
        summary="Counters for Prometheus",
        dependencies=key,
        response_class=Response,
        response_description="Prometheus' text format",
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **(problems.documented(_401="no key, or a wrong one") if key else {}),
        },
    )
    async def metrics() -> Response:
        return Response(telemetry.text(), media_type=CONTENT_TYPE_LATEST)

    app.add_exception_handler(ClientDisconnect, lambda *_: Response(status_code=499))
    return app


def _asks_for(key: bytes):
    async def has_key(
        sent: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
    ) -> None:
        # What is sent need not be ASCII, as the key is.
        if sent is None or not hmac.compare_digest(sent.credentials.encode("latin-1"), key):
            refusal = "this server asks for a key; send it as Authorization: Bearer KEY"
            raise Refused(401, refusal, headers={"WWW-Authenticate": "Bearer"})

    return Depends(has_key)


def _body(settings: Settings) -> dict:
    photo = {"type": "string", "format": "binary"}
    many = {"type": "array", "items": photo, "minItems": 1, "maxItems": settings.max_photos}
    form = {"type": "object", "properties": {uploads.FIELD: many}, "required": [uploads.FIELD]}
    schema = {**form, "additionalProperties": False}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


async def _uploads(
    request: Request, settings: Settings, take: Callable[[int], None]
) -> list[uploads.Upload]:
    kind, length = (request.headers.get(name) for name in ("content-type", "content-length"))
    try:
        async with asyncio.timeout(settings.timeout_s):
            most = (settings.max_bytes, settings.max_photos)
            return await uploads.read(request.stream(), kind, length, *most, take)
    except TimeoutError:
        raise Refused(
            408, f"the upload took more than {settings.timeout_s:g} s; send fewer or smaller photos"
        ) from None
