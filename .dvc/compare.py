"""Compare the outputs in dvc.lock with the committed dvc.lock: the last lines of `make demo`."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

sys.path.insert(0, os.getcwd())
from portrait18.core import arithmetic


def outputs(lock: str) -> dict[str, str]:
    """Return path -> hash of all outputs in the text of a dvc.lock."""
    stages = (yaml.safe_load(lock) or {}).get("stages", {})
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def changed_inputs(committed: str, current: str) -> list[str]:
    """Return the inputs of the pipeline and the params that differ between two locks."""
    found = []
    for text in (committed, current):
        stages = (yaml.safe_load(text) or {}).get("stages", {})
        inputs: dict = {}
        for stage in stages.values():
            inputs |= {dep["path"]: dep["md5"] for dep in stage.get("deps", [])}
            inputs |= stage.get("params", {}).get("params.yaml", {})
        found.append(inputs)
    made = outputs(current).keys() | outputs(committed).keys()
    is_made = re.compile("|".join(f"{re.escape(path)}(/|$)" for path in made) or "$^").match
    parents = {str(parent) for path in made for parent in Path(path).parents}
    return sorted(
        name
        for name in found[0].keys() & found[1].keys()
        if found[0][name] != found[1][name] and not is_made(name) and name not in parents
    )


def other_pins(requirements: str) -> list[str]:
    """Return installed packages whose versions differ from requirements.txt."""
    found = []
    for name, version in re.findall(r"^([\w.\[\]-]+)==([^\s;]+)", requirements, re.MULTILINE):
        try:
            installed = importlib.metadata.version(name.partition("[")[0])
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform
        if installed.partition("+")[0] != version.partition("+")[0]:
            found.append(f"{name} {installed}, pinned {version}")
    return found


def reason(committed: str, current: str) -> str:
    """Return the likely reason why outputs differ."""
    if inputs := changed_inputs(committed, current):
        return f"these inputs or params differ from the committed ones: {', '.join(inputs)}"
    if why := arithmetic.unsupported():
        return why
    compute = yaml.safe_load(Path("params.yaml").read_text())["compute"]
    if compute["arithmetic"] == "native":
        return "compute.arithmetic is native: results depend on the CPU; portable makes them equal"
    if pins := other_pins(Path("requirements.txt").read_text()):
        return f"other versions are installed: {'; '.join(pins)}; run make clean, then make demo"
    return "a GPU or another C library computes differently; see docs/reproducibility.md"


def main() -> None:
    """Print whether all outputs are identical, or which ones differ and why."""
    command = ["git", "show", "HEAD:./dvc.lock"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        done = None
    if done is None or done.returncode:
        print("git has no committed dvc.lock here to compare the outputs with")
        return
    current = Path("dvc.lock").read_text()
    before, after = outputs(done.stdout), outputs(current)
    paths = before.keys() | after.keys()
    different = sorted(path for path in paths if before.get(path) != after.get(path))
    if not different:
        print(f"all {len(after)} outputs are identical to the committed dvc.lock")
        return
    shown = ", ".join(different[:5]) + (", ..." if len(different) > 5 else "")
    print(f"{len(different)} of {len(paths)} outputs differ from the committed dvc.lock: {shown}")
    print(f"likely reason: {reason(done.stdout, current)}")


if __name__ == "__main__":
    main()
