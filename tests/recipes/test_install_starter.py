import json

import pytest

from portrait18.core.errors import UserError
from portrait18.deployment import bundle
from recipes import install_starter


def test_a_bundle_is_copied_with_notes_and_without_onnx(make_bundle, tmp_path):
    folder, target, notes = make_bundle(onnx=False), tmp_path / "starter", tmp_path / "notes.txt"
    notes.write_text("Two lines\nof limits.\n")
    target.mkdir()
    (target / "old.safetensors").write_text("")
    size = install_starter.install(folder, target, notes)
    manifest = bundle.read_manifest(target)
    assert manifest.description().endswith(" Two lines of limits.")
    assert {path.name for path in target.iterdir()} == {path.name for path in folder.iterdir()}
    assert size <= sum(path.stat().st_size for path in target.iterdir())
    first = json.loads((folder / "bundle.json").read_text())
    assert {**first, "notes": "Two lines of limits."} == json.loads(
        (target / "bundle.json").read_text()
    )


def test_the_installed_starter_is_no_source(make_bundle, tmp_path):
    folder = make_bundle(onnx=False)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match="is the installed starter itself; name a trained bundle"):
        install_starter.install(folder / ".." / folder.name, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_large_bundle_is_refused_and_the_old_starter_kept(make_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(install_starter, "MAX_BYTES", 1000)
    folder, target = make_bundle(), tmp_path / "starter"
    target.mkdir()
    with pytest.raises(UserError, match="use fewer folds or smaller heads"):
        install_starter.install(folder, target)
    assert target.exists()
