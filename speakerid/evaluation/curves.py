"""Accuracy against something measured: seconds of test speech, seconds of enrolment, number of enrolled speakers.

A bin holds the tests with low ≤ covariate < high; the last bin also those at its upper edge, so that nothing at the
maximum is lost. A test outside all bins is an error, never left out in silence. Bins without a test are not returned.

Each bin has Wilson's interval (:mod:`speakerid.evaluation.proportions`), which takes tests for independent; where many
tests are of one speaker the truth is wider (:func:`speakerid.evaluation.bootstrap`).

For what accuracy a smaller set of speakers would have, from the scores of the whole set, see
:func:`speakerid.evaluation.expected_accuracy_by_size`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speakerid.evaluation.checks import checked_flags
from speakerid.evaluation.proportions import Proportion

__all__ = ["SECONDS_EDGES", "Bin", "accuracy_by_bins", "accuracy_by_value", "quantile_edges"]

#: Edges for seconds of speech, about equal steps on a logarithmic scale.
SECONDS_EDGES = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, math.inf)


@dataclass(frozen=True)
class Bin:
    """Tests with low ≤ covariate < high (≤ high in the last bin).

    Attributes
    ----------
    low, high : float
        Edges, in the covariate's unit; equal when the bin is of one value.
    mean : float
        Of the covariate over the tests of the bin: where to draw it.
    proportion : Proportion
        Right tests of all, one or more.
    interval : tuple of float
        Wilson's, low and high, 0..1.
    """

    low: float
    high: float
    mean: float
    proportion: Proportion
    interval: tuple[float, float]


def accuracy_by_bins(
    covariate: ArrayLike, right: ArrayLike, edges: ArrayLike = SECONDS_EDGES, *, level: float = 0.95
) -> tuple[Bin, ...]:
    """Share of right tests by bin of the covariate.

    Parameters
    ----------
    covariate : array-like, shape (n_tests,)
        Finite; seconds for the default edges.
    right : array-like of bool, shape (n_tests,)
    edges : array-like, shape (n_bins + 1,)
        Rising; the outer ones may be infinite.
    level : float
        Of the intervals, between 0 and 1.

    Raises
    ------
    ValueError
        A covariate is not finite or outside the edges, the edges do not rise, or a shape is wrong.
    """
    values, flags = _checked(covariate, right)
    limits = np.asarray(edges, dtype=np.float64)
    if limits.ndim != 1 or len(limits) < 2 or not (np.diff(limits) > 0).all():
        raise ValueError(f"expected two or more rising edges, got {limits.tolist()}")
    outside = (values < limits[0]) | (values > limits[-1])
    if outside.any():
        worst = values[outside][0]
        raise ValueError(f"{int(outside.sum())} tests are outside {limits[0]:g}..{limits[-1]:g}, such as {worst:g}")
    which = np.minimum(np.searchsorted(limits, values, side="right") - 1, len(limits) - 2)
    return tuple(
        _bin(float(limits[i]), float(limits[i + 1]), values[which == i], flags[which == i], level)
        for i in np.unique(which).tolist()
    )


def accuracy_by_value(covariate: ArrayLike, right: ArrayLike, *, level: float = 0.95) -> tuple[Bin, ...]:
    """Share of right tests for each distinct value of the covariate, rising; for counts, such as enrolled speakers.

    Parameters and errors as in :func:`accuracy_by_bins`.
    """
    values, flags = _checked(covariate, right)
    return tuple(_bin(v, v, values[values == v], flags[values == v], level) for v in np.unique(values).tolist())


def quantile_edges(covariate: ArrayLike, n_bins: int) -> NDArray[np.float64]:
    """Edges of at most `n_bins` bins with about as many tests each, (n_bins + 1,); fewer when values repeat.

    Raises
    ------
    ValueError
        There are no tests, one is not finite, or n_bins < 1.
    """
    values = np.asarray(covariate, dtype=np.float64)
    if n_bins < 1 or values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError("expected one or more finite values and one or more bins")
    edges = np.unique(np.quantile(values, np.linspace(0, 1, n_bins + 1)))
    return edges if len(edges) > 1 else np.array([edges[0], np.nextafter(edges[0], np.inf)])


def _checked(covariate: ArrayLike, right: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values = np.asarray(covariate, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError("expected one finite covariate for each test")
    return values, checked_flags(right, len(values), "right tests")


def _bin(low: float, high: float, values: NDArray[np.float64], right: NDArray[np.bool_], level: float) -> Bin:
    proportion = Proportion(int(right.sum()), len(right))
    return Bin(low, high, float(values.mean()), proportion, proportion.interval(level))
