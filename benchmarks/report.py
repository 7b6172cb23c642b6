"""reports/benchmarks.json: what was measured, a section for each device; and the README's table of it.

In each row, `figures` is what another run would find a little different, the rest is what was measured and how.
"""

import json
import os
import platform
from pathlib import Path

import torch

from benchmarks.paired import spread
from benchmarks.rows import DEVICES, Bench, Outcome, Row
from portrait18.core.errors import UserError
from portrait18.core.files import write_json

FILE = Path("reports/benchmarks.json")


def machine(bench: Bench) -> dict:
    """What the figures of a section have in common."""
    return {
        "device": torch.cuda.get_device_name() if bench.device == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def entry(row: Row, bench: Bench, outcome: Outcome) -> dict:
    """A row of the file."""
    aim, told = row.aims[bench.device], spread(outcome.values)
    return {
        "what": row.what,
        "beside": row.beside,
        "unit": row.unit,
        "aim": str(aim),
        "data": bench.data.name,
        "photos": outcome.photos,
        "facts": {**outcome.facts, "same_work": outcome.sound},
        "figures": {
            **told,
            "reached": aim.reached(told["median"]) and outcome.sound,
            **outcome.figures,
        },
    }


def read() -> dict:
    """Device -> {"machine": ..., "rows": {name: entry}}; empty where there is no file."""
    if not FILE.exists():
        return {}
    try:
        return json.loads(FILE.read_text())
    except ValueError:
        raise UserError(
            f"{FILE} is not JSON; delete it, or take the committed one: git checkout {FILE}"
        ) from None


def add(row: Row, bench: Bench, outcome: Outcome) -> dict:
    """Put a row into the file; rows of the same device that another machine measured are dropped. The file's content."""
    told, here = read(), machine(bench)
    section = told.get(bench.device, {})
    rows = section.get("rows", {}) if section.get("machine") == here else {}
    told[bench.device] = {"machine": here, "rows": {**rows, row.name: entry(row, bench, outcome)}}
    write_json(told, FILE)
    return told


def _unit(unit: str) -> str:
    """Behind a number: `8x`, but `6 s`."""
    return unit if unit in ("", "x") else f" {unit}"


def _cell(of_row: dict | None) -> str:
    if of_row is None:
        return "not measured"
    figures, unit = of_row["figures"], _unit(of_row["unit"])
    ends = [f"{figures['lowest']:.3g} to {figures['highest']:.3g}"] if figures["rounds"] > 1 else []
    photos = [f"{of_row['photos']:,} photos"] if of_row["photos"] else []
    told = f" ({', '.join(ends + photos)})" if ends + photos else ""
    short = "" if figures["reached"] else ", short of it"
    return f"**{figures['median']:.3g}{unit}**{told}{short}"


def table(rows: list[Row], told: dict) -> str:
    """The README's table: a line for each row, for each device the aim and what was measured."""
    head = [
        "what",
        "beside",
        *(word for name in DEVICES.values() for word in (f"aim, {name}", f"measured, {name}")),
    ]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        cells = [row.what, row.beside]
        for device in DEVICES:
            aim = row.aims.get(device)
            cells += [f"{aim}{_unit(row.unit)}" if aim else "-"]
            cells += [_cell(told.get(device, {}).get("rows", {}).get(row.name)) if aim else "-"]
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def machines(told: dict) -> str:
    """A line on what each column was measured on."""
    lines = [
        f"{DEVICES[device]}: {' '.join(f'{k} {v},' for k, v in s['machine'].items())[:-1]}"
        for device, s in told.items()
    ]
    return "; ".join(lines)
