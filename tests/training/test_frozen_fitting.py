import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import REPO
from tiny import colored_people, demo_photo, loss, mix, model_params, sampling

from portrait18.core.errors import UserError
from portrait18.core.feature_params import View
from portrait18.core.runs import Run
from portrait18.models import frozen
from portrait18.models.extraction import Extractor
from portrait18.models.targets import make_target
from portrait18.training import frozen_fitting
from portrait18.training.data import TrainingData
from portrait18.training.frozen_fitting import FeatureLayout
from portrait18.training.frozen_trainer import EpochFeatures

_, LABELS, FOLDS = colored_people(16)
KERNEL = {"name": "kernel", "gamma": 0.5, "C": 1.0, "landmarks": 60}
RIDGE = {"name": "ridge", "gamma": 0.4, "penalty": 0.5}
LINEAR_RIDGE = {"name": "linear-ridge", "penalty": 0.5}
LAYOUT = FeatureLayout(test_views=2)
MLP = {"name": "mlp", "width": 16, "depth": 2}


def features(views=2):
    """Noisy linear functions of the labels, float16 (N, views, 12)."""
    rng = np.random.default_rng(0)
    known = [LABELS["mask"] == k for k in range(3)] + [LABELS.gender, LABELS.age / 30]
    clean = np.stack(known, 1).astype(float) @ rng.normal(size=(5, 12))
    return (clean[:, None] + rng.normal(0, 0.2, (len(clean), views, 12))).astype(np.float16)


def fit(seed=0, labels=LABELS, array=None, **changes):
    """Return the fitted head and its history."""
    rows: list = []
    params = model_params(**{"epochs": 12, "lr": 0.02, **changes})
    data = TrainingData(features() if array is None else array, labels, FOLDS)
    head = frozen_fitting.fit(data, params, Run("model", 0, seed), LAYOUT, rows.append)
    return head, rows


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def tensors(fitted):
    return list(fitted[0].state_dict().values())


@pytest.mark.parametrize(
    "changes",
    [
        {"head": "linear"},
        {"head": MLP},
        {"head": KERNEL},
        {"head": RIDGE},
        {"head": LINEAR_RIDGE},
        {"task": "all", "target": "heads", "head": RIDGE},
        {"task": "all", "target": "heads", "head": MLP},
        {"task": "all", "target": "heads", "head": KERNEL},
        {"head": "linear", "mix": mix("mixup")},
        {"head": "linear", "ema_decay": 0.9, "sampling": sampling(balance=0.5, per_person=4)},
        {"head": KERNEL, "loss": loss(class_weight=1.0), "sampling": sampling(ratios=[1, 1, 2])},
        {"head": "cosine", "loss": "arcface"},
        {"head": MLP, "dropout_samples": 2, "loss": "focal"},
    ],
    ids=str,
)
def test_heads_learn_from_features(changes):
    _, history = fit(**changes)
    joint = changes.get("task") == "all"
    assert history[-1]["accuracy"] > (0.4 if joint else 0.9)
    assert len(history) == (1 if changes["head"] in (KERNEL, RIDGE, LINEAR_RIDGE) else 12)
    assert {"epoch", "train_loss", "macro_f1", "loss"} <= set(history[0])


@pytest.mark.parametrize("head", ["linear", MLP, KERNEL], ids=["linear", "mlp", "kernel"])
@pytest.mark.parametrize(
    ("target", "name"),
    [("value", "gaussian"), ("rank", "cumulative"), ("distribution", "soft-cross-entropy")],
)
def test_heads_learn_years(head, target, name):
    params = {"task": "age", "target": target, "loss": name, "head": head, "epochs": 20}
    fitted, _ = fit(**params)
    rows = np.flatnonzero(FOLDS == 0)
    _, years = frozen.predict(fitted, make_target(model_params(**params)), features()[rows])
    assert np.corrcoef(years, LABELS.age[rows])[0, 1] > 0.8


@pytest.mark.parametrize(
    "head",
    [MLP, {**KERNEL, "landmarks": 10}, RIDGE, LINEAR_RIDGE],
    ids=["mlp", "kernel", "ridge", "linear"],
)
def test_a_head_depends_on_the_seed_only(head):
    random = {"head": head, "sampling": sampling(per_person=4), "epochs": 3}
    first = tensors(fit(**random))
    assert same(first, tensors(fit(**random)))
    assert not same(first, tensors(fit(**random, seed=1)))


@pytest.mark.parametrize("backbone", ["sface_middle", "dlib_resnet_middle"])
def test_middle_maps_of_face_networks_tell_masks_of_people_never_seen(backbone):
    people = sorted(path.name for path in (REPO / "data/demo/train/images").iterdir())[:14]
    states = ["mask1", "incorrect_mask", "normal"]  # in the order of the classes
    photos = [demo_photo(state, person) for person in people for state in states]
    crops = np.stack([photo[100:400:3, 42:342:3] for photo in photos])
    extractor = Extractor(backbone, "bundled", 100, 0.4, torch.device("cpu"))
    table = pd.DataFrame({"person": np.repeat(people, 3), "mask": np.tile(range(3), 14)})
    table = table.assign(train=1, age_target=0, age_group=0)
    folds = np.repeat([0] * 4 + [1] * 10, 3)
    data = TrainingData(extractor(crops, [View()]), table, folds)
    params = model_params(head={**RIDGE, "penalty": 0.05})
    rows: list = []
    layout = FeatureLayout(1, extractor.blocks)
    frozen_fitting.fit(data, params, Run("model", 0, 0), layout, rows.append)
    assert rows[0]["accuracy"] > 0.7  # one in three by chance


def test_by_mask_chooses_the_photos_that_a_head_is_fitted_on():
    one = sampling(per_person=1, photos="by_mask")
    fitted, history = fit(head=KERNEL, sampling=one)
    assert np.isfinite(history[0]["train_loss"])
    values, bare = features()[:, :2].astype(np.float32).mean(1), LABELS["mask"] == 2
    rows = (FOLDS != 0) & bare.to_numpy()
    assert len(fitted.head.support) == len(set(LABELS.person[rows]))
    support = fitted.head.support.float() * fitted.std + fitted.mean
    nearest = np.abs(values[:, None] - support.numpy()).sum(2).argmin(0)
    assert bare[nearest].all()


@pytest.mark.parametrize("head", [KERNEL, RIDGE], ids=["kernel", "ridge"])
def test_balance_raises_the_probability_of_rare_classes_and_keeps_all_photos(head):
    rare = np.flatnonzero((LABELS["mask"] == 2) & (FOLDS != 0))[:12]
    kept = np.sort(np.r_[np.flatnonzero((LABELS["mask"] != 2) | (FOLDS == 0)), rare])
    array, labels, folds = features()[kept], LABELS.iloc[kept].reset_index(), FOLDS[kept]
    array += np.random.default_rng(0).normal(0, 2, array.shape).astype(array.dtype)
    means, supports = [], []
    for balance in (0.0, 1.0):
        params = model_params(head=head, sampling=sampling(balance=balance))
        data = TrainingData(array, labels, folds)
        fitted = frozen_fitting.fit(data, params, Run("model", 0, 0), FeatureLayout(2))
        means.append(frozen.predict(fitted, make_target(params), array[folds == 0])[0].mean(0))
        supports.append(len(fitted.head.support))
    assert means[1][2] > means[0][2] + 0.02
    assert supports[0] == supports[1]


@pytest.mark.parametrize("head", ["linear", KERNEL, RIDGE], ids=["linear", "kernel", "ridge"])
def test_validation_photos_are_never_trained_on(head):
    array, labels = features(), LABELS.copy()
    array[FOLDS == 0] = 0
    labels.loc[FOLDS == 0, "mask"] = 0
    params = {"head": head, "epochs": 2, "patience": 0, "monitor": "loss"}
    kept = fit(**params, array=features()), fit(**params, array=array, labels=labels)
    histories = [history[0]["train_loss"] for _, history in kept]
    assert histories[0] == histories[1]


def test_a_kernel_head_sees_the_mean_of_the_test_views():
    array = features(views=3)
    changed = array.copy()
    changed[:, 2] = 0
    swapped = array[:, [1, 0, 2]]
    heads = [fit(head=RIDGE, array=a)[0] for a in (array, changed, swapped)]
    assert same(*(list(head.state_dict().values()) for head in heads[:2]))
    rows = np.flatnonzero(FOLDS == 0)
    predicted = [
        frozen.predict(head, make_target(model_params()), array[rows][:, :2])[0] for head in heads
    ]
    np.testing.assert_allclose(predicted[0], predicted[2], atol=1e-3)


def test_layers_of_any_width_have_the_same_influence_on_a_kernel():
    params = model_params(head=RIDGE)
    head = frozen.StandardizedHead(12, (3,), params)
    values = features()[:, 0]
    head.fit(values, [2, 10])
    squared = head.standardize(torch.from_numpy(values)).square().mean(0)
    assert squared[:2].sum().item() == pytest.approx(6, rel=1e-2)
    assert squared[2:].sum().item() == pytest.approx(6, rel=1e-2)


def test_an_epoch_shows_a_random_view_of_each_photo():
    array = np.arange(40 * 3, dtype=np.float16).reshape(40, 3, 1)
    rows = np.random.default_rng(0).permutation(40)

    def shown(epoch):
        parts = [batch for batch, _ in EpochFeatures(array, rows, 8, seed=1, epoch=epoch)]
        return np.concatenate(parts)[:, 0]

    assert (shown(0) // 3 == rows).all()
    assert set(shown(0) % 3) == {0, 1, 2}
    assert (shown(0) == shown(0)).all()
    assert (shown(0) != shown(1)).any()


def test_a_fold_without_photos_is_refused():
    data = TrainingData(features(), LABELS, FOLDS)
    with pytest.raises(UserError, match="fold 7"):
        frozen_fitting.fit(data, model_params(head=KERNEL), Run("model", 7, 0), LAYOUT)


@pytest.mark.parametrize("head", [RIDGE, MLP, KERNEL], ids=lambda head: head["name"])
def test_a_head_of_one_gender_does_not_see_the_other(head):
    changes = {"task": "age", "people": "female", "head": head}
    changed = LABELS.assign(age_target=LABELS.age_target.where(LABELS.gender == 1, 0))
    changed["age"] = LABELS.age.where(LABELS.gender == 1, 20)
    assert same(tensors(fit(**changes)), tensors(fit(labels=changed, **changes)))
    everyone = {"task": "age", "head": head}
    assert not same(tensors(fit(**everyone)), tensors(fit(labels=changed, **everyone)))
