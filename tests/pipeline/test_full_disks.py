"""Full and read-only disks: one-line errors, no lost work, a correct next run."""

import errno
import os
import resource
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cropped import equal_files
from tiny import crop_params, model_params

from portrait18.core import files
from portrait18.cropping import builder
from portrait18.dataset import crop_store, tables
from portrait18.models import backbones, inference
from portrait18.models.targets import make_target
from portrait18.training import checkpoints
from portrait18.visualization import contact_sheets

SMALL = 128 * 1024  # bytes: capacity of the small disks and file size limits below
NO_SPACE = "No space left|File too large"
NOISE = np.random.default_rng(0).integers(0, 256, (48, 96, 96, 3), np.uint8)
#: Needs more space than there is.
NETWORK = backbones.create(model_params(), make_target(model_params()).widths)


def mounted(folder: Path, *options: str) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    return (
        subprocess.run(
            ["mount", "-t", "tmpfs", *options, "none", str(folder)], capture_output=True
        ).returncode
        == 0
    )


@pytest.fixture(params=["small disk", "limit on files"])
def full_disk(request, tmp_path):
    """A folder that holds 128 KB, and a function that enlarges it."""
    folder = tmp_path / "small"
    if request.param == "small disk":
        if not mounted(folder, "-o", f"size={SMALL}"):
            pytest.skip("mounting a small disk needs root")
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
    "CSV": lambda path: tables.write_csv(pd.DataFrame({"a": np.arange(50_000)}), path),
    "JSON": lambda path: files.write_json({"a": list(range(50_000))}, path),
    "model": lambda path: inference.save(path, NETWORK, model_params(), crop_params()),
    "checkpoint": lambda path: checkpoints.save(path, "", {"network": NETWORK}, [], {}),
    "contact sheet": png,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_named_and_the_earlier_file_is_kept(full_disk, name):
    folder, enlarge = full_disk
    path = folder / "out.png"
    path.write_text("earlier")
    with pytest.raises(OSError, match=NO_SPACE) as caught:
        WRITERS[name](path)
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert caught.value.filename == str(path)
    assert path.read_text() == "earlier"
    assert os.listdir(folder) == ["out.png"]
    enlarge()
    WRITERS[name](path)
    assert path.stat().st_size > SMALL


def test_a_disk_too_small_for_the_crops_fails_before_any_photo_is_read(
    inventory, find, full_disk, tmp_path
):
    folder, enlarge = full_disk
    params, cpu = crop_params(image_size=200), torch.device("cpu")
    job = builder.CropJob(inventory, tmp_path / "store", "set", params, folder, cpu)
    finder = find()
    with pytest.raises(OSError, match=NO_SPACE) as caught:
        builder.build(job)
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert finder.seen == []
    enlarge()
    builder.build(job)
    pixels, _ = crop_store.load(tmp_path / "store", "set")
    assert pixels.any(axis=(1, 2, 3)).all()


def test_no_crop_is_lost_if_the_disk_fills_up_at_the_end(inventory, build, find, tmp_path, capsys):
    params = crop_params(image_size=200)
    find()
    build(inventory, params, to="undisturbed")
    if not mounted(tmp_path / "store", "-o", f"size={SMALL}"):
        pytest.skip("mounting a small disk needs root")
    try:
        with pytest.raises(OSError, match=NO_SPACE) as caught:
            build(inventory, params)
        assert caught.value.errno == errno.ENOSPC
        subprocess.run(["mount", "-o", "remount,size=16m", str(tmp_path / "store")], check=True)
        finder = find()
        build(inventory, params)
        assert finder.seen == []
        assert "7 of 7 photos are unchanged" in capsys.readouterr().out
        assert equal_files(tmp_path, "store", "undisturbed")
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path / "store")], check=True)


@pytest.fixture
def read_only(tmp_path):
    """A folder that cannot be written to, and a function that makes it writable."""
    folder = tmp_path / "read_only"
    if os.geteuid():
        folder.mkdir(mode=0o555)
        yield folder, lambda: folder.chmod(0o755)
        folder.chmod(0o755)
    elif mounted(folder, "-o", "ro"):  # root may write on any writable disk
        yield folder, lambda: subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
    else:
        pytest.skip(
            "root can write anywhere but on a read-only mount, and mounting is not allowed here"
        )


def test_a_read_only_folder_fails_before_the_work(read_only):
    folder, make_writable = read_only
    with pytest.raises(OSError, match=r"Read-only|Permission") as caught:
        files.check_writable(folder / "0-0.safetensors")
    assert caught.value.errno in (errno.EROFS, errno.EACCES)
    assert caught.value.filename.startswith(str(folder))
    make_writable()
    files.check_writable(folder / "0-0.safetensors")


@pytest.mark.pipeline
def test_an_unwritable_models_folder_stops_a_training_before_its_first_epoch(project):
    models = project.root / "models"
    project.set_params({"train": {"mask": {"epochs": 1}}})
    if os.geteuid():
        shutil.rmtree(models)
        models.mkdir(mode=0o555)
    elif not mounted(models, "-o", "ro"):
        pytest.skip(
            "root can write anywhere but on a read-only mount, and mounting is not allowed here"
        )
    try:
        output = project.run("dvc", "repro", "-s", "train@mask-0-0", check=False)
    finally:
        models.chmod(0o755) if os.geteuid() else subprocess.run(
            ["umount", "--lazy", str(models)], check=True
        )
    assert "Traceback" not in output
    assert "epoch 1/1" not in output
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert "models/trained" in line
    assert "then run the same command again" in line
    assert "epoch 1/1" in project.run("dvc", "repro", "-s", "train@mask-0-0")
