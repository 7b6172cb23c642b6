"""The trainings that `matrix` asks for (model x fold x seed) and the files of each."""

import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from portrait18.core.errors import UserError
from portrait18.core.files import temporary_path
from portrait18.core.model_params import ROUND2
from portrait18.core.params import MatrixParams, Params, PseudoLabelParams

PREDICTIONS = Path("data/predictions")
LIVE_METRICS = Path("reports/train")
WEIGHTS = Path("models/trained")
FEATURES = Path("data/features")
LOCK = Path("dvc.lock")
RESUME = Path(".resume")  # progress of killed runs; a later stage removes it


class Run(NamedTuple):
    """One training, e.g. `age-class 0-0`.

    Attributes:
        model: key of a model in the `train` section.
        fold: fold of the validation people.
        seed: seed of all random draws.
        round: 1, or 2 for a training that also uses pseudo-labels.
    """

    model: str
    fold: int
    seed: int
    round: int = 1

    @classmethod
    def parse(cls, model: str, fold: str, seed: str, round: str = "1") -> "Run":
        """Return the run that a stage's command-line arguments name.

        Raises:
            UserError: a fold or seed that is no natural number, or another round than 1 and 2.
        """
        for name, text in (("fold", fold), ("seed", seed)):
            if not re.fullmatch("[0-9]{1,19}", text):
                raise UserError(f"{name} {text!r} must be a whole number, 0 or more; correct it")
        if round not in ("1", "2"):
            raise UserError(f"round {round!r} must be 1 or 2; correct it")
        return cls(model, int(fold), int(seed), int(round))

    @property
    def name(self) -> str:
        """Name of the model in this round; rounds never share files."""
        return f"{self.model}{ROUND2}" if self.round == 2 else self.model

    def __str__(self) -> str:
        return f"{self.name} {self.fold}-{self.seed}"

    @property
    def weights(self) -> Path:
        """Trained network."""
        return _weights(self.name, self.fold, self.seed)

    @property
    def predictions(self) -> Path:
        """Class probabilities of the validation and evaluation photos."""
        return _predictions(self.model, self.fold, self.seed, self.round)

    @property
    def pseudo_labels(self) -> Path:
        """Labels of the evaluation photos that round 2 trains on."""
        return Path("data/pseudo_labels") / f"{self.model}-{self.fold}.csv"

    @property
    def live(self) -> Path:
        """Folder of learning curves, written during the training."""
        return LIVE_METRICS / self.name / f"{self.fold}-{self.seed}"

    @property
    def checkpoint(self) -> Path:
        """State after the last complete epoch."""
        return RESUME / f"{self.name}-{self.fold}-{self.seed}.pt"

    def journal(self, split: str) -> Path:
        """Progress of the predictions for one crop store, `train` or `eval`."""
        return RESUME / f"predict-{self.name}-{self.fold}-{self.seed}-{split}.jsonl"


def _weights(name: str, fold: int | str, seed: int | str) -> Path:
    return WEIGHTS / name / f"{fold}-{seed}.safetensors"


def _predictions(model: str, fold: int | str, seed: int | str, round: int) -> Path:
    # Round 2 learns from the folder of round 1, so DVC must be able to track the two separately.
    return PREDICTIONS / f"round{round}" / model / f"{fold}-{seed}.csv"


def crop_work_dir(split: str) -> Path:
    """Return the folder where a crop stage keeps reusable work of one split, `train` or `eval`."""
    return RESUME / f"crop-{split}"


def features(backbone: str, split: str) -> Path:
    """Return the features of a crop store, `train` or `eval`, from one frozen backbone."""
    return FEATURES / backbone / f"{split}.npy"


def features_work(backbone: str, split: str) -> Path:
    """Return the journal of features that are being computed."""
    return RESUME / f"features-{backbone}-{split}.jsonl"


def model_runs(matrix: MatrixParams, model: str, round: int = 1) -> list[Run]:
    """Return all runs of a model in one round, which one `fit` or `predict` stage handles."""
    return [Run(model, fold, seed, round) for fold in matrix.folds for seed in matrix.seeds]


def runs_by_model(matrix: MatrixParams, pseudo_label: PseudoLabelParams) -> dict[str, list[Run]]:
    """Return the runs of each model by `Run.name`: round 1 in the params' order, then round 2."""
    models = [(m, 1) for m in matrix.all_models] + [(m, 2) for m in pseudo_label.models]
    runs = (model_runs(matrix, *model) for model in models)
    return {group[0].name: group for group in runs}


def people_by_model(p: Params) -> dict[str, str]:
    """Return `people` of each model by `Run.name`."""
    runs = [Run(name, 0, 0, 1) for name in p.matrix.all_models]
    runs += [Run(name, 0, 0, 2) for name in p.pseudo_label.models]
    return {run.name: p.train[run.model].people for run in runs}


def remove_stale_progress(keep: Iterable[Path] = ()) -> None:
    """Remove checkpoints and journals of recorded outputs, except the files in `keep`.

    Progress outlives its run, because a kill may come before DVC has recorded the output in
    dvc.lock, and the next `dvc repro` may run another stage first. (With trainings in parallel,
    another one may renew dvc.lock in between: such a kill costs that one training.)
    """
    outputs = {}
    for path in RESUME.glob("*-*-*.pt"):
        name, fold, seed = path.stem.rsplit("-", 2)
        outputs[path] = _weights(name, fold, seed)
    for path in RESUME.glob("predict-*-*-*-*.jsonl"):
        name, fold, seed, _ = path.stem.removeprefix("predict-").rsplit("-", 3)
        round = 2 if name.endswith(ROUND2) else 1
        outputs[path] = _predictions(name.removesuffix(ROUND2), fold, seed, round)
    for path in RESUME.glob("features-*-*.jsonl"):
        backbone, split = path.stem.removeprefix("features-").rsplit("-", 1)
        outputs[path] = outputs[path.with_suffix(".bin")] = features(backbone, split)
    for path, output in outputs.items():
        if path not in keep and _is_recorded(output):
            path.unlink(missing_ok=True)


def _is_recorded(output: Path) -> bool:
    """Return whether an output exists and does not wait for DVC to record it.

    DVC makes a recorded output read-only if it is a link to the cache, and renews dvc.lock unless
    its content stays the same.
    """
    try:
        status = output.stat()
    except FileNotFoundError:  # another job may remove it at any time
        return False
    is_read_only = not status.st_mode & 0o222
    return is_read_only or not LOCK.exists() or status.st_mtime <= LOCK.stat().st_mtime


def remove_stale_outputs(folder: Path, keep: Iterable[Path]) -> None:
    """Remove everything in `folder` except the files and folders in `keep`.

    DVC leaves the outputs of removed matrix entries in place. In a folder that is a dependency they
    would count as inputs. They stay in DVC's cache: naming the run again restores them.

    Other jobs may run at the same time (`make slurm`): they may remove the same files, and the
    temporary file of a kept path that does not exist yet may be theirs.
    """
    kept = {part for path in keep for part in (path, *path.parents)}
    leaves = kept - {parent for path in kept for parent in path.parents}
    leaves |= {temporary_path(path) for path in leaves if not path.exists()}
    for path in sorted(folder.glob("*")):
        if path in leaves:
            continue
        if path in kept:
            remove_stale_outputs(path, leaves)
        else:
            with suppress(FileNotFoundError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            print(f"removed {path}: the params no longer name it")
