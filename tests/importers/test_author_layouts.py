"""The authors' layouts become training sets; malformed names are read or named in one line."""

import author_layouts
import pytest
from author_layouts import UTKFACE_MALFORMED, UTKFACE_ODD

from portrait18.dataset import inventory
from portrait18.importers.__main__ import main


def run(*arguments):
    main([*map(str, arguments), "--masks", "simple"])


def people(out):
    """Return (person, gender, age) of a training set that has no problems."""
    table, problems = inventory.list_train(out)
    assert problems == []
    assert len(table) == 7 * table.person.nunique()
    rows = table.drop_duplicates("person")[["person", "gender", "age"]].values.tolist()
    return [tuple(row) for row in rows]


@pytest.fixture(scope="module")
def wild(tmp_path_factory):
    return author_layouts.utkface_in_the_wild(tmp_path_factory.mktemp("wild"))


def test_names_of_utkface_without_a_label_are_listed_together(wild, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("utkface", wild, tmp_path / "out")
    lines = capsys.readouterr().err.splitlines()
    for name in UTKFACE_MALFORMED:
        [line] = [line for line in lines if str(wild / name) in line]
        assert "rename" in line
    assert "3 fields" in next(line for line in lines if "61_3_" in line)
    assert "gender '' must be 0 (male) or 1 (female)" in "".join(lines)
    assert any(line.startswith("warning: ") and "3 entries are left out" in line for line in lines)
    assert f"{len(UTKFACE_MALFORMED)} problems" in lines[-2]
    assert not (tmp_path / "out").exists()


def test_utkface_in_the_wild_is_read_from_its_parts(wild, tmp_path, capsys):
    run("utkface", wild, tmp_path / "out", "--problems", "skip", "--max-age", 110)
    assert people(tmp_path / "out") == [
        ("utk-part1-26-0-2-20170104020404870", 0, 26),
        ("utk-part1-64-0-2-20170103180341808", 0, 64),
        ("utk-part2-70-1-2-20170105164403121", 1, 70),
        ("utk-part3-24-0-1-20170116220224657", 0, 24),
        ("utk-part3-44-1-4-20170116235150272-pg", 1, 44),
        ("utk-part3-55-0-0-20170116232725357JPG", 0, 55),
    ]
    assert len(UTKFACE_ODD) == 3
    assert "1 are younger than 18 or older than 110" in capsys.readouterr().out


def test_aligned_utkface_is_read(tmp_path, capsys):
    folder = author_layouts.utkface_aligned(tmp_path)
    run("utkface", folder, tmp_path / "out", "--problems", "skip")
    assert [row[1:] for row in people(tmp_path / "out")] == [
        (1, 21),
        (0, 24),
        (0, 26),
        (1, 47),
        (0, 55),
        (0, 64),
        (1, 70),
    ]
    errors = capsys.readouterr().err
    for name in ("39_1_20170116174525125", "61_1_20170109142408075", "61_1_20170109150557335"):
        assert errors.count(name) == 1


def test_two_versions_of_utkface_are_not_mixed(tmp_path, capsys):
    author_layouts.save_face(tmp_path / "part1/26_0_2_20170104020404870.jpg", 26)
    author_layouts.save_face(tmp_path / "UTKFace/26_0_2_20170104020404870.jpg.chip.jpg", 33)
    with pytest.raises(SystemExit):
        run("utkface", tmp_path, tmp_path / "out")
    assert "1 photos in two versions" in capsys.readouterr().err


def test_one_folder_of_all_age_faces_has_to_be_named(tmp_path, capsys):
    root = author_layouts.all_age_faces(tmp_path / "All-Age-Faces Dataset")
    with pytest.raises(SystemExit):
        run("all-age-faces", root, tmp_path / "out")
    [line] = capsys.readouterr().err.splitlines()
    assert "8 photos in two versions" in line
    assert "original images" in line
    assert "aligned faces" in line
    for name in ("13322A30", "00001A5", "00310A21 (1)", "00310A21_flip"):
        author_layouts.save_face(root / f"original images/{name}.jpg", 33)
    run("all-age-faces", root / "original images", tmp_path / "out", "--problems", "skip")
    errors = capsys.readouterr().err
    assert errors.count("does not parse; names of all-age-faces are <id>A<age>.jpg") == 4
    tables = "".join((root / f"image sets/{name}.txt").read_text() for name in ("train", "val"))
    males = {line[:8]: 1 - int(line[-1]) for line in tables.splitlines()}
    found = people(tmp_path / "out")
    assert {person.removeprefix("aaf-"): gender for person, gender, _ in found} == males
    assert all(int(person[-2:]) == age for person, _, age in found)


def test_fairface_is_read_from_the_folder_of_a_margin(tmp_path, capsys):
    root = author_layouts.fairface(tmp_path / "fairface")
    run("fairface", root, tmp_path / "out")
    assert [row[1:] for row in people(tmp_path / "out")] == [
        (0, 64),
        (1, 75),
        (0, 24),
        (0, 34),
        (1, 44),
        (0, 54),
        (1, 24),
        (1, 44),
    ]
    assert capsys.readouterr().err.count("read as relative to") == 2


def test_one_of_two_margins_of_fairface_has_to_be_named(tmp_path, capsys):
    root = author_layouts.fairface(tmp_path, ("margin025", "margin125"))
    with pytest.raises(SystemExit):
        run("fairface", root, tmp_path / "out")
    [line] = capsys.readouterr().err.splitlines()
    assert f"{root / 'margin025'} or {root / 'margin125'} as FOLDER, with --labels" in line


def test_ages_of_fairface_saved_by_excel_are_read_or_named(tmp_path, capsys):
    ages = ["60-69", "9-Mar", "20-29", "Oct-19", "03-Sep", "19-Oct", "2003-09-01", "45360"]
    root = author_layouts.fairface(tmp_path, ("",), ages)
    with pytest.raises(SystemExit):
        run("fairface", root, tmp_path / "out")
    lines = capsys.readouterr().err.splitlines()
    assert (
        sum("is a date; spreadsheets turn ranges such as 3-9 into dates" in x for x in lines) == 2
    )
    assert any("4 ages are ranges" in x and "'9-Mar', read as 3-9" in x for x in lines)
    run("fairface", root, tmp_path / "out", "--problems", "skip", "--min-age", 3)
    assert [age for _, _, age in people(tmp_path / "out")] == [64, 6, 24, 14, 6, 14]


def test_a_table_from_excel_on_windows_is_read(tmp_path, capsys):
    rows = ["\ufeffpath;gender;age"]
    ages = ["64,0", ">=60", "20-29", "33", "30\u201359", "55.0", "<30", "45"]
    for n, (age, text) in enumerate(zip(author_layouts.FACES, ages, strict=True)):
        author_layouts.save_face(tmp_path / f"photos/set {n % 2}/{n}.jpg", age)
        gender = author_layouts.FACES[age].split("_")[1][0].upper()
        rows.append(f"C:\\Users\\Kim\\faces\\set {n % 2}\\{n}.jpg;{gender};{text}")
    (tmp_path / "photos/labels.csv").write_bytes("\r\n".join(rows).encode())
    run("csv", tmp_path / "photos", tmp_path / "out")
    assert sorted(row[1:] for row in people(tmp_path / "out")) == [
        (0, 24),
        (0, 33),
        (0, 55),
        (0, 64),
        (1, 24),
        (1, 44),
        (1, 45),
        (1, 65),
    ]
    assert f"C:/Users/Kim/faces/ in the paths is read as {tmp_path / 'photos'}/" in (
        capsys.readouterr().err
    )
