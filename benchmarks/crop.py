"""Rows of the crop stage: from a folder of photos to stored crops."""

from benchmarks import inputs
from benchmarks.rows import Bench, Outcome, Row, at_least, at_most, named

FACENET = named("facenet-pytorch", "torch")
_CROP = "`crop`: a folder of photos to stored crops"


def _faces(ours: int, theirs: int) -> dict:
    return {"photos_with_a_face": {"ours": ours, "theirs": theirs}}


def _against(bench: Bench, count: int, peer: str, **settings) -> Outcome:
    listed = inputs.photos(bench, count)
    folder, paths = str(bench.folder), inputs.paths(listed)
    with (
        bench.side("ours.crop", inventory=str(listed), folder=folder) as ours,
        bench.side(peer, paths=paths, folder=folder, **settings) as theirs,
    ):
        pair = bench.compare(ours.turn, theirs.turn)
    found = pair.ours[-1].facts["faces"], pair.theirs[-1].facts["faces"]
    return Outcome(pair.ratios, count, _faces(*found), sound=found[0] >= found[1])


def loop(bench: Bench, count: int) -> Outcome:
    return _against(bench, count, "peers.crop_loop")


def batched(bench: Bench, count: int) -> Outcome:
    told = bench.params.crop
    return _against(
        bench,
        count,
        "peers.crop_batched",
        min_face=told.min_face,
        batch_size=told.batch_size,
        size=told.image_size,
    )


def detect(bench: Bench, count: int) -> Outcome:
    told = bench.params.crop
    settings = {
        "paths": inputs.paths(inputs.photos(bench, count)),
        "min_face": told.min_face,
        "batch_size": told.batch_size,
    }
    with (
        bench.side("ours.detect", **settings) as ours,
        bench.side("peers.detect", **settings) as theirs,
    ):
        pair = bench.compare(ours.turn, theirs.turn)
    apart = furthest(pair.ours[-1].facts["boxes"], pair.theirs[-1].facts["boxes"])
    same = apart is not None and apart <= 0.1
    return Outcome(
        pair.ratios, count, {"same_boxes": same}, {"furthest_corner_pixels": apart}, sound=same
    )


def furthest(ours: list, theirs: list) -> float | None:
    """The largest difference of a corner, pixels; None where the photos have not as many boxes each."""
    if [len(boxes) for boxes in ours] != [len(boxes) for boxes in theirs]:
        return None
    pairs = (
        (a, b)
        for of_ours, of_theirs in zip(ours, theirs, strict=True)
        for a, b in zip(of_ours, of_theirs, strict=True)
    )
    return round(
        max((abs(x - y) for a, b in pairs for x, y in zip(a, b, strict=True)), default=0.0), 3
    )


def floor(bench: Bench, count: int) -> Outcome:
    listed = inputs.photos(bench, count)
    with (
        bench.side("ours.crop", inventory=str(listed), folder=str(bench.folder)) as ours,
        bench.side("ours.decode", paths=inputs.paths(listed)) as decoding,
    ):
        return Outcome(bench.compare(decoding.turn, ours.turn).ratios, count)


ROWS = [
    Row(
        "crop-loop",
        _CROP,
        f"the usual loop: `MTCNN()(Image.open(p), save_path=...)`, photo by photo ({FACENET})",
        "x",
        {"cpu": at_least(8), "cuda": at_least(25)},
        loop,
        share=(1, 2),
    ),
    Row(
        "crop-batched",
        _CROP,
        f"batched `MTCNN.detect` at the same smallest face, `extract` to files ({FACENET})",
        "x",
        {"cpu": at_least(1.5), "cuda": at_least(3)},
        batched,
        share=(1, 4),
    ),
    Row(
        "detect",
        "of this, the boxes alone, photos in memory",
        f"batched `MTCNN.detect` at the same smallest face ({FACENET})",
        "x",
        {"cpu": at_least(1.5), "cuda": at_least(3)},
        detect,
        share=(0.5, 2),
    ),
    Row(
        "crop-floor",
        _CROP + ", in times of its floor",
        f"its floor: decoding the photos, by as many threads ({named('pillow')})",
        "x",
        {"cpu": at_most(6), "cuda": at_most(2)},
        floor,
        share=(1, 4),
    ),
]
