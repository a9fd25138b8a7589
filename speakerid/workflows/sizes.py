"""Sizes in bytes, for people: 1 kB = 1,000 bytes, 1 MB = 1,000,000 and so on; KiB, MiB, GiB are powers of 1,024."""

from __future__ import annotations

import re
from decimal import Decimal

from speakerid.errors import UsageError

__all__ = ["format_size", "parse_size"]

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(k|m|g|t|ki|mi|gi|ti)?b", re.IGNORECASE | re.ASCII)
_PREFIXES = ("", "k", "m", "g", "t")


def parse_size(text: str) -> int:
    """Read a size such as ``500MB``, ``1.5 GB`` or ``2GiB``, in bytes; ``0`` needs no unit.

    1 kB is 1,000 bytes and 1 KiB is 1,024; upper and lower case are the same.

    Raises
    ------
    UsageError
        It is none.
    """
    if text.strip() == "0":
        return 0
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text[:50]!r} is no size: expected a number and a unit, such as 500MB or 2GB, or 0")
    number, prefix = match[1], (match[2] or "").lower()
    base = 1024 if prefix.endswith("i") else 1000
    return int(Decimal(number) * base ** _PREFIXES.index(prefix.removesuffix("i")))


def format_size(n_bytes: int) -> str:
    """Write a size for people, three digits or more: ``1.25 GB``; :func:`parse_size` reads it."""
    for power, prefix in enumerate(("", "k", "M", "G")):
        value = n_bytes / 1000**power
        if value < 999.5:
            return f"{n_bytes} B" if not power else f"{_three_digits(value)} {prefix}B"
    return f"{_three_digits(n_bytes / 1000**4)} TB"


def _three_digits(value: float) -> str:
    for decimals, below in ((2, 9.995), (1, 99.95)):
        if value < below:
            return f"{value:.{decimals}f}"
    return f"{value:.0f}"
