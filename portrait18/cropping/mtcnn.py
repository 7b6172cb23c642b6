"""MTCNN for a batch of photos, without a loop over its candidates.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks",
2016. Weights and every step between the networks are those of the package facenet-pytorch
(`facenet_pytorch.models.utils.detect_face`), so the boxes are the same. The computation differs:

- Integral images give the photo at each scale and the view of each candidate, all at once.
- Channels are last in memory, where PyTorch's pooling on CPUs is several times faster.
- Non-maximum suppression handles the candidates of all photos and scales at once.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from portrait18.core.device import full_precision
from portrait18.cropping import mtcnn_networks
from portrait18.cropping.boxes import apply_offsets, batched_nms, to_squares
from portrait18.cropping.cascade import CELL, STRIDE, Faces, scales, sorted_faces
from portrait18.cropping.integral import area_pool, integral_images
from portrait18.cropping.mtcnn_networks import CascadeNetwork

#: Candidates per matrix product of R- and O-Net.
ROWS = 16


class Candidates(NamedTuple):
    """Candidates of all photos; `offsets` and `points` are outputs of the last network.

    Attributes:
        photo: int64 (C,), index of the photo.
        boxes: float32 (C, 4), input boxes of the network, in pixels.
        scores: float32 (C,), 0 to 1.
        offsets: float32 (C, 4), shares of the box.
        points: float32 (C, 10), x of the five points, then y, shares of the box; only of O-Net.
    """

    photo: torch.Tensor
    boxes: torch.Tensor
    scores: torch.Tensor
    offsets: torch.Tensor
    points: torch.Tensor | None = None

    def select(self, rows: torch.Tensor) -> "Candidates":
        """Return the candidates of these rows."""
        points = None if self.points is None else self.points[rows]
        return Candidates(
            self.photo[rows], self.boxes[rows], self.scores[rows], self.offsets[rows], points
        )


class Refiner(nn.Module):
    """R-Net or O-Net: score candidates and correct their boxes.

    Args:
        net: the network.
        side: side of its input in pixels.
        batch_size: candidates per forward pass; small enough that activations stay in the cache.
    """

    def __init__(self, net: nn.Module, side: int, batch_size: int):
        super().__init__()
        self.net, self.side, self.batch_size = net, side, batch_size
        _pad_batch(net, ROWS)
        for layer in net.modules():
            if isinstance(layer, nn.Linear):
                _multiply_in_blocks(layer, ROWS)

    def forward(
        self,
        integrals: torch.Tensor,
        photo: torch.Tensor,
        boxes: torch.Tensor,
        threshold: float,
    ) -> Candidates:
        """Return the candidates with a score above the threshold.

        Candidates that lie outside their photo are dropped.

        Args:
            integrals: see `integral_images`.
            photo: int64 (C,).
            boxes: float32 (C, 4), squares.
            threshold: 0 to 1.
        """
        height, width = integrals.shape[1] - 1, integrals.shape[2] - 1
        limits = torch.tensor([width, height], device=boxes.device)
        corners = boxes.trunc().long()
        # facenet-pytorch counts pixels from 1.
        views = torch.cat([corners[:, :2].clamp(min=1) - 1, corners[:, 2:].minimum(limits)], 1)
        inside = torch.where((views[:, 2:] > views[:, :2]).all(1))[0]
        photo, boxes, views = photo[inside], boxes[inside], views[inside]
        parts = []
        for start in range(0, max(1, len(views)), self.batch_size):
            batch = slice(start, start + self.batch_size)
            size = (self.side, self.side)
            parts.append(self.net(area_pool(integrals, photo[batch], views[batch], size)))
        offsets, *points, probabilities = (torch.cat(part) for part in zip(*parts, strict=True))
        found = Candidates(
            photo, boxes, probabilities[:, 1], offsets, points[0] if points else None
        )
        return found.select(torch.where(found.scores > threshold)[0])


class Mtcnn:
    """The cascade of P-, R- and O-Net.

    On a CPU, the faces of a photo are the same in every batch, to the last bit.

    Args:
        device: where the networks run.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.pnet = _pad_channels(mtcnn_networks.pnet()).eval().to(device)
        self.rnet = Refiner(mtcnn_networks.rnet(), 24, batch_size=256).eval().to(device)
        self.onet = Refiner(mtcnn_networks.onet(), 48, batch_size=64).eval().to(device)
        _pad_batch(self.pnet, 2)
        for name in ("conv4_1", "conv4_2"):
            _pad_batch(self.pnet.get_submodule(name), 16)

    @torch.inference_mode()
    @full_precision()
    def __call__(
        self, photos: np.ndarray, smallest: float, thresholds: tuple[float, float, float]
    ) -> list[Faces]:
        """Return all faces of each photo.

        Args:
            photos: uint8 (N, H, W, 3), RGB.
            smallest: side of the smallest face in pixels.
            thresholds: score thresholds of P-, R- and O-Net, 0 to 1.
        """
        integrals = integral_images(photos, self.device)
        photo, boxes = self._propose(integrals, smallest, thresholds[0])
        found = self.rnet(integrals, photo, boxes, thresholds[1])
        found = found.select(batched_nms(found.boxes, found.scores, found.photo, 0.7))
        boxes = to_squares(apply_offsets(found.boxes, found.offsets, 1))
        found = self.onet(integrals, found.photo, boxes, thresholds[2])
        sides = (found.boxes[:, 2:] - found.boxes[:, :2] + 1)[:, None]
        points = sides * found.points.view(-1, 2, 5).transpose(1, 2) + found.boxes[:, None, :2] - 1
        boxes = apply_offsets(found.boxes, found.offsets, 1)
        faces = Faces(*(values.cpu().numpy() for values in (boxes, found.scores, points)))
        photo_index = found.photo.cpu().numpy()
        return [sorted_faces(faces, photo_index == i) for i in range(len(photos))]

    def _propose(
        self, integrals: torch.Tensor, smallest: float, threshold: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return P-Net's candidates at all scales: photo int64 (C,), squares float32 (C, 4)."""
        count, height, width = len(integrals), integrals.shape[1] - 1, integrals.shape[2] - 1
        full = torch.tensor([[0, 0, width, height]], device=self.device).expand(count, 4)
        photos = torch.arange(count, device=self.device)
        parts, levels = [], []
        for level, scale in enumerate(scales(min(height, width), smallest)):
            size = (int(height * scale + 1), int(width * scale + 1))
            offsets, probabilities = self.pnet(area_pool(integrals, photos, full, size))
            scores = probabilities[:, 1]
            photo, y, x = torch.where(scores >= threshold)
            position = STRIDE * torch.stack([x, y], 1).float()
            corners = ((position + 1) / scale).floor(), ((position + CELL) / scale).floor()
            boxes = torch.cat(corners, 1)
            parts.append((photo, boxes, scores[photo, y, x], offsets[photo, :, y, x]))
            levels.append(torch.full_like(photo, level))
        found = Candidates(*map(torch.cat, zip(*parts, strict=True)))
        group = found.photo * len(levels) + torch.cat(levels)
        found = found.select(batched_nms(found.boxes, found.scores, group, 0.5))
        found = found.select(batched_nms(found.boxes, found.scores, found.photo, 0.7))
        return found.photo, to_squares(apply_offsets(found.boxes, found.offsets, 0))


def _pad_channels(pnet: CascadeNetwork) -> CascadeNetwork:
    """Pad P-Net's first convolution from 10 to 16 channels with zeros, which CPUs run faster."""
    old = (pnet.conv1, pnet.prelu1, pnet.conv2)
    padded = (nn.Conv2d(3, 16, 3), nn.PReLU(16), nn.Conv2d(16, 16, 3))
    with torch.no_grad():
        for layer, source in zip(padded, old, strict=True):
            for name, weights in layer.named_parameters():
                original = getattr(source, name)
                weights.zero_()[tuple(map(slice, original.shape))] = original
    pnet.conv1, pnet.prelu1, pnet.conv2 = padded
    return pnet


def _pad_batch(net: nn.Module, multiple: int) -> None:
    """Pad every batch of a network to a multiple of `multiple` inputs, channels last.

    For few inputs PyTorch selects other CPU kernels, which round differently. It also keeps
    kernels for each new number of inputs, whose small blocks fragment the memory.
    """
    forward = net.forward

    def padded(inputs: torch.Tensor):
        count = len(inputs)
        spare = max(1, -(-count // multiple)) * multiple - count
        if spare:
            inputs = torch.cat([inputs, inputs.new_zeros(spare, *inputs.shape[1:])])
        outputs = forward(inputs.contiguous(memory_format=torch.channels_last))
        if isinstance(outputs, tuple):
            return tuple(output[:count] for output in outputs)
        return outputs[:count]

    net.forward = padded


def _multiply_in_blocks(layer: nn.Module, rows: int) -> None:
    """On a CPU, compute a linear layer in products of `rows` rows, a divisor of its batch size.

    MKL selects kernels and splits sums by the number of rows, on Intel's CPUs more than on AMD's:
    a candidate would get other last bits in a small batch than in a large one.
    """
    forward = layer.forward

    def in_blocks(inputs: torch.Tensor) -> torch.Tensor:
        if inputs.device.type != "cpu":
            return forward(inputs)
        return torch.cat([forward(block) for block in inputs.split(rows)])

    layer.forward = in_blocks
