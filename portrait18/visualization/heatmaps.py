"""Heat maps of where a network looks: Grad-CAM, Selvaraju et al. 2017, with the package grad-cam.

The map comes from the backbone's last feature map, before pooling. It shows what raises the
log-odds of the predicted class against the other classes. It is coarse, 3 x 3 cells at 96 px for
most networks: it shows which part of the face matters, not which pixel.
"""

from typing import Any, cast

import cv2
import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from torch import nn

from portrait18.dataset.alignment import Square
from portrait18.dataset.classes import ALL, TASKS, Task
from portrait18.models import contrast
from portrait18.models.backbones import Features, Network
from portrait18.models.inference import Model
from portrait18.models.resample import Resample
from portrait18.models.views import resize, to_device

OPACITY = 0.65  # of the color where the map is highest; the face must stay visible


class _HookPoint(nn.Module):
    """Pass a backbone's last features through; `hook` sees a feature map as (N, C, H, W).

    `region` is what the backbone sees of a crop, as fractions of its side; None: all.
    """

    def __init__(self, part: Features):
        super().__init__()
        self.channels_last = getattr(part.backbone, "output_fmt", "NCHW") == "NHWC"
        self.region = part.resample.region if part.resample else None
        self.hook = nn.Identity()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if not self.channels_last:
            return self.hook(features)
        return self.hook(features.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class HookedNetwork(nn.Module):
    """A network whose last features pass through modules that Grad-CAM can hook."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = cast(Network, network)
        # Any: PyTorch does not type the attributes of a module's children.
        self.parts: list[Any] = list(self.network.features)
        self.points = nn.ModuleList(_HookPoint(part) for part in self.parts)

    def last_features(self, photos: torch.Tensor) -> list[torch.Tensor]:
        """Return each backbone's features before pooling, a map or tokens, for (N, 3, S, S)."""
        return [part.backbone.forward_features(part.prepare(photos)) for part in self.parts]

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """Return the network's outputs (N, widths) for photos (N, 3, S, S)."""
        pooled = [
            part.backbone.forward_head(point(features))
            for part, point, features in zip(
                self.parts, self.points, self.last_features(photos), strict=True
            )
        ]
        return self.network.head(torch.cat(pooled, 1)).float()

    def map_points(self, size: int) -> list[_HookPoint]:
        """Return the modules whose hooks see a feature map for photos of `size` pixels.

        Backbones that end in tokens have none.
        """
        device = next(self.parameters()).device
        with torch.inference_mode():
            last = self.last_features(torch.zeros(1, 3, size, size, device=device))
        return [
            cast(_HookPoint, point)
            for point, features in zip(self.points, last, strict=True)
            if features.ndim == 4
        ]


def has_feature_map(model: Model) -> bool:
    """Return whether a backbone of the model ends in a feature map.

    Plain vision transformers end in a sequence of tokens.
    """
    return bool(HookedNetwork(model.network).map_points(model.params.image_size))


def predicted_tasks(model: Model) -> list[Task]:
    """Return the tasks that a model predicts: its own task, or all three."""
    return list(TASKS.values()) if model.target.task is ALL else [model.target.task]


def _log_odds(model: Model, outputs: torch.Tensor, task: Task, class_index: int) -> torch.Tensor:
    """Return the log-odds of one class of `task`, a scalar, for one photo's outputs (widths,)."""
    # Double precision: if one class is near 1, the others, and with them the map, would round to 0.
    smallest = torch.finfo(torch.float64).tiny
    probabilities = model.target.probabilities(outputs.double()[None])
    if model.target.task is ALL:
        cube = probabilities.reshape([len(t.classes) for t in TASKS.values()])
        other_axes = [axis for axis, t in enumerate(TASKS.values()) if t is not task]
        probabilities = cube.sum(other_axes)[None]
    chosen = probabilities[0, class_index]
    others = torch.cat([probabilities[0, :class_index], probabilities[0, class_index + 1 :]]).sum()
    return chosen.clamp(smallest).log() - others.clamp(smallest).log()


class _RegionGradCAM(GradCAM):
    """Grad-CAM that puts the map of each backbone on the region of the crop that it sees."""

    def __init__(self, network: HookedNetwork, points: list[_HookPoint]):
        super().__init__(network, [point.hook for point in points])
        self.regions = [point.region for point in points]

    def compute_cam_per_layer(self, *args) -> list[np.ndarray]:
        """Return a map (N, 1, S, S) for each layer."""
        maps = super().compute_cam_per_layer(*args)
        return [m if r is None else _place(m, r) for m, r in zip(maps, self.regions, strict=True)]


def _place(maps: np.ndarray, region: Square) -> np.ndarray:
    """Return maps (N, 1, S, S) of a region as maps of the whole crop, 0 outside of the region."""
    size = maps.shape[-1]
    inverse = Square(-region.x0 / region.side, -region.y0 / region.side, 1 / region.side)
    centers = (np.arange(size) + 0.5) / size
    columns, rows = (
        (centers >= start) & (centers <= start + region.side) for start in (region.x0, region.y0)
    )
    placed = Resample(inverse, size, size)(torch.from_numpy(maps).float()).numpy()
    return placed * (rows[:, None] & columns)


def grad_cam(model: Model, crops: np.ndarray, task: Task, class_indices: np.ndarray) -> np.ndarray:
    """Return how strongly each place of each crop supports a class.

    Args:
        model: Trained model with a feature map, see `has_feature_map`.
        crops: uint8 (N, S, S, 3).
        task: Task that the classes belong to.
        class_indices: int (N,), the class of `task` to explain for each crop.

    Returns:
        float32 (N, image_size, image_size) in 0..1, where 1 is the crop's highest value. All 0 if
        nothing supports the class. The mean over the backbones if the model has several.
    """
    network = HookedNetwork(model.network)
    size, device = model.params.image_size, next(network.parameters()).device
    photos = to_device(resize(contrast.equalize(crops, model.params.clahe), size), device).float()
    photos.requires_grad_()  # the weights of frozen backbones have no gradients
    scores = [lambda outputs, c=int(c): _log_odds(model, outputs, task, c) for c in class_indices]
    return _RegionGradCAM(network, network.map_points(size))(photos, scores)


def overlay(crops: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Return crops with their heat maps drawn over them: brighter where a place matters more.

    Args:
        crops: uint8 (N, S, S, 3).
        maps: float (N, H, W) in 0..1, from `grad_cam`; scaled to the size of the crops.

    Returns:
        uint8 (N, S, S, 3).
    """
    side = crops.shape[1]
    blended = []
    for crop, cam in zip(crops, maps, strict=True):
        cam = cv2.resize(cam, (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1)
        heat = cv2.applyColorMap((cam * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
        opacity = OPACITY * cam[..., None]
        blended.append(np.rint(crop * (1 - opacity) + heat * opacity).astype(np.uint8))
    return np.stack(blended)
