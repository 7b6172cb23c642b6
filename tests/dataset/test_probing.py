import pandas as pd
from synthetic import photo_bytes

from portrait18.dataset import probing


def test_probe_gives_size_and_digest_and_names_bad_photos(tmp_path):
    (tmp_path / "good.jpg").write_bytes(photo_bytes())
    (tmp_path / "same.jpg").write_bytes(photo_bytes())
    (tmp_path / "text.jpg").write_text("no photo")
    (tmp_path / "folder.jpg").mkdir()
    table = pd.DataFrame({"photo": ["good.jpg", "text.jpg", "none.jpg", "folder.jpg", "same.jpg"]})
    found, bad, _ = probing.probe(table, tmp_path, 10_000)
    assert found.photo.tolist() == table.photo.tolist()
    assert found.width.tolist() == [48, 0, 0, 0, 48]
    assert found.height.tolist() == [64, 0, 0, 0, 64]
    assert found.digest[0] == found.digest[4] != ""
    assert [line.split(" ")[0] for line in bad] == [
        str(tmp_path / name) for name in table.photo[1:4]
    ]
    assert "is missing" in bad[1]


def test_probe_of_no_photos_is_empty(tmp_path):
    found, bad, _ = probing.probe(pd.DataFrame({"photo": []}), tmp_path, 100)
    assert len(found) == 0
    assert {"width", "height", "digest"} <= set(found)
    assert bad == []
