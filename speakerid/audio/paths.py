"""Paths as people read them in messages."""

from __future__ import annotations

import unicodedata

__all__ = ["STDIN", "csv_field", "shown"]

STDIN = "-"
"""The path that stands for standard input."""

# Joiners hold emoji families and some scripts together; every other invisible character could fake a message.
_JOINERS = frozenset("\u200c\u200d")
_HARMFUL = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))


def shown(path: str) -> str:
    r"""Give a path that is safe in a one-line message.

    Control characters, line breaks, direction marks and bytes that are no UTF-8 come out as escapes (``\n``,
    ``\udcff``); everything else, emoji too, stays as it is.

    Parameters
    ----------
    path : str
        As the operating system gives it.

    Returns
    -------
    str
        One line that any UTF-8 terminal can print.
    """
    if path == STDIN:
        return "- (standard input)"
    if path.isprintable():
        return path
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _HARMFUL and character not in _JOINERS
        else character
        for character in path
    )


def csv_field(text: str) -> str:
    r"""Give a text as one field of a CSV in UTF-8.

    Bytes that are no text come out as escapes, and so does a carriage return, which ends a row for some readers and is not
    quoted.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\r", "\\r")
