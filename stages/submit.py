"""Write the submission: ImageID and class, in the order of info.csv."""

from portrait18.dataset import tables
from portrait18.dataset.tables import write_csv


def main() -> None:
    order = tables.read("data/photos/eval.csv").photo
    decided = tables.read("data/ensemble/eval.csv").set_index("photo")["class"]
    submission = decided.loc[order].rename_axis("ImageID").rename("ans").reset_index()
    write_csv(submission, "data/submission.csv")
    print(f"data/submission.csv: {len(submission)} rows")
