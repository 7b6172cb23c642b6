"""Export a trained network to ONNX for programs without PyTorch.

Equal networks give equal bytes.
"""

import logging
import warnings
from pathlib import Path
from typing import cast

import torch
from torch import nn

from portrait18.core.files import atomic_write
from portrait18.models.backbones import Network
from portrait18.models.inference import Model

OPSET = 18  # the exporter's own; another one needs a conversion


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
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the exporter's own use of PyTorch
        program = torch.onnx.export(
            _ExportModule(model, flip).eval(),
            (crops,),
            input_names=["crops"],
            output_names=names,
            dynamic_shapes={"crops": {0: torch.export.Dim("N")}},
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
