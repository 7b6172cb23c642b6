"""Servers with a fake predictor, and a browser for their page."""

import re
from contextlib import contextmanager
from functools import partial

import pytest
from browser import chromium
from fake import serving


@pytest.fixture(scope="module")
def address():
    with serving() as address:
        yield address


@pytest.fixture
def own_address():
    """A server that has no other test's requests in its log."""
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser):
    """open_page(address, path) opens a page; on exit it asserts that the page raised no error and
    sent requests to its own server only.
    """
    return partial(_open_page, browser)


@contextmanager
def _open_page(browser, address: str, path="/", width=1100, height=800, **options):
    requested, errors = [], []
    with browser.new_context(viewport={"width": width, "height": height}, **options) as context:
        page = context.new_page()
        page.on("request", lambda request: requested.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda line: (
                errors.append(line.text) if not re.search("status of [45]", line.text) else ""
            ),
        )
        page.goto(address + path)
        yield page
    assert len(requested) >= 4
    assert [
        url for url in requested if not url.startswith((address + "/", f"blob:{address}/"))
    ] == []
    # A user would only see that nothing happens.
    assert [error for error in errors if error] == []
