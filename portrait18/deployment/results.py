"""Typed results of a prediction: one `PhotoPrediction` per photo, one `FacePrediction` per face."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from portrait18.cropping.faces import Face
from portrait18.dataset.classes import CLASS_NAMES, NUM_CLASSES, TASKS, decode
from portrait18.dataset.photos import DecodedPhoto


class Detection(NamedTuple):
    """One face of a photo, before classification.

    Attributes:
        face: box in pixels of the upright photo, tilt in degrees and score.
        found: how the box was found; see `FacePrediction.found`.
        crop: what the networks see, uint8 (S, S, 3), RGB.
    """

    face: Face
    found: str
    crop: np.ndarray


@dataclass(frozen=True)
class CropPredictions:
    """Predictions for N crops.

    Attributes:
        mask: probabilities of worn, incorrect, none, float (N, 3).
        gender: probabilities of male, female, float (N, 2).
        age: probabilities of young, middle, old, float (N, 3).
        joint: probabilities of the 18 classes, float (N, 18).
        years: expected age, float (N,), or None if no model of the ensemble predicts years.
        class_ids: predicted class, int (N,), 0 to 17. It is not always the most probable one:
            offsets and thresholds move it, see `portrait18.evaluation.decisions`.
    """

    mask: np.ndarray
    gender: np.ndarray
    age: np.ndarray
    joint: np.ndarray
    years: np.ndarray | None
    class_ids: np.ndarray

    @classmethod
    def empty(cls) -> "CropPredictions":
        """Return predictions for no crops."""
        parts = {name: np.zeros((0, len(task.classes))) for name, task in TASKS.items()}
        joint = np.zeros((0, NUM_CLASSES))
        return cls(**parts, joint=joint, years=None, class_ids=np.zeros(0, np.int64))


@dataclass(frozen=True)
class TaskPrediction:
    """Prediction for one task.

    Attributes:
        label: predicted class, which is not always the most probable one.
        probabilities: class -> probability, 0 to 1.
    """

    label: str
    probabilities: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction for JSON, with probabilities rounded to 6 digits."""
        return {
            "label": self.label,
            "probabilities": {name: round(p, 6) for name, p in self.probabilities.items()},
        }


@dataclass(frozen=True)
class FacePrediction:
    """Prediction for one face.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the upright photo.
        score: confidence of the face detector, 0 to 1.
        found: how the box was found. `mtcnn`: at the detector's usual thresholds. `retry`: at lower
            thresholds, as masks often need. `yunet`: by YuNet. `rotated`: after the photo was
            turned upright; the box is the one before that. `median`: no face was found, the box is
            where faces lie in the training photos. `center`: the bundle uses the middle square of
            every photo.
        mask: worn, incorrect or none.
        gender: male or female.
        age_group: young (under 30), middle (30 to 59) or old (60 and over).
        years: expected age in years, or None if no model of the bundle predicts years.
        class_id: `6 * mask + 3 * gender + age_group`, 0 to 17.
        class_name: the class in words, such as `worn male <30`.
        probabilities: probability of each of the 18 classes, in the order of their ids.
    """

    box: tuple[float, float, float, float]
    score: float
    found: str
    mask: TaskPrediction
    gender: TaskPrediction
    age_group: TaskPrediction
    years: float | None
    class_id: int
    class_name: str
    probabilities: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction for JSON, as the command line and the server write it.

        Probabilities are rounded to 6 digits, years to 2.
        """
        return {
            "box": list(self.box),
            "score": self.score,
            "found": self.found,
            "class": self.class_id,
            "name": self.class_name,
            "mask": self.mask.to_dict(),
            "gender": self.gender.to_dict(),
            "age": self.age_group.to_dict(),
            "years": None if self.years is None else round(self.years, 2),
        }


@dataclass(frozen=True)
class PhotoPrediction:
    """Predictions for one photo.

    Attributes:
        width: pixels of the upright photo.
        height: pixels of the upright photo.
        faces: the largest first; empty if no face was found.
        warning: what is damaged in the file although its pixels are intact; "" if nothing is.
    """

    width: int
    height: int
    faces: list[FacePrediction]
    warning: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction for JSON; see `FacePrediction.to_dict`."""
        faces = [face.to_dict() for face in self.faces]
        size = {"width": self.width, "height": self.height}
        return {**size, "faces": faces, "warning": self.warning}


def face_prediction(detection: Detection, predictions: CropPredictions, row: int) -> FacePrediction:
    """Return the prediction for one face.

    Args:
        detection: the face.
        predictions: predictions for several crops.
        row: index of the face's crop among them.
    """
    class_id = int(predictions.class_ids[row])
    tasks = {}
    for name, index in decode(class_id).items():
        classes, probabilities = TASKS[name].classes, getattr(predictions, name)[row].tolist()
        tasks[name] = TaskPrediction(classes[index], dict(zip(classes, probabilities, strict=True)))
    x0, y0, x1, y1 = detection.face[:4]
    return FacePrediction(
        box=(x0, y0, x1, y1),
        score=detection.face.score,
        found=detection.found,
        mask=tasks["mask"],
        gender=tasks["gender"],
        age_group=tasks["age"],
        years=None if predictions.years is None else float(predictions.years[row]),
        class_id=class_id,
        class_name=CLASS_NAMES[class_id],
        probabilities=tuple(predictions.joint[row].tolist()),
    )


def group_by_photo(
    detections: list[list[Detection]], predictions: CropPredictions
) -> list[list[FacePrediction]]:
    """Return the predictions for each photo's faces.

    Args:
        detections: the faces of each photo.
        predictions: predictions for all their crops, in the same order.
    """
    rows = iter(range(len(predictions.class_ids)))
    return [
        [face_prediction(detection, predictions, next(rows)) for detection in photo]
        for photo in detections
    ]


def photo_prediction(photo: DecodedPhoto, faces: list[FacePrediction]) -> PhotoPrediction:
    """Return the prediction for one photo, with boxes in pixels of the photo in the file.

    Args:
        photo: the photo, maybe decoded at a fraction of its size.
        faces: its faces, with boxes in decoded pixels.
    """
    width, height = photo.size
    scale = width / photo.pixels.shape[1]
    if scale != 1:
        faces = [replace(face, box=scale_box(face.box, scale)) for face in faces]
    return PhotoPrediction(width, height, faces, photo.warning)


def scale_box(
    box: tuple[float, float, float, float], scale: float
) -> tuple[float, float, float, float]:
    """Return a box x0, y0, x1, y1 of a photo that is enlarged by `scale`."""
    x0, y0, x1, y1 = (round(value * scale, 2) for value in box)
    return x0, y0, x1, y1
