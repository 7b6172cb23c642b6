"""Optional parts of this package: what they need, and the command that installs it."""

import importlib.util

from portrait18.core.errors import UserError

_TORCH = ("facenet_pytorch", "timm", "torch", "torchvision")
#: Extra of pyproject.toml -> the modules that its packages install.
EXTRAS = {
    "torch": _TORCH,
    "train": (
        *("albumentations", "cleanlab", "dvc", "jinja2", "matplotlib", "psutil"),
        *("pytorch_grad_cam", "scipy", "sklearn", *_TORCH),
    ),
    "serve": ("fastapi", "prometheus_client", "pydantic_settings", "python_multipart", "uvicorn"),
    "importers": _TORCH,
    "onnx": ("onnx", "onnxscript", *_TORCH),
}


def missing(extra: str) -> list[str]:
    """Return the modules of an extra that are not installed."""
    return [name for name in EXTRAS[extra] if importlib.util.find_spec(name) is None]


def require(extra: str, purpose: str) -> None:
    """Check that the packages of an extra are installed.

    Args:
        extra: one of `EXTRAS`.
        purpose: what needs them, the subject of the message.

    Raises:
        UserError: some are missing.
    """
    if names := missing(extra):
        raise UserError(
            f"{purpose} needs {', '.join(names)}; run pip install 'portrait18[{extra}]'"
        )
