import threading

import numpy as np
import pytest
from synthetic import photo_bytes

from portrait18.core.errors import UserError
from portrait18.dataset import photos
from portrait18.deployment import photo_listing


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "b.jpg",
        "a.PNG",
        "notes.txt",
        ".hidden.jpg",
        "sub/c.webp",
        "sub/.git/d.jpg",
        "sub/._e.jpg",
    ):
        path = tmp_path / "all" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"text" if name == "notes.txt" else photo_bytes())
    return tmp_path


def listed(*names):
    return [str(path) for path in photo_listing.list_photos(names).photos]


def test_a_folder_yields_the_photos_in_it_and_its_subfolders(folder):
    assert listed("all") == ["all/a.PNG", "all/b.jpg", "all/sub/c.webp"]


def test_patterns_and_files_match_as_given_and_each_photo_is_listed_once(folder):
    assert listed("all/*.jpg") == ["all/b.jpg"]
    assert listed("all/**/*.[jw]*") == ["all/b.jpg", "all/sub/c.webp"]
    assert listed("all/notes.txt") == ["all/notes.txt"]
    assert listed("all/b.jpg", "all", "all/b.jpg") == ["all/b.jpg", "all/a.PNG", "all/sub/c.webp"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder):
    (folder / "a[1].jpg").write_bytes(photo_bytes())
    assert listed("a[1].jpg") == ["a[1].jpg"]


def test_all_names_without_a_photo_are_reported_together(folder):
    (folder / "empty").mkdir()
    with pytest.raises(UserError) as caught:
        listed("all", "nowhere.jpg", "*.tiff", "empty")
    first, second, third = caught.value.problems
    assert first.startswith("nowhere.jpg: no such file")
    assert second.startswith("*.tiff: no file matches this pattern")
    assert third.startswith("empty: no photos in this folder; photos end in .jpg,")


def test_chunks_hold_every_photo_in_order_with_errors_in_place_of_bad_ones(folder, monkeypatch):
    monkeypatch.setattr(photo_listing, "CHUNK", 3)
    paths = []
    for n in range(8):
        paths.append(folder / f"{n}.jpg")
        paths[-1].write_bytes(photo_bytes(n) if n != 4 else b"no photo")
    found = list(photo_listing.read_in_chunks(paths, 10**6))
    assert [len(chunk) for chunk in found] == [3, 3, 2]
    assert [path for chunk in found for path, _ in chunk] == paths
    for path, photo in (pair for chunk in found for pair in chunk):
        if path.name == "4.jpg":
            assert isinstance(photo, photos.PhotoError)
            assert "cannot be decoded" in str(photo)
        else:
            np.testing.assert_array_equal(photo.pixels, photos.read(path))


def test_chunks_are_bounded_by_pixels_and_photos_above_the_limit_are_bad(folder, monkeypatch):
    monkeypatch.setattr(photo_listing, "CHUNK_PIXELS", 2 * 48 * 64)
    paths = [folder / f"{n}.jpg" for n in range(3)]
    for path in paths:
        path.write_bytes(photo_bytes())
    assert [len(chunk) for chunk in photo_listing.read_in_chunks(paths, 10**6)] == [2, 1]
    [chunk] = photo_listing.read_in_chunks(paths, 100)
    assert all("at most 100 px" in str(bad) for _, bad in chunk)


def test_only_a_few_photos_are_decoded_ahead(folder, monkeypatch):
    monkeypatch.setattr(photo_listing, "CHUNK", 2)
    read, lock = [], threading.Lock()

    def count_reads(path, max_pixels):
        with lock:
            read.append(path)
        return photos.DecodedPhoto(np.zeros((4, 4, 3), np.uint8), "", (4, 4))

    monkeypatch.setattr(photo_listing.photo_files, "read_photo", count_reads)
    taken = photo_listing.read_in_chunks([folder / f"{n}.jpg" for n in range(100)], 10**6)
    next(taken), next(taken)
    assert len(read) <= 2 * 2 + 1 + photo_listing.AHEAD + 1


def test_photos_with_other_suffixes_are_listed_by_their_content(folder):
    for name in ("c.jfif", "d.jpe", "e.HEIC", "f.avif", "g.jxl", "IMG_1", "h.jpg_large"):
        (folder / "all" / name).write_bytes(photo_bytes())
    found = [path.name for path in photo_listing.list_photos(["all"]).photos]
    assert set(found) >= {"c.jfif", "d.jpe", "e.HEIC", "f.avif", "g.jxl", "IMG_1", "h.jpg_large"}
    assert "notes.txt" not in found


def test_bitmaps_are_known_by_their_content_and_not_by_two_letters(folder):
    (folder / "all/bitmap").write_bytes(photo_bytes(kind="BMP"))
    (folder / "all/letter").write_text("BMW drivers of all countries")
    found = [path.name for path in photo_listing.list_photos(["all"]).photos]
    assert "bitmap" in found
    assert "letter" not in found


def test_what_a_folder_leaves_out_is_counted(folder):
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "@eaDir/a.jpg", "__MACOSX/._b.jpg"):
        path = folder / "all" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(photo_bytes())
    found, notes, is_partial = photo_listing.list_photos(["all"])
    assert [str(path) for path in found] == ["all/a.PNG", "all/b.jpg", "all/sub/c.webp"]
    assert not is_partial
    others, hidden, junk = notes
    assert others.startswith("1 files are no photos by suffix and content")
    assert others.endswith("(1 .txt), such as all/notes.txt")
    assert hidden.startswith("2 files are hidden and left out")
    assert junk.startswith("6 files of file managers ignored")


def test_linked_folders_are_searched_and_loops_end(folder):
    (folder / "more").mkdir()
    (folder / "more/z.jpg").write_bytes(photo_bytes())
    (folder / "all/link").symlink_to(folder / "more")
    (folder / "more/back").symlink_to(folder / "all")
    found, notes, is_partial = photo_listing.list_photos(["all"])
    assert [str(path) for path in found] == [
        *("all/a.PNG", "all/b.jpg", "all/link/z.jpg", "all/sub/c.webp")
    ]
    assert not is_partial  # every photo is there, so the exit status is 0
    assert "all/link/back is a link to a folder that is searched already" in notes[0]


def test_patterns_name_folders_and_hidden_files_that_they_leave_out(folder):
    (folder / "all/Thumbs.db").write_bytes(b"junk")
    found, notes, is_partial = photo_listing.list_photos(["all/*"])
    assert "all/sub" not in [str(path) for path in found]
    assert is_partial
    assert notes[0].startswith("all/sub is a folder")
    assert notes[1].startswith("1 files are hidden")
    assert notes[2].startswith("1 files of file managers")


def test_a_broken_link_and_a_raw_file_are_bad_photos(folder):
    (folder / "all/gone.jpg").symlink_to("nowhere.jpg")
    (folder / "all/a.NEF").write_bytes(photo_bytes())
    paths = photo_listing.list_photos(["all"]).photos
    bad = {
        path.name: str(photo)
        for chunk in photo_listing.read_in_chunks(paths, 10**6)
        for path, photo in chunk
        if isinstance(photo, photos.PhotoError)
    }
    assert "is missing" in bad["gone.jpg"]
    assert "raw data of a camera" in bad["a.NEF"]
