"""One page that shows a whole run: figures, tables and pictures out of reports/, in a single HTML file.

Nothing on it is fetched from anywhere: pictures are inside the page, there is no script.
"""

import base64
import io
from collections.abc import Iterable
from pathlib import Path

import jinja2
import pandas as pd
from PIL import Image

from portrait18.core.params import Params
from portrait18.core.runs import Run
from portrait18.dataset.classes import TASKS
from portrait18.visualization import contact_sheets
from portrait18.visualization.contact_sheets import Layout

TEMPLATE = Path(__file__).with_name("report_page.html.jinja")


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _jpeg(image: Image.Image) -> str:
    """Photos as JPEG: a tenth of the bytes of a PNG, and the page holds hundreds of them."""
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=88)
    return _uri("jpeg", out.getvalue())


def chart(path: Path, alt: str) -> dict:
    """A drawn picture, as it is: source, alternative text, width and height in pixels."""
    with Image.open(path) as image:
        width, height = image.size
    return {"src": _uri("png", path.read_bytes()), "alt": alt, "width": width, "height": height}


def sheet(path: Path, alt: str) -> dict:
    """A whole contact sheet."""
    with Image.open(path) as image:
        return {"src": _jpeg(image), "alt": alt, "width": image.width, "height": image.height}


def photos(path: Path, captions: Iterable[tuple[str, ...]], layout: Layout) -> list[dict]:
    """The photos of a contact sheet one by one, so that they fit a phone.

    Args:
        captions: the lines under each photo, in the sheet's order; those beyond `contact_sheets.MAX_PHOTOS` are left out.
    """
    lines = list(captions)[: contact_sheets.MAX_PHOTOS]
    images = contact_sheets.read_photos(path, len(lines), layout)
    return [
        {"src": _jpeg(image), "lines": of_photo, "alt": "Photo: " + ", ".join(of_photo)}
        for image, of_photo in zip(images, lines, strict=True)
    ]


def mistakes(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Captions of `evaluation.mistakes`."""
    return [
        (f"is {m.truth}", f"taken for {m.answer}", f"p = {m.probability:.2f}")
        for m in table.itertuples()
    ]


def suspects(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Captions of `audit.suspects`, of one task."""
    return [
        (f"recorded {s.recorded}", f"rather {s.suggested}?", f"p(recorded) = {s.quality:.2f}")
        for s in table.itertuples()
    ]


def looked_at(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Captions of the photos that `heatmaps.choose` chose."""
    return [
        (
            f"{c.task}: is {TASKS[c.task].classes[c.truth]}",
            f"answered {TASKS[c.task].classes[c.answer]}, {'right' if c.right else 'wrong'}",
            f"p = {c.probability:.2f}",
        )
        for c in table.itertuples()
    ]


def trainings(
    wanted: dict[str, list[Run]], params: Params, weights: dict[str, dict], folder: Path
) -> list[dict]:
    """What each training was and how far it came.

    Args:
        wanted: see `runs.wanted`.
        weights: `reports/ensemble.json`: task -> weights of its models in the blend.
        folder: root of the project, that runs keep their files under.

    Returns:
        For each run its name, the model's params that tell it from others, epochs run, the best held-out macro-F1
        over them, and the weight in each task's blend (of the model: its folds and seeds share it).
    """
    rows = []
    for name, of_model in wanted.items():
        blend = [
            f"{task} {chosen['weights'][name]:.2f}"
            for task, chosen in weights.items()
            if name in chosen.get("weights", {})
        ]
        for run in of_model:
            scores = pd.read_csv(
                folder / run.live / "plots/metrics/macro_f1.tsv", sep="\t"
            ).macro_f1
            model = params.model(run.model)
            rows.append(
                {
                    "run": str(run),
                    **{
                        key: getattr(model, key)
                        for key in ("task", "target", "loss", "backbone", "image_size", "lr")
                    },
                    "epochs": f"{len(scores)} of {model.epochs}",
                    "best": float(scores.max()),
                    "blend": ", ".join(blend),
                }
            )
    return rows


def render(**content) -> str:
    """The page, HTML; the template says what it needs, and fails where something is missing."""
    loader = jinja2.FileSystemLoader(TEMPLATE.parent)
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE.name).render(**content)
