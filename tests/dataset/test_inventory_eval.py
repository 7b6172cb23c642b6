import pytest
from synthetic import PEOPLE, photo_bytes, write_info_csv

from portrait18.core.errors import UserError
from portrait18.dataset import inventory


@pytest.fixture
def root(tmp_path, make_dataset):
    return make_dataset(tmp_path, PEOPLE[:2], ("b.jpg", "a.jpg"))


def test_eval_photos_stay_in_the_order_of_info_csv(root):
    table, problems, extra = inventory.list_eval(root)
    assert table.photo.tolist() == ["b.jpg", "a.jpg"]
    assert problems == extra == []


def test_eval_photo_names_stay_text(root):
    write_info_csv(root, ["NA", "000001", "null", "1e5", "True"])
    assert inventory.list_eval(root)[0].photo.tolist() == ["NA", "000001", "null", "1e5", "True"]


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/etc/passwd", "sub/a.jpg", "..", ".", "..\\a.jpg", '""']
)
def test_image_id_with_a_path_is_rejected(root, name):
    write_info_csv(root, ["a.jpg", name])
    _, problems, _ = inventory.list_eval(root)
    assert len(problems) == 1
    assert "info.csv line 3" in problems[0]
    assert "plain file name" in problems[0]


def test_image_id_listed_twice_is_rejected(root):
    write_info_csv(root, ["a.jpg", "b.jpg", "a.jpg"])
    _, problems, _ = inventory.list_eval(root)
    assert len(problems) == 1
    assert "line 4: ImageID a.jpg is listed twice" in problems[0]


def test_eval_photo_that_is_not_listed_gets_a_line(root):
    (root / "eval/images/new.jpg").write_bytes(photo_bytes())
    (root / "eval/images/._a.jpg").write_bytes(b"junk")
    table, problems, extra = inventory.list_eval(root)
    assert len(table) == 2
    assert problems == []
    assert len(extra) == 1
    assert "new.jpg is not in info.csv" in extra[0]


def test_info_csv_without_image_ids_is_rejected(root):
    (root / "eval/info.csv").write_text("image_id,ans\na.jpg,0\n")
    with pytest.raises(UserError, match=r"info\.csv has columns .*'ImageID'"):
        inventory.list_eval(root)


def test_info_csv_without_rows_is_rejected(root):
    write_info_csv(root, [])
    _, problems, _ = inventory.list_eval(root)
    assert problems == [f"{root}/eval/info.csv lists no photo; add a row for each evaluation photo"]
