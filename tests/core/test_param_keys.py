"""Keys of params.yaml: comments, misspelled, renamed, unknown and missing ones."""

import pytest
import yaml
from dvc_data.hashfile.meta import Meta
from synthetic import REPO

from portrait18.core import params
from portrait18.core.data_params import CropParams
from portrait18.core.errors import UserError
from portrait18.core.model_params import ModelParams


def test_every_key_has_a_comment():
    text = (REPO / "params.yaml").read_text()
    lines = text.splitlines()

    def keys(node, at=()):
        for key, value in node.value:
            path = (*at, key.value)
            if isinstance(value, yaml.MappingNode):
                yield from keys(value, path)
            elif path[0] != "train" or path[1] == "common":  # keys of train.common
                yield ".".join(path), key.start_mark.line

    found = dict(keys(yaml.compose(text)))
    assert len(found) > 60
    assert "train.common.loss.label_smoothing" in found
    bare = [name for name, line in found.items() if "  # " not in lines[line]]
    # DVC's -S (ruamel.yaml) writes invalid YAML for a list with {} if a comment follows its key.
    assert bare == ["features.views"]
    assert "  # views: " in text


@pytest.mark.parametrize(
    ("key", "misspelled", "meant"),
    [
        ("trian", "trian is unknown", "did you mean train?"),
        ("label.old_form", "label.old_form is unknown", "did you mean old_from?"),
        ("check.problem", "check.problem is unknown", "did you mean problems?"),
        ("train.common.epoch", "train.common.epoch is unknown", "did you mean epochs?"),
        (
            "train.common.sampling.balence",
            "train.common.sampling.balence is unknown",
            "did you mean balance?",
        ),
        ("train.mask.bachsize", "train.mask.bachsize is unknown", "did you mean batch_size?"),
        (
            "train.mask.augment.flipp",
            "train.mask.augment.flipp is unknown",
            "did you mean flip?",
        ),
    ],
)
def test_a_misspelled_key_gets_a_suggestion(problems, key, misspelled, meant):
    (line,) = problems({key: 1})
    assert misspelled in line
    assert meant in line


@pytest.mark.parametrize(
    ("key", "renamed"),
    [
        ("second", "pseudo_label"),
        ("predict.zooms", "tta_scales"),
        ("ensemble.decide", "decision"),
        ("group.largest", "max_size"),
        ("train.common.best_by", "monitor"),
        ("train.common.workers", "num_workers"),
        ("train.common.ema", "ema_decay"),
        ("train.common.step_epochs", "schedule.epochs"),
        ("train.common.step_factor", "schedule.factor"),
        ("train.common.label_smoothing", "loss.label_smoothing"),
        ("train.common.class_weight", "loss.class_weight"),
        ("train.common.class_weight_from", "loss.class_weight_from"),
        ("train.common.focal_gamma", "loss.gamma"),
        ("train.common.cosine_weight", "loss.weight"),
        ("train.common.margin", "loss.margin"),
        ("train.mask.scale", "head.scale"),
        ("train.mask.age_sigma", "target.sigma"),
        ("train.mask.augment.zoom", "scale"),
        ("train.mask.augment.colour", "color"),
    ],
)
def test_a_renamed_key_gets_its_present_name_as_suggestion(problems, key, renamed):
    changes = {key: 1}
    if ".augment." in key:
        changes = {key.rpartition(".")[0]: {key.rpartition(".")[2]: 1}}
    (line,) = problems(changes)
    assert f"{key} is unknown; did you mean {renamed}?" in line


def test_an_unknown_key_lists_the_known_ones(problems):
    (line,) = problems({"split.xyz": 1})
    assert "split.xyz" in line
    assert "did you mean" not in line
    assert "known are folds, by, seed" in line


def test_missing_keys_and_sections_are_named(problems):
    (line,) = problems({"split": {"folds": 2, "by": "person"}})
    assert "split.seed is missing" in line
    lines = problems({"crop": None})
    assert any("crop.method is missing" in line for line in lines)


def test_a_missing_section_is_named():
    raw = yaml.safe_load((REPO / "params.yaml").read_text())
    del raw["crop"]
    with pytest.raises(UserError, match=r"params.yaml: crop is missing; copy it from"):
        params.parse(raw)


def test_no_key_has_a_name_that_the_run_cache_of_dvc_ignores():
    """A changed value of such a key, at any depth, would restore the results of the old one."""
    ignored = {Meta.PARAM_SIZE, Meta.PARAM_NFILES}
    assert ignored == {"size", "nfiles"}

    def names(section):
        for key, value in section.items():
            yield key
            if isinstance(value, dict):
                yield from names(value)

    fields = {*ModelParams.model_fields, *CropParams.model_fields}
    assert ignored.isdisjoint({*names(yaml.safe_load((REPO / "params.yaml").read_text())), *fields})
