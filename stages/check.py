"""List and decode every photo once; report all problems of the data set before any other work."""

import sys
from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from portrait18.core import params
from portrait18.core.errors import UserError, printable
from portrait18.core.files import atomic_write, write_json
from portrait18.core.params import Params
from portrait18.dataset import inventory, omissions, probing
from portrait18.dataset.layout import read_about, validate_layout
from portrait18.dataset.tables import write_csv

PHOTOS = Path("data/photos")
REPORT = Path("reports/check.json")
#: All warnings. DVC does not repeat what a cached stage printed.
WARNINGS = Path("reports/check.txt")


class Findings(NamedTuple):
    """What the check found, one line each.

    Attributes:
        problems: photos, folders and rows that `check.problems: skip` leaves out.
        fatal: errors that no setting skips.
        warnings: things that do not stop the pipeline.
        notes: what is left out although nothing is wrong.
    """

    problems: list[str]
    fatal: list[str]
    warnings: list[str]
    notes: list[str]


def main() -> None:
    p = params.load()
    validate_layout(p.data.root, p.data.extra)
    about = read_about(p.data.root)
    findings = Findings([], [], [], [])
    train = _list_train(p, findings)
    evaluation = _list_eval(p, findings)
    if findings.fatal or (findings.problems and p.check.problems == "stop"):
        _warn(findings.warnings)
        hint = "check.problems: skip in params.yaml continues without these"
        raise UserError(findings.problems + findings.fatal, "" if findings.fatal else hint)
    train = train[train.width > 0]
    findings.warnings.extend(inventory.duplicates(train))
    _warn(findings.problems + findings.warnings)
    if not (train.extra == 0).any():
        raise UserError(
            f"{p.data.root}/train/images: no valid training photo is left; add photos or point"
            " data.root at the folder that holds train/"
        )
    write_csv(train, PHOTOS / "train.csv")
    write_csv(evaluation, PHOTOS / "eval.csv")
    with atomic_write(PHOTOS / "about.txt") as tmp_path:
        tmp_path.write_text(f"{about}\n", encoding="utf-8")
    _report(train, evaluation, findings)


def _list_train(p: Params, findings: Findings) -> pd.DataFrame:
    """List the training photos of data.root and data.extra; `extra` is 1 for the latter."""
    parts = []
    for folder in (p.data.root, p.data.extra):
        try:
            part, problems = inventory.list_train(folder)
        except UserError as error:
            findings.fatal.extend(error.problems)
            continue
        images = folder / "train/images"
        probed = probing.probe(part, images, p.check.max_pixels)
        findings.problems.extend(problems + probed.problems)
        findings.warnings.extend(probed.warnings)
        _note_omissions(images, findings)
        parts.append(probed.table.assign(extra=int(folder == p.data.extra)))
    if len(parts) > 1:
        findings.fatal.extend(inventory.shared_ids(*parts))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _list_eval(p: Params, findings: Findings) -> pd.DataFrame:
    """List the evaluation photos.

    A photo keeps its row whatever is wrong with it, because a submission must be complete.
    """
    try:
        table, problems, warnings = inventory.list_eval(p.data.root)
    except UserError as error:
        findings.fatal.extend(error.problems)
        return pd.DataFrame()
    findings.warnings.extend(warnings)
    findings.fatal.extend(problems)
    if p.group.by == "column":
        try:
            inventory.read_column(p.data.root / "eval/info.csv", p.group.column)
        except UserError as error:
            findings.fatal.extend(error.problems)
    images = p.data.root / "eval/images"
    _note_omissions(images, findings, set(table.photo))
    if problems:
        return table
    probed = probing.probe(table, images, p.check.max_pixels)
    findings.warnings.extend(probed.warnings)
    names = omissions.similar_names(images, table.photo)
    similar = {str(images / name): other for name, other in names.items()}
    bad = []
    for line in probed.problems:
        path, missing, fix = line.partition(" is missing;")
        other = similar.get(path) if missing else None
        bad.append(f"{path} is missing (the folder has {other});{fix}" if other else line)
    if len(bad) <= p.check.max_bad_eval * len(table):
        findings.warnings.extend(f"{line}; its prediction is a guess" for line in bad)
        return probed.table
    findings.warnings.extend(omissions.shorten(bad, str(images)))
    findings.fatal.append(
        f"{images}: {len(bad)} of {len(table)} photos of info.csv are missing or unreadable, and"
        f" check.max_bad_eval allows a share of {p.check.max_bad_eval:g}; correct the names in"
        " info.csv, add the photos or point data.root at another folder"
    )
    return probed.table


def _note_omissions(images: Path, findings: Findings, listed: Container[str] = ()) -> None:
    lines, junk = omissions.omissions(images, listed)
    findings.warnings.extend(lines)
    if junk:
        findings.notes.append(f"{images}: {omissions.junk_note(junk)}")


def _report(train: pd.DataFrame, evaluation: pd.DataFrame, findings: Findings) -> None:
    """Write the report and print a summary."""
    counts = {
        name: {"people": part.person.nunique(), "photos": len(part)}
        for name, part in (("train", train[train.extra == 0]), ("extra", train[train.extra == 1]))
    }
    write_json(
        {
            **counts,
            "eval": {"photos": len(evaluation)},
            "problems": len(findings.problems),
            "warnings": len(findings.warnings),
        },
        REPORT,
    )
    lines = [f"warning: {line}" for line in findings.problems + findings.warnings]
    lines = [printable(line) for line in lines + findings.notes] or ["no warnings"]
    with atomic_write(WARNINGS) as tmp_path:
        tmp_path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for note in findings.notes:
        print(printable(note))
    more = f" (and {counts['extra']['people']} extra people)" if counts["extra"]["people"] else ""
    print(
        f"{counts['train']['photos']} training photos of {counts['train']['people']} people{more},"
        f" {len(evaluation)} evaluation photos"
    )


def _warn(lines: list[str]) -> None:
    for line in lines:
        print(f"warning: {printable(line)}", file=sys.stderr)
