"""Operations on boxes x0, y0, x1, y1, float32 (C, 4), of many photos at once."""

import importlib.util
from pathlib import Path

import torch


def _register_nms() -> None:
    """Register torchvision's compiled operators, without its Python modules: they take seconds."""
    spec = importlib.util.find_spec("torchvision")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    libraries = sorted(folder.glob("_C*.so"))
    for library in libraries:
        torch.ops.load_library(library)
    if not libraries:
        importlib.import_module("torchvision")


_register_nms()


def batched_nms(
    boxes: torch.Tensor, scores: torch.Tensor, group: torch.Tensor, iou_threshold: float
) -> torch.Tensor:
    """Apply non-maximum suppression within each group.

    `torchvision.ops.batched_nms` shifts float32 boxes, so its rounding depends on the group's
    index. Here boxes are on a grid of 1/4096 pixel, where float64 is exact for every shift.
    So the faces of a photo do not depend on its position in the batch.

    Args:
        boxes: float32 (C, 4).
        scores: float32 (C,).
        group: int64 (C,), e.g. the index of the photo.
        iou_threshold: overlap (intersection over union) above which the lower score is dropped.

    Returns:
        Rows that are kept, highest score first, int64.
    """
    if not len(boxes):
        return group
    grid = (boxes.double() * 4096).round()
    shift = group.double() * (grid.max() - grid.min() + 1)
    return torch.ops.torchvision.nms(grid + shift[:, None], scores.double(), iou_threshold)


def apply_offsets(boxes: torch.Tensor, offsets: torch.Tensor, one: int) -> torch.Tensor:
    """Move each corner by a share of the box's sides (bounding-box regression).

    Args:
        boxes: float32 (C, 4).
        offsets: float32 (C, 4), shares of the width and height.
        one: pixels added to each side first; facenet-pytorch adds 1, but 0 after P-Net.
    """
    sides = boxes[:, 2:] - boxes[:, :2] + one
    return boxes + offsets * sides.repeat(1, 2)


def to_squares(boxes: torch.Tensor) -> torch.Tensor:
    """Return squares with the same centers and the longer side of each box."""
    sides = boxes[:, 2:] - boxes[:, :2]
    side = sides.amax(1, keepdim=True)
    corner = boxes[:, :2] + sides * 0.5 - side * 0.5
    return torch.cat([corner, corner + side], 1)
