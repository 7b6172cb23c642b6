"""The starter model, and when it predicts."""

import json
import shutil
import tomllib
import warnings

import numpy as np
import pytest
from bundling import CPU
from PIL import Image
from synthetic import REPO
from tiny import demo_photo

import portrait18
from portrait18 import cli
from portrait18.deployment import bundle
from portrait18.models import inference
from portrait18.server import command
from portrait18.server.settings import Settings

MAX_BYTES = 6_000_000


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predict(capsys, *arguments):
    """Return the first line on stderr and all of stdout."""
    assert cli.main(["predict", *map(str, arguments)]) == 0
    out, err = capsys.readouterr()
    return err.splitlines()[0], out


def test_predict_takes_the_starter_in_an_empty_folder_and_says_so(empty, capsys):
    Image.fromarray(demo_photo()).save("one.png")
    line, out = predict(capsys, "one.png", "--json")
    manifest = bundle.read_manifest(bundle.STARTER)
    assert line == f"starter model (no models/bundle here): {manifest.description()}"
    assert [face["found"] for face in json.loads(out)["faces"]] == ["mtcnn"]


def test_predict_and_serve_prefer_the_users_own_bundle(make_bundle, capsys):
    shutil.copytree(make_bundle(), "models/bundle")
    Image.fromarray(demo_photo()).save("one.png")
    line, _ = predict(capsys, "one.png")
    assert line.startswith("models/bundle: Trained on 14 photos of 2 people")
    assert command.load(Settings()).manifest.training_set.people == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert portrait18.load(device=CPU).manifest.training_set.people == 2


def test_a_named_bundle_is_taken_in_any_folder(make_bundle, capsys):
    Image.fromarray(demo_photo()).save("one.png")
    line, _ = predict(capsys, "one.png", "--bundle", make_bundle())
    assert line.startswith("bundle: Trained on 14 photos of 2 people")


def test_serve_and_python_take_the_starter_in_an_empty_folder(empty):
    expected = bundle.read_manifest(bundle.STARTER)
    assert command.load(Settings()).manifest == expected
    with pytest.warns(UserWarning, match="starter model .no models/bundle here"):
        assert portrait18.load(device=CPU).manifest == expected


def test_an_interrupted_export_is_not_replaced_by_the_starter(empty):
    (empty / "models/bundle").mkdir(parents=True)
    assert bundle.choose() == bundle.OWN


def test_help_describes_the_bundle_that_will_predict(empty, capsys):
    with pytest.raises(SystemExit):
        cli.main(["predict", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    description = bundle.read_manifest(bundle.STARTER).description()
    assert f"starter model (no models/bundle here): {description}" in text


def test_the_starter_is_small_attributed_and_part_of_the_package():
    files = sorted(bundle.STARTER.iterdir())
    manifest = bundle.read_manifest(bundle.STARTER)
    names = [entry.file for entry in manifest.networks]
    assert [path.name for path in files] == sorted(["bundle.json", *names])
    assert sum(path.stat().st_size for path in files) < MAX_BYTES
    for part in ("FairFace", "CC BY 4.0", "balanced accuracy"):
        assert part in manifest.description()
    settings = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "starter/*" in settings["package-data"]["portrait18"]


def test_the_starter_runs_on_backbones_of_installed_packages():
    manifest = bundle.read_manifest(bundle.STARTER)
    extractors: dict = {}
    for entry in manifest.networks:
        # Loading compares the hash of each backbone with that of the training.
        model = inference.load(bundle.STARTER / entry.file, CPU, extractors)
        assert model.params.task == entry.task
    names = {(each.name, each.weights) for each in extractors}
    assert names
    assert {weights for _, weights in names} == {"bundled"}


def test_the_starter_tells_masks_of_rendered_people():
    predictor = portrait18.load(bundle.STARTER, CPU)
    expected = {"normal": "none", "incorrect_mask": "incorrect", "mask1": "worn"}
    right, photos = 0, 0
    for folder in sorted((REPO / "data/demo/train/images").iterdir())[:12]:
        for stem, label in expected.items():
            (path,) = folder.glob(f"{stem}.*")
            faces = predictor.predict(path, assume_face=True).faces
            right, photos = right + (faces[0].mask.label == label), photos + 1
            for part in (faces[0].mask, faces[0].gender, faces[0].age_group):
                assert sum(part.probabilities.values()) == pytest.approx(1, abs=1e-4)
                assert np.isfinite(list(part.probabilities.values())).all()
    assert right / photos >= 0.75
