"""The recording: a path and what is known about it before it is opened."""

from __future__ import annotations

from dataclasses import dataclass

from speakerid.audio.degradations import Degradation
from speakerid.audio.paths import shown

__all__ = ["Recording"]


@dataclass(frozen=True, slots=True)
class Recording:
    """A file, or a stretch of one, and what is known about it.

    Parameters
    ----------
    path : str
        Where the audio is; ``-`` is standard input.
    speaker : str, optional
        Who speaks, if that is known.
    split : str, optional
        ``enroll`` or ``test``.
    start, end : float, optional
        The stretch in seconds from the beginning of the file; None is the file's own beginning or end.
    session : str, optional
        Recordings of one session are not split between enrolment and test.
    origin : str, optional
        Where the recording was named, for messages: ``list.csv, row 12``.
    degradation : Degradation, optional
        What is done to the samples when they are read.
    degradation_seed : int
        Of what is drawn for it.
    """

    path: str
    speaker: str | None = None
    split: str | None = None
    start: float | None = None
    end: float | None = None
    session: str | None = None
    origin: str = ""
    degradation: Degradation | None = None
    degradation_seed: int = 0

    @property
    def label(self) -> str:
        """The path, and the stretch and the degradation if any, for messages: ``a.wav [1.5-4 s] with noise:10``."""
        degraded = "" if self.degradation is None else f" with {shown(str(self.degradation))}"
        if self.start is None and self.end is None:
            return f"{shown(self.path)}{degraded}"
        end = "" if self.end is None else f"{self.end:g}"
        return f"{shown(self.path)} [{self.start or 0:g}-{end} s]{degraded}"

    @property
    def kept_together(self) -> str | None:
        """What must not be split between training and test: the session, or for a stretch the file it is of."""
        stretch = self.start is not None or self.end is not None
        return self.session or (shown(self.path) if stretch else None)
