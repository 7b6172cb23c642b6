"""The rows of the benchmark on a few demo photos; both sides run in this process."""

import dataclasses
import json
import os
import time

import pytest
import torch
from synthetic import REPO, make_dataset, write_params

from benchmarks import (
    baseline,
    crop,
    growth,
    inputs,
    memory,
    ours,
    paired,
    parallel,
    peers,
    pipeline,
    predict,
    projects,
    train,
    variants,
)
from benchmarks.paired import Turn
from benchmarks.rows import Bench
from benchmarks.side import MeasurementError
from portrait18.core import params
from portrait18.core.errors import UserError

MODULES = {"ours": ours, "peers": peers, "variants": variants}


class LocalSide:
    """Replace `Side`: run the same function in this process, and record its turns."""

    peak = 0
    turns: list[tuple[str, Turn]]

    def __init__(self, function, device, seconds, **settings):
        module, name = function.split(".")
        self.function = function
        self.run = getattr(MODULES[module], name)(**json.loads(json.dumps(settings)))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def turn(self, **kwargs):
        start = time.perf_counter()
        facts = json.loads(json.dumps(self.run(**kwargs)))
        turn = Turn(time.perf_counter() - start, facts.pop("photos"), facts)
        self.turns.append((self.function, turn))
        return turn


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Return settings for two demo people and small networks; restore torch's settings."""
    changes = {
        "train.common.backbone": "test_efficientnet",
        "train.common.weights": "none",
        "train.common.image_size": 32,
        "train.common.batch_size": 4,
        "crop.image_size": 64,
        "crop.batch_size": 4,
    }
    loaded = params.load(write_params(tmp_path / "params.yaml", changes))
    monkeypatch.setattr(baseline, "load", lambda: loaded)
    monkeypatch.setattr(ours, "tune_malloc", lambda: None)
    monkeypatch.setattr(LocalSide, "turns", [], raising=False)
    yield Bench(
        data=REPO / "data/demo",
        photos=8,
        rounds=1,
        device="cpu",
        num_workers=0,
        minutes=1.0,
        folder=tmp_path,
        params=loaded,
        start_side=LocalSide,
    )
    torch.use_deterministic_algorithms(False)


ROWS = {row.name: row for module in (crop, train, predict, variants) for row in module.ROWS}
VERSUS_PEERS = ("crop-loop", "crop-batched", "train-input", "train-loop", "predict")
VERSUS_PEERS += ("predict-stored",)
VERSUS_OURS = ("train-cached", "with-contiguous", "with-fused", "with-thread")


@pytest.mark.parametrize("name", [*VERSUS_PEERS, *VERSUS_OURS])
def test_the_ratio_is_the_peer_s_time_divided_by_ours_for_the_same_photos(bench, name):
    outcome = ROWS[name].measure(bench, 8)
    (our_name, our_turn), (their_name, their_turn) = LocalSide.turns[-2:]
    assert our_turn.photos == their_turn.photos == outcome.photos == 8
    assert outcome.values == [their_turn.seconds / our_turn.seconds]
    assert our_name.startswith("variants." if name.startswith("with-") else "ours.")
    assert their_name.startswith("peers." if name in VERSUS_PEERS else "ours.")


def test_variants_change_the_training_loop_as_described(bench):
    folder, model = str(inputs.store(bench, 8)), inputs.model(bench, "mask").model_dump_json()
    default, changed = (ours.make_trainer(folder, model, "variant") for _ in range(2))
    for variant in (variants.contiguous, variants.precision, variants.fused, variants.thread):
        variant(changed)
    contiguous = []
    changed.network.features[0].register_forward_pre_hook(
        lambda part, inputs: contiguous.append(inputs[0].is_contiguous())
    )
    batches = [list(trainer.loader(0)[0]) for trainer in (default, changed)]
    assert len(batches[0]) == 2
    for (photos, rows), (changed_photos, changed_rows) in zip(*batches, strict=True):
        assert (photos == changed_photos).all()
        assert (rows == changed_rows).all()
    with changed.autocast:
        assert torch.is_autocast_enabled("cpu")
    assert changed.optimizer.defaults["fused"]
    assert len(changed.optimizer.param_groups) == len(default.optimizer.param_groups)
    losses = [trainer.train_epoch(0)["train_loss"] for trainer in (default, changed)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert contiguous
    assert all(contiguous)


def test_both_detectors_find_the_same_boxes(bench):
    outcome = crop.detect(bench, 8)
    assert outcome.same_work
    assert outcome.facts == {"same_boxes": True}
    assert outcome.results["max_corner_difference_pixels"] <= 0.01


def test_cropping_is_measured_in_multiples_of_decoding(bench, monkeypatch):
    seconds = {"ours.crop": 6.0, "ours.decode": 2.0}

    def compare(bench, *sides):
        turns = [Turn(seconds[side.__self__.function], 8, {}) for side in sides]
        return paired.Pair([turns[0]], [turns[1]])

    monkeypatch.setattr(Bench, "compare", compare)
    assert crop.decoding(bench, 8).values == [3]


def test_finding_fewer_faces_than_the_peer_is_not_the_same_work(bench, monkeypatch):
    def found(faces):
        return [Turn(1.0, 8, {"faces": faces})]

    monkeypatch.setattr(Bench, "compare", lambda *sides: paired.Pair(found(6), found(7)))
    assert not crop.loop(bench, 8).same_work


def test_growth_fits_the_time_of_each_size_and_plots_it(bench, tmp_path):
    outcome = growth.predict(bench, 4)
    turns = [turn for _, turn in LocalSide.turns[-4:]]
    assert outcome.results["photos"] == [turn.photos for turn in turns] == [4, 8, 16, 32]
    fitted = growth.exponent(outcome.results["photos"], [turn.seconds for turn in turns])
    assert outcome.values == [fitted]
    growth.plot({"growth-predict": outcome.results}, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 5000


def test_memory_growth_is_the_largest_peak_divided_by_the_smallest(bench, monkeypatch):
    peaks = iter([100, 150, 120, 100, 100, 101])
    monkeypatch.setattr(LocalSide, "peak", property(lambda self: next(peaks)))
    monkeypatch.setattr(memory, "anonymous_memory", lambda: 1)
    assert memory.predict(dataclasses.replace(bench, rounds=2), 4).values == [1.5, 1.01]


def test_memory_rows_need_the_memory_readings_of_linux(bench, monkeypatch):
    monkeypatch.setattr(memory, "anonymous_memory", lambda: 0)
    with pytest.raises(MeasurementError, match="Linux"):
        memory.predict(bench, 4)


def test_photos_repeat_if_the_data_set_has_too_few(bench, tmp_path):
    data = make_dataset(tmp_path / "one", ["000001_male_Asian_22"])
    paths = inputs.paths(inputs.photos(dataclasses.replace(bench, data=data), 16))
    assert len(paths) == 16
    assert len(set(paths)) == 7
    assert paths[:7] == paths[7:14]


def test_a_project_with_placeholder_outputs_is_up_to_date(bench):
    outcome = pipeline.up_to_date(dataclasses.replace(bench, minutes=5.0), 35)
    assert outcome.photos == 35
    assert len(outcome.values) == 1
    assert outcome.values[0] > 0
    root = bench.folder / "up-to-date" / projects.DATA
    photos = [path.read_bytes() for path in root.rglob("*.jpg")]
    assert len(set(photos)) == len(photos) == 35


@pytest.mark.parametrize(("cores", "threads_each"), [(2, 1), (16, 4)])
def test_parallel_trainings_share_the_cores_and_sequential_ones_use_all(
    bench, monkeypatch, cores, threads_each
):
    calls, compared, dvc = [], [], projects.Project.dvc

    def recorded(self, *words, seconds, threads=None):
        calls.append((words, threads))
        return dvc(self, *words, seconds=seconds) if words[0] == "init" else (1.0, "")

    def compare(bench, *sides):
        for side in sides:
            calls.clear()
            side()
            compared.append(list(calls))
        return paired.Pair([Turn(1.0, 84, {})], [Turn(2.0, 84, {})])

    monkeypatch.setattr(parallel, "CORES", cores)
    monkeypatch.setitem(parallel.JOBS, "cpu", cores)
    monkeypatch.setattr(projects.Project, "dvc", recorded)
    monkeypatch.setattr(Bench, "compare", compare)
    assert parallel.trainings(bench, 84).values == [2.0]
    trainings = {f"train@all-{fold}-0" for fold in range(4)}
    parallel_calls, sequential_calls = compared
    assert {words[-1] for words, _ in parallel_calls} == trainings
    assert len(parallel_calls) == 4
    for words, threads in parallel_calls:
        assert {"--wait-for-lock", "--force"} <= set(words)
        assert threads == threads_each
    (((*options, a, b, c, d), threads),) = sequential_calls
    assert {a, b, c, d} == trainings
    assert "--force" in options
    assert threads is None


def test_the_ensemble_has_only_models_that_predict_classes(bench):
    names = [os.path.basename(path) for path in inputs.models(bench, 2)]
    assert names == [
        f"{name}.safetensors" for name in ("mask", "gender", "age-class") for _ in range(2)
    ]
    bench.params.matrix.__dict__["models"] = ["age-value"]
    with pytest.raises(UserError, match="target: classes"):
        inputs.models(bench, 2)
