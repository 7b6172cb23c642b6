import pandas as pd

from portrait18.cropping import summary

FOUND = pd.DataFrame(
    {"found": ["mtcnn", "median", "mtcnn", "none", "retry", "person", "mtcnn", "median"]}
)


def test_summary_counts_and_rates():
    result = summary.summarize(FOUND, pd.DataFrame({"mask": [0, 0, 1, 1, 2, 2, 2, 2]}))
    assert result["photos"] == 8
    assert result["detection_rate"] == 0.5
    assert result["detection_rate_by_mask"] == {"worn": 0.5, "incorrect": 0.5, "none": 0.5}
    assert result["found"] == {
        "mtcnn": 3,
        "retry": 1,
        "person": 1,
        "median": 2,
        "center": 0,
        "none": 1,
    }


def test_contact_sheets_show_an_even_sample_and_the_least_certain_boxes():
    assert summary.examples(FOUND, 3) == {0: "mtcnn", 3: "none", 7: "median"}
    assert list(summary.examples(FOUND, 100)) == list(range(8))
    assert summary.fallbacks(FOUND, 10) == {
        3: "none",
        1: "median",
        7: "median",
        5: "person",
        4: "retry",
    }
    assert list(summary.fallbacks(FOUND, 10)) == [3, 1, 7, 5, 4]
    assert list(summary.fallbacks(FOUND, 2)) == [3, 1]
