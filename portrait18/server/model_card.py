"""The facts of `GET /model`: what the loaded bundle is, taken from its bundle.json."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from portrait18.dataset.classes import TASKS
from portrait18.deployment.bundle import Manifest

#: Below this number of training people a limit is stated. The benchmark of the model card, with
#: 1,199 people, is above; the starter model (264) and the demo (36) are below.
FEW_PEOPLE = 1000
#: A task whose accuracy on validation people is lower is listed as a limit.
LOW_ACCURACY = 0.9
_NOUNS = {"mask": "mask states", "gender": "genders", "age": "age groups"}

TaskName = Literal["all", "mask", "gender", "age"]


class TrainingFacts(BaseModel):
    """What the networks were trained on."""

    about: str = Field(
        description="what the data set says of itself (about.txt); empty without that file",
        examples=["Rendered people, who do not exist."],
    )
    people: int = Field(examples=[36])
    photos: int = Field(examples=[252])


class Score(BaseModel):
    """Scores of one task, 0 to 1; null if the bundle has none."""

    macro_f1: float | None = Field(None, examples=[0.92])
    accuracy: float | None = Field(None, examples=[0.95])
    balanced_accuracy: float | None = Field(None, examples=[0.93])
    recall: dict[str, float] | None = Field(
        None,
        description="share of each class that is predicted right",
        examples=[{"worn": 0.97, "incorrect": 0.81, "none": 1.0}],
    )


class ValidationFacts(BaseModel):
    """Scores on people of the training set, each predicted by networks not trained on them."""

    people: int | None = Field(examples=[36])
    photos: int | None = Field(examples=[252])
    scores: dict[TaskName, Score] = Field(
        description="all: the 18 classes",
        examples=[{"all": {"macro_f1": 0.47, "accuracy": 0.52}}],
    )


class FaceFacts(BaseModel):
    """How faces are found."""

    method: str = Field(examples=["mtcnn"])
    min_face: float = Field(
        description="smallest face, as a share of the photo's shorter side", examples=[0.2]
    )


class NetworkFacts(BaseModel):
    """One network of the ensemble."""

    model: str = Field(examples=["gender-face"])
    task: TaskName = Field(examples=["gender"])
    image_size: int = Field(description="side of its input in pixels", examples=[160])
    sha256: str = Field(description="hash of its weights", examples=[64 * "0"])


class ModelCard(BaseModel):
    """Facts about the loaded bundle, as its bundle.json states them."""

    description: str = Field(
        description="training set, scores and notes in sentences",
        examples=["Trained on 252 photos of 36 people: Rendered people, who do not exist."],
    )
    limits: list[str] = Field(
        description="warnings that follow from the facts",
        examples=[["Trained on few people (36)."]],
    )
    notes: str = Field(description="license and limits, from the bundle", examples=[""])
    training_set: TrainingFacts
    validation: ValidationFacts
    classes: dict[TaskName, list[str]] = Field(
        description="classes of each task, in the order of the probabilities",
        examples=[{task.name: task.classes for task in TASKS.values()}],
    )
    faces: FaceFacts
    networks: list[NetworkFacts]
    inputs: dict[str, str] = Field(
        description="sha256 of the files and params it was trained from",
        examples=[{"params": 64 * "0"}],
    )
    versions: dict[str, str] = Field(
        description="versions of the packages that trained it", examples=[{"torch": "2.15.0"}]
    )


def model_card(manifest: Manifest, min_face: float | None = None) -> ModelCard:
    """Return the facts of a bundle.

    Args:
        manifest: content of its bundle.json.
        min_face: smallest face that the server searches; None: the bundle's.
    """
    metrics = manifest.metrics
    scores = {"all": _score(metrics), **{name: _score(metrics.get(name, {})) for name in TASKS}}
    return ModelCard(
        description=manifest.description(),
        limits=_limits(manifest.training_set.people, scores),
        notes=manifest.notes,
        training_set=TrainingFacts.model_validate(manifest.training_set.model_dump()),
        validation=ValidationFacts(
            people=metrics.get("people"),
            photos=metrics.get("photos"),
            scores={name: score for name, score in scores.items() if score != Score()},
        ),
        classes=manifest.classes,
        faces=FaceFacts(
            method=manifest.crop.method,
            min_face=manifest.crop.min_face if min_face is None else min_face,
        ),
        networks=[NetworkFacts.model_validate(n.model_dump()) for n in manifest.networks],
        inputs=manifest.inputs,
        versions=manifest.versions,
    )


def _score(metrics: dict[str, Any]) -> Score:
    return Score(**{name: metrics[name] for name in Score.model_fields if name in metrics})


def _limits(people: int, scores: dict[str, Score]) -> list[str]:
    limits = []
    if people < FEW_PEOPLE:
        limits.append(
            f"Trained on few people ({people:,}): expect worse predictions for people unlike them."
        )
    accuracies = {name: scores[name].accuracy for name in _NOUNS}
    if all(accuracy is None for accuracy in accuracies.values()):
        return [*limits, "There are no validation scores, so the accuracy is unknown."]
    wrong = [
        f"{100 * (1 - accuracy):.0f} of 100 {_NOUNS[name]}"
        for name, accuracy in accuracies.items()
        if accuracy is not None and accuracy < LOW_ACCURACY
    ]
    if wrong:
        limits.append(f"On validation people, {' and '.join(wrong)} are predicted wrong.")
    return limits
