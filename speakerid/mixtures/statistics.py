"""Sufficient statistics: all that an update needs to know of the frames. They add.

N_k = Σ_n r_nk,  F_k = Σ_n r_nk x_n,  S_k = Σ_n r_nk x_n²  (Reynolds, Quatieri and Dunn 2000, eq. 8-10, not divided by
N_k), with the number of frames and their summed log-likelihood. Statistics of parts of the frames under the same model
add up to those of the whole, so chunked, parallel and distributed training are all a sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from speakerid.mixtures.density import LN2, Standardisation, coefficients, design, log2_sum, n_rows, tiles
from speakerid.mixtures.gaussian_mixture import GaussianMixture

__all__ = ["Frames", "SufficientStatistics", "accumulate"]

# designs up to this size are kept between the iterations of EM
_CACHE_BYTES = 32 << 20


@dataclass(frozen=True, eq=False)
class SufficientStatistics:
    """Statistics of frames under a mixture.

    Attributes
    ----------
    n_frames : int
    log_likelihood : float
        Σ_n log p(x_n), nats.
    zeroth : ndarray, shape (K,), float64
        N_k, frames.
    first, second : ndarray, shape (K, d), float64
        Σ_n r_nk x_n and Σ_n r_nk x_n².
    """

    n_frames: int
    log_likelihood: float
    zeroth: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]

    def __add__(self, other: SufficientStatistics) -> SufficientStatistics:
        if self.first.shape != other.first.shape:
            raise ValueError(f"statistics of different shapes do not add: {self.first.shape}, {other.first.shape}")
        return SufficientStatistics(
            self.n_frames + other.n_frames,
            self.log_likelihood + other.log_likelihood,
            self.zeroth + other.zeroth,
            self.first + other.first,
            self.second + other.second,
        )

    @property
    def mean_log_likelihood(self) -> float:
        """Nats a frame."""
        return self.log_likelihood / max(self.n_frames, 1)


class Frames:
    """Frames ready to be read many times: standardised, feature-major, in tiles; kept in memory while small.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    standardisation : Standardisation, optional
        Of the frames themselves if left out.
    dtype : numpy dtype
        float32 (default) or float64, of the products; sums are always float64.
    """

    def __init__(
        self, X: NDArray[Any], standardisation: Standardisation | None = None, *, dtype: DTypeLike = np.float32
    ) -> None:
        self.X = X
        self.standardisation = standardisation or Standardisation.of_frames(X)
        self.dtype = np.dtype(dtype)
        n, d = X.shape
        self._whole: NDArray[Any] | None = None
        self._room = np.empty(0, dtype=self.dtype)
        if n * n_rows(d) * self.dtype.itemsize <= _CACHE_BYTES:
            self._whole = design(X, self.standardisation, self.dtype)

    def __len__(self) -> int:
        return len(self.X)

    def tile(self, part: slice) -> NDArray[Any]:
        """Design of some frames, shape (n_rows(d), n)."""
        if self._whole is not None:
            return self._whole[:, part]
        return design(self.X[part], self.standardisation, self.dtype)

    def logits(self, matrix: NDArray[Any], tile: NDArray[Any]) -> NDArray[Any]:
        """Return ``matrix @ tile`` in memory that is used again by the next call."""
        size = len(matrix) * tile.shape[1]
        if len(self._room) < size:
            self._room = np.empty(size, dtype=self.dtype)
        return np.matmul(matrix, tile, out=self._room[:size].reshape(len(matrix), tile.shape[1]))


def accumulate(
    mixture: GaussianMixture, frames: Frames | NDArray[Any], *, dtype: DTypeLike = np.float32
) -> SufficientStatistics:
    """E-step: the statistics of `frames` under `mixture`, in chunks, without an (n, K) array.

    Parameters
    ----------
    mixture : GaussianMixture
    frames : ndarray, shape (n, d), or Frames
    dtype : numpy dtype
        Of the products when `frames` is an array.
    """
    if not isinstance(frames, Frames):
        frames = Frames(np.asarray(frames), Standardisation.of_mixtures(mixture), dtype=dtype)
    standardisation = frames.standardisation
    d = mixture.n_features
    matrix = coefficients(mixture, standardisation, frames.dtype)  # (K, n_rows(d))
    sums = np.zeros(matrix.shape)
    log2_likelihood = 0.0
    for part in tiles(len(frames), max(matrix.shape), itemsize=frames.dtype.itemsize):
        tile = frames.tile(part)
        posterior, total, likelihood = log2_sum(frames.logits(matrix, tile))
        posterior *= np.reciprocal(total)
        sums += posterior @ tile.T
        log2_likelihood += float(likelihood.sum(dtype=np.float64))
    zeroth = sums[:, 2 * d]
    c, s = standardisation.centre, standardisation.scale
    # back from x' = (x − c)/s to x
    first = s * sums[:, :d] + c * zeroth[:, None]
    second = s**2 * sums[:, d : 2 * d] + 2 * c * first - c**2 * zeroth[:, None]
    return SufficientStatistics(len(frames), log2_likelihood * LN2, zeroth, first, second)
