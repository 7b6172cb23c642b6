"""Small networks for tests of backbones and their weights."""

import numpy as np
import timm
import torch
from tiny import model_params

from portrait18.core.files import file_digest
from portrait18.models import backbones
from portrait18.models.bundled import BUNDLED

PHOTOS = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 3, 64, 64), np.uint8))


def filled(name):
    """timm's network with its 1,000 classes, filled from the package's file in tensor order."""
    state = torch.load(BUNDLED[name].locate(), weights_only=True)
    network = timm.create_model(name)
    with torch.no_grad():
        for ours, theirs in zip(network.state_dict().values(), state.values(), strict=True):
            ours.copy_(theirs)
    return network.eval()


def named(path):
    """Return the name of a weights file with its digest, as in params.yaml."""
    return f"{path}@{file_digest(path)[:12]}"


def small(outputs=3, **changes):
    return backbones.create(model_params(**changes), (outputs,)).eval()


def backbone(network):
    return network.features[0].backbone
