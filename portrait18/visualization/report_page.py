"""One HTML file that shows a whole run: the metrics, tables and images of reports/.

It loads nothing: images are embedded, and there are no scripts.
"""

import base64
import io
from collections.abc import Iterable
from pathlib import Path

import jinja2
import pandas as pd
from PIL import Image

from portrait18.core.model_params import ModelParams
from portrait18.core.params import Params
from portrait18.core.runs import Run
from portrait18.dataset.classes import TASKS
from portrait18.visualization import contact_sheets
from portrait18.visualization.contact_sheets import Layout

TEMPLATE = Path(__file__).with_name("report_page.html.jinja")


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _jpeg(image: Image.Image) -> str:
    """Return a JPEG data URI: a tenth of the bytes of a PNG; a page has hundreds of photos."""
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=88)
    return _data_uri("jpeg", out.getvalue())


def chart(path: Path, alt: str) -> dict:
    """Embed a plot without changing its bytes.

    Returns:
        src (data URI), alt (alternative text), width and height in pixels.
    """
    with Image.open(path) as image:
        width, height = image.size
    return {
        "src": _data_uri("png", path.read_bytes()),
        "alt": alt,
        "width": width,
        "height": height,
    }


def sheet(path: Path, alt: str) -> dict:
    """Embed a contact sheet as JPEG; see `chart` for the keys."""
    with Image.open(path) as image:
        return {"src": _jpeg(image), "alt": alt, "width": image.width, "height": image.height}


def photos(path: Path, captions: Iterable[tuple[str, ...]], layout: Layout) -> list[dict]:
    """Embed the photos of a contact sheet one by one, so that they fit on a phone.

    Args:
        path: Contact sheet.
        captions: Lines under each photo, in the sheet's order. Captions after the first
            `contact_sheets.MAX_PHOTOS` are ignored.
        layout: Geometry of the sheet.

    Returns:
        src (data URI), lines and alt (alternative text) of each photo.
    """
    shown = list(captions)[: contact_sheets.MAX_PHOTOS]
    images = contact_sheets.read_photos(path, len(shown), layout)
    return [
        {"src": _jpeg(image), "lines": lines, "alt": "Photo: " + ", ".join(lines)}
        for image, lines in zip(images, shown, strict=True)
    ]


def mistake_captions(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return a caption for each row of `analysis.mistakes`."""
    return [
        (f"true: {m.truth}", f"predicted: {m.predicted}", f"p = {m.probability:.2f}")
        for m in table.itertuples()
    ]


def suspect_captions(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return a caption for each row of `audit.suspects`."""
    return [
        (f"label: {s.recorded}", f"suggested: {s.suggested}", f"p(label) = {s.quality:.2f}")
        for s in table.itertuples()
    ]


def heatmap_captions(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return a caption for each row of `heatmap_examples.select`."""
    return [_heatmap_caption(row) for row in table.to_dict("records")]


def _heatmap_caption(row: dict) -> tuple[str, ...]:
    classes = TASKS[row["task"]].classes
    return (
        f"{row['task']}: {classes[row['truth']]}",
        f"predicted: {classes[row['predicted']]}, {'correct' if row['correct'] else 'wrong'}",
        f"p = {row['probability']:.2f}",
    )


def run_rows(
    runs_by_model: dict[str, list[Run]], params: Params, ensemble: dict[str, dict], root: Path
) -> list[dict]:
    """Return the settings and the best score of each training run.

    Args:
        runs_by_model: See `runs.runs_by_model`.
        params: Params of the run.
        ensemble: `reports/ensemble.json`: task -> {"weights": {model: weight}, ...}.
        root: Root of the project; the runs' files are relative to it.

    Returns:
        For each run its name, the params that distinguish its model, the number of epochs, the
        best validation macro-F1 of an epoch, and the model's ensemble weights (shared by its folds
        and seeds).
    """
    rows = []
    for name, runs in runs_by_model.items():
        weights = [
            f"{task} {config['weights'][name]:.2f}"
            for task, config in ensemble.items()
            if name in config.get("weights", {})
        ]
        for run in runs:
            history = pd.read_csv(root / run.live / "plots/metrics/macro_f1.tsv", sep="\t")
            model = params.model(run.model)
            rows.append(
                {
                    "run": str(run),
                    **_settings(model),
                    "epochs": f"{len(history)} of {model.epochs}",
                    "best": float(history.macro_f1.max()),
                    "weights": ", ".join(weights),
                }
            )
    return rows


def _settings(model: ModelParams) -> dict:
    """Return the params that distinguish models."""
    return {
        "task": model.task,
        "target": model.target.name,
        "loss": model.loss.name,
        "backbone": model.backbone,
        "image_size": model.image_size,
        "lr": model.lr,
    }


def render(**content) -> str:
    """Return the page as HTML.

    Raises:
        jinja2.UndefinedError: A variable of the template is missing in `content`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE.name).render(**content)
