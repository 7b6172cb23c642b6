"""What can be set about the server: by a flag, else by an environment variable, else as it stands here."""

import argparse
import os
import re
from collections.abc import Mapping

from pydantic import Field, SecretStr, model_validator

from portrait18.core.errors import UserError
from portrait18.core.validation import Int, Section, validate

ENVIRONMENT = "PORTRAIT18_"


class Settings(Section):
    """Every field is `--name` and `PORTRAIT18_NAME`; the key is in the environment alone, for flags show in `ps`."""

    bundle: str = Field("models/bundle", description="folder of the trained ensemble")
    host: str = Field(
        "127.0.0.1", description="address to listen on; 0.0.0.0 lets other machines in"
    )
    port: Int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    max_bytes: Int = Field(32 * 2**20, ge=1024, description="largest body of a request")
    max_total_bytes: Int = Field(
        256 * 2**20,
        ge=1024,
        description="bodies of all requests in memory; beyond, a request gets a 503",
    )
    max_pixels: Int = Field(25_000_000, ge=400, description="largest photo, width x height")
    max_photos: Int = Field(16, ge=1, le=1000, description="most photos in a request")
    batch: Int = Field(16, ge=1, le=1000, description="most photos worked on together")
    wait_ms: float = Field(
        5, ge=0, le=1000, description="how long a batch that is not full waits for more"
    )
    queue: Int = Field(
        64, ge=1, description="photos taken in and not yet answered; beyond, a request gets a 503"
    )
    timeout_s: float = Field(
        30, gt=0, le=3600, description="seconds to upload (else 408), and to answer (else 504)"
    )
    min_face: float | None = Field(
        None,
        gt=0,
        le=1,
        description="smallest face, as a share of the photo's shorter side (default: the bundle's)",
    )
    api_key: SecretStr | None = Field(
        None, min_length=1, description="what /predict and /metrics ask for"
    )

    @model_validator(mode="after")
    def _a_full_request_fits(self):
        if self.queue < self.max_photos:
            raise ValueError(
                f"queue {self.queue} is below max-photos {self.max_photos}; raise the one or lower the other"
            )
        if self.max_total_bytes < self.max_bytes:
            raise ValueError(
                f"max-total-bytes {self.max_total_bytes} is below max-bytes {self.max_bytes};"
                " raise the one or lower the other"
            )
        return self


_FLAGS = [name for name in Settings.model_fields if name != "api_key"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a parser the flags; what is not given stays out of the parsed names."""
    for name in _FLAGS:
        field = Settings.model_fields[name]
        stands = "" if field.default is None else f" ({field.default})"
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            default=argparse.SUPPRESS,
            help=f"{field.description}{stands}",
        )
    parser.epilog = (
        f"Each can also be set in the environment: {ENVIRONMENT}PORT for --port, and so on. {ENVIRONMENT}API_KEY, there"
        " alone, is the key that /predict and /metrics then ask for (Authorization: Bearer KEY)."
    )


def settings(arguments: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of parsed flags and an environment.

    Raises:
        UserError: a line for each value that can't be.
    """
    raw = {
        name: environment[f"{ENVIRONMENT}{name.upper()}"]
        for name in Settings.model_fields
        if f"{ENVIRONMENT}{name.upper()}" in environment
    }
    flags = {name: arguments[name] for name in _FLAGS if name in arguments}
    raw |= flags
    if not re.fullmatch("[!-~]+", raw.get("api_key", "none")):
        raise UserError(
            f"{ENVIRONMENT}API_KEY must be letters, digits and signs of ASCII, at least one and no spaces, or browsers"
            " can't send it; give such a key, or unset it to ask for none"
        )

    def where(key: str) -> str:
        if key in raw and key not in flags:
            return f"{ENVIRONMENT}{key.upper()}"
        return f"--{key.replace('_', '-')}" if key else "settings"

    problems: list[str] = []
    found = validate(Settings, raw, where, problems)
    if found is None:
        raise UserError(problems)
    return found
