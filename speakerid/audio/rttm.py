"""Who speaks when, as NIST writes it: turns in RTTM, evaluated stretches in UEM.

RTTM (Rich Transcription Time Marked) has one turn a line, ten fields separated by blanks, of which older files leave out the
last; ``<NA>`` is a field without a value::

    SPEAKER file channel start duration <NA> <NA> speaker <NA> <NA>

UEM (un-partitioned evaluation map) has one stretch a line::

    file channel start end

- Times are seconds. A turn ends at the decimal sum of start and duration, so that a turn that is written to begin where
  another ends does.
- Of RTTM's types only SPEAKER is read; the others of the standard (SPKR-INFO, LEXEME, NON-SPEECH, …) are passed over, and
  a type that the standard does not have is an error.
- Channels are not told apart: the turns of a file are those of all its channels.
- Turns and stretches of no length are dropped. Comments (``;;``) and blank lines are skipped; both are counted in the
  numbers of the rows, as in an editor.
- Text is UTF-8, with or without a byte order mark.

NIST, "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan", appendix A.
"""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from speakerid.audio.lines import brief, numbered_lines, row_error
from speakerid.audio.paths import csv_field, shown
from speakerid.errors import ManifestError

__all__ = ["SpeakerTurn", "is_rttm", "one_voice", "read_rttm", "read_uem", "rttm_line"]

# A line that is longer is no turn; without a limit a binary file without line breaks would be read whole.
_BLANKS = re.compile("[ \t]+")
# float() takes also 1_000, nan and digits of other scripts.
_SECONDS = re.compile(r"\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_NO_VALUE = "<NA>"
_OTHER_TYPES = frozenset((
    "SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT", "IP", "SU", "CB", "A/P",
    "SPKR-INFO",
))  # fmt: skip
_TURN = "`SPEAKER file channel start duration <NA> <NA> speaker <NA> <NA>`"
_STRETCH = "`file channel start end`"
_SHORTEST_PART = 0.001
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class SpeakerTurn:
    """A stretch of a recording in which somebody speaks.

    Parameters
    ----------
    recording : str
        The file's name in the list, as a rule without folder and ending.
    label : str
        Who speaks: a name, or what a diarizer calls a voice (``SPEAKER_00``).
    start, end : float
        Seconds of the recording.
    """

    recording: str
    label: str
    start: float
    end: float


def is_rttm(path: str | os.PathLike[str]) -> bool:
    """Tell a list of turns by its name: ``.rttm``.

    Parameters
    ----------
    path : path-like
        Need not exist.

    Returns
    -------
    bool
    """
    return os.fspath(path).lower().endswith(".rttm")


def read_rttm(path: str | os.PathLike[str]) -> dict[str, tuple[SpeakerTurn, ...]]:
    """Read the turns of a file in RTTM.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    dict of str to tuple of SpeakerTurn
        By recording, in the order of the file; the turns of each sorted by their start. Turns may overlap. A recording
        all of whose turns have no length is there, without turns.

    Raises
    ------
    ManifestError
        The file cannot be read, a row is wrong (the message names file and row), or no row is a SPEAKER's.
    """
    name = os.fspath(path)
    turns: dict[str, list[SpeakerTurn]] = {}
    with closing(_rows(name)) as rows:
        for number, fields in rows:
            turn = _turn(name, number, fields)
            if turn is None:
                continue
            of_recording = turns.setdefault(turn.recording, [])
            if turn.end > turn.start:
                of_recording.append(turn)
    if not turns:
        raise ManifestError(f"{shown(name)}: no turns; RTTM has a line for each, {_TURN}")
    return {recording: tuple(sorted(found, key=lambda turn: turn.start)) for recording, found in turns.items()}


def read_uem(path: str | os.PathLike[str]) -> dict[str, tuple[tuple[float, float], ...]]:
    """Read the evaluated stretches of a file in UEM.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    dict of str to tuple of (float, float)
        Start and end in seconds, by recording in the order of the file; sorted, and those that overlap or touch are one.

    Raises
    ------
    ManifestError
        The file cannot be read, a row is wrong (the message names file and row), or there is no row.
    """
    name = os.fspath(path)
    stretches: dict[str, list[tuple[float, float]]] = {}
    with closing(_rows(name)) as rows:
        for number, fields in rows:
            if len(fields) != 4:
                raise row_error(name, number, f"{_counted(fields)}; UEM has 4, {_STRETCH}")
            start = float(_seconds(name, number, "the start", fields[2]))
            end = float(_seconds(name, number, "the end", fields[3]))
            if end < start:
                raise row_error(name, number, f"end ({end:g} s) must not be before start ({start:g} s)")
            stretches.setdefault(fields[0], []).append((start, end))
    if not stretches:
        raise ManifestError(f"{shown(name)}: no stretches; UEM has a line for each, {_STRETCH}")
    return {recording: _union(found) for recording, found in stretches.items()}


def rttm_line(turn: SpeakerTurn) -> str:
    """Write a turn as a line of RTTM, without a line break.

    Parameters
    ----------
    turn : SpeakerTurn
        Blanks, line breaks and control characters in its names, which RTTM cannot have, come out as ``_``, and so does a
        name that is empty; ``<NA>`` comes out as ``_NA_``, and bytes that are no text as escapes. Start and end are
        rounded to milliseconds, so that turns that touch still do.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        The times are not finite, the start is before 0 or the end before the start.
    """
    if not 0 <= turn.start <= turn.end < math.inf:
        raise ValueError(f"a turn from {turn.start} s to {turn.end} s")
    start, end = (Decimal(round(seconds * 1000)).scaleb(-3) for seconds in (turn.start, turn.end))
    recording, label = _field(turn.recording), _field(turn.label)
    return (
        f"SPEAKER {recording} 1 {start:.3f} {end - start:.3f} {_NO_VALUE} {_NO_VALUE} {label} {_NO_VALUE} {_NO_VALUE}"
    )


def one_voice(turns: Iterable[SpeakerTurn]) -> tuple[SpeakerTurn, ...]:
    """Find the parts of turns in which exactly one label speaks.

    Parameters
    ----------
    turns : iterable of SpeakerTurn
        Of one recording, in any order. Turns of one label that overlap are one.

    Returns
    -------
    tuple of SpeakerTurn
        In order, without overlaps. Parts of one label that touch are one; those shorter than a millisecond are dropped.

    Raises
    ------
    ValueError
        The turns are of several recordings.
    """
    known = [turn for turn in turns if turn.end > turn.start]
    recordings = {turn.recording for turn in known}
    if len(recordings) > 1:
        raise ValueError(f"turns of {len(recordings)} recordings; give those of one")
    events = sorted(
        [(turn.start, 1, turn.label) for turn in known] + [(turn.end, -1, turn.label) for turn in known],
    )
    speaking: dict[str, int] = {}
    parts: list[SpeakerTurn] = []
    for (time, change, label), (until, _change, _label) in pairwise(events):
        speaking[label] = speaking.get(label, 0) + change
        if not speaking[label]:
            del speaking[label]
        if len(speaking) != 1:
            continue
        (voice,) = speaking
        if parts and parts[-1].end == time and parts[-1].label == voice:
            parts[-1] = SpeakerTurn(parts[-1].recording, voice, parts[-1].start, until)
        else:
            parts.append(SpeakerTurn(known[0].recording, voice, time, until))
    return tuple(part for part in parts if part.end - part.start >= _SHORTEST_PART - _ROUNDING)


def _turn(name: str, number: int, fields: list[str]) -> SpeakerTurn | None:
    """Give the turn of a row, None for the standard's other types."""
    if fields[0] in _OTHER_TYPES:
        return None
    if fields[0] != "SPEAKER":
        raise row_error(name, number, f"{brief(fields[0])} is no type of RTTM; a turn is {_TURN}")
    if len(fields) not in (9, 10):
        advice = "; names cannot have spaces" if len(fields) > 10 else ""
        raise row_error(name, number, f"{_counted(fields)}; RTTM has 9 or 10, {_TURN}{advice}")
    if fields[7] == _NO_VALUE:
        raise row_error(name, number, f"no speaker (field 8 is {_NO_VALUE}); a turn is {_TURN}")
    start = _seconds(name, number, "the start", fields[3])
    duration = _seconds(name, number, "the duration", fields[4])
    end = float(start + duration)
    if not math.isfinite(end):
        raise row_error(name, number, "the end is beyond all recordings")
    return SpeakerTurn(recording=fields[1], label=fields[7], start=float(start), end=end)


def _seconds(name: str, number: int, what: str, text: str) -> Decimal:
    seconds = Decimal(text) if _SECONDS.fullmatch(text) else None
    if seconds is None or not math.isfinite(float(seconds)):
        raise row_error(name, number, f"{what} is {brief(text)}; it must be a number of seconds, 0 or more")
    return seconds


def _union(stretches: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    merged: list[tuple[float, float]] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        elif end > start:
            merged.append((start, end))
    return tuple(merged)


def _field(text: str) -> str:
    clean = "".join("_" if one.isspace() or unicodedata.category(one) in ("Cc", "Zl", "Zp") else one for one in text)
    return csv_field("_NA_" if clean == _NO_VALUE else clean or "_")


def _counted(fields: list[str]) -> str:
    return f"{len(fields)} {'field' if len(fields) == 1 else 'fields'}"


def _rows(name: str) -> Generator[tuple[int, list[str]], None, None]:
    """Yield the fields of each row that has any, with its number from 1."""
    for number, line in numbered_lines(name, "list of turns"):
        text = line.strip(" \t\r\n")
        if text and not text.startswith(";;"):
            yield number, _BLANKS.split(text)
