"""Frames ready to be read many times: standardised, feature-major, in tiles of equal size.

Tiles of one size, the last one filled up with empty columns, let one call multiply many of them, of one speaker or of
several. An empty column is zero also where the design has its 1, so it adds nothing to any statistic. Kept are x' and 1; the
products q(x') are made again for every tile, in the processor's cache, which is quicker than to read them from memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from speakerid.errors import TrainingError
from speakerid.mixtures.covariances import CovarianceType, covariance_type
from speakerid.mixtures.design import n_rows
from speakerid.mixtures.standardisation import Standardisation, frame_moments
from speakerid.parallel import Map

__all__ = ["Frames", "checked_training_frames"]

_CHECKED_VALUES = 1 << 20
# squares of frames and their sums must stay finite
_LARGEST_VALUE = 1e140

# standardised frames of so much, of all that are trained side by side, are kept between the iterations of EM
_CACHE_BYTES = 32 << 20
# A long tile is more efficient, as long as its responsibilities fit in the processor's cache. Few frames are shared out
# evenly, in steps that let speakers meet others with tiles of the same size.
_LONGEST_TILE, _STEP = 2048, 32
_FEW_FRAMES, _TILE_OF_FEW = 8192, 512
_TILE_VALUES, _DESIGN_VALUES = 1 << 20, 1 << 19
_TILES_A_TASK = 4


def _tile_size(n_frames: int, n_components: int, rows: int) -> int:
    most = min(_TILE_VALUES // n_components, _DESIGN_VALUES // rows, _LONGEST_TILE)
    longest = max(most // _STEP, 1) * _STEP
    if n_frames < _FEW_FRAMES:
        longest = min(longest, _TILE_OF_FEW)
    n_tiles = max(-(-n_frames // longest), 1)
    return max(-(-n_frames // (n_tiles * _STEP)), 1) * _STEP


def checked_training_frames(X: ArrayLike) -> NDArray[Any]:
    """Return frames as an (n, d) array of floats that a mixture can be trained on.

    Raises
    ------
    TrainingError
        They are no numbers, not (n, d) with something in it, not finite, or larger than 1e140.
    """
    try:
        matrix = np.asarray(X)
        if matrix.dtype not in (np.float32, np.float64):
            matrix = matrix.astype(np.float64, casting="safe" if matrix.dtype.kind == "c" else "unsafe")
    except (TypeError, ValueError):
        raise TrainingError("cannot train a mixture: expected an array of real numbers, shape (n, d)") from None
    if matrix.ndim != 2 or matrix.size == 0:
        raise TrainingError(f"cannot train a mixture: expected frames of shape (n, d), got {matrix.shape}")
    step = max(_CHECKED_VALUES // matrix.shape[1], 1)
    largest = min(_LARGEST_VALUE, float(np.finfo(matrix.dtype).max))
    for first in range(0, len(matrix), step):
        usable = np.abs(matrix[first : first + step]) <= largest  # not NaN either
        if not usable.all():
            row = int(np.flatnonzero(~usable.all(axis=1))[0])
            value = matrix[first + row][~usable[row]][0]
            what = "too large" if np.isfinite(value) else "not finite"
            raise TrainingError(f"cannot train a mixture: frame {first + row} has a value that is {what} ({value:g})")
    return matrix


@dataclass(eq=False)
class Frames:
    """Frames of one training.

    Attributes
    ----------
    X : ndarray, shape (n, d)
    covariance_type : CovarianceType
    standardisation : Standardisation
    dtype : numpy dtype
        float32 or float64, of the products; sums are always float64.
    n_constant : int
        Features that never move.
    tile_size : int
        Frames in a tile.
    block : ndarray, shape (n_tiles, d + 1, tile_size), or None
        All x' and 1, if they are small enough to be kept: those from `first_tile` on are of these frames.
    """

    X: NDArray[Any]
    covariance_type: CovarianceType
    standardisation: Standardisation
    dtype: np.dtype[Any]
    n_constant: int
    tile_size: int
    block: NDArray[Any] | None = None
    first_tile: int = 0
    _products: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        X: NDArray[Any],
        kind: str | CovarianceType = "diagonal",
        standardisation: Standardisation | None = None,
        *,
        n_components: int,
        dtype: DTypeLike = np.float32,
        run: Map = map,
    ) -> Frames:
        """Prepare frames, shape (n, d), in the given units or in their own, for mixtures of up to so many components."""
        kind = covariance_type(kind)
        n_constant = 0
        if standardisation is None:
            centre, moments, n_constant = frame_moments(X, products=kind.uses_products, run=run)
            standardisation = kind.standardisation(centre, moments)
        return cls(
            X,
            kind,
            standardisation,
            np.dtype(dtype),
            n_constant,
            _tile_size(len(X), n_components, n_rows(kind, X.shape[1])),
        )

    def __len__(self) -> int:
        return len(self.X)

    @property
    def n_features(self) -> int:
        """d."""
        return int(self.X.shape[1])

    @property
    def n_rows(self) -> int:
        """Rows of a design."""
        return n_rows(self.covariance_type, self.n_features)

    @property
    def n_tiles(self) -> int:
        """How many tiles there are."""
        return -(-len(self.X) // self.tile_size)

    def units(self, part: slice) -> NDArray[Any]:
        """x' and 1 of some tiles: (n_tiles, d + 1, tile_size)."""
        if self.block is not None:
            return self.block[self.first_tile + part.start : self.first_tile + part.stop]
        result = np.empty((part.stop - part.start, self.n_features + 1, self.tile_size), dtype=self.dtype)
        self.write_units(part, result)
        return result

    def write_units(self, part: slice, out: NDArray[Any]) -> None:
        """Write x' and 1 of some tiles: (n_tiles, d + 1, tile_size)."""
        d = self.n_features
        for tile, number in zip(out, range(part.start, part.stop), strict=True):
            frames = self.X[number * self.tile_size : (number + 1) * self.tile_size]
            n = len(frames)
            self.standardisation.unit(frames, tile[:d, :n])
            tile[d, :n] = 1.0
            tile[:, n:] = 0.0

    @property
    def products(self) -> NDArray[np.float64]:
        """Σ_n x'_n x'_nᵀ, (d, d)."""
        if self._products is None:
            d = self.n_features
            total = np.zeros((d, d))
            for number in range(self.n_tiles):
                unit = self.units(slice(number, number + 1))[0, :d].astype(np.float64)
                total += unit @ unit.T
            self._products = total
        return self._products

    @staticmethod
    def keep(several: Sequence[Frames], run: Map = map) -> None:
        """Keep those that are small enough, side by side, so that one call can work on many."""
        groups: dict[tuple[int, int], list[Frames]] = {}
        left = _CACHE_BYTES
        for frames in sorted(several, key=len):
            height = frames.n_features + 1
            left -= frames.n_tiles * height * frames.tile_size * frames.dtype.itemsize
            if left >= 0:
                groups.setdefault((height, frames.tile_size), []).append(frames)
        for (height, size), group in groups.items():
            block = np.empty((sum(f.n_tiles for f in group), height, size), dtype=group[0].dtype)
            first = 0
            for frames in group:
                end = first + frames.n_tiles
                parts = [
                    slice(i, min(i + _TILES_A_TASK, frames.n_tiles)) for i in range(0, frames.n_tiles, _TILES_A_TASK)
                ]
                rooms = [block[first + part.start : first + part.stop] for part in parts]
                tasks = zip([frames] * len(parts), parts, rooms, strict=True)
                list(run(lambda task: task[0].write_units(*task[1:]), tasks))
                frames.block, frames.first_tile = block, first
                first = end
