import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression
from tiny import colored_people, model_params

from portrait18.models.heads import KernelHead, LinearRidgeHead
from portrait18.models.targets import make_target
from portrait18.training import kernel_ridge

RIDGE = {"name": "ridge", "gamma": 0.8, "penalty": 0.5}
_, LABELS, _ = colored_people(12)
RNG = np.random.default_rng(0)
POINTS = (RNG.normal(size=(3, 5))[LABELS["mask"]] + RNG.normal(size=(len(LABELS), 5))).astype("f2")


ONES = np.ones(len(LABELS))


def fitted(task="mask", rows=slice(None), weights=ONES):
    params = model_params(task=task, head=RIDGE)
    target = make_target(params)
    head = KernelHead(5, target.widths, params)
    points = torch.from_numpy(POINTS[rows]).float()
    photos = kernel_ridge.Photos(points, LABELS.iloc[rows], weights)
    loss = kernel_ridge.fit(head, photos, target, 0.5)
    with torch.no_grad():
        return head(torch.from_numpy(POINTS).float()).softmax(1).numpy(), loss


def ridge(rows):
    return KernelRidge(alpha=0.5, kernel="rbf", gamma=0.8 / 5).fit(
        POINTS[rows].astype(float), 2.0 * np.eye(3)[LABELS["mask"]][rows] - MEAN
    )


MEAN = (2.0 * np.eye(3)[LABELS["mask"]]).mean(0)


def test_probabilities_are_those_of_ridge_regression_calibrated_on_left_out_people():
    left_out = np.empty((len(LABELS), 3))
    people = LABELS.person.to_numpy()
    for person in pd.unique(people):
        left_out[people == person] = ridge(people != person).predict(
            POINTS[people == person].astype(float)
        )
    mean, std = left_out.mean(0), left_out.std(0)
    # scikit-learn's C weighs the sum of the losses.
    calibration = LogisticRegression(C=1 / (1e-3 * len(LABELS)), tol=1e-8, max_iter=5000)
    calibration.fit((left_out - mean) / std, LABELS["mask"])
    scores = ridge(np.full(len(LABELS), True)).predict(POINTS.astype(float))
    probabilities, loss = fitted()
    expected = calibration.predict_proba((scores - mean) / std)
    np.testing.assert_allclose(probabilities, expected, atol=2e-3)
    own = calibration.predict_proba((left_out - mean) / std)
    truth = LABELS["mask"].to_numpy()
    assert loss == pytest.approx(-np.log(own[np.arange(len(own)), truth]).mean(), abs=1e-3)


def test_a_weight_of_two_counts_a_photo_twice():
    twice = np.arange(len(LABELS)) % 3 == 0
    copies = np.repeat(np.arange(len(LABELS)), np.where(twice, 2, 1))
    repeated, repeated_loss = fitted(rows=copies, weights=np.ones(len(copies)))
    weighted, weighted_loss = fitted(weights=np.where(twice, 2.0, 1.0))
    np.testing.assert_allclose(weighted, repeated, atol=1e-3)
    assert abs(weighted - fitted()[0]).max() > 0.02
    assert weighted_loss == pytest.approx(repeated_loss, abs=1e-4)


def test_a_linear_head_gives_the_scores_of_ridge_regression():
    params = model_params(task="mask", head={"name": "linear-ridge", "penalty": 0.5})
    target = make_target(params)
    head = LinearRidgeHead(5, target.widths, params)
    points = torch.from_numpy(POINTS).float()
    kernel_ridge.fit(head, kernel_ridge.Photos(points, LABELS, ONES), target, 0.5)
    with torch.no_grad():
        outputs = head(points).double().numpy()
    # scikit-learn's penalty does not divide by the number of features. The calibration is linear.
    model = KernelRidge(alpha=0.5, kernel=lambda a, b: a @ b / 5)
    model.fit(POINTS.astype(float), 2.0 * np.eye(3)[LABELS["mask"]] - MEAN)
    scores = np.c_[model.predict(POINTS.astype(float)), np.ones(len(POINTS))]
    linear, *_ = np.linalg.lstsq(scores, outputs, rcond=None)
    np.testing.assert_allclose(scores @ linear, outputs, atol=1e-4)
    assert (outputs.argmax(1) == LABELS["mask"]).mean() > 0.5


def test_years_help_to_tell_age_groups_apart(monkeypatch):
    years = LABELS.age.to_numpy()
    POINTS[:, 0] = years / 10 + RNG.normal(0, 0.5, len(years))
    _, with_years = fitted("age")
    scores = kernel_ridge._scores
    monkeypatch.setattr(
        kernel_ridge, "_scores", lambda c, labels, with_years: scores(c, labels, False)
    )
    _, without = fitted("age")
    assert with_years < without
