"""Who speaks when: the segments of a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from speakerid.scoring.windows import WindowScores

__all__ = ["Beginning", "Segment", "Timeline"]


@dataclass(frozen=True)
class Segment:
    """A stretch of a recording in which one voice speaks.

    Attributes
    ----------
    start, end : float
        Seconds of the recording.
    decision : str or None
        A name only when `status` is "identified".
    status : {"identified", "unknown", "undecided"}
    nearest : str or None
        The best speaker of the segment, who is the decision if there is one.
    llr : float or None
        Calibrated log-likelihood ratio of the best speaker for the whole segment; None without a calibration.
    probability : float or None
        Of the answer: that it is the named speaker or, for "unknown", nobody enrolled; None without a calibration.
    speech_seconds : float
    reason : str or None
        For "undecided", a word.
    """

    start: float
    end: float
    decision: str | None
    status: Literal["identified", "unknown", "undecided"]
    nearest: str | None
    llr: float | None
    probability: float | None
    speech_seconds: float
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of the JSON format: seconds with three decimals, the rest with six."""
        return {
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "decision": self.decision,
            "status": self.status,
            "nearest": self.nearest,
            "llr": _rounded(self.llr, 6),
            "probability": _rounded(self.probability, 6),
            "speech_seconds": round(self.speech_seconds, 3),
            "reason": self.reason,
        }

    @property
    def seconds(self) -> float:
        """Length."""
        return self.end - self.start

    @property
    def label(self) -> str:
        """The name, or "unknown" or "undecided"."""
        return self.decision or self.status


@dataclass(frozen=True)
class Beginning:
    """Somebody has begun to speak in a stream, and it is firm who.

    Attributes
    ----------
    start : float
        Seconds of the stream.
    speaker : str or None
        None is somebody unknown.
    """

    start: float
    speaker: str | None


@dataclass(frozen=True, eq=False)
class Timeline:
    """Who speaks when in one recording.

    Attributes
    ----------
    path : str
    status : {"identified", "unknown", "undecided"}
        Of the recording as a whole: identified when one enrolled voice speaks and nobody else, unknown when nobody who
        speaks is enrolled, undecided when several voices speak or nothing can be said.
    decision : str or None
        The one voice, if the status is "identified".
    reason, message : str or None
        As of an identification; the reason of several voices is "several_voices" and no failure.
    duration_seconds, speech_seconds : float or None
        None when the recording could not be read.
    speakers : tuple of str
        All enrolled speakers, the columns of `windows`.
    segments : tuple of Segment
        In order, without overlaps; silence lies between them.
    windows : WindowScores or None
        The scores that the segments come from, if they were asked for.
    start, end : float or None
        The stretch of the file in seconds, when only a stretch was asked for.
    """

    path: str
    status: Literal["identified", "unknown", "undecided"]
    decision: str | None
    reason: str | None
    message: str | None
    duration_seconds: float | None
    speech_seconds: float | None
    speakers: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    windows: WindowScores | None = None
    start: float | None = None
    end: float | None = None

    @property
    def failed(self) -> bool:
        """Nothing can be said of the recording, or not of all of it: several voices are no failure."""
        return self.status == "undecided" and self.reason != "several_voices"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of the JSON format, numbers rounded."""
        values: dict[str, Any] = {
            "path": self.path,
            "decision": self.decision,
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "speech_seconds": _rounded(self.speech_seconds, 3),
            "duration_seconds": _rounded(self.duration_seconds, 3),
        }
        if self.start is not None or self.end is not None:
            values |= {"start": self.start, "end": self.end}
        return values | {"segments": [segment.to_dict() for segment in self.segments]}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
