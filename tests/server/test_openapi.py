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
LIMITS = {"max_photos": 3, "wait_ms": 0}
few = settings(
    max_examples=30,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
seen: set[tuple[str, int]] = set()


@pytest.fixture(scope="module")
def address():
    with serving(**LIMITS) as address:
        yield address


@pytest.fixture(scope="module")
def address_with_key():
    with serving(**LIMITS, api_key="secret") as address:
        yield address


def described(path: str, **key: str):
    """A test of one path: those of a whole description share a name, of which xdist runs the first alone."""
    schema = schemathesis.openapi.from_dict(
        create_app(StandIn(), Settings(**LIMITS, **key)).openapi()
    )

    @schema.include(path=path).parametrize()
    @few
    def replies(case, address, address_with_key):
        for headers in [{}, {"Authorization": "Bearer secret"}] if key else [{}]:
            reply = case.call_and_validate(
                base_url=address_with_key if key else address, headers=headers
            )
            seen.add(
                (path + (" with key" if headers else " without" if key else ""), reply.status_code)
            )

    return replies


test_replies_to_photos_are_as_described = described("/predict")
test_health_is_as_described = described("/health")
test_metrics_are_as_described = described("/metrics")
test_replies_to_photos_by_a_server_with_a_key_are_as_described = described(
    "/predict", api_key="secret"
)
test_health_of_a_server_with_a_key_is_as_described = described("/health", api_key="secret")
test_metrics_of_a_server_with_a_key_are_as_described = described("/metrics", api_key="secret")


def test_among_them_were_requests_to_answer_and_to_refuse():
    answered = {name for name, status in seen if status == 200}
    assert answered == {
        *("/predict", "/health", "/metrics", "/predict with key", "/metrics with key"),
        *("/health without", "/health with key"),
    }
    assert {("/predict", 422), ("/predict", 405), ("/predict with key", 422)} <= seen
    assert {("/predict without", 401), ("/metrics without", 401)} <= seen
