import sys
import tomllib

import pytest
from synthetic import REPO

from portrait18 import cli


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--help"], ["usage: portrait18 [-h] COMMAND", "predict "]),
        (
            ["predict", "--help"],
            ["PHOTO|FOLDER|GLOB", "--bundle", "--draw OUT", "exit status:", "  3  some photos"],
        ),
    ],
)
def test_help_reads_well_and_loads_no_pytorch(capsys, monkeypatch, arguments, parts):
    monkeypatch.setitem(
        sys.modules, "portrait18.deployment.predictor", None
    )  # importing it would fail
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    out = capsys.readouterr().out
    assert stopped.value.code == 0
    assert all(part in out for part in parts)
    assert max(map(len, out.splitlines())) <= 120


def test_a_command_is_needed_and_must_be_known(capsys):
    for arguments in ([], ["predit"]):
        with pytest.raises(SystemExit) as stopped:
            cli.main(arguments)
        assert stopped.value.code == 2
    assert "predict" in capsys.readouterr().err


def test_stopping_is_told_without_a_traceback(capsys, monkeypatch):
    def stop(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        cli, "COMMANDS", [lambda commands: commands.add_parser("wait").set_defaults(run=stop)]
    )
    assert cli.main(["wait"]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_the_script_is_the_packages():
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"portrait18": "portrait18.cli:main"}
