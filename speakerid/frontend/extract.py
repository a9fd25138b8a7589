"""Samples in, features out: the front end as one call.

c0 is relative to the level of the loud frames, or to its own mean over the speech frames (over all frames when none is
speech).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig
from speakerid.frontend.activity import speech_mask
from speakerid.frontend.features import Features, StaticFeatures, finish
from speakerid.frontend.mel import cosine_transform
from speakerid.frontend.spectrum import SpectralAnalysis, SpectralFrames

__all__ = ["extract_features", "extract_static", "to_static"]


def extract_static(blocks: Iterable[NDArray[np.float32]], config: FrontEndConfig) -> StaticFeatures:
    """Static cepstra and speech mask of a recording that comes in blocks.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (n,), float32
        Mono samples at ``config.sample_rate``.
    config : FrontEndConfig

    Returns
    -------
    static : StaticFeatures
        Memory grows by 4·cepstra + 21 bytes a frame (by 4·mel_bands more with a level or dynamic range, whose floor is
        known at the end only), not with the samples; with ``engine = "librosa"`` the samples are kept as well.
    """
    if config.engine == "librosa":
        from speakerid.frontend.librosa_engine import analyse_with_librosa

        frames = analyse_with_librosa(blocks, config)
    else:
        analysis = SpectralAnalysis(config)
        for block in blocks:
            analysis.push(block)
        frames = analysis.finish()
    return to_static(frames, config)


def to_static(
    frames: SpectralFrames, config: FrontEndConfig, *, speech: NDArray[np.bool_] | None = None
) -> StaticFeatures:
    """Find the speech of some frames, unless it is known, and take their level out, as if they were all there is."""
    speech = speech_mask(frames.activity, config) if speech is None else speech
    cepstra = frames.cepstra
    if config.c0 == "drop":
        cepstra = np.ascontiguousarray(cepstra[:, 1:])
    elif config.c0 == "level_removed":
        level = frames.activity.loud_level
        level *= 1.0 if config.log == "decibel" else np.log(10.0) / 10.0
        cepstra[:, 0] -= np.float32(level * cosine_transform(config)[:, 0].sum())
    elif config.c0 == "mean_removed" and len(cepstra):
        chosen = cepstra[speech, 0] if speech.any() else cepstra[:, 0]
        cepstra[:, 0] -= np.float32(chosen.mean(dtype=np.float64))
    return StaticFeatures(cepstra, speech)


def extract_features(samples: NDArray[np.float32], config: FrontEndConfig | None = None) -> Features:
    """Features of samples in memory.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,), float32
        Mono, at ``config.sample_rate``, full scale ±1.
    config : FrontEndConfig, optional
        The defaults if left out.
    """
    config = config or FrontEndConfig()
    return finish(extract_static([samples], config), config)
