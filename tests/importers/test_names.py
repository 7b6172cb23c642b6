import os
import unicodedata
from pathlib import Path

import pytest

from portrait18.core.errors import UserError
from portrait18.importers import names

KOREAN = "1_male_한국_30"


@pytest.mark.parametrize(
    "damaged",
    [
        os.fsdecode(KOREAN.encode("cp949")),
        KOREAN.encode("cp949").decode("cp437"),
        unicodedata.normalize("NFD", KOREAN),
        KOREAN,
    ],
)
def test_korean_names_are_restored(damaged, tmp_path):
    (tmp_path / damaged).mkdir()
    (tmp_path / damaged / damaged).touch()
    renamed = names.rename(tmp_path)
    assert len(renamed) == (0 if damaged == KOREAN else 2)
    assert [path.relative_to(tmp_path) for path in sorted(tmp_path.rglob("*"))] == [
        Path(KOREAN),
        Path(KOREAN, KOREAN),
    ]


@pytest.mark.parametrize("name", ["café.jpg", "Ärger", "日本.jpg", "plain.jpg", "été £5"])
def test_other_names_stay_as_they_are(name):
    assert names.repaired(name) == name


def test_names_that_would_become_one_are_left_alone(tmp_path):
    for form in ("NFC", "NFD"):
        (tmp_path / unicodedata.normalize(form, KOREAN)).touch()
    (tmp_path / unicodedata.normalize("NFD", "가.jpg")).touch()
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(UserError, match="as another"):
        names.rename(tmp_path)
    assert sorted(os.listdir(tmp_path)) == before


def test_the_command_prints_what_it_renames(tmp_path, capsys):
    (tmp_path / os.fsdecode(KOREAN.encode("cp949"))).touch()
    names.main([str(tmp_path)])
    output = capsys.readouterr().out
    assert f"-> {KOREAN}\n1 files and folders renamed\n" in output
    with pytest.raises(SystemExit):
        names.main([str(tmp_path / "missing")])


def test_names_in_another_encoding_are_listed(tmp_path, capsys):
    (tmp_path / os.fsdecode(KOREAN.encode("cp949"))).touch()
    (tmp_path / os.fsdecode(b"a\xff.jpg")).touch()
    with pytest.raises(SystemExit):
        names.main([str(tmp_path)])
    out, err = capsys.readouterr()
    assert "1 files and folders renamed" in out
    (line,) = err.splitlines()
    assert r"a\udcff.jpg is neither UTF-8 nor cp949; name its encoding by --encoding" in line


@pytest.mark.parametrize("encoding", ["foo", "base64"])
def test_an_unknown_encoding_is_one_line(encoding, tmp_path, capsys):
    with pytest.raises(SystemExit):
        names.main([str(tmp_path), "--encoding", encoding])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: --encoding {encoding} is unknown; name one of Python's")
