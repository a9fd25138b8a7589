"""Verification: whether a recording is of the speaker that it is claimed to be of.

The claim is accepted when the calibrated log-likelihood ratio reaches a threshold: the one that the given share of false
claims reached in the development data, but never less than 0. Below even odds somebody else is the likelier, and to accept
that would be no answer to the question, however few false claims reach it. A threshold that is given is taken as it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, BinaryIO, Literal

import numpy as np
from scipy.special import expit

from speakerid.audio import RawFormat
from speakerid.errors import UnknownSpeakerError, UsageError
from speakerid.parallel import effective_jobs, map_in_order, one_blas_thread
from speakerid.workflows.analysis import Source, as_source
from speakerid.workflows.identify import Identifier, Unjudged, where_of

__all__ = ["Verification", "Verifications", "verify", "verify_all"]


@dataclass(frozen=True)
class Verification:
    """The answer for one recording and one claimed speaker.

    Attributes
    ----------
    path : str
    speaker : str
        Who it is claimed to be.
    accepted : bool or None
        None when it is undecided.
    llr : float or None
        Calibrated log-likelihood ratio, "this is the speaker" against "somebody else", a natural logarithm.
    probability : float or None
        That it is the speaker, if every second claim is true.
    threshold : float
        What `llr` had to reach.
    status : {"accepted", "rejected", "undecided"}
    reason : str or None
        For "undecided", a word: unreadable, empty, truncated, no_speech, too_short, band, several_voices.
    message : str or None
        The reason as a sentence; for an answer, a warning if there is one.
    speech_seconds, duration_seconds : float or None
    start, end : float or None
        The stretch of the file in seconds, when only a stretch was asked for.
    """

    path: str
    speaker: str
    accepted: bool | None
    llr: float | None
    probability: float | None
    threshold: float
    status: Literal["accepted", "rejected", "undecided"]
    reason: str | None = None
    message: str | None = None
    speech_seconds: float | None = None
    duration_seconds: float | None = None
    start: float | None = None
    end: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of the JSON format, numbers rounded."""
        values = {key: round(value, 6) if isinstance(value, float) else value for key, value in asdict(self).items()}
        if self.start is None and self.end is None:
            del values["start"], values["end"]
        return values


def verify(
    identifier: Identifier,
    speaker: str,
    recording: Source | str | os.PathLike[str] | np.ndarray,
    *,
    sample_rate: int | None = None,
    false_accept_rate: float | None = None,
    threshold: float | None = None,
    channel: int | None = None,
) -> Verification:
    """Say whether a recording is of the speaker that it is claimed to be of.

    Parameters
    ----------
    identifier : Identifier
    speaker : str
    recording : path, Recording, Waveform or ndarray
    sample_rate : int, optional
        Of an array, in Hz.
    false_accept_rate : float, optional
        Share of false claims that may be accepted, in place of that of the settings. Ratios below 0 are rejected whatever
        it is.
    threshold : float, optional
        What the calibrated log-likelihood ratio must reach, in place of a rate.
    channel : int, optional
        Channel to take, counted from 1.

    Raises
    ------
    UnknownSpeakerError
        Nobody of that name is enrolled.
    UsageError
        The scores are not calibrated, or the rate or the threshold is no number that can be one.
    TypeError
        An array without `sample_rate`.
    """
    source = as_source(recording, sample_rate=sample_rate)
    options = {"false_accept_rate": false_accept_rate, "threshold": threshold, "channel": channel, "jobs": 1}
    (answer,) = verify_all(identifier, speaker, [source], **options)  # type: ignore[arg-type]
    return answer


class Verifications(Iterator[Verification]):
    """Answers as they come, and the threshold they are given by."""

    def __init__(self, answers: Iterator[Verification], threshold: float) -> None:
        self._answers, self.threshold = answers, threshold

    def __next__(self) -> Verification:
        return next(self._answers)


def verify_all(
    identifier: Identifier,
    speaker: str,
    recordings: Iterable[Source],
    *,
    false_accept_rate: float | None = None,
    threshold: float | None = None,
    channel: int | None = None,
    raw: RawFormat | None = None,
    stdin: BinaryIO | None = None,
    jobs: int | None = None,
) -> Verifications:
    """Return an iterator over the answers for many recordings, in order; parameters and errors as :func:`verify`."""
    if speaker not in identifier.speakers:
        known = ", ".join(identifier.speakers[:8]) + (" ..." if len(identifier.speakers) > 8 else "")
        raise UnknownSpeakerError(f"no speaker {speaker!r} is enrolled; enrolled: {known}")
    if identifier.calibration is None:
        raise UsageError(
            "verification needs calibrated scores, and these speakers have none: they were not adapted from a world model "
            '([training] method = "map", the default); enrol them again with the defaults into another --db'
        )
    if threshold is not None and false_accept_rate is not None:
        raise UsageError("a threshold and a false-accept rate are two rules: choose one")
    if threshold is None:
        rate = identifier.decision.false_accept_rate if false_accept_rate is None else false_accept_rate
        if not 0 < rate < 1:
            raise UsageError(f"a false-accept rate of {rate:g}: expected a share between 0 and 1, such as 0.01")
        threshold = max(identifier.calibration.accepting_threshold(rate), 0.0)
    elif not np.isfinite(threshold):
        raise UsageError(f"a threshold of {threshold}: expected a number, such as 2.5")
    column = identifier.speakers.index(speaker)
    work = partial(_verify, identifier, speaker, column, threshold, channel=channel, raw=raw, stdin=stdin)

    def answers() -> Iterator[Verification]:
        with one_blas_thread():
            yield from map_in_order(work, recordings, effective_jobs(jobs))

    return Verifications(answers(), threshold)


def _verify(
    identifier: Identifier, speaker: str, column: int, threshold: float, source: Source, **reading: Any
) -> Verification:
    judged = identifier.judge(source, **reading)
    where = where_of(source)
    if isinstance(judged, Unjudged):
        return Verification(
            speaker=speaker, accepted=None, llr=None, probability=None, threshold=threshold, status="undecided",
            reason=judged.reason, message=judged.message, speech_seconds=judged.speech_seconds,
            duration_seconds=judged.duration_seconds, **where,
        )  # fmt: skip
    assert judged.evidence is not None
    ratio = float(judged.evidence.ratios[column])
    accepted = ratio >= threshold
    return Verification(
        speaker=speaker, accepted=accepted, llr=ratio, probability=float(expit(ratio)), threshold=threshold,
        status="accepted" if accepted else "rejected", message=judged.warning, speech_seconds=judged.speech_seconds,
        duration_seconds=judged.duration_seconds, **where,
    )  # fmt: skip
