"""M-step: from statistics to the mixture that maximises the likelihood.

π_k = N_k / N,  μ_k = F_k / N_k,  Σ_k = S_k / N_k − μ_k μ_kᵀ  (Bishop 2006, eq. 9.24-9.26), the last in the form of the
covariance type.

A variance (an eigenvalue of a covariance matrix) below its floor is raised to it. The expected log-likelihood of one
variance rises up to its maximum and falls beyond, so the floored one is the best that is allowed, and EM with a floor
still never falls. A component that answers for less than a millionth of a frame has lost its frames: its update is 0/0,
so it is removed, and reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.covariances import CovarianceType
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.statistics import SufficientStatistics, by_size

__all__ = ["UpdateReport", "maximum_likelihood_update", "update_each"]

_LOST_FRAMES = 1e-6


@dataclass(frozen=True)
class UpdateReport:
    """What an update had to repair.

    Attributes
    ----------
    floored : int
        Variances (of full and tied types: eigenvalues) raised to the floor.
    removed : tuple of int
        Components that had lost their frames.
    """

    floored: int
    removed: tuple[int, ...]


def maximum_likelihood_update(
    statistics: SufficientStatistics, floor: NDArray[Any] | float
) -> tuple[GaussianMixture, UpdateReport]:
    """Return the maximum-likelihood mixture of statistics, variances at least `floor`.

    Parameters
    ----------
    statistics : SufficientStatistics
    floor : float, or for the diagonal type also ndarray, shape (d,)
        In the units of the statistics, squared; above 0.

    Raises
    ------
    ValueError
        There are no frames in the statistics, or the floor is not above 0.
    """
    if not (np.asarray(floor) > 0).all():
        raise ValueError(f"expected a floor above 0, got {floor}")
    ((mixture, report),) = update_each([statistics], floor, statistics.covariance_type)
    return GaussianMixture(mixture.weights, mixture.means, mixture.covariances, mixture.covariance_type), report


def update_each(
    statistics: Sequence[SufficientStatistics], floor: NDArray[Any] | float, kind: CovarianceType
) -> list[tuple[GaussianMixture, UpdateReport]]:
    """Update several mixtures of one type and floor, as :func:`maximum_likelihood_update` does one."""
    result: dict[int, tuple[GaussianMixture, UpdateReport]] = {}
    removed: dict[int, tuple[int, ...]] = {}
    kept: list[SufficientStatistics] = []
    for i, s in enumerate(statistics):
        lost = s.zeroth <= _LOST_FRAMES
        if lost.all():
            raise ValueError("statistics without frames have no maximum-likelihood mixture")
        removed[i] = tuple(np.flatnonzero(lost).tolist())
        kept.append(_without(s, ~lost, kind) if removed[i] else s)
    for group in by_size(len(s.zeroth) for s in kept):
        zeroth = np.stack([kept[i].zeroth for i in group])
        weights = zeroth / zeroth.sum(axis=1, keepdims=True)  # 9.26
        means = np.stack([kept[i].first for i in group]) / zeroth[:, :, None]  # 9.24
        second = np.stack([kept[i].second for i in group])
        covariances, floored = kind.update(zeroth, means, second, floor)  # 9.25
        for b, i in enumerate(group):
            mixture = GaussianMixture.trusted(weights[b], means[b], covariances[b], kind)
            result[i] = mixture, UpdateReport(int(floored[b]), removed[i])
    return [result[i] for i in range(len(statistics))]


def _without(statistics: SufficientStatistics, chosen: NDArray[Any], kind: CovarianceType) -> SufficientStatistics:
    return SufficientStatistics(
        statistics.n_frames,
        statistics.log_likelihood,
        statistics.zeroth[chosen],
        statistics.first[chosen],
        kind.select(statistics.second, chosen),
        kind,
    )
