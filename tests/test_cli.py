import os
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError

import pytest
from synthetic import REPO

from portrait18 import cli


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--help"], ["usage: portrait18 [-h] [--version] COMMAND", "predict "]),
        (
            ["predict", "--help"],
            ["PHOTO|FOLDER|GLOB", "--bundle", "--draw OUT", "exit status:", "  3  some photos"],
        ),
    ],
)
def test_help_has_short_lines_and_does_not_import_pytorch(capsys, monkeypatch, arguments, parts):
    # Importing a module that is None in sys.modules fails.
    monkeypatch.setitem(sys.modules, "portrait18.deployment.predictor", None)
    monkeypatch.setenv("COLUMNS", "102")
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    out = capsys.readouterr().out
    assert stopped.value.code == 0
    assert all(part in out for part in parts)
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("is_installed", [True, False])
def test_the_version_is_that_of_the_package(capsys, monkeypatch, is_installed):
    def version(name):
        if not is_installed:
            raise PackageNotFoundError(name)
        return {"portrait18": "1.2.3"}[name]

    monkeypatch.setattr(cli, "version", version)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    expected = "1.2.3" if is_installed else "from sources that pip has not installed"
    assert capsys.readouterr().out == f"portrait18 {expected}\n"


def test_a_missing_or_unknown_command_is_a_usage_error(capsys):
    for arguments in ([], ["predit"]):
        with pytest.raises(SystemExit) as stopped:
            cli.main(arguments)
        assert stopped.value.code == 2
    assert "predict" in capsys.readouterr().err


def test_an_interrupt_ends_a_command_without_a_traceback(capsys, monkeypatch):
    def stop(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        cli, "COMMANDS", {"wait": lambda c: c.add_parser("wait").set_defaults(run=stop)}
    )
    assert cli.main(["wait"]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_an_unknown_arithmetic_is_refused_and_not_taken_for_native():
    done = subprocess.run(
        [sys.executable, "-m", "portrait18", "predict", "none.jpg"],
        env={**os.environ, "PYTHONPATH": str(REPO), "PORTRAIT18_ARITHMETIC": "portabel"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (
        1,
        "error: PORTRAIT18_ARITHMETIC = 'portabel' must be portable or native; correct or unset"
        " it\n",
    )


def test_pyproject_installs_the_command():
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"portrait18": "portrait18.cli:main"}
