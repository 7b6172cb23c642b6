import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN
from facenet_pytorch.models.utils.detect_face import nms_numpy
from tiny import demo_photo
from torch.nn.functional import adaptive_avg_pool2d
from torchvision.ops import nms

from portrait18.cropping import mtcnn
from portrait18.cropping.faces import RETRY_THRESHOLDS, THRESHOLDS

CPU = torch.device("cpu")
PEOPLE = ("000018_male_Asian_64", "000005_male_Black_79", "000001_female_Asian_70")
MASK_STATES = ("normal", "mask1", "incorrect_mask")


@pytest.fixture(scope="module")
def cascade():
    return mtcnn.Mtcnn(CPU)


def portraits():
    return np.stack([demo_photo(state, person) for person in PEOPLE for state in MASK_STATES])


def collage():
    """Photos of several faces each, of an odd size; one with noise."""
    photos, small = portraits(), portraits()[:, ::3, ::3]
    batch = np.concatenate(
        [np.concatenate(small[[0, 2, 3]], 1), np.concatenate(small[[6, 8, 1]], 1)]
    )[None, :333, :347]
    noise = np.random.default_rng(0).integers(0, 256, batch.shape, np.uint8)
    return np.concatenate([batch, batch[:, ::-1], noise, photos[:1, :333, :347]])


@pytest.mark.parametrize("thresholds", [THRESHOLDS, RETRY_THRESHOLDS])
@pytest.mark.parametrize(
    ("photos", "smallest"), [(portraits, 76.8), (portraits, 40), (collage, 20), (collage, 333)]
)
def test_boxes_are_those_of_the_package(cascade, thresholds, photos, smallest):
    batch, boxes = photos(), 0
    package = MTCNN(keep_all=True, thresholds=list(thresholds), min_face_size=smallest).eval()
    for photo, found in zip(batch, cascade(batch, smallest, thresholds), strict=True):
        expected = package.detect(
            photo[None], landmarks=True
        )  # alone: beside others its boxes depend on them
        if expected[0][0] is None:
            assert len(found.boxes) == len(found.scores) == len(found.points) == 0
            continue
        for ours, theirs, atol in zip(found, expected, (0.01, 1e-4, 0.01), strict=True):
            np.testing.assert_allclose(ours, np.asarray(theirs[0], float), rtol=0, atol=atol)
        boxes += len(found.boxes)
    assert boxes >= (len(batch) - 1 if smallest < 100 else 0)


@pytest.mark.parametrize("thresholds", [THRESHOLDS, RETRY_THRESHOLDS])
def test_a_photo_is_judged_alike_to_the_last_digit_in_every_batch(cascade, thresholds):
    photos = portraits()
    batch = np.concatenate([photos, np.zeros_like(photos[:1]), photos[::-1]])
    together = cascade(batch, 76.8, thresholds)
    for rows, size in (
        ([*range(10)], 1),
        ([*range(19)], 2),
        ([*range(19)], 5),
        ([8, 3, 9, 0, 18, 4], 6),
    ):
        parts = [rows[at : at + size] for at in range(0, len(rows), size)]
        apart = [found for part in parts for found in cascade(batch[part], 76.8, thresholds)]
        for row, found in zip(rows, apart, strict=True):
            for one, many in zip(found, together[row], strict=True):
                np.testing.assert_array_equal(
                    one, many, err_msg=f"photo {row} in a batch of {size}"
                )


@pytest.mark.parametrize("net", ["pnet", "rnet", "onet"])
def test_networks_see_few_numbers_of_inputs(cascade, net):
    # PyTorch keeps kernels for each number, among the photos' memory: all from 1 to 256 took 200 MB more
    first, seen = next(getattr(cascade, net).children()), set()
    handle = first.register_forward_pre_hook(lambda _, inputs: seen.add(len(inputs[0])))
    photos = np.concatenate([portraits(), portraits()[::2, :, ::-1]])
    for stop in range(1, len(photos) + 1):
        cascade(photos[:stop], 76.8, RETRY_THRESHOLDS)
    handle.remove()
    multiple = 2 if net == "pnet" else 8
    assert seen and all(count % multiple == 0 for count in seen), seen
    nothing = torch.zeros(0, 3, *([24, 24] if net == "rnet" else [48, 48]))
    assert len(getattr(cascade, net)(nothing)[-1]) == 0


@pytest.mark.parametrize("group", [0, 1, 31, 4000])
def test_boxes_are_suppressed_alike_wherever_the_photo_stands_in_the_batch(group):
    other, scores = torch.tensor([[5.0, 5.0, 6000.0, 7000.0]]), torch.tensor([0.9, 0.8, 0.95])
    for overlap in np.linspace(0.69, 0.71, 41):  # of two squares: shared / covered
        shift = 0.3 + 1000 * (1 - overlap) / (1 + overlap)
        boxes = torch.tensor(
            [[0.3, 0.1, 1000.3, 1000.1], [shift, 0.1, shift + 1000, 1000.1]]
        ).float()
        alone = mtcnn._suppressed(boxes, scores[:2], torch.tensor([0, 0]), 0.7)
        of = torch.tensor([group, group, group + 1])
        together = mtcnn._suppressed(torch.cat([boxes, other]), scores, of, 0.7)
        assert sorted(together.tolist()) == [*alone.tolist(), 2]
        assert abs(overlap - 0.7) < 0.001 or len(alone) == (1 if overlap > 0.7 else 2)


def test_each_group_is_suppressed_as_if_alone():
    draw = torch.Generator().manual_seed(0)
    corner, group = (
        torch.rand(400, 2, generator=draw) * 60 - 10,
        torch.randint(7, (400,), generator=draw),
    )
    boxes, scores = torch.cat([corner, corner + 50], 1), torch.rand(400, generator=draw)
    kept = mtcnn._suppressed(boxes, scores, group, 0.7)
    for g in range(7):
        rows = torch.where(group == g)[0]
        assert kept[group[kept] == g].tolist() == rows[nms(boxes[rows], scores[rows], 0.7)].tolist()


def test_of_two_boxes_one_in_the_other_the_surer_stays():
    boxes = np.array([[0, 0, 100, 100], [30, 30, 60, 60], [0, 0, 50, 50]], np.float32)
    scores, points = np.array([0.8, 0.9, 0.99], np.float32), np.zeros((3, 5, 2), np.float32)
    found = mtcnn._of_photo(0, np.array([0, 0, 1]), boxes, scores, points)
    assert found.boxes.tolist() == [[30, 30, 60, 60]]
    assert nms_numpy(boxes[:2], scores[:2], 0.7, "Min").tolist() == [1]


@pytest.mark.parametrize(
    "box", [(0, 0, 50, 40), (3, 5, 33, 9), (7, 7, 8, 8), (20, 1, 50, 39), (10, 10, 23, 36)]
)
@pytest.mark.parametrize("size", [(12, 12), (24, 24), (17, 13)])
def test_views_are_averages_over_areas(box, size):
    photos = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), np.uint8)
    x0, y0, x1, y1 = box
    sums, of = mtcnn._sums(photos, CPU), torch.tensor([2, 0])
    views = mtcnn._views(sums, of, torch.tensor([box, box]), *size)
    cut = (
        torch.from_numpy(photos[[2, 0], y0:y1, x0:x1].astype(np.float32))
        .permute(0, 3, 1, 2)
        .contiguous()
    )
    torch.testing.assert_close(
        views, (adaptive_avg_pool2d(cut, size) - 127.5) * 0.0078125, rtol=0, atol=2e-7
    )
    assert views.is_contiguous(memory_format=torch.channels_last)


def test_sums_may_run_over_in_very_large_photos():
    white = np.full((1, 3000, 3000, 3), 255, np.uint8)  # 3000 x 3000 x 255 > 2**31
    views = mtcnn._views(
        mtcnn._sums(white, CPU), torch.tensor([0]), torch.tensor([[0, 0, 3000, 3000]]), 12, 12
    )
    assert (views == (255 - 127.5) * 0.0078125).all()


def test_candidates_beside_the_photo_are_left_out(cascade):
    sums = mtcnn._sums(portraits()[:1], CPU)
    boxes = torch.tensor([[-90.0, 10, -30, 70], [400, 10, 460, 70], [20, 600, 80, 660]])
    for net, side in ((cascade.rnet, 24), (cascade.onet, 48)):
        of, *_ = cascade._refine(
            net, side, sums, torch.zeros(3, dtype=torch.int64), boxes, -1.0, 0.7
        )
        assert len(of) == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_boxes_are_the_same_on_the_gpu(cascade):
    batch, cuda = portraits(), torch.device("cuda")
    assert torch.equal(mtcnn._sums(batch, cuda).cpu(), mtcnn._sums(batch, CPU))
    on_gpu = mtcnn.Mtcnn(cuda)(batch, 76.8, THRESHOLDS)
    for ours, theirs in zip(cascade(batch, 76.8, THRESHOLDS), on_gpu, strict=True):
        np.testing.assert_allclose(theirs.boxes, ours.boxes, atol=1)
