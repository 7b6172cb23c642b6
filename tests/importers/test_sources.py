import pytest

from portrait18.core.errors import UserError
from portrait18.dataset.layout import parse_folder
from portrait18.importers import INPUTS, csv_labels, sources

CSV = csv_labels.CsvFormat()


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def rows(table, *columns):
    return list(table[list(columns)].itertuples(index=False, name=None))


def test_utkface_names(tmp_path):
    touch(
        tmp_path,
        "25_0_2_20170116174525125.jpg",
        "100_1_0_20170112213500903.jpg.chip.jpg",
        "1_1_4_x.PNG",
    )
    touch(tmp_path, "._25_0_2_2.jpg", "readme.txt", "part2/30_1_1_5.jpg")
    table, problems = sources.list_people("utkface", tmp_path, [], CSV, "unknown")
    assert problems == []
    assert rows(table, "photo", "id", "gender", "race", "age") == [
        (
            "100_1_0_20170112213500903.jpg.chip.jpg",
            "utk-100-1-0-20170112213500903",
            "female",
            "White",
            100,
        ),
        ("1_1_4_x.PNG", "utk-1-1-4-x", "female", "Other", 1),
        ("25_0_2_20170116174525125.jpg", "utk-25-0-2-20170116174525125", "male", "Asian", 25),
        ("part2/30_1_1_5.jpg", "utk-part2-30-1-1-5", "female", "Black", 30),
    ]


def test_links_hidden_folders_and_earlier_results_among_the_photos(tmp_path, capsys):
    touch(tmp_path, "faces/25_0_2_1.jpg", ".old/26_0_2_1.jpg", "out/27_0_2_1.jpg", f"out/{INPUTS}")
    (tmp_path / "faces/loop").symlink_to(tmp_path)
    elsewhere = tmp_path.with_name(f"{tmp_path.name}-elsewhere")
    touch(elsewhere, "28_0_2_1.jpg")
    (tmp_path / "linked").symlink_to(elsewhere)
    table, problems = sources.list_people("utkface", tmp_path, [], CSV, "unknown")
    assert table.photo.tolist() == ["faces/25_0_2_1.jpg", "linked/28_0_2_1.jpg"]
    assert problems == []
    assert "1 entries are left out" in capsys.readouterr().err


def test_a_photo_and_its_copy_in_another_folder_are_listed(tmp_path):
    touch(tmp_path, "UTKFace/25_0_2_1.jpg.chip.jpg", "crop_part1/25_0_2_1.jpg.chip.jpg")
    table, _ = sources.list_people("utkface", tmp_path, [], CSV, "unknown")
    assert len(table) == 2
    (tmp_path / "crop_part1/25_0_2_1.jpg.chip.jpg").write_bytes(b"another size")
    with pytest.raises(UserError, match=r"1 photos in two versions, such as .*UTKFace/25_0_2_1"):
        sources.list_people("utkface", tmp_path, [], CSV, "unknown")


def test_all_age_faces_are_female_up_to_07380_and_male_after(tmp_path):
    touch(tmp_path, "00000A02.jpg", "07380A31.jpg", "07381A31.jpg", "13321A80.jpg")
    table, problems = sources.list_people("all-age-faces", tmp_path, [], CSV, "Asian")
    assert problems == []
    assert rows(table, "id", "gender", "race", "age") == [
        ("aaf-00000A02", "female", "Asian", 2),
        ("aaf-07380A31", "female", "Asian", 31),
        ("aaf-07381A31", "male", "Asian", 31),
        ("aaf-13321A80", "male", "Asian", 80),
    ]


def test_fairface_reads_both_label_files(tmp_path):
    touch(tmp_path, "train/1.jpg", "train/2.jpg", "val/1.jpg")
    head = "file,age,gender,race,service_test\n"
    (tmp_path / "fairface_label_train.csv").write_text(
        head
        + "train/1.jpg,50-59,Male,East Asian,True\n"
        + "train/2.jpg,more than 70,Female,Latino_Hispanic,False\n"
    )
    (tmp_path / "fairface_label_val.csv").write_text(head + "val/1.jpg,0-2,Female,Indian,True\n")
    table, problems = sources.list_people("fairface", tmp_path, [], csv_labels.FAIRFACE, "unknown")
    assert problems == []
    assert rows(table, "id", "gender", "race", "age", "low", "high") == [
        ("fair-train-1", "male", "East Asian", 54, 50, 59),
        ("fair-train-2", "female", "Latino Hispanic", 75, 70, 120),
        ("fair-val-1", "female", "Indian", 1, 0, 2),
    ]


def test_the_columns_of_fairface_depend_on_its_label_files(tmp_path):
    assert csv_labels.default_format("fairface", tmp_path) == csv_labels.FAIRFACE
    touch(tmp_path, "labels.csv")
    assert csv_labels.default_format("fairface", tmp_path) == CSV
    assert csv_labels.default_format("csv", tmp_path) == CSV
    touch(tmp_path, "fairface_label_val.csv")
    assert csv_labels.default_format("fairface", tmp_path) == csv_labels.FAIRFACE


def test_csv_with_other_columns_and_words(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "who.csv").write_text("sex,file,years\n0,a.jpg,30\n1,b.jpg,31\nF,c.jpg,32\n")
    csv_format = csv_labels.CsvFormat(path="file", gender="sex", age="years", male="0", female="1")
    table, problems = sources.list_people(
        "csv", tmp_path, [tmp_path / "who.csv"], csv_format, "unknown"
    )
    assert problems == []
    assert rows(table, "photo", "gender", "race", "age") == [
        ("a.jpg", "male", "unknown", 30),
        ("b.jpg", "female", "unknown", 31),
        ("c.jpg", "female", "unknown", 32),
    ]


def test_photos_that_the_table_does_not_list_are_named(tmp_path, capsys):
    touch(
        tmp_path,
        "a.jpg",
        "b.JPG",
        "sub/c.jpg",
        "sub/d.webp",
        "notes.txt",
        "._e.jpg",
        "__MACOSX/f.jpg",
    )
    (tmp_path / "sub/loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "labels.csv").write_text("path,gender,age\na.jpg,m,30\nsub/c.jpg,?,30\n")
    sources.list_people("csv", tmp_path, [], CSV, "unknown")
    [line] = capsys.readouterr().err.splitlines()
    assert line == (
        f"warning: {tmp_path}: 2 photos are in no row of the labels and are left out, such as b.JPG"
    )


def test_a_table_that_lists_every_photo_prints_nothing(tmp_path, capsys):
    touch(tmp_path, "train/1.jpg")
    (tmp_path / "fairface_label_train.csv").write_text(
        "file,age,gender,race,service_test\ntrain/1.jpg,50-59,Male,White,True\n"
    )
    sources.list_people("fairface", tmp_path, [], csv_labels.FAIRFACE, "unknown")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_cells_are_separated_by_commas_semicolons_or_tabs(tmp_path, delimiter):
    touch(tmp_path, "a.jpg")
    cells = [["gender", "path", "age"], ["F", "a.jpg", "34,0" if delimiter != "," else '"34,0"']]
    text = "\n".join(delimiter.join(row) for row in cells)
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8-sig")
    table, problems = sources.list_people("csv", tmp_path, [], CSV, "unknown")
    assert problems == []
    assert rows(table, "photo", "gender", "age") == [("a.jpg", "female", 34)]


def test_every_bad_row_is_reported_with_its_line(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "labels.csv").write_text(
        "path,gender,age\na.jpg,male,30\nb.jpg,man?,30\nc.jpg,female,old\na.jpg,male,31\n,x,y\n"
    )
    table, problems = sources.list_people("csv", tmp_path, [], CSV, "unknown")
    assert table.photo.tolist() == ["a.jpg"]
    assert [line.split(": ")[0].split()[-1] for line in problems] == ["3", "4", "5", "6", "6", "6"]
    for line, message in zip(
        problems, ["'man?'", "'old'", "'a.jpg'", "path ''", "gender 'x'", "age 'y'"], strict=True
    ):
        assert message in line


@pytest.mark.parametrize(
    ("source", "bad"),
    [
        (
            "utkface",
            [
                "61_1_20170109142408075.jpg",
                "25_2_0_1.jpg",
                "25_0_5_1.jpg",
                "130_0_0_1.jpg",
                "a.jpg",
            ],
        ),
        ("all-age-faces", ["0A1.jpg", "00001B20.jpg", "00001A200.jpg"]),
    ],
)
def test_every_bad_file_name_is_reported(tmp_path, source, bad):
    touch(tmp_path, *bad)
    table, problems = sources.list_people(source, tmp_path, [], CSV, "unknown")
    assert table.empty
    assert len(problems) == len(bad)
    for name in bad:
        assert any(str(tmp_path / name) in line for line in problems)


def test_ids_are_unique_and_parse_as_part_of_a_folder(tmp_path):
    names = ["a_1.jpg", "a-1.jpg", "A 1.png", "sub/a.jpg", "ü_/é.jpg", "x" * 300 + ".jpg", "_.jpg"]
    touch(tmp_path, *(name for name in names if len(name) < 256))
    text = "".join(f"{name},m,30\n" for name in names)
    (tmp_path / "labels.csv").write_text("path,gender,age\n" + text, encoding="utf-8")
    table, _ = sources.list_people("csv", tmp_path, [], CSV, "unknown")
    assert table.id.str.lower().is_unique
    assert table.id.str.startswith("csv-").all()
    for name in table.id:
        folder = f"{name}_male_unknown_30"
        assert len(folder.encode()) < 255
        assert parse_folder(folder).id == name


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("utkface", "has no photos of utkface"),
        ("fairface", "fairface_label_train.csv is missing"),
        ("csv", "labels.csv is"),
    ],
)
def test_an_empty_folder_is_reported(tmp_path, source, message):
    with pytest.raises(UserError, match=message):
        sources.list_people(source, tmp_path, [], CSV, "unknown")


def test_a_missing_folder_and_a_missing_column_are_reported(tmp_path):
    with pytest.raises(UserError, match="nowhere is not a folder"):
        sources.list_people("utkface", tmp_path / "nowhere", [], CSV, "unknown")
    (tmp_path / "labels.csv").write_text("path,gender\na.jpg,male\n")
    with pytest.raises(UserError, match=r"\['age'\] missing"):
        sources.list_people("csv", tmp_path, [], CSV, "unknown")
