import pytest

FROZEN = {
    "features.backbones": ["tf_efficientnet_lite0"],
    "matrix.models": ["mask"],
    "matrix.frozen": ["gender", "age-value"],
}
KERNEL = {"name": "kernel", "gamma": 1.0, "C": 1.0, "landmarks": 100}


def test_frozen_models_and_networks_cover_the_tasks_together(load, problems):
    loaded = load(FROZEN)
    assert list(loaded.train) == loaded.matrix.all_models == ["mask", "gender", "age-value"]
    everything = {**FROZEN, "matrix.models": [], "matrix.frozen": ["heads"]}
    assert load(everything).matrix.all_models == ["heads"]
    (line,) = problems({**FROZEN, "matrix.frozen": ["gender"]})
    assert "no model predicts age" in line
    assert len(problems({"matrix.models": []})) == 3


def test_a_frozen_model_takes_its_input_from_the_features(load):
    changes = {"features.image_size": 64, "train.common.weights": "hub", "crop.image_size": 128}
    loaded = load({**FROZEN, **changes, "train.gender.image_size": 512})
    assert loaded.model("gender").image_size == 64
    assert loaded.model("gender").weights == "none"
    assert loaded.model("mask").image_size == 96
    assert loaded.features.sources() == {"tf_efficientnet_lite0": "bundled"}


@pytest.mark.parametrize("target", ["classes", "value", "rank"])
def test_a_kernel_head_suits_all_targets(load, target):
    loss = {"value": "gaussian", "rank": "cumulative"}.get(target)
    own = {"task": "age", "target": target, "lr": 0.1, "epochs": 1, "head": KERNEL}
    own |= {"loss": loss} if loss else {}
    assert load({**FROZEN, "train.age-value": own}).model("age-value").head.landmarks == 100


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"matrix.models": ["mask", "gender"]}, ["matrix.frozen names gender", "name it once"]),
        ({"pseudo_label.models": ["gender"]}, ["matrix.frozen names gender", "name it once"]),
        (
            {"train.gender.backbone": "tf_efficientnet_lite0+resnet18"},
            ["train.gender.backbone", "lacks resnet18", "add it"],
        ),
        (
            {"train.gender.mix": {"name": "halves", "partner": "any", "probability": 1.0}},
            ["train.gender.mix = halves", "sees no pixels", "none or mixup"],
        ),
        (
            {
                "train.gender.head": KERNEL,
                "train.gender.mix": {
                    "name": "mixup",
                    "alpha": 0.4,
                    "partner": "any",
                    "probability": 1.0,
                },
            },
            ["train.gender.mix = mixup", "without batches", "use mix: none"],
        ),
        ({"train.mask.head": KERNEL}, ["train.mask.head = kernel", "only models of matrix.frozen"]),
        ({"features.image_size": 256}, ["features.image_size = 256", "crop.image_size"]),
        ({"features.test_views": 3}, ["test_views = 3", "number of views (2)"]),
        ({"features.views": [{"flip": True}]}, ["views[0] must be {}"]),
        ({"features.views": [{}, {}]}, ["views contains duplicates"]),
        ({"features.views": [{}, {"zoom": 2}]}, ["views.1.zoom is unknown"]),
        ({"features.weights": "none"}, ["weights = none", "bundled, hub"]),
        ({"features.backbones": ["resnet18"]}, ["no package contains weights of 'resnet18'"]),
        ({"matrix.frozen": ["genders"]}, ["matrix.frozen names 'genders'", "did you mean gender"]),
    ],
    ids=str,
)
def test_frozen_models_that_cannot_be_trained_are_refused(problems, changes, parts):
    lines = problems({**FROZEN, **changes})
    assert any(all(part in line for part in parts) for line in lines), lines
