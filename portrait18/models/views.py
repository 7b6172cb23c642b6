"""Crops as networks see them: resized, and in fixed views in place of random augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from portrait18.core.feature_params import View
from portrait18.dataset.warping import warp

if TYPE_CHECKING:
    import torch


class CropArray(Protocol):
    """Crops, uint8 (N, S, S, 3): an array, a memory map or several crop stores joined."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, S, S, 3)."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any, /) -> Any: ...


def resize(crops: np.ndarray, size: int) -> np.ndarray:
    """Resize crops, uint8 (N, S, S, 3), to (N, size, size, 3), averaging areas when shrinking."""
    if crops.shape[1] == size:
        return np.ascontiguousarray(crops)
    return np.stack(
        [cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA) for crop in crops]
    )


def center_crop(crops: np.ndarray, scale: float) -> np.ndarray:
    """Return the centers of crops (N, S, S, 3), with `scale` of their width."""
    side = crops.shape[1]
    margin = round(side * (1 - scale) / 2)
    return crops[:, margin : side - margin, margin : side - margin]


def apply(crops: np.ndarray, view: View, size: int) -> np.ndarray:
    """Change crops as a view says and resize them.

    Args:
        crops: uint8 (N, S, S, 3).
        view: what to change.
        size: side of the result in pixels.

    Returns:
        uint8 (N, size, size, 3). Outside a crop, its outermost pixels are repeated.
    """
    if view.is_warped:
        side = crops.shape[1]
        center = (side - 1) / 2
        matrix: np.ndarray = cv2.getRotationMatrix2D((center, center), view.rotate, view.scale)
        if view.flip:  # x becomes 2 * center - x
            matrix[:, 2] += 2 * center * matrix[:, 0]
            matrix[:, 0] *= -1
        matrix[:, 2] += np.array([view.x, view.y]) * side
        result = resize(np.stack([warp(crop, matrix, side) for crop in crops]), size)
    else:
        result = resize(crops, size)
        result = np.ascontiguousarray(result[:, :, ::-1]) if view.flip else result
    return result if view.resolution == 1 else _coarsen(result, view.resolution)


def _coarsen(crops: np.ndarray, resolution: float) -> np.ndarray:
    """Shrink crops to a share of their side and enlarge them again."""
    size = crops.shape[1]
    small = resize(crops, max(2, round(size * resolution)))
    # The exact variant is integer arithmetic, equal on every CPU.
    return np.stack(
        [cv2.resize(crop, (size, size), interpolation=cv2.INTER_LINEAR_EXACT) for crop in small]
    )


def to_device(photos: np.ndarray, device: torch.device) -> torch.Tensor:
    """Move uint8 (N, S, S, 3) to the device as uint8 (N, 3, S, S), channels last in memory."""
    import torch  # only here: prediction without PyTorch uses the other functions

    tensor = torch.from_numpy(photos)
    if device.type == "cuda":
        tensor = tensor.pin_memory().to(device, non_blocking=True)
    return tensor.permute(0, 3, 1, 2)
