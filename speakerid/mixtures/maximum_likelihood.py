"""M-step: from statistics to the mixture that maximises the likelihood.

μ_k = F_k / N_k,  σ²_k = S_k / N_k − μ_k²,  π_k = N_k / N  (Bishop 2006, eq. 9.24-9.26, diagonal covariance).

A variance below its floor is raised to it. The expected log-likelihood of one variance rises up to its maximum and falls
beyond, so the floored variance is the best one that is allowed, and EM with a floor still never falls. A component that
answers for less than a millionth of a frame has lost its frames: its update is 0/0, so it is removed, and reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.statistics import SufficientStatistics

__all__ = ["UpdateReport", "maximum_likelihood_update", "variance_floor"]

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
    means = first / zeroth[:, None]
    variances = second / zeroth[:, None]
    variances -= np.square(means)
    floored = int(np.count_nonzero(variances < floor))
    np.maximum(variances, floor, out=variances)
    return GaussianMixture.trusted(zeroth / zeroth.sum(), means, variances), UpdateReport(floored, removed)
