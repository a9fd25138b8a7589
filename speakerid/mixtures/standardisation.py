"""Units in which frames are of size one.

Densities are multiplied out (see :mod:`speakerid.mixtures.covariances.base`), and x² − 2xμ + μ² loses digits far from the
origin; so frames are centred and scaled first. All training happens in these units, and a floor of covariances is a
share of the frames' own variance.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.parallel import Map

__all__ = ["Standardisation", "Whitening", "frame_moments"]

Array = NDArray[Any]
Float64 = NDArray[np.float64]
_CHUNK_VALUES = 1 << 16
# A direction whose variance is less than this share of its features' counts as never moving: what is left is rounding.
_NO_VARIANCE = 1e-10


@dataclass(frozen=True, eq=False)
class Standardisation:
    """x' = (x − centre) / scale, a feature.

    Attributes
    ----------
    centre, scale : ndarray, shape (d,), float64
    """

    centre: Float64
    scale: Float64

    @functools.cached_property
    def _ordinary(self) -> bool:
        """Scales and their inverses are numbers of float32."""
        return bool((self.scale > 1e-30).all() and (self.scale < 1e30).all() and (np.abs(self.centre) < 1e30).all())

    @property
    def log_scale(self) -> float:
        """log |dx/dx'|: what densities of standardised frames are larger by, nats."""
        return float(np.log(self.scale).sum())

    def unit(self, X: Array, out: Array) -> None:
        """Write standardised frames, feature-major: (n, d) -> (d, n)."""
        # subtract before rounding to float32: an offset of many deviations must not eat the digits
        if X.dtype == np.float64 or not self._ordinary:
            np.copyto(out, ((X - self.centre) / self.scale).T, casting="same_kind")
        else:
            np.subtract(X.T, self.centre.astype(out.dtype)[:, None], out=out)
            out *= (1.0 / self.scale).astype(out.dtype)[:, None]

    def means_to_unit(self, means: Float64) -> Float64:
        """Means of standardised frames: (K, d) -> (K, d)."""
        return (means - self.centre) / self.scale

    def means_from_unit(self, means: Float64) -> Float64:
        """Inverse of :meth:`means_to_unit`."""
        return means * self.scale + self.centre

    def moved(self, first: Float64) -> Float64:
        """First moments of x − centre from those of x': (K, d) -> (K, d)."""
        return first * self.scale

    def covariances_to_unit(self, matrices: Float64) -> Float64:
        """Covariance matrices of standardised frames: (..., d, d) -> (..., d, d)."""
        return matrices / (self.scale[:, None] * self.scale)

    def covariances_from_unit(self, matrices: Float64) -> Float64:
        """Inverse of :meth:`covariances_to_unit`."""
        return matrices * (self.scale[:, None] * self.scale)


@dataclass(frozen=True, eq=False)
class Whitening(Standardisation):
    """x' = B⁻¹ (x − centre): the standardised frames have the covariance I.

    Of the many such B it is the symmetric one (of the frames scaled to variance 1), which does not depend on the signs that
    a library gives to eigenvectors.

    Attributes
    ----------
    matrix, inverse : ndarray, shape (d, d), float64
        B and B⁻¹.
    """

    matrix: Float64
    inverse: Float64

    @classmethod
    def of_covariance(cls, centre: Float64, covariance: Float64) -> Whitening:
        """Whiten frames of this mean and covariance; a direction that never moves keeps its scale."""
        deviation = np.sqrt(np.diagonal(covariance))
        values, vectors = np.linalg.eigh(covariance / (deviation[:, None] * deviation))
        spread = np.sqrt(np.where(values > _NO_VARIANCE * values[-1], values, 1.0))
        matrix = deviation[:, None] * ((vectors * spread) @ vectors.T)
        inverse = ((vectors / spread) @ vectors.T) / deviation
        return cls(centre, deviation, matrix, inverse)

    @property
    def log_scale(self) -> float:
        return float(np.linalg.slogdet(self.matrix)[1])

    def unit(self, X: Array, out: Array) -> None:
        # in float64: where features move together the inverse is large
        np.copyto(out, self.inverse @ (X - self.centre).T, casting="same_kind")

    def means_to_unit(self, means: Float64) -> Float64:
        return np.asarray((means - self.centre) @ self.inverse.T)

    def means_from_unit(self, means: Float64) -> Float64:
        return np.asarray(means @ self.matrix.T + self.centre)

    def moved(self, first: Float64) -> Float64:
        return np.asarray(first @ self.matrix.T)

    def covariances_to_unit(self, matrices: Float64) -> Float64:
        return _symmetric(self.inverse @ matrices @ self.inverse.T)

    def covariances_from_unit(self, matrices: Float64) -> Float64:
        return _symmetric(self.matrix @ matrices @ self.matrix.T)


def _symmetric(matrices: Float64) -> Float64:
    return np.asarray(0.5 * (matrices + matrices.swapaxes(-1, -2)))


def frame_moments(X: Array, *, products: bool, run: Map = map) -> tuple[Float64, Float64, int]:
    """Mean (d,), variance (d,) or covariance (d, d) of frames (n, d), and how many features never move.

    A feature that moves by less than a millionth of its mean (in float64: a million millionth) counts as never moving, and
    gets variance 1: the numbers do not tell such frames apart.
    """
    n, d = X.shape
    # around the first frame: what never moves gives exact zeros, and an offset of many deviations costs no digits
    pivot = X[0].astype(np.float64)
    step = max(_CHUNK_VALUES // d, 1)
    ones = np.ones(step)

    def sums(begin: int) -> tuple[Float64, Float64]:
        part = X[begin : begin + step] - pivot
        weights = ones[: len(part)]
        return weights @ part, part.T @ part if products else weights @ np.square(part)

    first, second = np.zeros(d), np.zeros((d, d) if products else d)
    for one, two in run(sums, range(0, n, step)):
        first += one
        second += two
    first /= n
    second /= n
    second -= np.outer(first, first) if products else np.square(first)
    centre = pivot + first
    variance = np.diagonal(second) if products else second
    still = ~(variance > np.square((1e-6 if X.dtype == np.float32 else 1e-12) * centre))
    if products:
        second[still] = 0.0
        second[:, still] = 0.0
        second[still, still] = 1.0
    else:
        second[still] = 1.0
    return centre, second, int(np.count_nonzero(still))
