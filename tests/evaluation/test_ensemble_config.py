import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from portrait18.core.params import EnsembleParams
from portrait18.dataset.classes import TASKS, joint
from portrait18.evaluation import ensemble_config, ensembling
from portrait18.evaluation.ensemble_config import Answer, Ensemble, EnsembleConfig, Stacking, Votes

RNG = np.random.default_rng(5)


def votes(count=90, classes=3, models=2, truth=None):
    truth = RNG.integers(0, classes, count) if truth is None else truth
    stack = RNG.dirichlet(np.ones(classes), (models, len(truth)))
    stack[0, np.arange(len(truth)), truth] += 0.5
    return Votes(stack / stack.sum(2, keepdims=True), truth)


@pytest.mark.parametrize("seen", [[0, 1, 2], [0, 2], [1, 2]])
def test_a_stacking_answers_as_the_regression_that_it_was_taken_from(seen):
    stack, truth = votes(truth=RNG.choice(seen, 90))
    stacking = ensembling.choose(
        Votes(stack, truth),
        np.arange(90),
        EnsembleParams(vote="stacking", weights="equal", decision="argmax"),
    ).stacking
    inputs = np.log(stack.clip(1e-4)).transpose(1, 0, 2).reshape(90, -1)
    regression = LogisticRegression(C=0.1, max_iter=1000).fit(inputs, truth)
    found = stacking.vote(stack)
    np.testing.assert_allclose(found.sum(1), 1)
    np.testing.assert_allclose(found[:, seen], regression.predict_proba(inputs), rtol=1e-5)
    assert (found[:, [c for c in range(3) if c not in seen]] < 1e-5).all()


def test_a_choice_answers_by_its_vote_and_its_offsets():
    stack = np.array([[[0.5, 0.4, 0.1]], [[0.4, 0.3, 0.3]], [[0.0, 1.0, 0.0]]])
    equal, no = np.full(3, 1 / 3), np.zeros(3)
    assert EnsembleConfig("soft", equal, no).answer(stack).decided == 1
    assert EnsembleConfig("hard", equal, no).answer(stack).decided == 0
    shifted = EnsembleConfig("soft", equal, np.array([1.0, 0, 0])).answer(stack)
    assert shifted.decided == 0
    np.testing.assert_allclose(shifted.probabilities, stack.mean(0))


@pytest.mark.parametrize("vote", ["soft", "hard", "stacking"])
@pytest.mark.parametrize("decision", ["argmax", "offsets", "joint", "thresholds"])
def test_what_is_written_answers_as_what_was_chosen(vote, decide):
    of_task = {name: votes(classes=len(task.classes)) for name, task in TASKS.items()}
    years = RNG.uniform(18, 80, 90)
    params = EnsembleParams(vote=vote, weights="log-loss", decision=decide)
    chosen = ensembling.fit(of_task, years, np.arange(90), params)
    if decide == "joint":  # whatever it found to be worth: none of it may be lost
        chosen = chosen._replace(joint_offsets=RNG.normal(0, 1, 18))
    models = {name: ["a", "b"] for name in TASKS}
    read, voters = ensemble_config.from_json(
        json.loads(json.dumps(ensemble_config.to_json(chosen, models)))
    )
    assert voters == models
    assert all(read.choices[name].vote == vote for name in TASKS)
    before, after = chosen.answer(of_task, years), read.answer(of_task, years)
    for name in TASKS:
        np.testing.assert_array_equal(before[name].probabilities, after[name].probabilities)
        np.testing.assert_array_equal(before[name].decided, after[name].decided)


def test_answers_by_task_are_the_same_from_three_as_from_18():
    parts = {name: RNG.dirichlet(np.ones(len(task.classes)), 20) for name, task in TASKS.items()}
    decided = {name: p.argmax(1) for name, p in parts.items()}
    three, number = ensemble_config.by_task(
        {name: Answer(parts[name], decided[name]) for name in TASKS}
    )
    eighteen = joint(*parts.values())
    np.testing.assert_array_equal(number, eighteen.argmax(1))
    of_all, same = ensemble_config.by_task({"all": Answer(eighteen, number)})
    np.testing.assert_array_equal(same, number)
    for name in TASKS:
        np.testing.assert_allclose(of_all[name], three[name])
    np.testing.assert_allclose(
        ensemble_config.joint_probabilities({n: Answer(parts[n], decided[n]) for n in TASKS}),
        eighteen,
    )


def test_an_ensemble_without_stacking_says_so_and_reads_again():
    ensemble = Ensemble(
        {"mask": EnsembleConfig("soft", np.ones(1), np.zeros(3))}, None, np.array([29.5, 59.5])
    )
    written = ensemble_config.to_json(ensemble, {"mask": ["m"]})
    assert written["tasks"]["mask"]["stacking"] is None
    assert written["joint_offsets"] is None
    read, _ = ensemble_config.from_json(written)
    assert read.choices["mask"].stacking is None
    assert read.thresholds.tolist() == [29.5, 59.5]
    assert not isinstance(read.choices["mask"].stacking, Stacking)
