"""Check that a backbone works at an image size, by shapes alone."""

from collections.abc import Callable

import torch
from torch import nn

from portrait18.core.errors import UserError

#: Steps of the search for a size that works, in pixels.
_STEP, _STEPS = 16, 20


def validate_input_size(name: str, image_size: int, build: Callable[[int], nn.Module]) -> None:
    """Run a backbone on PyTorch's meta device, which computes shapes only.

    Deep networks halve the image until a kernel no longer fits, and some transformers need a
    multiple of their window.

    Args:
        name: name of the backbone, for the message.
        image_size: side of the input in pixels.
        build: returns the backbone for an image size in pixels.

    Raises:
        UserError: the backbone fails at this size, but works at a larger one.
    """
    error = _failure(build, image_size)
    if error is None:
        return
    first = (image_size // _STEP + 1) * _STEP
    for size in range(first, first + _STEPS * _STEP, _STEP):
        if _failure(build, size) is None:
            raise UserError(
                f"params.yaml: image_size = {image_size}: backbone {name} does not work at this"
                f" size; set image_size: {size}, or more, and crop.image_size to at least that,"
                " or use another backbone"
            )
    raise error


def _failure(build: Callable[[int], nn.Module], image_size: int) -> Exception | None:
    try:
        with torch.device("meta"), torch.no_grad():
            build(image_size).eval()(torch.empty(2, 3, image_size, image_size))
    except UserError:
        raise
    except Exception as error:  # each architecture fails in its own way
        return error
    return None
