"""Security headers, request IDs, a log line per request, and error responses without traceback."""

import logging
import time
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portrait18.server.logs import REQUEST_ID_HEADER, request_id
from portrait18.server.problems import ApiError, problem_response
from portrait18.server.telemetry import Telemetry

log = logging.getLogger(__name__)

#: Nothing from other hosts, nothing inline, no framing; blob: is the preview of a chosen photo.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_METHODS = ("GET", "HEAD", "POST")
_RAW = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class RequestMiddleware:
    """ASGI middleware around every request.

    Args:
        app: the wrapped app.
        telemetry: receives the count and duration of requests.
        paths: known paths; all others are logged and counted as "(unknown)".
    """

    def __init__(self, app: ASGIApp, telemetry: Telemetry, paths: Collection[str]):
        self._app, self._telemetry, self._paths = app, telemetry, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app for one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0
        identifier = request_id(scope["headers"])
        own = [*_RAW, (REQUEST_ID_HEADER.lower().encode(), identifier.encode())]

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", []), *own]
                if scope["app"].state.draining:
                    headers.append((b"connection", b"close"))
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            log.exception("a request failed", extra={"fields": {"request_id": identifier}})
            if not status:
                error = ApiError(500, f"the server failed; find request_id {identifier} in its log")
                await problem_response(error)(scope, receive, send_with_headers)
        finally:
            self._record(scope, identifier, status or 499, time.perf_counter() - start)

    def _record(self, scope: Scope, identifier: str, status: int, seconds: float) -> None:
        # Unknown paths and methods are not logged: people put file names and keys there.
        path = scope["path"] if scope["path"] in self._paths else "(unknown)"
        method = scope["method"] if scope["method"] in _METHODS else "(other)"
        self._telemetry.requests.labels(method, path, status).inc()
        self._telemetry.seconds.labels(path).observe(seconds)
        fields = {
            "request_id": identifier,
            "method": method,
            "path": path,
            "status": status,
            "ms": round(1000 * seconds),
        }
        log.info("request", extra={"fields": fields})
