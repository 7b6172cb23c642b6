"""The stage `ensemble` on drawn predictions."""

import numpy as np
import pandas as pd
import pytest
from tiny import colored_people

from portrait18.core.files import read_json
from portrait18.core.runs import Run
from portrait18.dataset.classes import TASKS
from portrait18.dataset.tables import write_csv
from portrait18.evaluation import temperature
from stages import ensemble

_, LABELS, FOLDS = colored_people(16)
MODELS = {"mask": "mask", "gender": "gender", "age-female": "age", "age-male": "age"}
CHANGES = {"matrix.models": list(MODELS), "matrix.frozen": [], "matrix.folds": [0]}
CHANGES |= {"matrix.seeds": [0], "ensemble.weights": "equal", "ensemble.decision": "argmax"}
EVAL = [f"e{n}.jpg" for n in range(8)]


def predictions(task, seed) -> pd.DataFrame:
    """Return random probabilities for the people of fold 0 and the evaluation set."""
    photos = [*LABELS.photo[FOLDS == 0], *EVAL]
    count = len(TASKS[task].classes)
    values = np.random.default_rng(seed).dirichlet(np.ones(count), len(photos))
    table = pd.DataFrame(values, columns=TASKS[task].columns)
    table.insert(0, "photo", photos)
    table.insert(0, "set", ["eval" if photo in EVAL else "validation" for photo in photos])
    return table


def write_pairs() -> None:
    """Write groups of two photos each."""
    photos = predictions("mask", 0)[["set", "photo"]]
    write_csv(photos.assign(group=np.arange(len(photos)) // 2), "data/groups.csv")


@pytest.mark.parametrize("weights", ["equal", "by_mask"])
def test_single_photos_are_calibrated_before_a_person_is_averaged(
    tmp_path, monkeypatch, write_params, weights
):
    monkeypatch.chdir(tmp_path)
    models = ["mask", "gender", "age-class"]
    changes = {"matrix.models": models, "group.by": "near_duplicate", "group.weights": weights}
    write_params(tmp_path / "params.yaml", {**CHANGES, **changes})
    for seed, (name, task) in enumerate(zip(models, TASKS, strict=True)):
        write_csv(predictions(task, seed), Run(name, 0, 0).predictions)
    write_csv(LABELS, "data/labels.csv")
    write_pairs()
    ensemble.main()
    factors = read_json("data/ensemble/config.json")["temperatures"]
    assert factors["gender"] > 2, "random predictions deserve no confidence"
    scaled = {
        task: temperature.scale(
            predictions(task, seed).set_index("photo").loc[EVAL, TASKS[task].columns].to_numpy(),
            factors[task],
        )
        for seed, task in enumerate(["mask", "gender"])
    }
    fitted = read_json("reports/ensemble.json").get("photo_weights", {})
    assert list(fitted) == (["gender", "age"] if weights == "by_mask" else [])
    mask_weights = list(fitted.get("gender", {"worn": 1, "incorrect": 1, "none": 1}).values())
    shares = scaled["mask"] @ mask_weights
    pairs = (scaled["gender"] * shares[:, None]).reshape(-1, 2, 2).sum(1)
    expected = (pairs / shares.reshape(-1, 2).sum(1)[:, None]).repeat(2, 0)
    found = pd.read_csv("data/ensemble/eval.csv").set_index("photo")
    found = found.loc[EVAL, TASKS["gender"].columns]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("vote", "calibration", "group"),
    [
        ("soft", "none", "none"),
        ("soft", "temperature", "none"),
        ("soft", "temperature", "near_duplicate"),
        ("stacking", "temperature", "none"),
    ],
)
def test_a_pair_of_age_models_by_gender_is_one_voter(
    tmp_path, monkeypatch, write_params, vote, calibration, group
):
    monkeypatch.chdir(tmp_path)
    changes = {"ensemble.vote": vote, "ensemble.calibration": calibration}
    changes |= {"group.by": group, "group.weights": "equal"}
    write_params(tmp_path / "params.yaml", {**CHANGES, **changes})
    tables = {name: predictions(task, seed) for seed, (name, task) in enumerate(MODELS.items())}
    for name, table in tables.items():
        write_csv(table, Run(name, 0, 0).predictions)
    write_csv(LABELS, "data/labels.csv")
    write_pairs()
    ensemble.main()
    config = read_json("data/ensemble/config.json")
    tasks, temperatures = config["tasks"], config["temperatures"]
    assert list(temperatures) == (list(MODELS) if calibration == "temperature" else [])
    assert tasks["age"]["models"] == ["age-female+age-male"]
    assert tasks["age"]["vote"] == vote
    assert tasks["age"]["weights"] == [1.0]
    found = pd.read_csv("data/ensemble/eval.csv").set_index("photo")
    parts = {
        name: temperature.scale(
            table[table.set == "eval"].set_index("photo")[TASKS[MODELS[name]].columns].to_numpy(),
            temperatures.get(name, 1.0),
        )
        for name, table in tables.items()
    }
    women, men = parts["age-female"], parts["age-male"]
    expected = parts["gender"][:, [1]] * women + parts["gender"][:, [0]] * men
    if group != "none":  # each photo's gender decides, then the group is averaged
        expected = expected.reshape(-1, 2, 3).mean(1).repeat(2, 0)
    ages = found.loc[EVAL, TASKS["age"].columns].to_numpy()
    assert np.allclose(ages, expected, atol=1e-5) == (vote == "soft")
    np.testing.assert_allclose(ages.sum(1), 1, atol=1e-5)
