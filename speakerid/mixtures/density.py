"""Log-densities as one matrix product.

For a diagonal Gaussian, log2 π_k N(x; μ_k, σ²_k) is linear in [x, x², 1] (Bishop 2006, eq. 2.43 multiplied out):

    log2 e · ( log π_k − ½ Σ_d (log 2πσ²_kd + μ²_kd/σ²_kd) + Σ_d x_d μ_kd/σ²_kd − ½ Σ_d x²_d/σ²_kd )

so a tile of frames costs one product (K, 2d + 1) @ (2d + 1, n), padded with zeros to a multiple of 8. Everything is
component-major, (K, n): a maximum along the first axis runs at memory speed, along a short last axis it does not. Two
things keep float32 exact enough: frames are centred and scaled first (multiplying out x² − 2xμ + μ² loses digits far
from the origin), and sums over frames are float64. Base 2, because exp2 is the cheaper exponential.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from speakerid.mixtures.gaussian_mixture import GaussianMixture

__all__ = [
    "LN2",
    "Standardisation",
    "checked_frames",
    "coefficients",
    "component_log_densities",
    "design",
    "frame_log_likelihoods",
    "log2_sum",
    "n_rows",
    "responsibilities",
    "stacked_coefficients",
    "tile_frames",
    "tiles",
]

LN2 = math.log(2.0)
_LOG2E = 1.0 / LN2
_TILE_BYTES = 1 << 20
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Standardisation:
    """x' = (x − centre) / scale, a feature.

    Attributes
    ----------
    centre, scale : ndarray, shape (d,), float64
    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]

    @property
    def log_scale(self) -> float:
        """Σ_d log scale_d: what densities of standardised frames are larger by, nats."""
        return float(np.log(self.scale).sum())

    def standardised(self, mixture: GaussianMixture) -> GaussianMixture:
        """Return the mixture of the standardised frames."""
        means = (mixture.means - self.centre) / self.scale
        return GaussianMixture.trusted(mixture.weights, means, mixture.variances / self.scale**2)

    def original(self, mixture: GaussianMixture) -> GaussianMixture:
        """Inverse of :meth:`standardised`."""
        means = mixture.means * self.scale + self.centre
        return GaussianMixture.trusted(mixture.weights, means, mixture.variances * self.scale**2)

    @staticmethod
    def of_mixtures(*mixtures: GaussianMixture) -> Standardisation:
        """Mean and deviation of the equal-weight mixture of `mixtures`."""
        share = 1.0 / len(mixtures)
        centre = share * sum(m.weights @ m.means for m in mixtures)
        square = share * sum(m.weights @ (m.variances + m.means**2) for m in mixtures)
        smallest = np.min([m.variances.min(axis=0) for m in mixtures], axis=0)
        return Standardisation(np.asarray(centre), np.sqrt(np.maximum(square - centre**2, smallest)))

    @staticmethod
    def of_frames(X: Array) -> Standardisation:
        """Mean and deviation of frames, shape (n, d); a feature that never moves gets scale 1."""
        n = len(X)
        total = np.zeros(X.shape[1])
        for part in tiles(n, X.shape[1]):
            total += X[part].sum(axis=0, dtype=np.float64)
        centre = total / n
        square = np.zeros(X.shape[1])
        for part in tiles(n, X.shape[1]):
            square += np.square(X[part] - centre).sum(axis=0)
        deviation = np.sqrt(square / n)
        # Raw second moments in float64 lose (mean / deviation)² digits: what moves less than a millionth of its mean
        # (equal numbers are a rounding error away from their own mean) counts as never moving.
        return Standardisation(centre, np.where(deviation > 1e-6 * np.abs(centre), deviation, 1.0))


def tile_frames(rows: int, *, itemsize: int = 4) -> int:
    """Frames in a tile of `rows` values a frame."""
    return max(_TILE_BYTES // (itemsize * max(rows, 1)) // 64 * 64, 64)


def tiles(n_frames: int, rows: int, *, itemsize: int = 4) -> Iterator[slice]:
    """Cut frames so that `rows` values a frame fit in about a megabyte; multiples of 64 frames."""
    step = tile_frames(rows, itemsize=itemsize)
    for first in range(0, n_frames, step):
        yield slice(first, min(first + step, n_frames))


def n_rows(n_features: int) -> int:
    """Rows of a design: x', x'², 1, and zeros up to a multiple of 8, which the matrix product likes better."""
    return -(-(2 * n_features + 1) // 8) * 8


def design(X: Array, standardisation: Standardisation, dtype: DTypeLike = np.float32) -> Array:
    """Return the matrix [x', x'², 1, 0...] of a tile, feature-major: (n, d) -> (n_rows(d), n)."""
    n, d = X.shape
    matrix = np.empty((n_rows(d), n), dtype=dtype)
    # subtract before rounding to float32: an offset of many deviations must not eat the digits
    if X.dtype == np.float64:
        matrix[:d] = ((X - standardisation.centre) / standardisation.scale).T
    else:
        linear = matrix[:d]
        np.subtract(X.T, standardisation.centre.astype(dtype)[:, None], out=linear)
        linear *= (1.0 / standardisation.scale).astype(dtype)[:, None]
    np.square(matrix[:d], out=matrix[d : 2 * d])
    matrix[2 * d] = 1.0
    matrix[2 * d + 1 :] = 0.0
    return matrix


def coefficients(mixture: GaussianMixture, standardisation: Standardisation, dtype: DTypeLike = np.float32) -> Array:
    """Return the matrix that a design is multiplied with: (K, n_rows(d)), in log2 units of the original density."""
    unit = standardisation.standardised(mixture)
    log_scale = np.array([standardisation.log_scale])
    matrix: Array = stacked_coefficients(unit.weights[None], unit.means[None], unit.variances[None], log_scale)[0]
    return matrix.astype(dtype)


def stacked_coefficients(weights: Array, means: Array, variances: Array, log_scales: Array) -> NDArray[np.float64]:
    """Coefficients of mixtures in standardised units: (B, K), (B, K, d), (B, K, d), (B,) -> (B, K, n_rows(d))."""
    n, k, d = means.shape
    matrix = np.zeros((n, k, n_rows(d)))
    precision = 1.0 / variances
    linear = np.multiply(means, precision, out=matrix[:, :, :d])
    np.multiply(precision, -0.5, out=matrix[:, :, d : 2 * d])
    quadratic = np.log(variances)
    quadratic += means * linear
    normaliser = 0.5 * d * math.log(2.0 * math.pi) + log_scales
    matrix[:, :, 2 * d] = np.log(weights) - 0.5 * quadratic.sum(axis=2) - normaliser[:, None]
    matrix *= _LOG2E
    return matrix


def log2_sum(logits: Array) -> tuple[Array, Array, Array]:
    """log2 Σ_k 2^logit over the first axis; `logits` (K, n) is overwritten.

    Returns
    -------
    posterior : ndarray, shape (K, n)
        2^(logit − maximum), at least 2^-100: the overwritten `logits`, not yet divided by their sum.
    total : ndarray, shape (n,)
        That sum.
    log2_likelihood : ndarray, shape (n,)
    """
    peak = logits.max(axis=0)
    logits -= peak
    # 2^-100 is nothing next to the largest term; denormal numbers would cost a factor of 8 in the product that follows
    np.maximum(logits, -100.0, out=logits)
    np.exp2(logits, out=logits)
    total = logits.sum(axis=0)
    return logits, total, peak + np.log2(total)


def checked_frames(mixture: GaussianMixture, X: Array) -> Array:
    """Return frames as (n, d) floats, or raise ValueError."""
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[1] != mixture.n_features:
        raise ValueError(f"expected frames of shape (n, {mixture.n_features}), got {X.shape}")
    return X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)


def _logit_tiles(mixture: GaussianMixture, X: Array, dtype: DTypeLike) -> Iterator[tuple[slice, Array]]:
    """Yield log2 π_k N(x_n; μ_k, σ²_k) of tile after tile, (K, n)."""
    standardisation = Standardisation.of_mixtures(mixture)
    matrix = coefficients(mixture, standardisation, dtype)
    for part in tiles(len(X), max(matrix.shape), itemsize=matrix.itemsize):
        yield part, matrix @ design(X[part], standardisation, dtype)


def component_log_densities(mixture: GaussianMixture, X: Array, *, dtype: DTypeLike = np.float64) -> Array:
    """Return log π_k N(x_n; μ_k, σ²_k), nats: (n, d) -> (n, K)."""
    X = checked_frames(mixture, X)
    result = np.empty((len(X), mixture.n_components), dtype=dtype)
    for part, logits in _logit_tiles(mixture, X, dtype):
        result[part] = logits.T
    result *= LN2
    return result


def frame_log_likelihoods(mixture: GaussianMixture, X: Array, *, dtype: DTypeLike = np.float64) -> Array:
    """Return log p(x_n) (Bishop 2006, eq. 9.7), nats: (n, d) -> (n,)."""
    X = checked_frames(mixture, X)
    result = np.empty(len(X), dtype=dtype)
    for part, logits in _logit_tiles(mixture, X, dtype):
        result[part] = log2_sum(logits)[2]
    result *= LN2
    return result


def responsibilities(mixture: GaussianMixture, X: Array, *, dtype: DTypeLike = np.float64) -> Array:
    """r_nk = π_k N(x_n; k) / Σ_j π_j N(x_n; j) (Bishop 2006, eq. 9.23): (n, d) -> (n, K), rows sum to 1."""
    X = checked_frames(mixture, X)
    result = np.empty((len(X), mixture.n_components), dtype=dtype)
    for part, logits in _logit_tiles(mixture, X, dtype):
        posterior, total, _ = log2_sum(logits)
        result[part] = (posterior / total).T
    return result
