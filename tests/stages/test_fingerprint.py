import pytest
import yaml
from synthetic import REPO

from stages._fingerprint import code_files, code_fingerprint

DVC_YAML = {
    "stages": {
        "train": {"deps": ["data/x.csv", "portrait18/models", "stages/train.py"]},
        "train_round2": {
            "matrix": {"model": ["mask"]},
            "deps": ["data/${item.model}.csv", "portrait18/models", "stages/train.py"],
        },
        "crop": {
            "foreach": {"train": {}, "eval": {}},
            "do": {"deps": ["data/${key}.csv", "portrait18/dataset", "stages/crop.py"]},
        },
    }
}


@pytest.fixture
def root(tmp_path):
    """A project with three stages and a few source files."""
    for name in ("models/a.py", "models/deep/b.py", "dataset/c.py", "core/d.py", "server/e.py"):
        path = tmp_path / "portrait18" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    (tmp_path / "stages").mkdir()
    for name in ("train.py", "crop.py"):
        (tmp_path / "stages" / name).write_text("x = 1\n")
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(DVC_YAML))
    return tmp_path


@pytest.mark.parametrize(
    "path", ["portrait18/models/a.py", "portrait18/models/deep/b.py", "stages/train.py"]
)
@pytest.mark.parametrize("change", ["edit", "delete", "rename"])
def test_the_fingerprint_changes_with_every_listed_file(root, path, change):
    before, file = code_fingerprint("train", root), root / path
    if change == "edit":
        file.write_text("x = 2\n")
    elif change == "delete":
        file.unlink()
    else:
        file.rename(file.with_name("other.py"))
    assert code_fingerprint("train", root) != before


def test_a_new_file_in_a_listed_folder_changes_the_fingerprint(root):
    before = code_fingerprint("train", root)
    (root / "portrait18/models/new.py").write_text("")
    assert code_fingerprint("train", root) != before


@pytest.mark.parametrize(
    "path",
    [
        "portrait18/core/d.py",
        "portrait18/server/e.py",
        "portrait18/dataset/c.py",
        "stages/crop.py",
        "portrait18/models/__pycache__/a.cpython-311.pyc",
    ],
)
def test_the_fingerprint_ignores_other_files(root, path):
    before = code_fingerprint("train", root)
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_text("x = 2\n")
    assert code_fingerprint("train", root) == before


def test_stages_with_the_same_code_have_the_same_fingerprint(root):
    assert code_fingerprint("train", root) == code_fingerprint("train_round2", root)
    assert code_fingerprint("train", root) != code_fingerprint("crop", root)


@pytest.mark.parametrize("stage", ["train", "predict"])
def test_both_rounds_of_the_real_pipeline_have_the_same_fingerprint(stage):
    assert code_fingerprint(stage, REPO) == code_fingerprint(f"{stage}_round2", REPO)


@pytest.mark.parametrize("stage", ["crop", "train", "predict"])
def test_the_real_fingerprints_cover_neither_the_server_nor_the_core(stage):
    folders = {path.relative_to(REPO).parts[:2] for path in code_files(stage, REPO)}
    assert ("portrait18", "dataset") in folders
    assert ("stages", f"{stage}.py") in folders
    assert not folders & {("portrait18", "server"), ("portrait18", "core")}
