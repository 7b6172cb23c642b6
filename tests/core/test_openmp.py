import os
import subprocess
import sys

import pytest
from synthetic import REPO

from portrait18.core import openmp

SHOW = """
import os, sys, types

def show(*_):
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    print(*[os.environ.get(name) for name in names], "torch" in sys.modules)
    return 0
"""
COMMAND = """
from portrait18 import cli

cli.COMMANDS = {"show": lambda commands: commands.add_parser("show").set_defaults(run=show)}
cli.main(["show"])
"""
STAGE = """
from stages import __main__ as stages

stages.names = lambda: ["show"]
stages._provenance = types.SimpleNamespace(
    start=lambda name: None, verify=lambda snapshot: None, UNREADABLE=Exception
)
sys.modules["stages.show"] = types.SimpleNamespace(main=show)
stages.main(["show"])
"""
IMPORTER = """
from portrait18.importers import __main__ as importers

importers._parser = lambda: sys.exit(show())
importers.main([])
"""


@pytest.mark.parametrize(
    "program", [COMMAND, STAGE, IMPORTER], ids=["command", "stage", "importer"]
)
@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, ["1000", "None", "False"]),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, ["None", "ACTIVE", "False"]),
        ({"GOMP_SPINCOUNT": "7"}, ["7", "None", "False"]),
    ],
    ids=["default", "policy", "count"],
)
def test_programs_shorten_waits_before_pytorch_unless_the_user_chose(program, chosen, expected):
    environment = {k: v for k, v in os.environ.items() if k not in openmp.CHOICES}
    done = subprocess.run(
        [sys.executable, "-c", SHOW + program],
        env={**environment, **chosen, "PYTHONPATH": str(REPO)},
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == expected
