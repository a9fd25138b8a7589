"""Figures of detection: equal error rate and detection cost.

Equal error rate (EER): the common value of miss and false-alarm rate where they cross, on the curve of
:mod:`speakerid.evaluation.roc` with straight lines between its points; there is exactly one such value. With
``hull=True`` the crossing is on the ROC convex hull (Brümmer and de Villiers, "The BOSARIS toolkit user guide", 2011),
which is never larger and never above 1/2. A system that prefers non-targets has an EER above 1/2; nothing is turned
around for it.

Detection cost (NIST speaker recognition evaluations):

    DCF(t) = C_miss P_target P_miss(t) + C_fa (1 − P_target) P_fa(t),

divided by the cost of the better of the two systems that do not listen, min(C_miss P_target, C_fa (1 − P_target)).

- minimum DCF: over all thresholds, "yes" to all and "no" to all included, so it is at most 1;
- actual DCF: at the threshold that is used, by default that of Bayes for scores that are log-likelihood ratios,
  log(C_fa (1 − P_target) / (C_miss P_target)) nats. It may be above 1: worse than not listening.

For several costs the figure is the mean of each one's, as the plan of 2016 asks.

=================  =========================  ======  =====  ======================================================
constant           P_target                   C_miss  C_fa   evaluation plan
=================  =========================  ======  =====  ======================================================
NIST_SRE_2008      0.01                       10      1      1996-2008
NIST_SRE_2010      0.001                      1       1      2010, core condition
NIST_SRE_2016      0.01 and 0.005, averaged   1       1      2016; conversational telephone speech of 2018
VOXSRC             0.05                       1       1      VoxCeleb speaker recognition challenges
=================  =========================  ======  =====  ======================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speakerid.evaluation.roc import Roc
from speakerid.evaluation.trials import DetectionTrials

__all__ = [
    "NIST_SRE_2008",
    "NIST_SRE_2010",
    "NIST_SRE_2016",
    "VOXSRC",
    "DetectionCost",
    "actual_dcf",
    "equal_error_rate",
    "equal_error_threshold",
    "minimum_dcf",
]


@dataclass(frozen=True)
class DetectionCost:
    """What errors cost and how many targets to expect.

    Attributes
    ----------
    p_target : float
        Prior probability of a target, between 0 and 1.
    c_miss, c_fa : float
        Cost of a miss and of a false alarm, > 0.

    Raises
    ------
    ValueError
        One is out of its range.
    """

    p_target: float = 0.01
    c_miss: float = 1.0
    c_fa: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.p_target < 1 and 0 < self.c_miss < math.inf and 0 < self.c_fa < math.inf):
            raise ValueError(f"need 0 < p_target < 1 and costs > 0, got {self}")

    @property
    def bayes_threshold(self) -> float:
        """Best threshold for log-likelihood ratios that are what they say, nats."""
        return math.log(self.c_fa * (1 - self.p_target)) - math.log(self.c_miss * self.p_target)

    def normalised(self, miss: ArrayLike, false_alarm: ArrayLike) -> NDArray[np.float64]:
        """Cost of error rates (0..1, one shape), 1 for the better of the systems that do not listen."""
        of_miss, of_fa = self.c_miss * self.p_target, self.c_fa * (1 - self.p_target)
        return (of_miss * np.asarray(miss) + of_fa * np.asarray(false_alarm)) / min(of_miss, of_fa)


NIST_SRE_2008 = DetectionCost(0.01, 10.0, 1.0)
NIST_SRE_2010 = DetectionCost(0.001, 1.0, 1.0)
NIST_SRE_2016 = (DetectionCost(0.01, 1.0, 1.0), DetectionCost(0.005, 1.0, 1.0))
VOXSRC = DetectionCost(0.05, 1.0, 1.0)

Costs = DetectionCost | tuple[DetectionCost, ...]


def equal_error_rate(roc: Roc, *, hull: bool = False) -> float:
    """Return the rate at which misses and false alarms are equal, 0..1.

    Parameters
    ----------
    roc : Roc
    hull : bool
        On the ROC convex hull.
    """
    curve = roc.hull() if hull else roc
    i, part = _crossing(curve)
    return float(curve.miss[i] + part * (curve.miss[i + 1] - curve.miss[i]))


def equal_error_threshold(roc: Roc) -> float:
    """Return the lowest threshold at which there are at least as many misses as false alarms (as rates)."""
    return float(roc.thresholds[_crossing(roc)[0] + 1])


def _crossing(roc: Roc) -> tuple[int, float]:
    """The last point with fewer misses than false alarms, and how far from there to the next they are equal, 0..1."""
    ahead = roc.false_alarm - roc.miss  # from 1 to −1, never rising
    i = int(np.count_nonzero(ahead > 0)) - 1
    return i, float(ahead[i] / (ahead[i] - ahead[i + 1]))


def minimum_dcf(roc: Roc, cost: Costs = NIST_SRE_2016) -> float:
    """Return the least normalised detection cost of any threshold, 0..1; of several costs the mean.

    Parameters
    ----------
    roc : Roc
    cost : DetectionCost or tuple of DetectionCost
    """
    return _mean(cost, lambda each: float(each.normalised(roc.miss, roc.false_alarm).min()))


def actual_dcf(
    trials: DetectionTrials,
    cost: Costs = NIST_SRE_2016,
    *,
    threshold: float | None = None,
    weights: ArrayLike | None = None,
) -> float:
    """Return the normalised detection cost of the decisions "score ≥ threshold", ≥ 0; of several costs the mean.

    Parameters
    ----------
    trials : DetectionTrials
        Log-likelihood ratios in nats, unless a threshold is given.
    cost : DetectionCost or tuple of DetectionCost
    threshold : float, optional
        In the units of the scores; None is the Bayes threshold of each cost.
    weights : array-like, shape (n_trials,), optional
        How often each trial counts.

    Raises
    ------
    EmptySideError
        A side has no weight.
    ValueError
        The threshold is NaN.
    """
    if threshold is not None and math.isnan(threshold):
        raise ValueError("the threshold is NaN")
    targets, nontargets = trials.sides(weights)

    def at_its_threshold(each: DetectionCost) -> float:
        yes = trials.scores >= (each.bayes_threshold if threshold is None else threshold)
        miss, false_alarm = targets[~yes].sum() / targets.sum(), nontargets[yes].sum() / nontargets.sum()
        return float(each.normalised(miss, false_alarm))

    return _mean(cost, at_its_threshold)


def _mean(cost: Costs, figure: Callable[[DetectionCost], float]) -> float:
    costs = (cost,) if isinstance(cost, DetectionCost) else cost
    return sum(map(figure, costs)) / len(costs)
