"""Faulty labels, photos and options of an import."""

import numpy as np
import pandas as pd
import pytest
from synthetic import photo_bytes

from portrait18.core.errors import UserError
from portrait18.dataset import inventory, probing
from portrait18.importers import INPUTS, building, person_photos, selection
from portrait18.importers.__main__ import main

POINTS = np.array([[77.0, 90], [112, 90], [95, 111], [80, 130], [110, 130]])


def run(*arguments):
    main([str(a) for a in arguments])


@pytest.fixture
def bad(tmp_path):
    for name in ("good.jpg", "noise.jpg"):
        (tmp_path / name).write_bytes(photo_bytes(len(name)))
    (tmp_path / "torn.jpg").write_bytes(photo_bytes(3)[:400])
    rows = [
        "good.jpg,male,30",
        "gone.jpg,male,30",
        "torn.jpg,female,40",
        "noise.jpg,x,40",
        "wide.jpg,male,25-35",
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["path,gender,age", *rows]) + "\n")
    return tmp_path


def test_bad_rows_and_photos_are_listed_together_before_any_work(bad, capsys):
    with pytest.raises(SystemExit):
        run("csv", bad, bad / "out")
    lines = capsys.readouterr().err.splitlines()
    for message in (
        "labels.csv line 5: gender 'x'",
        "gone.jpg is missing",
        "torn.jpg cannot be decoded",
        "3 problems",
    ):
        assert sum(message in line for line in lines) == 1
    assert len(lines) == 5
    assert not (bad / "out").exists()


def test_problems_skip_continues_without_the_bad_ones(bad, monkeypatch, capsys):
    monkeypatch.setattr(
        building.landmarks, "find", lambda net, batch, least: [POINTS / 4] * len(batch)
    )
    run("csv", bad, bad / "out", "--problems", "skip", "--race", "any")
    assert [p.name for p in (bad / "out/train/images").iterdir()] == ["csv-good_male_any_30"]
    assert capsys.readouterr().err.count("warning: ") == 3
    assert pd.read_csv(bad / "out/skipped.csv").values.tolist() == [
        ["wide.jpg", "ages 25-35 straddle a threshold of the age groups"]
    ]


def test_faces_from_the_side_are_skipped(bad, monkeypatch):
    side = POINTS / 4 * (0.1, 1)
    monkeypatch.setattr(building.landmarks, "find", lambda net, batch, least: [side] * len(batch))
    run("csv", bad, bad / "out", "--problems", "skip")
    assert ["good.jpg", "face seen from the side"] in pd.read_csv(
        bad / "out/skipped.csv"
    ).values.tolist()
    assert len(pd.read_csv(bad / "out/train/train.csv")) == 0


def test_ages_are_inclusive_and_a_range_counts_by_its_middle():
    table = pd.DataFrame(
        [
            ("a", 18, 18, 18),
            ("b", 17, 17, 17),
            ("c", 14, 10, 19),
            ("d", 60, 60, 60),
            ("e", 61, 61, 61),
            ("f", 24, 20, 29),
            ("g", 30, 25, 35),
            ("h", 75, 70, 120),
            ("i", 57, 50, 64),
        ],
        columns=["photo", "age", "low", "high"],
    )
    found = selection.select_ages(table, 18, 60)
    assert found.people.photo.tolist() == ["a", "d", "f"]
    assert sorted(found.skipped) == ["g", "i"]
    assert "25-35" in found.skipped["g"]
    assert selection.select_ages(table, 61, 100).people.photo.tolist() == ["e", "h"]


def test_photos_are_shrunk_to_the_side_and_never_enlarged(tmp_path, monkeypatch):
    monkeypatch.setattr(
        building.landmarks, "find", lambda net, batch, least: [POINTS / 4] * len(batch)
    )
    for name, size in (("00001A20", (400, 200)), ("00002A20", (64, 48))):
        (tmp_path / f"{name}.jpg").write_bytes(photo_bytes(1, *size))
    run("all-age-faces", tmp_path, tmp_path / "out", "--side", 100)
    table, _, _ = probing.probe(
        inventory.list_train(tmp_path / "out")[0], tmp_path / "out/train/images", 10**6
    )
    assert set(zip(table.person, table.width, table.height, strict=True)) == {
        ("aaf-00001A20", 100, 50),
        ("aaf-00002A20", 64, 48),
    }


@pytest.mark.parametrize(
    "option", [("--limit", 0), ("--side", 10), ("--seed", -1), ("--race", "East_Asian")]
)
def test_options_out_of_range_are_refused(tmp_path, option, capsys):
    with pytest.raises(SystemExit):
        run("utkface", tmp_path, tmp_path / "out", *option)
    assert f"{option[0]} " in capsys.readouterr().err.splitlines()[-1]


def test_a_photo_that_was_deleted_after_listing_is_reported(tmp_path):
    with pytest.raises(UserError, match="run this command again"):
        person_photos.read(tmp_path / "gone.jpg", 512)


def test_nobody_left_says_why(bad, capsys):
    with pytest.raises(SystemExit):
        run("csv", bad, bad / "out", "--problems", "skip", "--min-age", 31)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "so nobody is left" in line]
    for part in ("of 5 people listed", "3 are not from 31 to 100", "2 have problems", "--min-age"):
        assert part in line


def test_ages_in_the_wrong_order_are_an_error(bad, capsys):
    with pytest.raises(SystemExit):
        run("csv", bad, bad / "out", "--min-age", 50, "--max-age", 20)
    assert "--min-age 50 is above --max-age 20; exchange them" in capsys.readouterr().err


def test_photos_of_an_earlier_import_are_not_unlisted(bad, capsys):
    images = bad / "out/train/images/csv-good_male_any_30"
    images.mkdir(parents=True)
    (images / "normal.jpg").write_bytes(photo_bytes())
    (bad / "out" / INPUTS).write_text("{}")
    (bad / "other.jpg").write_bytes(photo_bytes())
    with pytest.raises(SystemExit):
        run("csv", bad, bad / "new")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "in no row" in line]
    assert f"warning: {bad}: 1 photos are in no row of the labels" in line
