"""The trade between misses and false alarms, and its corners, hull and axes.

At threshold t, "yes" when score ≥ t:

- miss rate P_miss(t): share of target trials with a score < t;
- false-alarm rate P_fa(t): share of non-target trials with a score ≥ t.

A curve has a point for each distinct score and one for "no" to all, so it begins at (P_fa, P_miss) = (1, 0) and ends at
(0, 1). Between two points it is a straight line: trials with one score, of both sides, give a slanted one, which is what a
coin would give among them.

- ROC: P_fa against 1 − P_miss. DET: the two error rates, each on the axis of its probit Φ⁻¹, where Gaussian scores give a
  straight line (Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997). Φ⁻¹(0) is
  −inf and Φ⁻¹(1) is +inf; a plot clips them.
- The ROC convex hull is the best that can be had by thresholds and coins; it is what pool-adjacent-violators makes of the
  scores (Fawcett and Niculescu-Mizil, "PAV and the ROC convex hull", Machine Learning 68, 2007, 97-106).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression
from scipy.special import ndtri

__all__ = ["Roc", "probit"]


@dataclass(frozen=True, eq=False)
class Roc:
    """Error rates by threshold.

    Attributes
    ----------
    thresholds : ndarray, shape (n_points,)
        Rising; the last is +inf and stands for "no" to all, also to a score of +inf.
    miss : ndarray, shape (n_points,)
        0..1, never falling, from 0 to 1.
    false_alarm : ndarray, shape (n_points,)
        0..1, never rising, from 1 to 0.
    """

    thresholds: NDArray[np.float64]
    miss: NDArray[np.float64]
    false_alarm: NDArray[np.float64]

    def __len__(self) -> int:
        """n_points."""
        return len(self.thresholds)

    def _only(self, which: NDArray[Any]) -> Roc:
        return Roc(self.thresholds[which], self.miss[which], self.false_alarm[which])

    @property
    def probits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points of the DET curve, probits of false alarms (x) and misses (y), (n_points,) each; ±inf at rates 0, 1."""
        return probit(self.false_alarm), probit(self.miss)

    def corners(self) -> Roc:
        """The same curve without the points inside its horizontal and vertical stretches."""
        steps = np.diff([self.miss, self.false_alarm], axis=1) != 0  # (2, n_points - 1): along which axes
        moving = self._only(np.append(steps.any(axis=0), True))  # two points are one where a score has no weight
        steps = np.diff([moving.miss, moving.false_alarm], axis=1) != 0
        inside = (steps[:, :-1] == steps[:, 1:]).all(axis=0) & ~steps[:, 1:].all(axis=0)
        return moving._only(np.r_[True, ~inside, True])

    def thinned(self, probit_step: float = 0.01) -> Roc:
        """Fewer points for a plot: of those that share a cell of the probit plane, the first; the ends stay.

        Parameters
        ----------
        probit_step : float
            Side of a cell. 0.01 is far below what a plot shows, and leaves about a thousand points of two million.
        """
        curve = self.corners()
        cells = np.floor(np.clip(curve.probits, -8.0, 8.0) / probit_step)
        kept = np.r_[True, (np.diff(cells, axis=1) != 0).any(axis=0)]
        kept[-1] = True
        return curve._only(kept)

    def hull(self) -> Roc:
        """The ROC convex hull: those points that are best for some costs, ends included."""
        targets, nontargets = np.diff(self.miss), -np.diff(self.false_alarm)  # of each step, shares of their side
        steps = np.flatnonzero(targets + nontargets > 0)
        weight = targets[steps] + nontargets[steps]
        blocks = isotonic_regression(targets[steps] / weight, weights=weight).blocks  # first step of each, and the end
        return self._only(np.append(steps[blocks[:-1]], len(self) - 1))


def probit(rate: ArrayLike) -> NDArray[np.float64]:
    """Φ⁻¹ of rates in 0..1, standard deviations; −inf at 0 and +inf at 1."""
    return np.asarray(ndtri(np.asarray(rate, dtype=np.float64)), dtype=np.float64)
