"""Symmetric matrices: what the tied and the full type share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.covariances.base import Array, CovarianceType, Float64
from speakerid.mixtures.standardisation import Standardisation, Whitening

__all__ = ["MatrixType", "check_matrices", "floored", "from_triangle", "inverse", "products", "triangle"]


# of the mean variance: an eigenvalue below this cannot be told from that of a singular matrix
_LEAST_SHARE = 1e-10


def products(unit: Array, out: Array) -> None:
    """All products x_i x_j with i ≤ j, row after row of the upper triangle: (..., d, n) -> (..., d(d + 1)/2, n)."""
    d = unit.shape[-2]
    begin = 0
    for i in range(d):
        np.multiply(unit[..., i : i + 1, :], unit[..., i:, :], out=out[..., begin : begin + d - i, :])
        begin += d - i


def triangle(matrix: Float64) -> Float64:
    """Coefficients c of xᵀ M x = c · products(x), M symmetric: (..., d, d) -> (..., d(d + 1)/2)."""
    rows, columns = np.triu_indices(matrix.shape[-1])
    return np.asarray(matrix[..., rows, columns] * np.where(rows == columns, 1.0, 2.0))


def from_triangle(values: Float64, d: int) -> Float64:
    """The symmetric matrix whose upper triangle is given: (..., d(d + 1)/2) -> (..., d, d)."""
    rows, columns = np.triu_indices(d)
    matrix = np.empty((*values.shape[:-1], d, d))
    matrix[..., rows, columns] = values
    matrix[..., columns, rows] = values
    return matrix


def check_matrices(covariances: Float64) -> None:
    """Raise ValueError unless the matrices (..., d, d) are symmetric and positive definite."""
    transposed = covariances.swapaxes(-1, -2)
    if not np.allclose(covariances, transposed, rtol=1e-6, atol=1e-12 * np.abs(covariances).max(initial=0.0)):
        raise ValueError("a mixture needs symmetric covariance matrices")
    try:
        np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        raise ValueError("a mixture needs positive definite covariance matrices") from None


def inverse(covariances: Float64) -> tuple[Float64, Float64]:
    """P = Σ⁻¹ (..., d, d) and log|Σ| (...), by Cholesky factors."""
    factor = np.linalg.cholesky(definite(covariances))
    inverted = np.linalg.inv(factor)
    log_determinant = 2.0 * np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1)
    return inverted.swapaxes(-1, -2) @ inverted, log_determinant


def definite(covariances: Float64) -> Float64:
    """The matrices, those raised to the least floor whose own floor of nearly nothing was lost to rounding."""
    try:
        np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        if covariances.ndim > 2:
            return np.stack([definite(matrix) for matrix in covariances])
        return floored(covariances, 0.0)[0]
    return covariances


def floored(covariances: Float64, floor: float) -> tuple[Float64, NDArray[np.intp]]:
    """Raise eigenvalues below `floor` (and below 1e-10 of their mean) to it; return the matrices and how many each had.

    Of all covariances with eigenvalues of at least the floor it is the one of largest likelihood: as a function of one
    eigenvalue the expected log-likelihood rises up to its maximum and falls beyond.
    """
    d = covariances.shape[-1]
    least = np.maximum(floor, _LEAST_SHARE * np.trace(covariances, axis1=-2, axis2=-1) / d)
    try:
        np.linalg.cholesky(covariances - least[..., None, None] * np.eye(d))
    except np.linalg.LinAlgError:
        if covariances.ndim > 2:
            # each by itself, so that what rounding decides does not depend on its neighbours
            each = [floored(matrix, floor) for matrix in covariances]
            return np.stack([matrix for matrix, _count in each]), np.stack([count for _matrix, count in each])
        values, vectors = np.linalg.eigh(covariances)
        raised = (vectors * np.maximum(values, least)) @ vectors.T
        return 0.5 * (raised + raised.T), np.asarray(np.count_nonzero(values < least))
    return covariances, np.zeros(covariances.shape[:-2], dtype=np.intp)


class MatrixType(CovarianceType):
    """A type of covariance matrices: units, checks and floors of the tied and the full one."""

    uses_products = True

    def check(self, covariances: Float64) -> None:
        check_matrices(covariances)

    def standardisation(self, centre: Float64, moments: Float64) -> Standardisation:
        return Whitening.of_covariance(centre, moments)

    def to_unit(self, covariances: Float64, standardisation: Standardisation) -> Float64:
        return standardisation.covariances_to_unit(covariances)

    def from_unit(self, covariances: Float64, standardisation: Standardisation) -> Float64:
        return definite(standardisation.covariances_from_unit(covariances))

    def floored(self, covariances: Float64, floor: Array | float) -> tuple[Float64, int]:
        raised, count = floored(covariances, float(np.max(floor)))
        return raised, int(count.sum())

    def smallest(self, covariances: Float64) -> float:
        return float(np.linalg.eigvalsh(covariances).min())
