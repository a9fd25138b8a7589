"""From window scores to what every state gains in every hop, for the path through them.

The window around a hop is a recording of its own: the calibration gives each speaker's log-likelihood ratio against
somebody else for that much speech (:mod:`speakerid.scoring.calibration`), less something for being chosen among n. These
are the gains, in nats, and somebody unknown has 0. A hop has the share of them that its speech is of the window: windows
overlap, and the same speech must not count once for each.

Silence gains where the front end finds it, as much a second as the cost of a change lasts for a pause; in speech it loses
so much that it is left to those who speak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speakerid.config import TimelineConfig
from speakerid.scoring.calibration import Calibration
from speakerid.scoring.windows import HopSums

__all__ = ["Gains"]

Floats = NDArray[np.float64]

# a window can be wrong: more evidence it does not give, nats
_MOST_EVIDENCE = 8.0
# of log n: that windows in a row choose the same speaker of n is no new choice
_CHOICE = 0.7
# what a window gives for each nat a frame that a speaker is ahead, where nothing is calibrated
_UNCALIBRATED = 3.0
_SPEECH_LOSS = 10.0  # nats a second
_SILENCE_ENTRY = 0.1  # of the cost of a pause
_LEAST_SPEECH_SECONDS = 0.1


@dataclass(frozen=True, eq=False)
class Gains:
    """Makes gains. States are the speakers, then somebody unknown if there may be one, then silence.

    Attributes
    ----------
    settings : TimelineConfig
    frame_seconds : float
    expected : ndarray, shape (n_speakers,)
        τ_s of the calibration.
    calibration : Calibration or None
        Without it there is nobody unknown, and the best speaker of a window is ahead by the likelihood alone.
    window_seconds : float
    closed_set : bool
        Nobody is unknown.
    """

    settings: TimelineConfig
    frame_seconds: float
    expected: Floats
    calibration: Calibration | None
    window_seconds: float
    closed_set: bool = False

    @property
    def has_unknown(self) -> bool:
        """Whether the state after the speakers is somebody unknown."""
        return self.calibration is not None and not self.closed_set

    @property
    def silence(self) -> int:
        """Number of the last state."""
        return len(self.expected) + self.has_unknown

    def costs(self) -> Floats:
        """Cost of entering each state, (n_states,)."""
        costs = np.full(self.silence + 1, self.settings.change_cost)
        costs[-1] = _SILENCE_ENTRY * self._silence_gain
        return costs

    def shortest(self, hop_seconds: float) -> NDArray[np.intp]:
        """Hops that each state lasts at least, (n_states,)."""
        seconds = np.full(self.silence + 1, self.settings.shortest_turn_seconds)
        seconds[-1] = self.settings.shortest_silence_seconds
        return np.maximum(np.round(seconds / hop_seconds), 1).astype(np.intp)

    @property
    def _silence_gain(self) -> float:
        """Of a second: a pause of the longest length gains what it costs to come back from it."""
        return max(self.settings.change_cost, 1e-3) / self.settings.longest_pause_seconds

    def __call__(self, hops: HopSums, windows: HopSums) -> Floats:
        """Gains of hops by the windows around them, (n_hops, n_states)."""
        gains = np.zeros((len(hops), self.silence + 1))
        there = windows.speech * self.frame_seconds >= _LEAST_SPEECH_SECONDS
        if there.any():
            voices = self._evidence(windows[there])
            voices -= voices.max(axis=1, keepdims=True)
            share = hops.speech[there] * self.frame_seconds / self.window_seconds
            gains[there, :-1] = np.maximum(voices, -_MOST_EVIDENCE) * share[:, None]
        gains[:, -1] = hops.silence @ (np.array([self._silence_gain, _SPEECH_LOSS]) * self.frame_seconds)
        return gains

    def _evidence(self, windows: HopSums) -> Floats:
        """By how much each window speaks for each voice, nats, but for a constant."""
        mean = windows.ratios / windows.speech[:, None]
        if self.calibration is None:
            return _UNCALIBRATED * mean
        ratios = self.calibration.ratios(mean, windows.speech * self.frame_seconds, self.expected)
        if not self.has_unknown:
            return ratios
        chosen = ratios - _CHOICE * np.log(ratios.shape[1])
        return np.column_stack([chosen, np.zeros(len(chosen))])
