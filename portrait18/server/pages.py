"""The web page at / and the API reference at /docs."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).parent / "static"
#: Path -> HTML file; scripts, style and icon are below /static.
PAGES = {"/": "index.html", "/docs": "docs.html"}


class RevalidatedFiles(StaticFiles):
    """Static files that a browser may keep, but checks for changes before each use."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return the file, or 304 if the browser's copy is current."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def add_pages(app: FastAPI) -> set[str]:
    """Add the pages and their files to an app.

    Returns:
        The paths added.
    """
    files = RevalidatedFiles(directory=STATIC)
    for path, name in PAGES.items():
        app.add_api_route(path, _page(files, name), include_in_schema=False)
    app.mount("/static", files)
    return {*PAGES, *(f"/static/{file.name}" for file in STATIC.iterdir())}


def _page(files: StaticFiles, name: str) -> Callable[[Request], Awaitable[Response]]:
    async def page(request: Request) -> Response:
        return await files.get_response(name, request.scope)

    return page
