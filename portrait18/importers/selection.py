"""Choose people from a source: by age, without contradictions and copies."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from portrait18.dataset.classes import age_group
from portrait18.importers.ages import AgeRange

SAME_FILE = "the same file as another one"


@dataclass
class Selection:
    """People to import.

    Attributes:
        people: table with photo, id, gender, race, age, low, high.
        skipped: file -> reason, for photos that are left out although nothing is wrong with them.
        problems: a line for each fault of a label or photo.
    """

    people: pd.DataFrame
    skipped: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def select_ages(people: pd.DataFrame, youngest: int, oldest: int) -> Selection:
    """Select people of these ages (inclusive) whose age group is certain.

    A range of ages counts by its middle. A range over a threshold of the age groups is skipped.
    """
    people = people[people.age.between(youngest, oldest)]
    skipped = {
        str(photo): f"ages {low}-{high} straddle a threshold of the age groups"
        for photo, low, high, age in people[["photo", "low", "high", "age"]].values.tolist()
        if AgeRange(low, high, age).straddles
    }
    return Selection(people[~people.photo.isin(list(skipped))], skipped)


def drop_faulty(people: pd.DataFrame) -> Selection:
    """Drop unreadable photos, contradictory labels, and all but one copy of each photo.

    Args:
        people: table with the columns that `probing.probe` adds.

    Returns:
        Copies are in `skipped`. Contradictions are in `problems`; unreadable photos are not,
        because `probe` lists them.
    """
    contradictory = contradictions(people)
    people = people[(people.width > 0) & ~people.photo.isin(list(contradictory))]
    is_copy = people.digest.duplicated()
    skipped = {str(photo): SAME_FILE for photo in people.photo[is_copy]}
    return Selection(people[~is_copy], skipped, list(contradictory.values()))


def contradictions(people: pd.DataFrame) -> dict[str, str]:
    """Return file -> message for each photo that appears twice with another gender or age group.

    Args:
        people: table with the columns that `probing.probe` adds.
    """
    good = people[people.width > 0].assign(group=lambda table: age_group(table.age))
    copies = good[good.digest.duplicated(keep=False)]  # few: a group takes about a millisecond
    found = {}
    for _, same in copies.groupby("digest"):
        if len(same[["gender", "group"]].drop_duplicates()) == 1:
            continue
        rows = same[["images", "photo", "gender", "age"]].values.tolist()
        for (images, photo, gender, age), other in zip(rows, [*rows[1:], rows[0]], strict=True):
            found[str(photo)] = (
                f"{images}/{photo} ({gender}, {age}) is the same file as {other[1]},"
                " of another gender or age group; one of them is wrong"
            )
    return found


def sample(people: pd.DataFrame, limit: int | None, seed: int) -> pd.DataFrame:
    """Draw at most `limit` people, in the order of the table; None keeps all."""
    if not limit or limit >= len(people):
        return people
    drawn = np.random.default_rng(seed).choice(len(people), limit, replace=False)
    return people.iloc[np.sort(drawn)]
