"""Timelines made by hand, and recordings to go with them: each voice is a sweep of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from speakerid.scoring.windows import WindowScores
from speakerid.workflows.timeline import Segment, Timeline

RATE = 16_000
HOSTILE = (
    "<script>window.ran = 1</script>",
    "\"'&<img src=x onerror='window.ran = 2'> --> <v Bob>",
    "</script><script>window.ran = 3</script><!-- ",
    "a" * 200,
    "\u202eדוברת עברית",
    "two\nlines\t\x1b[31m {{ 7 * 7 }} $\\frac{1}{2}$",
    "名前 🎙",
)


def segment(start: float, end: float, name: str | None, **changes: Any) -> Segment:
    """A name, "unknown" for None, "undecided" for the empty name."""
    values = {
        "start": start, "end": end, "decision": name or None,
        "status": "identified" if name else "undecided" if name == "" else "unknown",
        "nearest": name or "Bo Ek", "llr": 12.345678 if name else -3.25, "probability": 0.98765432 if name else 0.9,
        "speech_seconds": 0.9 * (end - start), "reason": "too_short" if name == "" else None,
    }  # fmt: skip
    return Segment(**(values | changes))


def timeline(
    segments: Sequence[Segment],
    duration: float,
    *,
    path: str = "talks/a meeting.wav",
    hop: float = 0.25,
    windows: bool = True,
    **changes: Any,
) -> Timeline:
    """A timeline of these segments, whose curves rise where a speaker speaks."""
    speakers = tuple(sorted({each.decision for each in segments if each.decision} | {"Bo Ek", "Never Here"}))
    values = {
        "path": path, "status": "undecided", "decision": None, "reason": "several_voices",
        "message": "several voices speak", "duration_seconds": duration,
        "speech_seconds": sum(each.speech_seconds for each in segments), "speakers": speakers,
        "segments": tuple(segments), "windows": _windows(segments, duration, speakers, hop) if windows else None,
    }  # fmt: skip
    return Timeline(**(values | changes))


def _windows(segments: Sequence[Segment], duration: float, speakers: tuple[str, ...], hop: float) -> WindowScores:
    rng = np.random.default_rng(5)
    centres = np.arange(hop, duration, hop)
    ratios = rng.normal(-0.8, 0.25, (len(centres), len(speakers)))
    spoken = np.zeros(len(centres), bool)
    for each in segments:
        inside = (centres >= each.start) & (centres < each.end)
        spoken |= inside
        if each.decision:
            ratios[inside, speakers.index(each.decision)] += 1.9
    ratios[~spoken] = np.nan
    world = np.where(spoken, -60.0, np.nan)
    return WindowScores(
        centres, np.where(spoken, 1.0, 0.0).astype(np.float32), ratios.astype(np.float32),
        world.astype(np.float32), np.where(spoken, -2.0, 1.0).astype(np.float32),
    )  # fmt: skip


def meeting() -> Timeline:
    """Half a minute, two names, somebody unknown and a stretch too short to tell."""
    return timeline(
        [
            segment(0.5, 4.25, "Ann-Marie"),
            segment(4.75, 9.0, "Bo Ek"),
            segment(9.5, 14.0, "Ann-Marie", probability=0.71, llr=1.5),
            segment(14.5, 15.0, "", llr=None, probability=None, nearest=None),
            segment(16.0, 21.0, None),
            segment(21.5, 29.5, "Ann-Marie"),
        ],
        30.0,
    )


def later(of: Timeline, seconds: float) -> Timeline:
    """The same as a stretch that begins later in its file."""
    assert of.windows is not None
    return replace(
        of,
        segments=tuple(replace(each, start=each.start + seconds, end=each.end + seconds) for each in of.segments),
        windows=replace(of.windows, centres=of.windows.centres + seconds),
    )


def long_meeting(n_segments: int = 5000, n_speakers: int = 20, duration: float = 3600.0, **changes: Any) -> Timeline:
    """An hour, by default with segments of 0.72 s in mean."""
    rng = np.random.default_rng(11)
    names = [f"Speaker {i:02d}" for i in range(n_speakers)] + [None]
    edges = np.concatenate(([0.0], np.sort(rng.uniform(0, duration, n_segments - 1)), [duration]))
    who = rng.choice(len(names), n_segments, p=_falling(len(names)))
    segments = [
        segment(float(start), float(start + 0.9 * (end - start)), names[i])
        for start, end, i in zip(edges[:-1], edges[1:], who, strict=True)
    ]
    return timeline(segments, duration, path="an hour.wav", hop=0.5, **changes)


def _falling(n: int) -> np.ndarray:
    weights = 1.0 / (1.0 + np.arange(n))
    return weights / weights.sum()


def recording(made: Timeline) -> np.ndarray:
    """Samples (n,) at RATE: in each segment a sweep that begins where the label says; a little noise all over."""
    rng = np.random.default_rng(3)
    samples = rng.normal(0, 0.002, round((made.duration_seconds or 0) * RATE))
    labels = sorted({each.label for each in made.segments})
    for each in made.segments:
        first, last = round(each.start * RATE), round(each.end * RATE)
        t = np.arange(last - first) / RATE
        base = 200 + 180 * (labels.index(each.label) % 12)
        beats = 0.15 + 0.35 * np.abs(np.sin(2 * np.pi * 1.7 * t)) * rng.uniform(0.6, 1.0)
        samples[first:last] += beats * np.sin(2 * np.pi * (base * t + 40 * t**2))
    return samples.astype(np.float32)
