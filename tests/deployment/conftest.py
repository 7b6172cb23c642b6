"""A working folder with a bundle and photos, and `portrait18 predict` in it."""

import numpy as np
import pytest
from PIL import Image
from synthetic import photo_bytes
from tiny import demo_photo

from portrait18 import cli


@pytest.fixture
def folder(make_bundle, tmp_path):
    """The working folder, with a bundle and photos of two, one and no people."""
    make_bundle()
    (tmp_path / "photos/sub").mkdir(parents=True)
    pair = np.concatenate([demo_photo(), demo_photo("mask1")[:, ::-1]], axis=1)
    Image.fromarray(pair).save(tmp_path / "photos/pair.png")
    Image.fromarray(demo_photo()).save(tmp_path / "photos/sub/one.png")
    (tmp_path / "photos/zero.jpg").write_bytes(photo_bytes(width=100, height=120))
    return tmp_path


@pytest.fixture
def predict(folder, capsys):
    """predict(*arguments) -> exit status, lines on stdout, lines on stderr after the first.

    The first line on stderr describes the bundle.
    """

    def run(*arguments):
        status = cli.main(["predict", "--bundle", "bundle", *map(str, arguments)])
        out, err = capsys.readouterr()
        first, *rest = err.splitlines()
        assert first.startswith("bundle: Trained on 14 photos of 2 people")
        return status, out.splitlines(), rest

    return run
