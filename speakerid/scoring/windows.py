"""Scores of windows: frame log-likelihoods summed over a stretch of the clock.

A window's score is the sum over its speech frames, written as their mean so that windows with more and with less speech can
be compared. Windows overlap where the hop is shorter than the window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["HopSums", "WindowScores", "WindowSums"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HopSums:
    """Sums over the frames of hops in a row, which is what windows and segments are made of.

    Attributes
    ----------
    ratios : ndarray, shape (n_hops, n_speakers)
        Log-likelihood ratios to the world model, of speech frames, nats. Without a world model: log-likelihoods.
    world : ndarray, shape (n_hops,)
        The world model's log-likelihoods, of speech frames; 0 without a world model.
    speech : ndarray, shape (n_hops,)
        Number of speech frames.
    silence : ndarray, shape (n_hops, 2)
        By how much silence fits better than speech, nats: where it does, and (negative) where it does not.
    frames : ndarray, shape (n_hops,)
        Number of frames.
    """

    ratios: Floats
    world: Floats
    speech: Floats
    silence: Floats
    frames: Floats

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, part: slice | NDArray[np.bool_]) -> HopSums:
        return HopSums(*(each[part] for each in self._arrays))

    @property
    def _arrays(self) -> tuple[Floats, ...]:
        return self.ratios, self.world, self.speech, self.silence, self.frames

    @staticmethod
    def joined(parts: Sequence[HopSums]) -> HopSums:
        """Hops of all, one after the other."""
        return HopSums(*(np.concatenate(arrays) for arrays in zip(*(part._arrays for part in parts), strict=True)))


class WindowSums:
    """Takes hops as they come, gives for every hop the sums of the window around it.

    Parameters
    ----------
    hops : int
        Of a window. With an even number, the hop in question has one more before it than after it.

    Notes
    -----
    At the ends of a recording windows are cut: the first one begins with the recording.
    """

    def __init__(self, hops: int) -> None:
        if hops < 1:
            raise ValueError(f"windows of {hops} hops: expected at least 1")
        self._before, self.after = hops // 2, (hops - 1) // 2
        self._hops: HopSums | None = None
        self._done = 0  # hops at the beginning of `_hops` that were given

    def push(self, hops: HopSums) -> Iterator[tuple[HopSums, HopSums]]:
        """Take hops; give those whose windows are complete, and the windows' sums."""
        self._hops = hops if self._hops is None else HopSums.joined([self._hops, hops])
        yield from self._given(len(self._hops) - self.after)

    def finish(self) -> Iterator[tuple[HopSums, HopSums]]:
        """Give the rest."""
        if self._hops is not None:
            yield from self._given(len(self._hops))

    def _given(self, end: int) -> Iterator[tuple[HopSums, HopSums]]:
        assert self._hops is not None
        first = self._done
        if end <= first:
            return
        hops = self._hops
        begins = np.maximum(np.arange(first, end) - self._before, 0)
        ends = np.minimum(np.arange(first, end) + self.after + 1, len(hops))
        yield hops[first:end], HopSums(*(_between(each, begins, ends) for each in hops._arrays))
        keep = max(end - self._before, 0)
        self._hops, self._done = hops[keep:], end - keep


def _between(values: Floats, begins: NDArray[np.intp], ends: NDArray[np.intp]) -> Floats:
    """Sums of rows; every one is added up by itself, so that it does not depend on what came before."""
    return np.stack([values[begin:end].sum(axis=0) for begin, end in zip(begins, ends, strict=True)])


@dataclass(frozen=True, eq=False, repr=False)
class WindowScores:
    """What every window says of every speaker.

    Attributes
    ----------
    centres : ndarray, shape (n_windows,), float64
        Middle of each window on the recording's clock, seconds.
    speech_seconds : ndarray, shape (n_windows,), float32
        Speech within each window.
    ratios : ndarray, shape (n_windows, n_speakers), float32
        Log-likelihood ratio of each speaker to the world model, mean over the window's speech frames, nats a frame; nan in a
        window without speech.
    world : ndarray, shape (n_windows,), float32
        The world model's mean log-likelihood, nats a frame; nan in a window without speech.
    silence : ndarray, shape (n_windows,), float32
        By how much silence fits better than speech, from −1 to 1, mean over all the window's frames.
    gains : ndarray, shape (n_windows, n_states), float32, or None
        What the hop in the middle of each window speaks for, nats: the speakers, somebody unknown if there may be one, and
        silence (:mod:`speakerid.scoring.gains`).
    states : ndarray of int, shape (n_windows,), or None
        The path: to which of these states each hop was given.
    """

    centres: NDArray[np.float64]
    speech_seconds: NDArray[np.float32]
    ratios: NDArray[np.float32]
    world: NDArray[np.float32]
    silence: NDArray[np.float32]
    gains: NDArray[np.float32] | None = None
    states: NDArray[np.intp] | None = None

    def __len__(self) -> int:
        return len(self.centres)

    def __repr__(self) -> str:
        return f"WindowScores({len(self)} windows, {self.ratios.shape[1]} speakers)"

    @staticmethod
    def of(
        first: float, hop_seconds: float, windows: HopSums, frame_seconds: float, gains: Floats | None = None
    ) -> WindowScores:
        """Return the scores of windows around hops of which the first one begins at `first`, seconds."""
        speech = windows.speech
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = np.where(speech[:, None] > 0, windows.ratios / speech[:, None], np.nan)
            world = np.where(speech > 0, windows.world / speech, np.nan)
            silence = windows.silence.sum(axis=1) / windows.frames
        return WindowScores(
            np.asarray(first + (np.arange(len(windows)) + 0.5) * hop_seconds, dtype=np.float64),
            (speech * frame_seconds).astype(np.float32),
            ratios.astype(np.float32),
            world.astype(np.float32),
            silence.astype(np.float32),
            None if gains is None else gains.astype(np.float32),
        )

    @staticmethod
    def none(n_speakers: int) -> WindowScores:
        """No windows."""
        nothing = np.zeros(0, dtype=np.float32)
        return WindowScores(np.zeros(0), nothing, np.zeros((0, n_speakers), dtype=np.float32), nothing, nothing)

    @staticmethod
    def joined(parts: Sequence[WindowScores]) -> WindowScores:
        """Windows of all, one after the other."""
        return WindowScores(
            np.concatenate([part.centres for part in parts]),
            np.concatenate([part.speech_seconds for part in parts]),
            np.concatenate([part.ratios for part in parts]),
            np.concatenate([part.world for part in parts]),
            np.concatenate([part.silence for part in parts]),
            np.concatenate(gains) if (gains := [part.gains for part in parts if part.gains is not None]) else None,
        )
