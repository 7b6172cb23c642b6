"""reports/runs.csv: what was written is read again."""

import pytest

from portrait18.core.errors import UserError
from recipes import results

DONE = results.RecipeResult(
    *("base", "0", "", "base-s0-1", "abc", "", 10.0, "2026-01-01T00:00:00Z", "data/bench"),
    *(1199, 239, 2100, 0.5, 0.55, 0.4, 0.99, 0.92, 0.6),
)
STOPPED = results.RecipeResult("b", "0+1", "a='x, y'; b=[1, 2]", "e", "abc+", "00000001", 1.5, "")


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_results_are_read_as_they_were_written(tmp_path):
    assert results.read() == []
    results.append(STOPPED)
    results.append(DONE)
    assert results.read() == [STOPPED, DONE]
    assert [p.name for p in (tmp_path / "reports").iterdir()] == ["runs.csv"]


def test_all_bad_numbers_are_listed_with_their_line():
    results.append(DONE)
    results.append(DONE)
    results.FILE.write_text(results.FILE.read_text().replace("1199", "many"))
    with pytest.raises(UserError) as caught:
        results.read()
    assert [p.split(":")[0] for p in caught.value.problems] == [
        "reports/runs.csv line 2",
        "reports/runs.csv line 3",
    ]


def test_the_digest_depends_on_values_but_not_on_order_or_seeds():
    first = {"a": {"x": 1, "loss": {"name": "f", "gamma": 2.0}}, "b": 2}
    same = {"b": 2, "matrix": {"seeds": [1]}, "a": {"loss": {"gamma": 2.0, "name": "f"}, "x": 1}}
    assert results.digest(first) == results.digest(same)
    assert results.digest(first) != results.digest({**first, "b": 3})
