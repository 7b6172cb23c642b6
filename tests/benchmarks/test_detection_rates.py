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
