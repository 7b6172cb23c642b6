"""What stands over the features: dropout and one linear layer for each head, plain or normalized."""

import torch
from torch import nn
from torch.nn import functional as F

from portrait18.core.model_params import ModelParams


class Head(nn.Module):
    """Features (N, F) -> outputs (N, sum of `widths`).

    `params.head` says what the outputs are:
        linear: logits.
        cosine: `scale` times the cosine between the features and the weights of each class, as margin
            losses such as ArcFace need it (Deng et al. 2019).
        unit: linear logits brought to length `scale`, each head by itself: the cosine loss of Barz and
            Denzler 2020, with a scale, for the softmax of logits of length 1 can't tell classes apart.

    In training, `dropout_samples` k > 1 gives (k * N, ...): the batch k times, each time with other
    features dropped; the mean of their losses is multi-sample dropout (Inoue 2019).
    """

    def __init__(self, features: int, widths: tuple[int, ...], params: ModelParams):
        super().__init__()
        self.kind, self.scale, self.widths = params.head, params.scale, widths
        self.samples = params.dropout_samples
        self.dropout = nn.Dropout(params.dropout)
        self.weight = nn.Parameter(torch.empty(sum(widths), features))
        # The usual start for a thousand classes is far too wide for three: the first losses would be huge.
        nn.init.trunc_normal_(self.weight, std=0.01)
        self.bias = None if self.kind == "cosine" else nn.Parameter(torch.zeros(sum(widths)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.training and self.samples > 1:
            features = features.repeat(self.samples, 1)
        features = self.dropout(features)
        if self.kind == "cosine":
            return self.scale * F.linear(
                F.normalize(features, dim=1), F.normalize(self.weight, dim=1)
            )
        outputs = F.linear(features, self.weight, self.bias)
        if self.kind == "unit":
            outputs = self.scale * torch.cat(
                [F.normalize(o, dim=1) for o in outputs.split(self.widths, 1)], 1
            )
        return outputs
