"""Where on a photo a network looked for its answer: Grad-CAM, Selvaraju et al. 2017, by the package grad-cam.

The map is taken from the backbone's last feature map, before pooling, and tells what speaks for the
answer against the other classes (its log-odds). That map is coarse, 3 x 3 cells at 96 px for most
networks: it shows which part of the face counts, not which pixel.
"""

import cv2
import numpy as np
import pandas as pd
import torch
from pytorch_grad_cam import GradCAM
from torch import nn

from portrait18.dataset.classes import AGE, ALL, TASKS, Task
from portrait18.evaluation import ensembling
from portrait18.models.backbones import Network
from portrait18.models.inference import Model, resized, to_device

STRENGTH = 0.65  # of the color where the map is highest; the face must stay to be seen


class _Mapped(nn.Module):
    """A network that lets its last feature maps through modules of their own, for hooks to hold on to."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network
        self.maps = nn.ModuleList(_Map(part.backbone) for part in network.features)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        pooled = [
            part.backbone.forward_head(at(last))
            for part, at, last in zip(
                self.network.features, self.maps, last_features(self.network, photos), strict=True
            )
        ]
        return self.network.head(torch.cat(pooled, 1)).float()


class _Map(nn.Module):
    """Lets a backbone's last features through; a feature map passes `channels_first` as (N, C, H, W)."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.channels_last = getattr(backbone, "output_fmt", "NCHW") == "NHWC"
        self.channels_first = nn.Identity()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        if not self.channels_last:
            return self.channels_first(maps)
        return self.channels_first(maps.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def last_features(network: Network, photos: torch.Tensor) -> list[torch.Tensor]:
    """What each backbone makes of photos (N, 3, S, S) before it pools: a feature map, or tokens (N, T, C)."""
    return [
        part.backbone.forward_features((photos.float() - part.mean) / part.std)
        for part in network.features
    ]


def _targets(model: Model, mapped: _Mapped) -> list[nn.Module]:
    """The modules that a feature map passes; where the last features are tokens, none."""
    size = model.params.image_size
    with torch.inference_mode():
        last = last_features(
            model.network, torch.zeros(1, 3, size, size, device=next(mapped.parameters()).device)
        )
    return [
        at.channels_first
        for at, features in zip(mapped.maps, last, strict=True)
        if features.ndim == 4
    ]


def can_be_drawn(model: Model) -> bool:
    """Whether some backbone of the model has a last feature map; plain transformers end in a row of tokens."""
    return bool(_targets(model, _Mapped(model.network)))


def tasks_of(model: Model) -> list[Task]:
    """The tasks that a model answers: its own, or all three."""
    return list(TASKS.values()) if model.target.task is ALL else [model.target.task]


def _log_odds(model: Model, outputs: torch.Tensor, task: Task, answer: int) -> torch.Tensor:
    """Of one answer to a task, for one photo's outputs (sum of the target's widths,)."""
    # In double precision: a sure answer's other probabilities would round to nothing, and its map with them.
    least = torch.finfo(torch.float64).tiny
    probabilities = model.target.probabilities(outputs.double()[None])
    if model.target.task is ALL:
        cube = probabilities.reshape([len(t.classes) for t in TASKS.values()])
        probabilities = cube.sum([axis for axis, t in enumerate(TASKS.values()) if t is not task])[
            None
        ]
    of_answer = probabilities[0, answer]
    others = torch.cat([probabilities[0, :answer], probabilities[0, answer + 1 :]]).sum()
    return of_answer.clamp(least).log() - others.clamp(least).log()


def grad_cam(model: Model, crops: np.ndarray, task: Task, answers: np.ndarray) -> np.ndarray:
    """How much each place speaks for an answer.

    Args:
        crops: uint8 (N, S, S, 3).
        answers: index of a class of `task` for each (N,).

    Returns:
        float32 (N, size, size), 0..1, 1 being the photo's highest; all 0 where nothing speaks for the answer.
        Of several backbones, the mean of their maps.
    """
    mapped = _Mapped(model.network)
    device = next(mapped.parameters()).device
    photos = to_device(resized(crops, model.params.image_size), device).float()
    wanted = [lambda outputs, a=int(a): _log_odds(model, outputs, task, a) for a in answers]
    return GradCAM(mapped, _targets(model, mapped))(photos, wanted)


def overlay(crops: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Crops uint8 (N, S, S, 3) under their maps (N, ., .): the brighter, the more a place counted."""
    side = crops.shape[1]
    drawn = []
    for crop, cam in zip(crops, maps, strict=True):
        cam = cv2.resize(cam, (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1)
        heat = cv2.applyColorMap((cam * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
        weight = STRENGTH * cam[..., None]
        drawn.append(np.rint(crop * (1 - weight) + heat * weight).astype(np.uint8))
    return np.stack(drawn)


def choose(task: Task, predictions: pd.DataFrame, labels: pd.DataFrame, count: int) -> pd.DataFrame:
    """Some held-out photos to look at: half of them the surest mistakes, the others the surest right answers.

    Each person stands in each half once at most. In each the classes take turns; where there are too few mistakes,
    more right answers take their place, and the other way round.

    Args:
        predictions: photo and the probabilities of one model, its held-out photos.
        labels: `data/labels.csv`.

    Returns:
        photo, task, truth, answer (indices), probability (of the answer), right (0 or 1); mistakes first.
    """
    known = labels.set_index("photo").loc[predictions.photo]
    probabilities = ensembling.probabilities_of(task, predictions)
    table = pd.DataFrame(
        {
            "photo": predictions.photo.to_numpy(),
            "person": known.person.to_numpy(),
            "task": task.name,
            "truth": known["age_group" if task is AGE else task.name].to_numpy(),
            "answer": probabilities.argmax(1),
            "probability": probabilities.max(1),
        }
    ).sort_values(["probability", "photo"], ascending=[False, True])
    table["right"] = (table.truth == table.answer).astype(int)
    wrong, right = (_in_turn(table[table.right == r], count) for r in (0, 1))
    mistakes = wrong.head(max(count // 2, count - len(right)))
    return pd.concat([mistakes, right.head(count - len(mistakes))], ignore_index=True).drop(
        columns="person"
    )


def _in_turn(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """The first row of each true class, then the next of each, up to `count`; each person once."""
    taken, left = [], table
    while len(taken) < count and len(left):
        for kind in sorted(left.truth.unique()):
            of_class = left[left.truth == kind]
            if len(of_class):  # else its last person was just taken for another class
                taken.append(of_class.index[0])
                left = left[left.person != of_class.person.iloc[0]]
    return table.loc[taken[:count]]


def captions(chosen: pd.DataFrame) -> dict[int, str]:
    """Place in `chosen` -> what the photo shows, what was answered and how sure: a caption of three lines."""
    lines = {}
    for n, row in enumerate(chosen.itertuples()):
        classes = TASKS[row.task].classes
        verdict = "right" if row.right else "wrong"
        lines[n] = (
            f"{row.task}: {classes[row.truth]}\n-> {classes[row.answer]} {row.probability:.2f}\n{verdict}"
        )
    return lines
