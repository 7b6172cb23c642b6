"""Rows of memory: the peak memory of a process must not grow with the number of photos.

These rows measure anonymous memory (RssAnon), which a process cannot give up. Resident memory also
counts pages of mapped files, which the system keeps while there is room and drops otherwise. The
crop store is such a file, so resident memory grows with it and shows nothing.
"""

from collections.abc import Callable

from benchmarks import inputs
from benchmarks.rows import Bench, Outcome, Row, at_most
from benchmarks.side import MeasurementError, anonymous_memory

FACTORS = (1, 2, 4)
MAX_ROUNDS = 2


def _measure(bench: Bench, count: int, function: str, settings: Callable[[int], dict]) -> Outcome:
    """Measure the largest peak divided by the smallest; each size runs in a new process."""
    if not anonymous_memory():
        raise MeasurementError("/proc/self/status has no RssAnon; this row needs Linux")
    values: list[float] = []
    peaks: list[int] = []
    for n in range(min(bench.rounds, MAX_ROUNDS)):
        peaks = []
        for factor in FACTORS:
            with bench.side(function, **settings(factor * count)) as side:
                side.turn()
                peaks.append(side.peak)
        values.append(max(peaks) / min(peaks))
        bench.log(f"round {n + 1}: {', '.join(f'{p / 1e6:.0f} MB' for p in peaks)}")
    megabytes = {f"{f}x": round(p / 1e6) for f, p in zip(FACTORS, peaks, strict=True)}
    return Outcome(values, count, {"factors": list(FACTORS)}, {"megabytes": megabytes})


def crop(bench: Bench, count: int) -> Outcome:
    def settings(photos: int) -> dict:
        return {"inventory": str(inputs.photos(bench, photos)), "folder": str(bench.folder)}

    return _measure(bench, count, "ours.crop", settings)


def predict(bench: Bench, count: int) -> Outcome:
    def settings(photos: int) -> dict:
        return {"folder": str(inputs.store(bench, photos)), "models": inputs.models(bench, 1)[:1]}

    return _measure(bench, count, "ours.predict_stored", settings)


def _row(name: str, measure: Callable[[Bench, int], Outcome]) -> Row:
    return Row(
        f"memory-{name}",
        f"peak memory of `{name}` for 1, 2 and 4 times the photos, largest divided by smallest",
        "itself",
        "x",
        {"cpu": at_most(1.1), "cuda": at_most(1.1)},
        measure,
        # A crop holds two chunks of 256 photos in memory: fewer photos would only fill them.
        share=(3, 3),
    )


ROWS = [_row("crop", crop), _row("predict", predict)]
