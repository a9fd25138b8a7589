"""What the store's rows are in Python, and the arrays in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from speakerid.frontend import StaticFeatures
from speakerid.mixtures import COVARIANCE_TYPES, GaussianMixture

__all__ = [
    "NewRecording",
    "RecordingRow",
    "SpeakerRow",
    "SpeakerUpdate",
    "adapted_from_blobs",
    "adapted_to_blobs",
    "as_stored",
    "mixture_from_blobs",
    "mixture_to_blobs",
]


_LARGEST_MEAN, _SMALLEST_VARIANCE, _LARGEST_VARIANCE = 1e6, 1e-12, 1e12


@dataclass(frozen=True)
class RecordingRow:
    """One enrolled recording; `source` is where it was, `source_rate` its own rate in Hz."""

    content_hash: str
    source: str
    session: str | None
    source_rate: int
    seconds: float
    speech_seconds: float
    enrolled: str
    n_frames: int


@dataclass(frozen=True, eq=False)
class NewRecording:
    """A recording to be written, with its static features; `source_rate` in Hz."""

    content_hash: str
    source: str
    session: str | None
    source_rate: int
    seconds: float
    speech_seconds: float
    static: StaticFeatures


@dataclass(frozen=True)
class SpeakerRow:
    """One speaker, with totals over the recordings; times are ISO 8601, UTC."""

    name: str
    created: str
    changed: str
    n_recordings: int
    seconds: float
    speech_seconds: float
    n_components: int


@dataclass(frozen=True, eq=False)
class SpeakerUpdate:
    """A change of one speaker, to be written whole or not at all.

    Attributes
    ----------
    name : str
    expected : frozenset of str
        Content hashes that the speaker had when the model was trained. If they have changed meanwhile the update is
        refused, and has to be made again.
    added : tuple of NewRecording
    mixture : GaussianMixture
        Trained on the expected recordings (unless `replace`) and the added ones.
    record : dict
        How training went; numbers and texts.
    replace : bool
        The expected recordings are dropped.
    """

    name: str
    expected: frozenset[str]
    added: tuple[NewRecording, ...]
    mixture: GaussianMixture
    record: dict[str, Any] = field(default_factory=dict)
    replace: bool = False


def adapted_to_blobs(mixture: GaussianMixture) -> tuple[int, int, bytes, bytes, bytes]:
    """K, d and the means alone, of a mixture whose weights and variances are the world model's."""
    return mixture.n_components, mixture.n_features, b"", mixture.means.astype("<f4").tobytes(), b""


def adapted_from_blobs(
    n_components: int, n_features: int, weights: bytes, means: bytes, variances: bytes, *, world: GaussianMixture
) -> GaussianMixture:
    """Inverse of :func:`adapted_to_blobs`; weights and variances are shared with the world model.

    Raises
    ------
    ValueError
        The sizes do not fit, or the numbers are no means.
    """
    if (n_components, n_features) != world.means.shape or len(means) != 4 * world.means.size or weights or variances:
        raise ValueError(f"expected means of shape {world.means.shape}, got {len(means)} bytes")
    stored = np.frombuffer(means, dtype="<f4").reshape(world.means.shape)
    # before they become float64, of which some that are not numbers would warn; they are not in range, either
    if not (np.abs(stored) <= _LARGEST_MEAN).all():
        raise ValueError("means out of any feature's range")
    mu = stored.astype(np.float64)
    return GaussianMixture.trusted(world.weights, mu, world.covariances, world.covariance_type)


def as_stored(mixture: GaussianMixture, world: GaussianMixture | None) -> GaussianMixture:
    """Round a mixture as a store does, so that scores do not depend on whether it came from one.

    Parameters
    ----------
    mixture : GaussianMixture
    world : GaussianMixture, optional
        Whose means alone were adapted.
    """
    if world is not None:
        return adapted_from_blobs(*adapted_to_blobs(mixture), world=world)
    blobs, kind = mixture_to_blobs(mixture), mixture.covariance_type.name
    return mixture_from_blobs(*blobs, expected_features=mixture.n_features, covariance=kind)


def mixture_to_blobs(mixture: GaussianMixture) -> tuple[int, int, bytes, bytes, bytes]:
    """K, d and the three arrays as little-endian float32; of covariance matrices Σ = L Lᵀ their factors L.

    Rounding a matrix that is nearly singular could make it one that is no covariance; L Lᵀ is one whatever L is.
    """
    covariances = mixture.covariances
    if mixture.covariance_type.uses_products:
        covariances = np.asarray(np.linalg.cholesky(covariances), dtype=np.float64)
    arrays = (mixture.weights, mixture.means, covariances)
    weights, means, factors = (array.astype("<f4").tobytes() for array in arrays)
    return mixture.n_components, mixture.n_features, weights, means, factors


def mixture_from_blobs(
    n_components: int,
    n_features: int,
    weights: bytes,
    means: bytes,
    variances: bytes,
    *,
    expected_features: int,
    covariance: str,
) -> GaussianMixture:
    """Inverse of :func:`mixture_to_blobs`, up to float32.

    Raises
    ------
    ValueError
        The sizes do not fit, or the numbers are no mixture.
    """
    if n_components < 1 or n_features != expected_features:
        raise ValueError(f"expected a mixture of shape (K, {expected_features}), got ({n_components}, {n_features})")
    kind = COVARIANCE_TYPES[covariance]
    shapes = ((n_components,), (n_components, n_features), kind.shape(n_components, n_features))
    arrays = []
    for blob, shape in zip((weights, means, variances), shapes, strict=True):
        if len(blob) != 4 * int(np.prod(shape)):
            raise ValueError(f"expected an array of shape {shape}, got {len(blob)} bytes")
        arrays.append(np.frombuffer(blob, dtype="<f4").reshape(shape))
    pi, mu, sigma = arrays
    if kind.uses_products:
        factors = sigma.astype(np.float64)
        if np.triu(factors, 1).any() or not (np.diagonal(factors, axis1=-2, axis2=-1) > 0).all():
            raise ValueError("Cholesky factors that are not lower triangular with a positive diagonal")
        sigma = factors @ factors.swapaxes(-1, -2)
    sigma2 = kind.variances(sigma, n_components, n_features)
    # finite, but so far out that scores would overflow: no features are like that
    if np.abs(mu).max() > _LARGEST_MEAN or not (
        sigma2.min() >= _SMALLEST_VARIANCE and sigma2.max() <= _LARGEST_VARIANCE
    ):
        raise ValueError("means or variances out of any feature's range")
    return GaussianMixture(pi, mu, sigma, kind)
