"""Copy a trained bundle to portrait18/starter, the model that predicts until a user trains one.

python -m recipes.install_starter models/bundle

recipes/starter.txt has the license and the measured limits, which everybody who predicts reads.
"""

import argparse
import shutil
from pathlib import Path

from portrait18.core.errors import UserError, cli_errors
from portrait18.core.files import atomic_write, path_argument, write_json
from portrait18.deployment.bundle import MANIFEST, STARTER, read_manifest

NOTES = Path(__file__).with_name("starter.txt")
#: The starter is in git and in the Python package.
MAX_BYTES = 6_000_000


def install(source: Path, target: Path = STARTER, notes: Path = NOTES) -> int:
    """Copy a bundle without ONNX files and add the notes to its manifest.

    Args:
        source: folder of the bundle.
        target: emptied first.
        notes: text file, one or several lines.

    Returns:
        Bytes of the copy.

    Raises:
        UserError: no valid bundle, too large, or the target itself.
    """
    manifest = read_manifest(source)
    files = [source / entry.file for entry in manifest.networks]
    size = sum(file.stat().st_size for file in (*files, source / MANIFEST))
    if size > MAX_BYTES:
        raise UserError(
            f"{source} has {size / 1e6:.1f} MB; a starter has at most {MAX_BYTES / 1e6:.0f} MB: use"
            " fewer folds or smaller heads"
        )
    if source.resolve() == target.resolve():
        raise UserError(f"{source} is the installed starter itself; name a trained bundle")
    text = " ".join(notes.read_text(encoding="utf-8").split())
    shutil.rmtree(target, ignore_errors=True)
    for file in files:
        with atomic_write(target / file.name) as tmp_path:
            shutil.copyfile(file, tmp_path)
    networks = [entry.model_copy(update={"onnx": None}) for entry in manifest.networks]
    copied = manifest.model_copy(update={"networks": networks, "notes": text})
    write_json(copied.model_dump(mode="json"), target / MANIFEST)
    return size


@cli_errors
def main(argv: list[str] | None = None) -> None:
    """Parse the command line and copy the bundle."""
    parser = argparse.ArgumentParser(prog="python -m recipes.install_starter")
    parser.add_argument(
        "bundle", type=path_argument, metavar="FOLDER", help="a bundle, such as models/bundle"
    )
    folder = parser.parse_args(argv).bundle
    print(f"{STARTER}: {install(folder) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
