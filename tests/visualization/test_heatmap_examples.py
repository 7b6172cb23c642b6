"""Which validation photos the heat maps are drawn for, and their captions."""

import pandas as pd
import pytest

from portrait18.dataset.classes import MASK
from portrait18.visualization import heatmap_examples


def mask_tables(people: str, truth: str, predicted: str, confidence: list[float]):
    """Return predictions and labels; per photo a person's letter, a true and a predicted class."""
    photos = [f"{i}.jpg" for i in range(len(people))]
    labels = pd.DataFrame(
        {"photo": photos, "person": list(people), "mask": [int(t) for t in truth]}
    )
    probabilities = pd.DataFrame(0.0, index=range(len(people)), columns=MASK.columns)
    for i, (mask, p) in enumerate(zip(predicted, confidence, strict=True)):
        probabilities.iloc[i] = (1 - p) / 2
        probabilities.iloc[i, int(mask)] = p
    return pd.concat([labels.photo, probabilities], axis=1), labels


def test_half_of_the_examples_are_mistakes_and_the_most_confident_come_first():
    predictions, labels = mask_tables("abcdef", "000000", "110000", [0.6, 0.9, 0.5, 0.8, 0.7, 0.99])
    selected = heatmap_examples.select(MASK, predictions, labels, 4)
    assert selected.photo.tolist() == ["1.jpg", "0.jpg", "5.jpg", "3.jpg"]
    assert list(selected) == ["photo", "task", "truth", "predicted", "probability", "correct"]
    assert selected.correct.tolist() == [0, 0, 1, 1]
    assert selected.predicted.tolist() == [1, 1, 0, 0]
    assert selected.probability.tolist() == pytest.approx([0.9, 0.6, 0.99, 0.8])


def test_hits_replace_missing_mistakes_and_vice_versa():
    predictions, labels = mask_tables("abcd", "0000", "1000", [0.9] * 4)
    assert heatmap_examples.select(MASK, predictions, labels, 4).correct.tolist() == [0, 1, 1, 1]
    predictions, labels = mask_tables("abcd", "0000", "1110", [0.9] * 4)
    assert heatmap_examples.select(MASK, predictions, labels, 4).correct.tolist() == [0, 0, 0, 1]


def test_examples_cycle_through_the_classes_and_show_each_person_once():
    predictions, labels = mask_tables(
        "aabbcd", "001122", "001122", [0.99, 0.98, 0.9, 0.8, 0.7, 0.6]
    )
    assert heatmap_examples.select(MASK, predictions, labels, 4).photo.tolist() == [
        "0.jpg",
        "2.jpg",
        "4.jpg",
        "5.jpg",
    ]


def test_a_count_of_0_selects_nothing():
    assert len(heatmap_examples.select(MASK, *mask_tables("ab", "00", "01", [0.9, 0.9]), 0)) == 0


def test_captions_show_truth_prediction_probability_and_outcome():
    predictions, labels = mask_tables("ab", "02", "12", [0.9, 0.8])
    captions = heatmap_examples.captions(heatmap_examples.select(MASK, predictions, labels, 2))
    assert captions == {
        0: "mask: worn\n-> incorrect 0.90\nwrong",
        1: "mask: none\n-> none 0.80\ncorrect",
    }
