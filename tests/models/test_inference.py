import pickle

import numpy as np
import pytest
import torch
from planted import Planted
from safetensors.torch import load_file, save_file
from tiny import crop_params, model_params
from torch import nn

from portrait18.core.errors import REPAIR_HINT, UserError
from portrait18.models import backbones, inference, model_files, views, weights
from portrait18.models.inference import PredictOptions
from portrait18.models.targets import make_target

CPU = torch.device("cpu")
CROPS = np.random.default_rng(0).integers(0, 256, (9, 40, 40, 3), np.uint8)
ROWS = np.array([4, 0, 8, 3, 3])
PARAMS, VALUE = model_params(), model_params(task="age", target="value", loss="gaussian")


class Corner(nn.Module):
    """Outputs that depend on the upper left pixel only, so that flips and resizing show."""

    def __init__(self, outputs):
        super().__init__()
        self.scale = nn.Parameter(torch.arange(1.0, outputs + 1) / 255)

    def forward(self, photos):
        return photos[:, 0, 0, 0].float()[:, None] * self.scale


def network(params, seed=0):
    torch.manual_seed(seed)
    result = backbones.create(params, make_target(params).widths)
    # One step in training mode, so that batch norm statistics differ from 0 and 1.
    result.train()(torch.from_numpy(CROPS[:, :32, :32]).permute(0, 3, 1, 2))
    return result


def predict(net, params, crops=CROPS, rows=ROWS, size=40, batch_size=2, **augmentation):
    options = PredictOptions(size, batch_size, **augmentation)
    return inference.predict(net, make_target(params), crops, rows, options)


@pytest.mark.parametrize(
    "params", [PARAMS, VALUE, model_params(task="all")], ids=["mask", "years", "all"]
)
def test_a_saved_model_predicts_the_same_when_loaded(tmp_path, params):
    net, path = network(params), tmp_path / "folder/model.safetensors"
    inference.save(path, net, params, crop_params(margin=0.7))
    loaded = inference.load(path, CPU)
    assert loaded.params == params
    assert loaded.crop == crop_params(margin=0.7)
    assert loaded.target.task == make_target(params).task
    assert not loaded.network.training
    for ours, theirs in zip(
        predict(net, params, size=32), predict(loaded.network, params, size=32), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_equal_models_have_equal_bytes(tmp_path):
    for name in ("a", "b"):
        inference.save(tmp_path / f"{name}.safetensors", network(PARAMS), PARAMS, crop_params())
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_predictions_follow_the_order_of_rows_for_any_batch_size():
    expected = CROPS[ROWS, 0, 0, 0, None] * np.arange(1.0, 4) / 255
    expected = np.exp(expected) / np.exp(expected).sum(1, keepdims=True)
    for batch_size in (1, 2, 100):
        probabilities, years = predict(Corner(3), PARAMS, batch_size=batch_size)
        np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
        assert years is None
        assert probabilities.dtype == np.float32


@pytest.mark.parametrize("params", [PARAMS, VALUE], ids=["classes", "years"])
def test_flip_averages_the_predictions_for_both_orientations(params):
    corner = Corner(*make_target(params).widths)
    plain, mirrored = predict(corner, params), predict(corner, params, crops=CROPS[:, :, ::-1])
    both = predict(corner, params, flip=True)
    np.testing.assert_allclose(both[0], (plain[0] + mirrored[0]) / 2, rtol=1e-5)
    if params is VALUE:
        np.testing.assert_allclose(both[1], (plain[1] + mirrored[1]) / 2, rtol=1e-5)
    assert np.abs(both[0] - plain[0]).max() > 0.01


def test_tta_scales_average_the_predictions_for_center_crops():
    corner, center = Corner(3), CROPS[:, 4:36, 4:36]
    full, zoomed = predict(corner, PARAMS), predict(corner, PARAMS, crops=center, size=32)
    np.testing.assert_allclose(
        predict(corner, PARAMS, size=32, tta_scales=[0.8])[0], zoomed[0], rtol=1e-5
    )
    repeated = predict(corner, PARAMS, tta_scales=[1.0, 1.0, 1.0])[0]
    np.testing.assert_allclose(repeated, full[0], rtol=1e-5)
    uniform = np.repeat(CROPS[:, :1, :1], 40, 1).repeat(40, 2)  # looks the same in all views
    both = predict(corner, PARAMS, crops=uniform, flip=True, tta_scales=[1.0, 0.5])
    np.testing.assert_allclose(both[0], full[0], rtol=1e-5)


def test_ages_are_returned_in_years():
    _, years = predict(Corner(2), VALUE)
    np.testing.assert_allclose(years, CROPS[ROWS, 0, 0, 0] / 255 * 15 + 45, rtol=1e-5)
    assert years.shape == (5,)
    assert years.dtype == np.float32


def test_crops_are_resized_to_the_networks_input_size():
    seen = []

    class Spy(Corner):
        def forward(self, photos):
            seen.append(photos)
            return super().forward(photos)

    predict(Spy(3), PARAMS, size=20, batch_size=5)
    assert seen[0].shape == (5, 3, 20, 20)
    assert seen[0].dtype == torch.uint8
    expected = CROPS[ROWS].reshape(5, 20, 2, 20, 2, 3).mean((2, 4))
    np.testing.assert_allclose(seen[0].permute(0, 2, 3, 1), expected, atol=0.51)


def test_a_memory_map_is_read_batch_by_batch(tmp_path):
    np.save(tmp_path / "crops.npy", CROPS)
    mapped = np.load(tmp_path / "crops.npy", mmap_mode="r")
    net, read = network(PARAMS), []

    class Reading:
        def __getitem__(self, rows):
            read.append(rows.tolist())
            return mapped[rows]

    from_map, _ = predict(net, PARAMS, crops=Reading(), size=32)
    assert read == [ROWS[:2].tolist(), ROWS[2:4].tolist(), ROWS[4:].tolist()]
    np.testing.assert_array_equal(from_map, predict(net, PARAMS, size=32)[0])


def test_prediction_does_not_change_the_network():
    net = network(PARAMS)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    predict(net.train(), PARAMS, size=32)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_resize_keeps_equal_sizes_and_averages_areas_when_shrinking():
    assert (views.resize(CROPS, 40) == CROPS).all()
    board = np.repeat((np.indices((1, 64, 64)).sum(0) % 2 * 255)[..., None], 3, 3).astype(np.uint8)
    assert views.resize(board, 48).shape == (1, 48, 48, 3)
    assert np.abs(views.resize(board, 32).astype(int) - 127).max() <= 1


def test_photos_are_moved_as_bytes_in_channels_last_format():
    tensor = views.to_device(CROPS, CPU)
    assert tensor.dtype == torch.uint8
    assert tensor.shape == (9, 3, 40, 40)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert (tensor.numpy() == CROPS.transpose(0, 3, 1, 2)).all()


def test_a_file_without_this_projects_metadata_is_rejected(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file(network(PARAMS).state_dict(), path, {"format": "pt"})
    with pytest.raises(UserError, match=r"foreign\.safetensors was not written by this project"):
        inference.load(path, CPU)


@pytest.mark.parametrize("fault", ["tensor missing", "other shape"])
def test_weights_that_do_not_match_their_description_are_rejected(tmp_path, fault):
    path = tmp_path / "model.safetensors"
    inference.save(path, network(PARAMS), PARAMS, crop_params())
    metadata, tensors = weights.read_metadata(path), load_file(path)
    bias = tensors.pop("head.bias")
    if fault == "other shape":
        tensors["head.bias"] = torch.cat([bias, bias])
    save_file(tensors, path, metadata)
    with pytest.raises(UserError, match=r"model\.safetensors does not match its own description"):
        inference.load(path, CPU)


def test_a_description_of_another_version_is_rejected_in_one_line(tmp_path):
    path = tmp_path / "old.safetensors"
    inference.save(path, network(PARAMS), PARAMS, crop_params())
    metadata = weights.read_metadata(path)[model_files.METADATA].replace('"dropout"', '"drop"')
    save_file(load_file(path), path, {model_files.METADATA: metadata})
    with pytest.raises(UserError, match=r"old\.safetensors"):
        inference.load(path, CPU)


@pytest.mark.parametrize("kept", [0, 5, 1000, -1])
def test_a_truncated_model_is_reported_in_one_line(tmp_path, kept):
    path = tmp_path / "model.safetensors"
    inference.save(path, network(PARAMS), PARAMS, crop_params())
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(
        UserError, match=rf"model .*model\.safetensors is damaged .*{REPAIR_HINT}"
    ) as caught:
        inference.load(path, CPU)
    assert len(caught.value.problems) == 1
    assert "\n" not in str(caught.value)


def test_a_missing_model_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"model .*model\.safetensors is missing; run dvc repro"):
        inference.load(tmp_path / "model.safetensors", CPU)


@pytest.mark.parametrize(
    "described", ["{", "[]", "{}", '{"model": 1, "crop": 2}', '{"model": [], "crop": {}}']
)
def test_an_invalid_description_is_rejected_in_one_line(tmp_path, described):
    path = tmp_path / "model.safetensors"
    save_file(network(PARAMS).state_dict(), path, {model_files.METADATA: described})
    with pytest.raises(UserError, match=r"model\.safetensors was written by another version"):
        inference.load(path, CPU)


@pytest.mark.parametrize("kind", ["archive", "bare pickle", "PyTorch's old format"])
def test_a_pickle_with_a_models_name_is_rejected_and_not_run(tmp_path, kind):
    planted, path = Planted(tmp_path / "it ran"), tmp_path / "model.safetensors"
    if kind == "bare pickle":
        path.write_bytes(pickle.dumps(planted))
    else:
        torch.save(planted, path, _use_new_zipfile_serialization=kind == "archive")
    for read in (lambda: inference.load(path, CPU), lambda: weights.read_tensors(path)):
        with pytest.raises(
            UserError, match=r"model\.safetensors contains a pickle.*not opened"
        ) as caught:
            read()
        assert "\n" not in str(caught.value)
    assert not planted.path.exists()
