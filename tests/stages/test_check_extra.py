"""The stage check on a data set with more people, for training only."""

from pathlib import Path

import pytest
from check_outputs import WHO, outputs

from stages import check

pytestmark = pytest.mark.usefixtures("check_project")
EXTRA_PEOPLE = ("x-1_male_Asian_33", "x-2_female_Asian_61")


@pytest.fixture
def extra_people(make_dataset, write_params):
    """Write extra people to more/ and point data.extra at it."""
    make_dataset(Path("more"), people=EXTRA_PEOPLE)
    write_params(Path("params.yaml"), {"data.root": "photos", "data.extra": "more"})


def test_extra_people_follow_the_main_people_with_their_own_folder(extra_people):
    check.main()
    train, evaluation, report = outputs()
    assert train.extra.tolist() == [0] * 84 + [1] * 14
    assert set(train.images[:84]) == {"photos/train/images"}
    assert set(train.images[84:]) == {"more/train/images"}
    assert set(train.folder[84:]) == set(EXTRA_PEOPLE)
    assert report["extra"] == {"people": 2, "photos": 14}
    assert all(Path(row.images, row.photo).exists() for row in train.itertuples())
    assert set(evaluation.images) == {"photos/eval/images"}


def test_problems_of_extra_people_are_listed_with_the_others(extra_people, rejected):
    (Path("more/train/images") / EXTRA_PEOPLE[0] / "mask1.jpg").unlink()
    (WHO / "normal.jpg").unlink()
    text = str(rejected())
    assert f"more/train/images/{EXTRA_PEOPLE[0]}/mask1.jpg is missing" in text
    assert "normal.jpg is missing" in text


def test_an_extra_person_with_the_id_of_a_main_person_is_rejected(
    make_dataset, write_params, rejected
):
    make_dataset(Path("more"), people=("000001_male_Asian_33",))
    write_params(Path("params.yaml"), {"data.root": "photos", "data.extra": "more"})
    (line,) = [line for line in rejected().problems if "000001" in line]
    assert "more/train/images/000001_male_Asian_33: id 000001 also belongs to one of" in line


@pytest.mark.parametrize("wrong", ["data", "photos/train", "nowhere"])
def test_a_data_extra_folder_without_train_is_rejected(write_params, rejected, wrong):
    write_params(Path("params.yaml"), {"data.root": "photos", "data.extra": wrong})
    text = str(rejected())
    assert f"{wrong}/train/train.csv is missing" in text
    assert "point data.extra at" in text
