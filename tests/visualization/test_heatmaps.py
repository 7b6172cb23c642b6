"""Where the map is bright is where the answer came from, whatever the backbone and the target."""

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import model_params
from torch import nn

from portrait18.dataset.classes import AGE, GENDER, MASK, TASKS
from portrait18.models import backbones, targets
from portrait18.models.backbones import Features, Network
from portrait18.models.heads import Head
from portrait18.models.inference import Model
from portrait18.visualization import heatmaps

RIGHT_TOP, LEFT_BOTTOM = (slice(0, 8), slice(24, 32)), (slice(24, 32), slice(0, 8))


class Colours(nn.Module):
    """A backbone whose feature map is the mean color of each 8 x 8 pixels."""

    head_hidden_size = 3
    pretrained_cfg = {"mean": (0, 0, 0), "std": (1, 1, 1)}

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
    """A model whose outputs are weights times the photo's mean red, green and blue (0 to 1)."""
    settings = model_params(**params)
    target = targets.make(settings)
    network = Network([Features(Colours(output_fmt))], Head(3, target.widths, settings)).eval()
    with torch.no_grad():
        network.head.weight[:] = torch.tensor(weights)
    return Model(network, target, settings, None)


def red_and_blue() -> np.ndarray:
    """Black, with red at the top right and blue at the bottom left."""
    photo = np.zeros((32, 32, 3), np.uint8)
    photo[*RIGHT_TOP, 0] = photo[*LEFT_BOTTOM, 2] = 255
    return photo


BY_COLOUR = [[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]]


@pytest.mark.parametrize("output_fmt", ["NCHW", "NHWC"])
def test_the_map_is_bright_where_the_answer_came_from(output_fmt):
    model = color_model(BY_COLOUR, output_fmt, task="gender")
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


def test_an_answer_that_is_quite_sure_has_a_map_too():
    model = color_model([[2000.0, 0, 0], [0, 0, -2000.0]], task="gender")
    outputs = model.network(torch.from_numpy(red_and_blue()).permute(2, 0, 1)[None])
    assert model.target.probabilities(outputs)[0, 0] == 1
    assert (
        heatmaps.grad_cam(model, red_and_blue()[None], GENDER, np.array([0]))[0][RIGHT_TOP].mean()
        > 0.6
    )


def test_nothing_that_speaks_for_the_answer_leaves_the_map_dark():
    photo = np.zeros((32, 32, 3), np.uint8)
    photo[LEFT_BOTTOM] = (0, 0, 255)
    assert (
        heatmaps.grad_cam(
            color_model(BY_COLOUR, task="gender"), photo[None], GENDER, np.array([0])
        ).max()
        == 0
    )


def test_each_task_of_an_18_class_network_has_its_own_map():
    weights = torch.zeros(18, 3)
    weights[:6, 0] = 9  # mask worn: red
    weights[0::3, 2] = 9  # young: blue
    model = color_model(weights.tolist(), task="all", target="classes")
    assert heatmaps.tasks_of(model) == list(TASKS.values())
    mask = heatmaps.grad_cam(model, red_and_blue()[None], MASK, np.array([0]))[0]
    age = heatmaps.grad_cam(model, red_and_blue()[None], AGE, np.array([0]))[0]
    assert mask[RIGHT_TOP].mean() > 0.6
    assert mask[LEFT_BOTTOM].max() < 0.01
    assert age[LEFT_BOTTOM].mean() > 0.6
    assert age[RIGHT_TOP].max() < 0.01


@pytest.mark.parametrize(("answer", "bright"), [(2, RIGHT_TOP), (0, LEFT_BOTTOM)])
def test_years_are_explained_by_what_makes_somebody_look_so_old(answer, bright):
    model = color_model([[40.0, 0, -40.0], [0, 0, 0]], task="age", target="value", loss="gaussian")
    assert (
        heatmaps.grad_cam(model, red_and_blue()[None], AGE, np.array([answer]))[0][bright].mean()
        > 0.6
    )


@pytest.mark.parametrize(
    ("backbone", "drawn"),
    [
        ("test_efficientnet", True),
        ("test_resnet", True),
        ("mobilenetv3_small_050", True),
        ("swin_tiny_patch4_window7_224", True),
        ("test_vit", False),
        ("test_vit+test_resnet", True),
    ],
)
def test_any_backbone_answers_as_before_and_has_a_map_if_it_ends_in_one(backbone, drawn):
    params = model_params(backbone=backbone, task="gender", image_size=64)
    target = targets.make(params)
    network = backbones.create(params, target.widths).eval()
    model = Model(network, target, params, None)
    photos = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64), np.uint8))
    with torch.no_grad():
        torch.testing.assert_close(heatmaps._Mapped(network)(photos), network(photos))
    assert heatmaps.can_be_drawn(model) == drawn
    if drawn:
        maps = heatmaps.grad_cam(
            model, photos.permute(0, 2, 3, 1).numpy(), GENDER, np.array([0, 1])
        )
        assert maps.shape == (2, 64, 64)
        assert np.isfinite(maps).all()


def test_the_overlay_colors_where_the_map_is_bright_and_leaves_the_rest():
    crops = np.full((1, 40, 40, 3), 100, np.uint8)
    cam = np.zeros((1, 20, 20), np.float32)
    cam[0, :10] = 1
    drawn = heatmaps.overlay(crops, cam)
    assert drawn.shape == crops.shape
    assert drawn.dtype == np.uint8
    assert (drawn[0, 25:] == 100).all()
    assert (drawn[0, :15, :, 0] > 150).all()


def told(people: str, truth: str, answers: str, sure: list[float]):
    """Predictions and labels of some photos: a letter for the person, digits for the mask's truth and answer."""
    photos = [f"{i}.jpg" for i in range(len(people))]
    labels = pd.DataFrame(
        {"photo": photos, "person": list(people), "mask": [int(t) for t in truth]}
    )
    probabilities = pd.DataFrame(0.0, index=range(len(people)), columns=MASK.columns)
    for i, (answer, p) in enumerate(zip(answers, sure, strict=True)):
        probabilities.iloc[i] = (1 - p) / 2
        probabilities.iloc[i, int(answer)] = p
    return pd.concat([labels.photo, probabilities], axis=1), labels


def test_half_of_what_is_shown_are_mistakes_the_surest_first():
    predictions, labels = told("abcdef", "000000", "110000", [0.6, 0.9, 0.5, 0.8, 0.7, 0.99])
    chosen = heatmaps.choose(MASK, predictions, labels, 4)
    assert chosen.photo.tolist() == ["1.jpg", "0.jpg", "5.jpg", "3.jpg"]
    assert list(chosen) == ["photo", "task", "truth", "answer", "probability", "right"]
    assert chosen.right.tolist() == [0, 0, 1, 1]
    assert chosen.answer.tolist() == [1, 1, 0, 0]
    assert chosen.probability.tolist() == pytest.approx([0.9, 0.6, 0.99, 0.8])


def test_right_answers_make_up_for_missing_mistakes_and_the_other_way_round():
    predictions, labels = told("abcd", "0000", "1000", [0.9] * 4)
    assert heatmaps.choose(MASK, predictions, labels, 4).right.tolist() == [0, 1, 1, 1]
    predictions, labels = told("abcd", "0000", "1110", [0.9] * 4)
    assert heatmaps.choose(MASK, predictions, labels, 4).right.tolist() == [0, 0, 0, 1]


def test_classes_take_turns_and_each_person_is_shown_once():
    predictions, labels = told("aabbcd", "001122", "001122", [0.99, 0.98, 0.9, 0.8, 0.7, 0.6])
    assert heatmaps.choose(MASK, predictions, labels, 4).photo.tolist() == [
        "0.jpg",
        "2.jpg",
        "4.jpg",
        "5.jpg",
    ]


def test_none_asked_for_none_chosen():
    assert len(heatmaps.choose(MASK, *told("ab", "00", "01", [0.9, 0.9]), 0)) == 0


def test_captions_tell_truth_answer_and_how_sure():
    predictions, labels = told("ab", "02", "12", [0.9, 0.8])
    captions = heatmaps.captions(heatmaps.choose(MASK, predictions, labels, 2))
    assert captions == {
        0: "mask: worn\n-> incorrect 0.90\nwrong",
        1: "mask: none\n-> none 0.80\nright",
    }
