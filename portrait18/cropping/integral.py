"""Integral images: the mean color of any rectangle from four lookups.

Sums of integers are exact, so results are identical on every device.
"""

import cv2
import numpy as np
import torch
from torch.nn.functional import pad


def integral_images(photos: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return the sum of all pixels above and left of each pixel corner.

    Sums may overflow for very large photos. Differences of sums are still correct, because
    integer arithmetic wraps around.

    Args:
        photos: uint8 (N, H, W, 3).
        device: device of the result.

    Returns:
        int32 (N, H + 1, W + 1, 3).
    """
    if device.type == "cpu":  # five times as fast as torch.cumsum
        count, height, width, channels = photos.shape
        sums = np.empty((count, height + 1, width + 1, channels), np.int32)
        for photo, out in zip(photos, sums, strict=True):
            cv2.integral(photo, out, sdepth=cv2.CV_32S)
        return torch.from_numpy(sums)
    down = torch.as_tensor(photos, device=device).cumsum(1, dtype=torch.int32)
    return pad(down.cumsum(2, dtype=torch.int32), (0, 0, 1, 0, 1, 0))


def area_pool(
    integrals: torch.Tensor, photo: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Resize rectangles of photos by averaging areas, like `adaptive_avg_pool2d`.

    Args:
        integrals: result of `integral_images`.
        photo: int64 (K,), index of the photo of each rectangle.
        boxes: int64 (K, 4), x0, y0, x1, y1 in whole pixels inside the photo.
        size: height and width of the result.

    Returns:
        float32 (K, 3, height, width) in [-1, 1], channels last in memory.
    """
    height, width = size
    columns = _cells(boxes[:, 0], boxes[:, 2], width)
    rows = _cells(boxes[:, 1], boxes[:, 3], height)
    row_start = (photo[:, None] * integrals.shape[1] + rows.flatten(1)) * integrals.shape[2]
    index = row_start[:, :, None] + columns.flatten(1)[:, None]
    corners = integrals.view(-1, 3).index_select(0, index.view(-1))
    corners = corners.view(len(photo), height, 2, width, 2, 3)
    total = (corners[:, :, 1] - corners[:, :, 0]).diff(dim=3)[..., 0, :]
    mean = total / rows.diff(dim=2)[..., None] / columns.diff(dim=2)[:, None]
    return ((mean - 127.5) * 0.0078125).permute(0, 3, 1, 2)


def _cells(start: torch.Tensor, stop: torch.Tensor, count: int) -> torch.Tensor:
    """Split each interval into `count` cells; neighbors may share a pixel.

    Args:
        start: int64 (K,).
        stop: int64 (K,).
        count: cells per interval.

    Returns:
        Start and stop of each cell, int64 (K, count, 2).
    """
    i, length = torch.arange(count, device=start.device), (stop - start)[:, None]
    bounds = torch.stack([i * length // count, -(-(i + 1) * length // count)], 2)
    return start[:, None, None] + bounds
