"""Reliability diagram: a share of about p should be true of the tests that were given a probability of about p.

The points are bins of the probability (:class:`speakerid.evaluation.Bin`): its mean in the bin against the share that is
true, with Wilson's interval; on the diagonal the probabilities are what they say (DeGroot and Fienberg, "The comparison
and evaluation of forecasters", The Statistician 32, 1983, 12-22). The expected calibration error is the distance from the
diagonal, averaged over tests (Naeini, Cooper and Hauskrecht, AAAI 2015); it depends on the bins.

A log-likelihood ratio becomes a probability with a prior: 1 / (1 + exp(−llr − log(P / (1 − P)))).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from speakerid.evaluation.checks import EmptySideError, checked_scores
from speakerid.evaluation.curves import Bin, accuracy_by_bins

__all__ = ["TENTHS", "expected_calibration_error", "posterior", "reliability_curve"]

#: Edges of ten equal bins of a probability.
TENTHS = tuple(i / 10 for i in range(11))


def reliability_curve(
    probabilities: ArrayLike, outcomes: ArrayLike, edges: ArrayLike = TENTHS, *, level: float = 0.95
) -> tuple[Bin, ...]:
    """Points of the reliability diagram; bins without a test are left out.

    Parameters
    ----------
    probabilities : array-like, shape (n_tests,)
        0..1
    outcomes : array-like of bool, shape (n_tests,)
        What was given that probability is true.
    edges : array-like, shape (n_bins + 1,)
        Rising, over 0..1; :func:`speakerid.evaluation.quantile_edges` gives bins with about as many tests.
    level : float
        Of the intervals, between 0 and 1.

    Raises
    ------
    ValueError
        A probability is not in 0..1 or in no bin, or a shape is wrong.
    """
    values = checked_scores(probabilities, "probabilities")
    if len(values) and not 0 <= values.min() <= values.max() <= 1:
        raise ValueError(f"expected probabilities in 0..1, got {values.min():g}..{values.max():g}")
    return accuracy_by_bins(values, outcomes, edges, level=level)


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Mean distance of a test's bin from the diagonal, 0..1.

    Raises
    ------
    EmptySideError
        There are no bins.
    """
    n = sum(each.proportion.n for each in bins)
    if n == 0:
        raise EmptySideError("no tests in a reliability diagram")
    return sum(each.proportion.n * abs(each.mean - each.proportion.value) for each in bins) / n


def posterior(llrs: ArrayLike, p_target: float = 0.5) -> NDArray[np.float64]:
    """Probability of a target from log-likelihood ratios (nats, any shape) and a prior, 0..1.

    Raises
    ------
    ValueError
        The prior is not between 0 and 1.
    """
    if not 0 < p_target < 1:
        raise ValueError(f"prior {p_target} is not between 0 and 1")
    return np.asarray(expit(np.asarray(llrs, dtype=np.float64) + logit(p_target)), dtype=np.float64)
