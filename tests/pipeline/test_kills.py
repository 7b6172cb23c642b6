"""Killed at any moment, `dvc repro` goes on, loses one epoch, chunk or batch at most, and ends with the same lock."""

import random
import re
import signal
from collections import Counter

import pytest
from killing import GOING_ON, RUNNING, Repro, broken, check, progress, repair, stages_told

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.timeout(7200),
]  # a busy machine is slow, and takes its time to stop
SEED = 18
#: The kind of stage that each of the twenty kills is meant for; where all of a kind are done, the next kind gets it.
KINDS = ["crop"] * 6 + ["train"] * 6 + ["predict"] * 4 + ["evaluate"] * 4


#: How many stages of a kind must at least have gone on from what a kill left; half of the kills wait for it.
GONE_ON = {"crop": 2, "train": 1, "predict": 1}


def wait_and_kill(
    repro: Repro, project, at: re.Match, rng: random.Random, after_progress: bool
) -> None:
    """Kill all of it at a random moment of this stage, or soon after its next epoch, chunk or batch."""
    stage, kind = at.groups()

    def done() -> int:
        return sum(number for key, number in progress(project).items() if key.split()[0] == stage)

    before = done()
    ended = False
    while after_progress and not ended and done() == before:
        ended = repro.said_within(RUNNING.search, 0.02)
    # A stage of PyTorch takes about four times as long to begin as DVC takes to speak.
    longest = {True: 0.3, False: 6.0}[after_progress] if kind != "evaluate" else 0.8
    if not ended:
        repro.said_within(RUNNING.search, rng.uniform(0, longest) * repro.seconds_to_speak)
    repro.end(signal.SIGKILL)


def gone_on(output: str) -> Counter:
    """Stages that said that they go on, by their kind."""
    return Counter(
        stage.split("@")[0] for stage, said in stages_told(output) if GOING_ON.search(said)
    )


def test_twenty_kills_in_a_row_cost_nothing_but_the_epoch_chunk_or_batch_at_work(
    finished, fresh_project
):
    project, rng = fresh_project, random.Random(SEED)
    killed, epochs, promised, resumed, again = [], Counter(), {}, Counter(), ()
    print(f"random seed {SEED}")
    while len(killed) < len(KINDS):
        wanted = KINDS[len(killed)]
        kinds = list(dict.fromkeys(KINDS))
        kinds = kinds[kinds.index(wanted) :]
        repro = Repro(project, *again)
        at = repro.wait_for(
            lambda line, kinds=kinds: (m := RUNNING.search(line)) and m[2] in kinds and m
        )
        if at is None:
            repro.end(signal.SIGKILL)
            resumed += gone_on(repro.told())
            if broken(repro.told()):
                repair(project)
            else:  # a machine on which the last kills came after the stage that they were meant for
                assert not again, repro.told()
                again = ("--force", "-s", KINDS[-1])
            continue
        wait_and_kill(
            repro, project, at, rng, after_progress=len(killed) % 2 == 1 and at[2] in GONE_ON
        )
        check(repro.told(), promised, epochs, ended=False)
        resumed += gone_on(repro.told())
        promised = progress(project)
        killed.append(stages_told(repro.told())[-1][0])
        print(f"kill {len(killed)}: {killed[-1]}, left to go on from: {promised}")

    output = project.run("dvc", "repro", check=False)
    if broken(output):
        repair(project)
        output = project.run("dvc", "repro")
    check(output, promised, epochs, ended=True)
    resumed += gone_on(output)
    print(f"gone on with: {resumed}")
    assert all(resumed[kind] >= least for kind, least in GONE_ON.items()), resumed
    kinds = Counter(stage.split("@")[0] for stage in killed)
    assert all(kinds[kind] >= 2 for kind in ("crop", "train", "predict", "evaluate")), kinds
    assert (project.root / "dvc.lock").read_bytes() == (finished.root / "dvc.lock").read_bytes()
    assert project.repro() == []
    assert progress(project) == {}, (
        "what was left to go on from goes when the stage after it has run"
    )
    assert not list(project.root.rglob(".*.part*")), "half-written files must not stay"
