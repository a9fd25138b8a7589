"""Log-densities as one matrix product: coefficients (K, rows) @ design (rows, n).

The rows are x', 1, q(x') (see :mod:`speakerid.mixtures.covariances.base`) and zeros up to a multiple of 8, which the product
likes better. Everything is component-major, (K, n): a maximum along the first axis runs at memory speed, along a short
last axis it does not. In base 2, because exp2 is the cheaper exponential.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from speakerid.mixtures.covariances import CovarianceType, matrices
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.standardisation import Standardisation

__all__ = [
    "LN2",
    "LOG2E",
    "coefficients",
    "common_coefficients",
    "common_design",
    "complete_design",
    "design",
    "log2_sum",
    "n_rows",
    "standardisation_of",
    "standardised",
    "tiles",
    "to_original",
]

LN2 = math.log(2.0)
LOG2E = 1.0 / LN2
_TILE_VALUES = 1 << 18
Array = NDArray[Any]
Float64 = NDArray[np.float64]


def standardised(mixture: GaussianMixture, standardisation: Standardisation) -> GaussianMixture:
    """Return the mixture of the standardised frames."""
    kind = mixture.covariance_type
    means = standardisation.means_to_unit(mixture.means)
    return GaussianMixture.trusted(mixture.weights, means, kind.to_unit(mixture.covariances, standardisation), kind)


def to_original(mixture: GaussianMixture, standardisation: Standardisation) -> GaussianMixture:
    """Inverse of :func:`standardised`, with the checks of a new mixture."""
    kind = mixture.covariance_type
    means = standardisation.means_from_unit(mixture.means)
    return GaussianMixture(mixture.weights, means, kind.from_unit(mixture.covariances, standardisation), kind)


def standardisation_of(*mixtures: GaussianMixture) -> Standardisation:
    """Units of the equal-weight mixture of `mixtures`."""
    kind, share = mixtures[0].covariance_type, 1.0 / len(mixtures)
    centre = np.asarray(share * sum(m.weights @ m.means for m in mixtures))
    moments = np.zeros((len(centre), len(centre)) if kind.uses_products else len(centre))
    for m in mixtures:
        away = m.means - centre
        if kind.uses_products:
            within = np.tensordot(m.weights, kind.matrices(m.covariances, *m.means.shape), 1)
            moments += share * (within + (m.weights * away.T) @ away)
        else:
            moments += share * (m.weights @ (m.variances + np.square(away)))
    return kind.standardisation(centre, moments)


def tiles(n_frames: int, rows: int) -> Iterator[slice]:
    """Cut frames so that `rows` values a frame are about a megabyte; multiples of 64 frames."""
    step = max(_TILE_VALUES // max(rows, 1) // 64 * 64, 64)
    for first in range(0, n_frames, step):
        yield slice(first, min(first + step, n_frames))


def n_rows(kind: CovarianceType, d: int) -> int:
    """Rows of a design: x', 1, q(x'), and zeros up to a multiple of 8."""
    return -(-(d + 1 + kind.n_quadratic(d)) // 8) * 8


def complete_design(kind: CovarianceType, d: int, matrix: Array) -> None:
    """Write what follows x' and 1 in a design whose first d + 1 rows are those: (..., n_rows, n)."""
    end = d + 1 + kind.n_quadratic(d)
    kind.quadratic(matrix[..., :d, :], matrix[..., d + 1 : end, :])
    matrix[..., end:, :] = 0.0


def design(
    X: Array,
    kind: CovarianceType,
    standardisation: Standardisation,
    dtype: DTypeLike = np.float32,
    *,
    out: Array | None = None,
) -> Array:
    """Return the design of frames: (n, d) -> (n_rows, n), written to `out` if that is given."""
    n, d = X.shape
    matrix = np.empty((n_rows(kind, d), n), dtype=dtype) if out is None else out
    standardisation.unit(X, matrix[:d])
    matrix[d] = 1.0
    complete_design(kind, d, matrix)
    return matrix


def coefficients(
    kind: CovarianceType, weights: Array, means: Array, covariances: Array, log_scales: Array | float
) -> Float64:
    """What a design is multiplied with: log2 π_k N(x; μ_k, Σ_k), less what all components have in common.

    Parameters
    ----------
    kind : CovarianceType
    weights, means, covariances : ndarray, shapes (..., K), (..., K, d), and the type's
        In standardised units.
    log_scales : ndarray, shape (...), or float
        :attr:`Standardisation.log_scale`: the densities are those of the original units.

    Returns
    -------
    matrix : ndarray, shape (..., K, n_rows)
    """
    d = means.shape[-1]
    end = d + 1 + kind.n_quadratic(d)
    linear, quadratic, size = kind.natural_parameters(means, covariances)
    matrix = np.zeros((*means.shape[:-1], n_rows(kind, d)))
    matrix[..., :d] = linear
    matrix[..., d + 1 : end] = quadratic
    normaliser = 0.5 * d * math.log(2.0 * math.pi) + np.asarray(log_scales)
    matrix[..., d] = np.log(weights) - 0.5 * size - normaliser[..., None]
    matrix *= LOG2E
    return matrix


def common_coefficients(kind: CovarianceType, covariances: Array) -> Float64 | None:
    """Coefficients of −½ log2 e · xᵀ P x where it is common to all components, (..., d(d + 1)/2), or None."""
    precision = kind.common_precision(covariances)
    return None if precision is None else (-0.5 * LOG2E) * matrices.triangle(precision)


def common_design(unit: Array) -> Array:
    """All products of standardised features: (d, n) -> (d(d + 1)/2, n)."""
    d, n = unit.shape
    result = np.empty((d * (d + 1) // 2, n), dtype=unit.dtype)
    matrices.products(unit, result)
    return result


def log2_sum(logits: Array, *, axis: int = 0) -> tuple[Array, Array, Array]:
    """log2 Σ_k 2^logit over an axis that is not the last; `logits` is overwritten.

    Returns
    -------
    posterior : ndarray, shape of `logits`
        2^(logit − maximum), at least 2^-100: the overwritten `logits`, not yet divided by their sum.
    total : ndarray
        That sum, without the axis.
    log2_likelihood : ndarray
    """
    peak = logits.max(axis=axis, keepdims=True)
    logits -= peak
    # 2^-100 is nothing next to the largest term; denormal numbers would cost a factor of 8 in the product that follows.
    # As a row, because numpy's maximum with a single number is three times slower.
    np.maximum(logits, np.full(logits.shape[-1], -100.0, dtype=logits.dtype), out=logits)
    np.exp2(logits, out=logits)
    total = logits.sum(axis=axis)
    return logits, total, peak.squeeze(axis) + np.log2(total)
