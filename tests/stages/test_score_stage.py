from pathlib import Path

import pytest

from portrait18.core.files import read_json
from stages import score


@pytest.mark.parametrize("text", ["no warnings\n", "warning: a.jpg is bad\nwarning: b.jpg\n"])
def test_the_score_repeats_the_warnings_of_the_check(
    tmp_path, monkeypatch, write_params, capsys, text
):
    write_params(tmp_path / "params.yaml", {"data.root": "photos"})
    monkeypatch.chdir(tmp_path)
    Path("photos/eval").mkdir(parents=True)
    Path("data").mkdir()
    for path in ("photos/eval/answers.csv", "data/submission.csv"):
        Path(path).write_text("ImageID,ans\na.jpg,3\nb.jpg,0\n")
    Path("reports").mkdir()
    Path("reports/check.txt").write_text(text)
    score.main()
    scores, *warnings = capsys.readouterr().out.splitlines()
    assert scores.startswith("evaluation set: macro-F1 ")
    assert read_json("reports/score.json")["accuracy"] == 1
    expected = [] if text.startswith("no") else text.splitlines()
    assert warnings[1:] == expected
    assert len(warnings) == (len(expected) and len(expected) + 1)
