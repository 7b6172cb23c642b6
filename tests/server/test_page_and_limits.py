"""The page in a browser, with a server that has a key, limits or a full queue."""

import pytest
from browser import CHROMIUM, expect, photo
from fake import FakePredictor, metric, serving, wait_until

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not on the PATH (Debian: apt install chromium)"
)


def test_the_page_asks_for_the_key_once(open_page):
    with serving(api_key="secret") as address, open_page(address) as page:
        key = page.get_by_label("This server requires an API key")
        expect(key).to_be_visible()
        page.set_input_files("#files", [photo("me.png")])
        expect(page.locator("#status")).to_contain_text("requires an API key")
        key.fill("secret")
        page.keyboard.press("Enter")
        expect(key).to_be_hidden()
        page.set_input_files("#files", [photo("me.png", 4)])
        expect(page.locator("#status")).to_have_text("me.png: Mask worn, female, 30 to 59")


def test_a_photo_above_the_servers_limit_is_sent_smaller(open_page):
    sizes = []

    class RecordSizes(FakePredictor):
        def detect(self, photos):
            sizes.extend(photo.shape[:2] for photo in photos)
            return super().detect(photos)

    predictor = RecordSizes()
    with serving(predictor, max_pixels=1_000_000) as address, open_page(address) as page:
        page.set_input_files(
            "#files", [photo("big.bmp", 200, 2, width=1600, height=900, kind="BMP")]
        )
        expect(page.locator("#status")).to_contain_text("big.bmp: 2 faces")
        expect(page.locator(".box").nth(1)).to_be_visible()
    ((height, width),) = sizes
    assert height * width <= 1_000_000 < 1.01 * height * width
    assert width / height == pytest.approx(16 / 9, rel=0.01)


def test_the_page_retries_while_the_server_is_busy(open_page):
    predictor = FakePredictor()
    with serving(predictor, queue=1, max_photos=1) as address, open_page(address) as page:
        predictor.unblocked.clear()
        page.set_input_files("#files", [photo("a.png", 4), photo("b.png", 4)])
        assert predictor.started.wait(10)
        busy = 'portrait18_requests_total{method="POST",path="/predict",status="503"}'
        wait_until(lambda: metric(address, busy) >= 1)
        predictor.unblocked.set()
        expect(page.locator("#status")).to_have_text("2 photos: 2 faces.")
