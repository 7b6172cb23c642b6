import numpy as np
import pytest
from tiny import CONTEXT_BOX, CONTEXT_SHAPE, shot

from portrait18.cropping import context

HEIGHT, WIDTH = CONTEXT_SHAPE
BOX = CONTEXT_BOX


def test_the_descriptor_ignores_the_face_and_depends_on_its_surroundings():
    photo = shot(0, 0)
    before = context.descriptor(photo, BOX).astype(int)
    assert before.shape == (context.LENGTH,) == (3 * (12 + 12 + 24),)
    other_face = photo.copy()
    other_face[20:70, 30:66] = 255 - photo[20:70, 30:66]
    assert (context.descriptor(other_face, BOX) == before).all()
    for strip, cells in (
        ((slice(0, 70), slice(0, 30)), slice(0, 36)),
        ((slice(0, 70), slice(66, 96)), slice(36, 72)),
        ((slice(70, 120), slice(0, 96)), slice(72, 144)),
    ):
        changed = photo.copy()
        changed[strip] = 255 - photo[strip]
        moved = np.abs(context.descriptor(changed, BOX) - before)
        assert moved[cells].mean() > 3 * np.delete(moved, np.r_[cells]).mean()


def test_the_descriptor_hardly_depends_on_the_light():
    def distance(a, b):
        return np.sqrt(((a.astype(float) - b) ** 2).mean())

    first = context.descriptor(shot(0, 0), BOX)
    assert distance(first, context.descriptor(shot(0, 1), BOX)) < 8
    assert distance(first, context.descriptor(shot(1, 0), BOX)) > 40
    white_left = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    white_left[:, :40] = 255
    left, below = slice(0, 36), slice(72, 144)
    wide = context.descriptor(white_left, (40, 20, 76, 70)).astype(int)
    assert np.ptp(wide[left]) == 0
    assert wide[left].min() > 0
    assert wide[36:72].max() < 0
    assert np.ptp(wide[below]) > 0


@pytest.mark.parametrize(
    "box", [(-20, -20, 120, 200), (0, 0, 0, 0), (96, 120, 96, 120), (90, 5, 300, 400)]
)
def test_a_box_beyond_the_photo_leaves_thin_strips(box):
    for shape in ((HEIGHT, WIDTH), (20, 20), (20, 500)):
        photo = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        assert context.descriptor(photo, box).shape == (context.LENGTH,)
