import numpy as np
import pandas as pd
import pytest

from portrait18.core.params import EnsembleParams
from portrait18.dataset.classes import AGE, ALL, GENDER, MASK, TASKS, encode, joint
from portrait18.evaluation import decisions, ensembling, voting
from portrait18.evaluation.ensemble_config import TaskPredictions, Votes, blend, hard_votes
from portrait18.models.metrics import macro_f1

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 3, 400)
PEOPLE = np.repeat([f"p{i}" for i in range(80)], 5)


def answers(truth, strength, seed, classes=3):
    """Probabilities (N, classes) that lean towards the truth."""
    logits = np.random.default_rng(seed).normal(0, 1, (len(truth), classes))
    logits[np.arange(len(truth)), truth] += strength
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


@pytest.mark.parametrize("how", ["equal", "log-loss", "macro-f1"])
def test_weights_lie_on_the_simplex(how):
    stack = np.stack([answers(TRUTH, s, i) for i, s in enumerate((0.5, 1.0, 2.0))])
    weights = ensembling.choose_weights(stack, TRUTH, how)
    assert weights.shape == (3,)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    assert (ensembling.choose_weights(stack, TRUTH, how) == weights).all()


def test_equal_weights_are_equal_and_one_model_has_all():
    stack = np.stack([answers(TRUTH, s, 0) for s in (0.1, 3.0)])
    assert ensembling.choose_weights(stack, TRUTH, "equal").tolist() == [0.5, 0.5]
    assert all(
        ensembling.choose_weights(stack[:1], TRUTH, how).tolist() == [1.0]
        for how in ("log-loss", "macro-f1")
    )


@pytest.mark.parametrize("how", ["log-loss", "macro-f1"])
def test_chosen_weights_prefer_the_better_model(how):
    stack = np.stack([answers(TRUTH, 0.2, 1), answers(TRUTH, 2.0, 2)])
    assert ensembling.choose_weights(stack, TRUTH, how)[1] > 0.7


def test_log_loss_weights_are_the_best_there_are():
    stack = np.stack([answers(TRUTH, s, i) for i, s in enumerate((1.0, 1.3))])

    def loss(share):
        return -np.log((share * stack[0] + (1 - share) * stack[1])[np.arange(400), TRUTH]).mean()

    found = ensembling.choose_weights(stack, TRUTH, "log-loss")[0]
    assert 0.05 < found < 0.95
    assert loss(found) <= min(loss(s) for s in np.linspace(0, 1, 101)) + 1e-6


def test_log_loss_weights_survive_zero_probabilities():
    sure = np.eye(3)[TRUTH]
    assert (
        ensembling.choose_weights(np.stack([sure, np.roll(sure, 1, 1)]), TRUTH, "log-loss")[0]
        > 0.99
    )


def test_blend_is_the_weighted_mean():
    stack = np.stack([answers(TRUTH, 1, i) for i in range(2)])
    np.testing.assert_allclose(blend(stack, np.array([0.3, 0.7])), 0.3 * stack[0] + 0.7 * stack[1])


def params(**changes):
    return EnsembleParams(
        **{"vote": "soft", "weights": "log-loss", "decision": "offsets", **changes}
    )


def test_a_hard_vote_counts_heads_and_probabilities_settle_ties():
    stack = np.array([[[0.5, 0.4, 0.1]], [[0.4, 0.3, 0.3]], [[0.0, 1.0, 0.0]]])
    equal = np.full(3, 1 / 3)
    assert blend(stack, equal).argmax(1) == 1
    votes = hard_votes(stack)
    assert blend(votes, equal).argmax(1) == 0
    np.testing.assert_allclose(votes.sum(2), 1)
    assert blend(votes[[0, 2]], np.array([0.5, 0.5])).argmax(1) == 1
    chosen = ensembling.fit_task(
        Votes(stack.repeat(3, 1), np.array([0, 0, 1])),
        np.arange(3),
        params(vote="hard", weights="equal"),
    )
    assert chosen.predict(stack).predicted.tolist() == [0]


def test_stacking_mends_a_model_that_swaps_two_classes():
    sure = answers(TRUTH, 4, 3)
    swapped = sure[:, [1, 0, 2]]
    votes = Votes(np.stack([swapped, answers(TRUTH, 0.2, 4)]), TRUTH)
    stacked = ensembling.fit_task(votes, PEOPLE, params(vote="stacking", decision="argmax"))
    probabilities, decided = stacked.predict(votes.stack)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert (decided == TRUTH).mean() > 0.9 > 0.5 > (swapped.argmax(1) == TRUTH).mean()
    assert stacked.weights[0] > 0.7
    assert stacked.weights.sum() == pytest.approx(1)


def test_stacking_copes_with_a_class_that_nobody_held_out_has():
    truth = np.repeat([0, 2], 50)
    votes = Votes(np.stack([answers(truth, 2, 1), answers(truth, 1, 2)]), truth)
    probabilities, _ = ensembling.fit_task(votes, np.arange(100), params(vote="stacking")).predict(
        votes.stack
    )
    assert probabilities.shape == (100, 3)
    assert (probabilities[:, 1] > 0).all()
    assert (probabilities[:, 1] < 1e-3).all()


def three_votes(count=400):
    """Three tasks; the years lean towards the age; old people are rare and shyly told."""
    people = np.arange(count)
    truth = {
        n: np.random.default_rng(7).integers(0, len(t.classes), count) for n, t in TASKS.items()
    }
    truth["age"] = np.where(people % 12 == 0, 2, people % 2)
    votes = {
        n: Votes(answers(truth[n], 3, i, len(t.classes))[None], truth[n])
        for i, (n, t) in enumerate(TASKS.items())
    }
    shy = votes["age"].stack * [1, 1, 0.1]
    votes["age"] = Votes(shy / shy.sum(2, keepdims=True), truth["age"])
    years = np.array([22.0, 45.0, 60.0])[truth["age"]] + np.random.default_rng(8).normal(
        0, 4, count
    )
    return votes, years, people


def test_the_joint_decision_shifts_the_18_classes_together():
    votes, _, people = three_votes()
    ensemble = ensembling.fit(votes, None, people, params(decision="joint"))
    assert ensemble.joint_offsets.shape == (18,)
    assert not any(c.offsets.any() for c in ensemble.tasks.values())
    found = ensemble.predict(votes, None)
    eighteen = joint(*(found[n].probabilities for n in TASKS))
    decided = encode(*(found[n].predicted for n in TASKS))
    assert (decided == decisions.decide(eighteen, ensemble.joint_offsets)).all()
    truth = encode(*(votes[n].truth for n in TASKS))
    assert macro_f1(truth, decided, 18) > macro_f1(truth, eighteen.argmax(1), 18) + 0.03


def test_borders_decide_the_age_by_years_alone():
    votes, years, people = three_votes()
    ensemble = ensembling.fit(votes, years, people, params(decision="thresholds"))
    found = ensemble.predict(votes, years)
    assert (found["age"].predicted == np.digitize(years, ensemble.thresholds)).all()
    assert (found["mask"].predicted == votes["mask"].stack[0].argmax(1)).all()
    assert 26 < ensemble.thresholds[0] < 40
    assert 48 < ensemble.thresholds[1] < 58


@pytest.mark.parametrize("how", ["offsets", "joint", "thresholds"])
@pytest.mark.parametrize("vote", ["soft", "stacking"])
def test_cross_fit_is_not_swayed_by_a_persons_own_labels(how, vote):
    votes, years, people = three_votes(120)
    people = people // 4
    fitted = ensembling.cross_fit(votes, years, people, params(decision=how, vote=vote))
    swayed = False
    for person in (0, 13, 29):
        own = people == person
        wrong = {
            n: v._replace(truth=np.where(own, (v.truth + 1) % v.stack.shape[2], v.truth))
            for n, v in votes.items()
        }
        other = ensembling.cross_fit(wrong, years, people, params(decision=how, vote=vote))
        for name in TASKS:
            assert (other[name].probabilities[own] == fitted[name].probabilities[own]).all()
            assert (other[name].predicted[own] == fitted[name].predicted[own]).all()
            swayed |= (other[name].probabilities != fitted[name].probabilities).any()
    assert swayed == (vote == "stacking")


def test_cross_fit_raises_macro_f1_on_people_it_has_not_seen():
    votes, _, people = three_votes(960)
    blended, decided = ensembling.cross_fit(votes, None, people, params())["age"]
    np.testing.assert_allclose(blended, votes["age"].stack[0])
    plain = macro_f1(votes["age"].truth, blended.argmax(1), 3)
    assert macro_f1(votes["age"].truth, decided, 3) > plain + 0.03


@pytest.mark.parametrize("count", [1, 2, 4])
def test_cross_fit_manages_with_few_people(count):
    people = np.repeat(np.arange(count), 6)
    stack = np.stack([answers(TRUTH[: len(people)], 2, i) for i in range(2)])
    found = ensembling.cross_fit(
        {"age": Votes(stack, TRUTH[: len(people)])}, None, people, params()
    )
    probabilities, decided = found["age"]
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert decided.shape == (len(people),)


def member(fold, held_out, value):
    rows = [("validation", photo, value, 1 - value) for photo in held_out] + [
        ("eval", "e", value, 1 - value)
    ]
    return pd.DataFrame(rows, columns=["set", "photo", *GENDER.columns])


def test_average_takes_held_out_photos_from_their_fold_and_eval_photos_from_all():
    table = voting.average_members(
        [member(0, ["b", "a"], 0.2), member(1, ["c"], 0.6), member(1, ["c"], 1.0)],
        ["set", "photo"],
    )
    assert table.loc["validation"].index.tolist() == ["a", "b", "c"]
    assert table.loc["validation"].gender_male.tolist() == pytest.approx([0.2, 0.2, 0.8])
    assert table.loc[("eval", "e"), "gender_male"] == pytest.approx(0.6)
    np.testing.assert_allclose(table.sum(axis=1), 1)


def three(count=50):
    return {
        t.name: answers(RNG.integers(0, len(t.classes), count), 1, 5, len(t.classes))
        for t in TASKS.values()
    }


def test_assemble_puts_three_tasks_into_class_numbers():
    parts = three()
    decided = {name: RNG.integers(0, p.shape[1], 50) for name, p in parts.items()}
    photos, years = pd.Index([f"{i}.jpg" for i in range(50)]), np.linspace(20, 70, 50)
    table = voting.assemble(
        {n: TaskPredictions(parts[n], decided[n]) for n in parts}, photos, years
    )
    assert table.photo.tolist() == photos.tolist()
    assert (table.years == years).all()
    for name, task in TASKS.items():
        assert (table[task.columns].to_numpy() == parts[name]).all()
        assert (table[name] == decided[name]).all()
    assert (table["class"] == encode(decided["mask"], decided["gender"], decided["age"])).all()
    np.testing.assert_allclose(voting.joint_of(table), joint(*parts.values()))


def test_assemble_takes_one_answer_of_18_classes_apart():
    eighteen, decided = answers(RNG.integers(0, 18, 50), 1, 6, 18), RNG.permutation(50) % 18
    table = voting.assemble({"all": TaskPredictions(eighteen, decided)}, pd.RangeIndex(50), None)
    assert "years" not in table
    assert (table["class"] == decided).all()
    assert (encode(table["mask"], table.gender, table.age) == decided).all()
    assert (voting.joint_of(table) == eighteen).all()
    np.testing.assert_allclose(table[MASK.columns[2]], eighteen[:, 12:].sum(1))
    np.testing.assert_allclose(table[AGE.columns[0]], eighteen[:, ::3].sum(1))


def test_models_of_18_classes_also_answer_the_single_tasks():
    eighteen = pd.DataFrame(answers(RNG.integers(0, 18, 5), 1, 7, 18), columns=ALL.columns)
    mask = pd.DataFrame(three(5)["mask"], columns=MASK.columns)
    assert voting.tasks_of({"a": eighteen, "b": eighteen}) == [ALL]
    assert voting.tasks_of({"a": eighteen, "b": mask}) == [MASK, GENDER, AGE]
    assert (voting.task_probabilities(ALL, eighteen) == eighteen.to_numpy()).all()
    assert (voting.task_probabilities(MASK, mask) == mask.to_numpy()).all()
    assert voting.task_probabilities(AGE, mask) is None
    male = eighteen.to_numpy().reshape(5, 3, 2, 3)[:, :, 0].sum((1, 2))
    np.testing.assert_allclose(voting.task_probabilities(GENDER, eighteen)[:, 0], male)
