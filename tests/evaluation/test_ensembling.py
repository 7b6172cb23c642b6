import numpy as np
import pytest
from leaning import lean_towards

from portrait18.core.params import EnsembleParams
from portrait18.dataset.classes import TASKS, encode, joint
from portrait18.dataset.confusion import macro_f1
from portrait18.evaluation import decisions, ensembling
from portrait18.evaluation.ensemble_config import blend, hard_votes
from portrait18.evaluation.ensembling import ValidationVotes

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 3, 400)
PEOPLE = np.repeat([f"p{i}" for i in range(80)], 5)


@pytest.mark.parametrize("method", ["equal", "log-loss", "macro-f1"])
def test_weights_lie_on_the_simplex(method):
    stack = np.stack([lean_towards(TRUTH, s, i) for i, s in enumerate((0.5, 1.0, 2.0))])
    weights = ensembling.choose_weights(stack, TRUTH, method)
    assert weights.shape == (3,)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    assert (ensembling.choose_weights(stack, TRUTH, method) == weights).all()


def test_equal_weights_and_the_weight_of_a_single_model():
    stack = np.stack([lean_towards(TRUTH, s, 0) for s in (0.1, 3.0)])
    assert ensembling.choose_weights(stack, TRUTH, "equal").tolist() == [0.5, 0.5]
    assert all(
        ensembling.choose_weights(stack[:1], TRUTH, method).tolist() == [1.0]
        for method in ("log-loss", "macro-f1")
    )


@pytest.mark.parametrize("method", ["log-loss", "macro-f1"])
def test_chosen_weights_prefer_the_better_model(method):
    stack = np.stack([lean_towards(TRUTH, 0.2, 1), lean_towards(TRUTH, 2.0, 2)])
    assert ensembling.choose_weights(stack, TRUTH, method)[1] > 0.7


def test_log_loss_weights_are_optimal():
    stack = np.stack([lean_towards(TRUTH, s, i) for i, s in enumerate((1.0, 1.3))])

    def loss(share):
        return -np.log((share * stack[0] + (1 - share) * stack[1])[np.arange(400), TRUTH]).mean()

    found = ensembling.choose_weights(stack, TRUTH, "log-loss")[0]
    assert 0.05 < found < 0.95
    assert loss(found) <= min(loss(s) for s in np.linspace(0, 1, 101)) + 1e-6


def test_log_loss_weights_survive_zero_probabilities():
    certain = np.eye(3)[TRUTH]
    assert (
        ensembling.choose_weights(np.stack([certain, np.roll(certain, 1, 1)]), TRUTH, "log-loss")[0]
        > 0.99
    )


def test_blend_is_the_weighted_mean():
    stack = np.stack([lean_towards(TRUTH, 1, i) for i in range(2)])
    np.testing.assert_allclose(blend(stack, np.array([0.3, 0.7])), 0.3 * stack[0] + 0.7 * stack[1])


def params(**changes):
    settings = {"calibration": "none", "vote": "soft", "weights": "log-loss"}
    return EnsembleParams(**{**settings, "decision": "offsets", **changes})


def test_a_hard_vote_counts_models_and_probabilities_break_ties():
    stack = np.array([[[0.5, 0.4, 0.1]], [[0.4, 0.3, 0.3]], [[0.0, 1.0, 0.0]]])
    equal = np.full(3, 1 / 3)
    assert blend(stack, equal).argmax(1) == 1
    votes = hard_votes(stack)
    assert blend(votes, equal).argmax(1) == 0
    np.testing.assert_allclose(votes.sum(2), 1)
    assert blend(votes[[0, 2]], np.array([0.5, 0.5])).argmax(1) == 1
    fitted = ensembling.fit_task(
        stack.repeat(3, 1),
        np.array([0, 0, 1]),
        np.arange(3),
        params(vote="hard", weights="equal"),
    )
    assert fitted.predict(stack).predicted.tolist() == [0]


def test_stacking_corrects_a_model_that_swaps_two_classes():
    good = lean_towards(TRUTH, 4, 3)
    swapped = good[:, [1, 0, 2]]
    stack = np.stack([swapped, lean_towards(TRUTH, 0.2, 4)])
    stacked = ensembling.fit_task(stack, TRUTH, PEOPLE, params(vote="stacking", decision="argmax"))
    probabilities, predicted = stacked.predict(stack)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert (predicted == TRUTH).mean() > 0.9 > 0.5 > (swapped.argmax(1) == TRUTH).mean()
    assert stacked.weights[0] > 0.7
    assert stacked.weights.sum() == pytest.approx(1)


def test_stacking_works_without_validation_photos_of_a_class():
    truth = np.repeat([0, 2], 50)
    stack = np.stack([lean_towards(truth, 2, 1), lean_towards(truth, 1, 2)])
    fitted = ensembling.fit_task(stack, truth, np.arange(100), params(vote="stacking"))
    probabilities, _ = fitted.predict(stack)
    assert probabilities.shape == (100, 3)
    assert (probabilities[:, 1] > 0).all()
    assert (probabilities[:, 1] < 1e-3).all()


def test_stacking_weighs_models_equally_if_none_tells_two_people_apart():
    truth, same = np.repeat([0, 1], 7), np.full((2, 14, 2), 0.5)
    fitted = ensembling.fit_task(same, truth, truth, params(vote="stacking"))
    assert fitted.weights.tolist() == [0.5, 0.5]
    np.testing.assert_allclose(fitted.predict(same).probabilities, 0.5)


@pytest.mark.parametrize("vote", ["soft", "hard", "stacking"])
@pytest.mark.parametrize("method", ["equal", "log-loss", "macro-f1"])
@pytest.mark.parametrize("value", [0.0, 1e-9, 1 / 3, 1.0])
def test_weights_are_finite_if_every_model_says_the_same_of_everyone(vote, method, value):
    truth, same = np.repeat([0, 1, 2], 2), np.full((2, 6, 3), value)
    fitted = ensembling.fit_task(same, truth, truth, params(vote=vote, weights=method))
    assert fitted.weights.sum() == pytest.approx(1)
    assert np.isfinite(fitted.probabilities(same)).all()


def three_votes(count=400):
    """Votes of three tasks with expected ages; old people are rare and underestimated."""
    people = np.arange(count)
    truth = {
        n: np.random.default_rng(7).integers(0, len(t.classes), count) for n, t in TASKS.items()
    }
    truth["age"] = np.where(people % 12 == 0, 2, people % 2)
    votes = {
        n: lean_towards(truth[n], 3, i, len(t.classes))[None]
        for i, (n, t) in enumerate(TASKS.items())
    }
    low = votes["age"] * [1, 1, 0.1]
    votes["age"] = low / low.sum(2, keepdims=True)
    years = np.array([22.0, 45.0, 60.0])[truth["age"]] + np.random.default_rng(8).normal(
        0, 4, count
    )
    return ValidationVotes(votes, truth, people, years)


def test_the_joint_decision_shifts_the_18_classes_together():
    data = three_votes()._replace(years=None)
    ensemble = ensembling.fit(data, params(decision="joint"))
    assert ensemble.joint_offsets.shape == (18,)
    assert not any(c.offsets.any() for c in ensemble.tasks.values())
    found = ensemble.predict(data.votes, None)
    eighteen = joint(*(found[n].probabilities for n in TASKS))
    predicted = encode(*(found[n].predicted for n in TASKS))
    assert (predicted == decisions.decide(eighteen, ensemble.joint_offsets)).all()
    truth = encode(*(data.truth[n] for n in TASKS))
    assert macro_f1(truth, predicted, 18) > macro_f1(truth, eighteen.argmax(1), 18) + 0.03


def test_thresholds_decide_the_age_group_by_years_only():
    data = three_votes()
    ensemble = ensembling.fit(data, params(decision="thresholds"))
    found = ensemble.predict(data.votes, data.years)
    assert (found["age"].predicted == np.digitize(data.years, ensemble.thresholds)).all()
    assert (found["mask"].predicted == data.votes["mask"][0].argmax(1)).all()
    assert 26 < ensemble.thresholds[0] < 40
    assert 48 < ensemble.thresholds[1] < 58


@pytest.mark.parametrize("decision", ["offsets", "joint", "thresholds"])
@pytest.mark.parametrize("vote", ["soft", "stacking"])
def test_cross_fit_does_not_depend_on_a_persons_own_labels(decision, vote):
    data = three_votes(120)
    data = data._replace(people=data.people // 4)
    fitted = ensembling.cross_fit(data, params(decision=decision, vote=vote))
    changed = False
    for person in (0, 13, 29):
        own = data.people == person
        wrong = {
            n: np.where(own, (truth + 1) % data.votes[n].shape[2], truth)
            for n, truth in data.truth.items()
        }
        other = ensembling.cross_fit(
            data._replace(truth=wrong), params(decision=decision, vote=vote)
        )
        for name in TASKS:
            assert (other[name].probabilities[own] == fitted[name].probabilities[own]).all()
            assert (other[name].predicted[own] == fitted[name].predicted[own]).all()
            changed |= (other[name].probabilities != fitted[name].probabilities).any()
    assert changed == (vote == "stacking")


def test_cross_fit_raises_macro_f1_on_unseen_people():
    data = three_votes(960)
    blended, predicted = ensembling.cross_fit(data, params())["age"]
    np.testing.assert_allclose(blended, data.votes["age"][0])
    plain = macro_f1(data.truth["age"], blended.argmax(1), 3)
    assert macro_f1(data.truth["age"], predicted, 3) > plain + 0.03


@pytest.mark.parametrize("count", [1, 2, 4])
def test_cross_fit_works_with_few_people(count):
    people = np.repeat(np.arange(count), 6)
    stack = np.stack([lean_towards(TRUTH[: len(people)], 2, i) for i in range(2)])
    data = ValidationVotes({"age": stack}, {"age": TRUTH[: len(people)]}, people)
    probabilities, predicted = ensembling.cross_fit(data, params())["age"]
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert predicted.shape == (len(people),)
