"""A data set grows: what follows, and what is not computed again."""

import itertools
import shutil
import sys

import pandas as pd
import pytest
from PIL import Image, ImageOps
from synthetic import REPO

pytestmark = pytest.mark.pipeline

STORE = ("data/crops/train.npy", "data/crops/train.csv", "data/crops/train_context.npy")


def add_people(project, ids: list[str]) -> list[str]:
    """Add other people of the demo under new ids, repeatedly if needed; return their folders."""
    demo, data = REPO / "data/demo/train", project.root / "data/demo/train"
    there = set(pd.read_csv(data / "train.csv").path)
    others = [name for name in pd.read_csv(demo / "train.csv").path if name not in there]
    added = []
    for name, new in zip(itertools.cycle(others), ids, strict=False):
        _, *rest = name.split("_")
        added.append("_".join([new, *rest]))
        shutil.copytree(demo / "images" / name, data / "images" / added[-1])
        for photo in (data / "images" / added[-1]).iterdir():
            photo.write_bytes(
                photo.read_bytes() + new.encode()
            )  # the same file under two ids would be refused
        with open(data / "train.csv", "a") as file:
            file.write(",".join([new, *rest, added[-1]]) + "\n")
    return added


def test_labels_split_and_crops_follow_a_data_set_that_grows(project):
    folds = pd.read_csv(project.root / "data/folds.csv", dtype=str).set_index("person").fold
    before = {name: (project.root / name).read_bytes() for name in STORE}
    images = project.root / "data/demo/train/images"
    added = add_people(
        project, ["000000", "000004-1", "900000"]
    )  # before, among and after the present ids
    changed = sorted(images.iterdir())[1] / "normal.jpg"
    ImageOps.mirror(Image.open(changed)).save(changed)

    output = project.run("dvc", "repro", "crop@train", "crop@eval", "split")
    ran = [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]
    assert sorted(ran) == ["check", "crop@train", "label", "split"], (
        "the evaluation set has not changed"
    )
    assert "83 of 105 photos are unchanged" in output

    labels = pd.read_csv(project.root / "data/labels.csv", dtype={"person": str})
    assert len(labels) == 105
    assert set(added) < set(labels.folder)
    now = pd.read_csv(project.root / "data/folds.csv", dtype=str).set_index("person").fold
    assert len(now) == 15
    assert (now[folds.index] == folds).all()
    table = pd.read_csv(project.root / STORE[1])
    assert table.photo.tolist() == labels.photo.tolist()

    grown = {name: (project.root / name).read_bytes() for name in STORE}
    assert all(grown[name] != before[name] for name in STORE)
    shutil.rmtree(project.root / ".resume")
    for name in STORE:
        (project.root / name).unlink()
    project.run(sys.executable, "-m", "stages", "crop", "train")
    assert {name: (project.root / name).read_bytes() for name in STORE} == grown, (
        "from scratch: the same bytes"
    )


def test_fifty_more_people_are_split_like_others_and_move_nobody(project):
    folds = pd.read_csv(project.root / "data/folds.csv", dtype=str).set_index("person").fold
    labels = (project.root / "data/labels.csv").read_text().splitlines()
    ids = [f"{number:06d}" for number in range(50)]  # between the present ids, listed after them
    ids = [f"{new}-1" if new in folds.index else new for new in ids]
    added = add_people(project, ids)
    assert project.repro("split") == ["check", "label", "split"]
    now = pd.read_csv(project.root / "data/folds.csv", dtype=str).set_index("person").fold
    assert len(added) == 50
    assert set(now.index) == {*folds.index, *ids}
    assert (now[folds.index] == folds).all()
    assert 5 <= (now[ids] == "0").sum() <= 15, "a fifth, to within one in each of six strata"
    grown = (project.root / "data/labels.csv").read_text().splitlines()
    assert len(grown) == len(labels) + 50 * 7
    assert set(labels) < set(grown)


#: Run a stage and kill it after the given number of journal entries.
KILLED_AFTER = """
import os, runpy, signal, sys
from portrait18.core.journal import Journal

add, left = Journal.add, [None] * int(sys.argv.pop(1))

def add_and_count(self, piece):
    add(self, piece)
    left.pop()
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

Journal.add = add_and_count
runpy.run_module("stages", run_name="__main__", alter_sys=True)
"""


def test_killed_predictions_resume_and_end_with_the_same_bytes(project):
    project.set_params({"predict": {"batch_size": 1}})
    out, run = (
        project.root / "data/predictions/round1/mask/0-0.csv",
        ("-m", "stages", "predict", "mask"),
    )
    out.unlink()
    project.run(sys.executable, *run)
    undisturbed = out.read_bytes()
    out.unlink()
    for kept in (project.root / ".resume").glob(
        "predict-*"
    ):  # kept until a later stage starts, because DVC might be killed
        kept.unlink()
    validation = undisturbed.count(b"\nvalidation,")
    assert validation > 4
    project.run(sys.executable, "-c", KILLED_AFTER, "4", *run[2:], check=False)
    assert not out.exists()
    assert f"mask 0-0 train: resuming from photo 4 of {validation}\n" in project.run(
        sys.executable, *run
    )
    assert out.read_bytes() == undisturbed
