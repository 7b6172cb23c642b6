"""Rows of the predict stage: many photos, an ensemble of networks."""

import json

from benchmarks import inputs
from benchmarks.rows import Bench, Outcome, Row, at_least, named
from portrait18.core.model_params import ModelParams
from portrait18.models import inference, weights
from portrait18.models.targets import make_target

FOLDS = 5


def _peers(models: list[str]) -> list[dict]:
    """What a peer needs to make networks of the same architectures."""
    told = []
    for path in models:
        stored = json.loads(weights.read_metadata(path)[inference.METADATA])["model"]
        params = ModelParams.model_validate({**stored, "num_workers": 0})
        told.append(
            {
                "backbone": params.backbone,
                "size": params.image_size,
                "classes": sum(make_target(params).widths),
            }
        )
    return told


def from_photos(bench: Bench, count: int) -> Outcome:
    listed, models, told = inputs.photos(bench, count), inputs.models(bench, FOLDS), bench.params
    settings = {
        "paths": inputs.paths(listed),
        "models": _peers(models),
        "flip": told.predict.flip,
        "min_face": told.crop.min_face,
        "batch_size": told.crop.batch_size,
    }
    with (
        bench.side(
            "ours.predict", inventory=str(listed), models=models, folder=str(bench.folder)
        ) as ours,
        bench.side("peers.predict", **settings) as theirs,
    ):
        return Outcome(
            bench.compare(ours.turn, theirs.turn).ratios, count, {"networks": len(models)}
        )


def from_crops(bench: Bench, count: int) -> Outcome:
    folder, models, told = (
        inputs.store(bench, count),
        inputs.models(bench, FOLDS),
        bench.params.predict,
    )
    settings = {
        "paths": inputs.paths(inputs.photos(bench, count)),
        "models": _peers(models),
        "flip": told.flip,
        "batch_size": told.batch_size,
        "workers": bench.workers,
    }
    with (
        bench.side("ours.predict_stored", folder=str(folder), models=models) as ours,
        bench.side("peers.predict_files", **settings) as theirs,
    ):
        return Outcome(
            bench.compare(ours.turn, theirs.turn).ratios, count, {"networks": len(models)}
        )


ROWS = [
    Row(
        "predict",
        f"photos to the answers of three tasks x {FOLDS} networks, faces found on the way",
        "the same for one network after the other, from the photo files each time, batched `MTCNN.detect` "
        f"({named('facenet-pytorch', 'timm', 'torch')})",
        "x",
        {"cpu": at_least(3), "cuda": at_least(3)},
        from_photos,
        share=(0.25, 2),
    ),
    Row(
        "predict-stored",
        f"`predict` alone: stored crops to the answers of three tasks x {FOLDS} networks",
        "the photo files decoded and made small for one network after the other, no faces looked for "
        f"({named('pillow', 'torchvision', 'timm', 'torch')})",
        "x",
        {"cpu": at_least(1), "cuda": at_least(3)},
        from_crops,
        share=(0.25, 4),
    ),
]
