"""The noise and the band of a recording, taken back from its features.

The mel spectrum of the speech frames is taken back from the cepstra, smoothed by their number; energies are relative to the
level of the loud frames, because c0 is. Over the speech frames of a recording:

- *noise*: the 5th percentile of each band's energy, raised by what that of stationary noise lies below its mean. Between the
  sounds of speech a band falls to the noise, in some frames at least, also where nobody pauses;
- *level*: the mean of each band's logarithm;
- *narrow*: nothing in the upper band (:mod:`speakerid.frontend.bandwidth`).

What a question's recording has more of noise than the recordings that were enrolled, and what it lacks of their band, is its
*disturbance*. Up to twice the enrolment's noise counts as none: a short word without a pause shows more than there is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig
from speakerid.frontend.bandwidth import lacks_upper_band
from speakerid.frontend.deltas import append_deltas
from speakerid.frontend.features import StaticFeatures
from speakerid.frontend.mel import band_centres, cosine_transform
from speakerid.frontend.spectrum import SpectralAnalysis

__all__ = [
    "Disturbance",
    "Environment",
    "MelBasis",
    "disturbance",
    "environment_of",
    "environment_of_speaker",
    "mel_basis",
    "typical_environment",
]

Floats = NDArray[np.float64]

_NOISE_PERCENTILE, _ENROLLED_PERCENTILE = 5.0, 75.0
_UNNOTICED = 2.0  # times the enrolment's noise
_LEAST_NOISE = 1e-6  # of the loud frames: below it there is nothing to do
_CORE_HZ = (400.0, 3000.0)  # every channel passes these
_MISSING = 2.5  # nats that a band is lower than the core, to be missing
_LEAST_MISSING = 3  # bands of those that are enrolled
_EMPTY = 0.7  # nats above the floor: nothing was there in the enrolment either
_MOSTLY = 0.75  # of the bands from an edge outwards
_DECIBELS = 10.0 / np.log(10.0)
_NOISE_SECONDS = 20
_MOST_FRAMES = 6000  # of a recording, evenly
_PIECE_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class MelBasis:
    """From cepstra to mel bands and back.

    Attributes
    ----------
    back : ndarray, shape (n_static, mel_bands)
        Cepstra times it are natural logarithms of mel energies.
    forth : ndarray, shape (mel_bands, n_static)
    floor : float
        Energy that the front end adds to every band, relative to the loud frames.
    noise_variance : ndarray, shape (n_features,)
        Of the features of stationary noise.
    below_mean : ndarray, shape (mel_bands,)
        What the percentile of stationary noise lies below its mean, nats.
    centres_hz : ndarray, shape (mel_bands,)
    """

    back: Floats
    forth: Floats
    floor: float
    noise_variance: Floats
    below_mean: Floats
    centres_hz: Floats


@lru_cache(maxsize=8)
def mel_basis(config: FrontEndConfig) -> MelBasis | None:
    """Return the basis of a front end, or None where features do not show the spectrum above its loud frames.

    They do with c0 relative to the recording's level, a floor that follows it, and no further normalisation.
    """
    levelled = config.c0 == "level_removed" and config.level_range_db > 0
    if (
        not levelled
        or config.normalisation != "none"
        or config.dynamic_range_db
        or 2 * config.cepstra < config.mel_bands
    ):
        return None
    unit = 1.0 if config.log == "natural" else _DECIBELS
    forth = cosine_transform(config) * unit
    if np.linalg.matrix_rank(forth) < config.n_static:  # a lifter takes cepstra away
        return None
    back = np.linalg.pinv(forth)
    noise = np.random.default_rng(0).standard_normal(_NOISE_SECONDS * config.sample_rate).astype(np.float32)
    analysis = SpectralAnalysis(config)
    analysis.push(noise)
    frames = analysis.finish()
    cepstra = frames.cepstra.copy()
    cepstra[:, 0] -= np.float32(frames.activity.loud_level / _DECIBELS * forth[:, 0].sum())
    logs = cepstra.astype(np.float64) @ back
    below = np.log(np.exp(logs).mean(axis=0)) - np.percentile(logs, _NOISE_PERCENTILE, axis=0)
    variance = append_deltas(cepstra, config.deltas, config.delta_window).astype(np.float64).var(axis=0)
    return MelBasis(back, forth, 10.0 ** (-config.level_range_db / 10.0), variance, below, band_centres(config))


@dataclass(frozen=True)
class Environment:
    """Where a recording, or what a speaker enrolled, was recorded.

    Attributes
    ----------
    noise : tuple of float
        Of each mel band, dB relative to the loud frames.
    level : tuple of float
        Mean of the speech, dB relative to the loud frames.
    narrow : bool
    """

    noise: tuple[float, ...]
    level: tuple[float, ...]
    narrow: bool = False


def environment_of(static: StaticFeatures, config: FrontEndConfig) -> Environment | None:
    """Tell the environment of a recording from its features; None where they do not show it, or nobody speaks.

    Only from the speech: what is between and around it may be cut, gated or added.
    """
    basis = mel_basis(config)
    if basis is None or not static.n_speech:
        return None
    speech = np.flatnonzero(static.speech)
    return _environment(static.cepstra[speech[:: -(-len(speech) // _MOST_FRAMES)]], basis, config)


def _environment(speech: NDArray[np.floating[Any]], basis: MelBasis, config: FrontEndConfig) -> Environment:
    """Tell the environment from speech frames, (n, n_static) or more."""
    cepstra = speech[:, : config.n_static]
    logs = cepstra.astype(np.float64) @ basis.back
    noise = np.percentile(logs, _NOISE_PERCENTILE, axis=0) + basis.below_mean
    return Environment(_decibels(noise), _decibels(logs.mean(axis=0)), bool(lacks_upper_band(cepstra, config)))


def environment_of_speaker(
    recordings: Sequence[NDArray[np.floating[Any]]], config: FrontEndConfig
) -> Environment | None:
    """Tell the environment of a speaker from the features of recordings; each piece of a second counts as one.

    A short question has no pause to fall silent in. So that it does not pass for noisier than the enrolment, this is cut as
    short.
    """
    basis = mel_basis(config)
    if basis is None:
        return None
    found: list[Environment] = []
    for frames in recordings:
        n_pieces = max(round(len(frames) * config.frame_shift_ms / 1000.0 / _PIECE_SECONDS), 1)
        pieces = np.array_split(frames, n_pieces)
        found.extend(_environment(piece, basis, config) for piece in pieces if len(piece))
    return typical_environment(found) if found else None


def typical_environment(environments: Sequence[Environment]) -> Environment:
    """Of several pieces, or of several speakers: as noisy as three quarters of them."""
    noise = np.percentile([each.noise for each in environments], _ENROLLED_PERCENTILE, axis=0)
    # exactly summed: their order must not matter
    level = [
        math.fsum(values) / len(environments) for values in zip(*(each.level for each in environments), strict=True)
    ]
    narrow = sum(each.narrow for each in environments)
    return Environment(
        tuple(np.round(noise, 2).tolist()), tuple(np.round(level, 2).tolist()), 2 * narrow > len(environments)
    )


def _decibels(nats: Floats) -> tuple[float, ...]:
    return tuple(np.round(nats * _DECIBELS, 2).tolist())


@dataclass(frozen=True, eq=False)
class Disturbance:
    """What a recording has and lacks that those enrolled have not and do not.

    Attributes
    ----------
    noise : ndarray, shape (mel_bands,)
        Energy beyond the enrolment's, relative to the loud frames.
    gain : float
        By how much the bands that are there are louder, because the loud frames lost the others, nats.
    missing : ndarray of bool, shape (mel_bands,)
    level : ndarray, shape (mel_bands,)
        Mean of what is where a band is missing, natural logarithm.
    """

    noise: Floats
    gain: float
    missing: NDArray[np.bool_]
    level: Floats


def disturbance(asked: Environment, enrolled: Environment, config: FrontEndConfig) -> Disturbance | None:
    """Compare a question's recording with the enrolled ones; None where there is nothing to make up for."""
    basis = mel_basis(config)
    if basis is None:
        return None
    level, usual = np.array(asked.level) / _DECIBELS, np.array(enrolled.level) / _DECIBELS
    missing, gain = np.zeros(len(level), dtype=np.bool_), 0.0
    core = (basis.centres_hz > _CORE_HZ[0]) & (basis.centres_hz < _CORE_HZ[1])
    if asked.narrow and core.any():
        gain = float(np.median((level - usual)[core]))
        low = level - usual < gain - _MISSING
        empty = usual < np.log(basis.floor) + _EMPTY
        cut = _from_the_edges(low | empty, core)
        if (cut & low & ~empty).sum() >= _LEAST_MISSING:
            missing = cut
        else:
            gain = 0.0
    # a channel that takes part of the loud frames away lifts all else, and its own noise comes on top
    usual_noise = np.exp(np.array(enrolled.noise) / _DECIBELS + 2.0 * max(gain, 0.0))
    heard = np.exp(np.array(asked.noise) / _DECIBELS)
    noise = np.maximum(heard - _UNNOTICED * usual_noise, 0.0)
    noise[missing] = 0.0
    if noise.max() < _LEAST_NOISE and not missing.any():
        return None
    return Disturbance(noise, gain, missing, level)


def _from_the_edges(low: NDArray[np.bool_], core: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Bands that are cut off: from an edge on that is low outwards to the end, all but for a quarter."""
    missing = np.zeros(len(low), dtype=np.bool_)
    first, last = int(np.flatnonzero(core)[0]), int(np.flatnonzero(core)[-1])
    for edge in range(last + 1, len(low)):
        if low[edge] and low[edge:].mean() >= _MOSTLY:
            missing[edge:] = True
            break
    for edge in itertools.takewhile(lambda b: b >= 0, itertools.count(first - 1, -1)):
        if low[edge] and low[: edge + 1].mean() >= _MOSTLY:
            missing[: edge + 1] = True
            break
    return missing
