"""dvc.yaml names, for each stage, exactly the project's modules that its code imports and the params that it reads."""

import ast
from pathlib import Path

import pytest
import yaml

from portrait18.core.params import SECTIONS

ROOT = Path(__file__).resolve().parents[2]
STAGES = {
    name: stage.get("do", stage)
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items()
}


def imported(path: Path) -> set[Path]:
    """The project's modules that a file imports, those that they import included."""
    found = {ROOT / "portrait18/__init__.py"}
    todo = [path, path.with_name("__init__.py")]
    while todo:
        file = todo.pop()
        if file in found:
            continue
        found.add(file)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{a.name}" for a in node.names] + [node.module]
            elif isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            else:
                continue
            paths = [ROOT / (name.replace(".", "/") + ".py") for name in names]
            paths += [path.with_name("__init__.py") for path in paths]  # of a module's room
            todo += [p for p in paths if p.is_relative_to(ROOT) and p.exists()]
    return {p.relative_to(ROOT) for p in found}


def module(name: str) -> Path:
    """The file that a stage runs; both rounds run the same."""
    return ROOT / f"stages/{STAGES[name]['cmd'].split()[2].removeprefix('stages.')}.py"


@pytest.mark.parametrize("name", STAGES)
def test_code_deps_are_what_the_stage_imports(name):
    wanted = {str(p) for p in imported(module(name))}
    listed = {d for d in STAGES[name]["deps"] if d.endswith(".py")}
    assert listed == wanted, (
        f"dvc.yaml, stage {name}: add {sorted(wanted - listed)}, remove {sorted(listed - wanted)}"
    )


@pytest.mark.parametrize("name", STAGES)
def test_params_are_what_the_stage_reads(name):
    attributes = [
        n for n in ast.walk(ast.parse(module(name).read_text())) if isinstance(n, ast.Attribute)
    ]
    of_params = [
        n for n in attributes if isinstance(n.value, ast.Call) or getattr(n.value, "id", "") == "p"
    ]
    read = {n.attr for n in of_params if n.attr in SECTIONS}
    listed = set(STAGES[name].get("params", []))
    if module(name).stem in ("train", "pseudo"):
        assert {"train.common", "train.${item.model}"} <= listed
        listed -= {"train.common", "train.${item.model}"}
    assert read == listed, f"dvc.yaml, stage {name}: reads {read}, lists {listed}"


def test_no_stage_imports_another_and_the_library_knows_no_dvc():
    for path in (ROOT / "stages").glob("*.py"):
        assert not [
            m
            for m in imported(path)
            if m.parts[0] == "stages" and m.name not in (path.name, "__init__.py")
        ], path
    for path in (ROOT / "portrait18").rglob("*.py"):
        modules = {
            n.module or ""
            for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, ast.ImportFrom)
        }
        modules |= {
            a.name
            for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, ast.Import)
            for a in n.names
        }
        assert not [m for m in modules if m.split(".")[0] in ("dvc", "dvclive", "stages")], path
