"""Full and read-only disks, damaged files: a one-line error, no work lost, and a next run that ends as it should."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cropped import equal_files
from tiny import crop_params, model_params

from portrait18.core import files
from portrait18.cropping import builder
from portrait18.dataset import crop_store
from portrait18.models import backbones, inference, targets
from portrait18.training import checkpoints
from portrait18.visualization import contact_sheets

ROOT = Path(__file__).resolve().parents[2]
SMALL = 128 * 1024  # bytes: what the small disks and limits below have room for
NOISE = np.random.default_rng(0).integers(0, 256, (48, 96, 96, 3), np.uint8)
#: Needs more room than there is, whoever writes it.
NETWORK = backbones.create(model_params(), targets.make(model_params()).widths)


def mounted(folder: Path, *options: str) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    return (
        subprocess.run(
            ["mount", "-t", "tmpfs", *options, "none", str(folder)], capture_output=True
        ).returncode
        == 0
    )


@pytest.fixture(params=["small disk", "limit on files"])
def no_room(request, tmp_path):
    """A folder that takes 128 KB, and a function that gives it room."""
    folder = tmp_path / "small"
    if request.param == "small disk":
        if not mounted(folder, "-o", f"size={SMALL}"):
            pytest.skip("mounting a small disk takes the rights of root")
        yield (
            folder,
            lambda: subprocess.run(["mount", "-o", "remount,size=16m", str(folder)], check=True),
        )
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
    else:
        folder.mkdir()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, hard))
        yield folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def png(path: Path) -> None:
    contact_sheets.contact_sheet(NOISE, dict.fromkeys(range(48), ""), path)


WRITERS = {
    "CSV": lambda path: files.write_csv(pd.DataFrame({"a": np.arange(50_000)}), path),
    "JSON": lambda path: files.write_json({"a": list(range(50_000))}, path),
    "model": lambda path: inference.save(path, NETWORK, model_params(), crop_params()),
    "checkpoint": lambda path: checkpoints.save(path, "", {"network": NETWORK}, [], {}),
    "contact sheet": png,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_named_and_leaves_the_earlier_file_alone(no_room, name):
    folder, give_room = no_room
    path = folder / "out.png"
    path.write_text("earlier")
    with pytest.raises(OSError) as caught:
        WRITERS[name](path)
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert caught.value.filename == str(path)
    assert path.read_text() == "earlier"
    assert os.listdir(folder) == ["out.png"]
    give_room()
    WRITERS[name](path)
    assert path.stat().st_size > SMALL


def test_a_disk_too_full_for_the_crops_is_told_before_any_photo_is_read(
    inventory, find, no_room, tmp_path
):
    folder, give_room = no_room
    how = (
        inventory,
        tmp_path / "store",
        "set",
        crop_params(image_size=200),
        folder,
        torch.device("cpu"),
    )
    finder = find()
    with pytest.raises(OSError) as caught:
        builder.build(*how)
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert finder.seen == []
    give_room()
    builder.build(*how)
    pixels, _ = crop_store.load(tmp_path / "store", "set")
    assert pixels.any(axis=(1, 2, 3)).all()


def test_no_crop_is_lost_where_the_disk_fills_up_at_the_end(
    inventory, build, find, tmp_path, capsys
):
    params = crop_params(image_size=200)
    find()
    build(inventory, params, to="undisturbed")
    if not mounted(tmp_path / "store", "-o", f"size={SMALL}"):
        pytest.skip("mounting a small disk takes the rights of root")
    try:
        with pytest.raises(OSError) as caught:
            build(inventory, params)
        assert caught.value.errno == errno.ENOSPC
        subprocess.run(["mount", "-o", "remount,size=16m", str(tmp_path / "store")], check=True)
        finder = find()
        build(inventory, params)
        assert finder.seen == []
        assert "7 of 7 photos are as in the last run" in capsys.readouterr().out
        assert equal_files(tmp_path, "store", "undisturbed")
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path / "store")], check=True)


@pytest.fixture
def closed(tmp_path):
    """A folder that nothing can be written to, and a function that opens it."""
    folder = tmp_path / "closed"
    if os.geteuid():
        folder.mkdir(mode=0o555)
        yield folder, lambda: folder.chmod(0o755)
        folder.chmod(0o755)
    elif mounted(folder, "-o", "ro"):  # root may write wherever the disk can be written to
        yield folder, lambda: subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
    else:
        pytest.skip(
            "root writes wherever it is not a mount that forbids it, and mounting is not allowed here"
        )


def test_a_folder_that_can_not_be_written_to_is_told_before_the_work(closed):
    folder, give = closed
    with pytest.raises(OSError) as caught:
        files.check_writable(folder / "0-0.safetensors")
    assert caught.value.errno in (errno.EROFS, errno.EACCES)
    assert caught.value.filename.startswith(str(folder))
    give()
    files.check_writable(folder / "0-0.safetensors")


def replaced(path: Path, size: int) -> None:
    """Cut a file as a program does that writes it again: a new file under the old name, the cache is not touched."""
    data = path.read_bytes()[:size]
    path.unlink()
    path.write_bytes(data)


def cut(project, name: str) -> None:
    """Cut a file where it lies, and so the one in the cache that it is a link to."""
    told = next(
        out["md5"]
        for stage in project.lock().values()
        for out in stage["outs"]
        if out["path"] == name
    )
    path, cached = project.root / name, project.root / ".dvc/cache/files/md5" / told[:2] / told[2:]
    path.unlink()
    os.link(cached, path)  # the copy of the project has copies
    os.truncate(path, path.stat().st_size - 9)


@pytest.mark.pipeline
def test_dvc_brings_back_what_was_damaged_beside_its_cache(project):
    before = project.lock()
    for name in (
        "data/crops/train.npy",
        "data/labels.csv",
        "models/trained/mask/0-0.safetensors",
        "reports/metrics.json",
    ):
        replaced(project.root / name, -9)
    ran = project.repro()
    assert set(ran) <= {"evaluate"}, "figures are in git, not in DVC's cache: they are made again"
    assert project.lock() == before


@pytest.mark.pipeline
def test_what_was_damaged_in_the_cache_too_is_made_again_after_make_repair(project):
    before = project.lock()
    damaged = (
        "data/crops/eval_context.npy",
        "data/labels.csv",
        "models/trained/age-value/0-0.safetensors",
    )
    for name in damaged:
        cut(project, name)
    project.run(
        "dvc", "repro", check=False
    )  # DVC takes its links for good ones: this brings nothing back
    said = project.run(
        sys.executable, "-m", "stages", "predict", "age-value", "0", "0", check=False
    )
    assert "Traceback" not in said
    assert said.count("\n") == 1
    assert said.startswith("error: ")
    assert said.endswith("run make repair, then dvc repro\n")
    assert "is damaged" in said

    said = project.run(sys.executable, str(ROOT / ".dvc/repair.py"))
    assert all(f"{name} was damaged, removed" in said for name in damaged)
    ran = project.repro()
    assert {"crop@eval", "label", "train@age-value-0-0"} <= set(ran)
    assert not {"crop@train", "train@mask-0-0", "train@gender-0-0", "train@age-class-0-0"} & set(
        ran
    )
    assert project.lock() == before
    assert "removed" not in project.run(sys.executable, str(ROOT / ".dvc/repair.py"))


@pytest.mark.pipeline
def test_half_a_lock_and_half_a_list_of_locks_cost_nothing_after_make_repair(project):
    before = (project.root / "dvc.lock").read_bytes()
    within = before.index(b"hash:", before.index(b"train@gender"))
    os.truncate(project.root / "dvc.lock", within + len(b"hash:"))
    (project.root / ".dvc/tmp/rwlock").write_text('{"write": {"/a')
    assert "validation failed" in project.run("dvc", "repro", check=False)
    said = project.run(sys.executable, str(ROOT / ".dvc/repair.py"))
    assert "dvc.lock was damaged, removed" in said
    assert "rwlock was damaged, removed" in said
    assert project.repro() == []
    assert (project.root / "dvc.lock").read_bytes() == before


@pytest.mark.pipeline
def test_locks_of_a_number_that_another_program_has_by_now_are_freed_by_make_repair(project):
    held = {"pid": os.getpid(), "cmd": "dvc repro"}  # this process is no DVC
    locks = project.root / ".dvc/tmp/rwlock"
    lock_file = {
        "write": {str(project.root / "models"): held},
        "read": {str(project.root / "data"): [held]},
    }
    locks.write_text(json.dumps(lock_file))
    assert "is busy" in project.run("dvc", "repro", "--force", "-s", "label", check=False)
    assert "named no running DVC process" in project.run(sys.executable, str(ROOT / ".dvc/repair.py"))
    assert not locks.exists()
    with subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE) as dvc:
        locks.write_text(
            json.dumps({"write": {str(project.root / "models"): {**held, "pid": dvc.pid}}})
        )
        said = project.run(sys.executable, str(ROOT / ".dvc/repair.py"), check=False)
        assert f"error: dvc is running (process {dvc.pid})" in said
        assert locks.exists()
        dvc.communicate(b"\n")
    project.run(sys.executable, str(ROOT / ".dvc/repair.py"))
    assert not locks.exists()


@pytest.mark.pipeline
def test_models_that_can_not_be_written_stop_a_training_before_it_begins(project):
    models = project.root / "models"
    project.set_params({"train": {"mask": {"epochs": 1}}})
    if os.geteuid():
        shutil.rmtree(models)
        models.mkdir(mode=0o555)
    elif not mounted(models, "-o", "ro"):
        pytest.skip(
            "root writes wherever it is not a mount that forbids it, and mounting is not allowed here"
        )
    try:
        said = project.run("dvc", "repro", "-s", "train@mask-0-0", check=False)
    finally:
        models.chmod(0o755) if os.geteuid() else subprocess.run(
            ["umount", "--lazy", str(models)], check=True
        )
    assert "Traceback" not in said
    assert "epoch 1/1" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "models/trained" in line
    assert "then run the same command again" in line
    assert "epoch 1/1" in project.run("dvc", "repro", "-s", "train@mask-0-0")
