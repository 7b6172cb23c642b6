"""Around every request: headers that keep the page to itself, one log line, and no traceback to the client."""

import logging
import time
from collections.abc import Sequence

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portrait18.server.problems import Refused, response
from portrait18.server.telemetry import Telemetry

log = logging.getLogger(__name__)

#: Nothing from elsewhere, nothing inline, nothing that frames the page; blob: is the preview of a chosen photo.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
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


def edge(app: ASGIApp, telemetry: Telemetry, routes: Sequence[BaseRoute]) -> ASGIApp:
    """Wrap an app, whose routes they are."""
    paths = {route.path for route in routes}

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        since, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", []), *_RAW]
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        try:
            await app(scope, receive, sending)
        except Exception:
            log.exception("a request failed")
            if not status:
                await response(Refused(500, "the server failed at this; its log says why"))(
                    scope, receive, sending
                )
        finally:
            # Never what was asked for: people put names of files and keys there.
            path = scope["path"] if scope["path"] in paths else "(unknown)"
            method = scope["method"] if scope["method"] in _METHODS else "(other)"
            seconds = time.perf_counter() - since
            telemetry.requests.labels(method, path, status or 499).inc()
            telemetry.seconds.labels(path).observe(seconds)
            log.info("%s %s %d %.0f ms", method, path, status or 499, 1000 * seconds)

    return wrapped
