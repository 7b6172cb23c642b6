"""Rows of growth: time against the number of photos; and the picture of it."""

import contextlib
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no screen needed, none asked for

import matplotlib.pyplot as plt
import numpy as np

from benchmarks import inputs
from benchmarks.rows import Bench, Outcome, Row, at_most
from portrait18.core.files import atomic_write

TIMES = (1, 2, 4, 8)
PICTURE = Path("docs/growth.png")


def exponent(photos: list[int], seconds: list[float]) -> float:
    """The b of seconds = a x photos ** b, by least squares of the logarithms; 1: linear."""
    return float(np.polyfit(np.log(photos), np.log(seconds), 1)[0])


def _grown(bench: Bench, count: int, function: str, settings) -> Outcome:
    """The exponent of each round; all sizes take turns."""
    photos = [times * count for times in TIMES]
    start, rounds = time.monotonic(), []
    with contextlib.ExitStack() as stack:
        sides = [stack.enter_context(bench.side(function, **settings(n))) for n in photos]
        for side in sides:
            side.turn()  # warms up
        for n in range(bench.rounds):
            if n and (time.monotonic() - start) * (n + 1) / n > 60 * bench.minutes:
                break
            rounds.append([side.turn().seconds for side in sides])
            bench.tell(
                f"round {n + 1} of {bench.rounds}: exponent {exponent(photos, rounds[-1]):.2f}"
            )
    medians = np.median(rounds, axis=0)
    figures = {
        "photos": photos,
        "seconds": [float(f"{s:.3g}") for s in medians],
        "exponent_of_medians": round(exponent(photos, medians), 3),
    }
    return Outcome(
        [exponent(photos, of_round) for of_round in rounds], count, {"times": list(TIMES)}, figures
    )


def crop(bench: Bench, count: int) -> Outcome:
    def settings(photos: int) -> dict:
        return {"inventory": str(inputs.photos(bench, photos)), "folder": str(bench.folder)}

    return _grown(bench, count, "ours.crop", settings)


def predict(bench: Bench, count: int) -> Outcome:
    def settings(photos: int) -> dict:
        return {"folder": str(inputs.store(bench, photos)), "models": inputs.models(bench, 1)[:1]}

    return _grown(bench, count, "ours.predict_stored", settings)


def draw(rows: dict[str, dict], path: Path = PICTURE) -> None:
    """Seconds against photos, both logarithmic, a line for each of `rows` (name -> figures), with its exponent."""
    figure, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
    for name, told in rows.items():
        label = f"{name.removeprefix('growth-')}: photos ** {told['exponent_of_medians']:.2f}"
        axes.loglog(told["photos"], told["seconds"], marker="o", label=label)
    photos = sorted({count for told in rows.values() for count in told["photos"]})
    axes.set_xticks(photos, [f"{count:,}" for count in photos])
    axes.set_xticks([], minor=True)
    for ticks in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        ticks("{x:g}")
    axes.set_xlabel("photos")
    axes.set_ylabel("seconds")
    axes.legend(frameon=False)
    with atomic_write(path) as tmp_path:
        figure.savefig(tmp_path, dpi=120, metadata={"Software": None})
    plt.close(figure)


ROWS = [
    Row(
        "growth-crop",
        "time of `crop` at 1, 2, 4 and 8 times the photos: exponent (1: linear)",
        "itself",
        "",
        {"cpu": at_most(1.05), "cuda": at_most(1.05)},
        crop,
        share=(0.5, 2),
    ),
    Row(
        "growth-predict",
        "time of `predict` at 1, 2, 4 and 8 times the photos: exponent (1: linear)",
        "itself",
        "",
        {"cpu": at_most(1.05), "cuda": at_most(1.05)},
        predict,
        share=(1, 16),
    ),
]
