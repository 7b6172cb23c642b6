"""Server settings: a flag wins over an environment variable, which wins over the default."""

import argparse
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from portrait18.core.errors import UserError
from portrait18.core.validation import nearest, short
from portrait18.dataset.limits import MAX_PIXELS
from portrait18.deployment.bundle import OWN

ENV_PREFIX = "PORTRAIT18_"


class Settings(BaseSettings):
    """Settings of one server.

    Every field is a flag `--name` and an environment variable `PORTRAIT18_NAME`. The API key is an
    environment variable only, because `ps` shows flags.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="forbid", frozen=True, allow_inf_nan=False
    )

    bundle: str | None = Field(
        None,
        description=f"folder of a trained bundle (default: {OWN} if it exists, else the starter"
        " model)",
    )
    host: str = Field(
        "127.0.0.1", description="address to listen on; 0.0.0.0 accepts other machines"
    )
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    max_bytes: int = Field(32 * 2**20, ge=1024, description="largest request body")
    max_total_bytes: int = Field(
        256 * 2**20,
        ge=1024,
        description="bytes of all request bodies in memory; requests above it get a 503",
    )
    max_pixels: int = Field(
        MAX_PIXELS, ge=400, description="largest photo, width x height; of a JPEG, as decoded"
    )
    max_photos: int = Field(16, ge=1, le=1000, description="maximum photos per request")
    batch: int = Field(16, ge=1, le=1000, description="maximum photos per batch")
    wait_ms: float = Field(
        5, ge=0, le=1000, description="milliseconds that a partial batch waits for more photos"
    )
    queue: int = Field(
        64, ge=1, description="maximum photos in progress; requests above it get a 503"
    )
    upload_timeout_s: float = Field(
        120, gt=0, le=3600, description="seconds for the upload of a request (else 408)"
    )
    timeout_s: float = Field(
        30, gt=0, le=3600, description="seconds to predict the photos of a request (else 504)"
    )
    min_face: float | None = Field(
        None,
        gt=0,
        le=1,
        description="smallest face, as a share of the photo's shorter side (default: the bundle's)",
    )
    engine: Literal["torch", "onnx"] | None = Field(
        None,
        description="what runs the networks: torch (PyTorch) or onnx (ONNX Runtime, without"
        " PyTorch); default: torch if it is installed",
    )
    api_key: SecretStr | None = Field(None, description="key that /predict and /metrics require")

    @field_validator("api_key", mode="before")
    @classmethod
    def _browsers_can_send_the_key(cls, value: Any) -> Any:
        if isinstance(value, str) and not re.fullmatch("[!-~]+", value):
            raise ValueError(
                "must be one or more printable ASCII characters without spaces, because browsers"
                " cannot send others; set such a key, or unset it to require none"
            )
        return value

    @model_validator(mode="after")
    def _a_full_request_fits(self) -> "Settings":
        if self.queue < self.max_photos:
            raise ValueError(
                f"queue {self.queue} is below max-photos {self.max_photos};"
                " raise queue or lower max-photos"
            )
        if self.max_total_bytes < self.max_bytes:
            raise ValueError(
                f"max-total-bytes {self.max_total_bytes} is below max-bytes {self.max_bytes};"
                " raise max-total-bytes or lower max-bytes"
            )
        return self


#: Environment variable of `portrait18` that is no setting of the server.
_OTHER_VARIABLE = f"{ENV_PREFIX}ARITHMETIC"
_FLAGS = [name for name in Settings.model_fields if name != "api_key"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one flag per setting; flags that are not given stay out of the parsed namespace."""
    for name in _FLAGS:
        field = Settings.model_fields[name]
        default = "" if field.default is None else f" ({field.default})"
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            default=argparse.SUPPRESS,
            help=f"{field.description}{default}",
        )
    parser.epilog = (
        f"Every flag is also an environment variable: {ENV_PREFIX}PORT for --port, and so on."
        f" {ENV_PREFIX}API_KEY, an environment variable only, is the key that /predict and /metrics"
        " then require (Authorization: Bearer KEY)."
    )


def load_settings(arguments: Mapping[str, Any]) -> Settings:
    """Return the settings given by parsed flags and the environment.

    Raises:
        UserError: invalid values, one line each.
    """
    flags = {name: arguments[name] for name in _FLAGS if name in arguments}
    try:
        return Settings(**flags)
    except ValidationError as error:
        raise UserError([_problem(fault, flags) for fault in error.errors()]) from None


def _problem(fault: Mapping[str, Any], flags: Mapping[str, Any]) -> str:
    message = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return f"settings: {message}"
    name = str(fault["loc"][0])
    given_as = f"--{name.replace('_', '-')}" if name in flags else f"{ENV_PREFIX}{name.upper()}"
    if fault["type"] == "value_error":  # the key's: its value must not be printed
        return f"{given_as}: {message}"
    return f"{given_as} = {short(fault['input'])}: {message[0].lower()}{message[1:]}"


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a line for each environment variable that looks like a setting but is none.

    A key that is set under a wrong name would leave the server open.
    """
    known = [_OTHER_VARIABLE, *(f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields)]
    names = (name.upper() for name in environment if name.upper().startswith(ENV_PREFIX))
    return [
        f"{name} is no setting and has no effect{nearest(name, known)}"
        for name in sorted(names)
        if name not in known
    ]
