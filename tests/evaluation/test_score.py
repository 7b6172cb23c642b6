import pandas as pd
import pytest

from portrait18.core.errors import UserError
from portrait18.evaluation import score


def write(path, rows):
    path.write_text("\n".join(["ImageID,ans", *(f"{name},{ans}" for name, ans in rows)]) + "\n")
    return path


@pytest.fixture
def answers(tmp_path):
    return write(tmp_path / "answers.csv", [(f"{i}.jpg", i) for i in range(18)])


def test_perfect_submission_in_another_order(tmp_path, answers, capsys):
    submission = write(tmp_path / "s.csv", [(f"{i}.jpg", i) for i in reversed(range(18))])
    score.main([str(submission), str(answers)])
    lines = {
        line.split("  ")[0]: line.split()[-2:] for line in capsys.readouterr().out.splitlines()[1:]
    }
    assert lines["18 classes"] == ["1.000", "1.000"]
    assert lines["age"] == ["1.000", "1.000"]
    assert lines["majority"] == ["0.006", "0.056"]  # 1 of 18 right; F1 2/19 of one class, over 18


def test_scores_of_a_submission_that_swaps_the_genders(answers):
    truth = score.read(answers)
    metrics = score.compare(truth.map(lambda c: c - 3 if c % 6 >= 3 else c + 3), truth)
    assert metrics["macro_f1"] == metrics["accuracy"] == metrics["gender"]["accuracy"] == 0
    assert metrics["mask"]["macro_f1"] == metrics["age"]["macro_f1"] == 1


def test_every_bad_row_is_named(tmp_path):
    path = write(
        tmp_path / "s.csv",
        [("a.jpg", 18), ("b.jpg", "x"), ("c.jpg", ""), ("d.jpg", 3), ("d.jpg", 3)],
    )
    with pytest.raises(UserError) as caught:
        score.read(path)
    assert [line.split(": ")[0].split()[-1] for line in caught.value.problems] == [
        "2",
        "3",
        "4",
        "6",
    ]
    assert "whole number from 0 to 17" in caught.value.problems[0]


def test_other_photos_are_refused(tmp_path, answers):
    submission = write(
        tmp_path / "s.csv", [(f"{i}.jpg", i) for i in range(17)] + [("other.jpg", 1)]
    )
    with pytest.raises(UserError, match=r"1 missing, 1 too many, first 17\.jpg"):
        score.compare(score.read(submission), score.read(answers))


@pytest.mark.parametrize(
    ("content", "message"), [("id,ans\na,1\n", "missing"), ("", "not a readable CSV")]
)
def test_another_kind_of_file_is_refused_with_one_line(tmp_path, answers, content, message, capsys):
    (tmp_path / "s.csv").write_text(content)
    with pytest.raises(SystemExit):
        score.main([str(tmp_path / "s.csv"), str(answers)])
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.csv: no such file"):
        score.read(tmp_path / "none.csv")


def test_ids_that_look_like_numbers_stay_text(tmp_path):
    path = write(tmp_path / "s.csv", [("000001", 1), ("NA", 2)])
    assert score.read(path).equals(
        pd.Series([1, 2], index=pd.Index(["000001", "NA"], name="ImageID"), name="ans")
    )
