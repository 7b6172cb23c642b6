"""Write dlib's own embeddings of photos of the demo, which test_dlib_resnet.py compares with.

    pip install dlib-bin==20.0.1.post1
    python tests/models/dlib_reference.py

dlib is not among the packages of the tests: it is needed only to write the file again.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

TESTS = Path(__file__).parents[1]
PATH = Path(__file__).with_name("dlib_reference.json")
PEOPLE = ("000001_female_Asian_70", "000002_male_White_27", "000018_male_Asian_64")


def photos(size: int) -> np.ndarray:
    """Return the squares around the faces of demo photos, uint8 (N, size, size, 3), RGB."""
    from tiny import demo_photo

    squares = [demo_photo("normal", person)[100:400, 42:342] for person in PEOPLE]
    return np.stack([cv2.resize(square, (size, size)) for square in squares])


def main() -> None:
    """Write the file."""
    import dlib

    from portrait18.models.bundled import BUNDLED

    network = dlib.face_recognition_model_v1(str(BUNDLED["dlib_resnet"].locate()))
    embeddings = network.compute_face_descriptor(list(photos(150)))
    rows = [[round(value, 7) for value in embedding] for embedding in embeddings]
    lines = [f'"{name}": {row}' for name, row in zip(PEOPLE, rows, strict=True)]
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    sys.path[:0] = [str(TESTS), str(TESTS.parent)]
    main()
