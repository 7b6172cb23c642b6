"""dvc.yaml lists the folders that each stage's code imports and the params that it reads."""

import ast
from pathlib import Path

import pytest
import yaml
from synthetic import REPO

from portrait18.core.params import Params

STAGES = {
    name: stage.get("do", stage)
    for name, stage in yaml.safe_load((REPO / "dvc.yaml").read_text())["stages"].items()
}
CORE = Path("portrait18/core")  # plumbing, on purpose not a dependency of any stage
#: Stages that only read, count or copy; all others list `compute`, which stages/__main__.py reads.
WITHOUT_ARITHMETIC = {"check", "label", "crop_report", "submit", "report"}
LIMIT = 5  # code dependencies of a stage: folders and its own module


def commands(name: str) -> list[str]:
    cmd = STAGES[name]["cmd"]
    return [cmd] if isinstance(cmd, str) else cmd


def module(name: str) -> Path:
    """Return the stage module that the last command runs; both rounds run the same one."""
    words = commands(name)[-1].split()
    return Path("stages") / f"{words[words.index('stages') + 1]}.py"


def imported_modules(path: Path) -> set[Path]:
    """Return the project's modules that a file imports, directly or not, and itself."""
    found: set[Path] = set()
    todo = [path]
    while todo:
        file = todo.pop()
        if file in found:
            continue
        found.add(file)
        for node in ast.walk(ast.parse((REPO / file).read_text())):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names] + [
                    node.module or ""
                ]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            paths = [Path(name.replace(".", "/")).with_suffix(".py") for name in names if name]
            todo += [
                p for p in paths if p.parts[0] in ("portrait18", "stages") and (REPO / p).exists()
            ]
    return found


def code_dependencies(path: Path) -> set[str]:
    """Return what dvc.yaml must list for a stage module: folders of the library, and the module."""
    modules = imported_modules(path)
    library = {m for m in modules if m.parts[0] == "portrait18" and CORE not in m.parents}
    return {str(m.parent) for m in library} | {str(path)}


@pytest.mark.parametrize("name", STAGES)
def test_code_dependencies_match_the_imports(name):
    wanted = code_dependencies(module(name))
    listed = {dep for dep in STAGES[name]["deps"] if dep.startswith(("portrait18", "stages"))}
    missing, surplus = sorted(wanted - listed), sorted(listed - wanted)
    assert listed == wanted, f"dvc.yaml, stage {name}: add {missing}, remove {surplus}"
    assert len(listed) <= LIMIT


@pytest.mark.parametrize("name", STAGES)
def test_params_match_the_sections_that_the_stage_reads(name):
    tree = ast.parse((REPO / module(name)).read_text())
    sources = ("p", "params.load()")
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    read = {a.attr for a in attributes if ast.unparse(a.value) in sources}
    read &= set(Params.model_fields)
    # A stage may list the keys of a section that it reads, such as matrix.folds.
    whole = {"train.common", "train.${item.model}"}
    params = STAGES[name].get("params", [])
    listed = {key if key in whole else key.partition(".")[0] for key in params}
    assert ("compute" in listed) == (name not in WITHOUT_ARITHMETIC)
    listed -= {"compute"}
    if module(name).stem in ("train", "pseudo_label", "fit"):
        assert listed >= whole  # the only part of `train` that it may read
        listed -= whole
        read.discard("train")
    assert read == listed, f"dvc.yaml, stage {name}: reads {read}, lists {listed}"


def test_every_stage_module_is_run_by_the_pipeline():
    run = {
        words.split()[words.split().index("stages") + 1] for n in STAGES for words in commands(n)
    }
    assert run == {path.stem for path in (REPO / "stages").glob("[!_]*.py")}


def test_stages_do_not_import_each_other_and_the_library_does_not_import_dvc():
    for path in (REPO / "stages").glob("[!_]*.py"):
        others = {m for m in imported_modules(path.relative_to(REPO)) if m.parts[0] == "stages"}
        assert others <= {path.relative_to(REPO), Path("stages/_fingerprint.py")}, path
    for path in (REPO / "portrait18").rglob("*.py"):
        tree = ast.parse(path.read_text())
        modules = {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        modules |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert not {m.split(".")[0] for m in modules} & {"dvc", "dvclive", "stages"}, path


def test_a_newcomer_can_read_the_pipeline_file():
    lines = (REPO / "dvc.yaml").read_text().splitlines()
    assert len(lines) < 400
    assert max(map(len, lines)) <= 100
