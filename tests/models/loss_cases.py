"""Losses by name, and models that predict years."""

import torch
from tiny import loss, model_params

from portrait18.models.losses import LossContext, make_loss
from portrait18.models.targets import make_target

VALUE = {"task": "age", "target": "value"}
RANK = {"task": "age", "target": "rank"}
DISTRIBUTION = {"task": "age", "target": "distribution"}
COUNTS = torch.tensor([100.0, 20.0, 5.0])


def loss_of(name, outputs, targets, counts=COUNTS, progress=0.0, model=None, **changes):
    """The value of a loss with changed params, in a model with changed params."""
    params = model_params(loss=loss(name, **changes), **(model or {}))
    return make_loss(params, make_target(params))(outputs, targets, LossContext(counts, progress))
