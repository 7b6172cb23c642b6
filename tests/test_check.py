import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import EVAL_PHOTOS, PEOPLE, REPO, photo_bytes, write_info_csv, write_train_csv

from portrait18.dataset import tables
from stages import check

WHO = Path("photos/train/images") / PEOPLE[0]
OUTS = [Path("data/photos/train.csv"), Path("data/photos/eval.csv"), Path("reports/check.json")]


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch, make_dataset, write_params):
    """A folder with a sound data set in photos/ and a params.yaml that points at it."""
    make_dataset(tmp_path / "photos")
    shutil.copytree(REPO / "data/extra", tmp_path / "data/extra")
    write_params(tmp_path / "params.yaml", {"data.root": "photos"})
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def refused(capsys):
    """Run the stage, which must refuse: its lines on stderr."""

    def run() -> list[str]:
        with pytest.raises(SystemExit) as caught:
            check.main()
        assert caught.value.code == 1
        assert not any(path.exists() for path in OUTS)
        return capsys.readouterr().err.splitlines()

    return run


@pytest.fixture
def skipping(write_params):
    write_params(Path("params.yaml"), {"data.root": "photos", "check.problems": "skip"})


def found() -> tuple:
    return tables.read(OUTS[0]), tables.read(OUTS[1]), json.loads(OUTS[2].read_text())


def test_sound_data_set_is_listed_in_full(capsys):
    check.main()
    train, evaluated, report = found()
    assert len(train) == 7 * len(PEOPLE)
    assert (train.width == 48).all()
    assert (train.height == 64).all()
    assert evaluated.photo.tolist() == list(EVAL_PHOTOS)
    assert (evaluated.width == 48).all()
    assert report == {
        "train": {"people": 12, "photos": 84},
        "extra": {"people": 0, "photos": 0},
        "eval": {"photos": 4},
        "problems": 0,
        "warnings": 0,
    }
    assert capsys.readouterr().err == ""


def test_same_data_give_the_same_bytes():
    check.main()
    before = [path.read_bytes() for path in OUTS]
    check.main()
    assert [path.read_bytes() for path in OUTS] == before


def damage_much() -> list[str]:
    """Damage the data set in many ways; tells what each line must name."""
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


def test_all_problems_are_listed_in_one_run_a_line_each_before_any_output(refused):
    named = damage_much()
    Path("photos/eval/images/a.jpg").unlink()
    lines = refused()
    wanted = [
        *(("error: ", part) for part in named),
        ("warning: ", "a.jpg is missing"),
        ("check.problems: skip", ""),
    ]
    for start, part in wanted:
        assert len([line for line in lines if line.startswith(start) and part in line]) == 1, part


def test_advice_does_not_count_as_a_problem(refused):
    (WHO / "normal.jpg").unlink()
    assert "2 problems" not in "\n".join(refused())
    (WHO / "mask1.jpg").unlink()
    assert "2 problems" in "\n".join(refused())


def test_unusable_tables_do_not_hide_bad_photos(refused):
    (WHO / "mask1.jpg").write_text("not a photo")
    Path("photos/eval/info.csv").write_text("name\na.jpg\n")
    text = "\n".join(refused())
    assert "mask1.jpg cannot be decoded" in text
    assert "info.csv has columns" in text


def test_unusable_tables_are_listed_together(refused):
    Path("photos/train/train.csv").write_text("name\na\n")
    Path("photos/eval/info.csv").write_text("name\na.jpg\n")
    text = "\n".join(refused())
    assert "train.csv has columns" in text
    assert "info.csv has columns" in text


def test_skip_leaves_out_the_bad_and_goes_on(skipping, capsys):
    damage_much()
    check.main()
    train, evaluated, report = found()
    assert set(train.photo[train.folder == PEOPLE[0]]) == {
        f"{PEOPLE[0]}/incorrect_mask.jpg",
        f"{PEOPLE[0]}/mask5.jpg",
    }
    assert (train.width > 0).all()
    assert len(evaluated) == 4
    assert report["problems"] == 10
    assert report["train"]["photos"] == len(train)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert all(line.startswith("warning: ") for line in lines)


def test_skip_with_nothing_left_is_refused(skipping, refused):
    for path in Path("photos/train/images").glob("*/*.jpg"):
        path.write_text("not a photo")
    assert "no photo is left to train on" in refused()[-1]


def test_photo_above_max_pixels_is_refused(refused, write_params):
    (WHO / "normal.jpg").write_bytes(photo_bytes(width=60, height=64))
    write_params(Path("params.yaml"), {"data.root": "photos", "check.max_pixels": "3100"})
    assert "normal.jpg has 60x64 px, at most 3100 px are allowed" in refused()[0]


@pytest.mark.parametrize("problems", ["stop", "skip"])
def test_photo_to_label_keeps_its_row_whatever_is_wrong_with_it(write_params, capsys, problems):
    write_params(Path("params.yaml"), {"data.root": "photos", "check.problems": problems})
    images = Path("photos/eval/images")
    (images / "a.jpg").write_bytes(photo_bytes()[:1500])
    (images / "000001.jpg").unlink()
    (images / "extra.jpg").write_bytes(photo_bytes())
    check.main()
    _, evaluated, report = found()
    assert evaluated.photo.tolist() == list(EVAL_PHOTOS)
    assert evaluated.width.tolist() == [48, 0, 0, 48]
    assert report["warnings"] == 3
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
def test_unusable_info_csv_stops_also_when_skipping(skipping, refused, names):
    write_info_csv(Path("photos"), names)
    text = "\n".join(refused())
    assert "info.csv line 3" in text
    assert "check.problems" not in text


def test_missing_data_folder_says_where_to_put_the_data(refused, write_params):
    write_params(Path("params.yaml"), {"data.root": "nowhere"})
    lines = refused()
    assert "nowhere/train/train.csv is missing; put the data there" in lines[0]
    assert "data.root" in lines[0]


def test_folders_may_be_links():
    Path("photos/train").rename("elsewhere")
    Path("photos/train").symlink_to(Path("elsewhere").resolve())
    check.main()
    assert len(found()[0]) == 84


def test_misspelt_param_stops_before_the_photos_are_read(refused, write_params):
    write_params(Path("params.yaml"), {"data.root": "nowhere", "check.problem": "skip"})
    text = "\n".join(refused())
    assert "check.problem is not a param; did you mean problems?" in text
    assert "nowhere" not in text


def test_command_line_ends_with_plain_lines_and_status_1():
    (WHO / "normal.jpg").write_text("not a photo")
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(
        [sys.executable, "-m", "stages", "check"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


MORE = ("x-1_male_Asian_33", "x-2_female_Asian_61")


@pytest.fixture
def more(make_dataset, write_params):
    """Extra people in more/, named by data.extra."""
    make_dataset(Path("more"), people=MORE)
    write_params(Path("params.yaml"), {"data.root": "photos", "data.extra": "more"})


def test_extra_people_are_listed_behind_the_main_ones_with_where_their_photos_are(more):
    check.main()
    train, evaluated, report = found()
    assert train.extra.tolist() == [0] * 84 + [1] * 14
    assert set(train.images[:84]) == {"photos/train/images"}
    assert set(train.images[84:]) == {"more/train/images"}
    assert set(train.folder[84:]) == set(MORE)
    assert report["extra"] == {"people": 2, "photos": 14}
    assert all(Path(row.images, row.photo).exists() for row in train.itertuples())
    assert set(evaluated.images) == {"photos/eval/images"}


def test_faults_of_extra_people_are_listed_with_the_others(more, refused):
    (Path("more/train/images") / MORE[0] / "mask1.jpg").unlink()
    (WHO / "normal.jpg").unlink()
    text = "\n".join(refused())
    assert f"more/train/images/{MORE[0]}/mask1.jpg is missing" in text
    assert "normal.jpg is missing" in text


def test_an_extra_person_under_a_main_ones_id_is_refused(make_dataset, write_params, refused):
    make_dataset(Path("more"), people=("000001_male_Asian_33",))
    write_params(Path("params.yaml"), {"data.root": "photos", "data.extra": "more"})
    (line,) = [line for line in refused() if "000001" in line]
    assert "more/train/images/000001_male_Asian_33: id 000001 is one of the main people's" in line


@pytest.mark.parametrize("wrong", ["data", "photos/train", "nowhere"])
def test_a_folder_of_extra_people_that_is_none_is_refused(write_params, refused, wrong):
    write_params(Path("params.yaml"), {"data.root": "photos", "data.extra": wrong})
    text = "\n".join(refused())
    assert f"{wrong}/train/train.csv is missing" in text
    assert "point data.extra at" in text


def test_one_photo_under_two_ids_is_warned_of(capsys):
    other = Path("photos/train/images") / PEOPLE[1] / "normal.jpg"
    other.write_bytes((WHO / "mask1.jpg").read_bytes())
    check.main()
    assert (
        f"{other} is the same file as {PEOPLE[0]}/mask1.jpg, of another id"
        in capsys.readouterr().err
    )
    assert found()[2]["warnings"] == 1


def test_one_photo_under_two_mask_states_is_warned_of(capsys):
    (WHO / "normal.jpg").write_bytes((WHO / "mask1.jpg").read_bytes())
    (WHO / "mask3.jpg").write_bytes((WHO / "mask2.jpg").read_bytes())
    check.main()
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        f"{WHO}/normal.jpg is the same file as {PEOPLE[0]}/mask1.jpg, of another mask state" in line
    )
