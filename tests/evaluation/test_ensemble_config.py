import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from portrait18.core.params import EnsembleParams
from portrait18.dataset.classes import TASKS, joint
from portrait18.evaluation import ensemble_config, ensembling
from portrait18.evaluation.ensemble_config import (
    EnsembleConfig,
    Stacking,
    TaskEnsemble,
    TaskPredictions,
)

RNG = np.random.default_rng(5)


def votes(count=90, classes=3, models=2, truth=None):
    truth = RNG.integers(0, classes, count) if truth is None else truth
    stack = RNG.dirichlet(np.ones(classes), (models, len(truth)))
    stack[0, np.arange(len(truth)), truth] += 0.5
    return stack / stack.sum(2, keepdims=True), truth


@pytest.mark.parametrize("present", [[0, 1, 2], [0, 2], [1, 2]])
def test_stacking_equals_the_fitted_regression(present):
    stack, truth = votes(truth=RNG.choice(present, 90))
    stacking = ensembling.fit_task(
        stack,
        truth,
        np.arange(90),
        EnsembleParams(calibration="none", vote="stacking", weights="equal", decision="argmax"),
    ).stacking
    inputs = np.log(stack.clip(1e-4)).transpose(1, 0, 2).reshape(90, -1)
    regression = LogisticRegression(C=0.1, max_iter=1000).fit(inputs, truth)
    found = stacking.probabilities(stack)
    np.testing.assert_allclose(found.sum(1), 1)
    np.testing.assert_allclose(found[:, present], regression.predict_proba(inputs), rtol=1e-5)
    assert (found[:, [c for c in range(3) if c not in present]] < 1e-5).all()


def test_a_task_ensemble_predicts_by_its_vote_and_its_offsets():
    stack = np.array([[[0.5, 0.4, 0.1]], [[0.4, 0.3, 0.3]], [[0.0, 1.0, 0.0]]])
    equal, no = np.full(3, 1 / 3), np.zeros(3)
    assert TaskEnsemble("soft", equal, no).predict(stack).predicted == 1
    assert TaskEnsemble("hard", equal, no).predict(stack).predicted == 0
    shifted = TaskEnsemble("soft", equal, np.array([1.0, 0, 0])).predict(stack)
    assert shifted.predicted == 0
    np.testing.assert_allclose(shifted.probabilities, stack.mean(0))


@pytest.mark.parametrize("vote", ["soft", "hard", "stacking"])
@pytest.mark.parametrize("decision", ["argmax", "offsets", "joint", "thresholds"])
def test_a_config_read_back_predicts_the_same(vote, decision):
    parts = {name: votes(classes=len(task.classes)) for name, task in TASKS.items()}
    stacks, truth = ({name: part[i] for name, part in parts.items()} for i in (0, 1))
    data = ensembling.ValidationVotes(stacks, truth, np.arange(90), RNG.uniform(18, 80, 90))
    params = EnsembleParams(
        calibration="temperature", vote=vote, weights="log-loss", decision=decision
    )
    fitted = ensembling.fit(data, params)._replace(temperatures={"a": 0.466})
    if decision == "joint":  # no digit may be lost
        fitted = fitted._replace(joint_offsets=RNG.normal(0, 1, 18))
    models = {name: ["a", "b"] for name in TASKS}
    read, voters = ensemble_config.from_json(
        json.loads(json.dumps(ensemble_config.to_json(fitted, models)))
    )
    assert voters == models
    assert read.temperatures == {"a": 0.466}
    assert all(read.tasks[name].vote == vote for name in TASKS)
    before, after = (c.predict(data.votes, data.years) for c in (fitted, read))
    for name in TASKS:
        np.testing.assert_array_equal(before[name].probabilities, after[name].probabilities)
        np.testing.assert_array_equal(before[name].predicted, after[name].predicted)


def test_by_task_gives_the_same_from_three_tasks_as_from_18_classes():
    parts = {name: RNG.dirichlet(np.ones(len(task.classes)), 20) for name, task in TASKS.items()}
    predicted = {name: p.argmax(1) for name, p in parts.items()}
    three, class_ids = ensemble_config.by_task(
        {name: TaskPredictions(parts[name], predicted[name]) for name in TASKS}
    )
    eighteen = joint(*parts.values())
    np.testing.assert_array_equal(class_ids, eighteen.argmax(1))
    from_joint, same = ensemble_config.by_task({"all": TaskPredictions(eighteen, class_ids)})
    np.testing.assert_array_equal(same, class_ids)
    for name in TASKS:
        np.testing.assert_allclose(from_joint[name], three[name])
    np.testing.assert_allclose(
        ensemble_config.joint_probabilities(
            {n: TaskPredictions(parts[n], predicted[n]) for n in TASKS}
        ),
        eighteen,
    )


def test_a_config_without_stacking_reads_back():
    ensemble = EnsembleConfig(
        {"mask": TaskEnsemble("soft", np.ones(1), np.zeros(3))}, None, np.array([29.5, 59.5])
    )
    written = ensemble_config.to_json(ensemble, {"mask": ["m"]})
    assert written["tasks"]["mask"]["stacking"] is None
    assert written["joint_offsets"] is None
    read, _ = ensemble_config.from_json(written)
    assert read.tasks["mask"].stacking is None
    assert read.thresholds.tolist() == [29.5, 59.5]
    assert not isinstance(read.tasks["mask"].stacking, Stacking)
