"""Export a trained network to ONNX for programs without PyTorch.

Equal networks give equal bytes. `python -m portrait18.deployment.onnx_export` writes MTCNN's
networks, which are part of this package.
"""

import logging
import warnings
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import nn
from torch.export import Dim

from portrait18.core.files import atomic_write
from portrait18.cropping import mtcnn_networks
from portrait18.cropping.cascade import CELL
from portrait18.cropping.mtcnn_onnx import NETWORKS
from portrait18.models.backbones import Network
from portrait18.models.inference import Model

OPSET = 18  # the exporter's own; another one needs a conversion


class _Input(NamedTuple):
    """The input of a network.

    Attributes:
        name: of the input.
        example: one value; no dimension is 1.
        free: dimensions that may have any size.
    """

    name: str
    example: torch.Tensor
    free: dict[int, Dim]


class _ExportModule(nn.Module):
    """From crops to class probabilities and years, as `inference.predict` with one scale."""

    def __init__(self, model: Model, flip: bool):
        super().__init__()
        self.network, self.target, self.flip = cast(Network, model.network), model.target, flip

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        inputs = crops.permute(0, 3, 1, 2).float()
        views = [inputs, inputs.flip(3)] if self.flip else [inputs]
        decoders = [self.target.probabilities] + ([self.target.years] if self.target.years else [])
        if not getattr(self.network.head, "averages_views", False):
            outputs = self.network(torch.cat(views))
            return tuple(d(outputs).unflatten(0, (len(views), -1)).mean(0) for d in decoders)
        features = torch.cat([part(torch.cat(views)) for part in self.network.features], 1)
        outputs = self.network.head(features.unflatten(0, (len(views), -1)).mean(0)).float()
        return tuple(decode(outputs) for decode in decoders)


def write(model: Model, flip: bool, path: str | Path) -> None:
    """Write one network with the decoding of its target and test-time flipping.

    Input `crops`: uint8 (N, size, size, 3), RGB, any N. Outputs `probabilities`: float (N, C) for
    the C classes of the task, and `years`: float (N,) if the target predicts years.

    Args:
        model: on the CPU.
        flip: average with the predictions of the mirrored crop.
        path: file to write.
    """
    size = model.params.image_size
    crops = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    names = ["probabilities", "years"][: 2 if model.target.years else 1]
    _export(_ExportModule(model, flip), _Input("crops", crops, {0: Dim("N")}), names, path)


def write_mtcnn(folder: Path) -> None:
    """Write P-, R- and O-Net of facenet-pytorch for `portrait18.cropping.mtcnn_onnx`.

    Input `photos`: float (N, 3, H, W), of any size for P-Net, 24 px for R-Net, 48 px for O-Net.
    Outputs as of facenet-pytorch: `offsets`, `points` (O-Net only), `probabilities`.
    """
    sides = {2: Dim("H", min=CELL), 3: Dim("W", min=CELL)}
    refined = ["offsets", "points", "probabilities"]
    for net, size, free, names in (
        (mtcnn_networks.pnet, (40, 50), sides, refined[::2]),
        (mtcnn_networks.rnet, (24, 24), {}, refined[::2]),
        (mtcnn_networks.onet, (48, 48), {}, refined),
    ):
        photos = _Input("photos", torch.zeros(2, 3, *size), {0: Dim("N"), **free})
        _export(net(), photos, names, folder / f"{net.__name__}.onnx")


def _export(module: nn.Module, source: _Input, outputs: list[str], path: str | Path) -> None:
    """Write a module as ONNX.

    Args:
        module: what to write.
        source: its only input.
        outputs: names of its outputs.
        path: file to write.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the exporter's own use of PyTorch
        program = torch.onnx.export(
            module.eval(),
            (source.example,),
            input_names=[source.name],
            output_names=outputs,
            dynamic_shapes=(source.free,),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # None is the return value of the old exporter only
    with atomic_write(path) as tmp_path:
        proto = _remove_metadata(program.model_proto)
        tmp_path.write_bytes(proto.SerializeToString(deterministic=True))


def _remove_metadata(proto):
    """Remove the exporter's notes. They contain paths of the machine, and nothing needs them."""
    graph = proto.graph
    for part in (
        proto,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    return proto


if __name__ == "__main__":
    write_mtcnn(NETWORKS)
