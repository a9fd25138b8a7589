"""Lists in text files: their lines with numbers, and errors that name the row."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Generator
from pathlib import Path

from speakerid.audio.paths import shown
from speakerid.errors import ManifestError

__all__ = ["brief", "numbered_lines", "row_error"]

_LONGEST_LINE = 1 << 16
_LONGEST_SHOWN = 60
_BOM = b"\xef\xbb\xbf"


def numbered_lines(name: str, what: str) -> Generator[tuple[int, str], None, None]:
    """Yield the lines of a text file with their numbers, from 1.

    A text file decodes ahead in blocks, so its errors would not know their row.

    Parameters
    ----------
    name : str
        UTF-8, with or without a byte order mark; gzip'd if it ends in ``.gz``.
    what : str
        What it is to be, for messages: "trial list".

    Raises
    ------
    ManifestError
        It cannot be read, or is no text.
    """
    number = 0
    try:
        with gzip.open(name, "rb") if name.lower().endswith(".gz") else Path(name).open("rb") as file:
            while line := file.readline(_LONGEST_LINE):
                number += 1
                yield number, _decoded(name, number, line, what)
    except FileNotFoundError as error:
        raise ManifestError(f"{shown(name)}: no such file") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise row_error(name, number + 1, "the gzip'd file is damaged or cut short; copy it again") from error
    except OSError as error:
        raise ManifestError(f"{shown(name)}: cannot be read ({(error.strerror or str(error)).lower()})") from error
    except ValueError as error:  # a null byte in the path
        raise ManifestError(f"{shown(name)}: not a possible path") from error


def _decoded(name: str, number: int, line: bytes, what: str) -> str:
    if len(line) == _LONGEST_LINE:
        raise row_error(name, number, f"a line of more than 64 KiB; this is no {what}")
    if b"\0" in line:
        raise row_error(name, number, "null bytes; this is no text in UTF-8")
    if number == 1:
        line = line.removeprefix(_BOM)
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"byte {error.start + 1} of the line is not UTF-8; save the file as UTF-8"
        raise row_error(name, number, message) from error


def row_error(name: str, number: int, what: str) -> ManifestError:
    """Return an error that names the row of a list."""
    return ManifestError(f"{shown(name)}, row {number}: {shown(what)}")


def brief(text: str) -> str:
    """Quote a text of a row, or its beginning."""
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")
