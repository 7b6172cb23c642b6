import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny import demo_photo

from portrait18.dataset import inventory, layout, probing
from portrait18.dataset.classes import MASK_BY_STEM
from portrait18.importers import building, person_photos
from portrait18.importers.__main__ import main

PEOPLE = ("000018_male_Asian_64", "000001_female_Asian_70", "000007_male_Asian_26")
POINTS = np.array([[77.0, 90], [112, 90], [95, 111], [80, 130], [110, 130]])


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def run(*arguments):
    main([str(a) for a in arguments])


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Three demo people under UTKFace's names, a photo without a face, a child and a copy."""
    folder = tmp_path_factory.mktemp("utk")
    for n, person in enumerate(PEOPLE):
        _, gender, _, age = person.split("_")
        small = cv2.resize(demo_photo(person=person), (192, 256), interpolation=cv2.INTER_AREA)
        write(folder / f"{age}_{int(gender == 'female')}_2_2017000{n}.png", small)
    write(folder / "40_0_0_20170009.png", np.full((256, 192, 3), 90, np.uint8))
    write(folder / "5_0_0_20170008.png", np.full((256, 192, 3), 80, np.uint8))
    (folder / "64_0_2_20170099.png").write_bytes((folder / "64_0_2_20170000.png").read_bytes())
    return folder


@pytest.fixture(scope="module")
def complete(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("complete") / "out"
    run("utkface", source, out)
    return out


def test_the_result_is_a_valid_training_set(complete):
    table, problems = inventory.list_train(complete)
    assert problems == []
    table, bad, _ = probing.probe(table, complete / "train/images", 10**6)
    assert bad == []
    assert len(table) == 21
    assert table.digest.is_unique
    people = table.drop_duplicates("person")[["person", "gender", "age"]].values.tolist()
    assert people == [
        ["utk-26-0-2-20170002", 0, 26],
        ["utk-64-0-2-20170000", 0, 64],
        ["utk-70-1-2-20170001", 1, 70],
    ]
    assert set(zip(table.width, table.height, strict=True)) == {(192, 256)}
    listed = pd.read_csv(complete / "train/train.csv", dtype=str)
    assert listed.iloc[0].tolist() == [
        "utk-26-0-2-20170002",
        "male",
        "Asian",
        "26",
        "utk-26-0-2-20170002_male_Asian_26",
    ]


def test_skipped_photos_are_listed_with_their_reason(complete):
    assert pd.read_csv(complete / "skipped.csv").values.tolist() == [
        ["40_0_0_20170009.png", "no face found"],
        ["64_0_2_20170099.png", "the same file as another one"],
    ]


def test_photos_without_a_face_are_printed(source, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(building.landmarks, "find", lambda net, batch, least: [None] * len(batch))
    run("utkface", source, tmp_path / "out", "--min-age", 60)
    printed = capsys.readouterr().out
    assert "0 people of 6 listed" in printed
    assert "3 skipped" in printed
    assert f"skipped: {source / '70_1_2_20170001.png'}: no face found" in printed


def test_masks_are_on_the_lower_face_except_in_normal(complete):
    folder = complete / "train/images/utk-64-0-2-20170000_male_Asian_64"
    photos = {s: cv2.imread(str(folder / f"{s}.jpg")).astype(int) for s in MASK_BY_STEM}
    source = cv2.resize(demo_photo(person=PEOPLE[0]), (192, 256), interpolation=cv2.INTER_AREA)[
        ..., ::-1
    ].astype(int)
    assert np.abs(photos["normal"] - source).mean() < 25
    height, width = source.shape[:2]
    for state, photo in photos.items():
        changed = np.abs(photo - photos["normal"])[
            int(0.35 * height) : int(0.7 * height), width // 4 : 3 * width // 4
        ]
        assert state == "normal" or changed.mean() > 8


@pytest.mark.parametrize("photos_left", [0, 3])
def test_a_resumed_run_gives_the_bytes_of_an_uninterrupted_one(
    source, complete, tmp_path, monkeypatch, photos_left
):
    out, real = tmp_path / "out", person_photos.write

    def killed(folder, drawn):
        if "_64" in folder.name:
            real(folder, dict(list(drawn.items())[:photos_left]))
            raise RuntimeError("killed")
        real(folder, drawn)

    monkeypatch.setattr(person_photos, "write", killed)
    with pytest.raises(RuntimeError):
        run("utkface", source, out)
    monkeypatch.undo()
    assert not (out / "train/train.csv").exists()
    assert len(list(out.rglob("*.jpg"))) == 14 + photos_left
    written = {p: p.stat().st_mtime_ns for p in out.rglob("*.jpg") if "_64" not in p.parent.name}
    run("utkface", source, out)
    assert content(out) == content(complete)
    assert all(
        p.stat().st_mtime_ns == time for p, time in written.items()
    )  # complete folders are kept


def test_a_finished_run_does_not_detect_faces_again(source, complete, monkeypatch):
    before = content(complete)
    monkeypatch.setattr(building.landmarks, "find", None)
    run("utkface", source, complete)
    assert content(complete) == before


@pytest.mark.parametrize(
    "more",
    [("--seed", 1), ("--limit", 2), ("--side", 100), ("--min-age", 30), ("--masks", "simple")],
)
def test_a_folder_built_with_other_options_is_not_changed(source, complete, more, capsys):
    before = content(complete)
    with pytest.raises(SystemExit):
        run("utkface", source, complete, *more)
    assert "with other options; delete it or choose another" in capsys.readouterr().err
    assert content(complete) == before


def test_a_folder_with_other_things_is_refused(source, tmp_path, capsys):
    (tmp_path / "train").mkdir()
    with pytest.raises(SystemExit):
        run("utkface", source, tmp_path)
    assert "was not built by this command" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["train"]


def test_the_seed_draws_who_is_in_the_limit(source, tmp_path, monkeypatch):
    monkeypatch.setattr(building.landmarks, "find", lambda net, batch, least: [POINTS] * len(batch))
    drawn = []
    for seed in range(6):
        run("utkface", source, tmp_path / f"{seed}", "--limit", 2, "--seed", seed)
        drawn.append(tuple(sorted(p.name for p in (tmp_path / f"{seed}/train/images").iterdir())))
    assert {len(d) for d in drawn} == {2}
    assert len(set(drawn)) > 1


def test_a_fairface_selection_becomes_a_training_set(tmp_path):
    source = tmp_path / "fairface"
    rows = ["path,age,gender"]
    for n, (person, age) in enumerate(zip(PEOPLE, ("60-69", "more than 70", "20-29"), strict=True)):
        gender = person.split("_")[1].title()
        small = cv2.resize(demo_photo(person=person), (192, 256), interpolation=cv2.INTER_AREA)
        write(source / f"photos/fairface_{n:04}.png", small)
        rows.append(f"photos/fairface_{n:04}.png,{age},{gender}")
    (source / "labels.csv").write_text("\n".join(rows) + "\n")
    run("fairface", source, tmp_path / "out", "--masks", "simple")
    table, problems = inventory.list_train(tmp_path / "out")
    assert problems == []
    people = table.drop_duplicates("person")[["person", "gender", "age"]].values.tolist()
    assert people == [
        ["fair-photos-fairface-0000", 0, 64],
        ["fair-photos-fairface-0001", 1, 75],
        ["fair-photos-fairface-0002", 0, 24],
    ]
    assert len(table) == 21
    assert "FairFace" in layout.read_about(tmp_path / "out")
    assert "CC BY 4.0" in layout.read_about(tmp_path / "out")
