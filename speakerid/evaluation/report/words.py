"""Numbers as the page writes them, and what the figures are called and mean.

A value that is missing, infinite or no number is written as a dash, never as nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["FIGURES", "MISSING", "Figure", "at", "count", "digits_of", "is_number", "number", "pair", "percent", "rate",
           "rows_of", "seconds", "visible", "whole_rows"]  # fmt: skip

MISSING = "–"
_NARROW = "\N{NARROW NO-BREAK SPACE}"


@dataclass(frozen=True)
class Figure:
    """A figure that is compared between systems.

    Attributes
    ----------
    key : str
        In ``differences``.
    label : str
    place, interval : tuple of str
        Where the value and its interval are among a system's results.
    is_rate : bool
        Written in percent.
    more_is_better : bool
    """

    key: str
    label: str
    place: tuple[str, ...]
    interval: tuple[str, ...]
    is_rate: bool = True
    more_is_better: bool = False


FIGURES = (
    Figure("top1", "Right speaker first (top-1)", ("top1",), ("top1_ci95",), more_is_better=True),
    Figure("top5", "Among the first five (top-5)", ("top5",), ("top5_ci95",), more_is_better=True),
    Figure("open_eer", "Open-set equal error rate", ("open_set", "eer"), ("open_set", "eer_ci95")),
    *(
        Figure(
            f"dir_at_far_{rate}pct", f"Named rightly at {rate}{_NARROW}% false alarms",
            ("open_set", f"dir_at_far_{rate}pct"), ("open_set", f"dir_at_far_{rate}pct_ci95"), more_is_better=True,
        )
        for rate in (1, 5, 10)
    ),
    Figure("eer", "Equal error rate (EER)", ("verification", "eer"), ("verification", "eer_ci95")),
    Figure("min_dcf", "Detection cost (minDCF)", ("verification", "min_dcf"), ("verification", "min_dcf_ci95"), False),
    Figure("cllr", "Cllr, bits", ("verification", "cllr"), ("verification", "cllr_ci95"), False),
    Figure("min_cllr", "Minimum Cllr, bits", ("verification", "min_cllr"), ("verification", "min_cllr_ci95"), False),
)  # fmt: skip


def at(values: Any, *keys: str) -> Any:
    """What is at a place of nested dictionaries; None where one of them is missing or None."""
    for key in keys:
        if not isinstance(values, Mapping):
            return None
        values = values.get(key)
    return values


def rows_of(values: Any, key: str) -> list[Any]:
    """What is in a list of the results; none if it is missing."""
    found = at(values, key)
    return list(found) if isinstance(found, Sequence) and not isinstance(found, str) else []


def whole_rows(values: Any, key: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a list of dictionaries, each with all columns, None where one is missing."""
    return [{column: at(row, column) for column in columns} for row in rows_of(values, key) if isinstance(row, Mapping)]


def is_number(value: Any) -> bool:
    """A finite number, and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def count(value: Any) -> str:
    """1620 as 1,620."""
    return f"{value:,}".replace("-", "−") if is_number(value) else MISSING


def number(value: Any, digits: int = 3) -> str:
    """A number with so many digits after the point and a true minus."""
    return f"{value:,.{digits}f}".replace("-", "−") if is_number(value) else MISSING


def digits_of(*values: Any) -> int:
    """Digits after the point for percentages that belong together, such as a value and its interval.

    One; two where one of them is nearly nothing or nearly all.

    Parameters
    ----------
    values : float, sequence of float or None
        0..1.
    """
    for each in values:
        if isinstance(each, Sequence) and not isinstance(each, str):
            if digits_of(*each) == 2:
                return 2
        elif is_number(each) and (0 < abs(each) < 0.01 or 0.99 < abs(each) < 1):
            return 2
    return 1


def rate(value: Any, digits: int | None = None, *, signed: bool = False) -> str:
    """0.0778 as 7.8: hundredths; without `digits` as :func:`digits_of` says of this one alone."""
    if not is_number(value):
        return MISSING
    text = f"{100 * value:.{digits or digits_of(value)}f}"
    if not text.strip("-0."):
        return text.removeprefix("-")  # what rounds to nothing has no sign
    return ("+" if signed and value > 0 else "") + text.replace("-", "−")


def percent(value: Any, digits: int | None = None) -> str:
    """0.0778 as 7.8 %."""
    return f"{rate(value, digits)}{_NARROW}%" if is_number(value) else MISSING


def pair(ends: Any, digits: int | None = None, *, is_rate: bool = True, signed: bool = False) -> str | None:
    """Write an interval, [0.8, 0.9] as 80.0 to 90.0 %; None if there is none."""
    if not isinstance(ends, Sequence) or isinstance(ends, str) or len(ends) != 2 or not all(map(is_number, ends)):
        return None
    if is_rate:
        low, high = (rate(end, digits or digits_of(ends), signed=signed) for end in ends)
        return f"{low} to {high}" if signed else f"{low} to {high}{_NARROW}%"
    low, high = ((("+" if signed and end > 0 else "") + number(end)) for end in ends)
    return f"{low} to {high}"


def seconds(value: Any) -> str:
    """Write seconds; minutes and hours where they are many."""
    if not is_number(value):
        return MISSING
    if value < 120:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    if value < 7200:
        return f"{value / 60:.1f} min"
    return f"{value / 3600:.1f} h"


def visible(text: Any) -> str:
    """Text with control characters as their pictures, and without what no file can hold (halves of characters)."""
    return "".join(_visible(character) for character in str(text))


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    if 0x80 <= code < 0xA0 or 0xD800 <= code < 0xE000:
        return "\N{REPLACEMENT CHARACTER}"
    return character
