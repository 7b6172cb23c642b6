"""The explain stage, on a small project whose photos are single colors."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tiny import colored_people, crop_params, model_params

from portrait18.core.runs import Run
from portrait18.dataset.tables import write_csv
from portrait18.models import backbones, inference
from portrait18.models.targets import make_target
from portrait18.visualization import contact_sheets
from stages import explain

RUN = Run("mask", 0, 0)


@pytest.fixture
def explained(tmp_path, monkeypatch):
    """Return explained(backbone, photos, people): run the stage for an untrained model; its table.

    The model has three classes, of the mask or, with `people`, of the age.
    """
    monkeypatch.chdir(tmp_path)
    crops, labels, _ = colored_people()
    (tmp_path / "data/crops").mkdir(parents=True)
    np.save("data/crops/train.npy", crops)
    write_csv(labels[["photo"]], "data/crops/train.csv")
    write_csv(labels, "data/labels.csv")
    validation = labels[labels.person.isin(["p0", "p2", "p4"])]

    def run(backbone: str, photos: int, people: str = "all") -> pd.DataFrame:
        torch.manual_seed(0)
        task = "mask" if people == "all" else "age"
        params = model_params(backbone=backbone, task=task, people=people)
        probabilities = pd.DataFrame(
            np.eye(3)[np.arange(len(validation)) // 2 % 3],
            columns=make_target(params).task.columns,
        )
        names = validation[["photo"]].reset_index(drop=True)
        predictions = pd.concat([names, probabilities * 0.7 + 0.1], axis=1)
        unlabeled = predictions.assign(photo="unlabeled.jpg").head(1)
        both = [predictions.assign(set="validation"), unlabeled.assign(set="eval")]
        write_csv(pd.concat(both), RUN.predictions)
        inference.save(
            RUN.weights, backbones.create(params, (3,)), params, crop_params(image_size=40)
        )
        explain.explain(RUN, photos)
        return pd.read_csv("data/explain/mask.csv")

    return run


def test_mistakes_and_hits_of_validation_people_are_drawn_with_stable_bytes(explained, tmp_path):
    table = explained("test_efficientnet", 6)
    assert table.correct.tolist() == [0, 0, 0, 1, 1, 1]
    assert table.photo.str.startswith(("p0/", "p2/", "p4/")).all()
    sheet = tmp_path / "reports/explain/mask.png"
    assert Image.open(sheet).size == contact_sheets.LARGE.size(6)
    before = sheet.read_bytes()
    explained("test_efficientnet", 6)
    assert sheet.read_bytes() == before


@pytest.mark.parametrize("people", ["female", "male"])
def test_a_model_for_one_gender_is_explained_on_photos_of_that_gender(explained, people):
    table = explained("test_efficientnet", 4, people)
    labels = pd.read_csv("data/labels.csv").set_index("photo")
    assert 1 <= len(table) <= 4
    genders = labels.gender[table.photo].unique().tolist()
    assert genders == [["male", "female"].index(people)]


@pytest.mark.parametrize(
    ("backbone", "photos", "reason"),
    [
        ("test_vit", 6, "test_vit has no last feature map"),
        ("test_efficientnet", 0, "explain.photos = 0"),
    ],
)
def test_without_heat_maps_the_stage_prints_the_reason(
    explained, tmp_path, capsys, backbone, photos, reason
):
    assert len(explained(backbone, photos)) == 0
    assert f"mask 0-0: no heat maps, {reason}" in capsys.readouterr().out
    assert Image.open(tmp_path / "reports/explain/mask.png").size == contact_sheets.LARGE.size(0)
