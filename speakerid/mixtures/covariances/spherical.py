"""Spherical: one variance a component, the same in all directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.covariances.base import Array, CovarianceType, Float64
from speakerid.mixtures.standardisation import Standardisation

__all__ = ["Spherical"]


class Spherical(CovarianceType):
    """Σ_k = σ²_k I; covariances (K,)."""

    name = "spherical"

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (k,)

    def n_free_parameters(self, k: int, d: int) -> int:
        return k

    def variances(self, covariances: Float64, k: int, d: int) -> Float64:
        return np.repeat(covariances[..., None], d, axis=-1)

    def matrices(self, covariances: Float64, k: int, d: int) -> Float64:
        return covariances[:, None, None] * np.eye(d)

    def standardisation(self, centre: Float64, moments: Float64) -> Standardisation:
        # one scale for all features: a sphere must stay a sphere
        return Standardisation(centre, np.full(len(centre), np.sqrt(moments.mean())))

    def to_unit(self, covariances: Float64, standardisation: Standardisation) -> Float64:
        return np.asarray(covariances / standardisation.scale[0] ** 2)

    def from_unit(self, covariances: Float64, standardisation: Standardisation) -> Float64:
        return np.asarray(covariances * standardisation.scale[0] ** 2)

    def second_from_unit(
        self, zeroth: Float64, first: Float64, second: Float64, standardisation: Standardisation
    ) -> Float64:
        c, s = standardisation.centre, standardisation.scale
        return np.asarray(s[0] ** 2 * second + 2 * first @ c - (c @ c) * zeroth)

    def n_quadratic(self, d: int) -> int:
        return 1

    def quadratic(self, unit: Array, out: Array) -> None:
        np.square(unit).sum(axis=-2, out=out[..., 0, :])

    def natural_parameters(self, means: Float64, covariances: Float64) -> tuple[Float64, Float64, Float64]:
        precision = 1.0 / covariances
        linear = means * precision[..., None]
        size = means.shape[-1] * np.log(covariances) + (means * linear).sum(axis=-1)
        return linear, -0.5 * precision[..., None], size

    def second_moments(self, sums: Float64, products: Float64 | None) -> Float64:
        return sums[..., 0]

    def update(
        self, zeroth: Float64, means: Float64, second: Float64, floor: Array | float
    ) -> tuple[Float64, NDArray[np.intp]]:
        # σ²_k = tr Σ_k / d, the closest sphere (Bishop 2006, eq. 9.25, the mean of its diagonal)
        variances = (second / zeroth - np.square(means).sum(axis=-1)) / means.shape[-1]
        low = variances < floor
        return np.maximum(variances, floor), np.count_nonzero(low, axis=-1)
