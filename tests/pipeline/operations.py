"""Print a hash of the results of each operation; test_portability.py runs this file."""

import hashlib
import sys

import numpy as np
import torch
from torch.nn import functional

from portrait18.core import arithmetic
from portrait18.models import contrast

if "--plain-kernels" not in sys.argv:
    arithmetic.replace_kernels()
VALUES = torch.rand(64, 4099, generator=torch.Generator().manual_seed(0)) * 2 + 0.1
UNARY = (
    *("sqrt", "rsqrt", "exp", "log", "log2", "log10", "log1p", "expm1", "exp2", "sigmoid"),
    *("tanh", "erf", "erfc", "sin", "cos", "tan", "atan", "lgamma", "digamma", "reciprocal"),
)
POWERS = (0.5, -0.5, 2, 3, -1, 0.37, 1.5)


def torch_results(values: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return operation -> result of PyTorch."""
    images = values[:, :4096].reshape(4, 64, 16, 64)
    heads = values[:, :4096].reshape(4, 4, 64, 256)
    results = {name: getattr(values, name)() for name in UNARY}
    results |= {name: getattr(values / 3, name)() for name in ("acos", "asin", "erfinv")}
    results |= {f"pow {exponent}": values**exponent for exponent in POWERS}
    return results | {
        "softmax": values.softmax(1),
        "log_softmax": values.log_softmax(1),
        "logsumexp": values.logsumexp(1),
        "normalize": functional.normalize(values, dim=1),
        "norm": values.norm(),
        "std": values.std(1),
        "mean": values.mean(1),
        "cumsum": values.cumsum(1),
        "ndtr": torch.special.ndtr(values),
        "matmul": values @ values.T,
        "gelu": functional.gelu(values),
        "silu": functional.silu(values),
        "hardswish": functional.hardswish(values),
        "softplus": functional.softplus(values),
        "prelu": functional.prelu(images - 1, images[0, :, 0, 0]),
        "linear": functional.linear(images, images[0, 0] / 8),
        "max_pool2d": functional.max_pool2d(images, 3, 2),
        "avg_pool2d": functional.avg_pool2d(images, 2),
        "conv2d": functional.conv2d(images, images[:, :, :3, :3] / 64),
        "depthwise": functional.conv2d(images, images[0, :, None, :3, :3], groups=64),
        "layer_norm": functional.layer_norm(values, (4099,)),
        "group_norm": functional.group_norm(images, 8),
        "batch_norm": functional.batch_norm(images, None, None, training=True),
        "attention": functional.scaled_dot_product_attention(heads, heads, heads),
        "lerp": torch.lerp(values, values * 2, 0.3),
        "addcdiv": torch.addcdiv(values, values, values + 1),
    }


def numpy_results(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return operation -> result of NumPy."""
    names = ("sqrt", "exp", "log", "sin", "cos", "tanh", "log1p", "expm1", "arctan", "log10")
    return {name: getattr(np, name)(values) for name in names} | {
        "power": values ** values.dtype.type(0.37),
        "einsum": np.einsum("ij,kj->ik", values, values),
        "matmul": values @ values.T,
        "std": values.std(1),
        "sum": values.sum(1),
        "solve": np.linalg.solve(values[:, :64], values[:, :3]),
        "inv": np.linalg.inv(values[:, :64] + 64 * np.eye(64, dtype=values.dtype)),
        "cholesky": np.linalg.cholesky(values @ values.T),
    }


def image_results() -> dict[str, np.ndarray]:
    """Return operation -> result for images, uint8."""
    noise = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    crops = noise.repeat(8, 1).repeat(8, 2)
    return {f"clahe {limit}": contrast.equalize(crops, limit) for limit in (1.0, 2.0, 4.0)}


for name, image in image_results().items():
    print("uint8", name, hashlib.md5(image.tobytes()).hexdigest())
for dtype in (torch.float32, torch.float64):
    typed = VALUES.to(dtype)
    arrays = {name: result.numpy() for name, result in torch_results(typed).items()}
    arrays |= {f"numpy {name}": result for name, result in numpy_results(typed.numpy()).items()}
    for name, array in arrays.items():
        print(dtype, name, hashlib.md5(np.ascontiguousarray(array).tobytes()).hexdigest())
