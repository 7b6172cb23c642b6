import os
import subprocess
import sys
from pathlib import Path

import pytest
from check_outputs import OUTS, WHO, outputs
from synthetic import EVAL_PHOTOS, PEOPLE, REPO, photo_bytes, write_train_csv

from stages import check

pytestmark = pytest.mark.usefixtures("check_project")


def test_a_valid_data_set_is_listed_in_full(capsys):
    check.main()
    train, evaluation, report = outputs()
    assert len(train) == 7 * len(PEOPLE)
    assert (train.width == 48).all()
    assert (train.height == 64).all()
    assert evaluation.photo.tolist() == list(EVAL_PHOTOS)
    assert (evaluation.width == 48).all()
    assert report == {
        "train": {"people": 12, "photos": 84},
        "extra": {"people": 0, "photos": 0},
        "eval": {"photos": 4},
        "problems": 0,
        "warnings": 0,
    }
    assert capsys.readouterr().err == ""


def test_the_same_data_give_the_same_bytes():
    check.main()
    before = [path.read_bytes() for path in OUTS]
    check.main()
    assert [path.read_bytes() for path in OUTS] == before


def damage_many_files() -> list[str]:
    """Damage the data set in ten ways; returns a text for each that its line must contain."""
    (WHO / "normal.jpg").unlink()
    (WHO / "mask1.jpg").write_bytes(photo_bytes()[:1500])
    (WHO / "mask2.jpg").write_text("not a photo")
    (WHO / "mask3.jpg").write_bytes(b"")
    (WHO / "mask4.jpg").write_bytes(photo_bytes(width=10, height=10))
    (WHO / "mask5.png").write_bytes(photo_bytes(kind="PNG"))
    (WHO / "notes.txt").write_text("")
    (WHO.parent / "someone").mkdir()
    write_train_csv(Path("photos"), [*PEOPLE[:-1], "000099_male_Asian_33"])
    files = [f"{WHO}/{name}.jpg" for name in ("normal", "mask1", "mask2", "mask3", "mask4")]
    files += [f"{WHO}/mask5.png", f"{WHO}/notes.txt"]
    return [*files, "images/someone", "images/000099_male_Asian_33", f"folder {PEOPLE[-1]}"]


def test_all_problems_are_listed_in_one_run_a_line_each(rejected, capsys):
    texts = damage_many_files()
    Path("photos/eval/images/a.jpg").unlink()
    error = rejected()
    for text in texts:
        assert len([line for line in error.problems if text in line]) == 1, text
    assert len(error.problems) == len(texts)
    assert "check.problems: skip" in error.hint
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: ")
    assert "a.jpg is missing" in warning


def test_unusable_tables_do_not_hide_bad_photos(rejected):
    (WHO / "mask1.jpg").write_text("not a photo")
    Path("photos/eval/info.csv").write_text("name\na.jpg\n")
    text = str(rejected())
    assert "mask1.jpg cannot be decoded" in text
    assert "info.csv has columns" in text


def test_unusable_tables_are_listed_together(rejected):
    Path("photos/train/train.csv").write_text("name\na\n")
    Path("photos/eval/info.csv").write_text("name\na.jpg\n")
    text = str(rejected())
    assert "train.csv has columns" in text
    assert "info.csv has columns" in text


def test_skip_leaves_out_bad_photos_and_continues(skip_problems, capsys):
    damage_many_files()
    check.main()
    train, evaluation, report = outputs()
    assert set(train.photo[train.folder == PEOPLE[0]]) == {
        f"{PEOPLE[0]}/incorrect_mask.jpg",
        f"{PEOPLE[0]}/mask5.jpg",
    }
    assert (train.width > 0).all()
    assert len(evaluation) == 4
    assert report["problems"] == 10
    assert report["train"]["photos"] == len(train)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert all(line.startswith("warning: ") for line in lines)


def test_skip_fails_if_no_photo_is_left(skip_problems, rejected):
    for path in Path("photos/train/images").glob("*/*.jpg"):
        path.write_text("not a photo")
    assert "no valid training photo is left" in str(rejected())


def test_a_photo_above_max_pixels_is_rejected(rejected, write_params):
    (WHO / "normal.jpg").write_bytes(photo_bytes(width=60, height=64))
    write_params(Path("params.yaml"), {"data.root": "photos", "check.max_pixels": "3100"})
    assert "normal.jpg has 60x64 px, at most 3100 px are allowed" in str(rejected())


def test_a_missing_data_folder_says_where_to_put_the_data(rejected, write_params):
    write_params(Path("params.yaml"), {"data.root": "nowhere"})
    line = rejected().problems[0]
    assert "nowhere/train/train.csv is missing; put the data there" in line
    assert "data.root" in line


def test_folders_may_be_links():
    Path("photos/train").rename("elsewhere")
    Path("photos/train").symlink_to(Path("elsewhere").resolve())
    check.main()
    assert len(outputs()[0]) == 84


def test_a_misspelt_param_fails_before_photos_are_read(rejected, write_params):
    write_params(Path("params.yaml"), {"data.root": "nowhere", "check.problem": "skip"})
    text = str(rejected())
    assert "check.problem is unknown; did you mean problems?" in text
    assert "nowhere" not in text


def test_the_command_prints_error_lines_and_exits_with_status_1():
    (WHO / "normal.jpg").write_text("not a photo")
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(
        [sys.executable, "-m", "stages", "check"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "2 problems" not in done.stderr, "the hint does not count as a problem"
    assert "Traceback" not in done.stderr
