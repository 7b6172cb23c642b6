"""Mistakes that DVC reports as internal errors give one line; other commands run as before."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from synthetic import REPO, write_params

pytestmark = pytest.mark.pipeline
SCRIPT = REPO / ".dvc/preflight.py"
DVC = str(Path(sys.executable).with_name("dvc"))


def load():
    spec = importlib.util.spec_from_file_location("preflight_under_test", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


preflight = load()


@pytest.fixture
def root(tmp_path):
    """A project with an empty git repository; data sets are missing."""
    root = tmp_path / "project"
    for name in ("dvc.yaml", "dvc.lock", ".dvc/config", "stages/__main__.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, root / name)
    write_params(root / "params.yaml")
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    return root


@pytest.fixture
def dvc(tmp_path):
    """dvc(folder, *arguments) runs DVC as in an environment that `make` installed."""
    hook = tmp_path / "hook"
    hook.mkdir()
    shutil.copy(SCRIPT, hook / f"{preflight.NAME}.py")
    (hook / "sitecustomize.py").write_text(f"import {preflight.NAME}; {preflight.NAME}.run()\n")

    def run(folder, *arguments, path=os.environ["PATH"], program=(DVC,)):
        env = {**os.environ, "PYTHONPATH": str(hook), "PATH": path}
        done = subprocess.run(
            [*program, *arguments], cwd=folder, env=env, text=True, capture_output=True
        )
        return done.returncode, done.stdout + done.stderr

    return run


def line(dvc, folder, *arguments, **kwargs) -> str:
    status, output = dvc(folder, *arguments, **kwargs)
    assert status == 1, output
    assert output.startswith("error: ")
    assert output.count("\n") == 1
    return output


@pytest.mark.parametrize(
    "key", preflight.matrix_lists(yaml.safe_load((REPO / "dvc.yaml").read_text()))
)
def test_a_matrix_key_that_is_no_list_is_named(root, key, monkeypatch):
    monkeypatch.chdir(root)
    assert preflight.check(["repro"]) == []
    for value in (1, "mask", None, {"a": 1}):
        write_params(root / "params.yaml", {key: value})
        (problem,) = preflight.check(["repro"])
        assert problem.startswith(f"params.yaml: {key} = {value}: must be a list")
        assert preflight.check(["config", "cache.dir"]) == []
        assert preflight.check(["exp", "run", "-S", f"{key}=[0]"]) == []


@pytest.mark.parametrize("option", [["-S"], ["--set-param"]])
def test_an_override_that_is_no_list_is_named_with_its_fix(root, option, monkeypatch):
    monkeypatch.chdir(root)
    exp = ["exp", "run", *option]
    (problem,) = preflight.check([*exp, "matrix.models=mask,gender"])
    assert problem.endswith("write -S 'matrix.models=[mask,gender]'")
    assert preflight.check([*exp, "params.yaml:matrix.seeds=1"])
    assert preflight.check(["exp", "run", "-Smatrix.seeds=1"])
    assert "bracket is missing" in preflight.check([*exp, "train.mask.lr=[1"])[0]
    for valid in ("matrix.models=[mask]", "matrix.seeds=choice([0],[1])", "train.mask.lr=0.1"):
        assert preflight.check([*exp, valid]) == []


def test_dvc_prints_one_line_and_its_own_commands_still_work(root, dvc):
    write_params(root / "params.yaml", {"matrix.seeds": 1})
    expected = "error: params.yaml: matrix.seeds = 1: must be a list, such as [1]\n"
    assert line(dvc, root, "repro") == expected
    assert line(dvc, root / "stages", "status") == expected
    assert line(dvc, root, "repro", program=(sys.executable, "-m", "dvc")) == expected
    status, output = dvc(root, "config", "cache.type")
    assert (status, output) == (0, "reflink,hardlink,copy\n")


def test_a_project_without_git_is_told_what_to_run(root, dvc):
    shutil.rmtree(root / ".git")
    output = line(dvc, root, "repro")
    (command,) = re.findall(r"or dvc (config .*) to work", output)
    assert dvc(root, *command.split())[0] == 0
    _, output = dvc(root, "status", "label")
    assert "git" not in output
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    output = line(dvc, root, "exp", "run")
    (command,) = re.findall(r"dvc (config --local --unset \S+),", output)
    assert dvc(root, *command.split())[0] == 0
    assert preflight.check(["exp", "run"]) == []


def test_names_that_are_no_utf8_are_named_with_their_fix(root, dvc):
    folder = os.fsencode(root / "data/demo/train/images") + b"/1_male_" + "한국".encode("cp949")
    os.makedirs(folder)
    output = line(dvc, root, "repro")
    assert "1 names in data/demo are not UTF-8" in output
    assert "(1_male_한국 in cp949)" in output
    assert "python -m portrait18.importers.names 'data/demo'" in output


def test_an_experiment_with_a_target_needs_the_plots_of_all_stages(root, dvc):
    assert "reports/" in line(dvc, root, "exp", "run", "-S", "label.old_from=52", "label")
    assert preflight.has_target(["exp", "run", "--queue", "label"])
    assert not preflight.has_target(["exp", "run", "-S", "label.old_from=52", "--queue"])
    assert not preflight.has_target(["exp", "show"])
    stages = yaml.safe_load((root / "dvc.lock").read_text())["stages"].values()
    for out in (out for stage in stages for out in stage["outs"]):
        if out["md5"].endswith(".dir"):
            listing = root / ".dvc/cache/files/md5" / out["md5"][:2] / out["md5"][2:]
            listing.parent.mkdir(parents=True, exist_ok=True)
            listing.write_text("[]")
    assert not list(preflight.target_problems(root, ["exp", "run", "label"]))


def test_a_path_with_the_programs_of_this_python_keeps_its_order(monkeypatch):
    programs = str(Path(sys.executable).parent)
    for path, expected in (
        (["/first", programs, "/last"], ["/first", programs, "/last"]),
        (["/first", "/last"], [programs, "/first", "/last"]),
    ):
        monkeypatch.setenv("PATH", os.pathsep.join(path))
        preflight.use_this_python()
        assert os.environ["PATH"].split(os.pathsep) == expected


def test_stages_run_without_an_activated_environment(project, dvc):
    status, output = dvc(project.root, "repro", "-f", "-s", "label", path="/usr/bin:/bin")
    assert status == 0, output
    assert "Running stage 'label'" in output


def test_a_python_without_the_packages_is_named():
    command = [sys.executable, "-I", "-S", "-c"]
    code = f"import sys; sys.path.insert(0, {str(REPO)!r}); import runpy; "
    code += "runpy.run_module('stages', run_name='__main__')"
    done = subprocess.run([*command, code], text=True, capture_output=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"error: {sys.executable} lacks the package yaml" in done.stderr


def test_experiments_run_in_a_temporary_folder_below_a_path_with_korean_letters(
    project, dvc, tmp_path
):
    root = tmp_path / "마스크 헌트"
    project.root.rename(root)
    project.root = root
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    project.run("git", "add", "--all")
    project.run("git", *identity, "commit", "--quiet", "--message", "finished")
    for name, value in (("name", "test"), ("email", "test@example.org")):
        project.run("git", "config", f"user.{name}", value)
    status, output = dvc(root, "exp", "run", "--temp", "-S", "label.old_from=52", "label")
    assert status == 0, output
    assert "Ran experiment(s)" in output


def test_other_programs_and_projects_are_left_alone(tmp_path, monkeypatch):
    assert preflight.dvc_arguments(["python", "-m", "dvc", "repro"]) == ["repro"]
    assert preflight.dvc_arguments(["python", "-I", "/venv/bin/dvc", "-v"]) == ["-v"]
    for argv in (["python", "train.py", "dvc"], ["python"], ["python", "-m", "pytest", "dvc"]):
        assert preflight.dvc_arguments(argv) is None
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    assert preflight.check(["repro"]) == []
