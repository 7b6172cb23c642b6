"""Say which photos to label show the same person, for the ensemble to average over."""

from portrait18 import lookalikes, params, tables
from portrait18.errors import one_line_errors
from portrait18.files import write_csv


@one_line_errors
def main() -> None:
    p = params.load()
    inventory, boxes = tables.read("data/photos/eval.csv"), tables.read("data/crops/eval.csv")
    table = lookalikes.groups(
        inventory, boxes, p.data.root, p.group.by, p.group.column, p.group.threshold, p.group.largest
    )
    write_csv(table, "data/groups.csv")
    sizes = table.group.value_counts()
    print(f"{len(table)} photos in {len(sizes)} groups, {(sizes == 1).sum()} of them alone")


if __name__ == "__main__":
    main()
