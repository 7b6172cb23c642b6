"""Choose the validation photos that heat maps are drawn for, and write their captions."""

import pandas as pd

from portrait18.dataset.classes import TASKS, Task
from portrait18.evaluation import voting


def select(task: Task, predictions: pd.DataFrame, labels: pd.DataFrame, count: int) -> pd.DataFrame:
    """Select photos to explain: half the most confident mistakes, half the most confident hits.

    Both halves cycle through the true classes and show each person at most once. If there are too
    few mistakes, more correct predictions are shown, and vice versa.

    Args:
        task: Task to select for.
        predictions: One model's validation photos: photo and probabilities of the classes.
        labels: `data/labels.csv`.
        count: Number of photos to select.

    Returns:
        Table with photo, task, truth and predicted (class indices), probability (of the predicted
        class) and correct (0 or 1). Mistakes come first.
    """
    known = labels.set_index("photo").loc[predictions.photo]
    probabilities = voting.task_probabilities(task, predictions)
    if probabilities is None:
        raise ValueError(f"predictions have no columns for task {task.name}")
    table = pd.DataFrame(
        {
            "photo": predictions.photo.to_numpy(),
            "person": known.person.to_numpy(),
            "task": task.name,
            "truth": known[task.label_column].to_numpy(),
            "predicted": probabilities.argmax(1),
            "probability": probabilities.max(1),
        }
    ).sort_values(["probability", "photo"], ascending=[False, True])
    table["correct"] = (table.truth == table.predicted).astype(int)
    wrong, correct = (_cycle_classes(table[table.correct == value], count) for value in (0, 1))
    mistakes = wrong.head(max(count // 2, count - len(correct)))
    selected = pd.concat([mistakes, correct.head(count - len(mistakes))], ignore_index=True)
    return selected.drop(columns="person")


def _cycle_classes(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the first row of each true class, then the second of each, ..., each person once."""
    taken: list[int] = []
    left = table
    while len(taken) < count and len(left):
        for truth in sorted(left.truth.unique()):
            candidates = left[left.truth == truth]
            if len(candidates):  # empty if another class just took the last person
                taken.append(candidates.index[0])
                left = left[left.person != candidates.person.iloc[0]]
    return table.loc[taken[:count]]


def captions(examples: pd.DataFrame) -> dict[int, str]:
    """Return the caption of each row of `select`: truth, prediction with probability, and outcome.

    Returns:
        Position of the row -> caption of three lines.
    """
    lines = {}
    for n, row in enumerate(examples.to_dict("records")):
        classes = TASKS[row["task"]].classes
        outcome = "correct" if row["correct"] else "wrong"
        lines[n] = (
            f"{row['task']}: {classes[row['truth']]}\n"
            f"-> {classes[row['predicted']]} {row['probability']:.2f}\n{outcome}"
        )
    return lines
