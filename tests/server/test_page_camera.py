"""The page's camera in a browser."""

import re
import time

import pytest
from browser import CHROMIUM, expect, launch

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not on the PATH (Debian: apt install chromium)"
)


def test_the_camera_takes_a_photo_and_is_released(address, open_page):
    with open_page(address, permissions=["camera"]) as page:
        page.get_by_role("button", name="Use the camera").click()
        shoot_button = page.get_by_role("button", name="Take photo")
        expect(shoot_button).to_be_focused()
        expect(page.locator("video")).not_to_have_js_property("videoWidth", 0)
        shoot_button.click()
        expect(page.locator("#status")).to_contain_text("Camera photo 1: ")
        expect(page.get_by_role("button", name="Switch camera")).to_have_count(
            0
        )  # hidden: only one camera
        page.keyboard.press("Escape")
        expect(page.locator("#camera")).to_be_hidden()
        assert page.evaluate("document.querySelector('video').srcObject") is None
        expect(page.get_by_role("button", name="Use the camera")).to_be_focused()


def camera_in_use(page, unlike: str | None) -> str:
    """Name of the camera in use, once it differs from `unlike`."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        used = page.evaluate(
            "document.querySelector('video').srcObject?.getVideoTracks()[0].label ?? null"
        )
        if used not in (None, unlike):
            return used
        page.wait_for_timeout(50)
    raise AssertionError(f"{unlike} is still in use")


def test_the_page_switches_between_several_cameras(address, browser):
    with launch(browser.browser_type, cameras=2) as several:
        page = several.new_page(permissions=["camera"])
        page.goto(address)
        page.get_by_role("button", name="Use the camera").click()
        other = page.get_by_role("button", name="Switch camera")
        expect(other).to_be_visible()
        first = camera_in_use(page, unlike=None)
        other.click()
        second = camera_in_use(page, unlike=first)
        expect(other).to_be_focused()
        other.click()
        assert camera_in_use(page, unlike=second) == first
        expect(other).to_be_focused()
        page.get_by_role("button", name="Take photo").click()
        expect(page.locator("#status")).to_contain_text("Camera photo 1: ")


# A camera that sends no frame before the page calls sendFrame().
SLOW_CAMERA = """
navigator.mediaDevices.getUserMedia = async () => {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  const stream = canvas.captureStream(0);
  window.sendFrame = () => {
    context.fillRect(0, 0, canvas.width, canvas.height);
    stream.getVideoTracks()[0].requestFrame();
  };
  return stream;
};
"""


def test_a_photo_taken_before_the_first_frame_waits_for_it(address, open_page):
    with open_page(address) as page:
        page.evaluate(SLOW_CAMERA)
        page.get_by_role("button", name="Use the camera").click()
        shoot_button = page.get_by_role("button", name="Take photo")
        shoot_button.click()
        shoot_button.click()
        assert page.locator("video").evaluate("video => video.readyState") < 2
        page.evaluate("sendFrame()")
        expect(page.locator("#status")).to_contain_text("Camera photo 1: ")
        shoot_button.click()
        expect(page.locator("#status")).to_contain_text("Camera photo 2: ")
        expect(page.locator(".photo")).to_have_count(2)  # the two clicks before took one photo


def test_closing_the_camera_cancels_a_photo_that_waits(address, open_page):
    with open_page(address) as page:
        page.evaluate(SLOW_CAMERA)
        open_button = page.get_by_role("button", name="Use the camera")
        for _ in range(2):
            open_button.click()
            page.get_by_role("button", name="Take photo").click()
            page.keyboard.press("Escape")
        open_button.click()
        page.evaluate("sendFrame()")
        expect(page.locator("video")).not_to_have_js_property("videoWidth", 0)
        page.get_by_role("button", name="Take photo").click()
        expect(page.locator("#status")).to_contain_text("Camera photo 1: ")


def test_a_denied_camera_shows_what_to_do(address, open_page):
    with open_page(address) as page:
        page.get_by_role("button", name="Use the camera").click()
        expect(page.locator("#status")).to_contain_text(
            re.compile("(denied|No camera).* choose a photo", re.IGNORECASE)
        )
        expect(page.locator("#camera")).to_be_hidden()
