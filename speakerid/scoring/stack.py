"""Frames against many mixtures at once, exactly.

Recognition picks the speaker that maximises the cumulative log-likelihood over the frames (Reynolds and Rose 1995,
maximum-likelihood classification). All components of all speakers are rows of one matrix, so a tile of frames costs
one product; mixtures with the same number of components share a stack. Sums over the frames are taken as the tiles go
by, so no (n_frames, n_speakers) array is kept unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.density import LN2, Standardisation, coefficients, design, log2_sum, n_rows, tiles
from speakerid.mixtures.gaussian_mixture import GaussianMixture

__all__ = ["MixtureStack"]


@dataclass(frozen=True, eq=False)
class _Bucket:
    """Mixtures with the same number of components."""

    columns: NDArray[np.intp]  # which speakers
    n_components: int
    matrix: NDArray[np.float32]  # (len(columns) * n_components, n_rows(d))


class MixtureStack:
    """Mixtures stacked for scoring.

    Parameters
    ----------
    mixtures : sequence of GaussianMixture
        All with the same number of features; any numbers of components.

    Raises
    ------
    ValueError
        There is no mixture, or their features differ in number.
    """

    def __init__(self, mixtures: Sequence[GaussianMixture]) -> None:
        if not mixtures:
            raise ValueError("nothing to score against: no mixtures")
        widths = {m.n_features for m in mixtures}
        if len(widths) > 1:
            raise ValueError(f"mixtures with different numbers of features: {sorted(widths)}")
        self.n_features = widths.pop()
        self.n_speakers = len(mixtures)
        self._standardisation = Standardisation.of_mixtures(*mixtures)
        sizes = np.array([m.n_components for m in mixtures])
        self._buckets = [
            _Bucket(
                columns,
                int(size),
                np.concatenate([coefficients(mixtures[i], self._standardisation) for i in columns.tolist()]),
            )
            for size in np.unique(sizes)
            for columns in [np.flatnonzero(sizes == size)]
        ]

    def _score_tiles(self, X: NDArray[Any]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Log-likelihoods of tile after tile, log2 units: (n_speakers, n)."""
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise ValueError(f"expected frames of shape (n, {self.n_features}), got {X.shape}")
        rows = max(n_rows(self.n_features), *(len(b.matrix) for b in self._buckets))
        for part in tiles(len(X), rows):
            tile = design(X[part], self._standardisation)
            scores = np.empty((self.n_speakers, tile.shape[1]), dtype=np.float32)
            for bucket in self._buckets:
                logits = bucket.matrix @ tile  # (speakers * K, n)
                logits = logits.reshape(len(bucket.columns), bucket.n_components, -1).swapaxes(0, 1)
                scores[bucket.columns] = log2_sum(logits)[2]
            yield part, scores

    def frame_log_likelihoods(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """log p(x_n | speaker), nats: (n, d) -> (n, n_speakers)."""
        result = np.empty((len(X), self.n_speakers), dtype=np.float32)
        for part, scores in self._score_tiles(X):
            result[part] = scores.T
        result *= np.float32(LN2)
        return result

    def mean_log_likelihoods(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Mean over the frames, nats a frame: (n, d) -> (n_speakers,).

        Raises
        ------
        ValueError
            There are no frames.
        """
        if len(X) == 0:
            raise ValueError("no frames to score")
        total = np.zeros(self.n_speakers)
        for _part, scores in self._score_tiles(X):
            total += scores.sum(axis=1, dtype=np.float64)
        return total * (LN2 / len(X))
