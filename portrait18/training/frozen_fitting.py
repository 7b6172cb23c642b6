"""Train the heads of frozen models on features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from portrait18.core.device import set_deterministic
from portrait18.core.model_params import ModelParams
from portrait18.core.runs import Run
from portrait18.core.variants import KernelHead as KernelHeadParams
from portrait18.core.variants import LinearRidgeHead as LinearRidgeParams
from portrait18.core.variants import RidgeHead
from portrait18.dataset.labels import class_index
from portrait18.models import frozen, metrics
from portrait18.models.frozen import StandardizedHead
from portrait18.models.heads import KernelHead, LinearRidgeHead
from portrait18.models.losses import LossContext, make_loss
from portrait18.models.targets import class_counts, make_target
from portrait18.training import kernel_fitting, kernel_ridge, sampling
from portrait18.training.data import TrainingData, require_photos


@dataclass(frozen=True)
class FeatureLayout:
    """What the features of a model consist of.

    Attributes:
        test_views: number of views, the first ones, that predictions average.
        blocks: number of features from each layer of the backbones; kernel heads give each layer
            the same influence. Empty: each feature has the same.
    """

    test_views: int
    blocks: Sequence[int] = ()


def fit(
    data: TrainingData,
    params: ModelParams,
    run: Run,
    layout: FeatureLayout,
    log: Callable[[dict], None] = lambda row: None,
) -> StandardizedHead:
    """Train the head of one run, on the CPU: heads are small.

    Args:
        data: features, float16 (N, V, F) of V views, in place of crops. Only `params.people` are
            trained and validated on.
        params: of the model.
        run: names the validation fold and the seed of all random draws.
        layout: of the features.
        log: called with a history row for each epoch; a kernel head has one.

    Returns:
        The head of the best epoch.

    Raises:
        UserError: no photos to train or validate on, or a loss that is not finite.
    """
    set_deterministic()
    data = data.restrict(params.people)
    require_photos(data, run.fold, params.people)
    if params.head.frozen_only:
        return _fit_kernel(data, params, run, layout, log)
    # Imported here: it imports timm, which takes seconds.
    from portrait18.training import frozen_trainer

    return frozen_trainer.fit(data, params, run, layout.test_views, log)


def _fit_kernel(
    data: TrainingData,
    params: ModelParams,
    run: Run,
    layout: FeatureLayout,
    log: Callable[[dict], None],
) -> StandardizedHead:
    """Fit a head in closed form, or by L-BFGS, on the photos that one epoch draws.

    Kernel heads see the mean of each photo's test views, a linear one sees every view.
    `sampling.balance` weights the photos: draws with replacement would leave photos out.
    """
    target, settings = make_target(params), params.head
    classes = class_index(target.task, data.labels, for_training=True).to_numpy()
    rows = _draw_rows(data, classes, params, run)
    features = data.crops[rows].astype(np.float32)
    if isinstance(settings, LinearRidgeParams):
        rows = rows.repeat(features.shape[1])
        features = features.reshape(len(rows), -1)
    else:
        features = features[:, : layout.test_views].mean(1)
    network = StandardizedHead(features.shape[1], target.widths, params)
    network.fit(features, layout.blocks)
    photos = kernel_ridge.Photos(
        network.standardize(torch.from_numpy(features)),
        data.labels.iloc[rows],
        sampling.class_weights(classes[rows], params.sampling.balance),
    )
    if isinstance(settings, RidgeHead | LinearRidgeParams):
        assert isinstance(network.head, KernelHead | LinearRidgeHead)
        train_loss = kernel_ridge.fit(network.head, photos, target, settings.penalty)
    else:
        assert isinstance(settings, KernelHeadParams)
        assert isinstance(network.head, KernelHead)
        # The order is random, so the first rows are a random part; sampling may repeat some.
        first = np.sort(np.unique(rows, return_index=True)[1])[: settings.landmarks]
        targets, loss = target.encode(photos.labels).double(), make_loss(params, target)
        context = LossContext(class_counts(target, photos.labels).double(), progress=1.0)
        train_loss = kernel_fitting.fit(
            network.head,
            photos.features,
            photos.features[torch.from_numpy(first)],
            lambda outputs: loss(outputs, targets, context) * torch.from_numpy(photos.weights),
            settings.C,
        )
    scores = evaluate(network, data, params, run, layout.test_views)
    log({"epoch": 0, "train_loss": train_loss, **scores})
    return network.eval()


def _draw_rows(
    data: TrainingData, classes: np.ndarray, params: ModelParams, run: Run
) -> np.ndarray:
    """Return the photos that one epoch draws without balancing classes, in random order."""
    rows = data.train_rows(run.fold)
    drawing = params.sampling.model_copy(update={"balance": 0.0})
    labels = data.labels.iloc[rows]
    return rows[sampling.epoch_order(labels, classes[rows], drawing, run.seed, epoch=0)]


def evaluate(
    head: torch.nn.Module, data: TrainingData, params: ModelParams, run: Run, test_views: int
) -> dict[str, float]:
    """Return the scores of a head on the run's validation set; see `metrics.scores`."""
    target, rows = make_target(params), data.validation_rows(run.fold)
    probabilities, _ = frozen.predict(head, target, data.crops[rows][:, :test_views])
    truth = class_index(target.task, data.labels, for_training=False).to_numpy()[rows]
    return metrics.scores(truth, probabilities.argmax(1), probabilities)
