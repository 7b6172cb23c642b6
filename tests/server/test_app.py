import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
from malformed import malformed
from PIL import Image
from standin import StandIn, breaking, metric, png, post, problem, serving, wait_until


def test_each_photo_gets_its_own_answers_in_the_order_sent(address):
    reply = post(address, png(13, 1), png(4, 2), png(1, 0, 90, 70))
    assert reply.status_code == 200
    first, second, third = reply.json()["photos"]
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


def test_photos_are_turned_upright_before_faces_are_looked_for(address):
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    Image.new("RGB", (60, 80), (5, 40, 0)).save(out, "PNG", exif=exif)
    (photo,) = post(address, out.getvalue()).json()["photos"]
    assert (photo["width"], photo["height"]) == (80, 60)
    assert photo["faces"][0]["box"] == [0, 15, 80, 30]


def test_all_bad_photos_of_a_request_are_told_at_once_and_none_is_answered(address):
    reply = post(address, png(), b"text", png(width=10), png(), png(width=90, kind="BMP")[:-200])
    told = problem(reply)
    assert reply.status_code == 422
    assert told["detail"] == "3 of 5 photos can't be used"
    assert [(photo["index"], photo["name"]) for photo in told["photos"]] == [
        (1, "1.png"),
        (2, "2.png"),
        (4, "4.png"),
    ]
    text, small, cut = (photo["reason"] for photo in told["photos"])
    assert text == "is not an image; send one of JPEG, PNG, WEBP, BMP, GIF, TIFF"
    assert small.startswith("has 10x80 px")
    assert cut.startswith("cannot be decoded")


def test_200_malformed_bodies_get_200_clean_refusals(address):
    statuses = []
    with httpx.Client() as client:
        for number in range(200):
            kind, body = malformed(number)
            headers = {} if kind is None else {"Content-Type": kind}
            reply = client.post(f"{address}/predict", content=body, headers=headers)
            assert 400 <= reply.status_code < 500, (number, reply.text)
            problem(reply)
            statuses.append(reply.status_code)
    assert set(statuses) == {400, 415, 422}
    assert post(address, png()).status_code == 200


def test_requests_that_come_together_are_worked_on_together_in_one_thread():
    ensemble = StandIn()
    with serving(ensemble, batch=4) as address, ThreadPoolExecutor(9) as pool:
        ensemble.gate.clear()
        replies = [pool.submit(post, address, png(0))]
        assert ensemble.started.wait(10)
        replies += [pool.submit(post, address, png(red)) for red in range(1, 9)]
        wait_until(lambda: metric(address, "portrait18_waiting_photos") == 8)
        ensemble.gate.set()
        found = [reply.result().json()["photos"][0]["faces"][0]["class"] for reply in replies]
    assert found == list(range(9))
    assert ensemble.batches == [1, 4, 4]
    assert len(ensemble.threads) == 1


def test_a_photo_that_breaks_the_networks_is_a_500_that_tells_nothing_and_costs_no_neighbour(
    caplog,
):
    ensemble = StandIn()
    with serving(ensemble) as address, ThreadPoolExecutor(3) as pool:
        ensemble.gate.clear()
        first = pool.submit(post, address, png())
        assert ensemble.started.wait(10)
        bad, good = pool.submit(post, address, breaking()), pool.submit(post, address, png(3))
        wait_until(lambda: metric(address, "portrait18_waiting_photos") == 2)
        ensemble.gate.set()
        assert first.result().status_code == good.result().status_code == 200
        assert bad.result().status_code == 500
        assert "networks" not in problem(bad.result())["detail"]
        assert bad.result().headers["content-security-policy"]
        assert httpx.get(f"{address}/health").status_code == 200
    assert "this photo breaks the networks" in caplog.text


def test_a_server_that_answers_nothing_any_more_says_so_until_it_does(caplog):
    with serving() as address:

        def health() -> tuple[int, str]:
            reply = httpx.get(f"{address}/health")
            return reply.status_code, reply.json()["status"]

        for fine in (True, True, False, False):
            assert post(address, breaking()).status_code == 500
            assert health() == ((200, "ok") if fine else (503, "broken"))
        assert post(address, png()).status_code == 200
        assert health() == (200, "ok")
        # One that breaks the networks beside one that does not is a photo's fault, not theirs.
        for _ in range(3):
            assert post(address, breaking(), png()).status_code == 500
        assert health() == (200, "ok")


def test_metrics_count_what_was_asked(address):
    def total(name: str) -> float:
        return metric(address, f"portrait18_{name}")

    names = [
        "photos_total",
        "faces_total",
        'requests_total{method="POST",path="/predict",status="200"}',
    ]
    names += [
        f'phase_seconds_count{{phase="{p}"}}'
        for p in ("upload", "decode", "wait", "detect", "answer")
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


def test_a_server_told_to_stop_answers_who_is_inside_first():
    ensemble = StandIn()
    with ThreadPoolExecutor(1) as pool:
        with serving(ensemble) as address:
            ensemble.gate.clear()
            inside = pool.submit(post, address, png(5))
            assert ensemble.started.wait(10)
            threading.Timer(0.3, ensemble.gate.set).start()
        assert inside.result().json()["photos"][0]["faces"][0]["class"] == 5


def test_the_description_and_its_examples_are_what_is_answered(address):
    from portrait18.server.schemas import Reply

    described = httpx.get(f"{address}/openapi.json").json()
    assert set(described["paths"]) == {"/predict", "/health", "/metrics"}
    real = post(address, png(13)).json()
    face = described["components"]["schemas"]["FaceReply"]
    assert list(face["properties"]) == list(real["photos"][0]["faces"][0])
    assert Reply.model_validate(real).model_dump(by_alias=True, mode="json") == real
    refusals = described["paths"]["/predict"]["post"]["responses"]
    assert set(refusals) == {"200", "400", "408", "413", "415", "422", "500", "503", "504"}
    assert "Problem" in described["components"]["schemas"]
    assert "http" not in json.dumps(refusals)
