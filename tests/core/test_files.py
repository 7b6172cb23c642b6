import argparse
import json
import os
from pathlib import Path

import pytest

from portrait18.core import files
from portrait18.core.errors import UserError


def names(folder) -> list[str]:
    return sorted(os.listdir(folder))


def test_the_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "deep/er/out.txt"
    with files.atomic_write(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["out.txt"]


def write_and_fail(path, failure: type[BaseException]) -> None:
    with files.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise failure("no")


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(failure):
        write_and_fail(target, failure)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["out.txt"]


def test_a_failure_without_an_old_file_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="no"):
        write_and_fail(tmp_path / "out.txt", ValueError)
    assert names(tmp_path) == []


def test_the_temporary_path_has_the_same_extension_and_folder(tmp_path):
    with files.atomic_write(tmp_path / "plot.png") as temporary:
        assert temporary.suffix == ".png"
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        temporary.write_bytes(b"1")


def test_a_read_only_link_is_replaced_not_written_through(tmp_path):
    cached, target = tmp_path / "cached", tmp_path / "out.txt"
    cached.write_text("old")
    cached.chmod(0o444)
    os.link(cached, target)
    with files.atomic_write(target) as temporary:
        temporary.write_text("new")
    assert cached.read_text() == "old"
    assert target.read_text() == "new"


def test_json_is_indented_and_ends_with_a_newline(tmp_path):
    files.write_json({"b": 1, "a": [0.5]}, tmp_path / "m.json")
    text = (tmp_path / "m.json").read_text()
    assert text.endswith("}\n")
    assert text.startswith('{\n  "b": 1')
    assert json.loads(text) == {"b": 1, "a": [0.5]}


def test_json_is_read_back_and_damage_is_reported_in_one_line(tmp_path):
    path = tmp_path / "m.json"
    files.write_json({"b": 1, "a": [0.5]}, path)
    assert files.read_json(path) == {"b": 1, "a": [0.5]}
    for damaged in (path.read_bytes()[:-4], b"", b"[1]\n", b"\xff{}", b"null"):
        path.write_bytes(damaged)
        with pytest.raises(
            UserError, match=r"m\.json is damaged \(.*\); run make repair, then dvc repro$"
        ):
            files.read_json(path)
    path.unlink()
    with pytest.raises(UserError, match=r"m\.json is missing; run dvc repro"):
        files.read_json(path)


def test_an_unwritable_path_is_detected_before_any_work(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(FileExistsError):
        files.check_writable(tmp_path / "file/out.txt")
    files.check_writable(tmp_path / "new/out.txt")
    files.check_writable(tmp_path / "file")
    assert names(tmp_path / "new") == []
    assert (tmp_path / "file").read_text() == "old"


def test_an_error_while_writing_names_the_file(tmp_path):
    with (
        pytest.raises(OSError, match="No space") as caught,
        files.atomic_write(tmp_path / "out.txt"),
    ):
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(tmp_path / "out.txt")


def test_an_empty_argument_is_not_the_current_folder():
    assert files.path_argument("a/b") == Path("a/b")
    with pytest.raises(argparse.ArgumentTypeError, match=r"an empty path; name a file or folder"):
        files.path_argument("")
