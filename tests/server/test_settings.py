import argparse

import pytest

from portrait18.core.errors import UserError
from portrait18.server.settings import Settings, add_arguments, load_settings, unknown_variables


def parse(*flags: str) -> dict:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return vars(parser.parse_args(flags))


@pytest.fixture
def environment(monkeypatch):
    """environment({name: value}) sets environment variables."""

    def set_all(values: dict[str, str]) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


def test_flags_override_the_environment_which_overrides_defaults(environment):
    environment(
        {
            "PORTRAIT18_PORT": "1234",
            "PORTRAIT18_BATCH": "4",
            "PORTRAIT18_API_KEY": "secret",
            "PORT": "99",
        }
    )
    found = load_settings(parse("--port", "5678", "--wait-ms", "2.5"))
    assert (found.port, found.batch, found.wait_ms, found.max_photos) == (5678, 4, 2.5, 16)
    assert found.api_key.get_secret_value() == "secret"
    assert "secret" not in repr(found)


def test_variables_that_are_no_setting_are_named():
    lines = unknown_variables(
        {"PORTRAIT18_APIKEY": "x", "portrait18_api_key": "x", "PORTRAIT18_ARITHMETIC": "native"}
        | {"PATH": "/bin", "PORTRAIT18_SERVICE_HOST": "10.0.0.1"}
    )
    assert [line.split()[0] for line in lines] == ["PORTRAIT18_APIKEY", "PORTRAIT18_SERVICE_HOST"]
    assert "has no effect; did you mean PORTRAIT18_API_KEY?" in lines[0]


def test_by_default_only_this_machine_can_connect():
    assert Settings().host == "127.0.0.1"
    assert Settings().api_key is None


def test_all_invalid_values_are_reported_under_the_names_they_were_given(environment):
    environment({"PORTRAIT18_WAIT_MS": "-1", "PORTRAIT18_BATCH": "4"})
    with pytest.raises(UserError) as caught:
        load_settings(parse("--port", "99999", "--batch", "x"))
    assert [problem.split(" = ")[0] for problem in caught.value.problems] == [
        "--port",
        "--batch",
        "PORTRAIT18_WAIT_MS",
    ]
    assert caught.value.problems[1].startswith("--batch = 'x': input should be a valid integer")


def test_an_unknown_engine_is_rejected_with_the_known_ones(environment):
    environment({"PORTRAIT18_ENGINE": "tensorrt"})
    with pytest.raises(UserError) as caught:
        load_settings({})
    assert caught.value.problems == [
        "PORTRAIT18_ENGINE = 'tensorrt': input should be 'torch' or 'onnx'"
    ]
    assert load_settings(parse("--engine", "onnx")).engine == "onnx"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--queue", "3"], "queue 3 is below max-photos 16"),
        (["--max-total-bytes", "5000"], "max-total-bytes 5000 is below max-bytes 33554432"),
    ],
)
def test_limits_below_one_full_request_are_rejected(flags, message):
    with pytest.raises(UserError, match=message) as caught:
        load_settings(parse(*flags))
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("key", ["", "k\u00e4se", " key", "key\n", "two words", "\udcff"])
def test_a_key_that_browsers_cannot_send_is_rejected_without_printing_it(environment, key):
    environment({"PORTRAIT18_API_KEY": key})
    with pytest.raises(UserError) as caught:
        load_settings({})
    (problem,) = caught.value.problems
    assert problem == (
        "PORTRAIT18_API_KEY: must be one or more printable ASCII characters without spaces,"
        " because browsers cannot send others; set such a key, or unset it to require none"
    )


def test_a_key_may_hold_all_printable_ascii(environment):
    key = "".join(map(chr, range(33, 127)))
    environment({"PORTRAIT18_API_KEY": key})
    assert load_settings({}).api_key.get_secret_value() == key


def test_help_lists_every_setting_and_the_key_is_no_flag():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    text = parser.format_help()
    for name in set(Settings.model_fields) - {"api_key"}:
        assert f"--{name.replace('_', '-')}" in text
    assert "PORTRAIT18_API_KEY" in text
    assert "--api-key" not in text
