"""Commands, params, files and recipes that the documents name exist."""

import contextlib
import importlib.util
import io
import re
import shlex

import pytest
import yaml
from dvc.cli import DvcParserError
from dvc.cli import parser as dvc_parser
from pages import PAGES, blocks, commands, name, spans
from synthetic import REPO

from benchmarks import run
from portrait18 import cli

PARAMS = yaml.safe_load((REPO / "params.yaml").read_text())
MAKEFILE = (REPO / "Makefile").read_text()

every_page = pytest.mark.parametrize("path", PAGES, ids=name)


def has_param(dotted: str) -> bool:
    node = PARAMS
    for key in dotted.split("."):
        if not isinstance(node, dict) or key not in node:
            return False
        node = node[key]
    return True


@every_page
def test_make_targets_exist(path):
    named = {
        word for line in commands(path) for word in re.findall(r"^(?:\S+=\S+ )?make ([\w-]+)", line)
    }
    assert named <= set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))


def test_each_make_target_is_described_at_the_top_of_the_makefile():
    (phony,) = re.findall(r"^\.PHONY:((?:.*\\\n)*.*)", MAKEFILE, re.MULTILINE)
    described = re.findall(r"^# make ([\w-]+)", MAKEFILE, re.MULTILINE)
    assert set(described) == set(phony.replace("\\", "").split()) - {"screenshot"}


@every_page
def test_modules_that_are_run_exist(path):
    for module in re.findall(r"python -m ([\w.]+)", path.read_text()):
        assert importlib.util.find_spec(module), module


def is_dvc_command(words: list[str]) -> bool:
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            dvc_parser.get_main_parser().parse_args(words)
        except (SystemExit, DvcParserError):
            return False
    return True


@every_page
def test_dvc_commands_and_their_options_exist(path):
    for line in commands(path):
        if re.match(r"dvc [a-z]", line) and "..." not in line:
            words = shlex.split(line)[1:]
            # Prose names commands without their argument: `dvc add`.
            assert is_dvc_command(words) or is_dvc_command([*words, "ARGUMENT"]), line


def help_text(command: str, capsys) -> str:
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    return capsys.readouterr().out


@every_page
def test_options_of_portrait18_exist(path, capsys):
    for line in commands(path):
        if match := re.match(r"portrait18 (\w+) ", line):
            text = help_text(match[1], capsys)
            assert all(option in text for option in re.findall(r"--[a-z-]+", line)), line


def test_options_named_on_the_serving_page_exist(capsys):
    text = help_text("predict", capsys) + help_text("serve", capsys)
    page = (REPO / "docs/serving.md").read_text()
    options = {span.split()[0] for span in re.findall(r"`(--[^`]+)`", page)}
    options |= set(re.findall(r"--[a-z-]+", " ".join(re.findall(r'ARGS="([^"]*)"', page))))
    assert len(options) > 8
    assert {option for option in options if option not in text} == set()


@every_page
def test_benchmark_rows_exist(path):
    known = {row.name for row in run.ROWS}
    for arguments in re.findall(r'make benchmarks ARGS="([^"]*)"', path.read_text()):
        assert set(re.findall(r"(?<![\w-])[a-z][\w-]*", arguments)) <= known


@every_page
def test_params_exist(path):
    words = [word for line in commands(path) for word in line.split()]
    set_by_experiment = re.findall(r"-S '?\+*([\w.-]+)=", path.read_text())
    dotted = re.compile(rf"(?:{'|'.join(PARAMS)})(?:\.[\w-]+)+")
    named = [word.rstrip(":") for word in words if dotted.fullmatch(word.rstrip(":"))]
    assert [param for param in {*set_by_experiment, *named} if not is_documented(param)] == []


def is_documented(param: str) -> bool:
    """Return whether params.yaml has the param, for a model possibly in train.common."""
    section, _, rest = param.partition(".")
    own = section == "train" and has_param(f"train.common.{rest.partition('.')[2]}")
    return has_param(param) or own or param in ("params.yaml", "train.csv")


@every_page
def test_values_of_choices_are_accepted(path):
    """`key: value` in prose: the comment of the key in params.yaml names the value."""
    text = (REPO / "params.yaml").read_text()
    for span in spans(path):
        if match := re.fullmatch(r"\w+(?:\.\w+)+: ([a-z_]+)", span):
            assert re.search(rf"\b{match[1]}\b", text), span


@every_page
def test_files_of_the_repository_exist(path):
    folders = "portrait18|stages|tests|recipes|docs|data/demo|benchmarks"
    for span in spans(path):
        if re.fullmatch(rf"(?:{folders})/[\w./-]+", span) and "NAME" not in span:
            assert (REPO / span).exists(), span


@every_page
def test_recipes_exist(path):
    known = {file.stem for file in (REPO / "recipes").glob("*.yaml")}
    named = set(re.findall(r"NAME=([\w-]+)", path.read_text()))
    named |= {s for s in spans(path) if re.fullmatch(r"(?:small|bench|original)(?:-[\w-]+)?", s)}
    assert named <= known


@every_page
def test_outputs_belong_to_a_stage_or_to_make(path):
    stages = (REPO / "dvc.yaml").read_text()
    for span in spans(path):
        if re.fullmatch(r"(?:reports|models|data/ensemble)/[\w./]+", span):
            known = re.search(rf"\b{re.escape(span.rstrip('/'))}\b", stages)
            inside = any(
                re.search(rf"[\[ ]{re.escape(out)}[],\n]", stages) for out in parents(span)
            )
            assert known or inside or (REPO / span).exists(), span


def parents(path: str) -> list[str]:
    parts = path.rstrip("/").split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


@every_page
def test_yaml_examples_use_keys_of_params_and_recipes(path):
    for code in blocks(path, "yaml"):
        keys = set(yaml.safe_load(code))
        assert keys <= set(PARAMS) or keys <= {"about", "base", "set"}
