"""The pictures that the stages write; all with the same few colors, PNG, the same bytes every time."""

import itertools
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no screen needed, none asked for

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
        figure.savefig(
            tmp_path, dpi=120, bbox_inches="tight", metadata={"Software": None}
        )  # else it names its version
    plt.close(figure)


def class_counts(by_column: pd.DataFrame, by_class: pd.DataFrame, path: str | Path) -> None:
    """Photos for each value of each task, and for each of the 18 classes."""
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
    left.set_title("Photos in each task's classes", loc="left")
    right.set_title("Photos in the 18 classes", loc="left")
    _save(figure, path)


def confusion(counts: np.ndarray, names: tuple[str, ...] | list[str], path: str | Path) -> None:
    """Confusion matrix (C, C), rows the truth; shade is the share of the row, the number the count."""
    size = max(3.2, 0.42 * len(names) + 1.5)
    figure, axes = plt.subplots(figsize=(size, size), layout="constrained")
    share = counts / counts.sum(1, keepdims=True).clip(1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (y, x), n in np.ndenumerate(counts):
        if n:
            axes.text(
                x,
                y,
                n,
                ha="center",
                va="center",
                fontsize=7,
                color="white" if share[y, x] > 0.6 else INK,
            )
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 3 else 0)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted (shade: share of the true class)")
    axes.set_ylabel("true")
    _save(figure, path)


def calibration(tables: dict[str, pd.DataFrame], path: str | Path) -> None:
    """Accuracy over confidence for each task, dots as large as their share of photos; see `evaluation.calibration`."""
    figure, axes = plt.subplots(figsize=(4.2, 4.2), layout="constrained")
    axes.plot([0, 1], [0, 1], color=SOFT, linestyle=":", label="perfect")
    for (name, table), color in zip(tables.items(), itertools.cycle((INK, ACCENT, "#3a7d7c"))):
        axes.plot(table.confidence, table.accuracy, linewidth=1, color=color, label=name)
        # Few photos say little: their dot is small.
        axes.scatter(
            table.confidence,
            table.accuracy,
            s=6 + 120 * table.photos / table.photos.sum(),
            color=color,
        )
    axes.set_xlabel("confidence (larger dots: more photos)")
    axes.set_ylabel("accuracy on held-out people")
    axes.legend(frameon=False)
    _save(figure, path)


def age_error(
    by_decade: pd.DataFrame, age: np.ndarray, years: np.ndarray | None, path: str | Path
) -> None:
    """Share of wrong age groups in each decade; where years are told, how far they are off, as boxes (5 to 95 %).

    Args:
        by_decade: see `evaluation.age_by_decade`.
        age, years: recorded and told (N,); None where no model tells years.
    """
    told = years is not None
    figure, panels = plt.subplots(
        1, 1 + told, figsize=(5 + 5 * told, 3.8), layout="constrained", squeeze=False
    )
    left = panels[0, 0]
    left.bar(by_decade.decade, by_decade.wrong_group, color=SOFT)
    for x, (share, photos) in enumerate(zip(by_decade.wrong_group, by_decade.photos, strict=True)):
        left.text(x, share, f"{share:.0%}\nof {photos}", ha="center", va="bottom", fontsize=8)
    left.set_ylim(0, 1.15)
    left.set_yticks(np.linspace(0, 1, 5))
    left.set_title("Share of photos put into a wrong age group", loc="left")
    if told:
        right = panels[0, 1]
        right.axhline(0, color=SOFT, linewidth=1)
        decade = age // 10 * 10
        off = by_decade.mean_absolute_error_years
        right.boxplot(
            [(years - age)[decade == d] for d in np.unique(decade)],
            whis=(5, 95),
            showfliers=False,
            tick_labels=[
                f"{d}\n{years_off:.1f} off"
                for d, years_off in zip(by_decade.decade, off, strict=True)
            ],
            medianprops={"color": ACCENT},
        )
        right.set_title("Years told minus recorded; below, mean years off", loc="left")
    for axes in panels[0]:
        axes.set_xlabel("recorded age")
    _save(figure, path)


def learning_curves(histories: dict[str, pd.DataFrame], path: str | Path) -> None:
    """Held-out macro-F1 and loss of every training over its epochs.

    Args:
        histories: name of the training -> table with step, macro_f1, loss, train_loss.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    colors = plt.colormaps["tab10"]
    for i, (name, table) in enumerate(histories.items()):
        left.plot(
            table.step + 1,
            table.macro_f1,
            marker="o",
            markersize=3,
            color=colors(i % 10),
            label=name,
        )
        right.plot(table.step + 1, table.loss, color=colors(i % 10), label=name)
        right.plot(table.step + 1, table.train_loss, color=colors(i % 10), linestyle=":")
    left.set_title("macro-F1 on held-out people", loc="left")
    right.set_title("loss, each model's own: held out (line), training (dots)", loc="left")
    for axes in (left, right):
        axes.set_xlabel("epoch")
    left.legend(frameon=False, fontsize=8)
    _save(figure, path)
