"""Derivatives over time by linear regression.

Δ_t = Σ_k k·(x_{t+k} − x_{t−k}) / (2 Σ_k k²), k = 1..W (Furui 1986; HTK Book, "Delta and acceleration coefficients").
Beyond the ends the first and last frames are repeated. ΔΔ is Δ of Δ. This equals
``librosa.feature.delta(x, width=2W+1, order=1, mode="nearest")``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["append_deltas", "delta"]


def delta(values: NDArray[np.float32], window: int) -> NDArray[np.float32]:
    """Slope of each column, a frame: shape (n_frames, d) -> (n_frames, d)."""
    n_frames = len(values)
    if n_frames == 0:
        return values.copy()
    scale = np.float32(1.0 / (2.0 * sum(k * k for k in range(1, window + 1))))
    padded = np.concatenate([values[:1].repeat(window, axis=0), values, values[-1:].repeat(window, axis=0)])
    slope = np.zeros_like(values)
    for k in range(1, window + 1):
        later = padded[window + k : window + k + n_frames]
        earlier = padded[window - k : window - k + n_frames]
        slope += np.float32(k) * (later - earlier)
    slope *= scale
    return slope


def append_deltas(static: NDArray[np.float32], order: int, window: int) -> NDArray[np.float32]:
    """Static features and their derivatives side by side: (n_frames, d) -> (n_frames, d·(1 + order))."""
    parts = [static]
    for _ in range(order):
        parts.append(delta(parts[-1], window))
    return np.concatenate(parts, axis=1)
