"""What the stage check warns of although it continues."""

from pathlib import Path

import pytest
from check_outputs import WHO, outputs
from synthetic import PEOPLE, photo_bytes

from stages import check

pytestmark = pytest.mark.usefixtures("check_project")


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
