"""The page in a real browser, where the server has a key, limits or too much to do."""

import pytest
from browser import CHROMIUM, expect, photo
from standin import StandIn, metric, serving, wait_until

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not on the PATH (Debian: apt install chromium)"
)


def test_a_server_with_a_key_is_given_it_once(watched):
    with serving(api_key="secret") as address, watched(address) as page:
        key = page.get_by_label("This server asks for a key")
        expect(key).to_be_visible()
        page.set_input_files("#files", [photo("me.png")])
        expect(page.locator("#status")).to_contain_text("asks for a key")
        key.fill("secret")
        page.keyboard.press("Enter")
        expect(key).to_be_hidden()
        page.set_input_files("#files", [photo("me.png", 4)])
        expect(page.locator("#status")).to_have_text("me.png: Mask worn, female, 30 to 59")


def test_a_photo_larger_than_the_server_takes_is_sent_smaller(watched):
    class Colour(StandIn):
        sizes = []

        def detect(self, photos):
            self.sizes += [photo.shape[:2] for photo in photos]
            return super().detect(photos)

    ensemble = Colour()
    with serving(ensemble, max_pixels=1_000_000) as address, watched(address) as page:
        page.set_input_files(
            "#files", [photo("big.bmp", 200, 2, width=1600, height=900, kind="BMP")]
        )
        expect(page.locator("#status")).to_contain_text("big.bmp: 2 faces")
        expect(page.locator(".box").nth(1)).to_be_visible()
    ((height, width),) = ensemble.sizes
    assert height * width <= 1_000_000 < 1.01 * height * width
    assert width / height == pytest.approx(16 / 9, rel=0.01)


def test_a_busy_server_is_asked_again(watched):
    ensemble = StandIn()
    with serving(ensemble, queue=1, max_photos=1) as address, watched(address) as page:
        ensemble.gate.clear()
        page.set_input_files("#files", [photo("a.png", 4), photo("b.png", 4)])
        assert ensemble.started.wait(10)
        refused = 'portrait18_requests_total{method="POST",path="/predict",status="503"}'
        wait_until(lambda: metric(address, refused) >= 1)
        ensemble.gate.set()
        expect(page.locator("#status")).to_have_text("2 photos: 2 faces.")
