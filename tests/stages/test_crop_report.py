from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages import crop_report


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (["mtcnn", "yunet", "median"], "face detected in 66.7% of 3 photos"),
        (["center", "center"], "no face detection, center crops of 2 photos"),
    ],
)
def test_the_line_of_a_set_says_how_its_faces_were_found(
    tmp_path, monkeypatch, capsys, found, line
):
    monkeypatch.chdir(tmp_path)
    for folder in ("data/crops", "data/photos"):
        Path(folder).mkdir(parents=True)
    photos = [f"{i}.jpg" for i in range(len(found))]
    for split in ("train", "eval"):
        np.save(f"data/crops/{split}.npy", np.zeros((len(found), 8, 8, 3), np.uint8))
        table = pd.DataFrame({"photo": photos, "found": found, "score": 0.9})
        table.to_csv(f"data/crops/{split}.csv", index=False)
        pd.DataFrame({"photo": photos}).to_csv(f"data/photos/{split}.csv", index=False)
    crop_report.main()
    assert capsys.readouterr().out.splitlines() == [f"train: {line}", f"eval: {line}"]
