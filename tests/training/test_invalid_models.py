"""What cannot be trained is rejected, before any work where possible."""

import pytest
from fitting import LABELS
from tiny import model_params

from portrait18.core.errors import UserError
from portrait18.training import distributed, loop


def test_a_fold_without_people_of_the_gender_is_an_error(fit):
    with pytest.raises(UserError, match="0 training photos of male people, 0 validation photos of"):
        fit(task="age", people="male", labels=LABELS.assign(gender=1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fold": 7}, "fold 7: 60 training photos, 0 validation photos"),
        ({"labels": LABELS.assign(train=0)}, "fold 0: 0 training photos, 30 validation photos"),
        ({"optimizer": "adamwow"}, r"optimizer = 'adamwow'.*list_optimizers"),
        ({"lr": 1e30}, "not finite in epoch 1; lower lr"),
    ],
)
def test_what_cannot_be_trained_is_rejected(fit, changes, message):
    with pytest.raises(UserError, match=message):
        fit(**changes)


def test_all_invalid_models_are_reported_at_once():
    models = {
        "b": model_params(backbone="resnet18+resnet19"),
        "c": model_params(optimizer="adamwow"),
        "d": model_params(weights="nowhere.safetensors@00000000"),
        "e": model_params(backbone="ghostnet_050", drop_path=0.1),
        "f": model_params(optimizer="adahessian"),
        "g": model_params(),
    }
    with pytest.raises(UserError) as caught:
        loop.validate_models(models)
    assert [line.split(":")[0] for line in caught.value.problems] == [
        f"train.{name}" for name in "bcdef"
    ]


def test_a_loss_of_complete_batches_is_rejected_with_several_processes(monkeypatch):
    models = {"a": model_params(loss="soft-f1"), "b": model_params(loss="focal")}
    loop.validate_models(models)
    monkeypatch.setattr(distributed, "world_size", lambda: 4)
    with pytest.raises(UserError) as caught:
        loop.validate_models(models)
    (line,) = caught.value.problems
    assert line.startswith("train.a: params.yaml: loss = 'soft-f1'")
    assert "each of 4 processes (launch)" in line
    assert "soft-f1 |" not in line
    assert "launch: python, or cross-entropy | focal" in line
