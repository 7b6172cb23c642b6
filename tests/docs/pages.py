"""The documents of the repository and their parts."""

import re
from pathlib import Path

from synthetic import REPO

DOCS = sorted((REPO / "docs").glob("*.md"))
#: Documents whose commands, params and files must exist. The changelog names former ones.
PAGES = [REPO / "README.md", REPO / "CONTRIBUTING.md", *DOCS]
ALL = [*PAGES, REPO / "CHANGELOG.md", REPO / "data/demo/README.md"]


def name(path: Path) -> str:
    """Return a test id."""
    return path.relative_to(REPO).as_posix()


def blocks(path: Path, language: str) -> list[str]:
    """Return the code blocks of a language, without their common indentation."""
    found = re.findall(
        rf"^( *)```{language}\n(.*?)^ *```", path.read_text(), re.DOTALL | re.MULTILINE
    )
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def spans(path: Path) -> list[str]:
    """Return the inline code, without code blocks."""
    prose = re.sub(r"^ *```.*?^ *```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", prose)


def commands(path: Path) -> list[str]:
    """Return the shell commands of code blocks and inline code, without comments."""
    text = "\n".join(blocks(path, "sh")).replace("\\\n", " ")
    lines = [re.sub(r"\s+# .*", "", line) for line in text.splitlines()] + spans(path)
    return [part.strip() for line in lines for part in re.split(r"&&|;", line)]
