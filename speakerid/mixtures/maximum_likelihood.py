"""M-step: from statistics to the mixture that maximises the likelihood.

μ_k = F_k / N_k,  σ²_k = S_k / N_k − μ_k²,  π_k = N_k / N  (Bishop 2006, eq. 9.24-9.26, diagonal covariance).

A variance below its floor is raised to it. The expected log-likelihood of one variance rises up to its maximum and falls
beyond, so the floored variance is the best one that is allowed, and EM with a floor still never falls. A component that
answers for less than a millionth of a frame has lost its frames: its update is 0/0, so it is removed, and reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.statistics import SufficientStatistics, by_size

__all__ = ["UpdateReport", "maximum_likelihood_update", "update_each", "variance_floor"]

_LOST_FRAMES = 1e-6


@dataclass(frozen=True)
class UpdateReport:
    """What an update had to repair.

    Attributes
    ----------
    floored : int
        Variances raised to the floor.
    removed : tuple of int
        Components that had lost their frames.
    """

    floored: int
    removed: tuple[int, ...]


def variance_floor(deviation: NDArray[np.float64], relative: float) -> NDArray[np.float64]:
    """Floors of the variances, shape (d,): `relative` × the global variance.

    Parameters
    ----------
    deviation : ndarray, shape (d,)
        Standard deviation of each feature over all frames.
    relative : float
    """
    return np.asarray(relative * deviation**2)


def maximum_likelihood_update(
    statistics: SufficientStatistics, floor: NDArray[Any] | float
) -> tuple[GaussianMixture, UpdateReport]:
    """Return the maximum-likelihood mixture of statistics, variances at least `floor`.

    Parameters
    ----------
    statistics : SufficientStatistics
    floor : ndarray, shape (d,), or float

    Raises
    ------
    ValueError
        There are no frames in the statistics.
    """
    kept = statistics.zeroth > _LOST_FRAMES
    zeroth, first, second = statistics.zeroth, statistics.first, statistics.second
    removed: tuple[int, ...] = ()
    if not kept.all():
        if not kept.any():
            raise ValueError("statistics without frames have no maximum-likelihood mixture")
        zeroth, first, second = zeroth[kept], first[kept], second[kept]
        removed = tuple(np.flatnonzero(~kept).tolist())
    weights, means, variances, low = _closed_forms(zeroth, first, second, floor)
    return GaussianMixture.trusted(weights, means, variances), UpdateReport(int(np.count_nonzero(low)), removed)


def _closed_forms(
    zeroth: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64], floor: NDArray[Any] | float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """π_k, μ_k, σ²_k and which variances were floored: (..., K), (..., K, d), (..., K, d)."""
    means = first / zeroth[..., None]
    variances = second / zeroth[..., None]
    variances -= np.square(means)
    low = variances < floor
    np.maximum(variances, floor, out=variances)
    return zeroth / zeroth.sum(axis=-1, keepdims=True), means, variances, low


def update_each(
    statistics: Sequence[SufficientStatistics], floors: Sequence[NDArray[Any]]
) -> list[tuple[GaussianMixture, UpdateReport]]:
    """Update several mixtures, as :func:`maximum_likelihood_update` does one, in one call for those of equal size.

    Parameters
    ----------
    statistics : sequence of SufficientStatistics
    floors : sequence of ndarray, shape (d,)
        As many.
    """
    result: dict[int, tuple[GaussianMixture, UpdateReport]] = {}
    for group in by_size(len(s.zeroth) for s in statistics):
        zeroth = np.stack([statistics[i].zeroth for i in group])
        if not (zeroth > _LOST_FRAMES).all():
            # some component has lost its frames: one by one, so that it can be removed
            result.update((i, maximum_likelihood_update(statistics[i], floors[i])) for i in group)
            continue
        weights, means, variances, low = _closed_forms(
            zeroth,
            np.stack([statistics[i].first for i in group]),
            np.stack([statistics[i].second for i in group]),
            np.stack([floors[i] for i in group])[:, None, :],
        )
        floored = np.count_nonzero(low, axis=(1, 2))
        for b, i in enumerate(group):
            mixture = GaussianMixture.trusted(weights[b], means[b], variances[b])
            result[i] = mixture, UpdateReport(int(floored[b]), ())
    return [result[i] for i in range(len(statistics))]
