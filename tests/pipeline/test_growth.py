"""A data set grows: what follows, and what is not done again."""

import shutil
import subprocess
import sys
import time

import pandas as pd
import pytest
from PIL import Image, ImageOps
from synthetic import REPO

pytestmark = pytest.mark.pipeline

STORE = ("data/crops/train.npy", "data/crops/train.csv", "data/crops/train_around.npy")


def add_people(project, ids: list[str]) -> list[str]:
    """Add people of the demo that the project does not have, under new ids; their folders."""
    demo, data = REPO / "data/demo/train", project.root / "data/demo/train"
    there = set(pd.read_csv(data / "train.csv").path)
    others = [name for name in pd.read_csv(demo / "train.csv").path if name not in there]
    added = []
    for name, new in zip(others, ids, strict=False):
        _, *rest = name.split("_")
        added.append("_".join([new, *rest]))
        shutil.copytree(demo / "images" / name, data / "images" / added[-1])
        with open(data / "train.csv", "a") as file:
            file.write(",".join([new, *rest, added[-1]]) + "\n")
    return added


def test_labels_split_and_crops_follow_a_data_set_that_grows(project):
    folds = pd.read_csv(project.root / "data/folds.csv", dtype=str).set_index("person").fold
    before = {name: (project.root / name).read_bytes() for name in STORE}
    images = project.root / "data/demo/train/images"
    added = add_people(project, ["000000", "000004-1", "900000"])  # before, among and behind the ids that are there
    changed = sorted(images.iterdir())[1] / "normal.jpg"
    ImageOps.mirror(Image.open(changed)).save(changed)

    output = project.run("dvc", "repro", "crop@train", "crop@eval", "split")
    ran = [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]
    assert sorted(ran) == ["check", "crop@train", "label", "split"], "the photos to label are as they were"
    assert "83 of 105 photos are as in the last run: their crops are taken over" in output

    labels = pd.read_csv(project.root / "data/labels.csv", dtype={"person": str})
    assert len(labels) == 105 and set(added) < set(labels.folder)
    now = pd.read_csv(project.root / "data/folds.csv", dtype=str).set_index("person").fold
    assert len(now) == 15 and (now[folds.index] == folds).all()
    table = pd.read_csv(project.root / STORE[1])
    assert table.photo.tolist() == labels.photo.tolist()

    grown = {name: (project.root / name).read_bytes() for name in STORE}
    assert all(grown[name] != before[name] for name in STORE)
    shutil.rmtree(project.root / ".resume")
    for name in STORE:
        (project.root / name).unlink()
    project.run(sys.executable, "-m", "stages.crop", "train")
    assert {name: (project.root / name).read_bytes() for name in STORE} == grown, "from scratch: the same bytes"


def test_killed_predictions_go_on_and_end_the_same(project):
    project.set_params({"predict": {"batch_size": 1}})
    out, run = project.root / "data/predictions/first/mask/0-0.csv", ("-m", "stages.predict", "mask", "0", "0")
    out.unlink()
    project.run(sys.executable, *run)
    undisturbed = out.read_bytes()
    out.unlink()
    for kept in (project.root / ".resume").glob("predict-*"):  # until another stage begins: DVC might be killed
        kept.unlink()
    journal = project.root / ".resume/predict-mask-0-0-train.jsonl"
    with subprocess.Popen([sys.executable, *run], cwd=project.root, stderr=subprocess.PIPE, text=True) as killed:
        until = time.monotonic() + 120
        while killed.poll() is None and time.monotonic() < until:
            if journal.exists() and journal.read_bytes().count(b"\n") > 3:
                break
            time.sleep(0.001)
        killed.kill()
        killed.communicate()
    assert killed.returncode != 0 and not out.exists()
    assert "mask 0-0 train: going on from photo" in project.run(sys.executable, *run)
    assert out.read_bytes() == undisturbed
