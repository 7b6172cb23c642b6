"""Requests by the description, and requests that it forbids, made up by Schemathesis: none gets a reply it lacks."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from standin import StandIn, png, serving

from portrait18.server.app import create_app
from portrait18.server.settings import Settings

PHOTOS = [png(), png(4, 2, kind="JPEG"), png(9, 0, kind="WEBP")]
schemathesis.openapi.format("binary", st.sampled_from(PHOTOS))
LIMITS = dict(max_photos=3, wait_ms=0)
schema = schemathesis.openapi.from_dict(create_app(StandIn(), Settings(**LIMITS)).openapi())
seen: set[tuple[str, int]] = set()


@pytest.fixture(scope="module")
def address():
    with serving(**LIMITS) as address:
        yield address


@schema.parametrize()
@settings(max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_every_reply_is_as_described(case, address):
    seen.add((case.path, case.call_and_validate(base_url=address).status_code))


def test_among_them_were_requests_to_answer_and_to_refuse():
    assert {("/predict", 200), ("/predict", 422), ("/predict", 405)} <= seen
