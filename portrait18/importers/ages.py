"""Ages as other data sets write them: years, ranges, open ranges, and ranges turned into dates."""

import re
from typing import NamedTuple

from portrait18.dataset.classes import age_group

OLDEST = 120  # years
_OPEN = 5  # years from the limit of an open range to the age that represents it
_YEARS = r"(\d{1,3})"


class AgeRange(NamedTuple):
    """An age or a range of ages in years, and the one age that represents it."""

    low: int
    high: int
    middle: int

    @property
    def straddles(self) -> bool:
        """Whether a threshold of the age groups is inside, so that the group is uncertain."""
        return bool(age_group(self.low) != age_group(self.high))


def _between(low: int, high: int) -> AgeRange:
    return AgeRange(low, high, (low + high) // 2)


def _from(low: int) -> AgeRange:
    return AgeRange(low, OLDEST, min(low + _OPEN, OLDEST))


def _to(high: int) -> AgeRange:
    return AgeRange(0, high, max(high - _OPEN, 0))


_FORMS = (
    (re.compile(rf"{_YEARS}(?:[.,]0+)?"), lambda age: _between(age, age)),
    (re.compile(rf"{_YEARS} ?(?:[-~\u2010-\u2015\u2212]|to) ?{_YEARS}"), _between),
    (re.compile(rf"\({_YEARS}, ?{_YEARS}\)"), _between),  # Adience
    (re.compile(rf"(?:more than )?{_YEARS}\+?"), _from),  # FairFace: "more than 70" is 70+
    (re.compile(rf"(?:>=|≥|at least) ?{_YEARS}"), _from),
    (re.compile(rf"{_YEARS} (?:and|or) (?:over|above|older|more)"), _from),
    (re.compile(rf"(?:>|over|above) ?{_YEARS}"), lambda age: _from(age + 1)),
    (re.compile(rf"(?:<=|≤|up to) ?{_YEARS}"), _to),
    (re.compile(rf"(?:<|under|below|less than) ?{_YEARS}"), lambda age: _to(age - 1)),
)
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAY_AND_MONTH = (
    re.compile(r"(?P<day>\d{1,2})(?:-|\. ?| )(?P<month>[a-z]{3,9})\.?"),
    re.compile(r"(?P<month>[a-z]{3,9})\.?[- ](?P<day>\d{1,2})"),
    re.compile(r"(?P<month>\d{1,2})[월月] ?(?P<day>\d{1,2})[일日]"),
)
#: Dates with a year, and the number of a day in Excel from 1982 to 2064. They can be birthdays.
_DATE = re.compile(
    r"\d{4}[-/.년年] ?\d{1,2}[-/.월月] ?\d{1,2}(?:\D.*)?"
    r"|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})(?: .*)?"
    r"|\d{1,2}[-/. ]+[^\W\d_]{3,9}[-/. ]+(?:\d{4}|\d{2})"
    r"|[345]\d{4}(?:[.,]0+)?"
)


def parse_age(text: str) -> AgeRange:
    """Parse an age or a range of ages.

    It accepts `45`, `45.0`, `45,0`, `20-29` (middle 24), `(25, 32)`, `70+`, `>=70` and
    `more than 70` (middle 75), `>70` (from 71), `<30` (middle 24), and what `parse_date` accepts.

    Raises:
        ValueError: Any other text, or ages outside 0 to `OLDEST`.
    """
    cell = text.strip().lstrip("'").lower()
    matches = ((pattern.fullmatch(cell), make) for pattern, make in _FORMS)
    parsed = [make(*map(int, match.groups())) for match, make in matches if match]
    found = parsed[0] if parsed else parse_date(cell)
    if found and 0 <= found.low <= found.high <= OLDEST:
        return found
    if _DATE.fullmatch(cell):
        raise ValueError(
            f"age {text!r} is a date; spreadsheets turn ranges such as 3-9 into dates: format the"
            " column as text and enter the ranges again, or give ages instead of birthdays"
        )
    raise ValueError(
        f"age {text!r} must be whole years from 0 to {OLDEST}, or a range such as 20-29, <30 or"
        " 70+; correct it"
    )


def parse_date(text: str) -> AgeRange | None:
    """Parse a range that a spreadsheet has turned into a date without a year; None for others.

    Excel reads `3-9` as a day of the current year and shows it as `9-Mar`, `03-Sep` or `03월 09일`,
    depending on its language. `10-19` becomes `19-Oct`, or `Oct-19`, a month of 2019. The smaller
    number of a range comes first, so each of these stands for one range only.
    """
    for pattern in _DAY_AND_MONTH:
        if match := pattern.fullmatch(text.strip().lower()):
            ends = sorted((_month(match["month"]), int(match["day"])))
            return _between(*ends) if ends[0] else None
    return None


def _month(text: str) -> int:
    """Return the number of a month from its number or English name, 0 for other words."""
    if text.isdecimal():
        return int(text)
    return next((n for n, name in enumerate(_MONTHS, 1) if text in (name[:3], name)), 0)
