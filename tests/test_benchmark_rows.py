"""The benchmark's rows on a few demo photos, both sides in this process, where they run in one of their own."""

import json
import os

import pytest
import torch
from synthetic import REPO, make_dataset, write_params

from benchmarks import (
    crop,
    growth,
    inputs,
    memory,
    ours,
    paired,
    peers,
    pipeline,
    predict,
    projects,
    together,
    train,
    variants,
)
from benchmarks.paired import Turn
from benchmarks.rows import Bench
from benchmarks.side import NotMeasured
from portrait18.core import params
from portrait18.core.errors import UserError


class Here:
    """Stands in for `Side`: the same function, called in this process."""

    peak = 0

    def __init__(self, function, device, seconds, **settings):
        module, name = function.split(".")
        self.function = function
        self.run = getattr({"ours": ours, "peers": peers, "variants": variants}[module], name)(
            **json.loads(json.dumps(settings))
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def turn(self, **how):
        facts = json.loads(json.dumps(self.run(**how)))
        return Turn(0.5, facts.pop("photos"), facts)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Two people of the demo, small networks, the inputs in `tmp_path`; torch's settings are put back."""
    small = {
        "train.common.backbone": "test_efficientnet",
        "train.common.weights": "none",
        "train.common.image_size": 32,
    }
    fast = {"crop.image_size": 64, "train.common.batch_size": 4, "crop.batch_size": 4}
    path = write_params(tmp_path / "params.yaml", {**small, **fast})
    told = params.load(path)
    monkeypatch.setattr(params, "load", lambda: told)
    monkeypatch.setattr(ours, "tune_malloc", lambda: None)
    yield Bench(REPO / "data/demo", 8, 1, "cpu", 0, 1.0, tmp_path, params.load(), start=Here)
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    "measure",
    [
        *(
            crop.loop,
            crop.batched,
            train.feeding,
            train.fed,
            train.loop,
            predict.from_photos,
            predict.from_crops,
        ),
        *(
            row.measure
            for row in variants.ROWS
            if row.name in ("with-contiguous", "with-fused", "with-thread")
        ),
    ],
)
def test_rows_give_a_ratio_for_each_round(bench, measure):
    outcome = measure(bench, 8)
    assert outcome.values == [1.0]  # both sides took as long for as many photos
    assert outcome.photos == 8


def test_variants_change_the_loop_as_they_say(bench):
    folder, model = str(inputs.store(bench, 8)), inputs.model(bench, "mask").model_dump_json()
    usual, other = (ours.make_trainer(folder, model, "variant") for _ in range(2))
    for variant in (variants.contiguous, variants.precision, variants.fused, variants.thread):
        variant(other)
    seen = []
    other.network.features.register_forward_pre_hook(
        lambda part, inputs: seen.append(inputs[0].is_contiguous())
    )
    batches = [list(trainer.loader(0)[0]) for trainer in (usual, other)]
    assert len(batches[0]) == 2
    for (photos, rows), (theirs, their_rows) in zip(*batches, strict=True):
        assert (photos == theirs).all()
        assert (rows == their_rows).all()
    with other.autocast:
        assert torch.is_autocast_enabled("cpu")
    assert other.optimizer.defaults["fused"]
    assert len(other.optimizer.param_groups) == len(usual.optimizer.param_groups)
    assert other.train_epoch(0)["train_loss"] == pytest.approx(usual.train_epoch(0)["train_loss"], rel=0.05)


def test_detect_compares_the_boxes_of_the_same_photos(bench):
    outcome = crop.detect(bench, 8)
    assert outcome.sound
    assert outcome.facts == {"same_boxes": True}
    assert outcome.figures["furthest_corner_pixels"] <= 0.01


def test_the_floor_is_told_in_its_own_times(bench, monkeypatch):
    took = {"ours.crop": 6.0, "ours.decode": 2.0}

    def compare(bench, *sides):
        return paired.Pair(*([Turn(took[side.__self__.function], 8, {})] for side in sides))

    monkeypatch.setattr(Bench, "compare", compare)
    assert crop.floor(bench, 8).values == [3]


def test_fewer_faces_than_the_peer_are_not_the_same_work(bench, monkeypatch):
    def found(faces):
        return [Turn(1.0, 8, {"faces": faces})]

    monkeypatch.setattr(Bench, "compare", lambda *sides: paired.Pair(found(6), found(7)))
    assert not crop.loop(bench, 8).sound


def test_growth_measures_each_size_and_draws(bench, tmp_path):
    outcome = growth.predict(bench, 4)
    assert outcome.figures["photos"] == [4, 8, 16, 32]
    assert outcome.values == pytest.approx([0])  # the stand-in takes as long for any number
    growth.draw({"growth-predict": outcome.figures}, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 5000


def test_flat_memory_is_the_largest_peak_by_the_least(bench, monkeypatch):
    peaks = iter([100, 150, 120, 100, 100, 101])
    monkeypatch.setattr(Here, "peak", property(lambda self: next(peaks)))
    monkeypatch.setattr(memory, "anonymous", lambda: 1)
    twice = Bench(**{**vars(bench), "rounds": 2})
    assert memory.predict(twice, 4).values == [1.5, 1.01]
    monkeypatch.setattr(memory, "anonymous", lambda: 0)
    with pytest.raises(NotMeasured, match="Linux"):
        memory.predict(bench, 4)


def test_photos_come_again_where_there_are_too_few(bench, tmp_path):
    small = Bench(
        **{**vars(bench), "data": make_dataset(tmp_path / "two", ["000001_male_Asian_22"])}
    )
    paths = inputs.paths(inputs.photos(small, 16))
    assert len(paths) == 16
    assert len(set(paths)) == 7
    assert paths[:7] == paths[7:14]


def test_a_project_with_stand_ins_has_nothing_to_do(bench):
    two = Bench(**{**vars(bench), "minutes": 5.0})
    outcome = pipeline.nothing(two, 35)
    assert outcome.photos == 35
    assert len(outcome.values) == 1
    assert outcome.values[0] > 0
    root = bench.folder / "nothing-to-do/data/photos-to-measure"
    photos = [path.read_bytes() for path in root.rglob("*.jpg")]
    assert len(set(photos)) == len(photos) == 35


@pytest.mark.parametrize(("cores", "each"), [(2, 1), (16, 4)])
def test_trainings_go_side_by_side_with_a_share_of_the_cores_or_in_turn_with_all(
    bench, monkeypatch, cores, each
):
    told, compared, run = [], [], projects.Project.dvc

    def dvc(self, *words, seconds, threads=None):
        told.append((words, threads))
        return run(self, *words, seconds=seconds) if words[0] == "init" else (1.0, "")

    def compare(bench, *sides):
        for side in sides:
            told.clear()
            side()
            compared.append(list(told))
        return paired.Pair([Turn(1.0, 84, {})], [Turn(2.0, 84, {})])

    monkeypatch.setattr(together, "CORES", cores)
    monkeypatch.setitem(together.AT_ONCE, "cpu", cores)
    monkeypatch.setattr(projects.Project, "dvc", dvc)
    monkeypatch.setattr(Bench, "compare", compare)
    assert together.trainings(bench, 84).values == [2.0]
    trainings = {f"train@all-{fold}-0" for fold in range(4)}
    side_by_side, in_turn = compared
    assert {words[-1] for words, _ in side_by_side} == trainings
    assert len(side_by_side) == 4
    assert all(
        "--wait-for-lock" in words and "--force" in words and threads == each
        for words, threads in side_by_side
    )
    (((*how, a, b, c, d), threads),) = in_turn
    assert {a, b, c, d} == trainings
    assert "--force" in how
    assert threads is None


def test_a_smaller_data_set_shares_the_files(tmp_path):
    people, labelled = projects.link_people(REPO / "data/demo", tmp_path / "small", 2, 3)
    assert (people, labelled) == (2, 3)
    assert len(list((tmp_path / "small/train/images").rglob("*.jpg"))) == 14
    assert len((tmp_path / "small/train/train.csv").read_text().splitlines()) == 3
    assert len((tmp_path / "small/eval/info.csv").read_text().splitlines()) == 4


def test_the_seconds_of_a_stage_are_summed(tmp_path):
    project = object.__new__(projects.Project)
    project.log = tmp_path / "log"
    lines = (
        [["-m", "stages", "train", "mask"], 2.0],
        [["-m", "stages", "train", "age"], 3.0],
        [["-m", "stages", "label"], 1.0],
    )
    project.log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert project.stage_seconds() == {"train": 5.0, "label": 1.0}


def test_models_of_years_do_not_stand_in_the_ensemble(bench):
    names = [os.path.basename(path) for path in inputs.models(bench, 2)]
    assert names == [
        f"{name}.safetensors" for name in ("mask", "gender", "age-class") for _ in range(2)
    ]
    none = Bench(**{**vars(bench), "params": bench.params})
    none.params.matrix.__dict__["models"] = ["age-value"]
    with pytest.raises(UserError, match="target: classes"):
        inputs.models(none, 2)
