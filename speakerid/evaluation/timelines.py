"""Errors of a timeline: seconds of speech that are missed, made up, or given to somebody else.

A timeline is a list of turns ``(label, start, end)`` in seconds. Between two neighbouring boundaries nothing changes; there,
with N_ref speakers of the reference and N_hyp labels of the hypothesis, of which N_correct agree::

    missed      max(0, N_ref − N_hyp)            total = N_ref = correct + confusion + missed
    false alarm max(0, N_hyp − N_ref)
    confusion   min(N_ref, N_hyp) − N_correct    rate = (missed + false alarm + confusion) / total

each times the seconds between the boundaries. There are no frames: the sums are exact.

- Turns of one label that overlap or touch are one turn; turns of no length are none.
- ``mapping="names"``: a label agrees with the speaker of the same name; the rate is the *identification error rate*.
- ``mapping="best"``: names mean nothing; the one-to-one mapping of labels to speakers that agrees for most seconds is
  taken, and the rate is the *diarization error rate*. It is never above the other.
- The *collar* is how many seconds before and how many seconds after every boundary of the reference are not scored, as in
  NIST's md-eval (``-c``) and dscore. In pyannote.metrics it is both sides together: its 0.5 is 0.25 here.
- *Overlap* is where two or more speakers of the reference speak.
- Speakers who are not *known* (not enrolled) are each a speaker, but all have one name, "unknown".

Where other programs differ: md-eval finds the best mapping in all that is evaluated, collars and overlap too;
pyannote.metrics in what is scored, and so do we, because only then is it the best. pyannote.metrics counts two turns of one
label that overlap as two speakers and has a collar between turns that touch; here they are one turn, as dscore merges those
that overlap. Where there is no speech in the reference its rate is 0 or 1; here it is not a number.

J. G. Fiscus et al., "The Rich Transcription 2006 spring meeting recognition evaluation", MLMI 2006; H. Bredin,
"pyannote.metrics: a toolkit for reproducible evaluation, diagnostic, and error analysis of speaker diarization systems",
Interspeech 2017.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from speakerid.evaluation.resampling import bootstrap

__all__ = ["TimelineErrors", "Turn", "boundary_errors", "in_pieces", "interval", "score_timeline"]

#: Label, start and end in seconds.
Turn = tuple[str, float, float]

_OF_REFERENCE, _OF_HYPOTHESIS = "turn of the reference", "turn of the hypothesis"


@dataclass(frozen=True)
class TimelineErrors:
    """Seconds of speech by what became of them; those of several recordings add.

    Attributes
    ----------
    total : float
        Speech of the reference: two speakers at once count twice.
    missed, false_alarm, confusion : float
        Nobody was heard; nobody spoke; somebody else was named.
    correct : float
        total = correct + confusion + missed.
    overlap : float
        That part of `total` in which two or more speak at once.
    errors_in_overlap : float
        That part of `errors` in which two or more speak at once.
    confusions : mapping of (str, str) to float
        Seconds of `confusion` by (speaker of the reference, label of the hypothesis). Where several speak at once those
        who agree are paired first, and the seconds of the others divided evenly among all their pairs.
    """

    total: float = 0.0
    missed: float = 0.0
    false_alarm: float = 0.0
    confusion: float = 0.0
    correct: float = 0.0
    overlap: float = 0.0
    errors_in_overlap: float = 0.0
    confusions: Mapping[tuple[str, str], float] = field(default_factory=dict)

    @property
    def errors(self) -> float:
        """Seconds: missed + false alarm + confusion."""
        return self.missed + self.false_alarm + self.confusion

    @property
    def rate(self) -> float:
        """errors / total, which can be above 1; NaN when nobody speaks in the reference."""
        return self.errors / self.total if self.total > 0 else math.nan

    def __add__(self, other: TimelineErrors) -> TimelineErrors:
        confusions = Counter(self.confusions)
        confusions.update(other.confusions)
        return TimelineErrors(
            total=self.total + other.total,
            missed=self.missed + other.missed,
            false_alarm=self.false_alarm + other.false_alarm,
            confusion=self.confusion + other.confusion,
            correct=self.correct + other.correct,
            overlap=self.overlap + other.overlap,
            errors_in_overlap=self.errors_in_overlap + other.errors_in_overlap,
            confusions=dict(confusions),
        )


def score_timeline(
    reference: Sequence[Turn],
    hypothesis: Sequence[Turn],
    *,
    collar: float = 0.0,
    skip_overlap: bool = False,
    evaluated: Iterable[tuple[float, float]] | None = None,
    mapping: Literal["names", "best"] = "names",
    known: Collection[str] | None = None,
    unknown: str = "unknown",
) -> TimelineErrors:
    """Count the errors of one recording's timeline.

    Parameters
    ----------
    reference, hypothesis : sequence of (str, float, float)
        Label, start and end in seconds; in any order.
    collar : float
        Seconds on each side of every boundary of the reference that are not scored, as in md-eval and dscore; half of
        what pyannote.metrics calls by that name.
    skip_overlap : bool
        Do not score where two or more speak in the reference.
    evaluated : iterable of (float, float), optional
        Stretches to score, start and end in seconds (UEM); from the earliest to the latest boundary of either timeline
        if None.
    mapping : {"names", "best"}
        "names" for the identification error rate, "best" for the diarization error rate.
    known : collection of str, optional
        Speakers who are enrolled: any other speaker of the reference counts as `unknown`, with either mapping. All are
        known if None.
    unknown : str
        What the hypothesis calls somebody unknown.

    Returns
    -------
    TimelineErrors

    Raises
    ------
    ValueError
        A turn or a stretch ends before it begins or is not finite, the collar is negative, or there is no such mapping.
    """
    sweep = _Sweep(
        reference, hypothesis, collar, evaluated, mapping, known, unknown, skip_overlap=skip_overlap, cuts=()
    )
    return sweep.errors(-math.inf, math.inf)


def in_pieces(
    reference: Sequence[Turn],
    hypothesis: Sequence[Turn],
    *,
    seconds: float = 10.0,
    collar: float = 0.0,
    skip_overlap: bool = False,
    evaluated: Iterable[tuple[float, float]] | None = None,
    mapping: Literal["names", "best"] = "names",
    known: Collection[str] | None = None,
    unknown: str = "unknown",
) -> tuple[TimelineErrors, ...]:
    """Count the errors of one recording piece by piece; the pieces add to the whole.

    The best mapping is that of the whole recording.

    Parameters
    ----------
    seconds : float
        Length of a piece. Each evaluated stretch is cut from its beginning, and its last piece is shorter.
    reference, hypothesis, collar, skip_overlap, evaluated, mapping, known, unknown
        As for :func:`score_timeline`.

    Returns
    -------
    tuple of TimelineErrors
        In order of time; pieces without speech too.

    Raises
    ------
    ValueError
        As for :func:`score_timeline`, or `seconds` is not above 0.
    """
    if not 0 < seconds < math.inf:
        raise ValueError(f"pieces of {seconds} s; they must be longer than 0")
    if evaluated is None:
        found = (_by_label(reference, _OF_REFERENCE), _by_label(hypothesis, _OF_HYPOTHESIS))
        times = [time for side in found for turns in side.values() for turn in turns for time in turn]
        evaluated = [(min(times), max(times))] if times else []
    stretches = _union(evaluated, "evaluated stretch")
    pieces: list[tuple[float, float]] = []
    for start, end in stretches:
        inner = start + seconds * np.arange(1, math.ceil((end - start) / seconds))
        edges = [start, *(float(edge) for edge in inner if edge < end), end]
        pieces.extend(pairwise(edges))
    cuts = [edge for piece in pieces for edge in piece]
    sweep = _Sweep(
        reference, hypothesis, collar, stretches, mapping, known, unknown, skip_overlap=skip_overlap, cuts=cuts
    )
    return tuple(sweep.errors(start, end) for start, end in pieces)


def interval(
    errors_by_piece: Sequence[TimelineErrors], *, seed: int, level: float = 0.95, n_replicates: int = 1000
) -> tuple[float, float]:
    """Compute the interval of the pooled rate by drawing pieces with replacement.

    Errors of neighbouring seconds go together, so a piece should be as long as several turns; and pieces of few recordings
    tell how far the rate holds for these speakers in this room, not for others. Without a single error the interval has no
    width.

    Parameters
    ----------
    errors_by_piece : sequence of TimelineErrors
        Of one recording or of several, from :func:`in_pieces`.
    seed : int
        Of the draws.
    level : float
        Confidence, between 0 and 1.
    n_replicates : int

    Returns
    -------
    low, high : float
        Of the percentile interval, see :mod:`speakerid.evaluation.resampling`; NaN if nobody speaks in the reference.

    Raises
    ------
    ValueError
        There are no pieces, or `level` is not between 0 and 1.
    """
    if not errors_by_piece:
        raise ValueError("no pieces to draw from")
    errors = np.array([piece.errors for piece in errors_by_piece])
    total = np.array([piece.total for piece in errors_by_piece])

    def pooled(weights: NDArray[np.float64]) -> float:
        speech = float(weights @ total)
        return float(weights @ errors) / speech if speech > 0 else math.nan

    # all pieces as if of one speaker: the ordinary bootstrap
    whose = np.zeros(len(errors), dtype=np.intp)
    low, high = bootstrap(pooled, whose, np.random.default_rng(seed), n_replicates=n_replicates).interval(level)
    return float(low), float(high)


def boundary_errors(
    reference: Sequence[Turn], hypothesis: Sequence[Turn], *, within: float = 2.0
) -> NDArray[np.float64]:
    """Measure how far the boundaries of the reference are from those of the hypothesis, whatever the labels.

    Parameters
    ----------
    reference, hypothesis : sequence of (str, float, float)
        Label, start and end in seconds; turns of one label that overlap or touch are one.
    within : float
        Seconds; what is farther away is no answer to the boundary.

    Returns
    -------
    ndarray, shape (2 × n_turns,)
        Seconds from every start of a turn of the reference to the nearest start in the hypothesis, in order of time, then
        from every end to the nearest end; inf when there is none within `within`.

    Raises
    ------
    ValueError
        A turn ends before it begins or is not finite, or `within` is negative.
    """
    if not within >= 0:
        raise ValueError(f"within {within} s; it must be 0 or more")
    sides = [
        [stretch for stretches in _by_label(turns, what).values() for stretch in stretches]
        for turns, what in ((reference, _OF_REFERENCE), (hypothesis, _OF_HYPOTHESIS))
    ]
    distances = []
    for kind in (0, 1):
        wanted, found = (np.sort([stretch[kind] for stretch in side]) for side in sides)
        found = np.concatenate([[-np.inf], found, [np.inf]])
        after = np.searchsorted(found, wanted)
        after = np.clip(after, 1, len(found) - 1)
        distances.append(np.minimum(wanted - found[after - 1], found[after] - wanted))
    result = np.concatenate(distances)
    result[result > within] = np.inf
    return result


class _Sweep:
    """Who speaks between each two neighbouring boundaries, in the reference and in the hypothesis.

    Attributes
    ----------
    starts, seconds : ndarray, shape (n_intervals,)
        Of the intervals; those that are not scored are left out.
    reference : ndarray of int, shape (n_names, n_intervals)
        How many speakers of that name speak: several can be unknown.
    hypothesis : ndarray of int, shape (n_labels, n_intervals)
        0 or 1.
    pairs : list of (int, int)
        Rows of `reference` and `hypothesis` that agree.
    """

    def __init__(
        self,
        reference: Sequence[Turn],
        hypothesis: Sequence[Turn],
        collar: float,
        evaluated: Iterable[tuple[float, float]] | None,
        mapping: Literal["names", "best"],
        known: Collection[str] | None,
        unknown: str,
        *,
        skip_overlap: bool,
        cuts: Sequence[float],
    ) -> None:
        if not 0 <= collar < math.inf:
            raise ValueError(f"a collar of {collar} s; it must be 0 or more")
        if mapping not in ("names", "best"):
            raise ValueError(f"mapping {mapping!r}; it must be names or best")
        speakers = _by_label(reference, _OF_REFERENCE)
        labels = _by_label(hypothesis, _OF_HYPOTHESIS)
        collars = [
            (boundary - collar, boundary + collar)
            for turns in speakers.values()
            for turn in turns
            for boundary in turn
            if collar > 0
        ]
        stretches = None if evaluated is None else _union(evaluated, "evaluated stretch")
        groups = (*speakers.values(), *labels.values(), collars, stretches or ())
        edges = np.unique([*cuts, *(edge for group in groups for stretch in group for edge in stretch)])

        names = {speaker: speaker if known is None or speaker in known else unknown for speaker in speakers}
        self.names = sorted(set(names.values()))
        self.labels = sorted(labels)
        row = {name: number for number, name in enumerate(self.names)}
        counts = np.zeros((len(self.names), max(len(edges) - 1, 0)), dtype=np.int32)
        for speaker, turns in speakers.items():
            _count(counts[row[names[speaker]]], edges, turns)
        heard = np.zeros((len(self.labels), counts.shape[1]), dtype=np.int32)
        for number, label in enumerate(self.labels):
            _count(heard[number], edges, labels[label])

        scored = _covered(edges, collars) == 0
        if stretches is not None:
            scored &= _covered(edges, stretches) > 0
        if skip_overlap:
            scored &= counts.sum(axis=0) < 2
        self.starts, self.seconds = edges[:-1][scored], np.diff(edges)[scored]
        self.reference, self.hypothesis = counts[:, scored], heard[:, scored]
        self.pairs = self._same_names() if mapping == "names" else self._best()

    def _same_names(self) -> list[tuple[int, int]]:
        column = {label: number for number, label in enumerate(self.labels)}
        return [(number, column[name]) for number, name in enumerate(self.names) if name in column]

    def _best(self) -> list[tuple[int, int]]:
        # one label is right for one of two unknown speakers, so a name counts once
        # (n_names, n_intervals) @ (n_intervals, n_labels) -> (n_names, n_labels) seconds
        common = ((self.reference > 0) * self.seconds) @ self.hypothesis.T.astype(np.float64)
        rows, columns = linear_sum_assignment(common, maximize=True)
        return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True)]

    def errors(self, start: float, end: float) -> TimelineErrors:
        """Sum the intervals that begin in [start, end)."""
        part = slice(*np.searchsorted(self.starts, (start, end)))
        seconds = self.seconds[part]
        reference, hypothesis = self.reference[:, part].copy(), self.hypothesis[:, part].copy()
        n_ref, n_hyp = reference.sum(axis=0), hypothesis.sum(axis=0)
        n_correct = np.zeros_like(n_ref)
        for i, j in self.pairs:
            agree = np.minimum(reference[i], hypothesis[j])
            reference[i] -= agree
            hypothesis[j] -= agree
            n_correct += agree
        missed, false_alarm = np.maximum(n_ref - n_hyp, 0), np.maximum(n_hyp - n_ref, 0)
        confusion = np.minimum(n_ref, n_hyp) - n_correct
        overlap = n_ref >= 2
        return TimelineErrors(
            total=float(n_ref @ seconds),
            missed=float(missed @ seconds),
            false_alarm=float(false_alarm @ seconds),
            confusion=float(confusion @ seconds),
            correct=float(n_correct @ seconds),
            overlap=float((n_ref * overlap) @ seconds),
            errors_in_overlap=float(((missed + false_alarm + confusion) * overlap) @ seconds),
            confusions=self._confusions(reference, hypothesis, confusion * seconds),
        )

    def _confusions(
        self, reference: NDArray[np.int32], hypothesis: NDArray[np.int32], confused: NDArray[np.float64]
    ) -> dict[tuple[str, str], float]:
        """Divide the seconds of each interval among the pairs of those who do not agree."""
        some = confused > 0
        r, h = reference[:, some].astype(np.float64), hypothesis[:, some].astype(np.float64)
        by_pair = (r * (confused[some] / (r.sum(axis=0) * h.sum(axis=0)))) @ h.T  # (n_names, n_labels)
        return {
            (self.names[i], self.labels[j]): float(by_pair[i, j]) for i, j in zip(*np.nonzero(by_pair), strict=True)
        }


def _by_label(turns: Iterable[Turn], what: str) -> dict[str, list[tuple[float, float]]]:
    """Stretches of each label that has any, merged and in order."""
    stretches: dict[str, list[tuple[float, float]]] = {}
    for label, start, end in turns:
        stretches.setdefault(label, []).append((start, end))
    merged = {label: _union(found, what) for label, found in stretches.items()}
    return {label: found for label, found in merged.items() if found}


def _union(stretches: Iterable[tuple[float, float]], what: str) -> list[tuple[float, float]]:
    """Stretches in order; those that overlap or touch are one, those of no length are none."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted((float(start), float(end)) for start, end in stretches):
        if not -math.inf < start <= end < math.inf:
            raise ValueError(
                f"{what}: from {start} s to {end} s; expected finite seconds, the end not before the start"
            )
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        elif end > start:
            merged.append((start, end))
    return merged


def _count(row: NDArray[np.int32], edges: NDArray[np.float64], stretches: Sequence[tuple[float, float]]) -> None:
    """Add 1 to the intervals that each stretch covers; its ends are among the edges."""
    for first, last in np.searchsorted(edges, np.reshape(stretches, (-1, 2))):
        row[first:last] += 1


def _covered(edges: NDArray[np.float64], stretches: Sequence[tuple[float, float]]) -> NDArray[np.int32]:
    """How many stretches cover each interval, (n_intervals,)."""
    result = np.zeros(max(len(edges) - 1, 0), dtype=np.int32)
    _count(result, edges, stretches)
    return result
