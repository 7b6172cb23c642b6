import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import EVAL_PHOTOS, PEOPLE, REPO, photo_bytes, write_info_csv, write_train_csv

from portrait18.core.errors import UserError
from portrait18.dataset import tables
from stages import check

WHO = Path("photos/train/images") / PEOPLE[0]
OUTS = [
    Path("data/photos/train.csv"),
    Path("data/photos/eval.csv"),
    Path("data/photos/about.txt"),
    Path("reports/check.txt"),
    Path("reports/check.json"),
]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, make_dataset, write_params):
    """Work in a folder with a valid data set in photos/ and a params.yaml that points at it."""
    make_dataset(tmp_path / "photos")
    shutil.copytree(REPO / "data/extra", tmp_path / "data/extra")
    write_params(tmp_path / "params.yaml", {"data.root": "photos"})
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def rejected():
    """Run the stage, which must fail without outputs; returns its error."""

    def run() -> UserError:
        with pytest.raises(UserError) as caught:
            check.main()
        assert not any(path.exists() for path in OUTS)
        return caught.value

    return run


@pytest.fixture
def skip_problems(write_params):
    write_params(Path("params.yaml"), {"data.root": "photos", "check.problems": "skip"})


def outputs() -> tuple:
    return tables.read(OUTS[0]), tables.read(OUTS[1]), json.loads(OUTS[-1].read_text())


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


EXTRA_PEOPLE = ("x-1_male_Asian_33", "x-2_female_Asian_61")


@pytest.fixture
def extra_people(make_dataset, write_params):
    """Write extra people to more/ and point data.extra at it."""
    make_dataset(Path("more"), people=EXTRA_PEOPLE)
    write_params(Path("params.yaml"), {"data.root": "photos", "data.extra": "more"})


def test_extra_people_follow_the_main_people_with_their_own_folder(extra_people):
    check.main()
    train, evaluation, report = outputs()
    assert train.extra.tolist() == [0] * 84 + [1] * 14
    assert set(train.images[:84]) == {"photos/train/images"}
    assert set(train.images[84:]) == {"more/train/images"}
    assert set(train.folder[84:]) == set(EXTRA_PEOPLE)
    assert report["extra"] == {"people": 2, "photos": 14}
    assert all(Path(row.images, row.photo).exists() for row in train.itertuples())
    assert set(evaluation.images) == {"photos/eval/images"}


def test_problems_of_extra_people_are_listed_with_the_others(extra_people, rejected):
    (Path("more/train/images") / EXTRA_PEOPLE[0] / "mask1.jpg").unlink()
    (WHO / "normal.jpg").unlink()
    text = str(rejected())
    assert f"more/train/images/{EXTRA_PEOPLE[0]}/mask1.jpg is missing" in text
    assert "normal.jpg is missing" in text


def test_an_extra_person_with_the_id_of_a_main_person_is_rejected(
    make_dataset, write_params, rejected
):
    make_dataset(Path("more"), people=("000001_male_Asian_33",))
    write_params(Path("params.yaml"), {"data.root": "photos", "data.extra": "more"})
    (line,) = [line for line in rejected().problems if "000001" in line]
    assert "more/train/images/000001_male_Asian_33: id 000001 also belongs to one of" in line


@pytest.mark.parametrize("wrong", ["data", "photos/train", "nowhere"])
def test_a_data_extra_folder_without_train_is_rejected(write_params, rejected, wrong):
    write_params(Path("params.yaml"), {"data.root": "photos", "data.extra": wrong})
    text = str(rejected())
    assert f"{wrong}/train/train.csv is missing" in text
    assert "point data.extra at" in text


def test_one_file_under_two_ids_gives_a_warning(capsys):
    other = Path("photos/train/images") / PEOPLE[1] / "normal.jpg"
    other.write_bytes((WHO / "mask1.jpg").read_bytes())
    check.main()
    expected = f"{other} is the same file as {PEOPLE[0]}/mask1.jpg, which has another id"
    assert expected in capsys.readouterr().err
    assert outputs()[2]["warnings"] == 1


def test_one_file_under_two_mask_states_gives_a_warning(capsys):
    (WHO / "normal.jpg").write_bytes((WHO / "mask1.jpg").read_bytes())
    (WHO / "mask3.jpg").write_bytes((WHO / "mask2.jpg").read_bytes())
    check.main()
    (line,) = capsys.readouterr().err.splitlines()
    expected = f"{WHO}/normal.jpg is the same file as {PEOPLE[0]}/mask1.jpg, which has another"
    assert f"{expected} mask state" in line


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


def test_intact_pixels_in_a_damaged_file_are_a_warning(capsys):
    (WHO / "normal.jpg").write_bytes(photo_bytes()[:-2])
    check.main()
    assert (outputs()[0].width == 48).all()
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{WHO}/normal.jpg is damaged outside its pixels" in line


def test_junk_is_counted_hidden_files_and_links_are_named(capsys):
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._normal.jpg"):
        (WHO / name).write_text("junk")
    (WHO.parent / "__MACOSX").mkdir()
    (WHO / ".normal.jpg").write_bytes(photo_bytes())
    Path("photos/train/images", PEOPLE[1]).rename("elsewhere")
    Path("photos/train/images", PEOPLE[1]).symlink_to(Path("elsewhere").resolve())
    check.main()
    assert len(outputs()[0]) == 84
    out, err = capsys.readouterr()
    assert "photos/train/images: 5 files of file managers ignored" in out
    hidden, links = err.splitlines()
    assert ".normal.jpg is hidden and left out" in hidden
    assert "photos/train/images holds 1 links to folders" in links


def test_a_name_too_long_for_the_disk_is_one_line_with_its_length():
    info = Path("photos/eval/info.csv")
    info.write_text(info.read_text() + "x" * 300 + ".jpg,0\n")
    check.main()
    [line] = Path("reports/check.txt").read_text().splitlines()
    assert "has a name of 304 bytes, at most 255 are allowed; shorten it" in line
