"""Small synthetic data sets in the competition's layout, and params.yaml with changes."""

import io
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

REPO = Path(__file__).resolve().parents[1]
MASK_STATES = ("normal", "incorrect_mask", "mask1", "mask2", "mask3", "mask4", "mask5")
PEOPLE = tuple(
    f"{i:06d}_{gender}_Asian_{age}"
    for i, (gender, age) in enumerate(
        [(g, a) for g in ("male", "female") for a in (22, 45, 60)] * 2, start=1
    )
)
EVAL_PHOTOS = ("b.jpg", "a.jpg", "000001.jpg", "NA.jpg")

#: One network for each task and another for age, fine-tuned on one split. Most tests need these
#: rather than the defaults of params.yaml.
FINETUNED = {
    "split.folds": 1,
    "crop.image_size": 128,
    "crop.align": "eyes",
    "features.backbones": [],
    "features.image_size": 128,
    "matrix.models": ["mask", "gender", "age-class", "age-value"],
    "matrix.frozen": [],
    "matrix.folds": [0],
    "ensemble.decision": "offsets",
}


def photo_bytes(seed: int = 0, width: int = 48, height: int = 64, kind: str = "JPEG") -> bytes:
    """A photo of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def write_train_csv(root: Path, people) -> None:
    rows = [",".join([*name.split("_"), name]) for name in people]
    (root / "train/train.csv").write_text("\n".join(["id,gender,race,age,path", *rows]) + "\n")


def write_info_csv(root: Path, names) -> None:
    (root / "eval/info.csv").write_text(
        "\n".join(["ImageID,ans", *(f"{name},0" for name in names)]) + "\n"
    )


def make_dataset(root: Path, people=PEOPLE, eval_photos=EVAL_PHOTOS) -> Path:
    """Write a data set of people (folder names) and evaluation photos (file names) to `root`."""
    seed = 0
    for name in people:
        folder = root / "train/images" / name
        folder.mkdir(parents=True)
        for state in MASK_STATES:
            (folder / f"{state}.jpg").write_bytes(photo_bytes(seed := seed + 1))
    (root / "eval/images").mkdir(parents=True)
    for name in eval_photos:
        (root / "eval/images" / name).write_bytes(photo_bytes(seed := seed + 1))
    write_train_csv(root, people)
    write_info_csv(root, eval_photos)
    return root


def write_params(path: Path, changes: dict | None = None) -> Path:
    """Copy the repository's params.yaml with FINETUNED and changes: {"check.problems": "skip"}."""
    raw = yaml.safe_load((REPO / "params.yaml").read_text())
    for dotted, value in [*FINETUNED.items(), *(changes or {}).items()]:
        *sections, key = dotted.split(".")
        section = raw
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = value
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    return path
