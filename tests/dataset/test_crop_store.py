import pickle

import numpy as np
import pytest
from planted import Planted

from portrait18.core.errors import UserError
from portrait18.dataset import crop_store

TABLE = "photo,x0,found,digest\n000001,1.5,mtcnn,0123456789012345\nNA,2,none,1e5\n"


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "set.npy", np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3))
    (tmp_path / "set.csv").write_text(TABLE)
    return tmp_path


def test_crops_are_a_read_only_memory_map_with_their_table(folder):
    pixels, table = crop_store.load(folder, "set")
    assert isinstance(pixels, np.memmap)
    assert not pixels.flags.writeable
    assert pixels[1, 1, 1].tolist() == [21, 22, 23]
    assert table.photo.tolist() == ["000001", "NA"]
    assert table.digest.tolist() == [
        "0123456789012345",
        "1e5",
    ]
    assert table.x0.tolist() == [1.5, 2.0]


@pytest.mark.parametrize("kept", [0, 3, 70, 128, 140, -1])
def test_a_truncated_store_is_rejected_in_one_line(folder, kept):
    (folder / "set.npy").write_bytes((folder / "set.npy").read_bytes()[:kept])
    assert_rejected(folder)


def assert_rejected(folder):
    with pytest.raises(
        UserError, match=r"set\.npy is damaged .*run make repair, then dvc repro"
    ) as caught:
        crop_store.load(folder, "set")
    assert len(caught.value.problems) == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        b"\xff" * 60,
        b"{" * 60,
        b"(" * 60,
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (9**99,), }",
    ],
)
def test_a_damaged_header_is_rejected_in_one_line(folder, header):
    data = bytearray((folder / "set.npy").read_bytes())
    data[10 : 10 + len(header)] = header
    (folder / "set.npy").write_bytes(data)
    assert_rejected(folder)


@pytest.mark.parametrize("shape", [(1, 2, 2, 3), (2, 2, 2, 4), (2, 12)])
def test_an_array_of_another_shape_is_rejected(folder, shape):
    np.save(folder / "set.npy", np.zeros(shape, np.uint8))
    assert_rejected(folder)


def test_an_array_of_another_type_is_rejected(folder):
    np.save(folder / "set.npy", np.zeros((2, 2, 2, 3), np.float32))
    assert_rejected(folder)


@pytest.mark.parametrize("kind", ["array of objects", "bare pickle", "archive"])
def test_a_pickle_is_rejected_without_running_it(folder, kind):
    planted = Planted(folder / "it ran")
    with open(folder / "set.npy", "wb") as file:
        if kind == "array of objects":
            np.save(file, np.array([planted, planted], object), allow_pickle=True)
        elif kind == "bare pickle":
            pickle.dump(planted, file)
        else:
            np.savez(file, a=np.array([planted], object))
    assert_rejected(folder)
    assert not planted.path.exists()


def test_a_missing_store_is_named(folder):
    (folder / "set.npy").unlink()
    with pytest.raises(UserError, match=r"set\.npy is missing; run dvc repro"):
        crop_store.load(folder, "set")


def test_concatenated_stores_read_as_one_array():
    parts = [
        np.random.default_rng(i).integers(0, 256, (n, 4, 4, 3), np.uint8)
        for i, n in enumerate((3, 1, 5))
    ]
    crops, expected = crop_store.ConcatCrops(parts), np.concatenate(parts)
    assert crops.shape == expected.shape
    assert len(crops) == 9
    assert all((crops[i] == expected[i]).all() for i in range(9))
    assert (crops[np.array([8, 0, 3, 3])] == expected[[8, 0, 3, 3]]).all()
    assert (crops[2:6] == expected[2:6]).all()
    assert (crops[6:99] == expected[6:]).all()
