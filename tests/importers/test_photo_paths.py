from pathlib import Path

import pytest

from portrait18.core.errors import UserError
from portrait18.importers import photo_paths

CSV = Path("labels.csv")


@pytest.fixture
def folder(tmp_path):
    for name in ("train/1.jpg", "train/2.jpg", "val/1.jpg", "a.jpg", " b.jpg"):
        (tmp_path / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "faces" / name).touch()
    return tmp_path / "faces"


@pytest.mark.parametrize(
    ("cell", "path"),
    [
        ("train/1.jpg", "train/1.jpg"),
        ("./train//1.jpg", "train/1.jpg"),
        ("train\\1.jpg", "train/1.jpg"),
        ("C:\\Users\\Kim\\train\\1.jpg", "train/1.jpg"),
        ("d:/x/faces/val/1.jpg", "val/1.jpg"),
        ("\\\\nas\\share\\a.jpg", "a.jpg"),
        ("/home/kim/faces/train/2.jpg", "train/2.jpg"),
        (" a.jpg ", "a.jpg"),
        (" b.jpg", " b.jpg"),
    ],
)
def test_a_path_is_made_relative_to_the_folder(folder, cell, path):
    found = photo_paths.locate([cell], folder, CSV)
    assert found.paths == [path]
    assert found.faults == {}
    assert all("is read as" in note for note in found.notes)


def test_absolute_paths_below_the_folder_need_no_note(folder, monkeypatch):
    monkeypatch.chdir(folder)
    link = folder.with_name("link")
    link.symlink_to(folder)
    cells = [str(folder / "a.jpg"), str(link / "train/1.jpg"), str(folder / "gone.jpg")]
    found = photo_paths.locate(cells, link, CSV)
    assert found.paths == ["a.jpg", "train/1.jpg", "gone.jpg"]
    assert found.faults == {}
    assert found.notes == []


def test_one_beginning_stands_for_the_folder(folder):
    cells = ["E:\\gone.jpg", "C:\\f\\train\\1.jpg", "c:\\F\\train\\9.jpg", "D:\\train\\1.jpg"]
    found = photo_paths.locate(cells, folder, CSV)
    assert found.paths[1:3] == ["train/1.jpg", "train/9.jpg"]
    assert sorted(found.faults) == [0, 3]
    assert "'D:/train/1.jpg' is not in" in found.faults[3]
    assert found.notes == [f"C:/f/ in the paths is read as {folder}/"]


@pytest.mark.parametrize("cell", ["../x.jpg", "train/../a.jpg", "C:\\..\\x.jpg", "a\nb.jpg", "/"])
def test_paths_out_of_the_folder_are_faults(folder, cell):
    (folder.parent / "x.jpg").touch()
    assert list(photo_paths.locate([cell, "a.jpg"], folder, CSV).faults) == [0]


def test_a_file_with_another_case_or_suffix_is_suggested(folder):
    (folder / "train/3.JPEG").touch()
    found = photo_paths.locate(["train/3.jpg", "A.jpg", "gone.jpg", "a.jpg"], folder, CSV)
    assert "'train/3.jpg' is missing, but 3.JPEG is there" in found.faults[0]
    assert "'A.jpg' is missing, but a.jpg is there" in found.faults[1]
    assert list(found.faults) == [0, 1]


def test_the_one_subfolder_with_the_photos_is_added(folder):
    found = photo_paths.locate(["train/1.jpg", ""], folder.parent, CSV)
    assert found.paths == ["faces/train/1.jpg", ""]
    assert found.notes == [f"the paths are read as relative to {folder}"]


def test_two_subfolders_or_none_are_errors(folder):
    with pytest.raises(UserError, match=r"labels.csv: no photo.* 1.jpg, .*train or .*val as"):
        photo_paths.locate(["1.jpg"], folder, CSV)
    with pytest.raises(UserError, match=r"use the folder that holds x.jpg as FOLDER"):
        photo_paths.locate(["x.jpg"], folder, CSV)
