"""Sufficient statistics: all that an update needs to know of the frames. They add.

N_k = Σ_n r_nk,  F_k = Σ_n r_nk x_n,  S_k = Σ_n r_nk x_n x_nᵀ or as much of it as the type needs (Reynolds, Quatieri and
Dunn 2000, eq. 8-10, not divided by N_k), with the number of frames and their summed log-likelihood. Statistics of parts of
the frames under the same model add up to those of the whole, so chunked, parallel and distributed training are a sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from speakerid.mixtures.covariances import DIAGONAL, CovarianceType
from speakerid.mixtures.density import checked_frames
from speakerid.mixtures.design import (
    LN2,
    LOG2E,
    coefficients,
    complete_design,
    log2_sum,
    standardisation_of,
    standardised,
)
from speakerid.mixtures.frames import Frames
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.workspace import Workspace
from speakerid.parallel import Map, effective_jobs, one_blas_thread, worker_threads

__all__ = ["SufficientStatistics", "accumulate", "accumulate_each", "by_size", "threads_worth"]

# responsibilities that are worked on in one go: half a megabyte in float32
_PACK_VALUES, _PACK_DESIGN = 1 << 17, 1 << 20
# each has sums of its own: so many threads can share a mixture, and so many times its size is the memory
_MOST_TASKS = 32
# below this many multiply-adds a thread an E-step is over before another one has begun
_WORTH_A_THREAD = 1 << 24


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
    first : ndarray, shape (K, d), float64
        F_k = Σ_n r_nk x_n.
    second : ndarray, float64
        Second moments of the mixture's covariance type: Σ_n r_nk x_n² (K, d) if diagonal, Σ_n r_nk |x_n|² (K,) if spherical,
        Σ_n x_n x_nᵀ (d, d) if tied, Σ_n r_nk x_n x_nᵀ (K, d, d) if full.
    covariance_type : CovarianceType
        Of the mixture.
    """

    n_frames: int
    log_likelihood: float
    zeroth: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    covariance_type: CovarianceType = DIAGONAL

    def __add__(self, other: SufficientStatistics) -> SufficientStatistics:
        if self.first.shape != other.first.shape or self.covariance_type is not other.covariance_type:
            raise ValueError(
                f"statistics of different shapes do not add: {self.first.shape} of {self.covariance_type} mixtures, "
                f"{other.first.shape} of {other.covariance_type} ones"
            )
        return SufficientStatistics(
            self.n_frames + other.n_frames,
            self.log_likelihood + other.log_likelihood,
            self.zeroth + other.zeroth,
            self.first + other.first,
            self.second + other.second,
            self.covariance_type,
        )

    @property
    def mean_log_likelihood(self) -> float:
        """Nats a frame."""
        return self.log_likelihood / max(self.n_frames, 1)


def threads_worth(n_frames: int, n_components: int, rows: int, jobs: int | None) -> int:
    """How many threads an E-step of so much work should have; None takes all cores, where it pays."""
    return max(min(effective_jobs(jobs), n_frames * n_components * rows // _WORTH_A_THREAD), 1)


def accumulate(
    mixture: GaussianMixture, X: NDArray[Any], *, dtype: DTypeLike = np.float32, jobs: int | None = None
) -> SufficientStatistics:
    """E-step: the statistics of frames under a mixture, in chunks, without an (n, K) array.

    Parameters
    ----------
    mixture : GaussianMixture
    X : ndarray, shape (n, d)
    dtype : numpy dtype
        float32 (default) or float64, of the products; sums are always float64.
    jobs : int, optional
        Threads; as many as pay if left out. The result does not depend on it.

    Raises
    ------
    ValueError
        The frames do not have the mixture's number of features, or are not finite.
    """
    kind, standardisation = mixture.covariance_type, standardisation_of(mixture)
    frames = Frames.of(
        checked_frames(mixture, X), kind, standardisation, n_components=mixture.n_components, dtype=dtype
    )
    threads = threads_worth(len(frames), mixture.n_components, frames.n_rows, jobs)
    with one_blas_thread(), worker_threads(threads) as run:
        (unit,) = accumulate_each([standardised(mixture, standardisation)], [frames], run)
    # back from x' to x
    first = standardisation.moved(unit.first) + unit.zeroth[:, None] * standardisation.centre
    second = kind.second_from_unit(unit.zeroth, first, unit.second, standardisation)
    if not np.isfinite(unit.log_likelihood):
        raise ValueError("the log-likelihood is not finite: frames that are no numbers, or too far from the mixture")
    return SufficientStatistics(unit.n_frames, unit.log_likelihood, unit.zeroth, first, second, kind)


def accumulate_each(
    mixtures: Sequence[GaussianMixture], frames: Sequence[Frames], run: Map = map
) -> list[SufficientStatistics]:
    """E-step of several mixtures, each on its own frames, all in the standardised units of those frames.

    One speaker's products take 0.1 ms, and the calls around them as long again. So the tiles of mixtures with the same
    number of components are stacked, and a call works on all of a stack. No result depends on which mixtures are in
    the list, nor on the threads, to the last bit: every tile is a product of its own, and their sums are taken in order.

    Parameters
    ----------
    mixtures : sequence of GaussianMixture
        With the same number of features and the same covariance type.
    frames : sequence of Frames
        As many, with the same dtype.
    run : callable
        A ``map``, of threads perhaps.
    """
    result: dict[int, SufficientStatistics] = {}
    for group in by_size((m.n_components, f.tile_size) for m, f in zip(mixtures, frames, strict=True)):
        statistics = _accumulate_group([mixtures[i] for i in group], [frames[i] for i in group], run)
        result.update(zip(group, statistics, strict=True))
    return [result[i] for i in range(len(mixtures))]


def by_size(sizes: Iterable[Any]) -> Iterable[list[int]]:
    """Positions of equal sizes."""
    groups: dict[Any, list[int]] = {}
    for position, size in enumerate(sizes):
        groups.setdefault(size, []).append(position)
    return groups.values()


@dataclass(frozen=True, eq=False)
class _Piece:
    """Some tiles of the frames of one mixture."""

    owner: int
    frames: Frames
    part: slice

    @property
    def n_tiles(self) -> int:
        return int(self.part.stop - self.part.start)


def _accumulate_group(
    mixtures: Sequence[GaussianMixture], frames: Sequence[Frames], run: Map
) -> Iterator[SufficientStatistics]:
    kind, k, d = mixtures[0].covariance_type, mixtures[0].n_components, mixtures[0].n_features
    covariances = np.stack([m.covariances for m in mixtures])
    matrix = coefficients(
        kind,
        np.stack([m.weights for m in mixtures]),
        np.stack([m.means for m in mixtures]),
        covariances,
        np.array([f.standardisation.log_scale for f in frames]),
    ).astype(frames[0].dtype)  # (B, K, n_rows)
    sums = np.zeros(matrix.shape)
    log2_likelihoods = np.zeros(len(mixtures))
    workspace = Workspace(matrix.dtype)

    def task(packs: Sequence[Sequence[_Piece]]) -> dict[int, tuple[NDArray[np.float64], float]]:
        partial: dict[int, tuple[NDArray[np.float64], float]] = {}
        for pack in packs:
            owners = (piece.owner for piece in pack for _tile in range(piece.n_tiles))
            products, likelihoods = _pack_sums(kind, matrix, pack, workspace)
            for owner, product, likelihood in zip(owners, products, likelihoods.tolist(), strict=True):
                total, before = partial.setdefault(owner, (np.zeros(product.shape), 0.0))
                total += product
                partial[owner] = total, before + likelihood
        return partial

    most = min(_PACK_VALUES // k, _PACK_DESIGN // matrix.shape[2])
    for done in run(task, _tasks(frames, max(most // frames[0].tile_size, 1))):
        for owner, (total, likelihood) in done.items():
            sums[owner] += total
            log2_likelihoods[owner] += likelihood
    precision = kind.common_precision(covariances)
    if precision is not None:
        scatter = np.stack([f.products for f in frames])
        log2_likelihoods -= 0.5 * LOG2E * (precision * scatter).sum(axis=(1, 2))
    for b, f in enumerate(frames):
        second = kind.second_moments(
            sums[b, :, d + 1 : d + 1 + kind.n_quadratic(d)], f.products if kind.shared else None
        )
        yield SufficientStatistics(
            len(f), float(log2_likelihoods[b]) * LN2, sums[b, :, d], sums[b, :, :d], second, kind
        )


def _tasks(frames: Sequence[Frames], most_tiles: int) -> Iterator[list[list[_Piece]]]:
    """Cut the work into tasks of packs of pieces.

    The tiles of a mixture are cut into pieces that are worked on in one go, and those of a large one shared out among tasks.
    Small mixtures are put together into packs where their tiles lie side by side. How a mixture is cut does not depend on
    its neighbours.
    """
    pack: list[_Piece] = []
    for b, f in enumerate(frames):
        if f.n_tiles > most_tiles:
            pieces = [
                [_Piece(b, f, slice(first, min(first + most_tiles, f.n_tiles)))]
                for first in range(0, f.n_tiles, most_tiles)
            ]
            step = -(-len(pieces) // _MOST_TASKS)
            yield from (pieces[i : i + step] for i in range(0, len(pieces), step))
            continue
        piece = _Piece(b, f, slice(0, f.n_tiles))
        if pack and not (sum(p.n_tiles for p in pack) + piece.n_tiles <= most_tiles and _adjacent(pack[-1], piece)):
            yield [pack]
            pack = []
        if piece.n_tiles:
            pack.append(piece)
    if pack:
        yield [pack]


def _adjacent(one: _Piece, other: _Piece) -> bool:
    return (
        one.frames.block is not None
        and one.frames.block is other.frames.block
        and one.frames.first_tile + one.part.stop == other.frames.first_tile + other.part.start
    )


def _pack_sums(
    kind: CovarianceType, matrix: NDArray[Any], pack: Sequence[_Piece], workspace: Workspace
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Σ_n r_nk [x', 1, q(x')] and Σ_n log2 p(x_n) of each tile: (n_tiles, K, n_rows), (n_tiles,)."""
    frames, (k, rows) = pack[0].frames, matrix.shape[1:]
    d, size, sizes = frames.n_features, frames.tile_size, [piece.n_tiles for piece in pack]
    n = sum(sizes)
    tiles = workspace.array("tiles", (n, rows, size))
    if frames.block is None:
        frames.write_units(pack[0].part, tiles[:, : d + 1])
    else:
        begin = frames.first_tile + pack[0].part.start
        np.copyto(tiles[:, : d + 1], frames.block[begin : begin + n])
    complete_design(kind, d, tiles)
    owners = pack[0].owner if len(pack) == 1 else np.repeat([piece.owner for piece in pack], sizes)
    logits = np.matmul(matrix[owners], tiles, out=workspace.array("logits", (n, k, size)))
    posterior, total, likelihood = log2_sum(logits, axis=1)
    likelihood *= tiles[:, d]  # an empty column is no frame
    # dividing by the total: of the smaller factor
    factor = posterior if k < 2 * rows else tiles
    factor *= np.reciprocal(total)[:, None]
    return np.matmul(posterior, tiles.swapaxes(1, 2)), likelihood.sum(axis=1, dtype=np.float64)
