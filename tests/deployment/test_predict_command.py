import csv
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from bundling import CPU
from PIL import Image
from synthetic import REPO
from tiny import demo_photo

import portrait18
from portrait18.dataset import photos
from portrait18.dataset.classes import CLASS_NAMES, TASKS


def test_text_output_has_a_line_per_face_and_one_per_photo_without_faces(predict):
    status, out, err = predict("photos")
    assert status == 0
    assert err == []
    first, second, third, fourth = out
    assert first.startswith("photos/pair.png  face 1 of 2  mask ")
    assert "  face 2 of 2  mask " in second
    assert third.startswith("photos/sub/one.png  face 1 of 1")
    assert fourth == "photos/zero.jpg  no face found"
    assert "% " in first
    assert "  class " in first
    assert "  box " in first


def test_json_output_equals_the_python_api(predict):
    status, out, _ = predict("photos", "--json")
    pair, one, zero = map(json.loads, out)
    assert status == 0
    assert zero == {"photo": "photos/zero.jpg", "faces": []}
    assert pair["photo"] == "photos/pair.png"
    assert len(pair["faces"]) == 2
    [prediction] = portrait18.load("bundle", CPU).predict("photos/sub/one.png").faces
    expected = prediction.to_dict()
    [face] = one["faces"]
    assert face["box"] == pytest.approx(expected["box"], abs=0.05)
    for name, task in TASKS.items():
        probabilities = face[name]["probabilities"]
        assert probabilities == pytest.approx(expected[name]["probabilities"], abs=1e-3)
        assert list(probabilities) == list(task.classes)
    sides = [box[2] - box[0] for box in (face["box"] for face in pair["faces"])]
    assert all(side > 100 for side in sides)
    left = {face["box"][0] < demo_photo().shape[1] for face in pair["faces"]}
    assert left == {True, False}, "one face in each half"


def test_csv_output_has_a_row_per_face_and_one_per_photo_without_faces(predict):
    _, out, _ = predict("photos", "--csv")
    _, lines, _ = predict("photos", "--json")
    rows = list(csv.DictReader(io.StringIO("\n".join(out))))
    assert [(row["photo"], row["face"]) for row in rows] == [
        ("photos/pair.png", "1"),
        ("photos/pair.png", "2"),
        ("photos/sub/one.png", "1"),
        ("photos/zero.jpg", "0"),
    ]
    face, row = json.loads(lines[0])["faces"][1], rows[1]
    assert [float(row[c]) for c in ("x0", "y0", "x1", "y1")] == pytest.approx(face["box"], abs=0.05)
    assert row["mask"] == face["mask"]["label"]
    assert row["name"] == CLASS_NAMES[int(row["class"])] == face["name"]
    assert float(row["age_old"]) == pytest.approx(face["age"]["probabilities"]["old"], abs=1e-3)
    assert float(row["years"]) == pytest.approx(face["years"], abs=0.1)
    assert set(list(rows[3].values())[2:]) == {""}


def test_bad_photos_are_listed_at_the_end_and_the_others_predicted(predict, folder):
    (folder / "photos/bad.jpg").write_text("no photo")
    (folder / "photos/torn.png").write_bytes((folder / "photos/pair.png").read_bytes()[:999])
    status, out, err = predict("photos", "--json")
    assert status == 3
    assert len(out) == 3
    assert err[0] == "2 of 5 photos could not be read:"
    assert err[1].startswith("  photos/bad.jpg cannot be decoded")
    assert err[2].startswith("  photos/torn.png cannot")


def test_control_characters_in_a_bad_photos_name_are_escaped(predict, folder):
    (folder / "photos/a\nb\x1b[2J.jpg").write_text("no photo")
    status, _, err = predict("photos")
    assert status == 3
    assert len(err) == 2
    assert err[1].startswith(r"  photos/a\nb\x1b[2J.jpg cannot be decoded")


def test_assume_face_predicts_a_photo_without_a_face(predict):
    _, [line], _ = predict("photos/zero.jpg", "--assume-face", "--json")
    [face] = json.loads(line)["faces"]
    assert face["found"] == "median"
    assert face["box"] == [20.0, 12.0, 70.0, 72.0]
    assert face["score"] == 0
    _, [line], _ = predict("photos/zero.jpg", "--assume-face")
    assert "no face found: assumed" in line


ODD_NAMES = (b"two\nlines.jpg", b"\x1b[31mred.jpg", "\ub9c8\uc2a4\ud06c".encode("cp949") + b".jpg")


@pytest.fixture
def odd(folder):
    """A folder of photos with control characters and bytes that are not UTF-8 in their names."""
    (folder / "odd").mkdir()
    try:
        for name in ODD_NAMES:
            shutil.copy(folder / "photos/zero.jpg", os.path.join(bytes(folder), b"odd", name))
    except OSError:
        pytest.skip("this file system does not support such names")
    return folder


@pytest.mark.parametrize("option", [[], ["--csv"], ["--json"]])
def test_odd_file_names_are_escaped_in_every_format(odd, option):
    done = run_module(odd, "predict", "odd", "--bundle", "bundle", *option, stdout=subprocess.PIPE)
    assert done.returncode == 0
    out = done.stdout.encode("utf-8")  # fails for bytes that are not UTF-8
    lines = out.decode().removesuffix("\n").split("\n")
    assert all(line.isprintable() for line in lines)
    photos = lines[1:] if option == ["--csv"] else lines
    assert len(photos) == len(ODD_NAMES)
    if option == ["--json"]:
        names = {os.fsencode(json.loads(line)["photo"]) for line in photos}
        assert names == {b"odd/" + name for name in ODD_NAMES}, "JSON names each file exactly"
    else:
        assert photos[1].startswith(r"odd/two\nlines.jpg")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["photos", "--draw", "photos/pair.png"], 1, "is a file; name a folder"),
        (["nowhere.jpg", "x*.jpg"], 1, "nowhere.jpg: no such file"),
        (["photos", ""], 1, "'': an empty name; name a photo, a folder (. is this one)"),
        (["photos", "--draw", ""], 2, "argument --draw: an empty path; name a file or folder"),
        (["https://example.org/a.jpg"], 1, "addresses are not read; download the photo"),
        (["x" * 300], 1, "has a name of 300 bytes, at most 255 are allowed; shorten it"),
        (["photos", "--bundle", "elsewhere"], 1, "elsewhere has no bundle"),
        (["photos", "--bundle", "photos/pair.png"], 1, "pair.png is a file; name the folder of a"),
        (["photos", "--min-face", "2"], 2, "2 must be a share"),
        (["photos", "--min-face", "abc"], 2, "abc must be a share"),
        (["photos", "--max-pixels", "0"], 2, "0 must be a number of pixels"),
        (["photos", "--json", "--csv"], 2, "not allowed with"),
        ([], 2, "required"),
    ],
)
def test_user_errors_are_reported_without_a_traceback(predict, capsys, arguments, status, message):
    with pytest.raises(SystemExit) as stopped:
        predict(*arguments)
    err = capsys.readouterr().err
    assert stopped.value.code == status
    assert message in err
    assert "Traceback" not in err


def test_max_pixels_and_min_face_take_effect(predict, folder):
    status, out, err = predict("photos/zero.jpg", "--max-pixels", "11999")
    assert status == 3
    assert out == []
    assert "at most 11999 px" in err[1]
    small = np.full((512, 384, 3), 128, np.uint8)
    small[200:328, 140:236] = np.asarray(
        Image.fromarray(demo_photo()).resize((96, 128), Image.Resampling.BOX)
    )
    Image.fromarray(small).save(folder / "small.png")
    _, [line], _ = predict("small.png", "--min-face", "0.1", "--json")
    assert json.loads(line)["faces"][0]["found"] == "mtcnn"


def test_chunks_do_not_change_the_predictions(predict, monkeypatch):
    _, together, _ = predict("photos", "--json")
    monkeypatch.setattr("portrait18.deployment.photo_listing.CHUNK", 1)
    _, apart, _ = predict("photos", "--json")
    for one, other in zip(map(json.loads, together), map(json.loads, apart), strict=True):
        assert one["photo"] == other["photo"]
        assert [f["class"] for f in one["faces"]] == [f["class"] for f in other["faces"]]


def run_module(folder, *arguments, **options):
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    return subprocess.run(
        [sys.executable, "-m", "portrait18", *arguments],
        cwd=folder,
        env=env,
        text=True,
        errors="surrogateescape",
        **options,
    )


def test_python_m_portrait18_has_clean_output_and_survives_a_closed_pipe(folder):
    done = run_module(
        folder, "predict", "photos", "--bundle", "bundle", "--json", capture_output=True
    )
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1, "the line that describes the bundle"
    assert len(done.stdout.splitlines()) == 3
    read, write = os.pipe()
    os.close(read)  # the reader is gone
    done = run_module(
        folder, "predict", "photos", "--bundle", "bundle", stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, "the line that describes the bundle"


def test_damaged_extras_and_omissions_are_named_and_all_photos_predicted(predict, folder):
    whole = (folder / "photos/zero.jpg").read_bytes()
    (folder / "photos/zero.jpg").write_bytes(whole[:-2])
    (folder / "photos/notes.txt").write_text("text")
    status, out, err = predict("photos")
    assert status == 0
    assert len(out) == 4
    assert err[0].startswith("warning: photos/zero.jpg is damaged outside its pixels")
    assert err[1].startswith("note: 1 files are no photos")


def test_a_photo_of_another_format_is_named_with_status_3(predict, folder):
    (folder / "photos/phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    status, out, err = predict("photos")
    assert status == 3
    assert len(out) == 4
    assert "photos/phone.HEIC cannot be decoded" in err[1]
    assert "HEIC" in err[1]


def test_boxes_of_a_reduced_jpeg_are_in_pixels_of_the_file(predict, folder, monkeypatch):
    height, width = (4 * side for side in demo_photo().shape[:2])
    Image.fromarray(demo_photo()).resize((width, height)).save(folder / "one.jpg", quality=95)
    _, [line], _ = predict("one.jpg", "--json")
    monkeypatch.setattr("portrait18.dataset.limits.REDUCE_ABOVE", width * height // 2)
    _, [reduced], _ = predict("one.jpg", "--json", "--draw", "drawn")
    box, other = (json.loads(text)["faces"][0]["box"] for text in (line, reduced))
    left, top, right, bottom = np.array([box, other]).T
    overlap = (right.min() - left.max()) * (bottom.min() - top.max())
    # MTCNN's box of this face is a tenth lower at half the resolution.
    assert overlap > 0.8 * ((right - left) * (bottom - top)).max()
    assert photos.read(folder / "drawn/one.jpg").shape[:2] == (height // 2, width // 2)
