"""Full: a covariance matrix a component; it knows how features move together, and has d/2 times the parameters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.covariances import matrices
from speakerid.mixtures.covariances.base import Array, Float64
from speakerid.mixtures.standardisation import Standardisation

__all__ = ["Full"]


class Full(matrices.MatrixType):
    """Σ_k symmetric and positive definite; covariances (K, d, d)."""

    name = "full"

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return k, d, d

    def n_free_parameters(self, k: int, d: int) -> int:
        return k * d * (d + 1) // 2

    def variances(self, covariances: Float64, k: int, d: int) -> Float64:
        return np.diagonal(covariances, axis1=-2, axis2=-1)

    def matrices(self, covariances: Float64, k: int, d: int) -> Float64:
        return covariances

    def second_from_unit(
        self, zeroth: Float64, first: Float64, second: Float64, standardisation: Standardisation
    ) -> Float64:
        c = standardisation.centre
        cross = first[:, :, None] * c
        moved = standardisation.covariances_from_unit(second)
        return moved + cross + cross.swapaxes(1, 2) - zeroth[:, None, None] * np.outer(c, c)

    def n_quadratic(self, d: int) -> int:
        return d * (d + 1) // 2

    def quadratic(self, unit: Array, out: Array) -> None:
        matrices.products(unit, out)

    def natural_parameters(self, means: Float64, covariances: Float64) -> tuple[Float64, Float64, Float64]:
        precision, log_determinant = matrices.inverse(covariances)
        linear = (precision @ means[..., None])[..., 0]
        return linear, -0.5 * matrices.triangle(precision), log_determinant + (means * linear).sum(axis=-1)

    def second_moments(self, sums: Float64, products: Float64 | None) -> Float64:
        return matrices.from_triangle(sums, round((np.sqrt(8 * sums.shape[-1] + 1) - 1) / 2))

    def update(
        self, zeroth: Float64, means: Float64, second: Float64, floor: Array | float
    ) -> tuple[Float64, NDArray[np.intp]]:
        # Σ_k = S_k / N_k − μ_k μ_kᵀ (Bishop 2006, eq. 9.25)
        covariances = second / zeroth[..., None, None]
        covariances -= means[..., :, None] * means[..., None, :]
        covariances, raised = matrices.floored(covariances, float(np.max(floor)))
        return covariances, raised.sum(axis=-1)
