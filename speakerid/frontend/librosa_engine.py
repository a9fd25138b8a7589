"""The same features computed by librosa: for people who compare with their notebooks.

Spectrum, mel energies, logarithm and cepstra come from librosa; framing differs from ``librosa.feature.mfcc`` only where
the config asks for it. Speech activity reads librosa's power spectrum and is our own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig
from speakerid.frontend.framing import count_frames, padding
from speakerid.frontend.mel import taper
from speakerid.frontend.spectrum import SpectralAnalysis, SpectralFrames, chunks, level_floor

__all__ = ["analyse_with_librosa"]


def analyse_with_librosa(blocks: Iterable[NDArray[np.float32]], config: FrontEndConfig) -> SpectralFrames:
    """Compute what :class:`SpectralAnalysis` computes, through librosa; the whole recording is in memory.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (n,), float32
    config : FrontEndConfig
    """
    import librosa

    samples = np.concatenate([np.zeros(0, dtype=np.float32), *blocks])
    n_frames = count_frames(len(samples), config)
    analysis = SpectralAnalysis(config)
    if n_frames == 0:
        return analysis.finish()
    if config.pre_emphasis:
        start = [-config.pre_emphasis * float(samples[0])]
        samples = librosa.effects.preemphasis(samples, coef=config.pre_emphasis, zi=start)
    # librosa puts a window shorter than the transform in its middle; ours starts at its first sample unless centred
    before = padding(config) if config.centred else (config.transform_size - config.frame_length) // 2
    samples = np.pad(samples, (before, config.transform_size))
    spectrum = librosa.stft(
        samples,
        n_fft=config.transform_size,
        hop_length=config.frame_shift,
        win_length=config.frame_length,
        window=taper(config),
        center=False,
    )[:, :n_frames]
    power = (np.abs(spectrum) ** 2).astype(np.float32)  # (n_bins, n_frames)
    for part in chunks(n_frames):
        analysis.consume(np.ascontiguousarray(power[:, part].T))
    activity = analysis.finish().activity
    mel = librosa.feature.melspectrogram(
        S=power,
        sr=config.sample_rate,
        n_fft=config.transform_size,
        n_mels=config.mel_bands,
        fmin=config.mel_low_hz,
        fmax=config.mel_high_hz or None,
        htk=config.mel_scale == "htk",
        norm="slaney" if config.mel_norm == "slaney" else None,
    )
    log_mel = librosa.power_to_db(mel, amin=config.log_floor, top_db=config.dynamic_range_db or None)
    if config.level_range_db:
        log_mel = librosa.power_to_db(
            librosa.db_to_power(log_mel) + level_floor(activity, config), amin=1e-37, top_db=None
        )
    if config.log == "natural":
        log_mel *= math.log(10.0) / 10.0
    cepstra = librosa.feature.mfcc(S=log_mel, n_mfcc=config.cepstra, lifter=config.lifter)
    return SpectralFrames(np.ascontiguousarray(cepstra.T, dtype=np.float32), activity)
