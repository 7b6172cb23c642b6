"""The page's files, read once."""

from pathlib import Path

from fastapi import FastAPI, Response

PAGE = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
#: Path -> file of `page/`.
FILES = {
    "/": "index.html",
    "/docs": "docs.html",
    **{
        f"/{name}": name
        for name in ("style.css", "script.js", "answers.js", "camera.js", "docs.js", "icon.svg")
    },
}


def add_page(app: FastAPI) -> None:
    """Give an app the page at / and the interface's description at /docs."""
    for path, name in FILES.items():
        app.add_api_route(
            path, _serving(PAGE / name), methods=["GET", "HEAD"], include_in_schema=False
        )


def _serving(path: Path):
    content, kind = path.read_bytes(), f"{_TYPES[path.suffix]}; charset=utf-8"

    async def file() -> Response:
        return Response(content, headers={"Content-Type": kind, "Cache-Control": "no-cache"})

    return file
