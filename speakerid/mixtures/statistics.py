"""Sufficient statistics: all that an update needs to know of the frames. They add.

N_k = Σ_n r_nk,  F_k = Σ_n r_nk x_n,  S_k = Σ_n r_nk x_n²  (Reynolds, Quatieri and Dunn 2000, eq. 8-10, not divided by
N_k), with the number of frames and their summed log-likelihood. Statistics of parts of the frames under the same model
add up to those of the whole, so chunked, parallel and distributed training are all a sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from speakerid.mixtures.density import (
    LN2,
    Standardisation,
    checked_frames,
    design,
    log2_sum,
    n_rows,
    stacked_coefficients,
    tile_frames,
    tiles,
)
from speakerid.mixtures.gaussian_mixture import GaussianMixture

__all__ = ["Frames", "SufficientStatistics", "accumulate", "accumulate_each", "by_size"]

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
        self.log_scale = self.standardisation.log_scale
        self.dtype = np.dtype(dtype)
        n, d = X.shape
        self._whole: NDArray[Any] | None = None
        if n * n_rows(d) * self.dtype.itemsize <= _CACHE_BYTES:
            self._whole = design(X, self.standardisation, self.dtype)

    def __len__(self) -> int:
        return len(self.X)

    def tile(self, part: slice) -> NDArray[Any]:
        """Design of some frames, shape (n_rows(d), n)."""
        if self._whole is not None:
            return self._whole[:, part]
        return design(self.X[part], self.standardisation, self.dtype)


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

    Raises
    ------
    ValueError
        The frames do not have the mixture's number of features.
    """
    if not isinstance(frames, Frames):
        frames = Frames(checked_frames(mixture, frames), Standardisation.of_mixtures(mixture), dtype=dtype)
    (unit,) = accumulate_each([frames.standardisation.standardised(mixture)], [frames])
    c, s = frames.standardisation.centre, frames.standardisation.scale
    zeroth = unit.zeroth[:, None]
    # back from x' = (x − c)/s to x
    first = s * unit.first + c * zeroth
    second = s**2 * unit.second + 2 * c * first - c**2 * zeroth
    return SufficientStatistics(unit.n_frames, unit.log_likelihood, unit.zeroth, first, second)


def accumulate_each(mixtures: Sequence[GaussianMixture], frames: Sequence[Frames]) -> list[SufficientStatistics]:
    """E-step of several mixtures, each on its own frames, all in the standardised units of those frames.

    One speaker's products take 0.1 ms, and the calls around them as long again. So mixtures with the same number of
    components are worked on side by side: each has a product of its own, into its own columns of one (K, n) array, and
    everything between the products is one call for all columns. No result depends on which mixtures are in the list,
    to the last bit.

    Parameters
    ----------
    mixtures : sequence of GaussianMixture
        With the same number of features.
    frames : sequence of Frames
        As many, with the same dtype.
    """
    result: dict[int, SufficientStatistics] = {}
    for group in by_size(m.n_components for m in mixtures):
        statistics = _accumulate_group([mixtures[i] for i in group], [frames[i] for i in group])
        result.update(zip(group, statistics, strict=True))
    return [result[i] for i in range(len(mixtures))]


def by_size(sizes: Iterable[int]) -> Iterable[list[int]]:
    """Positions of equal sizes."""
    groups: dict[int, list[int]] = {}
    for position, size in enumerate(sizes):
        groups.setdefault(size, []).append(position)
    return groups.values()


def _accumulate_group(mixtures: Sequence[GaussianMixture], frames: Sequence[Frames]) -> Iterator[SufficientStatistics]:
    k, d, dtype = mixtures[0].n_components, mixtures[0].n_features, frames[0].dtype
    matrices = stacked_coefficients(
        np.stack([m.weights for m in mixtures]),
        np.stack([m.means for m in mixtures]),
        np.stack([m.variances for m in mixtures]),
        np.array([f.log_scale for f in frames]),
    ).astype(dtype)  # (B, K, n_rows(d))
    sums = np.zeros(matrices.shape)
    log2_likelihoods = np.zeros(len(mixtures))
    rows = max(k, n_rows(d))
    pieces = ((b, part) for b, f in enumerate(frames) for part in tiles(len(f), rows, itemsize=dtype.itemsize))
    room = np.empty(0, dtype=dtype)
    for pack in _packs(pieces, tile_frames(rows, itemsize=dtype.itemsize)):
        width = sum(part.stop - part.start for _b, part in pack)
        if room.size < k * width:
            room = np.empty(k * width, dtype=dtype)
        logits = room[: k * width].reshape(k, width)
        work: list[tuple[int, NDArray[Any], slice]] = []
        begin = 0
        for b, part in pack:
            column = slice(begin, begin + part.stop - part.start)
            tile = frames[b].tile(part)
            np.matmul(matrices[b], tile, out=logits[:, column])
            work.append((b, tile, column))
            begin = column.stop
        posterior, total, likelihood = log2_sum(logits)
        posterior *= np.reciprocal(total)
        for b, tile, column in work:
            sums[b] += posterior[:, column] @ tile.T
            log2_likelihoods[b] += float(likelihood[column].sum(dtype=np.float64))
    for b, f in enumerate(frames):
        log_likelihood = float(log2_likelihoods[b]) * LN2
        yield SufficientStatistics(len(f), log_likelihood, sums[b, :, 2 * d], sums[b, :, :d], sums[b, :, d : 2 * d])


def _packs(pieces: Iterable[tuple[int, slice]], most_frames: int) -> Iterator[list[tuple[int, slice]]]:
    """Put tiles side by side as long as they fit in the processor's cache."""
    pack: list[tuple[int, slice]] = []
    width = 0
    for b, part in pieces:
        size = part.stop - part.start
        if pack and width + size > most_frames:
            yield pack
            pack, width = [], 0
        pack.append((b, part))
        width += size
    if pack:
        yield pack
