"""What the page says: timeline → plain values for the template."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from speakerid.audio.paths import STDIN
from speakerid.evaluation.report.pictures import N_STYLES
from speakerid.evaluation.report.words import MISSING, count, number, percent, visible
from speakerid.workflows.timeline import Segment, Timeline
from speakerid.workflows.timeline_audio import AudioSummary, Coding
from speakerid.workflows.timeline_formats import lanes, recording_name
from speakerid.workflows.timeline_page.drawing import (
    curve_limits,
    encoded_curves,
    encoded_envelope,
    envelope_path,
    lane_path,
)
from speakerid.workflows.timeline_words import clock, spoken, tick_step

__all__ = ["contents"]

_STATIC_TICKS = 6
_FEW = 4
_LEAST, _MOST = 0.001, 0.999
_GONE = "The recording came from standard input, which cannot be read twice, so it is not in this page."


def contents(
    timeline: Timeline,
    audio: AudioSummary | None,
    coding: Coding | None,
    title: str | None,
    notes: Sequence[str],
    *,
    gone: bool = False,
) -> dict[str, object]:
    """Values for the template, by name. What is drawn begins at 0; what is written are the file's seconds."""
    rows = lanes(timeline)
    begin = audio.begins_at if audio is not None else 0.0
    places = {(label, status): place for place, (label, status, _segments) in enumerate(rows)}
    length = _length(timeline, audio, begin)
    drawn, limits = _curves(timeline, rows, begin)
    spoken_seconds = sum(each.seconds for each in timeline.segments)
    return {
        "title": visible(title if title is not None else recording_name(timeline)),
        "path": visible("standard input" if timeline.path == STDIN else timeline.path),
        "verdict": _verdict(timeline, rows),
        "facts": _facts(timeline, rows),
        "notes": [visible(each) for each in (timeline.message, *notes, coding.note if coding else None) if each],
        "without_recording": _GONE if gone else "The recording is not in this page.",
        "media_type": coding.media_type if coding else None,
        "length": length,
        "length_told": spoken(length),
        "has_lanes": length > 0 and timeline.duration_seconds is not None,
        "lanes": [_lane(place, row, spoken_seconds, begin) for place, row in enumerate(rows)],
        "segments": [_row(each, places[each.label, each.status]) for each in timeline.segments],
        "wave": envelope_path(audio) if audio is not None else None,
        "ticks": _ticks(begin, length),
        "curve_range": [number(each, 1) for each in limits] if drawn else None,
        "data": {
            "begin": round(begin, 3),
            "duration": length,
            "starts": [round(each.start - begin, 3) for each in timeline.segments],
            "ends": [round(each.end - begin, 3) for each in timeline.segments],
            "lanes": [places[each.label, each.status] for each in timeline.segments],
            "names": [visible(label) for label, _status, _segments in rows],
            "wave": {"values": encoded_envelope(audio), "step": audio.column_seconds} if audio is not None else None,
            "curves": drawn,
        },
    }


def _length(timeline: Timeline, audio: AudioSummary | None, begin: float) -> float:
    """Of the lanes, seconds; the recording may be a little longer than the frames that were judged."""
    lengths = [timeline.duration_seconds or 0.0, audio.duration_seconds if audio else 0.0]
    return round(max(*lengths, *(each.end - begin for each in timeline.segments[-1:])), 3)


def _verdict(timeline: Timeline, rows: Sequence[tuple[str, str, Sequence[Segment]]]) -> list[tuple[str, bool]]:
    """Who speaks, in a sentence: pieces of text, and whether each is a name."""
    named = [label for label, status, _segments in rows if status == "identified"]
    others = ["somebody unknown" for _label, status, _segments in rows if status == "unknown"]
    if not named and not others:
        return [
            ("It cannot be said who speaks." if rows or timeline.status == "undecided" else "Nobody speaks.", False)
        ]
    if len(named) > _FEW:
        rest = f" and {others[0]}" if others else ""
        text = f"{count(len(named))} enrolled speakers{rest} speak. Of the enrolled, "
        return [(text, False), (visible(named[0]), True), (" speaks longest.", False)]
    parts = [*((visible(each), True) for each in named), *((each, False) for each in others)]
    sentence: list[tuple[str, bool]] = []
    for place, (text, is_name) in enumerate(parts):
        if place:
            sentence.append((" and " if place == len(parts) - 1 else ", ", False))
        sentence.append((text if is_name or place else text[0].upper() + text[1:], is_name))
    return [*sentence, (" speaks." if len(parts) == 1 else " speak.", False)]


def _facts(timeline: Timeline, rows: Sequence[tuple[str, str, Sequence[Segment]]]) -> list[tuple[str, str]]:
    facts = [("length", timeline.duration_seconds), ("of speech", timeline.speech_seconds)]
    told = [(label, spoken(value)) for label, value in facts if value is not None]
    if timeline.duration_seconds is not None:
        n = sum(status == "identified" for _label, status, _segments in rows)
        told += [("enrolled", count(len(timeline.speakers))), ("of them heard", count(n))]
        told += [("segments", count(len(timeline.segments)))]
    return told


def _lane(place: int, row: tuple[str, str, Sequence[Segment]], total: float, begin: float) -> dict[str, Any]:
    label, status, segments = row
    seconds = sum(each.seconds for each in segments)
    return {
        "label": visible(label),
        "status": status,
        "colour": f"--system-{place % N_STYLES}" if status == "identified" else "--muted",
        "seconds": spoken(seconds),
        "share": percent(seconds / total, 1) if total else MISSING,
        "n": count(len(segments)),
        "path": lane_path(segments, begin),
    }


def _row(segment: Segment, lane: int) -> dict[str, Any]:
    beside: tuple[str, str | None] | None = None
    if segment.status == "unknown" and segment.nearest is not None:
        beside = ("nearest: ", visible(segment.nearest))
    elif segment.reason:
        beside = (visible(segment.reason).replace("_", " "), None)
    return {
        "start": clock(segment.start, None, 0.1),
        "end": clock(segment.end, None, 0.1),
        "label": visible(segment.label),
        "status": segment.status,
        "lane": lane,
        "beside": beside,
        "probability": _probability(segment.probability),
        "llr": number(segment.llr, 1),
    }


def _probability(value: float | None) -> str:
    """Percent, as the command line writes it: what is nearly certain is not said to be."""
    if value is None or not np.isfinite(value):
        return MISSING
    if value > _MOST:
        return f"> {percent(_MOST, 1)}"
    return f"< {percent(_LEAST, 1)}" if value < _LEAST else percent(value, 1)


def _ticks(begin: float, length: float) -> list[dict[str, Any]]:
    """Of the axis without a script."""
    if not length > 0:
        return []
    step = tick_step(length, _STATIC_TICKS)
    first = math.ceil(begin / step - 1e-6)
    times = [i * step for i in range(first, first + _STATIC_TICKS + 1)]
    # none where its text would leave the picture
    shares = [(time, (time - begin) / length) for time in times]
    return [{"share": round(100 * x, 4), "text": clock(time, None, step)} for time, x in shares if x < 0.94]


def _curves(
    timeline: Timeline, rows: Sequence[tuple[str, str, Sequence[Segment]]], begin: float
) -> tuple[dict[str, Any] | None, tuple[float, float]]:
    """Curves of the lanes that have one, and their limits."""
    windows = timeline.windows
    lanes_of = [
        (place, timeline.speakers.index(label))
        for place, (label, status, _segments) in enumerate(rows)
        if status == "identified" and label in timeline.speakers
    ]
    if windows is None or not lanes_of or not len(windows):
        return None, (0.0, 0.0)
    columns = [column for _place, column in lanes_of]
    low, high = limits = curve_limits(windows.ratios[:, columns])
    times, values = encoded_curves(windows, columns, limits, begin)
    zero = -low / (high - low)
    return {
        "times": times,
        "values": {place: each for (place, _column), each in zip(lanes_of, values, strict=True)},
        "zero": zero,
        "low": number(low, 1),
        "high": number(high, 1),
    }, limits
