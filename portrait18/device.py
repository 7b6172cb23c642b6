"""Where the networks run, and how to make them repeat themselves."""

import torch


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def reproducible() -> None:
    """Make equal runs on one machine give equal bytes; where CUDA has no such kernel, PyTorch warns."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
