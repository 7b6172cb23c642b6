import contextlib
import unicodedata

import numpy as np
import pandas as pd
import pytest

from portrait18.core.data_params import SplitParams
from portrait18.core.errors import UserError
from portrait18.dataset import splits


def labels(people: int, first: int = 1, photos: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(first)
    rows = []
    for i in range(first, first + people):
        gender, age = int(rng.integers(2)), int(rng.choice(3, p=[0.45, 0.45, 0.1]))
        rows += [(f"{i:06d}/{k}.jpg", f"{i:06d}", gender, age) for k in range(photos)]
    return pd.DataFrame(rows, columns=["photo", "person", "gender", "age_group"]).assign(extra=0)


def split_params(folds: int = 5, by: str = "person", seed: int = 18) -> SplitParams:
    return SplitParams(folds=folds, by=by, seed=seed)


def assign(table: pd.DataFrame, params: SplitParams, listed=None) -> pd.DataFrame:
    """With train.csv in the order of the ids, unless another is given."""
    return splits.assign_folds(
        table, params, sorted(set(table.person)) if listed is None else listed
    )


@pytest.mark.parametrize("folds", [1, 2, 5])
def test_no_person_is_in_two_folds(folds):
    table = labels(60)
    fold = splits.photo_folds(table, assign(table, split_params(folds)))
    assert (table.assign(fold=fold).groupby("person").fold.nunique() == 1).all()


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_every_fold_gets_its_share_of_every_stratum_to_within_one(folds):
    table = labels(200)
    assigned = assign(table, split_params(folds))
    assert set(assigned.fold) == set(range(folds))
    people = table.drop_duplicates("person").merge(assigned)
    counts = people.groupby(["gender", "age_group"]).fold.value_counts().unstack(fill_value=0)
    assert len(counts) == 6
    assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all()


def test_the_unicode_form_of_ids_in_train_csv_does_not_matter():
    table = labels(60)
    table["person"] = "김" + table.person
    listed = sorted(set(table.person), reverse=True)
    nfd = [unicodedata.normalize("NFD", person) for person in listed]
    assigned = assign(table, split_params(), listed)
    assert assigned.equals(assign(table, split_params(), nfd))
    assert not assigned.equals(assign(table, split_params()))  # the order counts


def test_a_single_fold_holds_a_fifth():
    assigned = assign(labels(400), split_params(folds=1))
    assert set(assigned.fold) == {-1, 0}
    assert (assigned.fold == 0).mean() == pytest.approx(0.2, abs=0.02)


def test_every_person_gets_one_row_in_the_order_of_ids():
    table = labels(50)
    assigned = assign(table.sample(frac=1, random_state=0), split_params())
    assert list(assigned) == ["person", "fold"]
    assert assigned.person.tolist() == sorted(table.person.unique())


def test_split_does_not_depend_on_the_order_of_rows():
    table = labels(50)
    shuffled = table.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(assign(table, split_params()), assign(shuffled, split_params()))


def test_the_seed_determines_the_split():
    table = labels(50)
    once, again, other = (assign(table, split_params(seed=s)) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(once, again)
    assert (once.fold != other.fold).any()


@pytest.mark.parametrize("folds", [1, 5])
@pytest.mark.parametrize("added", [1, 2, 7])
def test_appended_people_leave_other_folds_unchanged(folds, added):
    table = labels(53)
    before = assign(table, split_params(folds))
    after = assign(
        pd.concat([table, labels(added, first=54)], ignore_index=True), split_params(folds)
    )
    assert len(after) == 53 + added
    pd.testing.assert_frame_equal(before, after.head(53))


@pytest.mark.parametrize("by", ["person", "photo"])
@pytest.mark.parametrize("folds", [1, 5])
def test_people_listed_last_leave_other_folds_unchanged_for_any_ids(folds, by):
    ids = np.random.default_rng(0).permutation([f"{i:06d}" for i in range(1, 104)])
    before, after = ids[:53], ids
    table = labels(103)
    first = assign(table[table.person.isin(before)], split_params(folds, by), before)
    then = assign(table, split_params(folds, by), [*after, before[7]])
    merged = first.merge(then, on=by, suffixes=("_first", "_then"))
    assert len(merged) == len(first)
    assert (merged.fold_first == merged.fold_then).all()
    people = then.assign(person=then[by].str[:6]).drop_duplicates("person")
    assert (people.fold[~people.person.isin(before)] >= 0).sum() > 3, "new people are validated too"


def test_people_who_share_an_id_are_in_one_fold():
    table = labels(50)
    table.loc[table.person == "000002", ["person", "gender", "age_group"]] = ["000001", 1, 2]
    fold = splits.photo_folds(table, assign(table, split_params()))
    assert len(set(fold[table.person == "000001"])) == 1


def test_split_by_photo_spreads_people_over_folds():
    table = labels(50)
    assigned = assign(table, split_params(by="photo"))
    assert list(assigned) == ["photo", "fold"]
    assert len(assigned) == len(table)
    fold = splits.photo_folds(table, assigned)
    assert (table.assign(fold=fold).groupby("person").fold.nunique() > 1).any()


@pytest.mark.parametrize("folds", [2, 5])
def test_too_few_people_are_rejected(folds):
    with pytest.raises(
        UserError, match=f"^{2 * folds - 1} persons are too few to split, .* lower split.folds"
    ):
        assign(labels(2 * folds - 1), split_params(folds))
    assign(labels(12 * folds), split_params(folds))


def test_too_few_people_for_one_fold_give_no_advice_to_lower_the_folds():
    with pytest.raises(UserError, match="9 persons are too few") as caught:
        assign(labels(9), split_params(folds=1))
    assert "5 folds" not in str(caught.value)
    assert "lower split.folds" not in str(caught.value)


@pytest.mark.parametrize("folds", [1, 5])
def test_no_fold_is_empty_with_small_strata(folds):
    table = pd.DataFrame(
        [(f"{i:02d}", i % 2, i % 3) for i in range(12)], columns=["person", "gender", "age_group"]
    ).assign(extra=0, photo=lambda t: t.person)
    for seed in range(100):
        with contextlib.suppress(UserError):  # too few people is a correct result
            found = set(assign(table, split_params(folds, seed=seed)).fold)
            assert set(range(folds)) <= found, seed


def test_photo_folds_follow_the_order_of_the_labels():
    table = labels(20)
    assigned = assign(table, split_params(2))
    shuffled = table.sample(frac=1, random_state=0)
    expected = shuffled.person.map(dict(zip(assigned.person, assigned.fold, strict=True)))
    assert splits.photo_folds(shuffled, assigned).tolist() == expected.tolist()


def test_a_person_without_a_fold_is_named():
    table = labels(20)
    assigned = assign(table, split_params(2))
    with pytest.raises(UserError, match="no person 000003; run dvc repro split"):
        splits.photo_folds(table, assigned[assigned.person != "000003"])


@pytest.mark.parametrize("by", ["person", "photo"])
@pytest.mark.parametrize("folds", [1, 5])
def test_extra_people_have_no_fold_and_change_no_other(folds, by):
    main, more = labels(60), labels(20, first=900).assign(extra=1)
    both = pd.concat([main, more], ignore_index=True)
    assigned = assign(both, split_params(folds, by))
    pd.testing.assert_frame_equal(assigned, assign(main, split_params(folds, by)))
    fold = splits.photo_folds(both, assigned)
    assert (fold[both.extra == 1] == -1).all()
    assert (fold[both.extra == 0] == splits.photo_folds(main, assigned)).all()
