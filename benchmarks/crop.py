"""Rows of the crop stage: from a folder of photos to stored crops."""

from benchmarks import inputs
from benchmarks.rows import Bench, Outcome, Row, at_least, at_most, versions

FACENET = versions("facenet-pytorch", "torch")
_TASK = "`crop`: a folder of photos to stored crops"
_MAX_CORNER_DIFFERENCE = 0.1  # pixels; larger differences are different boxes


def _compare(bench: Bench, count: int, peer: str, **settings) -> Outcome:
    inventory = inputs.photos(bench, count)
    folder, paths = str(bench.folder), inputs.paths(inventory)
    with (
        bench.side("ours.crop", inventory=str(inventory), folder=folder) as ours,
        bench.side(peer, paths=paths, folder=folder, **settings) as theirs,
    ):
        pair = bench.compare(ours.turn, theirs.turn)
    faces = {"ours": pair.ours[-1].facts["faces"], "theirs": pair.theirs[-1].facts["faces"]}
    return Outcome(
        pair.ratios,
        count,
        {"photos_with_face": faces},
        same_work=faces["ours"] >= faces["theirs"],
    )


def loop(bench: Bench, count: int) -> Outcome:
    return _compare(bench, count, "peers.crop_loop")


def batched(bench: Bench, count: int) -> Outcome:
    crop = bench.params.crop
    return _compare(
        bench,
        count,
        "peers.crop_batched",
        min_face=crop.min_face,
        batch_size=crop.batch_size,
        size=crop.image_size,
    )


def detect(bench: Bench, count: int) -> Outcome:
    settings = {
        "paths": inputs.paths(inputs.photos(bench, count)),
        "min_face": bench.params.crop.min_face,
        "batch_size": bench.params.crop.batch_size,
    }
    with (
        bench.side("ours.detect", **settings) as ours,
        bench.side("peers.detect", **settings) as theirs,
    ):
        pair = bench.compare(ours.turn, theirs.turn)
    difference = max_corner_difference(pair.ours[-1].facts["boxes"], pair.theirs[-1].facts["boxes"])
    same = difference is not None and difference <= _MAX_CORNER_DIFFERENCE
    return Outcome(
        pair.ratios,
        count,
        {"same_boxes": same},
        {"max_corner_difference_pixels": difference},
        same_work=same,
    )


def max_corner_difference(ours: list, theirs: list) -> float | None:
    """Return the largest difference of a box coordinate in pixels.

    None if a photo does not have the same number of boxes on both sides.
    """
    if [len(boxes) for boxes in ours] != [len(boxes) for boxes in theirs]:
        return None
    differences = [
        abs(x - y)
        for our_boxes, their_boxes in zip(ours, theirs, strict=True)
        for our_box, their_box in zip(our_boxes, their_boxes, strict=True)
        for x, y in zip(our_box, their_box, strict=True)
    ]
    return round(max(differences, default=0.0), 3)


def decoding(bench: Bench, count: int) -> Outcome:
    inventory = inputs.photos(bench, count)
    with (
        bench.side("ours.crop", inventory=str(inventory), folder=str(bench.folder)) as crop,
        bench.side("ours.decode", paths=inputs.paths(inventory)) as decode,
    ):
        return Outcome(bench.compare(decode.turn, crop.turn).ratios, count)


ROWS = [
    Row(
        "crop-loop",
        _TASK,
        f"default loop: `MTCNN()(Image.open(p), save_path=...)`, photo by photo ({FACENET})",
        "x",
        {"cpu": at_least(8), "cuda": at_least(25)},
        loop,
        share=(1, 2),
    ),
    Row(
        "crop-batched",
        _TASK,
        f"batched `MTCNN.detect` with the same minimum face size, `extract` to files ({FACENET})",
        "x",
        {"cpu": at_least(1.5), "cuda": at_least(3)},
        batched,
        share=(1, 4),
    ),
    Row(
        "detect",
        "face detection only, photos in memory",
        f"batched `MTCNN.detect` with the same minimum face size ({FACENET})",
        "x",
        {"cpu": at_least(1.5), "cuda": at_least(3)},
        detect,
        share=(0.5, 2),
    ),
    Row(
        "crop-vs-decode",
        _TASK + ", time relative to decoding",
        f"decoding the photos with as many threads ({versions('pillow')})",
        "x",
        {"cpu": at_most(6), "cuda": at_most(2)},
        decoding,
        share=(1, 4),
    ),
]
