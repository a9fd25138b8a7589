"""Frames against many mixtures at once, exactly.

Recognition picks the speaker that maximises the cumulative log-likelihood over the frames (Reynolds and Rose 1995,
maximum-likelihood classification). The components of many speakers are rows of one matrix, so a tile of frames costs one
product for all of them; it is cut into blocks of speakers whose log-densities fit in the processor's cache. Sums over the
frames are taken as the tiles go by, so no (n_frames, n_speakers) array is kept unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.design import (
    LN2,
    coefficients,
    common_coefficients,
    common_design,
    design,
    log2_sum,
    n_rows,
    standardisation_of,
    standardised,
)
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.workspace import Workspace
from speakerid.parallel import effective_jobs, one_blas_thread, worker_threads

__all__ = ["TILE_FRAMES", "MixtureStack"]

# frames in a tile
TILE_FRAMES = 256
# the last tile of a recording is as wide as it has to be, in steps that keep rows aligned
_STEP = 32
# log-densities that are worked on in one go: about a megabyte
_BLOCK_VALUES = 1 << 18
# below this many frame · components a second thread does not pay
_WORTH_A_THREAD = 1 << 22


@dataclass(frozen=True, eq=False)
class _Block:
    """Some mixtures with the same number of components; row k · len(columns) + i is component k of mixture i."""

    columns: NDArray[np.intp]  # which speakers
    n_components: int
    matrix: NDArray[np.float32]  # (n_components * len(columns), n_rows)
    common: NDArray[np.float32] | None  # (len(columns), d(d + 1)/2)


class MixtureStack:
    """Mixtures stacked for scoring.

    Parameters
    ----------
    mixtures : sequence of GaussianMixture
        All with the same number of features and the same covariance type; any numbers of components.

    Raises
    ------
    ValueError
        There is no mixture, or their features differ in number, or their covariance types.
    """

    def __init__(self, mixtures: Sequence[GaussianMixture]) -> None:
        if not mixtures:
            raise ValueError("nothing to score against: no mixtures")
        widths = {m.n_features for m in mixtures}
        if len(widths) > 1:
            raise ValueError(f"mixtures with different numbers of features: {sorted(widths)}")
        kinds = {m.covariance_type for m in mixtures}
        if len(kinds) > 1:
            raise ValueError(f"mixtures with different covariance types: {sorted(kind.name for kind in kinds)}")
        self.n_features = widths.pop()
        self.n_speakers = len(mixtures)
        self._kind = kinds.pop()
        self._standardisation = standardisation_of(*mixtures)
        self._workspace = Workspace(np.float32)
        sizes = np.array([m.n_components for m in mixtures])
        self._n_components = int(sizes.sum())
        self._blocks = [
            self._block(mixtures, columns[first : first + step], int(size))
            for size in np.unique(sizes)
            for columns in [np.flatnonzero(sizes == size)]
            for step in [max(_BLOCK_VALUES // TILE_FRAMES // int(size), 1)]
            for first in range(0, len(columns), step)
        ]

    def _block(self, mixtures: Sequence[GaussianMixture], columns: NDArray[np.intp], size: int) -> _Block:
        units = [standardised(mixtures[i], self._standardisation) for i in columns.tolist()]
        covariances = np.stack([u.covariances for u in units])
        matrix = coefficients(
            self._kind,
            np.stack([u.weights for u in units]),
            np.stack([u.means for u in units]),
            covariances,
            np.full(len(units), self._standardisation.log_scale),
        )
        shared = common_coefficients(self._kind, covariances)
        return _Block(
            columns,
            size,
            matrix.swapaxes(0, 1).reshape(size * len(units), -1).astype(np.float32),
            None if shared is None else shared.astype(np.float32),
        )

    def _checked(self, X: NDArray[Any]) -> NDArray[Any]:
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise ValueError(f"expected frames of shape (n, {self.n_features}), got {X.shape}")
        return X

    def _tiles(self, X: NDArray[Any]) -> Iterator[slice]:
        return (slice(first, min(first + TILE_FRAMES, len(X))) for first in range(0, len(X), TILE_FRAMES))

    def _scores(self, X: NDArray[Any]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Log-likelihoods of a tile of frames, block after block, log2 units: (speakers, n).

        The width of a product depends on the number of its frames alone, filled up with empty columns: frames that come in
        blocks of whole tiles have the scores, to the last bit, that they have all at once.
        """
        n = len(X)
        width = min(-(-n // _STEP) * _STEP, TILE_FRAMES)
        tile = self._workspace.array("tile", (n_rows(self._kind, self.n_features), width))
        tile[:, n:] = 0.0
        design(X, self._kind, self._standardisation, out=tile[:, :n])
        products = common_design(tile[: self.n_features]) if self._blocks[0].common is not None else None
        for block in self._blocks:
            room = self._workspace.array("logits", (len(block.matrix), width))
            logits = np.matmul(block.matrix, tile, out=room)
            scores = log2_sum(logits.reshape(block.n_components, len(block.columns) * width))[2]
            scores = scores.reshape(len(block.columns), width)
            if products is not None:
                scores += block.common @ products
            yield block.columns, scores[:, :n]

    def frame_log_likelihoods(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """log p(x_n | speaker), nats: (n, d) -> (n, n_speakers)."""
        X = self._checked(X)
        result = np.empty((len(X), self.n_speakers), dtype=np.float32)
        with one_blas_thread():
            for part in self._tiles(X):
                for columns, scores in self._scores(X[part]):
                    result[part, columns] = scores.T
        result *= np.float32(LN2)
        return result

    def mean_log_likelihoods(self, X: NDArray[Any], *, jobs: int | None = 1) -> NDArray[np.float64]:
        """Mean over the frames, nats a frame: (n, d) -> (n_speakers,).

        Parameters
        ----------
        X : ndarray, shape (n, d)
        jobs : int, optional
            Threads; None takes as many as pay. The result does not depend on it.

        Raises
        ------
        ValueError
            There are no frames.
        """
        X = self._checked(X)
        if len(X) == 0:
            raise ValueError("no frames to score")
        threads = max(min(effective_jobs(jobs), len(X) * self._n_components // _WORTH_A_THREAD), 1)
        total = np.zeros(self.n_speakers)

        def tile_sums(part: slice) -> NDArray[np.float64]:
            sums = np.empty(self.n_speakers)
            for columns, scores in self._scores(X[part]):
                sums[columns] = scores.sum(axis=1, dtype=np.float64)
            return sums

        with one_blas_thread(), worker_threads(threads) as run:
            for sums in run(tile_sums, self._tiles(X)):
                total += sums
        return total * (LN2 / len(X))
