import shutil

import pytest
from fitting import CROPS, FOLDS, LABELS
from synthetic import REPO

from portrait18.core.errors import UserError
from portrait18.core.model_params import ModelParams
from portrait18.training.data import TrainingData
from stages import train


def test_running_out_of_memory_names_existing_params_to_lower(tmp_path, monkeypatch, write_params):
    def fit(*args, **kwargs):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.chdir(tmp_path)
    write_params(tmp_path / "params.yaml")
    shutil.copy(REPO / "dvc.yaml", tmp_path)
    monkeypatch.setattr(train, "_load_data", lambda *_: TrainingData(CROPS, LABELS, FOLDS))
    monkeypatch.setattr(train.loop, "fit", fit)
    with pytest.raises(UserError) as caught:
        train.main("mask", "0", "0")
    assert "lower batch_size or image_size of train.mask or train.common" in str(caught.value)
    assert {"batch_size", "image_size"} <= ModelParams.model_fields.keys()
