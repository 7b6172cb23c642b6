from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import cv2
import numpy as np
import pytest
import torch
from portraits import face
from tiny import demo_photo

from portrait18.cropping import faces, mtcnn
from portrait18.cropping.yunet import YuNet

CPU = torch.device("cpu")
BLANK = np.full((256, 192, 3), 120, np.uint8)


@pytest.fixture(scope="module")
def net():
    return YuNet()


def test_yunet_finds_the_face_and_points_of_mtcnn(net):
    photo = demo_photo()
    [theirs] = mtcnn.Mtcnn(CPU)(photo[None], 76.8, faces.THRESHOLDS)
    ours = net(photo, 76.8, 0.6)
    assert [len(part) for part in ours] == [1, 1, 1]
    side = theirs.boxes[0, 3] - theirs.boxes[0, 1]
    np.testing.assert_allclose(ours.points, theirs.points, atol=0.06 * side)
    center, theirs_center = (found.boxes.reshape(2, 2).mean(0) for found in (ours, theirs))
    np.testing.assert_allclose(center, theirs_center, atol=0.1 * side)


def test_boxes_and_points_scale_with_the_photo(net):
    photo = demo_photo()
    small = net(photo, 76.8, 0.6)
    large = net(np.repeat(np.repeat(photo, 2, 0), 2, 1), 153.6, 0.6)
    np.testing.assert_allclose(large.boxes, 2 * small.boxes, atol=1)
    np.testing.assert_allclose(large.points, 2 * small.points, atol=1)


def test_faces_are_sorted_by_size_and_small_ones_left_out(net):
    near = demo_photo()
    far = cv2.resize(near, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    far = cv2.copyMakeBorder(far, 256, 0, 0, 0, cv2.BORDER_REPLICATE)
    pair = np.concatenate([far, near], axis=1)
    boxes = net(pair, 40, 0.6).boxes
    assert len(boxes) == 2
    assert boxes[0, 0] > 192 > boxes[1, 2]
    assert len(net(pair, 200, 0.6).boxes) == 1


def test_a_higher_threshold_finds_fewer_faces(net):
    assert len(net(demo_photo(), 76.8, 0.3).boxes) == 1
    assert len(net(demo_photo(), 76.8, 0.999).boxes) == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (31, 33), (2000, 40)])
def test_photos_of_any_shape_can_be_searched(net, shape):
    found = net(np.full((*shape, 3), 90, np.uint8), 20, 0.3)
    assert found.boxes.shape == (0, 4)
    assert found.points.shape == (0, 5, 2)


def test_searches_of_several_threads_and_sizes_do_not_mix(net):
    photos = [demo_photo(), BLANK, demo_photo("mask1"), demo_photo()[:-40]] * 4
    alone = [net(photo, 76.8, 0.3) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda photo: net(photo, 76.8, 0.3), photos))
    for one, other in zip(alone, together, strict=True):
        for part, other_part in zip(one, other, strict=True):
            assert (part == other_part).all()


def test_opencvs_threads_change_no_bit(net):
    results = []
    threads = cv2.getNumThreads()
    try:
        for number in (1, 2):
            cv2.setNumThreads(number)
            results.append(net(demo_photo(), 40, 0.3))
    finally:
        cv2.setNumThreads(threads)
    for part, other in zip(*results, strict=True):
        assert (part == other).all()


def test_nothing_is_printed_by_any_thread(capfd):
    level = cv2.utils.logging.getLogLevel()
    threads, net = 8, YuNet()
    together = Barrier(threads)

    def search(_):
        together.wait()
        return net(BLANK, 40, 0.3)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(search, range(threads)))
    assert capfd.readouterr() == ("", "")
    assert cv2.utils.logging.getLogLevel() == level


def test_yunet_looks_where_mtcnn_finds_nothing_before_mtcnn_looks_again():
    detector = faces.Detector(0.2, CPU)
    assert detector.searches == ("mtcnn", "yunet", "retry")
    searched = []

    def deaf(photos, smallest, thresholds):
        searched.append(thresholds)
        return [mtcnn.Faces(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2))) for _ in photos]

    detector.mtcnn = deaf
    found, nothing = faces.find(detector, [demo_photo(), BLANK], 4)
    assert searched == [faces.THRESHOLDS] * 2 + [faces.RETRY_THRESHOLDS]
    assert found.search == "yunet"
    assert len(found.faces[0].points) == 10
    assert nothing == faces.Found([], "", [])


class Scripted:
    """Finds given faces in photos of 100 x 100 px; counts the photos of each search."""

    def __init__(self, **found):
        self.searches = ("mtcnn", "yunet", "retry")
        self.found, self.photos = found, dict.fromkeys(self.searches, 0)

    def __call__(self, batch, search):
        self.photos[search] += len(batch)
        return [self.found.get(search, []) for _ in batch]


PORTRAIT, BEHIND = face(20, 20, 80, 80, score=0.7), face(85, 30, 95, 40, score=0.94)


@pytest.mark.parametrize(
    ("mtcnn_found", "yunet_found", "kept", "source"),
    [
        ([BEHIND], [PORTRAIT], [PORTRAIT], "yunet"),
        ([BEHIND], [PORTRAIT, BEHIND], [PORTRAIT, BEHIND], "yunet"),
        ([BEHIND], [], [BEHIND], "mtcnn"),
        ([BEHIND], [face(5, 30, 14, 39, score=0.7)], [BEHIND], "mtcnn"),
        ([BEHIND], [face(84, 29, 95, 40, score=0.95)], [BEHIND], "mtcnn"),
    ],
    ids=["missed", "both", "nothing more", "less plausible", "the same face"],
)
def test_yunet_looks_again_where_a_face_is_not_plausible(mtcnn_found, yunet_found, kept, source):
    detector = Scripted(mtcnn=mtcnn_found, yunet=yunet_found)
    photo = np.zeros((100, 100, 3), np.uint8)
    replaced = [] if source == "mtcnn" else mtcnn_found
    assert faces.find(detector, [photo], 1) == [faces.Found(kept, source, replaced)]
    assert detector.photos == {"mtcnn": 1, "yunet": 1, "retry": 0}


def test_overlap_is_the_intersection_over_union():
    assert faces.overlap(PORTRAIT, PORTRAIT) == 1
    assert faces.overlap(face(0, 0, 20, 10), face(10, 0, 30, 10)) == pytest.approx(1 / 3)
    assert faces.overlap(face(0, 0, 10, 10), face(10, 0, 20, 10)) == 0
    assert faces.overlap(face(0, 0, 10, 10), face(20, 20, 30, 30)) == 0
    assert faces.overlap(face(5, 5, 5, 5), face(5, 5, 5, 5)) == 0


def test_yunet_does_not_look_at_a_plausible_face():
    detector = Scripted(mtcnn=[PORTRAIT], yunet=[face(10, 10, 90, 90)])
    photo = np.zeros((100, 100, 3), np.uint8)
    assert faces.find(detector, [photo], 1) == [faces.Found([PORTRAIT], "mtcnn", [])]
    assert detector.photos["yunet"] == 0


def test_the_method_yunet_has_two_searches_and_no_mtcnn():
    detector = faces.Detector(0.2, CPU, "yunet")
    assert detector.mtcnn is None
    [found] = faces.find(detector, [demo_photo()], 4)
    assert found.search == "yunet"
    assert found.faces[0].score >= faces.YUNET_THRESHOLD
    detector.yunet = lambda photo, smallest, threshold: YuNet()(photo, smallest, threshold / 0.6)
    [again] = faces.find(detector, [demo_photo()], 4)
    assert again == found._replace(search="retry")
