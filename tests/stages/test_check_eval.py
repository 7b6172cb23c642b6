"""The stage check on evaluation photos: each keeps its row."""

from pathlib import Path

import pytest
from check_outputs import outputs
from synthetic import EVAL_PHOTOS, photo_bytes, write_info_csv

from stages import check

pytestmark = pytest.mark.usefixtures("check_project")


@pytest.mark.parametrize("problems", ["stop", "skip"])
def test_a_bad_evaluation_photo_keeps_its_row(write_params, capsys, problems):
    write_params(Path("params.yaml"), {"data.root": "photos", "check.problems": problems})
    images = Path("photos/eval/images")
    (images / "a.jpg").write_bytes(photo_bytes()[:1500])
    (images / "000001.jpg").unlink()
    (images / "extra.jpg").write_bytes(photo_bytes())
    check.main()
    _, evaluation, report = outputs()
    assert evaluation.photo.tolist() == list(EVAL_PHOTOS)
    assert evaluation.width.tolist() == [48, 0, 0, 48]
    assert report["warnings"] == 3
    assert Path("reports/check.txt").read_text().count("warning: ") == 3
    assert report["problems"] == 0
    text = capsys.readouterr().err
    for line in (
        "a.jpg cannot be decoded",
        "000001.jpg is missing",
        "extra.jpg is not in info.csv",
    ):
        assert line in text


@pytest.mark.parametrize(
    "names", [["a.jpg", "../a.jpg"], ["a.jpg", "a.jpg"]], ids=["path", "twice"]
)
def test_an_invalid_info_csv_fails_also_with_skip(skip_problems, rejected, names):
    write_info_csv(Path("photos"), names)
    error = rejected()
    assert "info.csv line 3" in str(error)
    assert error.hint == ""


def test_a_wrong_column_of_persons_is_listed_with_the_other_problems(rejected, write_params):
    write_info_csv(Path("photos"), [*EVAL_PHOTOS, EVAL_PHOTOS[0]])
    changes = {"data.root": "photos", "group.by": "column", "group.column": "sitter"}
    write_params(Path("params.yaml"), changes)
    repeated, column = rejected().problems
    assert f"{EVAL_PHOTOS[0]} is listed twice" in repeated
    assert column.startswith("params.yaml: group.column = 'sitter' is not a column of persons")


def rename_eval_photos(count: int) -> None:
    for name in EVAL_PHOTOS[:count]:
        path = Path("photos/eval/images", name)
        path.rename(path.with_suffix(path.suffix.upper()))


@pytest.mark.parametrize("share", ["0.5", "0"])
def test_missing_evaluation_photos_above_the_allowed_share_stop(
    rejected, write_params, capsys, share
):
    write_params(Path("params.yaml"), {"data.root": "photos", "check.max_bad_eval": share})
    count = 3 if share == "0.5" else 1
    rename_eval_photos(count)
    (line,) = rejected().problems
    assert f"{count} of 4 photos of info.csv are missing or unreadable" in line
    assert f"check.max_bad_eval allows a share of {share}" in line
    name = EVAL_PHOTOS[0]
    other = Path(name).with_suffix(Path(name).suffix.upper())
    assert f"{name} is missing (the folder has {other}); add the file" in capsys.readouterr().err


def test_missing_evaluation_photos_up_to_the_allowed_share_are_warnings():
    rename_eval_photos(2)
    check.main()
    assert "the folder has" in Path("reports/check.txt").read_text()
