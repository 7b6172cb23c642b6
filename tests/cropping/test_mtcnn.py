import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN, ONet, PNet, RNet
from tiny import demo_photo

from portrait18.cropping import mtcnn, mtcnn_networks
from portrait18.cropping.faces import RETRY_THRESHOLDS, THRESHOLDS
from portrait18.cropping.integral import integral_images

CPU = torch.device("cpu")
PEOPLE = ("000018_male_Asian_64", "000005_male_Black_79", "000001_female_Asian_70")
MASK_STATES = ("normal", "mask1", "incorrect_mask")


@pytest.fixture(scope="module")
def cascade():
    return mtcnn.Mtcnn(CPU)


def portraits():
    return np.stack([demo_photo(state, person) for person in PEOPLE for state in MASK_STATES])


def collage():
    """Photos of odd size with several faces each, and one of noise."""
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
def test_boxes_equal_those_of_facenet_pytorch(cascade, thresholds, photos, smallest):
    batch, boxes = photos(), 0
    package = MTCNN(keep_all=True, thresholds=list(thresholds), min_face_size=smallest).eval()
    for photo, found in zip(batch, cascade(batch, smallest, thresholds), strict=True):
        expected = package.detect(
            photo[None], landmarks=True
        )  # alone, because in a batch its boxes depend on the others
        if expected[0][0] is None:
            assert len(found.boxes) == len(found.scores) == len(found.points) == 0
            continue
        for ours, theirs, atol in zip(found, expected, (0.01, 1e-4, 0.01), strict=True):
            np.testing.assert_allclose(ours, np.asarray(theirs[0], float), rtol=0, atol=atol)
        boxes += len(found.boxes)
    assert boxes >= (len(batch) - 1 if smallest < 100 else 0)


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("thresholds", [THRESHOLDS, RETRY_THRESHOLDS])
def test_the_faces_of_a_photo_are_bit_identical_in_every_batch(cascade, thresholds, threads):
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
        separate = [found for part in parts for found in cascade(batch[part], 76.8, thresholds)]
        for row, found in zip(rows, separate, strict=True):
            for one, many in zip(found, together[row], strict=True):
                np.testing.assert_array_equal(
                    one, many, err_msg=f"photo {row} in a batch of {size}"
                )


@pytest.mark.parametrize(("net", "side"), [("rnet", 24), ("onet", 48)])
@torch.inference_mode()
def test_the_outputs_of_a_candidate_are_bit_identical_in_every_batch(cascade, net, side, threads):
    views = torch.rand(160, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    network = getattr(cascade, net).net
    together = network(views)
    for count in (1, 2, 7, 8, 15, 16, 17, 24, 40, 63, 65, 100, 144):
        for few, many in zip(network(views[:count]), together, strict=True):
            assert torch.equal(few, many[:count]), f"{count} candidates"


@pytest.mark.parametrize("net", ["pnet", "rnet", "onet"])
def test_networks_get_few_different_batch_sizes(cascade, net):
    # PyTorch keeps kernels for each batch size: all sizes from 1 to 256 took 200 MB more.
    seen = set()
    layer = cascade.pnet.conv1 if net == "pnet" else getattr(cascade, net).net.conv1
    handle = layer.register_forward_pre_hook(lambda _, inputs: seen.add(len(inputs[0])))
    photos = np.concatenate([portraits(), portraits()[::2, :, ::-1]])
    for stop in range(1, len(photos) + 1):
        cascade(photos[:stop], 76.8, RETRY_THRESHOLDS)
    handle.remove()
    multiple = 2 if net == "pnet" else 16
    assert seen
    assert all(count % multiple == 0 for count in seen), seen


def test_no_box_lies_inside_another(cascade):
    for found in cascade(collage(), 20, RETRY_THRESHOLDS):
        for i, (x0, y0, x1, y1) in enumerate(found.boxes):
            inside = (found.boxes[:, :2] >= [x0, y0]).all(1) & (found.boxes[:, 2:] <= [x1, y1]).all(
                1
            )
            assert np.flatnonzero(inside).tolist() == [i]


@pytest.mark.parametrize("net", ["rnet", "onet"])
def test_candidates_outside_the_photo_are_dropped(cascade, net):
    integrals = integral_images(portraits()[:1], CPU)
    boxes = torch.tensor([[-90.0, 10, -30, 70], [400, 10, 460, 70], [20, 600, 80, 660]])
    with torch.inference_mode():
        found = getattr(cascade, net)(integrals, torch.zeros(3, dtype=torch.int64), boxes, -1.0)
    assert len(found.photo) == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_boxes_are_the_same_on_the_gpu(cascade):
    batch, cuda = portraits(), torch.device("cuda")
    assert torch.equal(integral_images(batch, cuda).cpu(), integral_images(batch, CPU))
    on_gpu = mtcnn.Mtcnn(cuda)(batch, 76.8, THRESHOLDS)
    for ours, theirs in zip(cascade(batch, 76.8, THRESHOLDS), on_gpu, strict=True):
        np.testing.assert_allclose(theirs.boxes, ours.boxes, atol=1)


@pytest.mark.parametrize(("name", "side"), [("pnet", 12), ("pnet", 37), ("rnet", 24), ("onet", 48)])
def test_networks_give_the_bytes_of_facenet_pytorch(name, side):
    photos = torch.rand(5, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    package = {"pnet": PNet, "rnet": RNet, "onet": ONet}[name]().eval()
    ours = getattr(mtcnn_networks, name)()
    with torch.inference_mode():
        for actual, expected in zip(ours(photos), package(photos), strict=True):
            assert torch.equal(actual, expected)
