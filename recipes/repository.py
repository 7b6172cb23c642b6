"""Prepare the git repository for an experiment: HEAD on a branch, params.yaml as committed."""

import os
import subprocess
from pathlib import Path

from portrait18.core.errors import UserError
from recipes.loader import load_yaml, parse_yaml

PARAMS = Path("params.yaml")


def output(*command: str) -> str:
    """Run a command and return its stdout."""
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def _succeeds(*command: str) -> bool:
    return not subprocess.run(command, capture_output=True).returncode


def prepare() -> None:
    """Check git, reattach HEAD and restore params.yaml.

    Raises:
        UserError: DVC could not save an experiment, or params.yaml has uncommitted changes.
    """
    _check_git()
    _reattach_head()
    _restore_edited_params()


def restore_params() -> None:
    """Check out the committed params.yaml."""
    output("git", "checkout", "--quiet", "HEAD", "--", str(PARAMS))


def commit() -> str:
    """Return the short hash of HEAD, with a + if the code has uncommitted changes."""
    inside = ["--", ".", ":!params.yaml", ":!dvc.lock", ":!reports"]
    changed = output("git", "status", "--porcelain", "--untracked-files=no", *inside)
    return output("git", "rev-parse", "--short", "HEAD").strip() + ("+" if changed else "")


def _check_git() -> None:
    """DVC saves an experiment as a commit with an author: fail before hours of work, not after."""
    if not _succeeds("git", "rev-parse", "--verify", "HEAD"):
        raise UserError(
            "there is no git repository with a commit here, and DVC saves experiments in one; "
            "clone the project, or run: git init; git add --all; git commit"
        )
    if not _succeeds("git", "config", "user.email") and not os.environ.get("GIT_COMMITTER_EMAIL"):
        raise UserError(
            "git has no author for the commits in which DVC saves experiments; set one: "
            "git config --global user.name NAME; git config --global user.email MAIL"
        )


def _reattach_head() -> None:
    """Put a detached HEAD back on its branch: DVC detaches it, and a killed DVC can't undo that."""
    if _succeeds("git", "symbolic-ref", "--quiet", "HEAD"):
        return
    rebases = [output("git", "rev-parse", "--git-path", f"rebase-{n}") for n in ("merge", "apply")]
    if any(Path(path.strip()).exists() for path in rebases):
        return  # git itself has detached it
    branches = output(
        "git", "for-each-ref", "--points-at=HEAD", "--format=%(refname)", "refs/heads"
    ).split()
    if len(branches) == 1:
        output("git", "symbolic-ref", "HEAD", branches[0])
        name = branches[0].removeprefix("refs/heads/")
        print(f"git HEAD was detached by a killed experiment; it is on {name} again")


def _restore_edited_params() -> None:
    """Restore params.yaml if an experiment has left its own there: -S would start from those.

    Raises:
        UserError: params.yaml has changes that are saved nowhere else.
    """
    if not PARAMS.exists():
        raise UserError(f"{PARAMS} is missing; run from the folder that holds it")
    committed = parse_yaml(output("git", "show", f"HEAD:./{PARAMS}"), f"committed {PARAMS}")
    if load_yaml(PARAMS) == committed:
        return
    present = output("git", "hash-object", str(PARAMS)).strip()
    for ref in output("git", "for-each-ref", "--format=%(refname)", "refs/exps/??/*/*").split():
        if _succeeds("git", "cat-file", "-e", f"{ref}:./{PARAMS}") and present == (
            output("git", "rev-parse", "--verify", f"{ref}:./{PARAMS}").strip()
        ):
            restore_params()
            print(
                f"params.yaml held the experiment {ref.rsplit('/', 1)[1]};"
                " restored the committed file, from which recipes start"
            )
            return
    raise UserError(
        "params.yaml has uncommitted changes, which would change the recipe's result; "
        "commit them, or drop them: git checkout params.yaml"
    )
