"""After kills at random moments, `dvc repro` resumes and ends with the same dvc.lock."""

import random
import re
import shutil
from collections import Counter

import pytest
from interruption import (
    RESUMING,
    RUNNING,
    Repro,
    check,
    needs_repair,
    outputs_by_stage,
    progress,
    repair,
)
from small_params import FROZEN

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(7200)]  # a busy machine is slow
SEED = 18
#: Kind of stage that each of the twenty kills aims at; if all of a kind are done, the next kind.
KINDS = ["crop"] * 6 + ["train"] * 6 + ["predict"] * 4 + ["evaluate"] * 4
#: How many stages of a kind must at least have resumed; half of the kills wait for progress.
MIN_RESUMED = {"crop": 2, "train": 1, "predict": 1}


def wait_and_kill(
    repro: Repro, project, at: re.Match, rng: random.Random, after_progress: bool
) -> None:
    """Kill all processes at a random moment of this stage, or soon after its next progress."""
    stage, kind = at.groups()

    def done() -> int:
        return sum(number for key, number in progress(project).items() if key.split()[0] == stage)

    before = done()
    ended = False
    while after_progress and not ended and done() == before:
        ended = repro.prints_within(RUNNING.search, 0.02)
    # A stage that imports PyTorch takes about four times as long to start as DVC.
    longest = {True: 0.1, False: 6.0}[after_progress] if kind not in ("evaluate", "fit") else 0.8
    if not ended:
        repro.prints_within(RUNNING.search, rng.uniform(0, longest) * repro.startup_seconds)
    repro.kill()


def resumed_kinds(output: str) -> Counter:
    """Count the stages that resumed, by kind."""
    stages = [stage for stage, text in outputs_by_stage(output) if RESUMING.search(text)]
    return Counter(stage.split("@")[0] for stage in stages)


def test_twenty_kills_cost_at_most_the_current_epoch_chunk_or_batch(finished, fresh_project):
    project, rng = fresh_project, random.Random(SEED)
    killed, epochs, left, resumed, arguments = [], Counter(), {}, Counter(), ()
    print(f"random seed {SEED}")
    while len(killed) < len(KINDS):
        wanted = KINDS[len(killed)]
        kinds = list(dict.fromkeys(KINDS))
        kinds = kinds[kinds.index(wanted) :]
        repro = Repro(project, *arguments)
        at = repro.wait_for(
            lambda line, kinds=kinds: (m := RUNNING.search(line)) and m[2] in kinds and m
        )
        if at is None:
            repro.kill()
            resumed += resumed_kinds(repro.output())
            if needs_repair(repro.output()):
                repair(project)
            else:  # the last kills came after the stage that they aimed at
                assert not arguments, repro.output()
                arguments = ("--force", "-s", KINDS[-1])
            continue
        after_progress = len(killed) % 2 == 1 and at[2] in MIN_RESUMED
        wait_and_kill(repro, project, at, rng, after_progress)
        check(repro.output(), left, epochs, finished=False)
        resumed += resumed_kinds(repro.output())
        left = progress(project)
        killed.append(outputs_by_stage(repro.output())[-1][0])
        print(f"kill {len(killed)}: {killed[-1]}, progress left: {left}")

    output = project.run("dvc", "repro", check=False)
    if needs_repair(output):
        repair(project)
        output = project.run("dvc", "repro")
    check(output, left, epochs, finished=True)
    resumed += resumed_kinds(output)
    print(f"resumed: {resumed}")
    assert all(resumed[kind] >= least for kind, least in MIN_RESUMED.items()), resumed
    kinds = Counter(stage.split("@")[0] for stage in killed)
    assert all(kinds[kind] >= 2 for kind in ("crop", "train", "predict", "evaluate")), kinds
    assert (project.root / "dvc.lock").read_bytes() == (finished.root / "dvc.lock").read_bytes()
    assert project.repro() == []
    assert progress(project) == {}, "progress is removed once a later stage has run"
    assert not list(project.root.rglob(".*.part*")), "no temporary file is left"


def kill_after_the_weights(repro: Repro, weights) -> None:
    """Kill a fit that has written its weights, before its predictions if possible."""
    ended = False
    while not ended and not list(weights.glob("*.safetensors")):
        ended = repro.prints_within(RUNNING.search, 0.02)
    repro.kill()


def test_killed_features_and_fits_end_with_the_same_bytes(project):
    project.set_params(FROZEN)
    project.set_params({"features": {"batch_size": 2}})
    rng, left, resumed = random.Random(SEED), {}, Counter()
    for kind, moment in (
        ("features", "progress"),
        ("features", "progress"),
        ("fit", "start"),
        ("fit", "weights"),
    ):
        repro = Repro(project, "fit@gender", "fit@age-class")
        at = repro.wait_for(
            lambda line, kind=kind: (m := RUNNING.search(line)) and m[2] == kind and m
        )
        assert at, repro.output()
        if moment == "weights":
            kill_after_the_weights(repro, project.root / "models/trained" / at[1].split("@")[1])
        else:
            wait_and_kill(repro, project, at, rng, moment == "progress")
        check(repro.output(), left, Counter(), finished=False)
        resumed += resumed_kinds(repro.output())
        left = progress(project)
        print(f"killed {outputs_by_stage(repro.output())[-1][0]}, progress left: {left}")
        if needs_repair(repro.output()):
            repair(project)
    output = project.run("dvc", "repro", "fit@gender", "fit@age-class", check=False)
    if needs_repair(output):
        repair(project)
        output = project.run("dvc", "repro", "fit@gender", "fit@age-class")
    check(output, left, Counter(), finished=True)
    resumed += resumed_kinds(output)
    assert resumed["features"] >= 1, resumed
    assert not list(project.root.rglob(".*.part*")), "no temporary file is left"

    lock = (project.root / "dvc.lock").read_bytes()
    shutil.rmtree(project.root / ".resume")
    stages = [stage for stage in project.lock() if stage.startswith(("features", "fit"))]
    assert len(stages) == 4
    project.run("dvc", "repro", "--force", "-s", *stages)
    assert (project.root / "dvc.lock").read_bytes() == lock
