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
    elif fault == "ensemble":
        del value["ensemble"]["tasks"]["mask"]["weights"]
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
        ("ensemble", "KeyError: 'weights'|missing"),
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
