import numpy as np
import pytest
from face_points import LEVEL, TURNED

from portrait18.importers import mask_geometry


@pytest.mark.parametrize(
    ("points", "seen"),
    [
        (LEVEL, True),
        (TURNED, True),
        (LEVEL[[1, 0, 2, 4, 3]], False),
        (LEVEL + np.array([[0, 0], [0, 0], [100, 0], [0, 0], [0, 0]]), False),
        (LEVEL * (0.1, 1), False),
        (np.full((5, 2), 100.0), False),
    ],
    ids=[
        "level",
        "turned",
        "left for right",
        "nose beyond the cheek",
        "eyes together",
        "one point",
    ],
)
def test_is_frontal(points, seen):
    assert mask_geometry.is_frontal(points) is seen
    assert mask_geometry.is_frontal(points @ np.array([[0.0, 1], [-1, 0]])) is seen
