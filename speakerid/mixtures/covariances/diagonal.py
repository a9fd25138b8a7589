"""Diagonal: a variance a feature and component. Features are independent given the component."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.covariances.base import Array, CovarianceType, Float64
from speakerid.mixtures.standardisation import Standardisation

__all__ = ["Diagonal"]


class Diagonal(CovarianceType):
    """Σ_k = diag σ²_k; covariances (K, d)."""

    name = "diagonal"

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return k, d

    def n_free_parameters(self, k: int, d: int) -> int:
        return k * d

    def variances(self, covariances: Float64, k: int, d: int) -> Float64:
        return covariances

    def matrices(self, covariances: Float64, k: int, d: int) -> Float64:
        return covariances[:, :, None] * np.eye(d)

    def standardisation(self, centre: Float64, moments: Float64) -> Standardisation:
        return Standardisation(centre, np.sqrt(moments))

    def to_unit(self, covariances: Float64, standardisation: Standardisation) -> Float64:
        return covariances / standardisation.scale**2

    def from_unit(self, covariances: Float64, standardisation: Standardisation) -> Float64:
        return covariances * standardisation.scale**2

    def second_from_unit(
        self, zeroth: Float64, first: Float64, second: Float64, standardisation: Standardisation
    ) -> Float64:
        c, s = standardisation.centre, standardisation.scale
        return s**2 * second + 2 * c * first - c**2 * zeroth[:, None]

    def n_quadratic(self, d: int) -> int:
        return d

    def quadratic(self, unit: Array, out: Array) -> None:
        np.square(unit, out=out)

    def natural_parameters(self, means: Float64, covariances: Float64) -> tuple[Float64, Float64, Float64]:
        precision = 1.0 / covariances
        linear = means * precision
        size = np.log(covariances)
        size += means * linear
        precision *= -0.5
        return linear, precision, size.sum(axis=-1)

    def second_moments(self, sums: Float64, products: Float64 | None) -> Float64:
        return sums

    def update(
        self, zeroth: Float64, means: Float64, second: Float64, floor: Array | float
    ) -> tuple[Float64, NDArray[np.intp]]:
        # σ²_k = S_k / N_k − μ_k² (Bishop 2006, eq. 9.25, its diagonal)
        variances = second / zeroth[..., None]
        variances -= np.square(means)
        low: NDArray[Any] = variances < floor
        np.maximum(variances, floor, out=variances)
        return variances, np.count_nonzero(low, axis=(-2, -1))
