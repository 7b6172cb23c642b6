"""Servers of a stand-in for the networks, and a browser to look at their page."""

import re
from contextlib import contextmanager
from functools import partial

import pytest
from browser import chromium
from standin import serving


@pytest.fixture(scope="module")
def address():
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def watched(browser):
    """watched(address, path) is an open page that asks nobody but its own server, and breaks no policy or script."""
    return partial(_watched, browser)


@contextmanager
def _watched(browser, address: str, path: str = "/", width: int = 1100, height: int = 800, **how):
    asked, faults = [], []
    with browser.new_context(viewport={"width": width, "height": height}, **how) as context:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda line: (
                faults.append(line.text) if not re.search("status of [45]", line.text) else ""
            ),
        )
        page.goto(address + path)
        yield page
    assert len(asked) >= 4
    assert [url for url in asked if not url.startswith((address + "/", f"blob:{address}/"))] == []
    # What a phone's or a screen reader's user would see as nothing happening.
    assert [fault for fault in faults if fault] == []
