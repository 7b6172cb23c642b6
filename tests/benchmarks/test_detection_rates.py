import re

from synthetic import REPO

from benchmarks import detection


def test_the_report_has_the_time_and_the_rates_of_every_search():
    lines = list(detection.measure(REPO / "data/demo", limit=6))
    searches = [search for line in lines for search in re.findall(r"up to search (\w+):", line)]
    assert searches == ["mtcnn", "yunet", "retry", "yunet", "retry"]
    methods = [re.fullmatch(r"method (\w+): \d+\.\d ms a photo", line) for line in lines]
    assert [match[1] for match in methods if match] == ["mtcnn", "yunet"]
    rates = [[float(rate) for rate in re.findall(r"\d\.\d{3}", line)] for line in lines[1:4]]
    assert all(0 <= rate <= 1 for row in rates for rate in row)
    assert rates == sorted(rates), "a later search only adds faces"


def test_the_report_on_turned_photos_has_a_line_for_each_angle():
    lines = list(detection.measure_rotated(REPO / "data/demo", limit=4))
    pattern = (
        r"turned by (\d+): .* right turn ([01]\.\d{3}), box right ([01]\.\d{3})"
        r" \(without crop.rotate ([01]\.\d{3})\), .* ms a photo \(without .*\)"
    )
    rows = [re.fullmatch(pattern, line).groups() for line in lines]
    assert [int(angle) for angle, *_ in rows] == [0, 90, 180, 270]
    assert rows[0][1:] == ("1.000",) * 3, "upright photos stay as they are"
    assert all(float(taken) >= 0.5 for _, taken, _, _ in rows)
    assert all(float(box) >= float(without) for *_, box, without in rows)
