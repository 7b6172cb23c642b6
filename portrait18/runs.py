"""The trainings that `matrix` asks for, model x fold x seed, and where each keeps its files."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from portrait18.params import MatrixParams

PREDICTIONS, LIVE = Path("data/predictions"), Path("reports/train")
RESUME = Path(".resume")  # what a killed run leaves for the next one


class Run(NamedTuple):
    """One training, e.g. `age-class 0-0`: a model, the fold it holds out, its seed."""

    model: str
    fold: int
    seed: int

    def __str__(self) -> str:
        return f"{self.model} {self.fold}-{self.seed}"

    @property
    def weights(self) -> Path:
        return Path("models") / self.model / f"{self.fold}-{self.seed}.safetensors"

    @property
    def predictions(self) -> Path:
        return PREDICTIONS / self.model / f"{self.fold}-{self.seed}.csv"

    @property
    def live(self) -> Path:
        """Folder of learning curves, written while the training runs."""
        return LIVE / self.model / f"{self.fold}-{self.seed}"

    @property
    def checkpoint(self) -> Path:
        return RESUME / f"{self.model}-{self.fold}-{self.seed}.pt"


def wanted(matrix: MatrixParams) -> dict[str, list[Run]]:
    """Model -> its runs, in the order of the params."""
    return {m: [Run(m, f, s) for f in matrix.folds for s in matrix.seeds] for m in matrix.models}


def forget_others(folder: Path, keep: Iterable[Path]) -> None:
    """Remove what lies two levels under `folder` and is not in `keep`: outs of runs that the matrix no longer names.

    DVC leaves the outs of stages that are gone where they are; in a folder that is a dependency they
    would count as inputs. They stay in DVC's cache: naming the run again brings them back.
    """
    keep = set(keep)
    for path in sorted(folder.glob("*/*")):
        if path not in keep:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            print(f"{path} is no longer in the matrix, removed")
    for model in sorted(folder.glob("*")):
        if model.is_dir() and not any(model.iterdir()):
            model.rmdir()
