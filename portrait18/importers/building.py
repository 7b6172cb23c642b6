"""Build a training set in the competition's layout: seven photos of each person, masks drawn.

OUT/train/images/<id>_<gender>_<race>_<age>/   normal, incorrect_mask, mask1 ... mask5, each .jpg
OUT/train/train.csv                            written last: where it exists, the set is complete
OUT/skipped.csv                                file,reason of everybody left out for their photo

After a kill, the same call resumes and ends with the same bytes as an uninterrupted one.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from portrait18.core.errors import UserError
from portrait18.core.files import atomic_write, write_json
from portrait18.dataset import photos, tables
from portrait18.dataset.classes import MASK_BY_STEM
from portrait18.dataset.limits import MAX_PIXELS
from portrait18.importers import INPUTS, landmarks, mask_drawing, occluders
from portrait18.importers.mask_geometry import is_frontal
from portrait18.importers.mask_styles import OCCLUDERS, VARIETIES, WAYS, Variety

BATCH = 32  # photos per run of MTCNN, which is also what a kill can lose
MIN_FACE = 0.2  # smallest face, as a share of the shorter side
QUALITY = 92  # of the JPEG files
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
        if person["photo"] not in skipped and not _is_complete(job.images / person["path"])
    ]
    if not todo:
        return
    names = [person["photo"] for person in people]
    decoded = list(pool.map(lambda name: read_photo(job.folder / name, job.side), names))
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
        drawn = draw_states(photo, found, (job.seed, person["id"]), VARIETIES[job.masks])
        write_person(job.images / person["path"], drawn)

    # Each person has draws of their own, so the bytes don't depend on the order of the threads.
    futures = [pool.submit(finish, person) for person in todo if person["photo"] in faces]
    for future in futures:
        future.result()
    _write_skipped(skipped, job.skipped_file)


def read_photo(path: Path, side: int) -> np.ndarray:
    """Return the photo, its longer side at most `side` pixels.

    Raises:
        UserError: The photo can't be read any more.
    """
    try:
        photo = photos.read(path, MAX_PIXELS)
    except photos.PhotoError as error:
        raise UserError(
            f"{path} {error}; it was readable when the photos were listed, run this command again"
        ) from None
    scale = side / max(photo.shape[:2])
    if scale >= 1:
        return photo
    width, height = (max(photos.MIN_SIDE, round(n * scale)) for n in photo.shape[1::-1])
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)


def draw_states(
    photo: np.ndarray, points: np.ndarray, key: tuple[int, str], variety: Variety
) -> dict[str, np.ndarray]:
    """Return the seven photos of a person, uint8 (H, W, 3), by file stem.

    Args:
        photo: uint8 (H, W, 3), RGB.
        points: five points of a frontal face, see `landmarks.find`.
        key: seed and id of the person. The same key gives the same bytes.
        variety: which masks, hands and scarves to draw.
    """
    result = {}
    for state in MASK_BY_STEM:
        text = f"{key[0]}/{key[1]}/{state}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        rng = np.random.default_rng(int.from_bytes(digest))
        result[state] = _vary_view(_draw_state(photo, points, state, variety, rng), rng)
    return result


def _draw_state(
    photo: np.ndarray,
    points: np.ndarray,
    state: str,
    variety: Variety,
    rng: np.random.Generator,
) -> np.ndarray:
    seed = int(rng.integers(2**32))
    if state == "normal":
        if rng.random() >= variety.occluded:
            return photo
        return occluders.draw(photo, points, OCCLUDERS[rng.integers(len(OCCLUDERS))], seed)
    worn = "worn"
    if state == "incorrect_mask":
        worn = WAYS[1:][rng.choice(len(WAYS) - 1, p=variety.incorrect)]
    return mask_drawing.draw(photo, points, worn, seed, variety)


def _vary_view(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Zoom in a little and change the light, because a person's seven photos are never equal."""
    height, width = photo.shape[:2]
    zoom, place = rng.uniform(1, 1.08), rng.random(2)
    moved = np.array(
        [[zoom, 0, -(zoom - 1) * width * place[0]], [0, zoom, -(zoom - 1) * height * place[1]]]
    )
    nearer = cv2.warpAffine(
        photo, moved, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.rint((nearer * rng.uniform(0.9, 1.06)).clip(0, 255)).astype(np.uint8)


def write_person(folder: Path, drawn: dict[str, np.ndarray]) -> None:
    """Write the photos of a person as JPEG files.

    `normal` is compressed like the others, so that no trace of the file reveals the mask state.
    """
    for state, photo in drawn.items():
        _, data = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        with atomic_write(folder / f"{state}.jpg") as tmp_path:
            tmp_path.write_bytes(data.tobytes())


def _is_complete(folder: Path) -> bool:
    return all((folder / f"{state}.jpg").exists() for state in MASK_BY_STEM)


def _write_skipped(skipped: dict[str, str], path: Path) -> None:
    tables.write_csv(pd.DataFrame(sorted(skipped.items()), columns=["file", "reason"]), path)
