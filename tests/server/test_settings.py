import argparse

import pytest

from portrait18.core.errors import UserError
from portrait18.server.settings import Settings, add_arguments, settings


def parsed(*flags: str) -> dict:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return vars(parser.parse_args(flags))


def test_a_flag_goes_before_the_environment_and_that_before_the_default():
    environment = {
        "PORTRAIT18_PORT": "1234",
        "PORTRAIT18_BATCH": "4",
        "PORTRAIT18_API_KEY": "secret",
        "PORT": "99",
    }
    found = settings(parsed("--port", "5678", "--wait-ms", "2.5"), environment)
    assert (found.port, found.batch, found.wait_ms, found.max_photos) == (5678, 4, 2.5, 16)
    assert found.api_key.get_secret_value() == "secret"
    assert "secret" not in repr(found)


def test_it_listens_to_this_machine_alone_unless_told():
    assert Settings().host == "127.0.0.1"
    assert Settings().api_key is None


def test_every_fault_is_told_at_once_by_the_name_it_was_given_under():
    with pytest.raises(UserError) as caught:
        settings(
            parsed("--port", "99999", "--batch", "x"),
            {"PORTRAIT18_WAIT_MS": "-1", "PORTRAIT18_BATCH": "4"},
        )
    assert [problem.split(" = ")[0] for problem in caught.value.problems] == [
        "--port",
        "--batch",
        "PORTRAIT18_WAIT_MS",
    ]


@pytest.mark.parametrize(
    ("flags", "environment", "told"),
    [
        (["--queue", "3"], {}, "queue 3 is below max-photos 16"),
        (["--max-total-bytes", "5000"], {}, "max-total-bytes 5000 is below max-bytes 33554432"),
        *(
            (
                [],
                {"PORTRAIT18_API_KEY": key},
                "^PORTRAIT18_API_KEY must be letters, digits and signs of ASCII",
            )
            for key in ("", "k\u00e4se", " key", "key\n", "two words", "\udcff")
        ),
    ],
)
def test_what_would_refuse_or_let_in_everybody_is_refused(flags, environment, told):
    with pytest.raises(UserError, match=told) as caught:
        settings(parsed(*flags), environment)
    assert len(caught.value.problems) == 1


def test_a_key_may_have_all_that_ascii_shows():
    key = "".join(map(chr, range(33, 127)))
    assert settings({}, {"PORTRAIT18_API_KEY": key}).api_key.get_secret_value() == key


def test_help_names_every_setting_and_the_key_is_no_flag():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    text = parser.format_help()
    for name in set(Settings.model_fields) - {"api_key"}:
        assert f"--{name.replace('_', '-')}" in text
    assert "PORTRAIT18_API_KEY" in text
    assert "--api-key" not in text
