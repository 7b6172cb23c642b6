import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
from fake import FakePredictor, failing_photo, metric, png, post, problem, serving, wait_until
from malformed import malformed
from PIL import Image


def test_predictions_come_per_photo_in_the_order_sent(address):
    response = post(address, png(13, 1), png(4, 2), png(1, 0, 90, 70))
    assert response.status_code == 200
    first, second, third = response.json()["photos"]
    assert (third["width"], third["height"], third["faces"]) == (90, 70, [])
    assert [face["class"] for face in second["faces"]] == [4, 4]
    (face,) = first["faces"]
    assert face == {
        "box": [0, 20, 60, 40],
        "score": 0.9,
        "found": "mtcnn",
        "class": 13,
        "name": "none male 30-59",
        "mask": {
            "label": "none",
            "probabilities": {"worn": 0.125, "incorrect": 0.125, "none": 0.75},
        },
        "gender": {"label": "male", "probabilities": {"male": 0.75, "female": 0.25}},
        "age": {
            "label": "middle",
            "probabilities": {"young": 0.125, "middle": 0.75, "old": 0.125},
        },
        "years": 33,
    }


def test_photos_are_rotated_upright_before_face_detection(address):
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    Image.new("RGB", (60, 80), (5, 40, 0)).save(out, "PNG", exif=exif)
    (photo,) = post(address, out.getvalue()).json()["photos"]
    assert (photo["width"], photo["height"]) == (80, 60)
    assert photo["faces"][0]["box"] == [0, 15, 80, 30]


def test_all_bad_photos_of_a_request_are_listed_and_none_is_predicted(address):
    response = post(address, png(), b"text", png(width=10), png(), png(width=90, kind="BMP")[:-200])
    body = problem(response)
    assert response.status_code == 422
    assert body["detail"] == "3 of 5 photos can't be used"
    assert [(photo["index"], photo["name"]) for photo in body["photos"]] == [
        (1, "1.png"),
        (2, "2.png"),
        (4, "4.png"),
    ]
    text, small, cut = (photo["reason"] for photo in body["photos"])
    assert text.startswith("is not an image; send one of JPEG, PNG, WEBP, BMP, GIF, TIFF")
    assert small.startswith("has 10x80 px")
    assert cut.startswith("cannot be decoded")


def test_malformed_bodies_get_error_responses(address):
    statuses = []
    with httpx.Client() as client:
        for number in range(200):
            kind, body = malformed(number)
            headers = {} if kind is None else {"Content-Type": kind}
            response = client.post(f"{address}/predict", content=body, headers=headers)
            assert 400 <= response.status_code < 500, (number, response.text)
            problem(response)
            statuses.append(response.status_code)
    assert set(statuses) == {400, 415, 422}
    assert post(address, png()).status_code == 200


def test_concurrent_requests_share_batches_in_one_thread():
    predictor = FakePredictor()
    with serving(predictor, batch=4) as address, ThreadPoolExecutor(9) as pool:
        predictor.unblocked.clear()
        responses = [pool.submit(post, address, png(0))]
        assert predictor.started.wait(10)
        responses += [pool.submit(post, address, png(red)) for red in range(1, 9)]
        wait_until(lambda: metric(address, "portrait18_waiting_photos") == 8)
        predictor.unblocked.set()
        found = [
            response.result().json()["photos"][0]["faces"][0]["class"] for response in responses
        ]
    assert found == list(range(9))
    assert predictor.batches == [1, 4, 4]
    assert len(predictor.threads) == 1


def test_a_failing_photo_gets_a_500_without_details_and_does_not_affect_other_requests(
    caplog,
):
    predictor = FakePredictor()
    with serving(predictor) as address, ThreadPoolExecutor(3) as pool:
        predictor.unblocked.clear()
        first = pool.submit(post, address, png())
        assert predictor.started.wait(10)
        bad, good = pool.submit(post, address, failing_photo()), pool.submit(post, address, png(3))
        wait_until(lambda: metric(address, "portrait18_waiting_photos") == 2)
        predictor.unblocked.set()
        assert first.result().status_code == good.result().status_code == 200
        assert bad.result().status_code == 500
        assert "networks" not in problem(bad.result())["detail"]
        assert bad.result().headers["content-security-policy"]
        assert httpx.get(f"{address}/health").status_code == 200
    assert "this photo breaks the networks" in caplog.text


def test_health_reports_broken_while_every_batch_fails(caplog):
    with serving() as address:

        def health() -> tuple[int, str]:
            response = httpx.get(f"{address}/health")
            return response.status_code, response.json()["status"]

        for healthy in (True, True, False, False):
            assert post(address, failing_photo()).status_code == 500
            assert health() == ((200, "ok") if healthy else (503, "broken"))
        assert post(address, png()).status_code == 200
        assert health() == (200, "ok")
        # A failing photo next to a good one is the photo's fault, not the networks'.
        for _ in range(3):
            assert post(address, failing_photo(), png()).status_code == 500
        assert health() == (200, "ok")


def test_metrics_count_requests_photos_and_phases(address):
    def total(name: str) -> float:
        return metric(address, f"portrait18_{name}")

    names = [
        "photos_total",
        "faces_total",
        'requests_total{method="POST",path="/predict",status="200"}',
    ]
    names += [
        f'phase_seconds_count{{phase="{p}"}}'
        for p in ("upload", "decode", "wait", "detect", "classify")
    ]
    before = [total(name) for name in names]
    post(address, png(1, 2), png(1, 0))
    httpx.request("BREW", f"{address}/coffee")
    growth = [total(name) - b for name, b in zip(names, before, strict=True)]
    assert growth[:5] == [2, 2, 1, 1, 1]
    assert growth[5] == 2
    assert growth[6] >= 1
    assert growth[7] >= 1
    assert total('requests_total{method="(other)",path="(unknown)",status="404"}') == 1
    assert "coffee" not in httpx.get(f"{address}/metrics").text


def test_head_answers_as_get_without_a_body():
    with serving(api_key="secret") as address:
        key = {"Authorization": "Bearer secret"}
        for path in ("/health", "/model", "/metrics", "/openapi.json"):
            get, head = (
                httpx.request(method, address + path, headers=key) for method in ("GET", "HEAD")
            )
            assert (head.status_code, head.content) == (200, b""), path
            assert head.headers["content-type"] == get.headers["content-type"]
        assert httpx.head(f"{address}/metrics").status_code == 401
        assert httpx.head(f"{address}/predict", headers=key).status_code == 405


def test_a_stopping_server_finishes_requests_in_progress():
    predictor = FakePredictor()
    with ThreadPoolExecutor(1) as pool:
        with serving(predictor) as address:
            predictor.unblocked.clear()
            pending = pool.submit(post, address, png(5))
            assert predictor.started.wait(10)
            threading.Timer(0.3, predictor.unblocked.set).start()
        assert pending.result().json()["photos"][0]["faces"][0]["class"] == 5


def test_the_openapi_schema_matches_a_real_response(address):
    from portrait18.server.schemas import PredictResponse

    openapi = httpx.get(f"{address}/openapi.json").json()
    assert set(openapi["paths"]) == {"/predict", "/model", "/health", "/metrics"}
    real = post(address, png(13)).json()
    face = openapi["components"]["schemas"]["FaceResult"]
    assert list(face["properties"]) == list(real["photos"][0]["faces"][0])
    assert PredictResponse.model_validate(real).model_dump(by_alias=True, mode="json") == real
    errors = openapi["paths"]["/predict"]["post"]["responses"]
    assert set(errors) == {"200", "400", "408", "413", "415", "422", "500", "503", "504"}
    assert "Problem" in openapi["components"]["schemas"]
    assert "http" not in json.dumps(errors)
