"""Backbones that were trained on faces, by name. Each sees its own region of an aligned crop."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from portrait18.dataset import alignment
from portrait18.dataset.alignment import Square, within_crop
from portrait18.models import dlib_resnet, dlib_weights, sface, sface_weights
from portrait18.models.resample import Resample

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class FaceBackbone:
    """A network with timm's interface, and the geometry of its training.

    Attributes:
        create: returns the network with random weights.
        region: what it sees of a face, in pixels of the template; see `alignment`.
        size: pixels of its input.
        hub: returns the state dict from a download; None: there is none.
    """

    create: Callable[[], nn.Module]
    region: Square
    size: int
    hub: Callable[[], State] | None = None

    def resample(self, margin: float, image_size: int) -> Resample:
        """Return the module that cuts the region out of a crop aligned by five points.

        Args:
            margin: `crop.margin`.
            image_size: pixels of the crops given to the network.
        """
        return Resample(within_crop(self.region, margin), image_size, self.size)


#: VGGFace2's faces were cut with MTCNN's box and a quarter of its side as margin.
_FACENET = alignment.crop_square(0.25)


def _inception_resnet() -> nn.Module:
    from portrait18.models import inception_resnet  # imports torchvision, which takes seconds

    return inception_resnet.InceptionResNet()


def _inception_resnet_download() -> State:
    from portrait18.models import inception_resnet

    return inception_resnet.hub_state()


FACE_BACKBONES = {
    "sface": FaceBackbone(sface.SFace, alignment.ARCFACE, sface_weights.SIZE),
    "sface_middle": FaceBackbone(sface.SFaceMiddle, alignment.ARCFACE, sface_weights.SIZE),
    "dlib_resnet": FaceBackbone(dlib_resnet.DlibResNet, alignment.DLIB_CHIP, dlib_weights.SIZE),
    "dlib_resnet_middle": FaceBackbone(
        dlib_resnet.DlibResNetMiddle, alignment.DLIB_CHIP, dlib_weights.SIZE
    ),
    "inception_resnet_v1": FaceBackbone(
        _inception_resnet, _FACENET, size=160, hub=_inception_resnet_download
    ),
}
