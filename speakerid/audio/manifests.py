"""Manifests: lists of recordings in CSV.

UTF-8, with or without a byte order mark, plain or gzip'd; the header is
``path,speaker[,split][,start][,end][,session]`` in any order. ``path`` is relative to the manifest's own folder.
Rows are numbered as lines in an editor: the header is row 1, and a record that spans lines has the number of its first.
Blank lines are skipped.

A manifest of any size is read a line at a time.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from speakerid.audio.paths import STDIN, shown
from speakerid.audio.recording import Recording
from speakerid.errors import ManifestError

__all__ = ["COLUMNS", "is_manifest", "read_manifest"]

COLUMNS = ("path", "speaker", "split", "start", "end", "session")
SPLITS = ("enroll", "test")

# A line that is longer is no manifest; without a limit a binary file without line breaks would be read whole.
_LONGEST_LINE = 1 << 20
# float() takes also 1_000, nan and digits of other scripts.
_SECONDS = re.compile(r"\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_BOM = b"\xef\xbb\xbf"


def is_manifest(path: str | os.PathLike[str]) -> bool:
    """Tell a manifest by its name: ``.csv`` or ``.csv.gz``.

    Parameters
    ----------
    path : path-like
        Need not exist.

    Returns
    -------
    bool
    """
    return os.fspath(path).lower().endswith((".csv", ".csv.gz"))


def read_manifest(path: str | os.PathLike[str], *, require_speaker: bool = True) -> Iterator[Recording]:
    """Read a manifest, a row at a time.

    Parameters
    ----------
    path : path-like
        The CSV file; gzip'd if its name ends in ``.gz``.
    require_speaker : bool
        Every row must name a speaker. If false, the column and its values may be missing.

    Yields
    ------
    Recording
        With `origin` set to the manifest's name and the row.

    Raises
    ------
    ManifestError
        While iterating, at the first row that is wrong; the message names file and row.
    """
    name = os.fspath(path)
    lines = _Lines(name)
    first = 1
    try:
        with gzip.open(name, "rb") if name.lower().endswith(".gz") else Path(name).open("rb") as file:
            rows = csv.reader(lines.decoded(file), strict=True)
            header = _read_header(name, rows, require_speaker=require_speaker)
            first = rows.line_num + 1
            for row in rows:
                if row:
                    yield _recording(name, first, header, row, require_speaker=require_speaker)
                first = rows.line_num + 1
    except csv.Error as error:
        raise _error(name, first, f"malformed CSV ({error})") from error
    except FileNotFoundError as error:
        raise ManifestError(f"{shown(name)}: no such file") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _error(name, lines.number + 1, "the gzip'd file is damaged or cut short; copy it again") from error
    except OSError as error:
        raise ManifestError(f"{shown(name)}: cannot be read ({(error.strerror or str(error)).lower()})") from error
    except ValueError as error:  # a null byte in the path
        raise ManifestError(f"{shown(name)}: not a possible path") from error


class _Lines:
    """Lines of text whose number is known when one of them is wrong.

    A text file decodes ahead in blocks, so its errors would not know their row.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = 0

    def decoded(self, file: io.BufferedIOBase) -> Iterator[str]:
        while line := file.readline(_LONGEST_LINE):
            self.number += 1
            if self.number == 1:
                line = line.removeprefix(_BOM)
            if len(line) == _LONGEST_LINE:
                raise _error(self.name, self.number, "a line of more than 1 MiB; this is no manifest")
            if b"\0" in line:
                raise _error(self.name, self.number, "null bytes; this is no CSV in UTF-8")
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                message = f"byte {error.start + 1} of the line is not UTF-8; save the file as UTF-8"
                raise _error(self.name, self.number, message) from error


def _read_header(name: str, rows: Iterator[list[str]], *, require_speaker: bool) -> list[str]:
    first = next((row for row in rows if row), None)
    if first is None:
        raise ManifestError(f"{shown(name)}: empty; the first row must be the header path,speaker")
    header = [column.strip() for column in first]
    expected = f"columns are {', '.join(COLUMNS)}, separated by commas"
    for column in header:
        if column not in COLUMNS:
            raise _error(name, 1, f"unknown column {column!r}; {expected}")
        if header.count(column) > 1:
            raise _error(name, 1, f"column {column!r} is there twice")
    for column in ("path", "speaker") if require_speaker else ("path",):
        if column not in header:
            raise _error(name, 1, f"no column {column!r}; {expected}")
    return header


def _recording(name: str, number: int, header: list[str], row: list[str], *, require_speaker: bool) -> Recording:
    if len(row) != len(header):
        raise _error(name, number, f"{len(row)} fields, but the header has {len(header)}")
    # Spaces around a path can belong to the file's name; elsewhere they are slips of the hand.
    values = {column: text if column == "path" else text.strip() for column, text in zip(header, row, strict=True)}
    if not values["path"].strip():
        raise _error(name, number, "the path is empty")
    speaker = values.get("speaker") or None
    if speaker is None and require_speaker:
        raise _error(name, number, "the speaker is empty")
    split = values.get("split") or None
    if split is not None and split not in SPLITS:
        raise _error(name, number, f"split is {split!r}; it must be enroll, test or empty")
    start = _seconds(name, number, "start", values)
    end = _seconds(name, number, "end", values)
    if end is not None and end <= (start or 0.0):
        raise _error(name, number, f"end ({end:g} s) must be after start ({start or 0:g} s)")
    return Recording(
        path=_resolved(name, values["path"]),
        speaker=speaker,
        split=split,
        start=start,
        end=end,
        session=values.get("session") or None,
        origin=f"{shown(Path(name).name)}, row {number}",
    )


def _seconds(name: str, number: int, column: str, values: dict[str, str]) -> float | None:
    text = values.get(column, "")
    if not text:
        return None
    seconds = float(text) if _SECONDS.fullmatch(text) else math.nan
    if not math.isfinite(seconds):
        raise _error(name, number, f"{column} is {text!r}; it must be a number of seconds, 0 or more")
    return seconds


def _resolved(name: str, value: str) -> str:
    path = str(Path(name).parent / value)
    # A manifest names files; a file of that name is reached by a path that is not the sign for standard input.
    return f".{os.sep}{STDIN}" if path == STDIN else path


def _error(name: str, number: int, what: str) -> ManifestError:
    return ManifestError(f"{shown(name)}, row {number}: {shown(what)}")
