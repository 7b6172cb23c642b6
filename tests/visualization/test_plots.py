import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from portrait18.dataset.classes import CLASS_NAMES, MASK
from portrait18.evaluation import analysis
from portrait18.visualization import plots

COUNTS = np.random.default_rng(0).integers(0, 50, (18, 18))
BY_COLUMN = pd.DataFrame({"column": ["mask"] * 3, "value": MASK.classes, "photos": [5, 1, 0]})
BY_CLASS = pd.DataFrame({"class": range(18), "name": CLASS_NAMES, "photos": range(18)})
CALIBRATION = pd.DataFrame({"confidence": [0.4, 0.9], "accuracy": [0.5, 0.8], "photos": [3, 9]})
HISTORY = pd.DataFrame(
    {"step": [0, 1], "macro_f1": [0.3, 0.5], "loss": [1.0, 0.8], "train_loss": [1.1, 0.6]}
)
AGES = np.array([18, 25, 33, 60, 61, 64])
BY_DECADE = analysis.age_by_decade(AGES, AGES // 30, np.zeros(6, int), AGES + 2.5)

PLOTS = {
    "class_counts": lambda path: plots.class_counts(BY_COLUMN, BY_CLASS, path),
    "confusion of 3": lambda path: plots.confusion(COUNTS[:3, :3], MASK.classes, path),
    "confusion of 18": lambda path: plots.confusion(COUNTS, CLASS_NAMES, path),
    "confusion of nothing": lambda path: plots.confusion(np.zeros((3, 3), int), MASK.classes, path),
    "calibration": lambda path: plots.calibration({"mask": CALIBRATION, "age": CALIBRATION}, path),
    "age_error": lambda path: plots.age_error(BY_DECADE, AGES, AGES + 2.5, path),
    "age_error without years": lambda path: plots.age_error(BY_DECADE, AGES, None, path),
    "learning_curves": lambda path: plots.learning_curves(
        {f"model {i}": HISTORY for i in range(12)}, path
    ),
}


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Return draw(name): write that plot, return the axes that were drawn."""
    figures, subplots = [], plt.subplots

    def recorded(*args, **kwargs):
        figure, axes = subplots(*args, **kwargs)
        figures.append(figure)
        return figure, axes

    monkeypatch.setattr(plt, "subplots", recorded)

    def drawn(name: str) -> list[plt.Axes]:
        PLOTS[name](tmp_path / "plot.png")
        return figures[-1].axes

    return drawn


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_a_png_of_moderate_size_with_stable_bytes(tmp_path, name):
    first, again = tmp_path / "sub/first.png", tmp_path / "again.png"
    PLOTS[name](first)
    PLOTS[name](again)
    with Image.open(first) as image:
        assert image.format == "PNG"
        width, height = image.size
    assert 300 < width < 2500
    assert 300 < height < 2500
    assert first.read_bytes() == again.read_bytes()
    assert [p.name for p in first.parent.iterdir()] == ["first.png"]


@pytest.mark.parametrize("name", PLOTS)
def test_figures_are_closed_after_they_are_written(tmp_path, name):
    PLOTS[name](tmp_path / "plot.png")
    assert plt.get_fignums() == []


def test_class_counts_are_bars_with_their_number(draw):
    left, right = draw("class_counts")
    assert [bar.get_width() for bar in left.patches] == [5, 1, 0]
    assert [text.get_text() for text in left.texts] == [" 5", " 1", " 0"]
    assert left.get_yticklabels()[0].get_text() == "mask: worn"
    assert [bar.get_width() for bar in right.patches] == list(range(18))


def test_a_confusion_matrix_prints_counts_and_shades_shares_of_the_true_class(draw):
    (axes,) = draw("confusion of 3")
    counts = COUNTS[:3, :3]
    np.testing.assert_allclose(
        axes.images[0].get_array(), counts / counts.sum(1, keepdims=True), rtol=1e-6
    )
    assert [text.get_text() for text in axes.texts] == [str(n) for n in counts.ravel() if n]
    assert (axes.get_ylabel(), axes.get_xlabel().split()[0]) == ("true", "predicted")


def test_classes_without_photos_leave_the_confusion_matrix_blank(draw):
    (axes,) = draw("confusion of nothing")
    assert not axes.images[0].get_array().any()
    assert not axes.texts


def test_calibration_has_a_line_for_each_task_and_larger_dots_for_more_photos(draw):
    (axes,) = draw("calibration")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["perfect", "mask", "age"]
    np.testing.assert_array_equal(axes.lines[1].get_xydata(), [[0.4, 0.5], [0.9, 0.8]])
    small, large = axes.collections[0].get_sizes()
    assert small < large


def test_errors_in_years_have_a_panel_only_if_years_are_predicted(draw):
    left, right = draw("age_error")
    assert [bar.get_height() for bar in left.patches] == BY_DECADE.wrong_group.tolist()
    assert len(right.get_xticklabels()) == len(BY_DECADE)
    assert all("MAE 2.5" in label.get_text() for label in right.get_xticklabels())
    assert len(draw("age_error without years")) == 1


def test_learning_curves_separate_the_two_losses(draw):
    panels = draw("learning_curves")
    for axes, column in zip(panels, ("macro_f1", "loss", "train_loss"), strict=True):
        assert len(axes.lines) == 12
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), [1, 2])
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), HISTORY[column])
    assert len({axes.get_title(loc="left") for axes in panels}) == 3
    assert len(panels[0].get_legend().get_texts()) == 12
