import pandas as pd

from portrait18.cropping import summary

FOUND = pd.DataFrame(
    {
        "found": [
            *("mtcnn", "median", "mtcnn", "none", "retry", "person", "mtcnn", "median"),
            *("yunet", "rotated"),
        ]
    }
)


def test_summary_counts_and_rates():
    result = summary.summarize(FOUND, pd.DataFrame({"mask": [0, 0, 1, 1, 2, 2, 2, 2, 0, 0]}))
    assert result["photos"] == 10
    assert result["detection_rate"] == 0.6
    assert result["detection_rate_by_mask"] == {"worn": 0.75, "incorrect": 0.5, "none": 0.5}
    assert result["found"] == {
        "mtcnn": 3,
        "retry": 1,
        "yunet": 1,
        "rotated": 1,
        "person": 1,
        "median": 2,
        "center": 0,
        "none": 1,
    }


def test_contact_sheets_show_an_even_sample_and_the_least_certain_boxes():
    assert summary.examples(FOUND, 3) == {0: "mtcnn", 4: "retry", 9: "rotated"}
    assert list(summary.examples(FOUND, 100)) == list(range(10))
    assert summary.fallbacks(FOUND, 10) == {
        3: "none",
        1: "median",
        7: "median",
        5: "person",
        9: "rotated",
        8: "yunet",
        4: "retry",
    }
    assert list(summary.fallbacks(FOUND, 10)) == [3, 1, 7, 5, 9, 8, 4]
    assert list(summary.fallbacks(FOUND, 2)) == [3, 1]


def test_fallbacks_of_yunet_alone_are_those_that_its_first_search_missed():
    found = pd.DataFrame({"found": ["yunet", "retry", "yunet", "person"]})
    assert summary.fallbacks(found, 10) == {3: "person", 1: "retry"}


def test_central_squares_are_no_fallback():
    assert summary.fallbacks(pd.DataFrame({"found": ["center", "none", "center"]}), 10) == {
        1: "none"
    }
