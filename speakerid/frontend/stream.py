"""Features of a recording that is not over, or too long to be held: piece by piece, each within its neighbourhood.

What a recording is as a whole is taken for every piece from the seconds around it, as if they were the recording: whether
anybody speaks from some seconds before it, and the level of the loud frames, the floor that follows it and the mean from
closer by, because it is the level of whoever speaks now. So a piece's features depend on its neighbourhood alone: not on how
samples come, nor on what was hours before. A recording that is no longer than a piece and what is looked at around it has
the features of :func:`~speakerid.frontend.extract.extract_static`, but for the last bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig
from speakerid.frontend.activity import silence_ratios, speech_mask
from speakerid.frontend.extract import to_static
from speakerid.frontend.features import finish
from speakerid.frontend.spectrum import MelFrames, SpectralAnalysis, floored

__all__ = ["FeatureStream", "Piece"]

# somebody who goes on speaking leaves no quiet frames near by
_REMEMBERED_SECONDS = 7.0


@dataclass(frozen=True, eq=False)
class Piece:
    """Some frames in a row.

    Attributes
    ----------
    first : int
        Number of the first frame.
    values : ndarray, shape (n, n_features), float32
    speech : ndarray of bool, shape (n,)
    silence : ndarray, shape (n,), float32
        By how much silence fits a frame better than speech, from −1 to 1.
    """

    first: int
    values: NDArray[np.float32]
    speech: NDArray[np.bool_]
    silence: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.values)


class FeatureStream:
    """Takes samples as they come, gives features.

    Parameters
    ----------
    config : FrontEndConfig
        With ``engine = "librosa"`` the project's own code computes the same features: librosa needs the whole recording.
    piece_frames : int
        Frames are given so many at a time.
    before_seconds : float
        What is looked at before a piece to tell whether anybody speaks.
    level_seconds : float
        What of that counts for the level, and for all else.
    after_seconds : float
        What is looked at after a piece, for both; so much later it is given.

    Notes
    -----
    Memory is that of a piece, what is around it and a chunk of the transform, however long the recording.
    """

    def __init__(
        self,
        config: FrontEndConfig,
        *,
        piece_frames: int = 100,
        before_seconds: float = 3.0,
        level_seconds: float = 1.0,
        after_seconds: float = 0.5,
    ) -> None:
        self._config = config
        rate = 1000.0 / config.frame_shift_ms
        self._piece = piece_frames
        self._before_piece = round(before_seconds * rate)
        self._level_before = min(round(level_seconds * rate), self._before_piece)
        self._after_piece = round(after_seconds * rate)
        self._analysis = SpectralAnalysis(config, taken=True)
        self._frames: MelFrames | None = None
        self._first = 0  # frame that `_frames` begins with
        self._next = 0  # frame that the next piece begins with
        self._remembered = round(_REMEMBERED_SECONDS * rate)
        self._levels = np.zeros(0, dtype=np.float32)  # of the frames before those that are looked at

    def push(self, samples: NDArray[np.float32]) -> Iterator[Piece]:
        """Take samples, shape (n,), float32, at the config's rate; give the pieces that are complete."""
        self._analysis.push(samples)
        yield from self._pieces(last=False)

    def finish(self) -> Iterator[Piece]:
        """Give the pieces that are left; the last one may be shorter."""
        yield from self._pieces(last=True)

    def _pieces(self, *, last: bool) -> Iterator[Piece]:
        new = self._analysis.take(last=last)
        self._frames = new if self._frames is None else MelFrames.joined(self._frames, new)
        there = self._first + len(self._frames)
        while self._next + self._piece + self._after_piece <= there or (last and self._next < there):
            yield self._given(there)
        keep = max(self._next - self._before_piece, self._first)
        self._frames, self._first = self._frames[keep - self._first :], keep

    def _given(self, there: int) -> Piece:
        assert self._frames is not None
        begin = max(self._next - self._before_piece, 0)
        end = min(self._next + self._piece + self._after_piece, there)
        around = self._frames[begin - self._first : end - self._first]
        speech = speech_mask(around.activity, self._config)
        silence = silence_ratios(around.activity, speech, self._levels, self._config)
        here = self._next - begin
        part = slice(here, here + self._piece)
        near = max(here - self._level_before, 0)
        close = floored(around[near:], self._config)
        features = finish(to_static(close, self._config, speech=speech[near:]), self._config)
        values = features.values[here - near : here - near + self._piece]
        # what is not looked at any more is remembered
        leaving = max(self._next + self._piece - self._before_piece, 0) - begin
        if leaving > 0:
            self._levels = np.concatenate([self._levels, around.activity.level[:leaving]])[-self._remembered :]
        piece = Piece(self._next, values, speech[part], silence[part])
        self._next += self._piece
        return piece
