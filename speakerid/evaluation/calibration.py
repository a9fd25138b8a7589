"""Are log-likelihood ratios what they say? Cllr, its minimum, and the best ratios the order of the scores allows.

Cllr is the cost of a log-likelihood ratio averaged over all applications, in bits:

    Cllr = 1/2 mean over targets of log₂(1 + exp(−llr)) + 1/2 mean over non-targets of log₂(1 + exp(llr)).

0 is perfect, 1 is a system that always says llr = 0, and beyond 1 it would be better not to listen; one target of −inf or
one non-target of +inf makes it infinite. Scores are natural log-likelihood ratios (nats).

The minimum Cllr is what is left when the scores are calibrated as well as their order allows: pool-adjacent-violators
(PAV) finds the never-falling map of scores to probabilities with the least Cllr, on the trials themselves. Cllr − minimum
Cllr is the loss by calibration. Trials with one score get one ratio. Rules at the ends:

- a lowest stretch of only non-targets gets −inf and a highest of only targets +inf; they cost nothing. The minimum Cllr
  is taken so, as in the BOSARIS toolkit (`opt_loglr` with option `raw`).
- :func:`optimal_llrs` does the same, or with ``ends="laplace"`` first adds a target and a non-target beyond each end, as
  `opt_loglr` does by default (Laplace's rule of succession), which keeps all ratios finite. The small slope that the
  toolkit adds to keep equal ratios in order is left out.

N. Brümmer and J. du Preez, "Application-independent evaluation of speaker detection", Computer Speech and Language 20
(2006), 230-275. N. Brümmer and E. de Villiers, "The BOSARIS toolkit user guide", 2011.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from speakerid.evaluation.roc import Roc
from speakerid.evaluation.trials import DetectionTrials

__all__ = ["cllr", "minimum_cllr", "optimal_llrs"]


def cllr(trials: DetectionTrials, weights: ArrayLike | None = None) -> float:
    """Return Cllr, bits: 0..inf.

    Parameters
    ----------
    trials : DetectionTrials
        Log-likelihood ratios, nats.
    weights : array-like, shape (n_trials,), optional
        How often each trial counts.

    Raises
    ------
    EmptySideError
        A side has no weight.
    """
    result = 0.0
    for side, sign in zip(trials.sides(weights), (-1.0, 1.0), strict=True):
        counted = side > 0
        cost = np.logaddexp(0.0, sign * trials.scores[counted])
        result += float(side[counted] @ cost) / float(side.sum())
    return result / (2 * math.log(2))


def minimum_cllr(roc: Roc, *, unjudged_below: bool = False) -> float:
    """Return Cllr after the best never-falling map of the scores, bits: 0..1.

    Each straight piece of the ROC convex hull is a block of trials with one ratio: its share of the targets over its share
    of the non-targets.

    Parameters
    ----------
    roc : Roc
    unjudged_below : bool
        Trials with a score of −inf are those that could not be judged: no map of scores is for them, they keep a ratio of 1
        and cost a bit, as in :func:`cllr` when their ratio is 0.
    """
    unjudged = 0.0
    if unjudged_below and np.isneginf(roc.thresholds[0]):
        unjudged = float(roc.miss[1] + 1.0 - roc.false_alarm[1]) / 2
        roc = Roc(roc.thresholds[1:], roc.miss[1:], roc.false_alarm[1:])
        if len(roc) < 2:
            return unjudged
    hull = roc.hull()
    targets, nontargets = np.diff(hull.miss), -np.diff(hull.false_alarm)
    both = (targets > 0) & (nontargets > 0)  # the others cost nothing
    t, n = targets[both], nontargets[both]
    return unjudged + float(np.sum(t * np.log1p(n / t) + n * np.log1p(t / n))) / (2 * math.log(2))


def optimal_llrs(
    trials: DetectionTrials, weights: ArrayLike | None = None, *, ends: Literal["infinite", "laplace"] = "infinite"
) -> NDArray[np.float64]:
    """Log-likelihood ratios by pool-adjacent-violators, nats, in the order of the trials.

    Parameters
    ----------
    trials : DetectionTrials
    weights : array-like, shape (n_trials,), optional
        How often each trial counts; one that does not count gets the ratio of the scores around it.
    ends : {"infinite", "laplace"}
        What becomes of stretches of one side at the ends, see the module.

    Returns
    -------
    llrs : ndarray, shape (n_trials,)

    Raises
    ------
    EmptySideError
        A side has no weight.
    """
    of_targets, of_nontargets = trials.sides(weights)
    extra = [1.0] if ends == "laplace" else [0.0]
    targets = np.concatenate([extra, trials.of_each_score(of_targets), extra])
    nontargets = np.concatenate([extra, trials.of_each_score(of_nontargets), extra])
    steps = np.flatnonzero(targets + nontargets > 0)
    weight = targets[steps] + nontargets[steps]
    blocks = isotonic_regression(targets[steps] / weight, weights=weight).blocks[:-1]
    t, n = (np.add.reduceat(side[steps], blocks) for side in (targets, nontargets))
    with np.errstate(divide="ignore"):
        odds = np.log(t) - np.log(n)  # at most one of the two is −inf
    prior_odds = math.log(of_targets.sum()) - math.log(of_nontargets.sum())
    block_of_step = np.searchsorted(blocks, np.arange(len(steps)), side="right") - 1
    step_of_score = np.searchsorted(steps, np.arange(1, len(targets) - 1), side="right") - 1
    each = odds[block_of_step[np.maximum(step_of_score, 0)]] - prior_odds
    return np.asarray(each[trials.of_score_index()], dtype=np.float64)
