"""Contradictions between sections of params.yaml that are valid by themselves."""

from typing import TYPE_CHECKING

from portrait18.core import feature_params
from portrait18.core.variants import YEAR_TARGETS

if TYPE_CHECKING:
    from portrait18.core.params import Params


def contradictions(p: "Params") -> list[str]:
    """Return a line for each contradiction between sections of the file."""
    lines = []
    if wrong := [fold for fold in p.matrix.folds if fold >= p.split.folds]:
        lines.append(
            f"matrix.folds = {p.matrix.folds}: {wrong} must lie in 0..{p.split.folds - 1};"
            " raise split.folds or name fewer"
        )
    if p.group.by == "column" and not p.group.column.strip():
        lines.append(
            f"group.by = column, but group.column = {p.group.column!r}; name the column of info.csv"
            " that holds the person, or set group.by: none"
        )
    frozen = {name: p.train[name] for name in p.matrix.frozen}
    end_to_end = [*p.matrix.models, *p.pseudo_label.models]
    lines += feature_params.contradictions(p.features, frozen, end_to_end)
    sizes = {f"train.{name}": p.train[name].image_size for name in end_to_end}
    sizes |= {"features": p.features.image_size} if p.features.backbones else {}
    lines += [
        f"{section}.image_size = {size} is larger than crop.image_size = {p.crop.image_size};"
        f" raise that to {size}"
        for section, size in sizes.items()
        if size > p.crop.image_size
    ]
    lines += [
        f"train.{name}.head = {p.train[name].head.name}: only models of matrix.frozen can have it;"
        f" move {name} there, or use linear"
        for name in dict.fromkeys(end_to_end)
        if p.train[name].head.frozen_only
    ]
    return lines + _incomplete_pairs(p) + _missing_models(p)


def _incomplete_pairs(p: "Params") -> list[str]:
    """Return a line for each list of models in which an age model for one gender has no partner."""
    lines = []
    for keys, names in (
        ("matrix.models and matrix.frozen", p.matrix.all_models),
        ("pseudo_label.models", p.pseudo_label.models),
    ):
        women, men = (
            [name for name in names if p.train[name].people == gender]
            for gender in ("female", "male")
        )
        if len(women) != len(men):
            lines.append(
                f"{keys}: {len(women)} models with people: female ({', '.join(women) or 'none'}),"
                f" {len(men)} with people: male ({', '.join(men) or 'none'}); name as many of each,"
                " because a pair votes as one"
            )
        lines += [
            f"train.{one}.target = {p.train[one].target.name}: its partner {other} has target"
            f" {p.train[other].target.name}; both or neither must predict years"
            f" ({', '.join(YEAR_TARGETS)})"
            for one, other in zip(women, men, strict=False)
            if p.train[one].target.predicts_years != p.train[other].target.predicts_years
        ]
    return lines


def _missing_models(p: "Params") -> list[str]:
    """Return a line for each task and setting that needs a model of another kind."""
    first = [p.train[name] for name in p.matrix.all_models]
    lines = [
        f"matrix.models = {p.matrix.models}, matrix.frozen = {p.matrix.frozen}: no model predicts"
        f" {task}; add one whose task is {task} or all"
        for task in ("mask", "gender", "age")
        if not any(model.task in (task, "all") for model in first)
    ]
    if any(model.target.predicts_years for model in first):
        return lines
    if p.ensemble.decision == "thresholds":
        lines.append(
            "ensemble.decision = thresholds: no model of matrix.models or matrix.frozen predicts"
            f" years; add one whose target is {' or '.join(YEAR_TARGETS)}"
        )
    lines += [
        f"pseudo_label.models names {name}, whose target {p.train[name].target.name} needs years,"
        " but no model of matrix.models or matrix.frozen predicts them; add one, e.g. age-value"
        for name in p.pseudo_label.models
        if p.train[name].target.needs_years
    ]
    return lines
