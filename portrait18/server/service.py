"""From the uploads of a request to its predictions: checked, decoded, batched."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

import numpy as np

from portrait18.dataset import photos
from portrait18.dataset.photos import PhotoError
from portrait18.deployment.results import (
    Detection,
    FacePrediction,
    PhotoPrediction,
    photo_prediction,
)
from portrait18.server.batching import Batcher
from portrait18.server.limits import PixelBudget
from portrait18.server.problems import ApiError, PhotoProblem
from portrait18.server.settings import Settings
from portrait18.server.telemetry import Telemetry
from portrait18.server.uploads import Upload

#: Decoded photos in memory at a time, in photos of the largest allowed size.
_LARGEST_AT_A_TIME = 2


class Predictor(Protocol):
    """The part of `portrait18.deployment.predictor.Predictor` that the server uses."""

    def detect(self, photos: list[np.ndarray]) -> list[list[Detection]]:
        """Find the faces of each photo."""

    def predict_faces(self, detections: list[list[Detection]]) -> list[list[FacePrediction]]:
        """Predict the faces of several photos in common batches."""


def predict_batch(
    predictor: Predictor, telemetry: Telemetry, photos: list[np.ndarray]
) -> list[list[FacePrediction]]:
    """Return the faces of each photo; the faces of all photos share the networks' batches.

    Args:
        predictor: the loaded bundle.
        telemetry: receives the duration of both phases.
        photos: uint8 (H, W, 3), RGB, upright, of any sizes.
    """
    with telemetry.phase("detect"):
        detections = predictor.detect(photos)
    with telemetry.phase("classify"):
        return predictor.predict_faces(detections)


class PredictionService:
    """Predicts uploads; decodes in threads, so that the event loop keeps reading requests.

    Args:
        predictor: the loaded bundle.
        settings: limits and batch size.
        telemetry: receives counts and durations.
    """

    def __init__(self, predictor: Predictor, settings: Settings, telemetry: Telemetry):
        self._telemetry, self._max_pixels = telemetry, settings.max_pixels
        self._budget = PixelBudget(_LARGEST_AT_A_TIME * settings.max_pixels)
        self._decoders = ThreadPoolExecutor(
            min(4, os.cpu_count() or 1), thread_name_prefix="decode"
        )
        process = partial(predict_batch, predictor, telemetry)
        self.batcher = Batcher(process, settings.batch, settings.wait_ms / 1000, telemetry)

    async def close(self) -> None:
        """Finish the current batch and stop all threads."""
        await self.batcher.close()
        self._decoders.shutdown(cancel_futures=True)

    async def predict(self, uploads: list[Upload]) -> list[PhotoPrediction]:
        """Return the predictions for each upload.

        Raises:
            ApiError: 422 with every photo that cannot be used.
        """
        sizes = await self._map(photos.header_pixels, uploads)
        async with self._budget.hold(
            sum(size for size in sizes if not isinstance(size, PhotoError))
        ):
            with self._telemetry.phase("decode"):
                # Decode all, even if some are bad already: the response lists every bad one.
                decoded = await self._map(photos.decode_photo, uploads, sizes)
            if bad := [
                PhotoProblem(index=i, name=upload.name, reason=str(photo))
                for i, (upload, photo) in enumerate(zip(uploads, decoded, strict=True))
                if isinstance(photo, PhotoError)
            ]:
                raise ApiError(422, f"{len(bad)} of {len(uploads)} photos can't be used", bad)
            faces = await self.batcher([photo.pixels for photo in decoded])
        self._telemetry.photos.inc(len(uploads))
        self._telemetry.faces.inc(sum(map(len, faces)))
        return [photo_prediction(photo, found) for photo, found in zip(decoded, faces, strict=True)]

    async def _map(
        self, function: Callable, uploads: list[Upload], previous: list | None = None
    ) -> list[Any]:
        """Return `function` of each photo, or the `PhotoError` of this or the previous step."""

        def call(data: bytes, previous: Any) -> Any:
            try:
                return (
                    previous
                    if isinstance(previous, PhotoError)
                    else function(data, self._max_pixels)
                )
            except PhotoError as error:
                return error

        calls = zip(uploads, previous or [None] * len(uploads), strict=True)
        submitted = [self._decoders.submit(call, upload.data, result) for upload, result in calls]
        try:
            return await asyncio.gather(*map(asyncio.wrap_future, submitted))
        finally:
            # After a cancellation, threads finish the photo they began, which stays in memory.
            if running := [asyncio.wrap_future(each) for each in submitted if not each.done()]:
                await asyncio.wait(running)
