"""The bundle: a folder that holds a trained ensemble.

    bundle.json                         how photos are cropped and predictions combined: `Manifest`
    <model>-<fold>-<seed>.safetensors   weights of each network, as training wrote them
    <model>-<fold>-<seed>.onnx          each network for other programs, if `export.onnx` is set

`portrait18.deployment.packing` writes it, `portrait18.deployment.predictor` predicts with it.

Two bundles have a fixed place: the user's own, which the pipeline writes, and the starter model,
which comes with this package.
"""

import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from portrait18.core.data_params import CropParams
from portrait18.core.errors import UserError, printable
from portrait18.core.files import file_digest
from portrait18.core.params import PredictParams
from portrait18.core.validation import Section

MANIFEST = "bundle.json"
OWN = Path("models/bundle")
#: What reading a malformed bundle.json raises.
_MALFORMED = (ValueError, LookupError, TypeError, RecursionError)
STARTER = Path(__file__).parents[1] / "starter"


class NetworkEntry(Section):
    """One trained network of the bundle.

    Attributes:
        model: name of its model; the members of a model (folds, seeds) are averaged.
        file: name of its weights.
        sha256: hash of its weights.
        onnx: name of its ONNX file, or None.
        task: mask, gender, age or all.
        image_size: side of its input in pixels.
    """

    model: str
    file: str = Field(pattern=r"^[^/\\]+\.safetensors$")
    sha256: str
    onnx: str | None = Field(pattern=r"^[^/\\]+\.onnx$")
    task: str
    image_size: int


class TrainingSet(Section):
    """What the networks of a bundle were trained on.

    Attributes:
        about: content of train/about.txt, "" without that file.
        people: number of people.
        photos: number of photos.
    """

    about: str
    people: int
    photos: int


class Manifest(Section):
    """Content of bundle.json.

    Attributes:
        format: version of this format.
        classes: task -> its classes, in the order of the probabilities; `all` -> names of the 18.
        crop: how photos are cropped.
        median_box: median x0, y0, x1, y1 of the training faces, as fractions of the photo's size.
        training_set: what the networks were trained on.
        predict: batch size and test-time augmentation.
        networks: the trained networks.
        ensemble: fitted ensemble; see `portrait18.evaluation.ensemble_config.to_json`.
        metrics: content of reports/metrics.json; predictions are averaged over a person's photos
            if `params.group` says so.
        params: crop, group, matrix, pseudo_label, predict, and train: params of each model.
        inputs: file, or `params` for all of the above -> sha256.
        versions: package -> version.
        notes: sentences on license and limits for people who predict, "" for none.
    """

    format: Literal[3]
    classes: dict[str, list[str]]
    crop: CropParams
    median_box: tuple[float, float, float, float]
    training_set: TrainingSet
    predict: PredictParams
    networks: list[NetworkEntry]
    ensemble: dict[str, Any]
    metrics: dict[str, Any]
    params: dict[str, Any]
    inputs: dict[str, str]
    versions: dict[str, str]
    notes: str = ""

    def description(self) -> str:
        """Return sentences for people who predict: training set, validation scores, notes."""
        return f"{self._trained()} {self.notes}".rstrip()

    def _trained(self) -> str:
        data, scores = self.training_set, self.metrics
        text = f"Trained on {data.photos:,} photos of {data.people:,} people"
        text += f": {data.about.rstrip('.')}." if data.about else "."
        if "macro_f1" not in scores:
            return text
        tasks = ", ".join(
            f"{name} {scores[name]['macro_f1']:.2f}"
            for name in ("mask", "gender", "age")
            if name in scores
        )
        tasks = f" ({tasks})" if tasks else ""
        people = f" on {scores['people']:,} validation people" if "people" in scores else ""
        return f"{text} Macro-F1 of the 18 classes{people}: {scores['macro_f1']:.2f}{tasks}."


def choose(named: str | os.PathLike | None = None) -> Path:
    """Return the folder of a named bundle; by default the user's own, else the starter model.

    A folder models/bundle without a bundle is returned too, so that loading it reports the fault.
    """
    if named is not None:
        return Path(named)
    return OWN if OWN.exists() else STARTER


def title(folder: Path) -> str:
    """Return what a person calls a bundle: its folder, or "starter model" with the reason."""
    return f"starter model (no {OWN} here)" if folder == STARTER else printable(str(folder))


def describe(folder: Path) -> str:
    """Return the description of a bundle, "" if there is none or it can't be read."""
    try:
        return Manifest.model_validate(json.loads((folder / MANIFEST).read_text())).description()
    except (OSError, *_MALFORMED):
        return ""


def read_manifest(folder: Path) -> Manifest:
    """Read bundle.json and check that the networks it names are there, with the right hashes.

    Raises:
        UserError: no bundle there, corrupt, incomplete, or written in another format.
    """
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate(json.loads(path.read_text()))
        manifest.description()  # of metrics, which have no model of their own
    except FileNotFoundError:
        raise UserError(
            f"{folder} has no {MANIFEST}; name the folder of a bundle, or make one with"
            " dvc repro export"
        ) from None
    except NotADirectoryError:
        raise UserError(f"{folder} is a file; name the folder of a bundle, not a file") from None
    except _MALFORMED as error:
        raise corrupt(folder, error) from None
    problems = []
    for entry in manifest.networks:
        weights = folder / entry.file
        if not weights.exists():
            problems.append(f"{weights} is missing; copy the whole folder, or run dvc repro export")
        elif file_digest(weights) != entry.sha256:
            problems.append(
                f"{weights} is not the file that {MANIFEST} names; copy the whole folder again,"
                " or run dvc repro export"
            )
    if problems:
        raise UserError(problems)
    return manifest


def corrupt(folder: Path, error: Exception) -> UserError:
    """Return the error for a bundle.json that can't be used."""
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return UserError(
        f"{folder / MANIFEST} is corrupt or of another version ({reason}); run dvc repro export"
    )
