"""Build a training set in the competition's layout: seven photos of each person, masks drawn.

OUT/train/images/<id>_<gender>_<race>_<age>/   normal, incorrect_mask, mask1 ... mask5, each .jpg
OUT/train/train.csv                            written last: where it exists, the set is complete
OUT/skipped.csv                                file,reason of everybody left out for their photo

After a kill, the same call resumes and ends with the same bytes as an uninterrupted one.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from portrait18.core.errors import UserError
from portrait18.core.files import write_json
from portrait18.dataset import tables
from portrait18.importers import INPUTS, landmarks, person_photos
from portrait18.importers.mask_geometry import is_frontal
from portrait18.importers.mask_styles import VARIETIES

BATCH = 32  # photos per run of MTCNN, which is also what a kill can lose
MIN_FACE = 0.2  # smallest face, as a share of the shorter side
NO_FACE, TURNED = "no face found", "face seen from the side"


@dataclass(frozen=True)
class Job:
    """A training set to build.

    Attributes:
        people: table with photo (relative to `folder`), id, gender, race, age; all can be decoded.
        folder: where the photos are.
        out: root of the new data set.
        seed: draws masks, their fit and the view of each photo.
        side: longer photos are shrunk to this many pixels.
        masks: key of `mask_styles.VARIETIES`.
    """

    people: pd.DataFrame
    folder: Path
    out: Path
    seed: int
    side: int
    masks: str = "varied"

    @property
    def images(self) -> Path:
        """Folder with one folder per person."""
        return self.out / "train/images"

    @property
    def skipped_file(self) -> Path:
        """CSV of the photos that are left out."""
        return self.out / "skipped.csv"


def claim(out: Path, inputs: dict[str, Any]) -> None:
    """Reserve a new folder for these inputs, or accept one that was reserved for the same.

    Raises:
        UserError: `out` holds anything else.
    """
    mark = out / INPUTS
    if mark.exists():
        try:
            earlier = json.loads(mark.read_text())
        except ValueError:
            raise UserError(f"{mark} is damaged; delete {out} or choose another folder") from None
        if earlier != inputs:
            raise UserError(
                f"{out} was built from other photos or with other options;"
                " delete it or choose another folder"
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and was not built by this command; choose a new folder")
    write_json(inputs, mark)


def build(job: Job, skipped: dict[str, str]) -> pd.DataFrame:
    """Write the photos, skipped.csv and train.csv.

    Args:
        job: what to build.
        skipped: file -> reason; receives those without a usable face.

    Returns:
        The table of train.csv.
    """
    columns = ["id", "gender", "race", "age"]
    folders = ["_".join(map(str, cells)) for cells in job.people[columns].values.tolist()]
    people = job.people.assign(path=folders)
    if job.skipped_file.exists():
        earlier = tables.read_user_csv(job.skipped_file, ["file", "reason"])
        reasons = zip(earlier.file, earlier.reason, strict=True)
        skipped.update((file, reason) for file, reason in reasons if reason in (NO_FACE, TURNED))
    from portrait18.core.device import device
    from portrait18.cropping.mtcnn import Mtcnn

    net = Mtcnn(device())
    with (
        ThreadPoolExecutor() as pool,
        tqdm(total=len(people), desc="draw", unit="person", disable=None) as bar,
    ):
        # Batches don't depend on what was done before: MTCNN's rounding depends on the batch.
        for start in range(0, len(people), BATCH):
            batch = people.iloc[start : start + BATCH]
            _build_batch(job, batch, skipped, net, pool)
            bar.update(len(batch))
    train = people[~people.photo.isin(list(skipped))][[*columns, "path"]]
    _write_skipped(skipped, job.skipped_file)
    tables.write_csv(train, job.out / "train/train.csv")
    return train


def _build_batch(
    job: Job,
    batch: pd.DataFrame,
    skipped: dict[str, str],
    net: landmarks.Net,
    pool: ThreadPoolExecutor,
) -> None:
    people = batch.to_dict("records")
    todo = [
        person
        for person in people
        if person["photo"] not in skipped
        and not person_photos.is_complete(job.images / person["path"])
    ]
    if not todo:
        return
    names = [person["photo"] for person in people]
    decoded = list(pool.map(lambda name: person_photos.read(job.folder / name, job.side), names))
    points = landmarks.find(net, decoded, MIN_FACE)
    faces: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, photo, found in zip(names, decoded, points, strict=True):
        if found is None:
            skipped[name] = NO_FACE
        elif not is_frontal(found):
            skipped[name] = TURNED
        else:
            faces[name] = photo, found

    def finish(person: dict) -> None:
        photo, found = faces[person["photo"]]
        drawn = person_photos.draw(photo, found, (job.seed, person["id"]), VARIETIES[job.masks])
        person_photos.write(job.images / person["path"], drawn)

    # Each person has draws of their own, so the bytes don't depend on the order of the threads.
    futures = [pool.submit(finish, person) for person in todo if person["photo"] in faces]
    for future in futures:
        future.result()
    _write_skipped(skipped, job.skipped_file)


def _write_skipped(skipped: dict[str, str], path: Path) -> None:
    tables.write_csv(pd.DataFrame(sorted(skipped.items()), columns=["file", "reason"]), path)
