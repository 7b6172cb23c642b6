"""P-, R- and O-Net of MTCNN, with the weights of the package facenet-pytorch (MIT License).

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks",
2016. The weights are read as data: importing the package imports torchvision, which takes seconds.
"""

import torch
from torch import nn

from portrait18.core.package_data import package_file

PACKAGE = "facenet-pytorch==2.5.3"
#: Network -> sha256 of its file.
SHA256 = {
    "pnet": "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
    "rnet": "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
    "onet": "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
}


class CascadeNetwork(nn.Module):
    """Layers one after the other, then parallel outputs.

    Args:
        layers: name in the state dict -> layer.
        outputs: the same of the outputs: scores of no face and face, box offsets, points if any.
    """

    def __init__(self, layers: dict[str, nn.Module], outputs: dict[str, nn.Module]):
        super().__init__()
        for name, layer in {**layers, **outputs}.items():
            self.add_module(name, layer)
        self._layers, self._outputs = list(layers), list(outputs)

    def forward(self, photos: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return offsets, points if any, and probabilities, each with channels in dimension 1.

        Args:
            photos: float32 (N, 3, H, W), RGB, normalized by (x - 127.5) / 128.
        """
        values = photos
        for name in self._layers:
            values = self.get_submodule(name)(values)
        scores, *others = (self.get_submodule(name)(values) for name in self._outputs)
        return *others, scores.softmax(1)


class _FlattenByColumn(nn.Module):
    """Flatten feature maps (N, C, H, W) by column, row and channel, as the weights expect."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.permute(0, 3, 2, 1).flatten(1)


def _convolutions(
    channels: tuple[int, ...], kernels: tuple[int, ...], pools: tuple[int, ...]
) -> dict[str, nn.Module]:
    """Return convolutions with PReLU, each of the first ones followed by max-pooling.

    Args:
        channels: outputs of each convolution.
        kernels: side of each convolution.
        pools: side of each pooling, at stride 2.
    """
    layers: dict[str, nn.Module] = {}
    for i, (before, after, kernel) in enumerate(
        zip((3, *channels), channels, kernels, strict=False)
    ):
        layers[f"conv{i + 1}"] = nn.Conv2d(before, after, kernel)
        layers[f"prelu{i + 1}"] = nn.PReLU(after)
        if i < len(pools):
            layers[f"pool{i + 1}"] = nn.MaxPool2d(pools[i], 2, ceil_mode=True)
    return layers


def pnet() -> CascadeNetwork:
    """Return P-Net: scores and offsets of the face in each 12 px square of a photo, at stride 2."""
    outputs: dict[str, nn.Module] = {
        "conv4_1": nn.Conv2d(32, 2, 1),
        "conv4_2": nn.Conv2d(32, 4, 1),
    }
    return _load("pnet", CascadeNetwork(_convolutions((10, 16, 32), (3, 3, 3), (2,)), outputs))


def rnet() -> CascadeNetwork:
    """Return R-Net: scores and offsets of candidates of 24 px."""
    layers = _convolutions((28, 48, 64), (3, 3, 2), (3, 3))
    layers |= {
        "flatten": _FlattenByColumn(),
        "dense4": nn.Linear(576, 128),
        "prelu4": nn.PReLU(128),
    }
    outputs: dict[str, nn.Module] = {"dense5_1": nn.Linear(128, 2), "dense5_2": nn.Linear(128, 4)}
    return _load("rnet", CascadeNetwork(layers, outputs))


def onet() -> CascadeNetwork:
    """Return O-Net: scores, offsets and five points of candidates of 48 px."""
    layers = _convolutions((32, 64, 64, 128), (3, 3, 3, 2), (3, 3, 2))
    layers |= {
        "flatten": _FlattenByColumn(),
        "dense5": nn.Linear(1152, 256),
        "prelu5": nn.PReLU(256),
    }
    outputs: dict[str, nn.Module] = {
        "dense6_1": nn.Linear(256, 2),
        "dense6_2": nn.Linear(256, 4),
        "dense6_3": nn.Linear(256, 10),
    }
    return _load("onet", CascadeNetwork(layers, outputs))


def _load(name: str, network: CascadeNetwork) -> CascadeNetwork:
    """Load the package's weights into a network.

    Raises:
        UserError: the package is missing, or its file differs.
    """
    path = package_file(PACKAGE, f"facenet_pytorch/data/{name}.pt", SHA256[name])
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()
