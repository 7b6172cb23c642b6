"""The page in a real Chromium; as a program, its picture for the README: `make screenshot`."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright
from standin import serving

from portrait18 import bundle, device

CHROMIUM = shutil.which("chromium")


@contextmanager
def page_of(address: str, width: int = 1100, height: int = 800, camera: bool = False, **options) -> Iterator[Page]:
    """An open page.

    Args:
        camera: there is one (a made-up one), and the page may use it; else it is refused.
        options: of Playwright's `new_context`, such as `color_scheme`.
    """
    flags = ["--no-sandbox"]
    if camera:
        flags += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            page = chromium.new_context(viewport={"width": width, "height": height}, **options).new_page()
            page.goto(address)
            yield page
        finally:
            chromium.close()


def shoot(address: str, photo: str, picture: str) -> None:
    """Write a picture (PNG) of the page at `address` with its answers to a photo."""
    with page_of(address, height=100, reduced_motion="reduce", color_scheme="light") as page:
        page.set_input_files("#files", photo)
        expect(page.locator(".photo .face").first).to_be_visible(timeout=60_000)
        page.wait_for_function("[...document.images].every((image) => image.complete)")
        Path(picture).parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=picture, full_page=True)


def main(bundle_folder: str, photo: str, picture: str) -> None:
    device.reproducible()
    with serving(bundle.load(bundle_folder, device.device())) as address:
        shoot(address, photo, picture)


if __name__ == "__main__":
    if len(sys.argv) != 4 or CHROMIUM is None:
        sys.exit("usage: browser.py BUNDLE PHOTO PICTURE; Chromium must be on the PATH")
    main(*sys.argv[1:])
