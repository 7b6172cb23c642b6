"""List every photo and decode it once; name all that is wrong with the data before any other work."""

import sys
from pathlib import Path

from portrait18 import inventory, params
from portrait18.errors import UserError, one_line_errors
from portrait18.files import write_csv, write_json


@one_line_errors
def main(out: Path = Path("data/photos"), report: Path = Path("reports/check.json")) -> None:
    p = params.load()
    root, stop = p.data.root, p.check.problems == "stop"
    inventory.require_layout(root)

    problems, unusable = [], []
    try:
        train, problems = inventory.list_train(root)
        train, bad = inventory.probe(train, root / "train/images", p.check.max_pixels)
        problems += bad
    except UserError as error:
        unusable += error.problems
    try:
        evaluated, wrong, warnings = inventory.list_eval(root)
        unusable += wrong
    except UserError as error:
        unusable += error.problems
    if unusable or (problems and stop):
        hint = "" if unusable else "check.problems: skip in params.yaml goes on without these"
        raise UserError(problems + unusable, hint)
    # A photo to label keeps its row whatever is wrong with it: a submission must be complete.
    evaluated, bad = inventory.probe(evaluated, root / "eval/images", p.check.max_pixels)
    warnings += [f"{line}; its row is guessed" for line in bad]
    for line in problems + warnings:
        print(f"warning: {line}", file=sys.stderr)

    train = train[train.width > 0]
    if train.empty:
        raise UserError(
            f"{root}/train/images: no photo is left to train on; put the data there or point data.root at it"
        )
    write_csv(train, out / "train.csv")
    write_csv(evaluated, out / "eval.csv")
    counts = {"train": {"people": train.person.nunique(), "photos": len(train)}, "eval": {"photos": len(evaluated)}}
    write_json({**counts, "problems": len(problems), "warnings": len(warnings)}, report)
    print(f"{len(train)} photos of {train.person.nunique()} people to train on, {len(evaluated)} photos to label")


if __name__ == "__main__":
    main()
