import os
import unicodedata
from pathlib import Path

import pytest
from synthetic import REPO

from portrait18.core.errors import UserError
from portrait18.dataset import layout

EXTRA = REPO / "data/extra"


def test_every_missing_part_of_the_layout_is_named_with_where_to_put_it(tmp_path):
    with pytest.raises(UserError) as caught:
        layout.validate_layout(tmp_path / "nowhere", EXTRA)
    parts = ("train/train.csv", "train/images", "eval/info.csv", "eval/images")
    for line, part in zip(caught.value.problems, parts, strict=True):
        assert f"nowhere/{part} is missing" in line
        assert "data.root" in line


def test_a_complete_layout_passes(tmp_path, make_dataset):
    layout.validate_layout(make_dataset(tmp_path), EXTRA)


@pytest.mark.parametrize("extra", ["photos", "./photos/", "link"])
def test_extra_people_in_the_folder_of_the_main_people_are_one_error(
    tmp_path, monkeypatch, make_dataset, extra
):
    monkeypatch.chdir(tmp_path)
    make_dataset(Path("photos"))
    os.symlink("photos", "link")
    with pytest.raises(UserError) as caught:
        layout.validate_layout(Path("photos"), Path(extra))
    (line,) = caught.value.problems
    assert "is the folder of data.root; point it at a folder with other people" in line


def test_ids_have_one_unicode_form():
    nfd = unicodedata.normalize("NFD", "김철수_male_Asian_33")
    assert layout.parse_folder(nfd) == layout.parse_folder("김철수_male_Asian_33")


def test_folder_names_are_parsed():
    assert layout.parse_folder("001498-1_female_Asian_23") == ("001498-1", 1, "Asian", 23)
    assert layout.parse_folder("000001_male_Asian_60").gender == 0


@pytest.mark.parametrize(
    "name",
    [
        "1_femal_Asian_45",
        "1_female_45",
        "1_female_Asian_old",
        "_female_Asian_45",
        "1_female_Asian_45_2",
    ],
)
def test_folder_that_does_not_parse_is_named(name):
    with pytest.raises(ValueError, match=f"'{name}' does not parse; expected <id>_<male|female>"):
        layout.parse_folder(name)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, ""), (b"", ""), ("  Drawn\npeople, ÅÄ. \n".encode(), "Drawn people, ÅÄ.")],
)
def test_about_is_one_line(tmp_path, content, expected):
    (tmp_path / "train").mkdir()
    if content is not None:
        (tmp_path / "train/about.txt").write_bytes(content)
    assert layout.read_about(tmp_path) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfe", "not UTF-8"), (b"x" * 301, "301 characters"), (b"a\x1b[31m", "printable")],
)
def test_an_unusable_about_is_refused(tmp_path, content, message):
    (tmp_path / "train").mkdir()
    (tmp_path / "train/about.txt").write_bytes(content)
    with pytest.raises(UserError, match=message):
        layout.read_about(tmp_path)
