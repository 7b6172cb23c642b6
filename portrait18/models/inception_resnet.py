"""FaceNet's Inception ResNet v1, an embedding of 512 numbers, from the package facenet-pytorch.

Schroff et al. 2015, "FaceNet: A Unified Embedding for Face Recognition and Clustering". The weights
were trained by David Sandberg on VGGFace2 (Cao et al. 2018, 3.3 million photos of 9,131 people) and
converted by Tim Esler (MIT License).
"""

from typing import ClassVar

import torch
from facenet_pytorch import InceptionResnetV1

from portrait18.core.errors import UserError

_URL = (
    "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
    "20180402-114759-vggface2.pt"
)


class InceptionResNet(InceptionResnetV1):
    """The package's network with timm's interface: `forward_features` and `forward_head`.

    Input: float (N, 3, 160, 160), RGB, normalized by `pretrained_cfg`. Output: float (N, 512),
    the embedding before the package divides it by its length.
    """

    head_hidden_size = 512
    #: As fractions of 255: (x - 127.5) / 128.
    pretrained_cfg: ClassVar = {"mean": (0.5,) * 3, "std": (128 / 255,) * 3}

    def __init__(self):
        super().__init__()
        names = [name for name, _ in self.named_children()]
        self._feature_layers = names[: names.index("avgpool_1a")]

    def forward_features(self, photos: torch.Tensor) -> torch.Tensor:
        """Return the last feature map, (N, 1792, 3, 3)."""
        for name in self._feature_layers:
            photos = getattr(self, name)(photos)
        return photos

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return the embedding (N, 512) of feature maps (N, 1792, 3, 3)."""
        return self.last_bn(self.last_linear(features.mean((2, 3))))

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """Return the embedding of a batch."""
        return self.forward_head(self.forward_features(photos))

    def group_matcher(self, coarse: bool = False) -> dict:
        """Return timm's description of the layers, for `layer_decay`."""
        return {
            "stem": "^conv2d",
            "block35": r"^repeat_1\.(\d+)",
            "mixed_6a": "^mixed_6a",
            "block17": r"^repeat_2\.(\d+)",
            "mixed_7a": "^mixed_7a",
            "block8": r"^repeat_3\.(\d+)",
            "last_block": "^block8",
        }


def hub_state() -> dict[str, torch.Tensor]:
    """Download the state dict, or take it from PyTorch's cache; nothing in it is executed.

    Raises:
        UserError: the download failed.
    """
    try:
        return torch.hub.load_state_dict_from_url(
            _URL, map_location="cpu", progress=False, weights_only=True
        )
    except Exception as error:  # urllib's errors, a damaged file
        raise UserError(
            f"params.yaml: weights = hub: the download of inception_resnet_v1 failed ({error});"
            " check the network connection, or use another backbone with weights: bundled"
        ) from None
