"""Timelines against the truth: who was right for how many seconds, of one or of several systems.

What is scored comes from recordings, of which each system makes timelines, or from turns that are there already, of any
program; what is compared with what is in :mod:`speakerid.workflows.timeline_plan`, what counts as an error in
:mod:`speakerid.evaluation.timelines`.

- *Identification error rate* (IER): the label must be the speaker's name, and "unknown" for speakers who are not known.
- *Diarization error rate* (DER): the best mapping of labels to the speakers of each recording, all of them as they are in
  the truth, so that it is what other programs compute from the same files. Two strangers are two speakers there, of whom
  the one label "unknown" can be right for one, so the rate can be above the other.
- "undecided" is an answer that is never right, except where the best mapping takes it for somebody.
- The floor that is due to overlap is the speech that is missed if at every moment exactly one speaker of the reference is
  right: the least that a system with one voice at a time can have.
- Boundaries are those of the reference in the evaluated stretches, with those in overlaps and whatever the collar. The
  median counts those with none found within 2 s too.
- Speakers are enrolled in a store that goes again, so that the answers are those of ``enroll`` and
  ``identify --timeline``.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.audio.paths import shown
from speakerid.config import Config, to_dict
from speakerid.errors import UsageError
from speakerid.evaluation.timelines import (
    TimelineErrors,
    Turn,
    boundary_errors,
    in_pieces,
    interval,
    score_timeline,
)
from speakerid.workflows.enroll import EnrollmentReport, Problem, enroll_recordings
from speakerid.workflows.identify import Identifier
from speakerid.workflows.results import versions_used
from speakerid.workflows.timeline import Timeline
from speakerid.workflows.timeline_plan import UNKNOWN, Stretches, TimelinePlan, labels_of, plan_timelines, rttm_name

__all__ = [
    "RecordingScores",
    "SystemTimelines",
    "TimelineEvaluation",
    "TimelineScores",
    "carry_out",
    "evaluate_timelines",
    "score_timelines",
]

_NEAR_SECONDS = 0.3
_DIGITS = 6


@dataclass(frozen=True)
class RecordingScores:
    """What is wrong in the timeline of one recording.

    Attributes
    ----------
    recording : str
    named : TimelineErrors
        Labels are names; its rate is the identification error rate.
    mapped : TimelineErrors
        Labels are whom they fit best; its rate is the diarization error rate.
    floor_seconds : float
        Missed if exactly one speaker is right everywhere.
    """

    recording: str
    named: TimelineErrors
    mapped: TimelineErrors
    floor_seconds: float


@dataclass(frozen=True)
class TimelineScores:
    """What is wrong in the timelines of a system.

    Attributes
    ----------
    recordings : tuple of RecordingScores
    ier_ci95, der_ci95 : (float, float) or None
        From resampled stretches of 10 s; None if nobody speaks in the reference.
    boundary_seconds : tuple of float
        From each boundary of the reference to the nearest one found; inf if there is none within 2 s.
    strangers : tuple of str
        Speakers of the reference who are not known: "unknown" is right for them.
    """

    recordings: tuple[RecordingScores, ...]
    ier_ci95: tuple[float, float] | None
    der_ci95: tuple[float, float] | None
    boundary_seconds: tuple[float, ...] = field(repr=False)
    strangers: tuple[str, ...] = ()

    @property
    def named(self) -> TimelineErrors:
        """Of all recordings together, labels taken for names."""
        return sum((each.named for each in self.recordings), TimelineErrors())

    @property
    def mapped(self) -> TimelineErrors:
        """Of all recordings together, labels taken for whom they fit best in each recording."""
        return sum((each.mapped for each in self.recordings), TimelineErrors())

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of the JSON format: seconds, rates in 0..1, and None for what cannot be said."""
        named, mapped, distances = self.named, self.mapped, self.boundary_seconds
        floor = sum(each.floor_seconds for each in self.recordings)
        return {
            "recordings": [
                _seconds(each.recording, each.named) | _rates(each.named, each.mapped, each.floor_seconds)
                for each in self.recordings
            ],
            "all": _seconds(None, named),
            **_rates(named, mapped, floor),
            "ier_ci95": self.ier_ci95,
            "der_ci95": self.der_ci95,
            "boundaries": {
                "n": len(distances),
                "median": _finite(float(np.median(distances))) if distances else None,
                f"share_within_{_NEAR_SECONDS:g}_s": _share(sum(d <= _NEAR_SECONDS for d in distances), len(distances)),
            },
            "confusions": [
                {"reference": speaker, "found": label, "seconds": round(seconds, _DIGITS)}
                for (speaker, label), seconds in sorted(named.confusions.items(), key=lambda item: (-item[1], item[0]))
            ],
            "strangers": list(self.strangers),
        }


@dataclass(frozen=True, eq=False)
class SystemTimelines:
    """A system's timelines, and what is wrong in them.

    Attributes
    ----------
    system : str
    config : Config or None
        None for turns that were there already.
    scores : TimelineScores
    timelines : tuple of Timeline
        As they were found; none of turns that were there already.
    problems : tuple of Problem
        Recordings that could not be enrolled, or of which nothing could be said.
    warnings : tuple of str
        What makes answers doubtful.
    timings : dict of str to float
        Seconds: ``enrolling``, ``asking``; ``audio`` is how long the recordings are.
    """

    system: str
    config: Config | None
    scores: TimelineScores
    timelines: tuple[Timeline, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def times_real_time(self) -> float | None:
        """Seconds of audio a second, from the file to the segments."""
        asking = self.timings.get("asking", 0.0)
        return self.timings["audio"] / asking if asking > 0 else None


@dataclass(frozen=True, eq=False)
class TimelineEvaluation:
    """All that is reported of timelines.

    Attributes
    ----------
    plan : TimelinePlan
    systems : tuple of SystemTimelines
    collar : float
        Seconds on each side of a boundary of the reference that are not scored.
    skip_overlap : bool
    seed : int
        Of the resampling for the intervals.
    """

    plan: TimelinePlan
    systems: tuple[SystemTimelines, ...]
    collar: float
    skip_overlap: bool
    seed: int

    def to_dict(self, *, command: str = "") -> dict[str, Any]:
        """Return what ``speakerid evaluate --timelines --json`` writes.

        The keys of the first system are at the top; the other systems, with the same keys, are in ``other_systems``.
        """
        about = {
            "data": self.plan.data,
            "truth": self.plan.truth,
            "collar": self.collar,
            "skip_overlap": self.skip_overlap,
            "uem": self.plan.uem,
            "notes": list(self.plan.notes),
        }
        systems = [
            {
                "system": each.system,
                "timelines": about | each.scores.to_dict(),
                "problems": [asdict(problem) for problem in each.problems],
                "config": None if each.config is None else to_dict(each.config),
                "timings": {name: round(seconds, 3) for name, seconds in each.timings.items()},
                "times_real_time": each.times_real_time,
            }
            for each in self.systems
        ]
        return {
            **systems[0],
            "other_systems": systems[1:],
            "versions": versions_used(),
            "seed": self.seed,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command,
        }


def evaluate_timelines(
    data: str | os.PathLike[str],
    truth: str | os.PathLike[str],
    *,
    config: Config | Mapping[str, Config] | None = None,
    collar: float = 0.0,
    skip_overlap: bool = False,
    uem: str | os.PathLike[str] | None = None,
    known: Collection[str] | None = None,
    threshold: float | None = None,
    false_accept_rate: float | None = None,
    layout: str = "auto",
    channel: int | None = None,
    seed: int = 0,
    cache: bool = True,
    jobs: int | None = None,
) -> TimelineEvaluation:
    """Make timelines of labelled recordings and compare them with the truth, or compare turns that are there already.

    Parameters
    ----------
    data : path-like
        A manifest or protocol, whose test recordings are asked whole, whatever stretches and speakers their rows have; a
        folder of speaker folders, part of which is held out; or turns in RTTM.
    truth : path-like
        Turns in RTTM.
    config : Config or mapping of str to Config, optional
        Settings, or several systems by name.
    collar : float
        Seconds on each side of every boundary of the reference that are not scored.
    skip_overlap : bool
        Do not score where two or more speak in the reference.
    uem : path-like, optional
        The stretches to score.
    known : collection of str, optional
        For turns that are there already: who was enrolled.
    threshold, false_accept_rate
        As :meth:`speakerid.Identifier.identify`.
    layout : str
        Of a folder.
    channel : int, optional
        Channel to take, counted from 1.
    seed : int
        Of the resampling for the intervals, and of what is held out.
    cache : bool
        Use and keep features of other runs, to find out what is held out.
    jobs : int, optional
        Threads; all cores if left out. The result does not depend on it.

    Raises
    ------
    UsageError
        The request is wrong; a recording is without truth; nobody could be enrolled.
    ManifestError
        A row of a manifest, an RTTM or a UEM is wrong.
    """
    first = next(iter(config.values()), None) if isinstance(config, Mapping) else config
    plan = plan_timelines(
        data,
        truth,
        uem=uem,
        known=known,
        config=first,
        layout=layout,
        channel=channel,
        seed=seed,
        cache=cache,
        jobs=jobs,
    )
    return carry_out(
        plan, config=config, collar=collar, skip_overlap=skip_overlap, threshold=threshold,
        false_accept_rate=false_accept_rate, channel=channel, seed=seed, jobs=jobs,
    )  # fmt: skip


def carry_out(
    plan: TimelinePlan,
    *,
    config: Config | Mapping[str, Config] | None = None,
    collar: float = 0.0,
    skip_overlap: bool = False,
    threshold: float | None = None,
    false_accept_rate: float | None = None,
    channel: int | None = None,
    seed: int = 0,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> TimelineEvaluation:
    """Do what :func:`plan_timelines` has planned.

    Parameters
    ----------
    plan : TimelinePlan
    progress : callable, optional
        Called with the number of recordings that are done, `plan.steps` for each system.
    config, collar, skip_overlap, threshold, false_accept_rate, channel, seed, jobs
        As in :func:`evaluate_timelines`.

    Raises
    ------
    UsageError
        As :func:`evaluate_timelines`.
    """
    if not 0 <= collar < math.inf:
        raise UsageError(f"a collar of {collar:g}: expected a number of seconds, 0 or more, such as 0.25")
    score = partial(
        score_timelines, plan.reference, known=plan.known, collar=collar, skip_overlap=skip_overlap,
        stretches=plan.stretches if plan.uem is not None else None, seed=seed,
    )  # fmt: skip
    systems: list[SystemTimelines] = []
    if plan.found is not None:
        if config is not None or threshold is not None or false_accept_rate is not None:
            raise UsageError(f"{shown(plan.data)}: settings change nothing in turns that are there already")
        systems.append(SystemTimelines(PurePath(plan.data).stem, None, score(plan.found)))
        return TimelineEvaluation(plan, tuple(systems), collar, skip_overlap, seed)
    configs = config if isinstance(config, Mapping) else {"default": config or Config()}
    if not configs:
        raise UsageError("no systems to evaluate")
    _check_rules(plan, configs, threshold, false_accept_rate)
    for name, settings in configs.items():
        step = partial(_step, progress, len(systems) * plan.steps)
        run = _Run(plan, settings, channel, threshold, false_accept_rate, jobs, step)
        timelines = run.timelines(run.identifier())
        scores = score({recording: _turns_of(timeline) for recording, timeline in timelines.items()})
        systems.append(
            SystemTimelines(
                name, settings, scores, tuple(timelines.values()), tuple(run.problems), tuple(run.warnings), run.timings
            )
        )
    return TimelineEvaluation(plan, tuple(systems), collar, skip_overlap, seed)


def score_timelines(
    reference: Mapping[str, Sequence[Turn]],
    found: Mapping[str, Sequence[Turn]],
    *,
    known: Collection[str] | None = None,
    collar: float = 0.0,
    skip_overlap: bool = False,
    stretches: Mapping[str, Stretches] | None = None,
    seed: int = 0,
) -> TimelineScores:
    """Compare the turns of several recordings.

    Parameters
    ----------
    reference, found : mapping of str to sequence of Turn
        By recording; what is not in `found` has no turns there, what is only there is not scored.
    known : collection of str, optional
        Speakers for whom "unknown" is wrong; all if None.
    collar, skip_overlap
        As :func:`speakerid.evaluation.timelines.score_timeline`.
    stretches : mapping of str to tuple of (float, float), optional
        To score, of every recording.
    seed : int
        Of the resampling for the intervals.
    """
    recordings: list[RecordingScores] = []
    pieces_named: list[TimelineErrors] = []
    pieces_mapped: list[TimelineErrors] = []
    boundaries: list[NDArray[np.float64]] = []
    for recording, truth in reference.items():
        turns = found.get(recording, ())
        evaluated = None if stretches is None else stretches[recording]
        rules: dict[str, Any] = {"collar": collar, "skip_overlap": skip_overlap, "evaluated": evaluated}
        named = score_timeline(truth, turns, known=known, unknown=UNKNOWN, **rules)
        mapped = score_timeline(truth, turns, mapping="best", **rules)
        alone = [("somebody", start, end) for _label, start, end in truth]
        floor = score_timeline(truth, alone, **rules).missed
        recordings.append(RecordingScores(recording, named, mapped, floor))
        pieces_named += in_pieces(truth, turns, known=known, unknown=UNKNOWN, **rules)
        pieces_mapped += in_pieces(truth, turns, mapping="best", **rules)
        boundaries.append(_boundaries(truth, turns, evaluated))
    return TimelineScores(
        recordings=tuple(recordings),
        ier_ci95=_interval(pieces_named, seed),
        der_ci95=_interval(pieces_mapped, seed),
        boundary_seconds=tuple(np.concatenate(boundaries).tolist()) if boundaries else (),
        strangers=() if known is None else tuple(sorted(labels_of(reference) - {*known})),
    )


class _Run:
    """One system on its way through the recordings."""

    def __init__(
        self,
        plan: TimelinePlan,
        config: Config,
        channel: int | None,
        threshold: float | None,
        false_accept_rate: float | None,
        jobs: int | None,
        progress: Callable[[int], None],
    ) -> None:
        self.plan, self.config, self.channel, self.jobs, self.progress = plan, config, channel, jobs, progress
        self.rule: dict[str, Any] = {"threshold": threshold, "false_accept_rate": false_accept_rate}
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self.timings: dict[str, float] = {}

    def identifier(self) -> Identifier:
        """Enrol in a store that goes again: the answers are those of `enroll` and `identify --timeline`."""
        began = time.perf_counter()
        speakers = [(recording.speaker or "", recording) for recording in self.plan.enroll]
        with tempfile.TemporaryDirectory(prefix="speakerid-", ignore_cleanup_errors=True) as folder:
            store = Path(folder) / "speakers.db"
            report: EnrollmentReport = enroll_recordings(
                store, speakers, config=self.config, channel=self.channel, jobs=self.jobs, progress=self.progress
            )
            self.problems += report.problems
            if not report.speakers:
                why = f": {report.problems[0].message}" if report.problems else ""
                raise UsageError(f"{shown(self.plan.data)}: nobody could be enrolled{why}")
            identifier = Identifier.open(store, config=self.config)
        self.timings["enrolling"] = time.perf_counter() - began
        return identifier

    def timelines(self, identifier: Identifier) -> dict[str, Timeline]:
        """Ask the whole recordings, one after the other: each has all threads."""
        began = time.perf_counter()
        timelines: dict[str, Timeline] = {}
        for name, recording in self.plan.asked.items():
            timeline = identifier.timeline(recording, channel=self.channel, jobs=self.jobs, **self.rule)
            timelines[name] = timeline
            if timeline.failed:
                reason = timeline.reason or timeline.status
                message = timeline.message or f"{recording.label}: {reason.replace('_', ' ')}"
                self.problems.append(Problem(recording.path, reason, message))
            elif timeline.message is not None:
                self.warnings.append(timeline.message)
            self.progress(len(self.plan.enroll) + len(timelines))
        self.timings["asking"] = time.perf_counter() - began
        self.timings["audio"] = sum(timeline.duration_seconds or 0.0 for timeline in timelines.values())
        return timelines


def _check_rules(
    plan: TimelinePlan, configs: Mapping[str, Config], threshold: float | None, false_accept_rate: float | None
) -> None:
    """Refuse before any work what every recording would refuse."""
    if threshold is not None and len({recording.speaker for recording in plan.enroll}) < 2:
        raise UsageError(
            f"{shown(plan.data)}: a threshold needs two speakers, because it compares the best with the next; leave it out"
        )
    for name, config in configs.items():
        if false_accept_rate is not None and config.training.method != "map":
            raise UsageError(
                f"{name}: a false-accept rate needs calibrated scores, and these settings have none: "
                '[training] method = "ml"; leave it out, or give a threshold'
            )


def _step(progress: Callable[[int], None] | None, before: int, done: int) -> None:
    if progress is not None:
        progress(before + done)


def _turns_of(timeline: Timeline) -> tuple[Turn, ...]:
    """Segments as they are written in RTTM: what is scored is what can be written and scored again."""
    return tuple((rttm_name(each.label), round(each.start, 3), round(each.end, 3)) for each in timeline.segments)


def _interval(pieces: Sequence[TimelineErrors], seed: int) -> tuple[float, float] | None:
    return interval(pieces, seed=seed) if any(piece.total > 0 for piece in pieces) else None


def _boundaries(reference: Sequence[Turn], found: Sequence[Turn], evaluated: Stretches | None) -> NDArray[np.float64]:
    """Errors of the boundaries that lie in the evaluated stretches, (n_boundaries,)."""
    errors = boundary_errors(reference, found)
    if evaluated is None:
        return errors
    merged = _merged(reference)
    times = np.concatenate([np.sort([turn[kind] for turn in merged]) for kind in (1, 2)])
    inside = np.zeros(len(times), dtype=np.bool_)
    for start, end in evaluated:
        inside |= (times >= start) & (times <= end)
    return errors[inside]


def _merged(turns: Iterable[Turn]) -> list[Turn]:
    """Turns of one label that overlap or touch as one, as :func:`boundary_errors` counts them."""
    merged: list[Turn] = []
    for label, start, end in sorted(turns):
        if merged and merged[-1][0] == label and start <= merged[-1][2]:
            merged[-1] = (label, merged[-1][1], max(merged[-1][2], end))
        elif end > start:
            merged.append((label, start, end))
    return merged


def _seconds(recording: str | None, errors: TimelineErrors) -> dict[str, Any]:
    found = {
        "speech_seconds": errors.total,
        "missed": errors.missed,
        "false_alarm": errors.false_alarm,
        "confusion": errors.confusion,
        "correct": errors.correct,
        "overlap": errors.overlap,
        "errors_in_overlap": errors.errors_in_overlap,
    }
    named: dict[str, Any] = {} if recording is None else {"recording": recording}
    return named | {key: round(seconds, _DIGITS) for key, seconds in found.items()}


def _rates(named: TimelineErrors, mapped: TimelineErrors, floor_seconds: float) -> dict[str, float | None]:
    return {
        "ier": _finite(named.rate),
        "der": _finite(mapped.rate),
        "floor_from_overlap": _share(floor_seconds, named.total),
    }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
