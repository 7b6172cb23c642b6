"""Heat maps are bright where the evidence is, for every kind of backbone and target."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from tiny import model_params
from torch import nn

from portrait18.dataset.alignment import Square
from portrait18.dataset.classes import AGE, GENDER, MASK, TASKS
from portrait18.models import backbones
from portrait18.models.backbones import Features, Network
from portrait18.models.heads import make_head
from portrait18.models.inference import Model
from portrait18.models.resample import Resample
from portrait18.models.targets import make_target
from portrait18.visualization import heatmaps

RIGHT_TOP, LEFT_BOTTOM = (slice(0, 8), slice(24, 32)), (slice(24, 32), slice(0, 8))


class Colors(nn.Module):
    """A backbone whose feature map is the mean color of each 8 x 8 pixels."""

    head_hidden_size = 3
    pretrained_cfg: ClassVar[dict] = {"mean": (0, 0, 0), "std": (1, 1, 1)}

    def __init__(self, output_fmt: str):
        super().__init__()
        self.output_fmt, self.gain = output_fmt, nn.Parameter(torch.ones(1))

    def forward_features(self, photos):
        maps = nn.functional.avg_pool2d(photos, 8) * self.gain
        return maps if self.output_fmt == "NCHW" else maps.permute(0, 2, 3, 1)

    def forward_head(self, maps):
        return maps.mean((2, 3) if self.output_fmt == "NCHW" else (1, 2))

    def forward(self, photos):
        return self.forward_head(self.forward_features(photos))


def color_model(weights: list[list[float]], output_fmt="NCHW", **params) -> Model:
    """Return a model whose outputs are weights times the mean red, green and blue, each 0..1."""
    settings = model_params(**params)
    target = make_target(settings)
    network = Network([Features(Colors(output_fmt))], make_head(3, target.widths, settings)).eval()
    with torch.no_grad():
        network.head.weight[:] = torch.tensor(weights)
    return Model(network, target, settings, None)


def red_and_blue() -> np.ndarray:
    """Return a black photo with a red top right and a blue bottom left corner."""
    photo = np.zeros((32, 32, 3), np.uint8)
    photo[*RIGHT_TOP, 0] = photo[*LEFT_BOTTOM, 2] = 255
    return photo


BY_COLOR = [[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]]


@pytest.mark.parametrize("output_fmt", ["NCHW", "NHWC"])
def test_the_map_is_bright_where_the_evidence_is(output_fmt):
    model = color_model(BY_COLOR, output_fmt, task="gender")
    male, female = heatmaps.grad_cam(
        model, np.stack([red_and_blue()] * 2), GENDER, np.array([0, 1])
    )
    assert male.shape == (32, 32)
    assert male.dtype == np.float32
    assert male[RIGHT_TOP].mean() > 0.6
    assert male[LEFT_BOTTOM].max() < 0.01
    assert female[LEFT_BOTTOM].mean() > 0.6
    assert female[RIGHT_TOP].max() < 0.01
    assert male.min() == 0
    assert male.max() == pytest.approx(1, abs=1e-3)


def test_a_prediction_with_probability_1_has_a_map():
    model = color_model([[2000.0, 0, 0], [0, 0, -2000.0]], task="gender")
    outputs = model.network(torch.from_numpy(red_and_blue()).permute(2, 0, 1)[None])
    assert model.target.probabilities(outputs)[0, 0] == 1
    assert (
        heatmaps.grad_cam(model, red_and_blue()[None], GENDER, np.array([0]))[0][RIGHT_TOP].mean()
        > 0.6
    )


def test_without_evidence_for_the_class_the_map_is_zero():
    photo = np.zeros((32, 32, 3), np.uint8)
    photo[LEFT_BOTTOM] = (0, 0, 255)
    assert (
        heatmaps.grad_cam(
            color_model(BY_COLOR, task="gender"), photo[None], GENDER, np.array([0])
        ).max()
        == 0
    )


def test_each_task_of_an_18_class_network_has_its_own_map():
    weights = torch.zeros(18, 3)
    weights[:6, 0] = 9  # mask worn: red
    weights[0::3, 2] = 9  # young: blue
    model = color_model(weights.tolist(), task="all", target="classes")
    assert heatmaps.predicted_tasks(model) == list(TASKS.values())
    mask = heatmaps.grad_cam(model, red_and_blue()[None], MASK, np.array([0]))[0]
    age = heatmaps.grad_cam(model, red_and_blue()[None], AGE, np.array([0]))[0]
    assert mask[RIGHT_TOP].mean() > 0.6
    assert mask[LEFT_BOTTOM].max() < 0.01
    assert age[LEFT_BOTTOM].mean() > 0.6
    assert age[RIGHT_TOP].max() < 0.01


@pytest.mark.parametrize(("age_group", "bright"), [(2, RIGHT_TOP), (0, LEFT_BOTTOM)])
def test_an_age_regression_has_a_map_for_each_age_group(age_group, bright):
    model = color_model([[40.0, 0, -40.0], [0, 0, 0]], task="age", target="value", loss="gaussian")
    assert (
        heatmaps.grad_cam(model, red_and_blue()[None], AGE, np.array([age_group]))[0][bright].mean()
        > 0.6
    )


@pytest.mark.parametrize(
    ("backbone", "has_map"),
    [
        ("test_efficientnet", True),
        ("test_resnet", True),
        ("mobilenetv3_small_050", True),
        ("swin_tiny_patch4_window7_224", True),
        ("test_vit", False),
        ("test_vit+test_resnet", True),
        ("sface+test_resnet", True),
        ("sface_middle", True),
    ],
)
def test_backbones_that_end_in_a_feature_map_have_a_heat_map(backbone, has_map):
    params = model_params(backbone=backbone, task="gender", image_size=64)
    target = make_target(params)
    network = backbones.create(params, target.widths, margin=0.4).eval()
    model = Model(network, target, params, None)
    photos = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64), np.uint8))
    with torch.no_grad():
        torch.testing.assert_close(heatmaps.HookedNetwork(network)(photos), network(photos))
    assert heatmaps.has_feature_map(model) == has_map
    if has_map:
        maps = heatmaps.grad_cam(
            model, photos.permute(0, 2, 3, 1).numpy(), GENDER, np.array([0, 1])
        )
        assert maps.shape == (2, 64, 64)
        assert np.isfinite(maps).all()


def test_the_map_of_a_backbone_lies_on_the_region_that_it_sees():
    model = color_model(BY_COLOR, task="gender")
    region = Square(0.25, 0.5, 0.5)
    whole = model.network.features[0]
    model.network.features[0] = Features(whole.backbone, Resample(region, 32, 32))
    photo = np.zeros((1, 32, 32, 3), np.uint8)
    photo[0, 16:24, 16:24, 0] = 255  # a quarter of the region: its top right
    cam = heatmaps.grad_cam(model, photo, GENDER, np.array([0]))[0]
    assert cam.max() == pytest.approx(1, abs=1e-3)
    rows, columns = np.nonzero(cam > 0.5)
    assert 14 <= rows.min() <= rows.max() <= 24
    assert 14 <= columns.min() <= columns.max() <= 24
    outside = cam.copy()
    outside[16:, 8:24] = 0
    assert (outside == 0).all()


def test_the_overlay_changes_only_places_where_the_map_is_bright():
    crops = np.full((1, 40, 40, 3), 100, np.uint8)
    cam = np.zeros((1, 20, 20), np.float32)
    cam[0, :10] = 1
    drawn = heatmaps.overlay(crops, cam)
    assert drawn.shape == crops.shape
    assert drawn.dtype == np.uint8
    assert (drawn[0, 25:] == 100).all()
    assert (drawn[0, :15, :, 0] > 150).all()
