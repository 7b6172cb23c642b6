"""Requests by the description, and requests that it forbids, made up by Schemathesis: none gets a reply it lacks."""

import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from standin import StandIn, png

from portrait18.server.app import create_app
from portrait18.server.settings import Settings

PHOTOS = [png(), png(4, 2, kind="JPEG"), png(9, 0, kind="WEBP")]
schemathesis.openapi.format("binary", st.sampled_from(PHOTOS))


schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(StandIn(), Settings(max_photos=3, wait_ms=0)))


@schema.parametrize()
@settings(max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_every_reply_is_as_described(case):
    case.call_and_validate()
