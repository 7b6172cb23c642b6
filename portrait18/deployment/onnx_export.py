"""A trained network as ONNX, for programs without PyTorch; equal networks give equal bytes."""

import logging
import warnings
from pathlib import Path

import torch
from torch import nn

from portrait18.core.files import atomic_write
from portrait18.models.inference import Model

OPSET = 18  # what the exporter writes by itself; others cost a conversion


class _Answering(nn.Module):
    """Crops in, what `portrait18.models.inference.predict` says to them out, at one zoom."""

    def __init__(self, model: Model, flip: bool):
        super().__init__()
        self.network, self.target, self.flip = model.network, model.target, flip

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen = crops.permute(0, 3, 1, 2).float()
        views = [seen, seen.flip(3)] if self.flip else [seen]
        outputs = self.network(torch.cat(views))
        kinds = [self.target.probabilities] + ([self.target.years] if self.target.years else [])
        return tuple(of(outputs).unflatten(0, (len(views), -1)).mean(0) for of in kinds)


def write(model: Model, flip: bool, path: str | Path) -> None:
    """Write one network, its target and the mean over both sides of a crop.

    Input `crops`: uint8 (N, size, size, 3), RGB, N at will. Outputs `probabilities`: float (N, classes of the
    task), and `years`: float (N,) where the target knows them.

    Args:
        model: on the CPU.
        flip: average with the mirrored crop.
    """
    size = model.params.image_size
    crops = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    names = ["probabilities", "years"][: 2 if model.target.years else 1]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the exporter's own use of PyTorch
        program = torch.onnx.export(
            _Answering(model, flip).eval(),
            (crops,),
            input_names=["crops"],
            output_names=names,
            dynamic_shapes={"crops": {0: torch.export.Dim("N")}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    with atomic_write(path) as tmp_path:
        tmp_path.write_bytes(_bare(program.model_proto).SerializeToString(deterministic=True))


def _bare(proto):
    """Without what the exporter notes of how it went about it: the machine's paths among it, none needed to run."""
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
