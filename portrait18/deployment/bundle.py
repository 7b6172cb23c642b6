"""A trained ensemble in one folder, and its answers for any photo: what the command line and a server share.

    bundle.json                      how crops are cut, how the networks' answers become one; see `Manifest`
    <model>-<fold>-<seed>.safetensors   each network's weights, as training wrote them
    <model>-<fold>-<seed>.onnx          each network for other programs, where it was asked for

Finding faces and answering for them are two calls, so that the crops of several requests can be answered
together. Both may be called from any thread, but by one at a time.
"""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field, ValidationError

from portrait18.core.errors import UserError
from portrait18.core.files import file_digest
from portrait18.core.params import CropParams, PredictParams
from portrait18.core.validation import Section
from portrait18.cropping import faces
from portrait18.cropping.faces import Face
from portrait18.dataset.classes import ALL, CLASS_NAMES, TASKS, decode, marginals
from portrait18.evaluation import ensemble_config
from portrait18.evaluation.ensemble_config import Votes
from portrait18.models import inference

MANIFEST = "bundle.json"


class Network(Section):
    """One trained network of the bundle."""

    model: str  # members of one model (folds, seeds) are averaged
    file: str = Field(pattern=r"^[^/\\]+\.safetensors$")
    sha256: str
    onnx: str | None
    task: str
    size: int  # pixels it sees


class Manifest(Section):
    """bundle.json."""

    format: Literal[1]
    classes: dict[
        str, list[str]
    ]  # of each task in the order of the probabilities, and `all`: the 18 by number
    crop: CropParams
    median_box: tuple[
        float, float, float, float
    ]  # x0, y0, x1, y1 as shares of the photo, over the photos trained on
    predict: PredictParams
    networks: list[Network]
    choice: dict[str, Any]  # of `portrait18.evaluation.ensemble_config.to_json`
    metrics: dict[
        str, Any
    ]  # on held-out people, averaged over a person's photos where params.group says so
    params: dict[str, Any]  # crop, group, matrix, second, predict, and train: of each model
    made_of: dict[str, str]  # file, or `params`: all of the above -> sha256
    made_by: dict[str, str]  # package -> version


class Found(NamedTuple):
    """One face of a photo."""

    face: Face
    how: str  # as in the crop store: mtcnn | retry | median | center
    crop: np.ndarray  # uint8 (S, S, 3), RGB


class Answers(NamedTuple):
    """Answers to N crops."""

    mask: np.ndarray  # (N, 3) probabilities
    gender: np.ndarray  # (N, 2)
    age: np.ndarray  # (N, 3)
    years: np.ndarray | None  # (N,) expected age, where a model tells one
    number: np.ndarray  # int (N,): the class decided on, 0..17; not always the likeliest, see `portrait18.evaluation.decisions`


class Bundle:
    """A loaded bundle; made by `load`.

    Attributes:
        manifest: what bundle.json says.
        size: side of the crops, pixels.
    """

    def __init__(
        self,
        manifest: Manifest,
        networks: list[inference.Model],
        device: torch.device,
        min_face: float,
    ):
        self.manifest = manifest
        self.size = manifest.crop.image_size
        self._ensemble, self._voters = ensemble_config.from_json(manifest.choice)
        self._networks = networks
        self._detector = faces.Detector(min_face, device)

    def crops(self, photos: list[np.ndarray], whole: bool = False) -> list[list[Found]]:
        """Every face of each photo, the largest first, cut out as the networks were trained to see it.

        At the usual thresholds every face that MTCNN finds counts. Where it finds none, the lower thresholds
        find too much: the most plausible face alone counts, as in the pipeline.

        Args:
            photos: uint8 (H, W, 3), RGB, upright, of any sizes, such as `photos.decode` gives.
            whole: a photo without a face is taken for a portrait: its face lies where most faces of the
                photos trained on lie (`how` is `median`).

        Returns:
            A list for each photo, empty where there is no face. A bundle whose networks were trained on the
            middle squares of photos (`crop.method: center`) takes that of each photo and looks for no faces.
        """
        crop = self.manifest.crop
        if crop.method == "center":
            return [[self._cut(photo, faces.center(photo), "center")] for photo in photos]
        result = []
        for photo, (found, how) in zip(
            photos, faces.find(self._detector, photos, crop.batch_size), strict=True
        ):
            height, width = photo.shape[:2]
            if how == "retry":
                found = [faces.choose(found, width, height)]
            elif not found and whole:
                box = (
                    np.multiply(self.manifest.median_box, (width, height, width, height))
                    .round(2)
                    .tolist()
                )
                found, how = [Face(*box, 0.0, 0.0)], "median"
            found = sorted(found, key=lambda face: (-face.side, face))
            result.append([self._cut(photo, face, how) for face in found])
        return result

    def _cut(self, photo: np.ndarray, face: Face, how: str) -> Found:
        return Found(face, how, faces.cut(photo, face, how, self.manifest.crop))

    def answers(self, crops: np.ndarray) -> Answers:
        """The ensemble's answers to crops, uint8 (N, S, S, 3), RGB, of whichever photos; N may be 0."""
        count, views = len(crops), self.manifest.predict
        if crops.shape[1:] != (self.size, self.size, 3) or crops.dtype != np.uint8:
            raise ValueError(
                f"crops {crops.dtype} {crops.shape} must be uint8 (N, {self.size}, {self.size}, 3)"
            )
        if count == 0:
            empty = {name: np.zeros((0, len(task.classes))) for name, task in TASKS.items()}
            return Answers(**empty, years=None, number=np.zeros(0, np.int64))
        said: dict[str, list[np.ndarray]] = {}
        told: dict[str, list[np.ndarray]] = {}
        for entry, model in zip(self.manifest.networks, self._networks, strict=True):
            probabilities, years = model.predict(crops, np.arange(count), views)
            said.setdefault(entry.model, []).append(probabilities.astype(np.float64))
            if years is not None:
                told.setdefault(entry.model, []).append(years.astype(np.float64))
        of_model = {name: np.mean(members, axis=0) for name, members in said.items()}
        years = (
            np.mean([np.mean(members, axis=0) for members in told.values()], axis=0)
            if told
            else None
        )
        votes = {
            task: Votes(np.stack([_said_to(task, of_model[m]) for m in models]))
            for task, models in self._voters.items()
        }
        parts, number = ensemble_config.by_task(self._ensemble.answer(votes, years))
        return Answers(**parts, years=years, number=number)


def _said_to(task: str, probabilities: np.ndarray) -> np.ndarray:
    """A model's probabilities for a task, out of its 18 where it answers those."""
    if task != ALL.name and probabilities.shape[1] == len(ALL.classes):
        return marginals(probabilities)[task]
    return probabilities


def load(folder: str | Path, device: torch.device, min_face: float | None = None) -> Bundle:
    """Read a bundle; nothing of it is executed.

    Args:
        min_face: smallest face that is looked for, as a share of the photo's shorter side, instead of the
            one that the photos trained on were cropped with.

    Raises:
        UserError: no bundle there, damaged, or of another version.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate(json.loads(path.read_text()))
        ensemble_config.from_json(manifest.choice)
    except FileNotFoundError:
        raise UserError(
            f"{folder} holds no bundle ({MANIFEST}); make one with dvc repro export, or name its folder"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is damaged or of another version ({_first(error)}); run dvc repro export"
        ) from None
    problems = []
    for entry in manifest.networks:
        weights = folder / entry.file
        if not weights.exists():
            problems.append(f"{weights} is missing; copy the whole folder, or run dvc repro export")
        elif file_digest(weights) != entry.sha256:
            problems.append(
                f"{weights} is not the file that {MANIFEST} names; copy the whole folder again, or run dvc repro export"
            )
    if problems:
        raise UserError(problems)
    networks = [inference.load(folder / entry.file, device) for entry in manifest.networks]
    return Bundle(
        manifest, networks, device, manifest.crop.min_face if min_face is None else min_face
    )


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors()[0]
        return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
    return f"{type(error).__name__}: {error}"


def record(found: Found, answers: Answers, row: int) -> dict[str, Any]:
    """One face's answers as JSON has them.

    Args:
        row: which of `answers` is this face's.
    """
    number = int(answers.number[row])
    result: dict[str, Any] = {
        "box": list(found.face[:4]),
        "score": found.face.score,
        "found": found.how,
        "class": number,
        "name": CLASS_NAMES[number],
    }
    for name, index in decode(number).items():
        classes, probabilities = TASKS[name].classes, getattr(answers, name)[row]
        result[name] = {
            "answer": classes[index],
            "probabilities": {
                c: round(float(p), 6) for c, p in zip(classes, probabilities, strict=True)
            },
        }
    result["years"] = None if answers.years is None else round(float(answers.years[row]), 2)
    return result
