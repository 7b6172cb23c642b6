"""Write the submission: ImageID and class in the order of info.csv."""

from portrait18.dataset import tables
from portrait18.dataset.tables import write_csv


def main() -> None:
    photos = tables.read("data/photos/eval.csv").photo
    classes = tables.read("data/ensemble/eval.csv").set_index("photo")["class"]
    submission = classes.loc[photos].rename_axis("ImageID").rename("ans").reset_index()
    write_csv(submission, "data/submission.csv")
    print(f"data/submission.csv: {len(submission)} rows")
