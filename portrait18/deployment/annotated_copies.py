"""Copies of photos with boxes and predictions, for `portrait18 predict --draw`."""

import os
from collections import Counter
from pathlib import Path

from portrait18.core.errors import UserError, too_long
from portrait18.core.files import atomic_write
from portrait18.dataset.photos import DecodedPhoto
from portrait18.deployment import output_formats
from portrait18.deployment.annotation import annotate
from portrait18.deployment.results import FacePrediction, scale_box

#: Formats that annotated copies keep; all others become PNG.
DRAWN_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def write(photo: DecodedPhoto, faces: list[FacePrediction], path: Path) -> None:
    """Write a copy of a photo with the box and predictions of each face.

    Args:
        photo: what was predicted.
        faces: its faces; boxes are in pixels of the file.
        path: file to write; its suffix names the format.
    """
    labels = []
    for n, face in enumerate(faces, start=1):
        mask, *others = output_formats.summary(face)
        labels.append([f"{n}  mask {mask}", *others])
    scale = photo.pixels.shape[1] / photo.size[0]
    copy = annotate(photo.pixels, [scale_box(face.box, scale) for face in faces], labels)
    with atomic_write(path) as tmp_path:
        copy.save(tmp_path, quality=92)


def choose_paths(paths: list[Path], out: Path) -> dict[Path, Path]:
    """Return the path of each photo's copy; the copies keep the photos' folders.

    Args:
        paths: of the photos.
        out: folder for the copies.

    Raises:
        UserError: two copies would have one path, or a copy would overwrite a photo.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"--draw {out} is a file; name a folder")
    absolute = {path: Path(os.path.abspath(path)) for path in paths}
    common = Path(os.path.commonpath([path.parent for path in absolute.values()]))
    copies = {}
    for path, full in absolute.items():
        copy = out / full.relative_to(common)
        keeps_format = copy.suffix.lower() in DRAWN_SUFFIXES
        copies[path] = copy if keeps_format else copy.with_name(f"{copy.name}.png")
    if twice := [str(copy) for copy, times in Counter(copies.values()).items() if times > 1]:
        raise UserError(
            f"--draw {out}: two photos would be drawn as {', '.join(twice)}; rename one of the two"
        )
    reasons = {copy: too_long(copy) for copy in copies.values()}
    if long := [f"--draw {copy} {reason}" for copy, reason in reasons.items() if reason]:
        raise UserError(long)
    photos = {path.resolve() for path in paths}
    if any(copy.resolve() in photos for copy in copies.values()):
        raise UserError(f"--draw {out}: copies would overwrite the photos; name another folder")
    return copies
