"""A folder with recipes of its own."""

import pytest
import yaml


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Function recipe(name, values, base) that writes a recipe; values may be the file's text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()

    def write(name, values, base=None):
        content = values
        if not isinstance(values, str):
            raw = {"about": f"Tries {name}. More.", "base": base, "set": values}
            content = yaml.safe_dump({key: value for key, value in raw.items() if value})
        (tmp_path / f"recipes/{name}.yaml").write_text(content)

    return write
