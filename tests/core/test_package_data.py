"""Data files of packages are found without importing the package, and only with their content."""

import hashlib
import sys

import pytest

from portrait18.core.errors import UserError
from portrait18.core.package_data import package_file

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = "face_data/models/net.dat"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Return the data file of an installed package that can't be imported."""
    info = tmp_path / "face_data-1.2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: face-data\nVersion: 1.2.0\n")
    file = tmp_path / PATH
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    (tmp_path / "face_data/__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    return file


def test_a_file_is_found_without_importing_its_package(data):
    assert package_file("face-data==1.2.0", PATH, SHA256) == data
    assert "face_data" not in sys.modules


def test_a_file_with_another_content_is_rejected(data):
    data.write_bytes(CONTENT + b"!")
    with pytest.raises(UserError, match=r"sha256 begins with .*--force-reinstall face-data==1.2.0"):
        package_file("face-data==1.2.0", PATH, SHA256)


def test_a_missing_file_is_reported(data):
    data.unlink()
    with pytest.raises(UserError, match=f"face-data 1.2.0 has no file {PATH}; pip install"):
        package_file("face-data==1.2.0", PATH, SHA256)


def test_a_missing_package_is_reported():
    with pytest.raises(UserError, match=r"face-data is not installed.*install --no-deps face-data"):
        package_file("face-data==1.2.0", PATH, SHA256)
