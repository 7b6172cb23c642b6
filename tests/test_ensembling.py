import numpy as np
import pandas as pd
import pytest

from portrait18 import ensembling
from portrait18.classes import AGE, ALL, GENDER, MASK, TASKS, encode, joint
from portrait18.metrics import macro_f1
from portrait18.params import EnsembleParams

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 3, 400)
PEOPLE = np.repeat([f"p{i}" for i in range(80)], 5)


def answers(truth, strength, seed, classes=3):
    """Probabilities (N, classes) that lean towards the truth."""
    logits = np.random.default_rng(seed).normal(0, 1, (len(truth), classes))
    logits[np.arange(len(truth)), truth] += strength
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def skewed():
    """One photo in twelve is of a rare class, and the model is shy of saying so."""
    truth = np.repeat([0, 1, 2], [500, 400, 80])
    probabilities = answers(truth, 3, 1) * [1, 1, 0.1]
    return probabilities / probabilities.sum(1, keepdims=True), truth


@pytest.mark.parametrize("how", ["equal", "log-loss", "macro-f1"])
def test_weights_lie_on_the_simplex(how):
    stack = np.stack([answers(TRUTH, s, i) for i, s in enumerate((0.5, 1.0, 2.0))])
    weights = ensembling.choose_weights(stack, TRUTH, how)
    assert weights.shape == (3,) and (weights >= 0).all() and weights.sum() == pytest.approx(1)
    assert (ensembling.choose_weights(stack, TRUTH, how) == weights).all()


def test_equal_weights_are_equal_and_one_model_has_all():
    stack = np.stack([answers(TRUTH, s, 0) for s in (0.1, 3.0)])
    assert ensembling.choose_weights(stack, TRUTH, "equal").tolist() == [0.5, 0.5]
    assert all(ensembling.choose_weights(stack[:1], TRUTH, how).tolist() == [1.0] for how in ("log-loss", "macro-f1"))


@pytest.mark.parametrize("how", ["log-loss", "macro-f1"])
def test_chosen_weights_prefer_the_better_model(how):
    stack = np.stack([answers(TRUTH, 0.2, 1), answers(TRUTH, 2.0, 2)])
    assert ensembling.choose_weights(stack, TRUTH, how)[1] > 0.7


def test_log_loss_weights_are_the_best_there_are():
    stack = np.stack([answers(TRUTH, s, i) for i, s in enumerate((1.0, 1.3))])

    def loss(share):
        return -np.log((share * stack[0] + (1 - share) * stack[1])[np.arange(400), TRUTH]).mean()

    found = ensembling.choose_weights(stack, TRUTH, "log-loss")[0]
    assert 0.05 < found < 0.95 and loss(found) <= min(loss(s) for s in np.linspace(0, 1, 101)) + 1e-6


def test_log_loss_weights_survive_zero_probabilities():
    sure = np.eye(3)[TRUTH]
    assert ensembling.choose_weights(np.stack([sure, np.roll(sure, 1, 1)]), TRUTH, "log-loss")[0] > 0.99


def test_blend_is_the_weighted_mean():
    stack = np.stack([answers(TRUTH, 1, i) for i in range(2)])
    np.testing.assert_allclose(ensembling.blend(stack, np.array([0.3, 0.7])), 0.3 * stack[0] + 0.7 * stack[1])


def test_offsets_shift_the_decision():
    probabilities = np.array([[0.6, 0.3, 0.1], [0.0, 1.0, 0.0]])
    assert ensembling.decide(probabilities, np.zeros(3)).tolist() == [0, 1]
    assert ensembling.decide(probabilities, np.array([0, 0.75, 0])).tolist() == [1, 1]
    assert ensembling.decide(probabilities, np.array([0, 0, 2.0])).tolist() == [2, 1]


def test_offsets_raise_macro_f1_where_a_rare_class_is_missed():
    probabilities, truth = skewed()
    offsets = ensembling.choose_offsets(probabilities, truth, "macro-f1")
    before, after = (macro_f1(truth, ensembling.decide(probabilities, o), 3) for o in (np.zeros(3), offsets))
    assert offsets[0] == 0 and offsets[2] >= 0.5 and after > before + 0.05


def test_offsets_are_zero_where_nothing_is_to_gain_or_none_are_wanted():
    assert not ensembling.choose_offsets(answers(TRUTH, 50, 0), TRUTH, "macro-f1").any()
    assert not ensembling.choose_offsets(*skewed(), "none").any()


PARAMS = EnsembleParams(weights="log-loss", offsets="macro-f1")


def test_cross_fit_is_not_swayed_by_a_persons_own_labels():
    stack = np.stack([answers(TRUTH, s, i) for i, s in enumerate((0.6, 1.0))])
    probabilities, decided = ensembling.cross_fit(stack, TRUTH, PEOPLE, PARAMS)
    others_changed = False
    for person in ("p0", "p33", "p79"):
        own = PEOPLE == person
        flipped = ensembling.cross_fit(stack, np.where(own, (TRUTH + 1) % 3, TRUTH), PEOPLE, PARAMS)
        assert (flipped[0][own] == probabilities[own]).all() and (flipped[1][own] == decided[own]).all()
        others_changed |= (flipped[0] != probabilities).any()
    assert others_changed


def test_cross_fit_raises_macro_f1_on_people_it_has_not_seen():
    probabilities, truth = skewed()
    blended, decided = ensembling.cross_fit(probabilities[None], truth, np.arange(len(truth)), PARAMS)
    np.testing.assert_allclose(blended, probabilities)
    plain = macro_f1(truth, probabilities.argmax(1), 3)
    assert macro_f1(truth, decided, 3) > plain + 0.03


@pytest.mark.parametrize("count", [1, 2, 4])
def test_cross_fit_manages_with_few_people(count):
    people = np.repeat(np.arange(count), 6)
    stack = np.stack([answers(TRUTH[: len(people)], 2, i) for i in range(2)])
    probabilities, decided = ensembling.cross_fit(stack, TRUTH[: len(people)], people, PARAMS)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert decided.shape == (len(people),)


def member(fold, held_out, value):
    rows = [("heldout", photo, value, 1 - value) for photo in held_out] + [("eval", "e", value, 1 - value)]
    return pd.DataFrame(rows, columns=["set", "photo", *GENDER.columns])


def test_average_takes_held_out_photos_from_their_fold_and_eval_photos_from_all():
    table = ensembling.average([member(0, ["b", "a"], 0.2), member(1, ["c"], 0.6), member(1, ["c"], 1.0)])
    assert table.loc["heldout"].index.tolist() == ["a", "b", "c"]
    assert table.loc["heldout"].gender_male.tolist() == pytest.approx([0.2, 0.2, 0.8])
    assert table.loc[("eval", "e"), "gender_male"] == pytest.approx(0.6)
    np.testing.assert_allclose(table.sum(axis=1), 1)


def three(count=50):
    return {t.name: answers(RNG.integers(0, len(t.classes), count), 1, 5, len(t.classes)) for t in TASKS.values()}


def test_assemble_puts_three_tasks_into_class_numbers():
    parts = three()
    decided = {name: RNG.integers(0, p.shape[1], 50) for name, p in parts.items()}
    photos, years = pd.Index([f"{i}.jpg" for i in range(50)]), np.linspace(20, 70, 50)
    table = ensembling.assemble({n: (parts[n], decided[n]) for n in parts}, photos, years)
    assert table.photo.tolist() == photos.tolist() and (table.years == years).all()
    for name, task in TASKS.items():
        assert (table[task.columns].to_numpy() == parts[name]).all() and (table[name] == decided[name]).all()
    assert (table["class"] == encode(decided["mask"], decided["gender"], decided["age"])).all()
    np.testing.assert_allclose(ensembling.joint_of(table), joint(*parts.values()))


def test_assemble_takes_one_answer_of_18_classes_apart():
    eighteen, decided = answers(RNG.integers(0, 18, 50), 1, 6, 18), RNG.permutation(50) % 18
    table = ensembling.assemble({"all": (eighteen, decided)}, pd.RangeIndex(50), None)
    assert "years" not in table and (table["class"] == decided).all()
    assert (encode(table["mask"], table.gender, table.age) == decided).all()
    assert (ensembling.joint_of(table) == eighteen).all()
    np.testing.assert_allclose(table[MASK.columns[2]], eighteen[:, 12:].sum(1))
    np.testing.assert_allclose(table[AGE.columns[0]], eighteen[:, ::3].sum(1))


def test_models_of_18_classes_also_answer_the_single_tasks():
    eighteen = pd.DataFrame(answers(RNG.integers(0, 18, 5), 1, 7, 18), columns=ALL.columns)
    mask = pd.DataFrame(three(5)["mask"], columns=MASK.columns)
    assert ensembling.tasks_of({"a": eighteen, "b": eighteen}) == [ALL]
    assert ensembling.tasks_of({"a": eighteen, "b": mask}) == [MASK, GENDER, AGE]
    assert (ensembling.probabilities_of(ALL, eighteen) == eighteen.to_numpy()).all()
    assert (ensembling.probabilities_of(MASK, mask) == mask.to_numpy()).all()
    assert ensembling.probabilities_of(AGE, mask) is None
    male = eighteen.to_numpy().reshape(5, 3, 2, 3)[:, :, 0].sum((1, 2))
    np.testing.assert_allclose(ensembling.probabilities_of(GENDER, eighteen)[:, 0], male)
