import os
import socket

import numpy as np
import pytest
import torch
from fitting import CROPS, FOLDS, LABELS
from tiny import mix, model_params

from portrait18.core import processes
from portrait18.core.errors import UserError
from portrait18.core.runs import Run
from portrait18.training import distributed, loop
from portrait18.training.data import TrainingData
from portrait18.training.trainer import Trainer

#: Without batch norm, whose statistics are per process on CPUs, and without dropout, which each
#: process draws itself.
PARAMS = {"backbone": "test_convnext", "dropout": 0.0, "epochs": 2, "ema_decay": 0.9}
MIXED = {"mix": mix("cutmix"), "batch_size": 7}  # 7: slices of different lengths
DATA = TrainingData(CROPS, LABELS, FOLDS)


def _train(folder, rank, world, port):
    os.chdir(folder)
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": str(world),
        "RANK": str(rank),
    }
    torch.set_num_threads(1)
    processes.init()
    result = {}
    for name, changes in (("plain", {}), ("mixed", MIXED), ("frozen", {"freeze_epochs": 1})):
        network, history = loop.fit(DATA, model_params(**PARAMS | changes), Run(name, 0, 0))
        result[name] = history, network.state_dict()
    # With batch norm the processes' networks and scores differ: the main process's must hold.
    normed = {"backbone": "test_efficientnet", "epochs": 6, "patience": 1, "monitor": "loss"}
    result["normed"] = loop.fit(DATA, model_params(**normed), Run("normed", 0, 0))[1]
    tensor = torch.full((rank + 1, 2), float(rank))
    result["rows"] = distributed.all_gather_rows(tensor, [n + 1 for n in range(world)])
    result["gathered"], result["sums"] = (
        processes.gather(f"from {rank}"),
        distributed.sum_over_processes(rank + 1.0, 2.0),
    )
    result["slices"] = [distributed.shard_slice(count) for count in (1, 7, 8)]
    torch.save(result, f"{rank}.pt")


def _run(folder, world):
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    context = torch.multiprocessing.get_context("spawn")
    started = [
        context.Process(target=_train, args=(folder, rank, world, port)) for rank in range(world)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(timeout=300)
    assert [process.exitcode for process in started] == [0] * world
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(world)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return _run(tmp_path_factory.mktemp("distributed") / "alone", 1)[0]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return _run(tmp_path_factory.mktemp("distributed") / "pair", 2)


@pytest.mark.parametrize("name", ["plain", "mixed", "frozen"])
def test_two_processes_train_like_one_on_the_same_batches(alone, pair, name):
    history, weights = alone[name]
    for other, others_weights in (each[name] for each in pair):
        assert [row["epoch"] for row in other] == [row["epoch"] for row in history]
        for one, two in zip(history, other, strict=True):
            assert two == pytest.approx(one, rel=1e-3, abs=1e-4)
        for key, value in weights.items():
            torch.testing.assert_close(others_weights[key], value, rtol=1e-2, atol=1e-4)


def test_both_processes_have_the_same_weights(pair):
    (_, one), (_, two) = (each["mixed"] for each in pair)
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_both_processes_stop_and_select_by_the_same_scores(pair):
    one, two = (each["normed"] for each in pair)
    assert one == two


def test_batches_with_fewer_photos_than_processes_are_rejected(monkeypatch):
    trainer = Trainer(DATA, model_params(**PARAMS, batch_size=4), Run("few", 0, 0))
    monkeypatch.setattr(processes, "world_size", lambda: 5)
    with pytest.raises(UserError, match=r"few 0-0: 5 processes \(launch\) for batches of 4 photos"):
        trainer.loader(0)


def test_rows_and_values_are_gathered_in_the_order_of_ranks(pair):
    for each in pair:
        assert each["rows"].tolist() == [[0, 0], [1, 1], [1, 1]]
        assert each["gathered"] == ["from 0", "from 1"]
        assert each["sums"] == [3.0, 4.0]


def test_slices_cover_every_item_once(alone, pair):
    for count, full, one, two in zip(
        (1, 7, 8), alone["slices"], pair[0]["slices"], pair[1]["slices"], strict=True
    ):
        items = np.arange(count)
        assert items[full].tolist() == items.tolist()
        assert [*items[one], *items[two]] == items.tolist()
        assert len(items[one]) - len(items[two]) in (0, 1)
    assert distributed.shard_lengths(5) == [5]


def test_a_single_process_needs_no_wrappers():
    network, tensor = torch.nn.Linear(1, 1), torch.ones(3)
    assert distributed.data_parallel(network) is network
    assert distributed.sync_batchnorm(network) is network
    assert distributed.all_gather_rows(tensor, [3]) is tensor
    assert processes.is_main_process()
    assert processes.world_size() == 1
