"""Densities of frames under one mixture, tile after tile: (n, d) frames in, never more than a tile of (K, n) inside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from speakerid.mixtures.design import (
    LN2,
    coefficients,
    common_coefficients,
    common_design,
    design,
    log2_sum,
    standardisation_of,
    standardised,
    tiles,
)
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.parallel import one_blas_thread

__all__ = ["checked_frames", "component_log_densities", "frame_log_likelihoods", "responsibilities"]

Array = NDArray[Any]


def checked_frames(mixture: GaussianMixture, X: Array) -> Array:
    """Return frames as (n, d) floats, or raise ValueError."""
    X = np.asarray(X)
    if np.iscomplexobj(X):
        raise ValueError("expected real numbers, got complex ones")
    if X.ndim != 2 or X.shape[1] != mixture.n_features:
        raise ValueError(f"expected frames of shape (n, {mixture.n_features}), got {X.shape}")
    return X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)


def _logit_tiles(mixture: GaussianMixture, X: Array, dtype: DTypeLike) -> Iterator[tuple[slice, Array, Array | None]]:
    """Yield log2 π_k N(x_n; μ_k, Σ_k) of tile after tile, (K, n), less the common term, and that term, (n,)."""
    kind = mixture.covariance_type
    standardisation = standardisation_of(mixture)
    unit = standardised(mixture, standardisation)
    matrix = coefficients(kind, unit.weights, unit.means, unit.covariances, standardisation.log_scale).astype(dtype)
    shared = common_coefficients(kind, unit.covariances)
    with one_blas_thread():
        for part in tiles(len(X), max(matrix.shape)):
            tile = design(X[part], kind, standardisation, dtype)
            common = None
            if shared is not None:
                common = shared.astype(dtype) @ common_design(tile[: mixture.n_features])
            yield part, matrix @ tile, common


def component_log_densities(mixture: GaussianMixture, X: Array, *, dtype: DTypeLike = np.float64) -> Array:
    """Return log π_k N(x_n; μ_k, Σ_k), nats: (n, d) -> (n, K).

    The density is multiplied out in units of the whole mixture, so a component that is narrower than the mixture by a factor
    r loses some r² of the digits: 1e-5 nats in float64 at r = 1,000. Trained mixtures have a floor far above that.
    """
    X = checked_frames(mixture, X)
    result = np.empty((len(X), mixture.n_components), dtype=dtype)
    for part, logits, common in _logit_tiles(mixture, X, dtype):
        result[part] = (logits if common is None else logits + common).T
    result *= LN2
    return result


def frame_log_likelihoods(mixture: GaussianMixture, X: Array, *, dtype: DTypeLike = np.float64) -> Array:
    """Return log p(x_n) (Bishop 2006, eq. 9.7), nats: (n, d) -> (n,)."""
    X = checked_frames(mixture, X)
    result = np.empty(len(X), dtype=dtype)
    for part, logits, common in _logit_tiles(mixture, X, dtype):
        likelihood = log2_sum(logits)[2]
        result[part] = likelihood if common is None else likelihood + common
    result *= LN2
    return result


def responsibilities(mixture: GaussianMixture, X: Array, *, dtype: DTypeLike = np.float64) -> Array:
    """r_nk = π_k N(x_n; k) / Σ_j π_j N(x_n; j) (Bishop 2006, eq. 9.23): (n, d) -> (n, K), rows sum to 1.

    Values below 2^-100 are given as about that; for logarithms of them take :func:`component_log_densities`.
    """
    X = checked_frames(mixture, X)
    result = np.empty((len(X), mixture.n_components), dtype=dtype)
    for part, logits, _common in _logit_tiles(mixture, X, dtype):
        posterior, total, _likelihood = log2_sum(logits)
        result[part] = (posterior / total).T
    return result
