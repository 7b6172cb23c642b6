"""Predictions as lines of text, JSON Lines or CSV; each function takes one photo and its faces."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portrait18.core.errors import printable
from portrait18.dataset.classes import TASKS
from portrait18.dataset.layout import escaped

if TYPE_CHECKING:  # importing it imports PyTorch, which takes seconds
    from portrait18.deployment.results import FacePrediction, TaskPrediction

BOX = ("x0", "y0", "x1", "y1")
COLUMNS = ["photo", "face", "found", "score", *BOX, *TASKS, "class", "name"]
COLUMNS += [column for task in TASKS.values() for column in task.columns] + ["years"]
_FOUND_NOTES = {
    "retry": ", found at lower thresholds",
    "yunet": ", found by YuNet",
    "rotated": ", found after rotation",
    "median": ", no face found: assumed",
}


def predictions_by_task(face: FacePrediction) -> dict[str, TaskPrediction]:
    """Return the predictions of one face by the names of the tasks."""
    return {"mask": face.mask, "gender": face.gender, "age": face.age_group}


def summary(face: FacePrediction) -> list[str]:
    """Return class and probability of each task, such as `worn 98%`, `male 71%`, `<30 64%`."""
    words = zip(predictions_by_task(face).values(), face.class_name.split(), strict=True)
    return [f"{word} {task.probabilities[task.label]:.0%}" for task, word in words]


def text_lines(photo: Path, faces: list[FacePrediction]) -> list[str]:
    """Return one readable line per face."""
    name = printable(str(photo))
    if not faces:
        return [f"{name}  no face found"]
    return [
        f"{name}  face {n} of {len(faces)}  mask {', '.join(summary(face))}"
        f"  class {face.class_id}  box {' '.join(f'{v:.0f}' for v in face.box)}"
        f"{_FOUND_NOTES.get(face.found, '')}"
        for n, face in enumerate(faces, start=1)
    ]


def json_lines(photo: Path, faces: list[FacePrediction]) -> list[str]:
    """Return one JSON object for the photo, in UTF-8.

    Bytes of a name that are not UTF-8 are lone surrogates, U+DC80 to U+DCFF: Python's
    `os.fsencode` restores them.
    """
    record = {"photo": str(photo), "faces": [face.to_dict() for face in faces]}
    text = json.dumps(record, ensure_ascii=False)
    return ["".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)]


def csv_lines(photo: Path, faces: list[FacePrediction]) -> list[str]:
    """Return one CSV row per face; a photo without a face keeps a row, so that none is missing.

    Control characters of a name and bytes that are not UTF-8 are escaped.
    """
    rows, name = [], escaped(str(photo))
    for n, face in enumerate(faces, start=1):
        record = face.to_dict()
        row = {**record, "photo": name, "face": n, **dict(zip(BOX, record["box"], strict=True))}
        for task in TASKS.values():
            row[task.name] = record[task.name]["label"]
            probabilities = record[task.name]["probabilities"].values()
            row |= dict(zip(task.columns, probabilities, strict=True))
        rows.append(_csv_row([row[column] for column in COLUMNS]))
    return rows or [_csv_row([name, 0, *[""] * (len(COLUMNS) - 2)])]


def csv_header() -> str:
    """Return the names of the columns of `csv_lines`."""
    return _csv_row(COLUMNS)


def _csv_row(cells: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
