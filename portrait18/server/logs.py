"""Structured logs: one JSON object per line on stderr, without personal data.

A line has `time` (UTC), `level` and `message`, then the fields of its event, as in
{"time": "2026-01-31T12:00:00.000Z", "level": "info", "message": "request", "request_id": "...",
"method": "POST", "path": "/predict", "status": 200, "ms": 84}.
"""

import json
import logging
import re
import uuid
from datetime import UTC, datetime

REQUEST_ID_HEADER = "X-Request-ID"
#: 32 hex digits (nginx's $request_id) or a UUID. Anything else might hold personal data.
_REQUEST_ID = re.compile(rb"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; `extra={"fields": {...}}` adds fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure() -> None:
    """Log JSON lines of level INFO and above to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def request_id(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the ID that a proxy gave the request, or a new one of 32 hex digits.

    Args:
        headers: names in lower case, and values, of an ASGI request.
    """
    sent = dict(headers).get(REQUEST_ID_HEADER.lower().encode(), b"")
    return sent.decode() if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
