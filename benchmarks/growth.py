"""Rows of scaling: time versus the number of photos, and the plot of it."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draws without a display

import matplotlib.pyplot as plt
import numpy as np

from benchmarks import inputs
from benchmarks.rows import Bench, Outcome, Row, at_most
from portrait18.core.files import atomic_write

FACTORS = (1, 2, 4, 8)
PLOT = Path("docs/growth.png")


def exponent(photos: list[int], seconds: list[float]) -> float:
    """Return b of seconds = a x photos ** b, by least squares of the logarithms; 1 is linear."""
    return float(np.polyfit(np.log(photos), np.log(seconds), 1)[0])


def _measure(bench: Bench, count: int, function: str, settings: Callable[[int], dict]) -> Outcome:
    """Measure the exponent in each round; all sizes alternate."""
    photos, rounds = [factor * count for factor in FACTORS], []
    with contextlib.ExitStack() as stack:
        sides = [stack.enter_context(bench.side(function, **settings(n))) for n in photos]
        for side in sides:
            side.turn()  # warm-up
        for n in bench.each_round():
            rounds.append([side.turn().seconds for side in sides])
            value = exponent(photos, rounds[-1])
            bench.log(f"round {n + 1} of {bench.rounds}: exponent {value:.2f}")
    medians = np.median(rounds, axis=0)
    results = {
        "photos": photos,
        "seconds": [float(f"{s:.3g}") for s in medians],
        "exponent": round(exponent(photos, medians), 3),
    }
    values = [exponent(photos, seconds) for seconds in rounds]
    return Outcome(values, count, {"factors": list(FACTORS)}, results)


def crop(bench: Bench, count: int) -> Outcome:
    def settings(photos: int) -> dict:
        return {"inventory": str(inputs.photos(bench, photos)), "folder": str(bench.folder)}

    return _measure(bench, count, "ours.crop", settings)


def predict(bench: Bench, count: int) -> Outcome:
    def settings(photos: int) -> dict:
        return {"folder": str(inputs.store(bench, photos)), "models": inputs.models(bench, 1)[:1]}

    return _measure(bench, count, "ours.predict_stored", settings)


def plot(rows: dict[str, dict], path: Path = PLOT) -> None:
    """Plot seconds over photos on logarithmic axes, a line with its exponent for each row.

    Args:
        rows: Name of the row -> its results.
        path: PNG to write.
    """
    figure, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
    for name, results in rows.items():
        label = f"{name.removeprefix('growth-')}: photos ** {results['exponent']:.2f}"
        axes.loglog(results["photos"], results["seconds"], marker="o", label=label)
    photos = sorted({count for results in rows.values() for count in results["photos"]})
    axes.set_xticks(photos, [f"{count:,}" for count in photos])
    axes.set_xticks([], minor=True)
    for set_format in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        set_format("{x:g}")
    axes.set_xlabel("photos")
    axes.set_ylabel("seconds")
    axes.legend(frameon=False)
    with atomic_write(path) as tmp_path:
        figure.savefig(tmp_path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def _row(name: str, measure: Callable[[Bench, int], Outcome], share: tuple[float, float]) -> Row:
    return Row(
        f"growth-{name}",
        f"time of `{name}` for 1, 2, 4 and 8 times the photos: exponent (1: linear)",
        "itself",
        "",
        {"cpu": at_most(1.05), "cuda": at_most(1.05)},
        measure,
        share,
    )


ROWS = [_row("crop", crop, (0.5, 2)), _row("predict", predict, (1, 16))]
