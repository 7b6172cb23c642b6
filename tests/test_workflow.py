"""The GitHub workflow: it asks for what it needs only, and every command in it is one that there is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from synthetic import REPO

WORKFLOW = yaml.load(
    (REPO / ".github/workflows/tests.yml").read_text(), yaml.BaseLoader
)  # else `on` reads as true
JOBS = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
SCRIPT = REPO / ".github/metrics_diff.sh"
COMMANDS = "\n".join([step.get("run", "") for step in STEPS] + [SCRIPT.read_text()])
ENV = {
    **os.environ,
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
}


def test_it_runs_on_pull_requests_and_may_do_no_more_than_it_must():
    assert set(WORKFLOW["on"]) == {"push", "pull_request"}, (
        "pull_request_target would give forks' code the right to write"
    )
    assert WORKFLOW["permissions"] == {"contents": "read"}
    asked = {name: job["permissions"] for name, job in JOBS.items() if "permissions" in job}
    assert asked == {"metrics": {"contents": "read", "pull-requests": "write"}}
    assert all("timeout-minutes" in job for job in JOBS.values())


def test_actions_have_a_major_version_or_a_commit_and_leave_no_token_behind():
    used = [step for step in STEPS if "uses" in step]
    assert len(used) >= 4
    for step in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", step["uses"])
        if "checkout" in step["uses"]:
            assert step["with"]["persist-credentials"] == "false"


def test_nothing_of_a_pull_request_is_pasted_into_a_command():
    assert "${{" not in COMMANDS


def test_make_targets_are_those_of_the_makefile():
    targets = re.findall(r"^([\w.]+):", (REPO / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"\bmake (\w+)", "\n".join(step.get("run", "") for step in STEPS))
    assert named == ["lint", "test", "current"]
    assert set(named) <= set(targets)


@pytest.mark.parametrize("line", re.findall(r"dvc ((?:metrics|params) .*)", COMMANDS))
def test_options_are_those_that_dvc_has(line):
    words = line.split()
    told = subprocess.run(
        ["dvc", *words[:2], "--help"], env=ENV, capture_output=True, text=True, check=True
    ).stdout
    for option in re.findall(r"--[\w-]+", line):
        assert re.search(rf"{option}\b", told), f"dvc {line}"


def test_what_is_kept_between_runs_changes_with_the_requirements():
    (kept,) = [step for step in STEPS if step.get("uses", "").startswith("actions/cache@")]
    assert kept["with"]["path"] == ".venv"
    assert "hashFiles('requirements.txt')" in kept["with"]["key"]
    assert "python-version" in kept["with"]["key"]
    (touched,) = re.findall(r"touch (\S+)", COMMANDS)
    assert f"{touched}: requirements.txt" in (REPO / "Makefile").read_text()


def test_a_comment_that_may_not_be_written_fails_nothing(tmp_path):
    (step,) = [step for step in STEPS if "gh pr comment" in step.get("run", "")]
    (tmp_path / "gh").write_text('#!/bin/sh\necho "$@" > "$ASKED"\necho "HTTP 403" >&2\nexit 1\n')
    (tmp_path / "gh").chmod(0o755)
    env = {
        **ENV,
        "PATH": f"{tmp_path}:{ENV['PATH']}",
        "NUMBER": "7",
        "GITHUB_REPOSITORY": "a/b",
        "ASKED": str(tmp_path / "asked"),
    }
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "::notice::" in done.stdout
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("pr comment 7 --repo a/b ")
    assert "--body-file metrics.md" in asked


@pytest.fixture
def repository(tmp_path):
    """A DVC repository; repository(figure, lr) commits a figure and a param."""

    def git(*words: str) -> None:
        name = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *name, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "--quiet")
    subprocess.run(["dvc", "init", "--quiet"], cwd=tmp_path, env=ENV, check=True)
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  score:\n    cmd: 'true'\n    params: [lr]\n    metrics:\n    - metrics.json: {cache: false}\n"
    )

    def commit(figure: float, lr: float) -> Path:
        (tmp_path / "metrics.json").write_text(f'{{"mask": {{"macro_f1": {figure}}}}}\n')
        (tmp_path / "params.yaml").write_text(f"lr: {lr}\n")
        git("add", "--all")
        git("commit", "--quiet", "--allow-empty", "--message", "a figure")
        return tmp_path

    return commit


def written(root: Path) -> str:
    done = subprocess.run([SCRIPT, "HEAD^1"], cwd=root, env=ENV, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return re.sub(r" +", " ", done.stdout)


def test_the_comment_shows_old_new_and_change_of_figures_and_params(repository):
    repository(0.5, 0.1)
    text = written(repository(0.75, 0.2))
    metrics, params = text.split("### Params")
    assert metrics.startswith("### Metrics\n\n|")
    assert "| metrics.json | mask.macro_f1 | 0.5 | 0.75 | 0.25 |" in metrics
    assert "| params.yaml | lr | 0.1 | 0.2 |" in params


def test_the_comment_says_so_where_nothing_changes(repository):
    repository(0.5, 0.1)
    assert (
        written(repository(0.5, 0.1)) == "### Metrics\n\nNo change.\n\n### Params\n\nNo change.\n\n"
    )


def test_a_base_that_is_not_there_is_an_error(repository):
    root = repository(0.5, 0.1)
    done = subprocess.run([SCRIPT, "HEAD^1"], cwd=root, env=ENV, capture_output=True, text=True)
    assert done.returncode != 0
