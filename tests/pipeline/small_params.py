"""Params of the small projects that the pipeline tests run."""

#: Quick to train, with every kind of model: these tests are about the pipeline, not the scores.
#: Set in full, so that they do not depend on the defaults.
SMALL = {
    "compute": {"threads": 1},  # two test processes share two cores
    "split": {"folds": 1},
    # A dozen people give several chunks.
    "crop": {"method": "mtcnn", "image_size": 64, "align": "eyes", "batch_size": 2},
    "features": {"backbones": []},
    "matrix": {
        "models": ["mask", "gender", "age-class", "age-value"],
        "frozen": [],
        "folds": [0],
        "seeds": [0],
    },
    "train": {
        "common": {
            "weights": "none",
            "backbone": "mobilenetv3_small_050",
            "image_size": 32,
            "sampling": {"balance": 0.0, "per_person": 3},
        },
        "mask": {"epochs": 2},
        "age-class": {"epochs": 1},
        "age-value": {"epochs": 1},
        "all": {"epochs": 1},
    },
    "predict": {"batch_size": 4},  # and several batches
    "ensemble": {"decision": "offsets"},
}

#: Changes that freeze the backbone of the models of gender and age.
FROZEN = {
    "matrix": {"models": ["mask"], "frozen": ["gender", "age-class"]},
    "features": {
        "backbones": ["tf_efficientnet_lite0"],
        "image_size": 32,
        "views": [{}, {"flip": True}, {"scale": 1.1}],
        "batch_size": 16,
    },
    "train": {
        "gender": {
            "backbone": "tf_efficientnet_lite0",
            "epochs": 2,
            "head": {"name": "mlp", "width": 8, "depth": 1},
        },
        "age-class": {
            "backbone": "tf_efficientnet_lite0",
            "head": {"name": "ridge", "gamma": 0.4, "penalty": 0.5},
        },
    },
}
