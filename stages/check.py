"""List every photo and decode it once; name all that is wrong with the data before any other work."""

import sys
from pathlib import Path

import pandas as pd

from portrait18.core import params
from portrait18.core.errors import UserError, printable
from portrait18.core.files import write_json
from portrait18.dataset import inventory
from portrait18.dataset.tables import write_csv


def main(out: Path = Path("data/photos"), report: Path = Path("reports/check.json")) -> None:
    p = params.load()
    root, stop = p.data.root, p.check.problems == "stop"
    inventory.require_layout(root, p.data.extra)

    problems, unusable, parts = [], [], []
    for folder in (root, p.data.extra):
        try:
            part, faults = inventory.list_train(folder)
            part, bad = inventory.probe(part, folder / "train/images", p.check.max_pixels)
            problems += faults + bad
            parts.append(part.assign(extra=int(folder == p.data.extra)))
        except UserError as error:
            unusable += error.problems
    if len(parts) > 1:
        unusable += inventory.shared_ids(*parts)
    warnings = []
    try:
        evaluated, wrong, warnings = inventory.list_eval(root)
        unusable += wrong
        if not wrong:
            evaluated, bad = inventory.probe(evaluated, root / "eval/images", p.check.max_pixels)
            # A photo to label keeps its row whatever is wrong with it: a submission must be complete.
            warnings += [f"{line}; its row is guessed" for line in bad]
    except UserError as error:
        unusable += error.problems
    if unusable or (problems and stop):
        _warn(warnings)
        hint = "" if unusable else "check.problems: skip in params.yaml goes on without these"
        raise UserError(problems + unusable, hint)
    train = pd.concat(parts, ignore_index=True)
    train = train[train.width > 0]
    warnings += inventory.copies(train)
    _warn(problems + warnings)
    if not (train.extra == 0).any():
        raise UserError(
            f"{root}/train/images: no photo is left to train on; put the data there or point data.root at it"
        )
    write_csv(train, out / "train.csv")
    write_csv(evaluated, out / "eval.csv")
    counts = {
        name: {"people": part.person.nunique(), "photos": len(part)}
        for name, part in (("train", train[train.extra == 0]), ("extra", train[train.extra == 1]))
    }
    write_json(
        {
            **counts,
            "eval": {"photos": len(evaluated)},
            "problems": len(problems),
            "warnings": len(warnings),
        },
        report,
    )
    more = f" (and {counts['extra']['people']} extra people)" if counts["extra"]["people"] else ""
    print(
        f"{counts['train']['photos']} photos of {counts['train']['people']} people to train on{more}, {len(evaluated)} photos to label"
    )


def _warn(lines: list[str]) -> None:
    for line in lines:
        print(f"warning: {printable(line)}", file=sys.stderr)
