"""Cut a square region out of a batch of photos and resize it, by two matrix products."""

import torch
from torch import nn
from torch.nn import functional as F

from portrait18.dataset.alignment import Square
from portrait18.models.interpolation import interpolation_matrix


class Resample(nn.Module):
    """Cut a square region and resize it with antialiased bilinear interpolation.

    The region may begin and end between pixels and may reach beyond the photo, where the pixels of
    the edge are repeated. Rows and columns are resized by fixed matrices, so the result is
    differentiable, and any program with a matrix product computes it.

    Input: float (N, C, S, S). Output: float (N, C, size, size).

    Args:
        region: the square, as fractions of S.
        input_size: S, pixels.
        size: pixels of the output.
    """

    columns: torch.Tensor
    rows: torch.Tensor

    def __init__(self, region: Square, input_size: int, size: int):
        super().__init__()
        self.region = region
        for name, start in (("columns", region.x0), ("rows", region.y0)):
            matrix = interpolation_matrix(start, region.side, input_size, size)
            self.register_buffer(name, torch.from_numpy(matrix), persistent=False)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """Return the resized region of each photo."""
        kind = photos.device.type
        if torch.is_autocast_enabled(kind):
            # bfloat16 would round pixel values to 7 bits.
            with torch.autocast(kind, enabled=False):
                return self._resize(photos)
        return self._resize(photos)

    def _resize(self, photos: torch.Tensor) -> torch.Tensor:
        resized = F.linear(photos.contiguous(), self.columns)
        return F.linear(resized.transpose(2, 3), self.rows).transpose(2, 3)
