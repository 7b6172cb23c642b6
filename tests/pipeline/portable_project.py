"""Projects of a few people whose stages run natively and on an emulated CPU."""

import shutil
from pathlib import Path

import emulation
import yaml
from small_params import SMALL
from synthetic import REPO

from recipes.values import merge

PREPARED = "check;label;split;crop train"
PEOPLE, EVAL_PHOTOS = 10, 2
#: Crops by YuNet and five points: MTCNN takes 3 s a photo under emulation and has its own test.
PARAMS = merge(
    SMALL,
    {
        "crop": {"method": "yunet", "align": "five_points"},
        "matrix": {"models": ["all", "age-value"], "frozen": ["gender"]},
        "features": {
            "backbones": ["tf_efficientnet_lite0"],
            "image_size": 32,
            "views": [{}, {"flip": True}],
        },
        "pseudo_label": {"models": ["all"], "confidence": 0.1},
        "train": {
            "common": {"sampling": {"balance": 0.0, "per_person": 2}},
            "age-value": {"optimizer": "adamp"},
            "gender": {
                "backbone": "tf_efficientnet_lite0",
                "weights": "bundled",
                "head": {"name": "ridge", "gamma": 0.4, "penalty": 0.5},
            },
        },
        "group": {"by": "near_duplicate"},
        "ensemble": {"vote": "stacking"},
        "export": {"onnx": True},
    },
)


def make_folder(root: Path, params: dict, people: int = PEOPLE) -> Path:
    """Copy the sources, params with changes, and a few people of the demo."""
    for name in ("portrait18", "stages"):
        shutil.copytree(REPO / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("data/extra", "data/demo"):
        (root / name).mkdir(parents=True)
    shutil.copytree(REPO / "data/extra", root / "data/extra", dirs_exist_ok=True)
    shutil.copy(REPO / "dvc.yaml", root)
    shutil.copy(REPO / "data/label_fixes.csv", root / "data")
    base = yaml.safe_load((REPO / "params.yaml").read_text())
    (root / "params.yaml").write_text(yaml.safe_dump(merge(base, params), sort_keys=False))
    demo = REPO / "data/demo"
    for part, table, count in (
        ("train", "train.csv", people),
        ("eval", "info.csv", EVAL_PHOTOS),
    ):
        (root / f"data/demo/{part}/images").mkdir(parents=True)
        lines = (demo / part / table).read_text().splitlines()[: count + 1]
        (root / f"data/demo/{part}" / table).write_text("\n".join(lines) + "\n")
        for line in lines[1:]:
            name = line.split(",")[-1 if part == "train" else 0]
            source, target = (base / f"{part}/images" / name for base in (demo, root / "data/demo"))
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return root


def both(
    tmp_path: Path, cpu: str, params: dict, groups: list[str], *flags: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the hashes of a native and of an emulated run."""
    native, emulated = (
        emulation.run_stages(make_folder(tmp_path / str(name), params), name, groups, *flags)
        for name in (None, cpu)
    )
    return native, emulated
