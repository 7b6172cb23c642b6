import json

import pytest
from bundling import CPU

import portrait18
from portrait18.core.errors import UserError
from portrait18.deployment import bundle


def corrupt(folder, fault):
    path = folder / bundle.MANIFEST
    value = json.loads(path.read_text())
    if fault == "no folder":
        return folder / "nowhere"
    if fault == "truncated":
        path.write_text(path.read_text()[:100])
    elif fault == "format":
        path.write_text(json.dumps({**value, "format": 1}))
    elif fault == "file outside the folder":
        value["networks"][0]["file"] = "../elsewhere.safetensors"
        path.write_text(json.dumps(value))
    elif fault == "ONNX file outside the folder":
        value["networks"][0]["onnx"] = "../elsewhere.onnx"
        path.write_text(json.dumps(value))
    elif fault == "metrics":
        path.write_text(json.dumps({**value, "metrics": {"macro_f1": 0.5, "mask": {}}}))
    elif fault == "nested":
        path.write_text(10_000 * "[")
    elif fault == "ensemble":
        del value["ensemble"]["tasks"]["mask"]["weights"]
        path.write_text(json.dumps(value))
    elif fault == "unknown model":
        value["ensemble"]["tasks"]["age"]["models"][0] = "ages+years"
        path.write_text(json.dumps(value))
    elif fault == "missing task":
        del value["ensemble"]["tasks"]["age"]
        path.write_text(json.dumps(value))
    elif fault.startswith("temperature"):
        name, temperature = fault.split()[1:]
        value["ensemble"]["temperatures"] = {name: json.loads(temperature)}
        path.write_text(json.dumps(value))
    elif fault == "weights of two networks":
        (folder / "mask-0-0.safetensors").unlink()
        (folder / "gender-0-0.safetensors").write_bytes(
            (folder / "all-0-0.safetensors").read_bytes()
        )
    return folder


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("no folder", "nowhere has no bundle"),
        ("truncated", r"bundle\.json is corrupt"),
        ("format", "another version .*format"),
        ("file outside the folder", "networks.0.file"),
        ("ONNX file outside the folder", "networks.0.onnx"),
        ("metrics", "KeyError: 'macro_f1'"),
        ("nested", "RecursionError"),
        ("ensemble", "KeyError: 'weights'|missing"),
        ("unknown model", "ensemble names models without networks: ages"),
        ("missing task", "ensemble has the tasks mask, gender"),
        ("temperature unknown 1.0", "models without networks: unknown"),
        ("temperature mask 0", "temperature 0 of mask must be above 0"),
        ('temperature mask "0.5"', "temperature '0.5' of mask must be above 0"),
        (
            "weights of two networks",
            r"(?s)mask-0-0.safetensors is missing.*gender-0-0.safetensors is not the file",
        ),
    ],
)
def test_an_incomplete_or_corrupt_bundle_is_refused_with_one_line_per_problem(
    make_bundle, fault, message
):
    folder = corrupt(make_bundle(), fault)
    with pytest.raises(UserError, match=message) as caught:
        portrait18.load(folder, CPU)
    assert all("\n" not in problem for problem in caught.value.problems)
    if fault in ("metrics", "nested"):
        assert bundle.describe(folder) == ""  # shown by --help


def test_a_description_names_training_set_and_scores(make_bundle):
    folder = make_bundle()
    description = (
        "Trained on 14 photos of 2 people: Drawn people. Macro-F1 of the 18 classes: 0.50."
    )
    assert bundle.describe(folder) == bundle.read_manifest(folder).description() == description
    path = folder / "bundle.json"
    value = json.loads(path.read_text())
    value["training_set"]["about"] = ""
    value["metrics"] = {
        "macro_f1": 0.5,
        "people": 1234,
        **{
            name: {"macro_f1": score}
            for name, score in (("mask", 1), ("gender", 0.9), ("age", 0.678))
        },
    }
    path.write_text(json.dumps(value))
    assert bundle.describe(folder) == (
        "Trained on 14 photos of 2 people. Macro-F1 of the 18 classes on 1,234 validation people:"
        " 0.50 (mask 1.00, gender 0.90, age 0.68)."
    )


def test_there_is_no_description_without_a_bundle(tmp_path):
    assert bundle.describe(tmp_path) == ""
    (tmp_path / "bundle.json").write_text("[]")
    assert bundle.describe(tmp_path) == ""
