"""Combine the predictions of all models.

Temperatures, weights of photos and models, and offsets are fitted on validation people.
"""

import pandas as pd

from portrait18.core import params, runs
from portrait18.core.files import write_json
from portrait18.core.params import Params
from portrait18.dataset import tables
from portrait18.dataset.classes import ALL, MASK, TASKS
from portrait18.dataset.labels import class_index
from portrait18.dataset.tables import write_csv
from portrait18.evaluation import (
    ensemble_config,
    ensembling,
    gender_pairs,
    group_averages,
    temperature,
    voting,
)
from portrait18.evaluation.ensemble_config import EnsembleConfig
from portrait18.evaluation.group_averages import MaskWeights

SETS = ("validation", "eval")


def main() -> None:
    p = params.load()
    labels = tables.read("data/labels.csv").set_index("photo")
    members = _average_members(p)
    temperatures = _fit_temperatures(p, members, labels)
    scaled = temperature.scale_models(members, temperatures)
    merged = gender_pairs.merge(scaled, runs.people_by_model(p))
    models, photo_weights = _average_people(p, merged, labels)
    tasks = voting.tasks_of(models)
    voters = voting.models_by_task(models, tasks)
    by_set = {
        which: {m: voting.select_set(table, which) for m, table in models.items()} for which in SETS
    }
    votes = {which: voting.collect_votes(by_set[which], voters) for which in SETS}
    years = {which: voting.mean_years(by_set[which].values()) for which in SETS}
    photos = {which: next(iter(by_set[which].values())).index for which in SETS}

    labels = labels.loc[photos["validation"]]
    data = ensembling.ValidationVotes(
        votes["validation"],
        {task.name: class_index(task, labels, for_training=False).to_numpy() for task in tasks},
        labels.person.to_numpy(),
        years["validation"],
    )
    config = ensembling.fit(data, p.ensemble)._replace(temperatures=temperatures)
    predictions = {
        "validation": ensembling.cross_fit(data, p.ensemble),
        "eval": config.predict(votes["eval"], years["eval"]),
    }
    for which in SETS:
        table = voting.assemble(predictions[which], photos[which], years[which])
        write_csv(table, f"data/ensemble/{which}.csv")
    write_json(ensemble_config.to_json(config, voters), "data/ensemble/config.json")
    report = _report(config, voters, photo_weights)
    write_json(report, "reports/ensemble.json")
    for name in config.tasks:
        print(f"{name}: " + ", ".join(f"{m} x {w}" for m, w in report[name]["weights"].items()))


def _average_members(p: Params) -> dict[str, pd.DataFrame]:
    """Return model -> mean predictions of its folds and seeds, index (set, photo)."""
    return {
        model: voting.average_members(
            [tables.read(run.predictions) for run in members], voting.KEYS
        )
        for model, members in runs.runs_by_model(p.matrix, p.pseudo_label).items()
    }


def _fit_temperatures(
    p: Params, models: dict[str, pd.DataFrame], labels: pd.DataFrame
) -> dict[str, float]:
    if p.ensemble.calibration == "none":
        return {}
    validation = {name: voting.select_set(table, "validation") for name, table in models.items()}
    return temperature.fit(validation, labels, runs.people_by_model(p))


def _average_people(
    p: Params, models: dict[str, pd.DataFrame], labels: pd.DataFrame
) -> tuple[dict[str, pd.DataFrame], dict[str, MaskWeights]]:
    """Average over each person's photos, if `group.by` asks for it.

    Returns:
        name -> table; task -> weights of the mask classes, if they were fitted.
    """
    if p.group.by == "none":
        return models, {}
    groups = tables.read("data/groups.csv")
    if p.group.weights == "equal":
        return group_averages.average(models, groups), {}
    weights = group_averages.fit_weights(models, groups, labels)
    return group_averages.average(models, groups, weights.by_photo), weights.by_mask


def _report(
    config: EnsembleConfig,
    voters: dict[str, list[str]],
    photo_weights: dict[str, MaskWeights],
) -> dict:
    """Return what was fitted, rounded, for `dvc metrics` and people."""
    report: dict = {}
    for name, task in config.tasks.items():
        classes = (ALL if name == ALL.name else TASKS[name]).classes
        report[name] = {
            "weights": dict(zip(voters[name], task.weights.round(4).tolist(), strict=True)),
            "offsets": dict(zip(classes, task.offsets.round(2).tolist(), strict=True)),
        }
    if config.joint_offsets is not None:
        offsets = config.joint_offsets.round(2).tolist()
        report["joint_offsets"] = dict(zip(ALL.classes, offsets, strict=True))
    if config.thresholds is not None:
        ages = config.thresholds.tolist()
        report["thresholds"] = dict(zip(("young_middle", "middle_old"), ages, strict=True))
    if config.temperatures:
        report["temperatures"] = dict(config.temperatures)
    if photo_weights:
        report["photo_weights"] = {
            name: dict(zip(MASK.classes, weights, strict=True))
            for name, weights in photo_weights.items()
        }
    return report
