"""Schemathesis generates valid and invalid requests: all responses are documented in OpenAPI."""

import pytest
import schemathesis
from fake import CARD, FakePredictor, png, serving
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from portrait18.server.app import create_app
from portrait18.server.settings import Settings

PHOTOS = [png(), png(4, 2, kind="JPEG"), png(9, 0, kind="WEBP")]
schemathesis.openapi.format("binary", st.sampled_from(PHOTOS))
LIMITS = {"max_photos": 3, "wait_ms": 0}
few_examples = settings(
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


def conforms(path: str, **key: str):
    """A test of one path; tests of all paths share a name, and xdist runs only one of those."""
    schema = schemathesis.openapi.from_dict(
        create_app(FakePredictor(), Settings(**LIMITS, **key), CARD).openapi()
    )

    @schema.include(path=path).parametrize()
    @few_examples
    def responses(case, address, address_with_key):
        for headers in [{}, {"Authorization": "Bearer secret"}] if key else [{}]:
            response = case.call_and_validate(
                base_url=address_with_key if key else address, headers=headers
            )
            seen.add(
                (
                    path + (" with key" if headers else " without" if key else ""),
                    response.status_code,
                )
            )

    return responses


test_predict = conforms("/predict")
test_model = conforms("/model")
test_health = conforms("/health")
test_metrics = conforms("/metrics")
test_predict_with_a_key = conforms("/predict", api_key="secret")
test_model_with_a_key = conforms("/model", api_key="secret")
test_health_with_a_key = conforms("/health", api_key="secret")
test_metrics_with_a_key = conforms("/metrics", api_key="secret")


def test_generated_requests_included_successes_and_errors():
    succeeded = {name for name, status in seen if status == 200}
    assert succeeded == {
        *("/predict", "/health", "/metrics", "/predict with key", "/metrics with key"),
        *("/health without", "/health with key"),
        *("/model", "/model without", "/model with key"),
    }
    assert {("/predict", 422), ("/predict", 405), ("/predict with key", 422)} <= seen
    assert {("/predict without", 401), ("/metrics without", 401)} <= seen
