"""Photos as paths, bytes, images and arrays, in batches, and those that can't be used."""

import numpy as np
import pytest
from PIL import Image
from tiny import crop_params, demo_photo

from portrait18.dataset.photos import PhotoError
from portrait18.deployment import photo_inputs
from portrait18.deployment.results import face_prediction


def test_predict_takes_paths_bytes_images_and_arrays_one_or_many(load_bundle, tmp_path):
    loaded, photo = load_bundle(), demo_photo()
    path = tmp_path / "portrait.png"
    Image.fromarray(photo).save(path)
    one = loaded.predict(photo)
    assert (one.width, one.height) == (photo.shape[1], photo.shape[0])
    [face] = one.faces
    [[detection]] = loaded.detect([photo])
    assert face == face_prediction(detection, loaded.classify(detection.crop[None]), 0)
    assert loaded.predict(str(path)) == loaded.predict(path) == one
    assert loaded.predict(path.read_bytes()) == one
    assert loaded.predict(Image.fromarray(photo)) == one
    assert loaded.predict([path]) == [one]
    assert one.to_dict()["faces"] == [face.to_dict()]
    noise_photo = np.random.default_rng(0).integers(0, 256, (200, 100, 3), np.uint8)
    several = loaded.predict((path, noise_photo))
    assert [len(result.faces) for result in several] == [1, 0]
    assert loaded.predict(noise_photo, assume_face=True).faces[0].found == "median"


def test_many_photos_are_predicted_in_batches_of_limited_memory(load_bundle, monkeypatch):
    loaded, photo = load_bundle(crop=crop_params(image_size=40, method="center")), demo_photo()
    sizes = []
    detect = loaded.detect
    monkeypatch.setattr(
        loaded, "detect", lambda batch, *args: sizes.append(len(batch)) or detect(batch, *args)
    )
    monkeypatch.setattr(photo_inputs, "BATCH_PHOTOS", 2)
    results = loaded.predict([photo] * 5)
    assert sizes == [2, 2, 1]
    sizes.clear()
    monkeypatch.setattr(photo_inputs, "BATCH_PIXELS", photo.shape[0] * photo.shape[1])
    assert len(loaded.predict([photo] * 2)) == 2
    assert sizes == [1, 1]
    assert len({result.faces[0].class_id for result in results}) == 1


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        ("nowhere.jpg", "^nowhere.jpg is missing"),
        (Image.new("RGB", (50, 10)), "^photo 1 has 50x10 px, each side must have at least 20"),
        (b"no photo", r"^photo 1 cannot be decoded \(not an image\)"),
        (
            np.zeros((50, 50), np.uint8),
            r"^photo 1 is uint8 \(50, 50\); it must be uint8 \(H, W, 3\)",
        ),
        (np.zeros((50, 50, 3), np.float32), r"^photo 1 is float32 \(50, 50, 3\)"),
        (np.zeros((50, 10, 3), np.uint8), "^photo 1 has 10x50 px; each side must have at least 20"),
    ],
)
def test_an_unusable_photo_is_named(load_bundle, photo, message):
    with pytest.raises(PhotoError, match=message):
        load_bundle().predict([demo_photo(), photo])


def test_a_photo_of_another_type_is_refused(load_bundle):
    with pytest.raises(TypeError, match="photo 0 is of type int; pass a path, bytes"):
        load_bundle().predict(5)


def test_files_larger_than_max_pixels_are_refused(load_bundle, tmp_path):
    Image.fromarray(demo_photo()).save(tmp_path / "portrait.png")
    with pytest.raises(PhotoError, match=r"portrait\.png has .* at most 1000 px"):
        load_bundle().predict(tmp_path / "portrait.png", max_pixels=1000)
