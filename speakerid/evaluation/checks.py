"""What goes into a metric, checked once, in one place.

Scores may be infinite, because −inf (never this speaker) and +inf (surely) have a place in every order; NaN has none and
is refused. Weights say how often each trial counts: 1 is as it is, 0 leaves it out, 2 is the same as having it twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["EmptySideError", "checked_flags", "checked_indices", "checked_scores", "checked_weights"]


class EmptySideError(ValueError):
    """A rate has no trials to be a rate of: no targets, no strangers, or no weight on them."""


def checked_scores(scores: ArrayLike, what: str, *, n_dimensions: int = 1) -> NDArray[np.float64]:
    """Scores as float64, of `n_dimensions`, without NaN; infinities are allowed."""
    result = np.asarray(scores, dtype=np.float64)
    if result.ndim != n_dimensions:
        raise ValueError(f"{what}: expected {n_dimensions} dimension(s), got shape {result.shape}")
    if np.isnan(result).any():
        raise ValueError(f"{what}: {int(np.isnan(result).sum())} of {result.size} scores are NaN")
    return result


def checked_flags(flags: ArrayLike, n: int, what: str) -> NDArray[np.bool_]:
    """True or false for each of `n` trials; 0 and 1 are taken too."""
    result = np.asarray(flags)
    if result.shape != (n,):
        raise ValueError(f"{what}: expected shape ({n},), got {result.shape}")
    if result.dtype != np.bool_ and not np.isin(result, (0, 1)).all():
        raise ValueError(f"{what}: expected true or false (1 or 0) for each")
    return result.astype(np.bool_)


def checked_indices(indices: ArrayLike, n: int, n_values: int, what: str, *, first: int = 0) -> NDArray[np.intp]:
    """Whole numbers, one for each of `n` tests, that count `n_values` things from `first`; returned counted from 0."""
    result: NDArray[Any] = np.asarray(indices)
    if result.shape != (n,):
        raise ValueError(f"{what}: expected shape ({n},), got {result.shape}")
    if n and not np.issubdtype(result.dtype, np.integer):
        raise ValueError(f"{what}: expected whole numbers, got {result.dtype}")
    last = first + n_values - 1
    if n and not first <= int(result.min()) <= int(result.max()) <= last:
        raise ValueError(f"{what}: expected {first}..{last}, got {int(result.min())}..{int(result.max())}")
    return result.astype(np.intp) - first


def checked_weights(weights: ArrayLike | None, n: int, what: str = "weights") -> NDArray[np.float64]:
    """Finite weights ≥ 0 for each of `n` trials; None is 1 for each."""
    if weights is None:
        return np.ones(n)
    result = np.asarray(weights, dtype=np.float64)
    if result.shape != (n,):
        raise ValueError(f"{what}: expected shape ({n},), got {result.shape}")
    if n and not (result.min() >= 0 and result.max() < np.inf):
        raise ValueError(f"{what}: expected finite numbers ≥ 0")
    return result
