import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from tiny import model_params
from torch.nn import functional

from portrait18.models.heads import KernelHead
from portrait18.training import kernel_fitting

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(90, 6)).astype(np.float16).astype(np.float32)
CLASSES = (np.hypot(POINTS[:, 0], POINTS[:, 1]) * 1.3).astype(int).clip(0, 2)
GAMMA = 1.5


def fitted(cost=2.0, landmarks=90):
    kernel = {"name": "kernel", "gamma": GAMMA, "C": cost, "landmarks": 90}
    head = KernelHead(6, (3,), model_params(head=kernel))
    points = torch.from_numpy(POINTS)
    targets = functional.one_hot(torch.from_numpy(CLASSES)).double()
    loss = kernel_fitting.fit(
        head,
        points,
        points[:landmarks],
        lambda outputs: functional.cross_entropy(outputs, targets, reduction="none"),
        cost,
    )
    return head, loss


def reference(cost):
    """scikit-learn's logistic regression on features whose products are the kernel."""
    kernel = rbf_kernel(POINTS.astype(float), gamma=GAMMA / 6)
    root = np.linalg.cholesky(kernel + 1e-8 * np.eye(len(kernel)))
    model = LogisticRegression(C=cost, tol=1e-8, max_iter=5000).fit(root, CLASSES)
    return model.predict_proba(root)


def predicted(head):
    with torch.no_grad():
        return head(torch.from_numpy(POINTS)).softmax(1).numpy()


@pytest.mark.parametrize("cost", [0.3, 3.0])
def test_with_all_landmarks_it_is_kernel_logistic_regression(cost):
    head, loss = fitted(cost)
    np.testing.assert_allclose(predicted(head), reference(cost), atol=1e-3)
    own = predicted(head)[np.arange(len(POINTS)), CLASSES]
    assert loss == pytest.approx(-np.log(own).mean(), abs=1e-4)


def test_fewer_landmarks_fit_coarser():
    losses = [fitted(landmarks=count)[1] for count in (90, 30, 3)]
    assert losses == sorted(losses)
    assert fitted(landmarks=30)[0].coefficients.shape == (30, 3)


def test_a_larger_cost_fits_closer():
    assert fitted(10.0)[1] < fitted(1.0)[1] < fitted(0.1)[1]


def test_a_state_dict_brings_its_own_number_of_landmarks():
    head, _ = fitted(landmarks=30)
    kernel = {"name": "kernel", "gamma": GAMMA, "C": 1, "landmarks": 9}
    other = KernelHead(6, (3,), model_params(head=kernel))
    other.load_state_dict(head.state_dict())
    assert (predicted(other) == predicted(head)).all()
