"""Enrolment advice in words: one line each, what, where and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from speakerid.workflows.advice import (
    LITTLE_SECONDS,
    TOO_LITTLE_SECONDS,
    Advice,
    AdviceReport,
    Amount,
    Inequality,
    Neighbour,
    RecordingAdvice,
)
from speakerid.workflows.surroundings import Apart

__all__ = ["sentences"]

# lines of one kind
_MOST_LINES = 4
# names in a line
_LISTED = 3


def sentences(report: AdviceReport, *, most: int = _MOST_LINES) -> list[str]:
    """Return what there is to say, a line each; of one kind no more than `most` lines, and then how many more there are."""
    by_name = {advice.speaker: advice for advice in report.speakers}
    lines = _about_amounts(report.speakers, most)
    odd = [
        _about_recording(advice.speaker, recording)
        for advice in report.speakers
        for recording in advice.recordings
        if recording.finding
    ]
    lines += _limited(odd, most, "recordings do not sound like the speaker's others: speakerid speakers show NAME")
    pairs = {
        frozenset((advice.speaker, other.speaker)): _about_pair(advice.speaker, other)
        for advice in by_name.values()
        for other in sorted(advice.neighbours, key=lambda each: each.finding != "same_person")
        if other.finding
    }
    # those who may be one person first
    ordered = sorted(pairs.values(), key=lambda line: "may be the same person" not in line)
    lines += _limited(ordered, most, "pairs of speakers sound alike: speakerid speakers show NAME")
    if report.inequality is not None:
        lines.append(_about_inequality(report.inequality, adapted=report.adapted))
    lines += map(_about_surroundings, report.apart)
    if report.skipped is not None:
        lines.append(report.skipped)
    return lines


def _limited(lines: Sequence[str], most: int, more: str) -> list[str]:
    if len(lines) <= most:
        return list(lines)
    return [*lines[: most - 1], f"{len(lines) - most + 1} more {more}"]


def _about_amounts(speakers: Iterable[Advice], most: int) -> list[str]:
    lines = []
    ends: dict[Amount, tuple[str, str, str]] = {
        "too_little": (
            "only ",
            "too little; answers get better with 10 s and more",
            f"less than {TOO_LITTLE_SECONDS:g} s of speech",
        ),
        "little": (
            "",
            "little: 10 s are a good start, a minute is better",
            f"less than {LITTLE_SECONDS:g} s of speech",
        ),
    }
    speakers = list(speakers)
    for amount, (only, verdict, less) in ends.items():
        found = [advice for advice in speakers if advice.amount == amount]
        if len(found) < most:
            lines += [f"{a.speaker}: {only}{a.speech_seconds:.1f} s of speech, {verdict}" for a in found]
        else:
            some = ", ".join(advice.speaker for advice in found[:3])
            lines.append(f"{len(found)} speakers ({some}, ...) have {less}, {verdict}")
    return lines


def _about_recording(speaker: str, recording: RecordingAdvice) -> str:
    begin = f"{recording.source} does not sound like {speaker}'s other recordings"
    if recording.finding == "fits_another":
        return f"{begin}; it fits {recording.nearest} better: listen to it, and move or remove it"
    nor = "" if recording.nearest is None else ", nor like anybody else enrolled"
    return f"{begin}{nor}: listen to it, and remove it if it is somebody else or mostly noise"


def _about_pair(speaker: str, other: Neighbour) -> str:
    if other.finding == "same_person":
        return (
            f"{speaker} and {other.speaker} may be the same person: the recordings of each fit the other about as well; "
            "listen to both, and if so enrol them under one name"
        )
    return (
        f"{speaker} and {other.speaker} sound alike and are easily confused: enrol more speech of both, "
        "or, if they are one person, under one name"
    )


def _about_surroundings(apart: Apart) -> str:
    listed = ", ".join(apart.speakers[:_LISTED]) + (", ..." if len(apart.speakers) > _LISTED else "")
    who = f"{listed} ({len(apart.speakers)} of {apart.of} speakers)"
    there = {
        "noisy": "in much more noise than most others: questions in noise",
        "quiet": "in much less noise than most others: questions without noise",
        "narrow": "without the upper band, as by telephone, unlike the others: questions by telephone",
        "wide": "with the upper band, unlike the others: questions that have it",
    }[apart.where]
    verb = "is" if len(apart.speakers) == 1 else "are"
    return f"{who} {verb} enrolled {there} may be taken for theirs; enrol everybody in the same places"


def _about_inequality(unequal: Inequality, *, adapted: bool) -> str:
    amounts = (
        f"amounts of speech are unequal: {unequal.largest} has {unequal.largest_seconds:.1f} s, "
        f"{unequal.smallest} {unequal.smallest_seconds:.1f} s ({unequal.factor:.0f} times as much)"
    )
    if not adapted:
        return f"{amounts}; enrol more of those who have little"
    return (
        f"{amounts}: answers do not lean to those with more, since scores are compared with what a speaker's own recordings "
        "reach, but those with little are recognised less surely"
    )
