"""Read and write reports/benchmarks.json, one section per device, and make the table from it.

In each row, `results` vary from run to run; everything else describes what was measured.
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
    """Return the machine that all rows of a section were measured on."""
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
    """Return a row of the file."""
    goal, values = row.goals[bench.device], spread(outcome.values)
    return {
        "task": row.task,
        "peer": row.peer,
        "unit": row.unit,
        "goal": str(goal),
        "data": bench.data.name,
        "photos": outcome.photos,
        "facts": {**outcome.facts, "same_work": outcome.same_work},
        "results": {
            **values,
            "reached": goal.reached(values["median"]) and outcome.same_work,
            **outcome.results,
        },
    }


def read() -> dict:
    """Return device -> {"machine": ..., "rows": {name: entry}}; empty if there is no file."""
    if not FILE.exists():
        return {}
    try:
        return json.loads(FILE.read_text())
    except ValueError:
        raise UserError(
            f"{FILE} is not valid JSON; restore the committed one with git checkout {FILE}"
        ) from None


def add(row: Row, bench: Bench, outcome: Outcome) -> dict:
    """Add a row to the file and return the file's content.

    Rows of the same device that were measured on another machine are dropped.
    """
    content, here = read(), machine(bench)
    section = content.get(bench.device, {})
    rows = section.get("rows", {}) if section.get("machine") == here else {}
    rows = {**rows, row.name: entry(row, bench, outcome)}
    content[bench.device] = {"machine": here, "rows": rows}
    write_json(content, FILE)
    return content


def _unit(unit: str) -> str:
    """Return the unit as it follows a number: `8x`, but `6 s`."""
    return unit if unit in ("", "x") else f" {unit}"


def _cell(measured: dict | None) -> str:
    if measured is None:
        return "not measured"
    results, unit = measured["results"], _unit(measured["unit"])
    details = []
    if results["rounds"] > 1:
        details.append(f"{results['lowest']:.3g} to {results['highest']:.3g}")
    if measured["photos"]:
        details.append(f"{measured['photos']:,} photos")
    suffix = f" ({', '.join(details)})" if details else ""
    missed = "" if results["reached"] else ", goal missed"
    return f"**{results['median']:.3g}{unit}**{suffix}{missed}"


def table(rows: list[Row], content: dict) -> str:
    """Return the Markdown table: a line per row with the goal and the result on each device."""
    headings = [(f"goal, {name}", f"measured, {name}") for name in DEVICES.values()]
    head = ["task", "versus", *(heading for pair in headings for heading in pair)]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        results = {
            device: content.get(device, {}).get("rows", {}).get(row.name) for device in DEVICES
        }
        # With the versions that were measured, which are not always those installed now.
        peer = next((measured["peer"] for measured in results.values() if measured), row.peer)
        cells = [row.task, peer]
        for device, measured in results.items():
            goal = row.goals.get(device)
            cells += [f"{goal}{_unit(row.unit)}", _cell(measured)] if goal else ["-", "-"]
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def machines(content: dict) -> str:
    """Return a line with the machine of each device's section."""
    lines = [
        f"{DEVICES[device]}: " + ", ".join(f"{k} {v}" for k, v in section["machine"].items())
        for device, section in content.items()
    ]
    return "; ".join(lines)
