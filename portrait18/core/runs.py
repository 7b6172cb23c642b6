"""The trainings that `matrix` asks for, model x fold x seed, and where each keeps its files."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from portrait18.core.params import MatrixParams, SecondParams

PREDICTIONS, LIVE = Path("data/predictions"), Path("reports/train")
FIRST = PREDICTIONS / "first"
WEIGHTS = Path("models/trained")
RESUME = Path(".resume")  # what a killed run leaves for the next one; a later stage clears it away


class Run(NamedTuple):
    """One training, e.g. `age-class 0-0`: a model, the fold it holds out, its seed, and which round it is of."""

    model: str
    fold: int
    seed: int
    second: bool = False

    @classmethod
    def parse(cls, model: str, fold: str, seed: str, round: str = "first") -> "Run":
        """Of the words of a stage's command line."""
        return cls(model, int(fold), int(seed), {"first": False, "second": True}[round])

    @property
    def pseudo_labels(self) -> Path:
        """Labels of the photos to label that a second round is trained on."""
        return Path("data/pseudo") / f"{self.model}-{self.fold}.csv"

    @property
    def name(self) -> str:
        """Of the model, the second round's told from the first's."""
        return f"{self.model}-second" if self.second else self.model

    def __str__(self) -> str:
        return f"{self.name} {self.fold}-{self.seed}"

    @property
    def weights(self) -> Path:
        return _weights(self.name, self.fold, self.seed)

    @property
    def predictions(self) -> Path:
        return _predictions(self.model, self.fold, self.seed, self.second)

    @property
    def live(self) -> Path:
        """Folder of learning curves, written while the training runs."""
        return LIVE / self.name / f"{self.fold}-{self.seed}"

    @property
    def checkpoint(self) -> Path:
        return RESUME / f"{self.name}-{self.fold}-{self.seed}.pt"

    def journal(self, which: str) -> Path:
        """Of the predictions for one set of crops, while they are made."""
        return RESUME / f"predict-{self.name}-{self.fold}-{self.seed}-{which}.jsonl"


def forget_finished(keep: Iterable[Path] = ()) -> None:
    """Remove what trainings and predictions would go on from, where what they made is there; not the files of `keep`.

    They outlive their work, which a kill before DVC has taken over what it made would cost; that another
    stage begins means that it has. (Of trainings side by side it need not: such a kill costs that one.)
    """
    made = {}
    for path in RESUME.glob("*-*-*.pt"):
        name, fold, seed = path.stem.rsplit("-", 2)
        made[path] = _weights(name, fold, seed)
    for path in RESUME.glob("predict-*-*-*-*.jsonl"):
        name, fold, seed, _ = path.stem.removeprefix("predict-").rsplit("-", 3)
        made[path] = _predictions(name.removesuffix("-second"), fold, seed, name.endswith("-second"))
    for path, out in made.items():
        if path not in keep and out.exists():
            path.unlink(missing_ok=True)


def _weights(name: str, fold: int | str, seed: int | str) -> Path:
    return WEIGHTS / name / f"{fold}-{seed}.safetensors"


def _predictions(model: str, fold: int | str, seed: int | str, second: bool) -> Path:
    # The second round learns from the first's: DVC must be able to tell the folders apart.
    return (PREDICTIONS / "second" if second else FIRST) / model / f"{fold}-{seed}.csv"


def crop_work(name: str) -> Path:
    """Folder of what a crop stage leaves for the next one: of the set `train` or `eval`."""
    return RESUME / f"crop-{name}"


def wanted(matrix: MatrixParams, second: SecondParams) -> dict[str, list[Run]]:
    """Name of a model -> its runs, in the order of the params, the second round behind the first."""
    of_round = [(m, False) for m in matrix.models] + [(m, True) for m in second.models]
    runs = ([Run(m, f, s, again) for f in matrix.folds for s in matrix.seeds] for m, again in of_round)
    return {of_model[0].name: of_model for of_model in runs}


def forget_others(folder: Path, keep: Iterable[Path]) -> None:
    """Remove from `folder` all but what is named in `keep`, files or whole folders: outs that the params no longer name.

    DVC leaves the outs of stages that are gone where they are; in a folder that is a dependency they
    would count as inputs. They stay in DVC's cache: naming the run again brings them back.
    """
    kept = {part for path in keep for part in (path, *path.parents)}
    wanted = kept - {parent for path in kept for parent in path.parents}
    for path in sorted(folder.glob("*")):
        if path in wanted:
            continue
        if path in kept:
            forget_others(path, wanted)
        else:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            print(f"{path} is no longer in the params, removed")
