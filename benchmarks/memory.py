"""Rows of memory: what a process needs at most must not grow with the number of photos.

Measured is anonymous memory (RssAnon), what a process can't do without. Its resident memory also counts
the pages of files that it has mapped, which the system keeps while there is room and drops when there is
not: the crop store is such a file, so resident memory grows with it and says nothing.
"""

from benchmarks import inputs
from benchmarks.rows import Bench, Outcome, Row, at_most
from benchmarks.side import NotMeasured, anonymous

TIMES = (1, 2, 4)


def _flat(bench: Bench, count: int, function: str, settings) -> Outcome:
    """How many times the least of the peaks the largest is; a fresh process for each size."""
    if not anonymous():
        raise NotMeasured("/proc/self/status tells no RssAnon here; this row needs Linux")
    values, peaks = [], []
    for n in range(min(bench.rounds, 2)):
        peaks = []
        for times in TIMES:
            with bench.side(function, **settings(times * count)) as side:
                side.turn()
                peaks.append(side.peak)
        values.append(max(peaks) / min(peaks))
        bench.tell(f"round {n + 1}: {', '.join(f'{p / 1e6:.0f} MB' for p in peaks)}")
    figures = {
        "megabytes": dict(
            zip([f"{times}x" for times in TIMES], [round(p / 1e6) for p in peaks], strict=True)
        )
    }
    return Outcome(values, count, {"times": list(TIMES)}, figures)


def crop(bench: Bench, count: int) -> Outcome:
    def settings(photos: int) -> dict:
        return {"inventory": str(inputs.photos(bench, photos)), "folder": str(bench.folder)}

    return _flat(bench, count, "ours.crop", settings)


def predict(bench: Bench, count: int) -> Outcome:
    def settings(photos: int) -> dict:
        return {"folder": str(inputs.store(bench, photos)), "models": inputs.models(bench, 1)[:1]}

    return _flat(bench, count, "ours.predict_stored", settings)


# A crop holds two chunks of 256 photos in memory: fewer than that would only measure how they fill.
ROWS = [
    Row(
        "memory-crop",
        "peak memory of `crop` at 1, 2 and 4 times the photos, largest by least",
        "itself",
        "x",
        {"cpu": at_most(1.1), "cuda": at_most(1.1)},
        crop,
        share=(3, 3),
    ),
    Row(
        "memory-predict",
        "peak memory of `predict` at 1, 2 and 4 times the photos, largest by least",
        "itself",
        "x",
        {"cpu": at_most(1.1), "cuda": at_most(1.1)},
        predict,
        share=(3, 3),
    ),
]
