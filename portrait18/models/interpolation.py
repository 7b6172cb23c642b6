"""Antialiased bilinear interpolation of one axis as a matrix."""

import numpy as np


def interpolation_matrix(start: float, side: float, input_size: int, size: int) -> np.ndarray:
    """Return the weight of each input pixel in each output pixel, float32 (size, input_size).

    The weight falls linearly with the distance of the pixels' centers, and is zero at one pixel of
    the input or of the output, whichever is larger.

    Args:
        start: where the first output pixel begins, as a fraction of the input.
        side: width of all output pixels, as a fraction of the input.
        input_size: pixels of the input.
        size: pixels of the output.
    """
    step = side * input_size / size
    centers = start * input_size + step * (np.arange(size, dtype=np.float64) + 0.5) - 0.5
    reach = max(step, 1.0)
    first = int(centers[0] - reach) - 1
    pixels = np.arange(first, int(centers[-1] + reach) + 2)
    weights = np.maximum(1 - np.abs(pixels - centers[:, None]) / reach, 0)
    weights = weights / weights.sum(1, keepdims=True)
    matrix = np.zeros((size, input_size))
    # Pixels beyond the edge are those of the edge.
    for pixel, weight in zip(pixels.clip(0, input_size - 1), weights.T, strict=True):
        matrix[:, pixel] += weight
    return matrix.astype(np.float32)
