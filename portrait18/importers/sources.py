"""Read the labels of other face data sets: who is in each photo, how old, and what is wrong.

utkface        FOLDER/<age>_<gender>_<race>_<date>.jpg; gender 0 male, 1 female. Zhang et al.,
               "Age Progression/Regression by Conditional Adversarial Autoencoder", 2017
fairface       FOLDER/fairface_label_*.csv: file,age,gender,race; or FOLDER/labels.csv of a
               selection: path,age,gender. Ages are ranges of ten years. Kärkkäinen and Joo,
               "FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age", 2021
all-age-faces  FOLDER/<id>A<age>.jpg; ids up to 07380 are female, the others male. Cheng et al.,
               "Exploiting effective facial patches for robust gender recognition", 2019
csv            a CSV with a photo, a gender and an age in each row
"""

import re
from pathlib import Path

import pandas as pd

from portrait18.core.errors import UserError
from portrait18.dataset import omissions
from portrait18.importers import INPUTS
from portrait18.importers.csv_labels import CsvFormat, find_labels, list_from_csv
from portrait18.importers.name_labels import list_from_names

#: Source -> prefix of the ids of its people; the competition's ids start with a digit.
PREFIXES = {"utkface": "utk", "fairface": "fair", "all-age-faces": "aaf", "csv": "csv"}
#: Source -> content of train/about.txt, with the attribution that its license asks for.
ABOUT = {
    "utkface": "portraits of UTKFace with drawn masks",
    "fairface": "portraits of FairFace (Karkkainen and Joo, WACV 2021, CC BY 4.0) with drawn masks",
    "all-age-faces": "portraits of All-Age-Faces with drawn masks",
}
_SUFFIXES = re.compile(r"(\.(jpe?g|png|chip))+$", re.IGNORECASE)


def list_people(
    source: str, folder: Path, labels: list[Path], csv_format: CsvFormat, race: str
) -> tuple[pd.DataFrame, list[str]]:
    """List a source's people from its file names or CSV files.

    Args:
        source: one of `PREFIXES`.
        folder: folder with the photos; the paths in a CSV are relative to it.
        labels: CSV files; if empty, fairface_label_*.csv or else labels.csv in `folder`.
        csv_format: format of those files.
        race: race where the source has none.

    Returns:
        A table (photo, id, gender, race, age, low, high; sorted by photo; gender as a word, ages
        in years), and a line for each label that can't be read.

    Raises:
        UserError: No such folder, nothing in it, or no usable CSV.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name the folder with the photos of {source}")
    if source in ("fairface", "csv"):
        files = labels or find_labels(source, folder)
        rows, problems, listed = list_from_csv(files, folder, csv_format, race)
        omissions.warn_unlisted(folder, listed, INPUTS)
    else:
        rows, problems = list_from_names(source, folder, race)
    if not rows and not problems:
        raise UserError(
            f"{folder} has no photos of {source}; name the folder that holds the photos"
        )
    rows.sort()
    table = pd.DataFrame(rows, columns=["photo", "gender", "race", "age", "low", "high"])
    table.insert(1, "id", _ids(PREFIXES[source], table.photo.tolist()))
    return table, problems


def _ids(prefix: str, photos: list[str]) -> list[str]:
    """Return an id for each photo, from its path; the layout allows no `_` in an id."""
    ids, taken = [], set()
    for photo in photos:
        slug = re.sub(r"[\W_]+", "-", _SUFFIXES.sub("", photo)).strip("-")[-48:]
        name, n = f"{prefix}-{slug}", 1
        while name.lower() in taken:
            name, n = f"{prefix}-{slug}-{n + 1}", n + 1
        taken.add(name.lower())
        ids.append(name)
    return ids
