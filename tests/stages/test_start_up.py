"""What the stages and the command line import: packages that take seconds, only where they work."""

import subprocess
import sys

import pytest
from synthetic import REPO

#: Packages whose import takes 0.3 to 3 seconds.
PLOTS = {"matplotlib"}
STATISTICS = {"scipy", "sklearn", "cleanlab"}
TRAINING = {"timm", "albumentations", "torch._dynamo", "torch._inductor"}
REST = {"torchvision", "facenet_pytorch", "pytorch_grad_cam", "onnx", "requests", "tabulate"}
NETWORKS = {"torch"} | TRAINING | REST
#: Stages of the same kind, with the packages that they must not import.
STAGES = {
    "tables": (
        ["check", "split", "group", "pseudo_label", "ensemble", "submit", "score", "prune"],
        NETWORKS | STATISTICS | PLOTS,
    ),
    "pages": (["crop_report", "report"], NETWORKS | STATISTICS | PLOTS),
    "plots": (["label", "evaluate"], NETWORKS | STATISTICS),
    "audit": (["audit"], NETWORKS | PLOTS),
    "networks": (
        ["crop", "features", "fit", "predict", "export"],
        TRAINING | REST | STATISTICS | PLOTS,
    ),
    "training": (["train"], {"sklearn", "facenet_pytorch", "pytorch_grad_cam"} | PLOTS),
    "explain": (["explain"], {"timm", "albumentations", "facenet_pytorch", "cleanlab"}),
}


def imported(code: str) -> set[str]:
    """Return the modules that a program has imported at its end."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('modules', *sys.modules)"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("kind", STAGES)
def test_stages_import_only_what_they_use(kind):
    names, unused = STAGES[kind]
    found = imported("\n".join(f"import stages.{name}" for name in ["__main__", *names]))
    assert {f"stages.{name}" for name in names} <= found
    assert found & unused == set()


def test_every_stage_is_in_the_table():
    stages = {path.stem for path in (REPO / "stages").glob("[!_]*.py")}
    assert stages == {name for names, _ in STAGES.values() for name in names}


def test_a_prediction_imports_neither_timm_nor_torchvision():
    photo = next((REPO / "data/demo/eval/images").glob("*.jpg"))
    arguments = ["predict", "--bundle", "portrait18/starter", str(photo)]
    found = imported(f"from portrait18 import cli\nassert cli.main({arguments!r}) == 0")
    assert "portrait18.cropping.mtcnn" in found
    assert found & (TRAINING | REST | STATISTICS | PLOTS | {"pydantic_settings"}) == set()
