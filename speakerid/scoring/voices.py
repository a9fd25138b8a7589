"""Whether more than one voice speaks in a recording that was to be of one.

The recording comes as sums of log-likelihood ratios over blocks of speech (:meth:`AdaptedStack.block_ratios`). The best
speaker of the whole, A, is compared with every other speaker s: of all ways to give each block to A or to s, the best one
is found by dynamic programming (Viterbi), where each change of the voice costs as much as half a second of A. What is
found that way is believed only when the calibration says so of the stretches themselves:

- *two who are enrolled*: in A's stretches A is the best and would be named, in those of s it is s, and each is refused in
  the other's;
- *one who is enrolled and somebody else*: blocks go to "somebody else" where A fits less than half as well as in A's good
  blocks; A would be named in A's stretches and is clearly refused in the others.

A voice that never speaks for 1.5 s in a row is not noticed, and recordings with less than 4 s of speech are not judged. Two
strangers are not noticed either: neither has a model, and the answer is "unknown" as it should be.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speakerid.scoring.calibration import Calibration

__all__ = ["LEAST_SECONDS", "Turn", "several_voices"]

Floats = NDArray[np.float64]

#: Recordings with less speech are not judged, seconds.
LEAST_SECONDS = 4.0
_LEAST_VOICE_SECONDS = 1.5
_SWITCH_SECONDS = 0.5
# by which a voice is named in its own stretches; where nobody else has to be named, a stranger's best part must not be
_RATE_OF_TWO, _RATE_OF_ONE = 0.01, 0.005
# calibrated ratios less log n, in the other's stretches: below this is refused, and clearly refused
_REFUSED, _CLEARLY_REFUSED = -1.0, -5.0
_GOOD_BLOCKS, _HALF_AS_WELL, _LEAST_LEVEL = 0.75, 0.5, 0.5


@dataclass(frozen=True)
class Turn:
    """Blocks in a row of one voice.

    Attributes
    ----------
    speaker : int or None
        Column of the speaker; None is somebody who is not recognised.
    first, end : int
        Blocks, `end` excluded.
    """

    speaker: int | None
    first: int
    end: int


def several_voices(
    ratios: Floats, frames: NDArray[np.integer], frame_seconds: float, calibration: Calibration, expected: Floats
) -> tuple[Turn, ...]:
    """Tell the voices of a recording apart, if there are several.

    Parameters
    ----------
    ratios : ndarray, shape (n_blocks, n_speakers)
        Sums of log-likelihood ratios to the world model over the frames of each block, nats.
    frames : ndarray of int, shape (n_blocks,)
        Speech frames of each block, at least one.
    frame_seconds : float
    calibration : Calibration
    expected : ndarray, shape (n_speakers,)
        τ_s; see :mod:`speakerid.scoring.calibration`.

    Returns
    -------
    turns : tuple of Turn
        All blocks, in order; empty when nothing speaks for a second voice.
    """
    seconds = frames * frame_seconds
    if seconds.sum() < LEAST_SECONDS:
        return ()
    parts = _Parts(ratios, frames, frame_seconds, calibration, expected)
    best = int(ratios.sum(axis=0).argmax())
    return _two_enrolled(parts, best) or _one_and_a_stranger(parts, best)


@dataclass(frozen=True, eq=False)
class _Parts:
    """A recording whose parts can be asked about."""

    ratios: Floats
    frames: NDArray[np.integer]
    frame_seconds: float
    calibration: Calibration
    expected: Floats

    def long_enough(self, chosen: NDArray[np.bool_]) -> bool:
        """Whether both voices speak for long enough without the other: flickering is no dialogue."""
        starts = np.flatnonzero(np.diff(chosen, prepend=not chosen[0]))
        seconds = np.add.reduceat(self.frames, starts) * self.frame_seconds
        second = chosen[starts]
        return bool(min(seconds[second].max(initial=0.0), seconds[~second].max(initial=0.0)) >= _LEAST_VOICE_SECONDS)

    def evidence(self, chosen: NDArray[np.bool_]) -> Floats:
        """Calibrated ratios of the chosen blocks as one recording, less log n: (n_speakers,)."""
        count = self.frames[chosen].sum()
        mean = self.ratios[chosen].sum(axis=0) / count
        asked = self.calibration.ratios(mean[None, :], np.array([count * self.frame_seconds]), self.expected)
        return np.asarray(asked[0] - np.log(len(mean)))


def _two_enrolled(parts: _Parts, best: int) -> tuple[Turn, ...]:
    if parts.ratios.shape[1] < 2:
        return ()
    gains = parts.ratios - parts.ratios[:, [best]]
    switch = float(parts.expected[best]) * _SWITCH_SECONDS / parts.frame_seconds
    taken, total = _best_paths(gains, switch)
    total[best] = -np.inf
    other = int(total.argmax())
    chosen = taken[:, other]
    if not parts.long_enough(chosen):
        return ()
    here, there = parts.evidence(~chosen), parts.evidence(chosen)
    naming = parts.calibration.naming_threshold(_RATE_OF_TWO)
    named = here.argmax() == best and there.argmax() == other and min(here[best], there[other]) >= naming
    refused = max(here[other], there[best]) < _REFUSED
    return _turns(chosen, best, other) if named and refused else ()


def _one_and_a_stranger(parts: _Parts, best: int) -> tuple[Turn, ...]:
    own = parts.ratios[:, best]
    level = float(np.quantile(own / parts.frames, _GOOD_BLOCKS))
    switch = max(level, _LEAST_LEVEL) * _SWITCH_SECONDS / parts.frame_seconds
    taken, _total = _best_paths((_HALF_AS_WELL * level * parts.frames - own)[:, None], switch)
    chosen = taken[:, 0]
    if not parts.long_enough(chosen):
        return ()
    here, there = parts.evidence(~chosen), parts.evidence(chosen)
    named = here.argmax() == best and here[best] >= parts.calibration.naming_threshold(_RATE_OF_ONE)
    clear = named and there[best] < _CLEARLY_REFUSED
    return _turns(chosen, best, None) if clear else ()


def _best_paths(gains: Floats, switch: float) -> tuple[NDArray[np.bool_], Floats]:
    """Give each block to one of two voices so that the sum of the gains less the cost of all changes is largest.

    Parameters
    ----------
    gains : ndarray, shape (n_blocks, n)
        By how much the second voice is better, for n choices of it, nats.
    switch : float
        Cost of a change, nats.

    Returns
    -------
    second : ndarray of bool, shape (n_blocks, n)
        Blocks of the second voice.
    total : ndarray, shape (n,)
        The sum that is reached; 0 is all blocks to the first voice.
    """
    came_back, went = (np.zeros(gains.shape, dtype=np.bool_) for _ in range(2))
    first, second = np.zeros(gains.shape[1]), gains[0].copy()
    for block in range(1, len(gains)):
        came_back[block], went[block] = second - switch > first, first - switch > second
        first, second = np.maximum(first, second - switch), np.maximum(second, first - switch) + gains[block]
    taken = np.empty(gains.shape, dtype=np.bool_)
    taken[-1] = second > first
    for block in range(len(gains) - 1, 0, -1):
        taken[block - 1] = np.where(taken[block], ~went[block], came_back[block])
    return taken, np.maximum(first, second)


def _turns(chosen: NDArray[np.bool_], first: int, second: int | None) -> tuple[Turn, ...]:
    edges = [0, *(np.flatnonzero(np.diff(chosen)) + 1).tolist(), len(chosen)]
    return tuple(Turn(second if chosen[a] else first, a, b) for a, b in itertools.pairwise(edges))
