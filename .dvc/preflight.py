"""Check a project before each `dvc` command: one line for what DVC reports as an internal error.

`make` installs this module into .venv, with a .pth file that imports it whenever Python starts.
It does nothing unless the program is DVC. Then it

- lets stages find the same Python as DVC, also if .venv is not activated;
- lets DVC write settings with non-ASCII paths, as `dvc exp run --temp` and `--queue` do;
- in this project, checks what DVC can't report on one line, and exits with status 1 if it fails.
"""

import contextlib
import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

NAME = "portrait18_preflight"
#: Commands that read dvc.yaml. `dvc config` and the like must work in a project with problems.
CHECKED = {"repro", "exp", "experiments", "status", "commit", "dag", "stage", "params"}
CHECKED |= {"metrics", "plots", "data", "push", "pull", "fetch", "checkout", "freeze", "unfreeze"}
NO_SCM = "core.no_scm true"
_LISTS = re.compile(r"\$\{([\w.-]+)\}")


def dvc_arguments(argv: list[str]) -> list[str] | None:
    """Return the arguments of DVC, or None if a command line runs another program."""
    for i, argument in enumerate(argv[1:], 1):
        is_program = argv[i - 1] == "-m" or not argument.startswith("-")
        if is_program:
            return argv[i + 1 :] if os.path.basename(argument) == "dvc" else None
    return None


def find_project(folder: Path) -> Path | None:
    """Return the folder of this project that holds `folder`, or None in another project."""
    for parent in (folder, *folder.parents):
        if (parent / ".dvc").is_dir():
            return parent if (parent / "stages/__main__.py").exists() else None
    return None


def use_this_python() -> None:
    """Prepend this Python's programs to the PATH of the stages unless the PATH has them."""
    programs = str(Path(sys.executable).parent)
    paths = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if programs not in paths:
        os.environ["PATH"] = os.pathsep.join([programs, *paths])


def allow_non_ascii_paths() -> None:
    """Let configobj encode settings as UTF-8. It reads UTF-8, but writes ASCII by default."""
    import configobj

    write = configobj.ConfigObj.write

    def write_utf8(self, *args, **kwargs):
        self.default_encoding = self.default_encoding or "utf-8"
        return write(self, *args, **kwargs)

    configobj.ConfigObj.write = write_utf8


def git_problems(root: Path, is_experiment: bool) -> Iterator[str]:
    """Yield a line if DVC expects a git repository and there is none, or the other way round."""
    configs = [root / ".dvc/config", root / ".dvc/config.local"]
    text = "".join(path.read_text() for path in configs if path.exists())
    without_git = bool(re.search(r"^\s*no_scm\s*=\s*true", text, re.MULTILINE | re.IGNORECASE))
    has_git = any((parent / ".git").exists() for parent in (root, *root.parents))
    if not has_git and not without_git:
        yield (
            f"{root} is not a git repository; run git init, or dvc config --local {NO_SCM} to work"
            " without git"
        )
    elif without_git and is_experiment:
        fix = "" if has_git else "git init && "
        yield (
            "dvc exp needs git, and core.no_scm turns it off; run"
            f" {fix}dvc config --local --unset core.no_scm, then commit the files"
        )


def matrix_lists(pipeline: dict) -> list[str]:
    """Return the keys of params.yaml that a matrix of dvc.yaml runs over."""
    matrices = [str(stage["matrix"]) for stage in pipeline["stages"].values() if "matrix" in stage]
    return sorted({key for matrix in matrices for key in _LISTS.findall(matrix)})


def overrides(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (key, text of the value) of each `-S KEY=VALUE` and `--set-param KEY=VALUE`."""
    for i, argument in enumerate(arguments):
        given = re.fullmatch(r"(?:-S|--set-param=)(.+)", argument)
        if argument in ("-S", "--set-param") and i + 1 < len(arguments):
            text = arguments[i + 1]
        elif given:
            text = given[1]
        else:
            continue
        key, _, value = text.partition("=")
        yield key.lstrip("+").removeprefix("params.yaml:"), value


def list_problems(root: Path, arguments: list[str]) -> Iterator[str]:
    """Yield a line for each value where a matrix needs a list, in params.yaml or in `-S`."""
    import yaml

    keys = matrix_lists(yaml.safe_load((root / "dvc.yaml").read_text()))
    params = yaml.safe_load((root / "params.yaml").read_text())
    given = dict(overrides(arguments))
    for key, text in given.items():
        if any(text.count(a) != text.count(b) for a, b in ("[]", "{}", "()")):
            yield f"-S {key}={text}: a bracket is missing; quote the whole KEY=VALUE"
    for key in keys:
        section, _, name = key.rpartition(".")
        values = params.get(section) if isinstance(params, dict) else None
        if key in given:
            text = given[key]
            if not re.search(r"[\[({$]", text):  # choice() and range() are sweeps
                yield f"-S {key}={text}: must be a list; write -S '{key}=[{text}]'"
        elif isinstance(values, dict) and name in values and not isinstance(values[name], list):
            value = "0" if values[name] is None else values[name]
            yield f"params.yaml: {key} = {values[name]}: must be a list, such as [{value}]"


def name_problems(root: Path) -> Iterator[str]:
    """Yield a line if photos or folders have names that are not UTF-8, which DVC can't record."""
    import yaml

    data = (yaml.safe_load((root / "params.yaml").read_text()) or {}).get("data") or {}
    for folder in {str(data.get("root")), str(data.get("extra"))}:
        names = [
            os.path.join(parent, name)
            for parent, folders, files in os.walk(root / folder)
            for name in (*folders, *files)
            if not is_utf8(name)
        ]
        if names:
            first = os.fsencode(os.path.relpath(min(names), root))
            shown = first.decode("utf-8", "backslashreplace")
            with contextlib.suppress(UnicodeDecodeError):
                shown += f" ({os.path.basename(first).decode('cp949')} in cp949)"
            yield (
                f"{len(names)} names in {folder} are not UTF-8, first {shown}; run"
                f" python -m portrait18.importers.names '{folder}' to rename them"
            )


def is_utf8(name: str) -> bool:
    """Return whether a file name is text; bytes that are not UTF-8 become lone surrogates."""
    return not any("\ud800" <= c <= "\udfff" for c in name)


def target_problems(root: Path, arguments: list[str]) -> Iterator[str]:
    """Yield a line if `dvc exp run TARGET` would look for folders that nobody has computed yet.

    At its end DVC lists the plots of all stages, also of those that the target does not need. It
    takes folders that are missing from its cache, which the cache of a fresh clone lacks.
    """
    import yaml

    if not has_target(arguments):
        return
    lock, cache = root / "dvc.lock", cache_folder(root)
    stages = yaml.safe_load(lock.read_text())["stages"].values() if lock.exists() else []
    plots = str(yaml.safe_load((root / "dvc.yaml").read_text())["plots"])
    for out in [out for stage in stages for out in stage.get("outs", [])]:
        path, md5 = out["path"], out["md5"]
        is_cached = (cache / "files/md5" / md5[:2] / md5[2:]).exists()
        is_here = is_cached or (root / path).exists()
        if path in plots and md5.endswith(".dir") and not is_here:
            yield (
                f"dvc exp run with a target needs the plots of all stages, and {path} is neither"
                " here nor in DVC's cache; run dvc repro or dvc pull first, or dvc exp run without"
                " a target"
            )
            return


def has_target(arguments: list[str]) -> bool:
    """Return whether the arguments of `dvc exp run` name a stage."""
    with_value = {"-S", "--set-param", "-n", "--name", "-j", "--jobs", "-C", "--copy-paths"}
    with_value |= {"-m", "--message", "-r", "--rev", "--cd"}
    words = [
        argument
        for i, argument in enumerate(arguments)
        if not argument.startswith("-") and (i == 0 or arguments[i - 1] not in with_value)
    ]
    return words[1:2] == ["run"] and len(words) > 2


def cache_folder(root: Path) -> Path:
    """Return the folder of DVC's cache."""
    for path in (root / ".dvc/config.local", root / ".dvc/config"):
        text = path.read_text() if path.exists() else ""
        if found := re.search(r"^\s*dir\s*=\s*(.+?)\s*$", text, re.MULTILINE):
            return root / ".dvc" / found[1].strip("'\"")
    return root / ".dvc/cache"


def problems(root: Path, command: str, arguments: list[str]) -> list[str]:
    """Return a line for each problem, of the first kind that is found."""
    is_experiment = command in ("exp", "experiments")
    for found in (
        git_problems(root, is_experiment),
        list_problems(root, arguments),
        name_problems(root) if command in ("repro", "exp", "status", "commit", "data") else [],
        target_problems(root, arguments) if is_experiment else [],
    ):
        if lines := list(found):
            return lines
    return []


def check(arguments: list[str]) -> list[str]:
    """Return the problems of the current folder's project that concern a DVC command line."""
    command = next((argument for argument in arguments if not argument.startswith("-")), "")
    root = find_project(Path.cwd())
    if root is None or command not in CHECKED or {"-h", "--help"} & set(arguments):
        return []
    return problems(root, command, arguments)


def run() -> None:
    """Check the project if the program that starts is DVC."""
    arguments = dvc_arguments(sys.orig_argv)
    if arguments is None:
        return
    try:
        use_this_python()
        allow_non_ascii_paths()
        lines = check(arguments)
    except Exception:
        return  # DVC reports whatever can't be read here, e.g. a params.yaml that is not YAML
    if lines:
        print("\n".join(f"error: {line}" for line in lines), file=sys.stderr, flush=True)
        os._exit(1)  # the interpreter is still starting and would report SystemExit as a crash


def install() -> None:
    """Copy this module into the environment of the Python that runs it."""
    folder = Path(sysconfig.get_path("purelib"))
    (folder / f"{NAME}.py").write_bytes(Path(__file__).read_bytes())
    (folder / f"{NAME}.pth").write_text(f"import {NAME}; {NAME}.run()\n")


if __name__ == "__main__":
    install()
