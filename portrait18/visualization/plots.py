"""Plots that the stages write, PNG. They share a palette and have the same bytes in every run."""

import itertools
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draws without a display

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from portrait18.core.files import atomic_write

INK, ACCENT, SOFT = "#22303c", "#c8553d", "#8fa3b0"
plt.rcParams.update(
    {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": INK,
        "text.color": INK,
    }
)


def _save(figure: plt.Figure, path: str | Path) -> None:
    with atomic_write(path) as tmp_path:
        # Without this, the file contains matplotlib's version.
        figure.savefig(tmp_path, dpi=120, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def class_counts(by_column: pd.DataFrame, by_class: pd.DataFrame, path: str | Path) -> None:
    """Plot the number of photos for each class of each task, and for each of the 18 classes.

    Args:
        by_column: Table with column, value, photos; see `labels.counts`.
        by_class: Table with class, name, photos; see `labels.counts`.
        path: PNG to write.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 4.2), width_ratios=(1, 1.5), layout="constrained"
    )
    names = by_column.column + ": " + by_column.value
    left.barh(names, by_column.photos, color=SOFT)
    right.barh(
        [f"{i:2d} {name}" for i, name in zip(by_class["class"], by_class.name, strict=True)],
        by_class.photos,
        color=ACCENT,
    )
    for axes, counts in ((left, by_column.photos), (right, by_class.photos)):
        axes.invert_yaxis()
        axes.set_xlabel("photos")
        for y, n in enumerate(counts):
            axes.text(n, y, f" {n}", va="center", fontsize=8)
    left.set_title("Photos in the classes of each task", loc="left")
    right.set_title("Photos in the 18 classes", loc="left")
    _save(figure, path)


def confusion(counts: np.ndarray, names: tuple[str, ...] | list[str], path: str | Path) -> None:
    """Plot a confusion matrix. The number is the count, the shade the share of the true class.

    Args:
        counts: int (C, C), rows are true classes, columns predicted ones.
        names: C class names.
        path: PNG to write.
    """
    size = max(3.2, 0.42 * len(names) + 1.5)
    figure, axes = plt.subplots(figsize=(size, size), layout="constrained")
    share = counts / counts.sum(1, keepdims=True).clip(1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (y, x), n in np.ndenumerate(counts):
        if n:
            color = "white" if share[y, x] > 0.6 else INK
            axes.text(x, y, n, ha="center", va="center", fontsize=7, color=color)
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 3 else 0)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted (shade: share of the true class)")
    axes.set_ylabel("true")
    _save(figure, path)


def calibration(tables: dict[str, pd.DataFrame], path: str | Path) -> None:
    """Plot accuracy over confidence for each task.

    Args:
        tables: Task -> table with confidence, accuracy, photos; see `analysis.calibration`.
        path: PNG to write.
    """
    figure, axes = plt.subplots(figsize=(4.2, 4.2), layout="constrained")
    axes.plot([0, 1], [0, 1], color=SOFT, linestyle=":", label="perfect")
    for (name, table), color in zip(tables.items(), itertools.cycle((INK, ACCENT, "#3a7d7c"))):
        axes.plot(table.confidence, table.accuracy, linewidth=1, color=color, label=name)
        # A bin with few photos is uncertain, so its dot is small.
        sizes = 6 + 120 * table.photos / table.photos.sum()
        axes.scatter(table.confidence, table.accuracy, s=sizes, color=color)
    axes.set_xlabel("confidence (larger dots: more photos)")
    axes.set_ylabel("accuracy on validation people")
    axes.legend(frameon=False)
    _save(figure, path)


def age_error(
    by_decade: pd.DataFrame, age: np.ndarray, years: np.ndarray | None, path: str | Path
) -> None:
    """Plot the error rate of the age group, and the error of predicted years, by decade.

    Errors in years are boxes with whiskers at 5 and 95 %.

    Args:
        by_decade: Table of `analysis.age_by_decade`.
        age: Recorded age, years (N,).
        years: Predicted age, years (N,); None if no model predicts years.
        path: PNG to write.
    """
    columns = 1 if years is None else 2
    figure, panels = plt.subplots(
        1, columns, figsize=(5 * columns, 3.8), layout="constrained", squeeze=False
    )
    left = panels[0, 0]
    left.bar(by_decade.decade, by_decade.wrong_group, color=SOFT)
    for x, (share, photos) in enumerate(zip(by_decade.wrong_group, by_decade.photos, strict=True)):
        left.text(x, share, f"{share:.0%}\nof {photos}", ha="center", va="bottom", fontsize=8)
    left.set_ylim(0, 1.15)
    left.set_yticks(np.linspace(0, 1, 5))
    left.set_title("Share of photos with a wrong age group", loc="left")
    if years is not None:
        _years_boxes(panels[0, 1], by_decade, age, years)
    for axes in panels[0]:
        axes.set_xlabel("recorded age")
    _save(figure, path)


def _years_boxes(
    axes: plt.Axes, by_decade: pd.DataFrame, age: np.ndarray, years: np.ndarray
) -> None:
    """Draw a box of the errors in years for each decade."""
    axes.axhline(0, color=SOFT, linewidth=1)
    decade = age // 10 * 10
    mean_errors = by_decade.mean_absolute_error_years
    axes.boxplot(
        [(years - age)[decade == d] for d in np.unique(decade)],
        whis=(5, 95),
        showfliers=False,
        tick_labels=[
            f"{d}\nMAE {error:.1f}" for d, error in zip(by_decade.decade, mean_errors, strict=True)
        ],
        medianprops={"color": ACCENT},
    )
    axes.set_title("Predicted minus recorded age, years", loc="left")


def learning_curves(histories: dict[str, pd.DataFrame], path: str | Path) -> None:
    """Plot validation macro-F1, validation loss and training loss of every run over its epochs.

    The two losses have panels of their own because they are different quantities: the validation
    loss is the cross-entropy, the training loss the one that the model minimizes.

    Args:
        histories: Name of the run -> table with step, macro_f1, loss, train_loss.
        path: PNG to write.
    """
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    colors = plt.colormaps["tab10"]
    columns = {
        "macro_f1": "macro-F1 on validation people",
        "loss": "validation loss (cross-entropy, nats)",
        "train_loss": "training loss (each model's own)",
    }
    for axes, (column, title) in zip(panels, columns.items(), strict=True):
        for i, (name, table) in enumerate(histories.items()):
            axes.plot(
                table.step + 1,
                table[column],
                marker="o",
                markersize=3,
                color=colors(i % 10),
                label=name,
            )
        axes.set_title(title, loc="left")
        axes.set_xlabel("epoch")
    panels[0].legend(frameon=False, fontsize=8)
    _save(figure, path)
