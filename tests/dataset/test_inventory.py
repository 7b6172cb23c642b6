import unicodedata
from pathlib import Path

import pytest
from synthetic import MASK_STATES, PEOPLE, photo_bytes, write_train_csv

from portrait18.core.errors import UserError
from portrait18.dataset import inventory
from portrait18.dataset.file_reading import file_bytes

WHO = "000001_male_Asian_25"
OTHER = "000002_female_Asian_60"


@pytest.fixture
def root(tmp_path, make_dataset) -> Path:
    return make_dataset(tmp_path, people=[WHO, OTHER], eval_photos=["b.jpg", "a.jpg"])


@pytest.fixture
def folder(root) -> Path:
    return root / "train/images" / WHO


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_valid_data_set_has_a_row_for_each_photo_and_no_problems(tmp_path, make_dataset):
    table, problems = inventory.list_train(make_dataset(tmp_path))
    assert problems == []
    assert len(table) == 7 * len(PEOPLE)
    assert table.photo.is_monotonic_increasing
    row = table.set_index("photo").loc[f"{PEOPLE[3]}/incorrect_mask.jpg"]
    assert row.to_dict() == {
        "folder": PEOPLE[3],
        "person": "000004",
        "gender": 1,
        "age": 22,
        "mask": 1,
    }


def test_a_folder_that_does_not_parse_is_named_and_left_out(root):
    (root / "train/images/000003_male_25").mkdir()
    table, problems = inventory.list_train(root)
    assert len(problems) == 1
    assert "000003_male_25" in problems[0]
    assert "<id>_<male|female>_<race>_<age>" in problems[0]
    assert set(table.folder) == {WHO, OTHER}


def test_a_listed_folder_that_does_not_parse_is_not_reported_missing(root):
    (root / "train/images/000003_man_Asian_25").mkdir()
    with open(root / "train/train.csv", "a") as listed:
        listed.write("000003,man,Asian,25,000003_man_Asian_25\n")
    assert not [line for line in inventory.list_train(root)[1] if "no folder" in line]


def test_a_row_without_a_folder_is_named(root):
    write_train_csv(root, [WHO, OTHER, "000003_male_Asian_25"])
    _, problems = inventory.list_train(root)
    assert len(problems) == 1
    assert "train.csv line 4: no folder train/images/000003_male_Asian_25" in problems[0]


def test_a_folder_without_a_row_is_named(root):
    write_train_csv(root, [WHO])
    _, problems = inventory.list_train(root)
    assert len(problems) == 1
    assert f"no row for folder {OTHER}" in problems[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [("000002,", "000009,"), (",female", ",male"), ("Asian,", "White,"), (",60,", ",61,")],
    ids=["id", "gender", "race", "age"],
)
def test_a_row_that_disagrees_with_its_path_is_named(root, old, new):
    head, one, two = (root / "train/train.csv").read_text().splitlines()
    (root / "train/train.csv").write_text("\n".join([head, one, two.replace(old, new, 1), ""]))
    _, problems = inventory.list_train(root)
    assert len(problems) == 1
    assert "train.csv line 3" in problems[0]
    assert f"disagrees with its path {OTHER}" in problems[0]


def test_folder_that_disagrees_with_its_row_is_left_out(root):
    rewrite(root / "train/train.csv", ",60,", ",61,")
    assert set(inventory.list_train(root)[0].folder) == {WHO}


def test_folder_without_row_is_left_out(root):
    write_train_csv(root, [WHO])
    assert set(inventory.list_train(root)[0].folder) == {WHO}


def test_row_listed_twice_is_named(root):
    write_train_csv(root, [WHO, OTHER, WHO])
    _, problems = inventory.list_train(root)
    assert len(problems) == 1
    assert f"line 4: path {WHO} is listed twice" in problems[0]


@pytest.mark.parametrize("state", MASK_STATES)
def test_missing_photo_is_named(root, folder, state):
    (folder / f"{state}.jpg").unlink()
    table, problems = inventory.list_train(root)
    assert len(problems) == 1
    assert f"{folder}/{state}.jpg is missing" in problems[0]
    assert len(table) == 13


@pytest.mark.parametrize("name", ["._normal.jpg", "._mask1.jpg", ".DS_Store", "Thumbs.db"])
def test_junk_in_a_folder_is_ignored(root, folder, name):
    (folder / name).write_bytes(b"junk")
    table, problems = inventory.list_train(root)
    assert problems == []
    assert len(table) == 14


@pytest.mark.parametrize("name", ["._" + WHO, ".DS_Store", "Thumbs.db"])
def test_junk_next_to_the_folders_is_ignored(root, name):
    (root / "train/images" / name).write_bytes(b"junk")
    assert inventory.list_train(root)[1] == []


def test_hidden_folder_is_ignored(root):
    (root / "train/images/.ipynb_checkpoints").mkdir()
    assert inventory.list_train(root)[1] == []


def test_a_file_next_to_the_folders_is_named(root):
    (root / "train/images/notes.txt").write_text("")
    assert "notes.txt is not a folder" in inventory.list_train(root)[1][0]


def test_extensions_may_be_mixed_in_one_folder(root, folder):
    for state, suffix in (
        ("normal", ".png"),
        ("mask1", ".jpeg"),
        ("mask2", ".JPG"),
        ("mask3", ".PNG"),
    ):
        (folder / f"{state}.jpg").rename(folder / f"{state}{suffix}")
    table, problems = inventory.list_train(root)
    assert problems == []
    assert {
        f"{WHO}/normal.png",
        f"{WHO}/mask1.jpeg",
        f"{WHO}/mask2.JPG",
        f"{WHO}/mask3.PNG",
    } <= set(table.photo)


def test_two_files_for_one_state_are_rejected(root, folder):
    (folder / "mask1.png").write_bytes(photo_bytes(kind="PNG"))
    table, problems = inventory.list_train(root)
    assert len(problems) == 1
    assert "mask1.png has the same stem as mask1.jpg" in problems[0]
    assert len(table) == 14


@pytest.mark.parametrize("name", ["mask6.jpg", "normal.gif", "Normal.jpg"])
def test_unknown_file_is_named_with_the_allowed_names(root, folder, name):
    (folder / name).write_bytes(photo_bytes())
    _, problems = inventory.list_train(root)
    assert len(problems) == 1
    assert f"{folder / name} is not a known photo" in problems[0]
    assert "incorrect_mask" in problems[0]


def test_one_id_may_have_two_folders(tmp_path, make_dataset):
    twice = ["003397_male_Asian_25", "003397_male_Asian_60"]
    table, problems = inventory.list_train(make_dataset(tmp_path, people=twice))
    assert problems == []
    assert set(table.person) == {"003397"}
    assert table.folder.nunique() == 2


def test_all_problems_are_listed_together(root, folder):
    (folder / "normal.jpg").unlink()
    (root / "train/images/nonsense").mkdir()
    write_train_csv(root, [WHO, "000007_male_Asian_33"])
    text = "\n".join(inventory.list_train(root)[1])
    for part in (f"{WHO}/normal.jpg", "nonsense", "000007_male_Asian_33", OTHER):
        assert part in text


def test_ids_and_races_stay_text(tmp_path, make_dataset):
    people = ["000001_male_NA_25", "NA_female_None_30", "1e5_male_Asian_40"]
    table, problems = inventory.list_train(make_dataset(tmp_path, people=people))
    assert problems == []
    assert set(table.person) == {"000001", "NA", "1e5"}


def test_train_csv_may_start_with_a_byte_order_mark(root):
    path = root / "train/train.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert inventory.list_train(root)[1] == []


@pytest.mark.parametrize(
    "content",
    [b"", b"id,gender\xff\xfe,race\n", b"id;gender;race;age;path\n"],
    ids=["empty", "encoding", "semicolons"],
)
def test_unreadable_train_csv_names_the_wanted_columns(root, content):
    (root / "train/train.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"train\.csv .*id,gender,race,age,path"):
        inventory.list_train(root)


@pytest.mark.parametrize("name", ["train/train.csv", "eval/info.csv"])
def test_rows_longer_than_the_header_are_rejected(root, name):
    head, *rows = (root / name).read_text().splitlines()
    (root / name).write_text("\n".join([head, *(row + "," for row in rows)]) + "\n")
    with pytest.raises(UserError, match=name):
        raise UserError(inventory.list_train(root)[1] + inventory.list_eval(root)[1])


def test_names_in_nfd_match_those_of_the_csv_files_in_nfc(tmp_path, make_dataset):
    nfc = [f"{i}_male_\ud55c\uad6d_30" for i in (1, 2)]
    root = make_dataset(tmp_path, people=nfc, eval_photos=["\ub9c8\uc2a4\ud06c.jpg"])
    for parent in (root / "train/images", root / "eval/images"):
        for path in list(parent.iterdir()):
            path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    table, problems = inventory.list_train(root)
    assert problems == []
    assert len(table) == 14
    table, problems, warnings = inventory.list_eval(root)
    assert (problems, warnings) == ([], [])
    assert file_bytes(root / "eval/images" / table.photo[0], 10**6)
