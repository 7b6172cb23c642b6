import httpx
import pytest
from fake import problem

from portrait18.server.pages import PAGES, STATIC

FILES = {**{path: STATIC / name for path, name in PAGES.items()}}
FILES |= {f"/static/{path.name}": path for path in STATIC.iterdir()}
TYPES = {
    ".html": ["text/html; charset=utf-8"],
    ".css": ["text/css; charset=utf-8"],
    ".js": ["text/javascript; charset=utf-8", "application/javascript"],  # Python 3.12; 3.11
    ".svg": ["image/svg+xml"],
}


@pytest.mark.parametrize("path", FILES)
def test_every_file_is_served_and_revalidated(address, path):
    response = httpx.get(address + path)
    assert response.status_code == 200
    assert response.content == FILES[path].read_bytes()
    assert response.headers["content-type"] in TYPES[FILES[path].suffix]
    assert response.headers["cache-control"] == "no-cache"
    head = httpx.head(address + path)
    assert (head.status_code, head.content) == (200, b"")
    again = httpx.get(address + path, headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    ["/static/", "/static/none.js", "/static/../app.py", "/static/%2e%2e/app.py"],
)
def test_nothing_else_is_served(address, path):
    response = httpx.get(address + path)
    assert response.status_code == 404
    problem(response)


@pytest.mark.parametrize("path", ["/", "/docs", "/static/style.css"])
def test_pages_are_read_only(address, path):
    response = httpx.post(address + path)
    assert response.status_code == 405
    problem(response)
