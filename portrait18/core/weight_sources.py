"""Sources of a backbone's weights: values of `weights` in params.yaml."""

import re

#: Backbones whose weights an installed package contains, see `portrait18.models.bundled`.
BUNDLED = (
    "tf_efficientnet_lite0",
    "tf_efficientnet_lite1",
    "tf_efficientnet_lite2",
    "sface",
    "sface_middle",
    "dlib_resnet",
    "dlib_resnet_middle",
)

#: A weights file and the start of its sha256: DVC notices a changed file, as the params change too.
WEIGHTS_FILE = re.compile(r"(?P<path>.+\.safetensors)@(?P<digest>[0-9a-f]{8,64})")


def pair_sources(names: list[str], weights: str) -> list[tuple[str, str]]:
    """Return each backbone with the source of its weights; see `ModelParams.sources`."""
    sources = weights.split("+")
    if len(sources) not in (1, len(names)):
        raise ValueError(
            f"weights = {weights!r} names {len(sources)} sources for {len(names)}"
            f" backbones ({'+'.join(names)}); name one for all, or one for each, joined by +"
        )
    sources = sources if len(sources) == len(names) else sources * len(names)
    return list(zip(names, sources, strict=True))


def check_source(name: str, source: str, key: str) -> None:
    """Check that a source of weights is valid and has the backbone.

    Args:
        name: of the backbone.
        source: a value of `weights`.
        key: of the param that names the backbone, for the message.

    Raises:
        ValueError: it is not.
    """
    if source == "bundled" and name not in BUNDLED:
        raise ValueError(
            f"weights = bundled: no package contains weights of {name!r}; use {key}:"
            f" {' | '.join(BUNDLED)}, or weights: hub or none"
        )
    if source in ("bundled", "hub", "none") or WEIGHTS_FILE.fullmatch(source):
        return
    path = source.partition("@")[0]
    if path.endswith(".safetensors"):
        raise ValueError(
            f"weights = {source!r} does not identify the content of the file; write {path}@ and"
            " then the first 8 or more digits of its sha256sum"
        )
    raise ValueError(
        f"weights = {source!r}: only .safetensors files are read, because a pickle can run code;"
        " convert it with safetensors.torch.save_file, or use bundled, hub or none"
    )
