"""MTCNN's three networks over a batch of photos, without a loop over its candidates.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", 2016. The
networks and weights are those of the package facenet-pytorch, and so is what is done between them, step by step
(`facenet_pytorch.models.utils.detect_face`), so that the boxes are the package's. Other is how it is computed:

- A table of sums over all pixels left of and above each pixel. The mean of any rectangle is then a matter of its four
  corners: the photo at each scale and the view of each candidate are looked up, all candidates at once. Sums
  of integers are exact, on every device.
- Channels lie last in memory, where PyTorch's pooling on CPUs is several times quicker.
- Candidates of all photos and scales are suppressed at once.
"""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from facenet_pytorch import ONet, PNet, RNet
from facenet_pytorch.models.utils.detect_face import nms_numpy
from torch import nn
from torch.nn.functional import pad
from torchvision.ops import nms

SCALE_STEP = 0.709  # from one scale of the photo to the next, as in the paper
CELL, STRIDE = 12, 2  # pixels that P-Net sees at once, and from one place to the next
AT_ONCE = {
    24: 256,
    48: 64,
}  # candidates by the side of their view: what is computed at once stays in the cache


class Faces(NamedTuple):
    """Faces of one photo, the largest first: boxes float32 (F, 4), scores (F,), and eyes, nose, mouth (F, 5, 2), pixels."""

    boxes: np.ndarray
    scores: np.ndarray
    points: np.ndarray


class Mtcnn:
    """The cascade on `device`; on a CPU, a photo's faces are the same in every batch, to the last digit."""

    def __init__(self, device: torch.device):
        self.device = device
        self.pnet, self.rnet, self.onet = (
            net.eval().to(device) for net in (_pad_channels(PNet()), RNet(), ONet())
        )
        _pad_batch(self.pnet, 2)
        for layer in (self.pnet.conv4_1, self.pnet.conv4_2):
            _pad_batch(layer, 16)
        for net in (self.rnet, self.onet):
            _pad_batch(net, 8)

    @torch.inference_mode()
    def __call__(
        self, photos: np.ndarray, smallest: float, thresholds: tuple[float, float, float]
    ) -> list[Faces]:
        """All faces of each photo.

        Args:
            photos: uint8 (N, H, W, 3), RGB.
            smallest: side of the smallest face looked for, pixels.
            thresholds: of the scores of P-, R- and O-Net, 0 to 1.
        """
        sums = _sums(photos, self.device)
        photo, boxes = self._propose(sums, smallest, thresholds[0])
        photo, boxes, _, shift, _ = self._refine(
            self.rnet, 24, sums, photo, boxes, thresholds[1], 0.7
        )
        photo, boxes, scores, shift, points = self._refine(
            self.onet, 48, sums, photo, _squares(_moved(boxes, shift, 1)), thresholds[2], None
        )
        # x of the five points, then y, in shares of the box
        sides, corner = (boxes[:, 2:] - boxes[:, :2] + 1)[:, None], boxes[:, None, :2]
        points = sides * points.view(-1, 2, 5).transpose(1, 2) + corner - 1
        found = [
            values.cpu().numpy() for values in (photo, _moved(boxes, shift, 1), scores, points)
        ]
        return [_of_photo(i, *found) for i in range(len(photos))]

    def _propose(
        self, sums: torch.Tensor, smallest: float, threshold: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """P-Net's candidates at every scale: photo int64 (C,), squares float32 (C, 4)."""
        count, height, width = len(sums), sums.shape[1] - 1, sums.shape[2] - 1
        whole = torch.tensor([[0, 0, width, height]], device=self.device).expand(count, 4)
        every = torch.arange(count, device=self.device)
        found = []
        for scale in _scales(min(height, width), smallest):
            shift, probabilities = self.pnet(
                _views(sums, every, whole, int(height * scale + 1), int(width * scale + 1))
            )
            score = probabilities[:, 1]
            photo, y, x = torch.where(score >= threshold)
            at = STRIDE * torch.stack([x, y], 1).float()
            boxes = torch.cat([((at + 1) / scale).floor(), ((at + CELL) / scale).floor()], 1)
            found.append(
                (
                    photo,
                    torch.full_like(photo, len(found)),
                    boxes,
                    score[photo, y, x],
                    shift[photo, :, y, x],
                )
            )
        photo, level, boxes, score, shift = map(torch.cat, zip(*found, strict=True))
        kept = _suppressed(boxes, score, photo * len(found) + level, 0.5)
        kept = kept[_suppressed(boxes[kept], score[kept], photo[kept], 0.7)]
        return photo[kept], _squares(_moved(boxes[kept], shift[kept], 0))

    def _refine(
        self, net: nn.Module, side: int, sums, photo, boxes, threshold: float, overlap: float | None
    ):
        """R- or O-Net's judgement: photo, box, score, shift of the box and points of the candidates that stay."""
        # The package counts pixels from 1.
        limits = torch.tensor([sums.shape[2] - 1, sums.shape[1] - 1], device=self.device)
        corners = boxes.trunc().long()
        views = torch.cat([corners[:, :2].clamp(min=1) - 1, corners[:, 2:].minimum(limits)], 1)
        within = torch.where((views[:, 2:] > views[:, :2]).all(1))[0]
        photo, boxes, views = photo[within], boxes[within], views[within]
        parts = [
            net(
                _views(
                    sums, photo[at : at + AT_ONCE[side]], views[at : at + AT_ONCE[side]], side, side
                )
            )
            for at in range(0, max(1, len(views)), AT_ONCE[side])
        ]
        shift, *points, probabilities = (torch.cat(part) for part in zip(*parts, strict=True))
        score = probabilities[:, 1]
        kept = torch.where(score > threshold)[0]
        if overlap:
            kept = kept[_suppressed(boxes[kept], score[kept], photo[kept], overlap)]
        return (
            photo[kept],
            boxes[kept],
            score[kept],
            shift[kept],
            points[0][kept] if points else None,
        )


def _pad_channels(pnet: PNet) -> PNet:
    """P-Net with 16 channels behind its first convolution, six of which are zero: CPUs are slower at its own ten."""
    old, wide = (
        (pnet.conv1, pnet.prelu1, pnet.conv2),
        (nn.Conv2d(3, 16, 3), nn.PReLU(16), nn.Conv2d(16, 16, 3)),
    )
    with torch.no_grad():
        for layer, of in zip(wide, old, strict=True):
            for name, weights in layer.named_parameters():
                weights.zero_()[tuple(map(slice, getattr(of, name).shape))] = getattr(of, name)
    pnet.conv1, pnet.prelu1, pnet.conv2 = wide
    return pnet


def _pad_batch(net: nn.Module, multiple: int) -> None:
    """Always give a network a multiple of so many inputs, in one layout.

    For one input, or a few, PyTorch takes other CPU kernels, which round otherwise. And for each new number of inputs it
    makes kernels that it keeps, in thousands of little pieces between which no large piece of memory fits any more.
    """
    forward = net.forward

    def padded(inputs: torch.Tensor):
        count = len(inputs)
        filled = inputs
        if spare := max(1, -(-count // multiple)) * multiple - count:
            filled = torch.cat([inputs, inputs.new_zeros(spare, *inputs.shape[1:])])
        outputs = forward(filled.contiguous(memory_format=torch.channels_last))
        if isinstance(outputs, tuple):
            return tuple(of_all[:count] for of_all in outputs)
        return outputs[:count]

    net.forward = padded


def _scales(side: int, smallest: float) -> list[float]:
    """Of a photo whose shorter side has so many pixels, as long as P-Net sees less than all of it; at least one."""
    scales = [CELL / smallest]
    left = side * scales[0] * SCALE_STEP
    while left >= CELL:
        scales.append(scales[-1] * SCALE_STEP)
        left *= SCALE_STEP
    return scales


def _sums(photos: np.ndarray, device: torch.device) -> torch.Tensor:
    """Of uint8 (N, H, W, 3), int32 (N, H + 1, W + 1, 3): sums of what is left of and above each corner of a pixel.

    They may run over, in a very large photo; differences are right all the same, as those of clocks are.
    """
    if device.type == "cpu":  # where torch takes five times as long
        count, height, width, channels = photos.shape
        sums = np.empty((count, height + 1, width + 1, channels), np.int32)
        for photo, of_photo in zip(photos, sums, strict=True):
            cv2.integral(photo, of_photo, sdepth=cv2.CV_32S)
        return torch.from_numpy(sums)
    down = torch.as_tensor(photos, device=device).cumsum(1, dtype=torch.int32)
    return pad(down.cumsum(2, dtype=torch.int32), (0, 0, 1, 0, 1, 0))


def _views(
    sums: torch.Tensor, photo: torch.Tensor, boxes: torch.Tensor, height: int, width: int
) -> torch.Tensor:
    """What networks see of some photos' rectangles, averaged over areas as `adaptive_avg_pool2d` does.

    Args:
        sums: of the photos, see `_sums`.
        photo: int64 (K,), which of them.
        boxes: int64 (K, 4), x0, y0, x1, y1 in whole pixels, within the photo.

    Returns:
        float32 (K, 3, height, width), from -1 to 1, channels last.
    """
    columns, rows = (
        _cells(boxes[:, 0], boxes[:, 2], width),
        _cells(boxes[:, 1], boxes[:, 3], height),
    )
    at = (photo[:, None] * sums.shape[1] + rows.flatten(1))[:, :, None] * sums.shape[
        2
    ] + columns.flatten(1)[:, None]
    corners = sums.view(-1, 3).index_select(0, at.view(-1)).view(len(photo), height, 2, width, 2, 3)
    total = (corners[:, :, 1] - corners[:, :, 0]).diff(dim=3)[..., 0, :]
    mean = total / rows.diff(dim=2)[..., None] / columns.diff(dim=2)[:, None]
    return ((mean - 127.5) * 0.0078125).permute(0, 3, 1, 2)


def _cells(start: torch.Tensor, stop: torch.Tensor, count: int) -> torch.Tensor:
    """Where each of `count` cells from start to stop (K,) begins and ends, int64 (K, count, 2); they overlap by a pixel."""
    i, length = torch.arange(count, device=start.device), (stop - start)[:, None]
    return start[:, None, None] + torch.stack(
        [i * length // count, -(-(i + 1) * length // count)], 2
    )


def _suppressed(
    boxes: torch.Tensor, scores: torch.Tensor, group: torch.Tensor, overlap: float
) -> torch.Tensor:
    """Non-maximum suppression within each group, int64 (C,) from 0: rows that are kept, the surest first."""
    if not len(boxes):
        return group
    # Each group goes to a place of its own. On a grid of 1/4096 pixel float64 is exact wherever that is; otherwise a
    # photo's faces would depend on its place in the batch.
    grid = (boxes.double() * 4096).round()
    apart = group.double() * (grid.max() - grid.min() + 1)
    return nms(grid + apart[:, None], scores.double(), overlap)


def _moved(boxes: torch.Tensor, shift: torch.Tensor, one: int) -> torch.Tensor:
    """Each corner moved by a share of the box's sides, to which the package adds one except after P-Net."""
    sides = boxes[:, 2:] - boxes[:, :2] + one
    return boxes + shift * sides.repeat(1, 2)


def _squares(boxes: torch.Tensor) -> torch.Tensor:
    """Squares of the longer side about the same centers."""
    sides = boxes[:, 2:] - boxes[:, :2]
    side = sides.amax(1, keepdim=True)
    corner = boxes[:, :2] + sides * 0.5 - side * 0.5
    return torch.cat([corner, corner + side], 1)


def _of_photo(
    i: int, photo: np.ndarray, boxes: np.ndarray, scores: np.ndarray, points: np.ndarray
) -> Faces:
    rows = np.flatnonzero(photo == i)
    if len(rows) > 1:  # of two of which one lies in the other, the surer stays
        rows = rows[nms_numpy(boxes[rows], scores[rows], 0.7, "Min")]
    sides = boxes[rows, 2:] - boxes[rows, :2]
    rows = rows[np.argsort(sides[:, 0] * sides[:, 1])[::-1]]
    return Faces(boxes[rows], scores[rows], points[rows])
