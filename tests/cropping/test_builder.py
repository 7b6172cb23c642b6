import numpy as np
import pandas as pd
import pytest
import torch
from cropped import BOXES, equal_files
from PIL import Image
from synthetic import REPO
from tiny import crop_params, demo_photo

from portrait18.cropping import builder, context, faces, framing
from portrait18.cropping.faces import Face
from portrait18.dataset import photos
from portrait18.dataset.alignment import POINT_COLUMNS
from portrait18.dataset.probing import probe


def test_rows_follow_the_inventory_with_their_own_crops(
    inventory, build, find, tmp_path, monkeypatch
):
    monkeypatch.setattr(builder, "CHUNK", 3)
    find()
    shuffled = inventory.iloc[[5, 2, 3, 0, 6, 1, 4]].reset_index(drop=True)
    pixels, table = build(shuffled)
    assert table.photo.tolist() == shuffled.photo.tolist()
    assert pixels.shape == (7, 32, 32, 3)
    assert pixels.dtype == np.uint8
    descriptors = np.load(tmp_path / "store/set_context.npy")
    assert descriptors.shape == (7, context.LENGTH)
    assert descriptors.dtype == np.int8
    for i, name in enumerate(table.photo):
        box = BOXES[int(name[2])]
        assert (
            pixels[i] == framing.crop(photos.read(tmp_path / "images" / name), box, 32, 0.4, "eyes")
        ).all()
        columns = ["x0", "y0", "x1", "y1", "tilt", "score"]
        assert tuple(table.loc[i, columns]) == pytest.approx(box[:6])
        assert tuple(table.loc[i, list(POINT_COLUMNS)]) == pytest.approx(box.points)
        assert (
            descriptors[i] == context.descriptor(photos.read(tmp_path / "images" / name), box[:4])
        ).all()
    assert (table.found == "mtcnn").all()


def test_lower_thresholds_are_used_for_missed_photos_only(inventory, build, find):
    detector = find(missed={2: "first"})
    _, table = build(inventory)
    assert table.found.tolist() == ["mtcnn", "mtcnn", "retry", "mtcnn", "mtcnn", "mtcnn", "mtcnn"]
    assert sorted(detector.seen) == [0, 1, 2, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("missed", [0, 3])
def test_a_missed_photo_gets_the_scaled_median_box_of_the_person(
    inventory, build, find, tmp_path, missed
):
    find(missed={missed: "both"})
    pixels, table = build(inventory)
    assert table.found[missed] == "person"
    has_points = table[list(POINT_COLUMNS)].notna()
    assert (has_points.all(axis=1) == (table.found == "mtcnn")).all()
    assert not has_points.loc[missed].any()
    size = {3: 2}  # photo 3 is twice as large
    shares = [np.array(BOXES[i][:4]) / size.get(i, 1) for i in range(4) if i != missed]
    box = np.median(shares, axis=0) * size.get(missed, 1)
    np.testing.assert_allclose(
        table.loc[missed, ["x0", "y0", "x1", "y1"]].astype(float), box, atol=0.01
    )
    photo = photos.read(tmp_path / f"images/a/{missed}.png")
    assert (pixels[missed] == framing.crop(photo, Face(*box, 0, 0), 32, 0.4, "eyes")).all()
    descriptors = np.load(tmp_path / "store/set_context.npy")[missed]
    assert (
        descriptors == context.descriptor(photo, tuple(table.loc[missed, ["x0", "y0", "x1", "y1"]]))
    ).all()


@pytest.mark.parametrize("persons_known", [True, False])
def test_a_photo_without_detected_siblings_gets_the_median_box_of_the_set(
    inventory, build, find, persons_known
):
    find(missed={6: "both", 3: "both"})
    _, table = build(inventory if persons_known else inventory.drop(columns="folder"))
    box = np.median([BOXES[i][:4] for i in (0, 1, 2, 4, 5)], axis=0)
    assert table.found[6] == "median"
    assert table.found[3] == ("person" if persons_known else "median")
    np.testing.assert_allclose(table.loc[6, ["x0", "y0", "x1", "y1"]].astype(float), box, atol=0.01)


def test_nothing_found_anywhere_gives_the_middle_of_each_photo(inventory, build, find):
    find(missed=dict.fromkeys(range(7), "both"))
    _, table = build(inventory)
    assert (table.found == "median").all()
    assert table.loc[0, ["x0", "y0", "x1", "y1"]].tolist() == [15, 20, 45, 60]


@pytest.mark.parametrize("method", ["mtcnn", "center"])
def test_an_undecodable_photo_keeps_its_row_with_a_gray_crop(
    inventory, build, find, tmp_path, method
):
    find()
    (tmp_path / "images/a/1.png").write_bytes(b"no photo")
    inventory.loc[1, ["width", "height"]] = 0
    pixels, table = build(inventory, crop_params(method=method))
    assert table.found[1] == "none"
    assert (pixels[1] == 127).all()
    assert np.load(tmp_path / "store/set_context.npy").any(1).tolist() == [i != 1 for i in range(7)]
    assert (table.found.drop(1) == method).all()


def test_the_center_method_crops_the_central_square_without_a_detector(
    inventory, build, find, tmp_path
):
    detector = find()
    pixels, table = build(inventory, crop_params(method="center", margin=0.4, image_size=60))
    assert detector.seen == []
    assert (table.found == "center").all()
    assert (pixels[0] == photos.read(tmp_path / "images/a/0.png")[10:70]).all()


def test_the_table_repeats_every_crop_that_is_aligned_by_five_points(build, tmp_path):
    (tmp_path / "images").symlink_to(REPO / "data/demo/train/images")
    names = [f"000018_male_Asian_64/{state}.jpg" for state in ("normal", "mask1", "mask4")]
    inventory, *_ = probe(pd.DataFrame({"photo": names}), tmp_path / "images", 10**6)
    params = crop_params(image_size=64, align="five_points")
    pixels, table = build(inventory, params)
    by_eyes, _ = build(inventory, crop_params(image_size=64), to="eyes")
    for crop, by_eye, row in zip(pixels, by_eyes, table.itertuples(), strict=True):
        points = tuple(getattr(row, name) for name in POINT_COLUMNS)
        face = Face(row.x0, row.y0, row.x1, row.y1, row.tilt, row.score, points)
        photo = photos.read(tmp_path / "images" / row.photo)
        assert (crop == framing.cut(photo, face, row.found, params)).all()
        assert (crop != by_eye).any()


def test_mtcnn_crops_the_demo_photos(build, tmp_path):
    (tmp_path / "images").symlink_to(REPO / "data/demo/train/images")
    names = [f"000018_male_Asian_64/{state}.jpg" for state in ("normal", "mask1")]
    table, *_ = probe(pd.DataFrame({"photo": names}), tmp_path / "images", 10**6)
    pixels, found = build(table, crop_params(image_size=64))
    assert (found.found == "mtcnn").all()
    assert (found.score > 0.9).all()
    again = faces.Detector(0.2, torch.device("cpu"))(pixels.repeat(4, 1).repeat(4, 2), "mtcnn")
    assert all(len(found_again) == 1 for found_again in again)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_crops_are_the_same_bytes_with_any_number_of_threads(
    build, tmp_path, monkeypatch, batch_size
):
    monkeypatch.setattr(builder, "CHUNK", 4)
    (tmp_path / "images").symlink_to(REPO / "data/demo/train/images")
    names = sorted(
        str(path.relative_to(tmp_path / "images"))
        for path in (tmp_path / "images").glob("00001*/*.jpg")
    )[:9]
    table, *_ = probe(pd.DataFrame({"photo": names}), tmp_path / "images", 10**6)
    threads_before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            build(table, crop_params(image_size=64, batch_size=batch_size), to=str(threads))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(threads_before)
    assert equal_files(tmp_path, "1", "3")


def test_chunks_of_large_photos_hold_fewer_photos(monkeypatch):
    monkeypatch.setattr(builder, "CHUNK_PIXELS", 1000)
    # A photo above the chunk limit is a chunk of its own.
    sides = [10, 10, 10, 10, 30, 30, 40, 5, 0]
    table = pd.DataFrame({"width": sides, "height": sides})
    assert list(builder.chunk_bounds(table, 3)) == [(0, 3), (3, 5), (5, 6), (6, 7), (7, 9)]
    assert list(builder.chunk_bounds(table.iloc[:0], 3)) == []


@pytest.mark.parametrize("align", ["none", "eyes", "five_points"])
def test_crops_of_rotated_photos_are_those_of_the_upright_ones(build, tmp_path, align):
    folder = tmp_path / "images"
    folder.mkdir()
    photo = demo_photo()
    for turn in range(4):
        Image.fromarray(np.rot90(photo, turn)).save(folder / f"{turn}.png")
    names = pd.DataFrame({"photo": [f"{turn}.png" for turn in range(4)]})
    table = probe(names, folder, 10**6)[0]
    pixels, rows = build(table, crop_params(align=align, rotate=True))
    assert rows.found.tolist() == ["mtcnn", "rotated", "rotated", "rotated"]
    assert all((pixels[turn] == pixels[0]).all() for turn in (1, 2, 3))
    descriptors = np.load(tmp_path / "store/set_context.npy")
    assert all((descriptors[turn] == descriptors[0]).all() for turn in (1, 2, 3))
    height, width = photo.shape[:2]
    box = rows.loc[0, ["x0", "y0", "x1", "y1"]].to_numpy(float)
    x0, y0, x1, y1 = rows.loc[2, ["x0", "y0", "x1", "y1"]].to_numpy(float)
    np.testing.assert_allclose([width - x1, height - y1, width - x0, height - y0], box, atol=0.01)
    assert abs(rows.tilt[2]) > 170, "the tilt in the photo as it is"
    _, rows = build(table, crop_params(align=align), to="without")
    assert "rotated" not in set(rows.found)
