import itertools

import numpy as np
import pytest
import torch
from fitting import CROPS, LABELS, LEARNS, RANDOM, VALIDATION, same
from tiny import NO_AUGMENTATION, crop_params, loss, mix, model_params, sampling

from portrait18.models import backbones, inference
from portrait18.models.inference import PredictOptions
from portrait18.models.targets import make_target
from portrait18.training import trainer


@pytest.fixture
def script(monkeypatch):
    """script(loss=[...], macro_f1=[...]) replaces the validation scores, one of each per epoch."""

    def put(**columns):
        rows = [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]
        endless = itertools.chain(rows, itertools.repeat(rows[-1]))
        default = {"macro_f1": 0.0, "accuracy": 0.0, "loss": 1.0}
        monkeypatch.setattr(trainer.metrics, "scores", lambda *_: {**default, **next(endless)})

    return put


def test_training_learns_the_mask_state(fit):
    network, history = fit(**LEARNS)
    assert [row["epoch"] for row in history] == [0, 1, 2, 3, 4, 5]
    assert max(row["accuracy"] for row in history) > 0.75
    assert min(row["train_loss"] for row in history) < 0.6 * history[0]["train_loss"]
    target = make_target(model_params())
    probabilities, _ = inference.predict(
        network, target, CROPS, np.flatnonzero(VALIDATION), PredictOptions(32, 16, flip=True)
    )
    assert (probabilities.argmax(1) == LABELS["mask"][VALIDATION]).mean() > 0.75


def test_training_learns_ages(fit):
    params = {"task": "age", "target": "value", "loss": "gaussian"}
    network, _ = fit(
        **params, epochs=16, ema_decay=0.9, augment=NO_AUGMENTATION, dropout=0.0, monitor="loss"
    )
    rows = np.flatnonzero(VALIDATION)
    _, years = inference.predict(
        network, make_target(model_params(**params)), CROPS, rows, PredictOptions(32, 16)
    )
    assert np.corrcoef(years, LABELS.age[rows])[0, 1] > 0.7


@pytest.mark.parametrize(("people", "other"), [("female", 0), ("male", 1)])
def test_a_model_of_one_gender_does_not_see_the_other(fit, people, other):
    params = {"task": "age", "people": people}
    unseen = LABELS.gender == other
    changed = LABELS.assign(
        age_group=LABELS.age_group.where(~unseen, 0), age_target=LABELS.age_target.where(~unseen, 0)
    )
    before, after = fit(**params), fit(labels=changed, **params)
    assert same(before, after), "neither trained nor validated on"
    assert before[1] == after[1]
    assert not same(fit(task="age"), fit(labels=changed, task="age"))


VARIANTS = [
    {"task": "all"},
    {"task": "all", "target": "heads"},
    {"amp": "bf16"},
    {"optimizer": "lamb"},
    {"optimizer": "madgrad"},
    {"optimizer": "adamp"},
    {"loss": "focal"},
    {"loss": "soft-f1"},
    {"loss": "cosine", "head": "unit"},
    {"loss": "ldam", "head": "cosine"},
    {"loss": "arcface", "head": "cosine"},
    {"task": "all", "target": "heads", "loss": "cosine", "head": "unit"},
    {"dropout_samples": 4},
    {"backbone": "test_efficientnet+test_resnet"},
    {"loss": loss(class_weight=1.0, class_weight_from=0.5)},
    {"mix": mix("cutmix", partner="class")},
    {"sampling": sampling(ratios=[1, 1, 2], repeat=[2, 1, 1])},
]


@pytest.mark.parametrize("params", VARIANTS, ids=str)
def test_every_training_variant_lowers_the_loss(fit, params):
    _, history = fit(**params, **LEARNS)
    assert min(row["train_loss"] for row in history) < 0.85 * history[0]["train_loss"]


def test_results_depend_on_the_seed_only(fit):
    first = fit(**RANDOM)
    again, other = fit(**RANDOM), fit(**RANDOM, seed=1)
    assert same(first, again)
    assert first[1] == again[1]
    assert not same(first, other)


def test_the_number_of_workers_does_not_change_the_files_bytes(fit, tmp_path):
    def written(num_workers):
        network, history = fit(**RANDOM, num_workers=num_workers)
        path = tmp_path / f"{num_workers}.safetensors"
        inference.save(
            path, network, model_params(**RANDOM, num_workers=num_workers), crop_params()
        )
        return path.read_bytes(), history

    assert written(0) == written(1) == written(4)


def test_validation_and_excluded_photos_are_never_trained_on(fit):
    excluded = (LABELS.age == 45) & ~VALIDATION
    labels = LABELS.assign(train=1 - excluded.astype(int))
    crops, wrong = CROPS.copy(), labels.copy()
    crops[VALIDATION | excluded] = 255 - crops[VALIDATION | excluded]
    wrong.loc[VALIDATION | excluded, "mask"] = 0
    assert excluded.any()
    reference = fit(epochs=1, labels=labels)
    assert same(reference, fit(epochs=1, crops=crops, labels=wrong))
    crops[np.flatnonzero(~VALIDATION & ~excluded)[0]] ^= 255
    assert not same(reference, fit(epochs=1, crops=crops, labels=wrong))


def test_every_epoch_shows_all_training_photos_in_another_order(fit, monkeypatch):
    shown = []

    class Spy(trainer.EpochDataset):
        def __init__(self, crops, rows, *rest):
            shown.append(rows.tolist())
            super().__init__(crops, rows, *rest)

    monkeypatch.setattr(trainer, "EpochDataset", Spy)
    fit(epochs=3)
    assert [sorted(rows) for rows in shown] == [np.flatnonzero(~VALIDATION).tolist()] * 3
    assert shown[0] != shown[1] != shown[2]


def test_training_uses_the_moved_age_boundaries(fit):
    moved = LABELS.assign(age_target=0)
    assert not same(fit(task="age", epochs=1), fit(task="age", epochs=1, labels=moved))
    assert same(
        fit(task="age", epochs=1), fit(task="age", epochs=1, labels=LABELS.assign(age_group=0))
    )


@pytest.mark.parametrize(("monitor", "best"), [("macro_f1", 2), ("accuracy", 3), ("loss", 1)])
def test_the_best_epoch_by_the_monitored_score_is_kept(fit, script, monitor, best):
    constant = {"schedule": "constant", "warmup_epochs": 0}
    script(macro_f1=[0.1, 0.9, 0.9, 0.3], accuracy=[0.2, 0.1, 0.3, 0.3], loss=[0.5, 0.6, 0.7, 0.8])
    kept = fit(**constant, epochs=4, monitor=monitor)
    script(macro_f1=[0.1, 0.2, 0.3], accuracy=[0.1, 0.2, 0.3], loss=[0.3, 0.2, 0.1])
    assert same(kept, fit(**constant, epochs=best, monitor=monitor))


@pytest.mark.parametrize(("patience", "epochs"), [(0, 6), (1, 3), (2, 4), (5, 6)])
def test_training_stops_when_the_score_does_not_improve_for_patience_epochs(
    fit, script, patience, epochs
):
    script(macro_f1=[0.3, 0.5, 0.5, 0.4, 0.2, 0.1])
    assert len(fit(epochs=6, patience=patience)[1]) == epochs


def test_the_moving_average_is_returned_instead_of_the_network(fit):
    one_step = {"epochs": 1, "batch_size": 64}
    assert same(fit(**one_step, ema_decay=0.99), fit(**one_step, ema_decay=0.0))
    slow, fast, none = (fit(epochs=3, ema_decay=d)[1][-1]["loss"] for d in (0.99, 0.1, 0.0))
    assert len({slow, fast, none}) == 3


def test_layer_decay_slows_the_layers_far_from_the_head(fit):
    params = {
        "optimizer": "sgd",
        "weight_decay": 0.0,
        "epochs": 1,
        "batch_size": 64,
        "schedule": "constant",
        "warmup_epochs": 0,
    }
    torch.manual_seed(0)
    start = backbones.create(model_params(), (3,)).state_dict()
    even, decayed = (fit(**params, layer_decay=d)[0].cpu().state_dict() for d in (1.0, 0.5))
    moved = {
        k: ((decayed[k] - start[k]).norm() / (even[k] - start[k]).norm()).item()
        for k in start
        if "weight" in k
    }
    assert moved["head.weight"] == pytest.approx(1, abs=0.01)
    assert moved["features.0.backbone.conv_stem.weight"] < 0.3


def test_history_contains_the_learning_rate_at_the_end_of_each_epoch(fit):
    _, history = fit(
        epochs=3, lr=0.02, schedule={"name": "step", "epochs": 1, "factor": 0.1}, warmup_epochs=0
    )
    assert [row["lr"] for row in history] == pytest.approx([0.02, 0.002, 0.0002])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_training_learns_in_bf16_on_the_gpu(fit):
    network, history = fit(**LEARNS, amp="bf16")
    assert next(network.parameters()).is_cuda
    assert max(row["accuracy"] for row in history) > 0.75
