"""The page in Chromium; as a program, it takes the README's screenshot: `make screenshot`."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fake import png, serving
from playwright.sync_api import Browser, BrowserType, expect, sync_playwright

import portrait18
from portrait18.core.device import set_deterministic
from portrait18.server.model_card import model_card

CHROMIUM = shutil.which("chromium")
expect.set_options(timeout=30_000)  # other tests may keep the machine busy


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a fake camera."""
    with sync_playwright() as playwright:
        browser = launch(playwright.chromium)
        try:
            yield browser
        finally:
            browser.close()


def launch(kind: BrowserType, cameras: int = 1) -> Browser:
    flags = ["--no-sandbox", f"--use-fake-device-for-media-stream=device-count={cameras}"]
    return kind.launch(executable_path=CHROMIUM, args=flags)


def photo(name: str, *args, **kwargs) -> dict:
    """A file for Playwright to choose; same arguments as fake.png."""
    return {"name": name, "mimeType": "image/png", "buffer": png(*args, **kwargs)}


def shoot(address: str, photo: str, picture: str, browser: Browser) -> None:
    """Write a screenshot (PNG) of the page at `address` with the predictions for a photo."""
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
    set_deterministic()
    predictor = portrait18.load(bundle_folder)
    card = model_card(predictor.manifest)
    with serving(predictor, card) as address, chromium() as browser:
        shoot(address, photo, picture, browser)


if __name__ == "__main__":
    if len(sys.argv) != 4 or CHROMIUM is None:
        sys.exit("usage: browser.py BUNDLE PHOTO PICTURE; Chromium must be on the PATH")
    main(*sys.argv[1:])
