"""Rows of the predict stage: many photos, an ensemble of networks."""

from benchmarks import inputs
from benchmarks.rows import Bench, Outcome, Row, at_least, versions
from portrait18.models.targets import make_target

FOLDS = 5


def _peer_models(bench: Bench) -> list[dict]:
    """Return what a peer needs to create the networks of `inputs.models`."""
    return [
        {
            "backbone": params.backbone,
            "size": params.image_size,
            "classes": sum(make_target(params).widths),
        }
        for params in inputs.ensemble(bench).values()
        for _ in range(FOLDS)
    ]


def from_photos(bench: Bench, count: int) -> Outcome:
    inventory, models, p = inputs.photos(bench, count), inputs.models(bench, FOLDS), bench.params
    settings = {
        "paths": inputs.paths(inventory),
        "models": _peer_models(bench),
        "flip": p.predict.flip,
        "min_face": p.crop.min_face,
        "batch_size": p.crop.batch_size,
    }
    folder = str(bench.folder)
    with (
        bench.side("ours.predict", inventory=str(inventory), models=models, folder=folder) as ours,
        bench.side("peers.predict", **settings) as theirs,
    ):
        pair = bench.compare(ours.turn, theirs.turn)
        return Outcome(pair.ratios, count, {"networks": len(models)})


def from_crops(bench: Bench, count: int) -> Outcome:
    folder, models = inputs.store(bench, count), inputs.models(bench, FOLDS)
    settings = {
        "paths": inputs.paths(inputs.photos(bench, count)),
        "models": _peer_models(bench),
        "flip": bench.params.predict.flip,
        "batch_size": bench.params.predict.batch_size,
        "num_workers": bench.num_workers,
    }
    with (
        bench.side("ours.predict_stored", folder=str(folder), models=models) as ours,
        bench.side("peers.predict_files", **settings) as theirs,
    ):
        pair = bench.compare(ours.turn, theirs.turn)
        return Outcome(pair.ratios, count, {"networks": len(models)})


ROWS = [
    Row(
        "predict",
        f"photos to the predictions of 3 tasks x {FOLDS} networks, with face detection",
        "the same, network by network from the photo files, with batched `MTCNN.detect` "
        f"({versions('facenet-pytorch', 'timm', 'torch')})",
        "x",
        {"cpu": at_least(3), "cuda": at_least(3)},
        from_photos,
        share=(0.25, 2),
    ),
    Row(
        "predict-stored",
        f"`predict` only: stored crops to the predictions of 3 tasks x {FOLDS} networks",
        "network by network, photo files decoded and resized, without face detection "
        f"({versions('pillow', 'torchvision', 'timm', 'torch')})",
        "x",
        {"cpu": at_least(1), "cuda": at_least(3)},
        from_crops,
        share=(0.25, 4),
    ),
]
