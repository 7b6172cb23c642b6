"""Imports run one way, and core is plumbing: it computes nothing, so no stage depends on it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import REPO

LIBRARY = REPO / "portrait18"
NUMERICAL = {"cv2", "numpy", "pandas", "scipy", "sklearn", "timm", "torch", "torchvision"}
#: The only module-level imports of numerical packages in core, by file.
ALLOWED_IN_CORE = {"device.py": {"torch"}}
#: Folders from general to particular. A folder imports only from lower layers and from itself.
LAYERS = [
    {"core"},
    {"dataset"},
    {"cropping", "models"},
    {"training", "evaluation"},
    {"visualization", "deployment"},
    {"server", "importers"},
    {"cli"},
]
LAYER = {folder: number for number, folders in enumerate(LAYERS) for folder in folders}


def module_level(tree: ast.Module) -> list[ast.stmt]:
    """Return the statements that run on import, without `if TYPE_CHECKING` blocks."""
    found, todo = [], list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        found.append(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            todo += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    return found


def imported(nodes) -> set[str]:
    """Return the dotted names of the modules that statements import."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide the folder"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def folders_of(names: set[str]) -> set[str]:
    """Return the folders (or top-level modules) of the library among dotted names."""
    return {name.split(".")[1] for name in names if name.startswith("portrait18.")}


def folder_of(path: Path) -> str:
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


SOURCES = [p for p in sorted(LIBRARY.rglob("*.py")) if p.parent != LIBRARY or p.stem == "cli"]
CORE = [path for path in SOURCES if folder_of(path) == "core"]


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_core_imports_no_numerical_package(path):
    names = imported(module_level(ast.parse(path.read_text())))
    numerical = {name.split(".")[0] for name in names} & NUMERICAL
    assert numerical == ALLOWED_IN_CORE.get(path.name, set())


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_core_imports_nothing_of_the_rest_of_the_library(path):
    assert folders_of(imported(ast.walk(ast.parse(path.read_text())))) <= {"core"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_imports_run_from_particular_to_general(path):
    own = folder_of(path)
    for folder in folders_of(imported(ast.walk(ast.parse(path.read_text())))) - {own}:
        assert LAYER[folder] < LAYER[own], f"{own} must not import from {folder}"


def test_importing_core_loads_no_numerical_package():
    modules = [f"portrait18.core.{p.stem}" for p in CORE if p.name not in ALLOWED_IN_CORE]
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert NUMERICAL.isdisjoint(done.stdout.split())
