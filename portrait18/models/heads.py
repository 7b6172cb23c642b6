"""Heads by name: dropout and one linear layer on the features, plain or normalized."""

import torch
from torch import nn
from torch.nn import functional as F

from portrait18.core.model_params import ModelParams
from portrait18.models.registry import Registry


class Head(nn.Module):
    """Base of the heads: features (N, F) -> outputs (N, sum of widths).

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


HEADS: Registry[type[Head]] = Registry("head")


def make_head(features: int, widths: tuple[int, ...], params: ModelParams) -> Head:
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
