"""CLAHE is applied alike in training, validation, prediction and heat maps."""

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
from tiny import NO_AUGMENTATION, colored_people, crop_params, demo_photo, model_params
from torch import nn

from portrait18.core.params import PredictParams
from portrait18.core.runs import Run
from portrait18.models import contrast
from portrait18.models.inference import Model
from portrait18.models.targets import make_target
from portrait18.training.data import TrainingData
from portrait18.training.trainer import EpochDataset, Trainer

PORTRAIT = cv2.resize(demo_photo()[64:448], (128, 128), interpolation=cv2.INTER_AREA)


def test_equalized_crops_equal_albumentations():
    theirs = A.CLAHE(clip_limit=(3.0, 3.0), tile_grid_size=(4, 4), p=1.0)(image=PORTRAIT)["image"]
    assert (contrast.equalize(PORTRAIT[None], 3.0)[0] == theirs).all()


def test_zero_is_off_and_higher_limits_change_more():
    crops = np.stack([PORTRAIT, PORTRAIT[:, ::-1]])
    assert contrast.equalize(crops, 0.0) is crops
    before = crops.copy()
    changes = [np.abs(contrast.equalize(crops, c).astype(int) - crops).mean() for c in (1, 2, 4)]
    assert 0 < changes[0] < changes[1] < changes[2]
    assert (crops == before).all()


def test_a_dark_side_becomes_as_light_as_the_other():
    light = np.linspace(0.3, 1, 128)[:, None]
    shaded = (PORTRAIT * light).astype(np.uint8)

    def imbalance(crop):
        return abs(np.log(crop[:, :64].mean() / crop[:, 64:].mean()))

    assert imbalance(contrast.equalize(shaded[None], 4.0)[0]) < 0.8 * imbalance(shaded)


class Recorder(nn.Module):
    """A network that records the photos it sees."""

    def __init__(self):
        super().__init__()
        self.weight, self.seen = nn.Parameter(torch.zeros(1)), []

    def forward(self, photos):
        self.seen.append(photos.permute(0, 2, 3, 1).numpy())
        return torch.zeros(len(photos), 3)


@pytest.mark.parametrize("clahe", [0.0, 2.0])
def test_training_validation_and_prediction_see_the_same_crops(clahe):
    crops, labels, folds = colored_people(6)
    params = model_params(clahe=clahe, image_size=40, augment=NO_AUGMENTATION)
    expected = contrast.equalize(crops, clahe)
    assert (expected == crops).all() == (clahe == 0)
    dataset = EpochDataset(crops, np.arange(len(crops)), params, 0, 0)
    assert (np.stack([photo for photo, _ in dataset]) == expected).all()

    network = Recorder()
    predict = PredictParams(batch_size=64, flip=False, tta_scales=[1.0, 0.8])
    Model(network, make_target(params), params, crop_params()).predict(
        crops, np.arange(len(crops)), predict
    )
    assert (network.seen[0] == expected).all()
    inner = [cv2.resize(c[4:36, 4:36], (40, 40), interpolation=cv2.INTER_AREA) for c in expected]
    assert (network.seen[1] == np.stack(inner)).all()

    trainer = Trainer(TrainingData(crops, labels, folds), params, Run("mask", 0, 0))
    trainer.network = Recorder()
    trainer.evaluate()
    assert (trainer.network.seen[0] == expected[folds == 0]).all()
