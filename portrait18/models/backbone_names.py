"""Check the names of backbones and of their downloads."""

import difflib

from portrait18.core.errors import UserError
from portrait18.models.faces import FACE_BACKBONES


def validate_name(name: str) -> None:
    """Raise UserError if there is no such backbone, with similar names."""
    if name in FACE_BACKBONES:
        return
    import timm  # takes seconds, and backbones for faces do without it

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        names = [*FACE_BACKBONES, *timm.list_models()]
        matches = difflib.get_close_matches(architecture, names, 5, cutoff=0.5)
        raise UserError(
            f"params.yaml: backbone = {name!r} is unknown to timm;"
            f" similar names: {', '.join(matches) or 'none'}; see timm.list_models(), or use"
            f" {' | '.join(FACE_BACKBONES)}"
        )
    tags = [n.partition(".")[2] for n in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise UserError(
            f"params.yaml: backbone = {name!r}: timm has no weights tagged {tag!r};"
            f" available tags: {', '.join(tags) or 'none'}"
        )


def validate_hub(name: str) -> None:
    """Raise UserError if no weights of a backbone can be downloaded."""
    if name in FACE_BACKBONES:
        if FACE_BACKBONES[name].hub is None:
            raise UserError(
                f"params.yaml: weights = hub: there is no download for {name}; use weights: bundled"
            )
        return
    import timm  # takes seconds, and backbones for faces do without it

    if not timm.models.is_model_pretrained(name):
        raise UserError(
            f"params.yaml: weights = hub: timm has no weights for {name!r};"
            " use another backbone, or weights: none"
        )
