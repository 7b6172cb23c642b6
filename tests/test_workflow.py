"""The GitHub workflow has minimal permissions, and all its commands exist."""

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


def test_it_runs_on_pull_requests_with_minimal_permissions():
    assert set(WORKFLOW["on"]) == {"push", "pull_request"}, (
        "pull_request_target would give forks' code the right to write"
    )
    assert WORKFLOW["permissions"] == {"contents": "read"}
    granted = {name: job["permissions"] for name, job in JOBS.items() if "permissions" in job}
    assert granted == {"metrics": {"contents": "read", "pull-requests": "write"}}
    assert all("timeout-minutes" in job for job in JOBS.values())


def test_actions_are_pinned_and_leave_no_token_behind():
    used = [step for step in STEPS if "uses" in step]
    assert len(used) >= 4
    for step in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", step["uses"])
        if "checkout" in step["uses"]:
            assert step["with"]["persist-credentials"] == "false"


def test_commands_contain_no_expressions_that_a_pull_request_controls():
    assert "${{" not in COMMANDS


def test_it_runs_lint_tests_and_the_demo():
    targets = re.findall(r"^([\w.]+):", (REPO / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"\bmake (\w+)", "\n".join(step.get("run", "") for step in STEPS))
    assert named == ["lint", "test", "demo"]
    assert set(named) <= set(targets)


@pytest.mark.parametrize("line", re.findall(r"dvc ((?:metrics|params) .*)", COMMANDS))
def test_dvc_has_the_options(line):
    words = line.split()
    help_text = subprocess.run(
        ["dvc", *words[:2], "--help"], env=ENV, capture_output=True, text=True, check=True
    ).stdout
    for option in re.findall(r"--[\w-]+", line):
        assert re.search(rf"{option}\b", help_text), f"dvc {line}"


def test_the_cached_environment_depends_on_the_requirements():
    (cache,) = [step for step in STEPS if step.get("uses", "").startswith("actions/cache@")]
    assert cache["with"]["path"] == ".venv"
    assert "hashFiles('requirements.txt')" in cache["with"]["key"]
    assert "python-version" in cache["with"]["key"]
    (touched,) = re.findall(r"touch (\S+)", COMMANDS)
    assert f"{touched}: requirements.txt" in (REPO / "Makefile").read_text()


def test_a_refused_comment_does_not_fail_the_job(tmp_path):
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
    """repository(score, lr) commits a metric and a param to a new DVC repository and returns it."""

    def git(*words: str) -> None:
        name = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *name, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "--quiet")
    subprocess.run(["dvc", "init", "--quiet"], cwd=tmp_path, env=ENV, check=True)
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  score:\n    cmd: 'true'\n    params: [lr]\n"
        "    metrics:\n    - metrics.json: {cache: false}\n"
    )

    def commit(score: float, lr: float) -> Path:
        (tmp_path / "metrics.json").write_text(f'{{"mask": {{"macro_f1": {score}}}}}\n')
        (tmp_path / "params.yaml").write_text(f"lr: {lr}\n")
        git("add", "--all")
        git("commit", "--quiet", "--allow-empty", "--message", "Score")
        return tmp_path

    return commit


def diff(root: Path) -> str:
    done = subprocess.run([SCRIPT, "HEAD^1"], cwd=root, env=ENV, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return re.sub(r" +", " ", done.stdout)


def test_the_comment_shows_changes_of_metrics_and_params(repository):
    repository(0.5, 0.1)
    text = diff(repository(0.75, 0.2))
    metrics, params = text.split("### Params")
    assert metrics.startswith("### Metrics\n\n|")
    assert "| metrics.json | mask.macro_f1 | 0.5 | 0.75 | 0.25 |" in metrics
    assert "| params.yaml | lr | 0.1 | 0.2 |" in params


def test_the_comment_says_if_nothing_changed(repository):
    repository(0.5, 0.1)
    assert diff(repository(0.5, 0.1)) == "### Metrics\n\nNo change.\n\n### Params\n\nNo change.\n\n"


def test_an_unknown_base_commit_is_an_error(repository):
    root = repository(0.5, 0.1)
    done = subprocess.run([SCRIPT, "HEAD^1"], cwd=root, env=ENV, capture_output=True, text=True)
    assert done.returncode != 0
