"""Share of found faces by mask state, and CPU time, of `crop.method` mtcnn and yunet.

    python -m benchmarks.detection data/competition
    python -m benchmarks.detection data/competition --rotated --limit 300

The first prints a line per search of each method. The second turns every photo by 0, 90, 180 and
270 degrees, and prints what `crop.rotate` finds. The data set needs `eval/answers.csv`. One thread,
portable arithmetic; the time of decoding is left out.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portrait18.core import arithmetic

if TYPE_CHECKING:  # imported after the arithmetic is set
    import numpy as np
    import pandas as pd


BATCH, MIN_FACE = 32, 0.2  # as in params.yaml
METHODS = ("mtcnn", "yunet")


def _answers(root: Path, limit: int | None) -> "pd.DataFrame":
    """Return evenly spaced rows of eval/answers.csv."""
    import numpy as np
    import pandas as pd

    answers = pd.read_csv(root / "eval/answers.csv")
    rows = np.unique(np.linspace(0, len(answers) - 1, limit or len(answers)).astype(int))
    return answers.iloc[rows]


def _batches(root: Path, answers: "pd.DataFrame") -> Iterator[list["np.ndarray"]]:
    from portrait18.dataset import photos

    for start in range(0, len(answers), BATCH):
        names = answers.ImageID.iloc[start : start + BATCH]
        yield [photos.read(root / "eval/images" / name) for name in names]


def measure(root: Path, limit: int | None = None) -> Iterator[str]:
    """Yield the lines of the report.

    Args:
        root: folder with eval/images and eval/answers.csv.
        limit: evenly spaced photos of the evaluation set; None for all.
    """
    import pandas as pd
    import torch

    from portrait18.cropping import faces
    from portrait18.dataset.classes import MASK, decode

    answers = _answers(root, limit)
    masks = [MASK.classes[i] for i in decode(answers.ans.to_numpy())["mask"]]
    detectors = {name: faces.Detector(MIN_FACE, torch.device("cpu"), name) for name in METHODS}
    found: dict[str, list[str]] = {name: [] for name in METHODS}
    seconds = dict.fromkeys(METHODS, 0.0)
    for batch in _batches(root, answers):
        for name, detector in detectors.items():
            before = time.process_time()
            found[name] += [photo.search for photo in faces.find(detector, batch, BATCH)]
            seconds[name] += time.process_time() - before
    for name, detector in detectors.items():
        yield f"method {name}: {1000 * seconds[name] / len(answers):.1f} ms a photo"
        for n, search in enumerate(detector.searches):
            so_far = pd.Series(found[name]).isin(detector.searches[: n + 1])
            rates = so_far.groupby(masks).mean()
            shares = (f"{mask} {rates[mask]:.3f}" for mask in MASK.classes if mask in rates)
            yield f"  found up to search {search}: {', '.join(shares)}"


def measure_rotated(root: Path, limit: int | None = None, method: str = "mtcnn") -> Iterator[str]:
    """Yield a line for each angle: what is found with and without `crop.rotate`.

    A box is right if it overlaps that of the upright photo, turned alike, by more than half
    (intersection over union).

    Args:
        root: folder with eval/images and eval/answers.csv.
        limit: evenly spaced photos of the evaluation set; None for all.
        method: `crop.method`.
    """
    import numpy as np
    import torch

    from portrait18.cropping import faces, rotation

    answers = _answers(root, limit)
    detector = faces.Detector(MIN_FACE, torch.device("cpu"), method)
    turn_finder = rotation.TurnFinder()
    counts = np.zeros((4, 4))
    seconds = np.zeros((4, 2))
    for batch in _batches(root, answers):
        expected = rotation.find(detector, batch, BATCH, None)
        for turn in range(4):
            turned = [rotation.turned_photo(photo, turn) for photo in batch]
            for column, finder in enumerate((None, turn_finder)):
                found, taken = _timed(partial(rotation.find, detector, turned, BATCH, finder))
                seconds[turn, column] += taken
                for photo, other, reference in zip(turned, found, expected, strict=True):
                    back = -turn % 4  # this turn makes the photo upright again
                    counts[turn, column] += other.turn == back and bool(other.faces)
                    counts[turn, 2 + column] += _same_box(other, reference, back, photo)
    shares, milliseconds = counts / len(answers), 1000 * seconds / len(answers)
    for turn, (_, upright, before, after) in enumerate(shares):
        yield (
            f"turned by {90 * turn}: taken as upright after the right turn {upright:.3f}, box right"
            f" {after:.3f} (without crop.rotate {before:.3f}), {milliseconds[turn, 1]:.1f} ms a"
            f" photo (without {milliseconds[turn, 0]:.1f})"
        )


def _timed(function: Callable[[], Any]) -> tuple[Any, float]:
    before = time.process_time()
    return function(), time.process_time() - before


def _same_box(found: Any, reference: Any, back: int, photo: "np.ndarray") -> bool:
    """Return whether a face lies where that of the upright photo does.

    Args:
        found: `faces.Found` of a turned photo.
        reference: `faces.Found` of the upright one.
        back: quarter turns counter-clockwise from the turned to the upright photo.
        photo: the turned photo.
    """
    from portrait18.cropping import faces, rotation

    sizes = [rotation.turned_photo(photo, turn).shape[1::-1] for turn in (found.turn, back)]
    ours, theirs = found.choose(photo), reference.choose(rotation.turned_photo(photo, back))
    if ours is None or theirs is None:
        return False
    one = rotation.turn_back(ours, found.turn, *sizes[0])
    return faces.overlap(one, rotation.turn_back(theirs, back, *sizes[1])) > 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("root", type=Path, help="folder with eval/images and eval/answers.csv")
    parser.add_argument("--limit", type=int, help="evenly spaced photos; default all")
    parser.add_argument("--rotated", action="store_true", help="measure crop.rotate")
    parser.add_argument("--method", choices=METHODS, default="mtcnn", help="with --rotated")
    arguments = parser.parse_args()
    arithmetic.set_environment("portable", 1)
    import cv2

    cv2.setNumThreads(1)
    if arguments.rotated:
        lines = measure_rotated(arguments.root, arguments.limit, arguments.method)
    else:
        lines = measure(arguments.root, arguments.limit)
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
