"""Tied: one covariance matrix for all components, so that only weights and means tell them apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.covariances import matrices
from speakerid.mixtures.covariances.base import Array, Float64
from speakerid.mixtures.standardisation import Standardisation

__all__ = ["Tied"]


class Tied(matrices.MatrixType):
    """Σ_k = Σ for all k; covariances (d, d)."""

    name = "tied"
    shared = True

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return d, d

    def n_free_parameters(self, k: int, d: int) -> int:
        return d * (d + 1) // 2

    def variances(self, covariances: Float64, k: int, d: int) -> Float64:
        return np.repeat(np.diagonal(covariances, axis1=-2, axis2=-1)[..., None, :], k, axis=-2)

    def matrices(self, covariances: Float64, k: int, d: int) -> Float64:
        return np.broadcast_to(covariances, (k, d, d))

    def select(self, covariances: Float64, chosen: Array) -> Float64:
        return covariances

    def second_from_unit(
        self, zeroth: Float64, first: Float64, second: Float64, standardisation: Standardisation
    ) -> Float64:
        c = standardisation.centre
        cross = np.outer(first.sum(axis=0), c)
        moved = standardisation.covariances_from_unit(second)
        return np.asarray(moved + cross + cross.T - zeroth.sum() * np.outer(c, c))

    def n_quadratic(self, d: int) -> int:
        return 0

    def quadratic(self, unit: Array, out: Array) -> None:
        return

    def natural_parameters(self, means: Float64, covariances: Float64) -> tuple[Float64, Float64, Float64]:
        precision, log_determinant = matrices.inverse(covariances)
        linear = means @ precision
        size = log_determinant[..., None] + (means * linear).sum(axis=-1)
        return linear, np.empty((*means.shape[:-1], 0)), size

    def common_precision(self, covariances: Float64) -> Float64 | None:
        return matrices.inverse(covariances)[0]

    def second_moments(self, sums: Float64, products: Float64 | None) -> Float64:
        assert products is not None
        return products

    def update(
        self, zeroth: Float64, means: Float64, second: Float64, floor: Array | float
    ) -> tuple[Float64, NDArray[np.intp]]:
        # Σ = (Σ_n x_n x_nᵀ − Σ_k N_k μ_k μ_kᵀ) / N (McLachlan and Peel 2000, section 3.3)
        weighted = zeroth[..., None] * means
        covariance = second - weighted.swapaxes(-1, -2) @ means
        covariance /= zeroth.sum(axis=-1)[..., None, None]
        covariance = 0.5 * (covariance + covariance.swapaxes(-1, -2))
        return matrices.floored(covariance, float(np.max(floor)))
