"""The page in a real Chromium; as a program, its picture for the README: `make screenshot`."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserType, expect, sync_playwright
from standin import png, serving

import portrait18
from portrait18.core import device

CHROMIUM = shutil.which("chromium")
expect.set_options(timeout=30_000)  # other tests may keep the machine busy


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, which has a made-up camera."""
    with sync_playwright() as playwright:
        browser = launched(playwright.chromium)
        try:
            yield browser
        finally:
            browser.close()


def launched(kind: BrowserType, cameras: int = 1) -> Browser:
    flags = ["--no-sandbox", f"--use-fake-device-for-media-stream=device-count={cameras}"]
    return kind.launch(executable_path=CHROMIUM, args=flags)


def photo(name: str, *args, **kwargs) -> dict:
    """A file for Playwright to choose; arguments as of standin.png."""
    return {"name": name, "mimeType": "image/png", "buffer": png(*args, **kwargs)}


def shoot(address: str, photo: str, picture: str, browser: Browser) -> None:
    """Write a picture (PNG) of the page at `address` with its answers to a photo."""
    size = {"width": 1100, "height": 100}
    with browser.new_context(
        viewport=size, reduced_motion="reduce", color_scheme="light"
    ) as context:
        page = context.new_page()
        page.goto(address)
        page.set_input_files("#files", photo)
        expect(page.locator(".photo .face").first).to_be_visible(timeout=60_000)
        for image in page.locator("img").all():
            expect(image).to_have_js_property("complete", True)
        Path(picture).parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=picture, full_page=True)


def main(bundle_folder: str, photo: str, picture: str) -> None:
    device.set_deterministic()
    with serving(portrait18.load(bundle_folder)) as address, chromium() as browser:
        shoot(address, photo, picture, browser)


if __name__ == "__main__":
    if len(sys.argv) != 4 or CHROMIUM is None:
        sys.exit("usage: browser.py BUNDLE PHOTO PICTURE; Chromium must be on the PATH")
    main(*sys.argv[1:])
