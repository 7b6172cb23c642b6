import pytest

from portrait18.dataset.classes import age_group
from portrait18.importers.ages import parse_age, parse_date


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("45", (45, 45, 45)),
        (" 7.0 ", (7, 7, 7)),
        ("34,0", (34, 34, 34)),
        ("20-29", (20, 29, 24)),
        ("'3-9", (3, 9, 6)),
        ("0 - 2", (0, 2, 1)),
        ("30\u201359", (30, 59, 44)),
        ("30~59", (30, 59, 44)),
        ("30 to 59", (30, 59, 44)),
        ("(25, 32)", (25, 32, 28)),
        ("more than 70", (70, 120, 75)),
        ("60+", (60, 120, 65)),
        (">=60", (60, 120, 65)),
        ("≥ 60", (60, 120, 65)),
        ("60 and over", (60, 120, 65)),
        (">59", (60, 120, 65)),
        ("Over 59", (60, 120, 65)),
        ("<30", (0, 29, 24)),
        ("under 30", (0, 29, 24)),
        ("<=29", (0, 29, 24)),
        ("119+", (119, 120, 120)),
    ],
)
def test_ages_and_ranges_are_parsed(text, expected):
    assert parse_age(text) == expected
    assert parse_date(text) is None


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["9-Mar", "09-Mar", "03-Sep", "3-Sep", "9. Mar", "Mar-09", "March 9"], (3, 9, 6)),
        (["03월 09일", "3月9日", "9-march"], (3, 9, 6)),
        (["19-Oct", "Oct-19", "19-October", "10월 19일"], (10, 19, 14)),
        (["Dec-34"], (12, 34, 23)),
    ],
)
def test_ranges_that_excel_turned_into_dates_are_parsed(texts, expected):
    for text in texts:
        assert parse_age(text) == parse_date(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2003-09-01",
        "2024-03-09 00:00:00",
        "3/9/2024",
        "09.03.24",
        "09-Mar-2024",
        "2024년 3월 9일",
        "45360",
        "45360.0",
    ],
)
def test_dates_that_can_be_birthdays_are_refused_with_the_fix(text):
    with pytest.raises(ValueError, match=r"is a date; .* format the column as text"):
        parse_age(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "old",
        "45.5",
        "-3",
        "121",
        "30-20",
        "20-",
        "20-29-300",
        "100-130",
        "<0",
        "9-Foo",
        "0-Mar",
    ],
)
def test_other_ages_are_refused(text):
    with pytest.raises(ValueError, match="years from 0 to 120"):
        parse_age(text)


@pytest.mark.parametrize(
    ("text", "straddles"),
    [
        ("20-29", False),
        ("25-30", True),
        ("30-59", False),
        ("50-60", True),
        ("60+", False),
        ("30+", True),
        ("<30", False),
        ("<31", True),
        ("29", False),
    ],
)
def test_ranges_straddle_the_thresholds_at_30_and_60(text, straddles):
    assert parse_age(text).straddles is straddles


def test_the_middle_of_each_range_of_fairface_is_in_its_age_group():
    ranges = "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"
    ages = [parse_age(text) for text in ranges]
    assert not any(age.straddles for age in ages)
    assert [int(age_group(age.middle)) for age in ages] == [0, 1, 1, 1, 2, 2]
