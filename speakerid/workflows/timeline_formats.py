"""A timeline as text: RTTM, Audacity's labels, WebVTT, SRT, rows of CSV, and how long each one speaks.

A segment is written with its label: the speaker's name, "unknown" or "undecided". Silence is written nowhere, so a recording
that could not be judged gives a text without segments; only the rows of CSV say why.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence
from pathlib import PurePath

from speakerid.audio.paths import STDIN, csv_field
from speakerid.audio.rttm import SpeakerTurn, rttm_line
from speakerid.workflows.timeline import Segment, Timeline

__all__ = [
    "CSV_FIELDS",
    "csv_rows",
    "file_id",
    "lanes",
    "recording_name",
    "seconds_by_speaker",
    "to_audacity",
    "to_rttm",
    "to_srt",
    "to_webvtt",
]

#: The columns of :func:`csv_rows`.
CSV_FIELDS = (
    "path", "start", "end", "status", "decision", "nearest", "llr", "probability", "speech_seconds", "reason",
)  # fmt: skip

_LAST = ("unknown", "undecided")


def to_rttm(timeline: Timeline) -> str:
    """Write NIST's RTTM, a SPEAKER line a segment.

    The file is the recording's name without folder and ending, "stdin" for standard input. See
    :func:`~speakerid.audio.rttm.rttm_line` for what becomes of blanks in names.

    Returns
    -------
    str
        Lines that end in a newline.
    """
    turns = (SpeakerTurn(file_id(timeline.path), each.label, each.start, each.end) for each in timeline.segments)
    return "".join(f"{rttm_line(turn)}\n" for turn in turns)


def file_id(path: str) -> str:
    """What RTTM calls a recording."""
    return "stdin" if path == STDIN else PurePath(path).stem


def to_audacity(timeline: Timeline) -> str:
    """Write a label track of Audacity: start, end and label between tabs, seconds with six decimals.

    Returns
    -------
    str
        Lines that end in a newline.
    """
    return "".join(f"{each.start:.6f}\t{each.end:.6f}\t{_one_line(each.label)}\n" for each in timeline.segments)


def to_webvtt(timeline: Timeline) -> str:
    """Write WebVTT, a cue a segment with the name as its voice and as its text.

    Returns
    -------
    str
        The header and the cues.
    """
    cues = ["WEBVTT\n"]
    for each in timeline.segments:
        start, end = _cue_times(each, ".")
        name = html.escape(_one_line(each.label), quote=False)
        # with the tag's own end it would be an arrow, which ends a cue
        voice = f"{name[:-1]}&#45;" if name.endswith("--") else name
        cues.append(f"{start} --> {end}\n<v {voice}>{name}\n")
    return "\n".join(cues)


def to_srt(timeline: Timeline) -> str:
    """Write SubRip subtitles, numbered from 1.

    SubRip has no escapes: an arrow of a name, ``-->``, is written as →, because readers look for it.

    Returns
    -------
    str
        The cues; nothing if there is no segment.
    """
    cues = []
    for number, each in enumerate(timeline.segments, start=1):
        start, end = _cue_times(each, ",")
        cues.append(f"{number}\n{start} --> {end}\n{_one_line(each.label).replace('-->', '→')}\n")
    return "\n".join(cues)


def csv_rows(timeline: Timeline) -> list[list[str | float | None]]:
    """Give a row a segment, or one without times for a recording that has none.

    Returns
    -------
    list of list
        Values of :data:`CSV_FIELDS`; seconds rounded to milliseconds, the rest to six decimals.
    """
    if not timeline.segments:
        speech = _rounded(timeline.speech_seconds, 3)
        return [
            [timeline.path, None, None, timeline.status, timeline.decision, None, None, None, speech, timeline.reason]
        ]
    segments = (each.to_dict() for each in timeline.segments)
    return [[timeline.path, *(each[name] for name in CSV_FIELDS[1:])] for each in segments]


def seconds_by_speaker(timeline: Timeline) -> list[tuple[str, float, int]]:
    """Sum the segments of each one.

    Returns
    -------
    list of (str, float, int)
        Label, seconds and number of segments: names with the most seconds first, then "unknown", then "undecided", each
        only if it is there.
    """
    return [(label, _seconds(segments), len(segments)) for label, _status, segments in lanes(timeline)]


def lanes(timeline: Timeline) -> list[tuple[str, str, list[Segment]]]:
    """Sort the segments by who speaks, in the order of :func:`seconds_by_speaker`.

    A speaker whose name is "unknown" has a lane of its own.

    Returns
    -------
    list of (str, str, list of Segment)
        Label, status and segments.
    """
    found: dict[tuple[str, str], list[Segment]] = {}
    for each in timeline.segments:
        found.setdefault((each.label, each.status), []).append(each)

    def order(item: tuple[tuple[str, str], list[Segment]]) -> tuple[int, float, str]:
        (label, status), segments = item
        return (_LAST.index(status) + 1 if status in _LAST else 0), -_seconds(segments), label

    return [(label, status, segments) for (label, status), segments in sorted(found.items(), key=order)]


def recording_name(timeline: Timeline) -> str:
    """Give the recording's name as a title: the path's last part."""
    return "standard input" if timeline.path == STDIN else PurePath(timeline.path).name or timeline.path


def _seconds(segments: Sequence[Segment]) -> float:
    return sum(each.seconds for each in segments)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _one_line(text: str) -> str:
    """Text without tabs, line breaks and other characters that control, and without bytes that are no text."""
    clean = "".join(" " if unicodedata.category(each) in ("Cc", "Zl", "Zp") else each for each in text)
    return csv_field(clean).strip() or "-"


def _cue_times(segment: Segment, point: str) -> tuple[str, str]:
    """Start and end as hh:mm:ss.mmm; a cue must not be empty."""
    start = round(segment.start * 1000)
    end = max(round(segment.end * 1000), start + 1)
    return _clock(start, point), _clock(end, point)


def _clock(milliseconds: int, point: str) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{milliseconds:03d}"
