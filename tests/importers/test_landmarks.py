import cv2
import numpy as np
import pytest
import torch
from tiny import demo_photo

from portrait18.cropping import faces
from portrait18.cropping.mtcnn import Mtcnn
from portrait18.importers import landmarks


@pytest.fixture(scope="module")
def net():
    return Mtcnn(torch.device("cpu"))


def test_points_are_the_eyes_nose_and_mouth(net):
    photo = demo_photo()
    [points] = landmarks.find(net, [photo], 0.2)
    (x0, y0, x1, y1, tilt, *_), *_ = faces.Detector(0.2, torch.device("cpu"))(photo[None], "mtcnn")[
        0
    ]
    left, right, nose, left_mouth, right_mouth = points
    assert points.shape == (5, 2)
    assert x0 < left[0] < nose[0] < right[0] < x1
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert y0 < left[1] < nose[1] < left_mouth[1] < y1
    assert right[1] < nose[1] < right_mouth[1]
    assert np.degrees(np.arctan2(*(right - left)[::-1])) == pytest.approx(tilt, abs=0.01)


def test_photos_of_several_sizes_keep_their_order(net):
    photo = demo_photo()
    small = cv2.resize(photo, (288, 384), interpolation=cv2.INTER_AREA)
    first, none, second, third = landmarks.find(
        net, [photo, np.full_like(photo, 90), small, photo], 0.2
    )
    assert none is None
    np.testing.assert_allclose(second, first * 0.75, atol=6)
    np.testing.assert_allclose(third, first, atol=0.1)


def test_the_larger_of_two_faces_is_chosen(net):
    photo = demo_photo()
    pair = np.hstack(
        [cv2.copyMakeBorder(photo[128:384, 96:288], 0, 256, 0, 0, cv2.BORDER_REPLICATE), photo]
    )
    small = cv2.resize(photo, (192, 256), interpolation=cv2.INTER_AREA)
    pair[:256, :192] = small
    [points] = landmarks.find(net, [pair], 0.1)
    [alone] = landmarks.find(net, [photo], 0.2)
    np.testing.assert_allclose(points, alone + np.array([192, 0]), atol=4)
