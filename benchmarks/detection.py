"""Share of found faces by mask state, and CPU time, of `crop.method` mtcnn and yunet.

    python -m benchmarks.detection data/competition

prints a line per search of each method. The data set needs `eval/answers.csv`. One thread, portable
arithmetic; the time of decoding is left out.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from portrait18.core import arithmetic

BATCH, MIN_FACE = 32, 0.2  # as in params.yaml
METHODS = ("mtcnn", "yunet")


def measure(root: Path, limit: int | None = None) -> Iterator[str]:
    """Yield the lines of the report.

    Args:
        root: folder with eval/images and eval/answers.csv.
        limit: evenly spaced photos of the evaluation set; None for all.
    """
    import numpy as np
    import pandas as pd
    import torch

    from portrait18.cropping import faces
    from portrait18.dataset import photos
    from portrait18.dataset.classes import MASK, decode

    answers = pd.read_csv(root / "eval/answers.csv")
    rows = np.unique(np.linspace(0, len(answers) - 1, limit or len(answers)).astype(int))
    answers = answers.iloc[rows]
    masks = [MASK.classes[i] for i in decode(answers.ans.to_numpy())["mask"]]
    detectors = {name: faces.Detector(MIN_FACE, torch.device("cpu"), name) for name in METHODS}
    found: dict[str, list[str]] = {name: [] for name in METHODS}
    seconds = dict.fromkeys(METHODS, 0.0)
    for start in range(0, len(answers), BATCH):
        names = answers.ImageID.iloc[start : start + BATCH]
        batch = [photos.read(root / "eval/images" / name) for name in names]
        for name, detector in detectors.items():
            before = time.process_time()
            found[name] += [source for _, source in faces.find(detector, batch, BATCH)]
            seconds[name] += time.process_time() - before
    for name, detector in detectors.items():
        yield f"method {name}: {1000 * seconds[name] / len(answers):.1f} ms a photo"
        for n, search in enumerate(detector.searches):
            so_far = pd.Series(found[name]).isin(detector.searches[: n + 1])
            rates = so_far.groupby(masks).mean()
            shares = (f"{mask} {rates[mask]:.3f}" for mask in MASK.classes if mask in rates)
            yield f"  found up to search {search}: {', '.join(shares)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("root", type=Path, help="folder with eval/images and eval/answers.csv")
    parser.add_argument("--limit", type=int, help="evenly spaced photos; default all")
    arguments = parser.parse_args()
    arithmetic.set_environment("portable", 1)
    import cv2

    cv2.setNumThreads(1)
    for line in measure(arguments.root, arguments.limit):
        print(line)


if __name__ == "__main__":
    main()
