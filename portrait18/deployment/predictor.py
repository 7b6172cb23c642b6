"""Predict photos with a bundle. Python, the command line and the server all use `Predictor`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pandas as pd

from portrait18.cropping import faces, framing, rotation
from portrait18.dataset.classes import ALL, TASKS
from portrait18.dataset.limits import MAX_PIXELS
from portrait18.deployment import engines
from portrait18.deployment.bundle import Manifest, corrupt, read_manifest
from portrait18.deployment.engines import Network
from portrait18.deployment.photo_inputs import Photo, decode_batches
from portrait18.deployment.results import (
    CropPredictions,
    Detection,
    FacePrediction,
    PhotoPrediction,
    group_by_photo,
    photo_prediction,
)
from portrait18.evaluation import ensemble_config, gender_pairs, temperature, voting

if TYPE_CHECKING:  # PyTorch takes seconds to import and need not be installed
    import torch


class Predictor:
    """A loaded ensemble; `portrait18.load` makes it.

    Methods may be called from any thread, but by one thread at a time.

    Attributes:
        manifest: content of bundle.json.
        device: where PyTorch runs the networks; None: ONNX Runtime runs them on the CPU.
        crop_size: side of the crops in pixels.
    """

    def __init__(
        self,
        manifest: Manifest,
        networks: Sequence[Network],
        device: torch.device | None,
        min_face: float | None = None,
    ):
        self.manifest = manifest
        self.device = device
        self.crop_size = manifest.crop.image_size
        self._ensemble, self._voters = ensemble_config.from_json(manifest.ensemble)
        self._members = list(zip(manifest.networks, networks, strict=True))
        self._people = {entry.model: model.params.people for entry, model in self._members}
        min_face = manifest.crop.min_face if min_face is None else min_face
        if not 0 < min_face <= 1:
            raise ValueError(f"min_face = {min_face} must be above 0 and at most 1")
        self._detector = faces.Detector(min_face, device, manifest.crop.method)
        self._turn_finder = rotation.TurnFinder() if manifest.crop.rotate else None

    @overload
    def predict(
        self, photos: Photo, *, assume_face: bool = ..., max_pixels: int = ...
    ) -> PhotoPrediction: ...

    @overload
    def predict(
        self,
        photos: list[Any] | tuple[Any, ...],
        *,
        assume_face: bool = ...,
        max_pixels: int = ...,
    ) -> list[PhotoPrediction]: ...

    def predict(self, photos, *, assume_face=False, max_pixels=MAX_PIXELS):
        """Predict every face of one photo or of several.

        Args:
            photos: a path, the bytes of a file, a PIL image or an array uint8 (H, W, 3), RGB,
                upright; or a list of them.
            assume_face: predict a photo without a face too, at the position where most faces of the
                training photos are (`found` is `median`).
            max_pixels: refuse larger files, bytes and images (width x height).

        Returns:
            One `PhotoPrediction` for one photo, a list of them for a list.

        Raises:
            PhotoError: a photo can't be used; the message names it and the reason.
        """
        if not isinstance(photos, list | tuple):
            return self.predict([photos], assume_face=assume_face, max_pixels=max_pixels)[0]
        results: list[PhotoPrediction] = []
        for batch in decode_batches(photos, max_pixels):
            found = self.detect([photo.pixels for photo in batch], assume_face)
            results += map(photo_prediction, batch, self.predict_faces(found))
        return results

    def detect(
        self, photos: Sequence[np.ndarray], assume_face: bool = False
    ) -> list[list[Detection]]:
        """Find the faces of each photo and crop them as in training.

        Every face that the first search finds counts. The later ones have lower thresholds and find
        too much: only the most plausible face counts, as in the pipeline. It replaces those of the
        first search that it overlaps, which are parts of it.

        Args:
            photos: uint8 (H, W, 3), RGB, upright, of any sizes.
            assume_face: as for `predict`.

        Returns:
            The faces of each photo, the largest first. If the networks were trained on the middle
            squares of photos (`crop.method: center`), that square and no face detection.
        """
        crop = self.manifest.crop
        if crop.method == "center":
            return [[self._detection(photo, faces.center(photo), "center")] for photo in photos]
        result = []
        found_faces = rotation.find(self._detector, photos, crop.batch_size, self._turn_finder)
        for photo, found in zip(photos, found_faces, strict=True):
            all_faces = [(face, found.source) for face in found.faces]
            first = self._detector.searches[0]
            if found.search != first and (best := found.choose(photo)):
                others = [face for face in found.replaced if not faces.overlap(face, best)]
                source = found._replace(search=first).source
                all_faces = [(best, found.source), *((face, source) for face in others)]
            elif not all_faces and assume_face:
                box = np.multiply(self.manifest.median_box, photo.shape[1::-1] * 2)
                face = faces.Face._make([*box.round(2).tolist(), 0.0, 0.0, ()])
                all_faces = [(face, "median")]
            all_faces.sort(key=lambda pair: (-pair[0].side, pair))
            result.append([self._detection(photo, *pair, found.turn) for pair in all_faces])
        return result

    def _detection(
        self, photo: np.ndarray, face: faces.Face, source: str, turn: int = 0
    ) -> Detection:
        photo = rotation.turned_photo(photo, turn)
        crop = framing.cut(photo, face, source, self.manifest.crop)
        return Detection(rotation.turn_back(face, turn, *photo.shape[1::-1]), source, crop)

    def classify(self, crops: np.ndarray) -> CropPredictions:
        """Predict crops, which may come from several photos or requests.

        Args:
            crops: uint8 (N, crop_size, crop_size, 3), RGB; N may be 0.
        """
        if crops.shape[1:] != (self.crop_size, self.crop_size, 3) or crops.dtype != np.uint8:
            raise ValueError(
                f"crops are {crops.dtype} {crops.shape}; they must be uint8"
                f" (N, {self.crop_size}, {self.crop_size}, 3)"
            )
        if len(crops) == 0:
            return CropPredictions.empty()
        members: dict[str, list[pd.DataFrame]] = {}
        cache: dict = {}  # frozen backbones run once for all networks
        for entry, model in self._members:
            members.setdefault(entry.model, []).append(self._member_table(model, crops, cache))
        models = {name: voting.average_members(m, ["row"]) for name, m in members.items()}
        models = temperature.scale_models(models, self._ensemble.temperatures)
        models = gender_pairs.merge(models, self._people)
        years = voting.mean_years(models.values())
        predictions = self._ensemble.predict(voting.collect_votes(models, self._voters), years)
        parts, class_ids = ensemble_config.by_task(predictions)
        joint = ensemble_config.joint_probabilities(predictions)
        return CropPredictions(**parts, joint=joint, years=years, class_ids=class_ids)

    def _member_table(self, model: Network, crops: np.ndarray, cache: dict) -> pd.DataFrame:
        rows = np.arange(len(crops))
        probabilities, years = model.predict(crops, rows, self.manifest.predict, cache)
        columns = {**TASKS, ALL.name: ALL}[model.params.task].columns
        table = pd.DataFrame(probabilities.astype(np.float64), columns=columns).assign(row=rows)
        return table if years is None else table.assign(years=years.astype(np.float64))

    def predict_faces(self, detections: list[list[Detection]]) -> list[list[FacePrediction]]:
        """Predict the faces of several photos in common batches.

        Args:
            detections: faces of each photo, as `detect` returns them.
        """
        crops = [detection.crop for photo in detections for detection in photo]
        if not crops:
            return [[] for _ in detections]
        return group_by_photo(detections, self.classify(np.stack(crops)))


def load(
    folder: str | os.PathLike,
    device: str | torch.device | None = None,
    min_face: float | None = None,
    engine: str | None = None,
) -> Predictor:
    """Load a bundle; see `portrait18.load`."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    try:
        models = {entry.model for entry in manifest.networks}
        ensemble_config.check_models(*ensemble_config.from_json(manifest.ensemble), models)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise corrupt(folder, error) from None
    return Predictor(manifest, *engines.load(folder, manifest, engine, device), min_face)
