"""Heads by name: from features to outputs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from portrait18.core.model_params import ModelParams
from portrait18.models.registry import Registry


class Head(nn.Module):
    """Base of the heads with dropout and a last linear layer: (N, F) -> (N, sum of widths).

    In training, `dropout_samples` k > 1 gives (k * N, ...): the batch k times, each time with
    another dropout mask. The mean of their losses is multi-sample dropout (Inoue 2019).

    Args:
        features: number of features, F.
        widths: outputs of each head.
        params: the model's params.
    """

    has_bias = True

    def __init__(self, features: int, widths: tuple[int, ...], params: ModelParams):
        super().__init__()
        self.scale: float = getattr(params.head, "scale", 1.0)
        self.widths = widths
        self.samples = params.dropout_samples
        self.dropout = nn.Dropout(params.dropout)
        self.weight = nn.Parameter(torch.empty(sum(widths), features))
        # The usual initialization for 1,000 classes is too wide for three: huge first losses.
        nn.init.trunc_normal_(self.weight, std=0.01)
        self.bias = nn.Parameter(torch.zeros(sum(widths))) if self.has_bias else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return outputs (N, sum of widths), or (k * N, sum of widths) in training."""
        if self.training and self.samples > 1:
            features = features.repeat(self.samples, 1)
        return self.outputs(self.dropout(features))

    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """Return the outputs of features (N, F) after dropout."""
        raise NotImplementedError


#: (number of features, outputs of each head, the model's params) -> head.
HEADS: Registry[Callable[[int, tuple[int, ...], ModelParams], nn.Module]] = Registry("head")


def make_head(features: int, widths: tuple[int, ...], params: ModelParams) -> nn.Module:
    """Return the head of a model; arguments as of `Head`."""
    return HEADS[params.head.name](features, widths, params)


@HEADS.register("linear")
class LinearHead(Head):
    """Logits."""

    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return F.linear(features, self.weight, self.bias)


@HEADS.register("cosine")
class CosineHead(Head):
    """`scale` times the cosine between the features and each class's weights.

    Margin losses such as ArcFace need it (Deng et al. 2019).
    """

    has_bias = False

    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """Return scaled cosines."""
        return self.scale * F.linear(F.normalize(features, dim=1), F.normalize(self.weight, dim=1))


@HEADS.register("unit")
class UnitHead(Head):
    """Logits of each head normalized to length `scale`.

    The cosine loss needs it (Barz and Denzler 2020). The scale is not in the paper: the softmax of
    logits of length 1 can't separate classes.
    """

    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """Return normalized logits."""
        logits = F.linear(features, self.weight, self.bias).split(self.widths, 1)
        return self.scale * torch.cat([F.normalize(part, dim=1) for part in logits], 1)


@HEADS.register("mlp")
class MLPHead(Head):
    """Logits after `depth` hidden layers of `width` units with ReLU, dropout before each layer."""

    def __init__(self, features: int, widths: tuple[int, ...], params: ModelParams):
        size: Any = params.head
        super().__init__(size.width, widths, params)
        inputs = [features] + [size.width] * (size.depth - 1)
        self.hidden = nn.ModuleList(nn.Linear(count, size.width) for count in inputs)

    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        for layer in self.hidden:
            features = self.dropout(layer(features).relu())
        return F.linear(features, self.weight, self.bias)


@HEADS.register("kernel")
@HEADS.register("ridge")
class KernelHead(nn.Module):
    """Kernel machine: sum over landmarks of a coefficient times exp(-gamma / F * distance^2).

    `gamma` 1 is scikit-learn's `gamma="scale"` for standardized features.
    `kernel_fitting` and `kernel_ridge` of `portrait18.training` set the landmarks, which are
    features of training photos.
    """

    support: torch.Tensor
    coefficients: torch.Tensor
    bias: torch.Tensor

    def __init__(self, features: int, widths: tuple[int, ...], params: ModelParams):
        super().__init__()
        kernel: Any = params.head
        self.gamma: float = kernel.gamma / features
        outputs = sum(widths)
        # float16 halves the size of bundles; the fit sees the rounded landmarks too.
        self.register_buffer("support", torch.zeros(0, features, dtype=torch.float16))
        self.register_buffer("coefficients", torch.zeros(0, outputs))
        self.register_buffer("bias", torch.zeros(outputs))

    def kernel(self, features: torch.Tensor) -> torch.Tensor:
        """Return the kernel of features (N, F) with the landmarks (M, F), (N, M)."""
        support = self.support.to(features.dtype)
        lengths = (features**2).sum(1, keepdim=True) + (support**2).sum(1)
        # Rounding can make the distance between equal features negative.
        squared = (lengths - 2 * features @ support.T).clamp(min=0)
        return torch.exp(-self.gamma * squared)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return outputs (N, sum of widths) for features (N, F)."""
        return self.kernel(features) @ self.coefficients + self.bias

    def _load_from_state_dict(self, state_dict, prefix, *args):
        # The number of landmarks depends on the training photos.
        for name in ("support", "coefficients"):
            if (stored := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.zeros_like(stored, device=self.bias.device))
        super()._load_from_state_dict(state_dict, prefix, *args)


@HEADS.register("linear-ridge")
class LinearRidgeHead(nn.Module):
    """Logits of ridge regression, which `portrait18.training.kernel_ridge` fits."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, features: int, widths: tuple[int, ...], params: ModelParams):
        super().__init__()
        self.register_buffer("weight", torch.zeros(sum(widths), features))
        self.register_buffer("bias", torch.zeros(sum(widths)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, sum of widths) for features (N, F)."""
        return F.linear(features, self.weight, self.bias)
