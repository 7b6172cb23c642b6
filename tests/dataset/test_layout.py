import pytest
from synthetic import REPO

from portrait18.core.errors import UserError
from portrait18.dataset import layout

EXTRA = REPO / "data/extra"


def test_every_missing_part_of_the_layout_is_named_with_where_to_put_it(tmp_path):
    with pytest.raises(UserError) as caught:
        layout.validate_layout(tmp_path / "nowhere", EXTRA)
    parts = ("train/train.csv", "train/images", "eval/info.csv", "eval/images")
    for line, part in zip(caught.value.problems, parts, strict=True):
        assert f"nowhere/{part} is missing" in line
        assert "data.root" in line


def test_a_complete_layout_passes(tmp_path, make_dataset):
    layout.validate_layout(make_dataset(tmp_path), EXTRA)


def test_folder_names_are_parsed():
    assert layout.parse_folder("001498-1_female_Asian_23") == ("001498-1", 1, "Asian", 23)
    assert layout.parse_folder("000001_male_Asian_60").gender == 0


@pytest.mark.parametrize(
    "name",
    [
        "1_femal_Asian_45",
        "1_female_45",
        "1_female_Asian_old",
        "_female_Asian_45",
        "1_female_Asian_45_2",
    ],
)
def test_folder_that_does_not_parse_is_named(name):
    with pytest.raises(ValueError, match=f"'{name}' does not parse; expected <id>_<male|female>"):
        layout.parse_folder(name)
