"""The mel scale, the filter bank, the tapers and the cosine transform, as matrices.

Mel scales: "htk" is 2595·log10(1 + f/700) (O'Shaughnessy 1987, as in HTK); "slaney" is linear to 1 kHz and logarithmic
above (Slaney 1998, Auditory Toolbox), librosa's default. Filters are triangles over frequency in Hz between mel-spaced
edges, of height one, or with "slaney" norm of height 2/(upper − lower edge), which gives each the same area.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig

__all__ = ["band_centres", "cosine_transform", "hz_to_mel", "mel_filter_bank", "mel_to_hz", "taper"]

_SLANEY_HZ_PER_MEL = 200.0 / 3
_SLANEY_BREAK_HZ = 1000.0
_SLANEY_BREAK_MEL = _SLANEY_BREAK_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(hz: NDArray[np.float64] | float, scale: str) -> NDArray[np.float64]:
    """Frequencies in Hz to mel."""
    hz = np.asarray(hz, dtype=np.float64)
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0))
    above = np.log(np.maximum(hz, _SLANEY_BREAK_HZ) / _SLANEY_BREAK_HZ) / _SLANEY_LOG_STEP
    return np.where(hz < _SLANEY_BREAK_HZ, hz / _SLANEY_HZ_PER_MEL, _SLANEY_BREAK_MEL + above)


def mel_to_hz(mel: NDArray[np.float64] | float, scale: str) -> NDArray[np.float64]:
    """Mel to frequencies in Hz: the inverse of :func:`hz_to_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    above = _SLANEY_BREAK_HZ * np.exp(_SLANEY_LOG_STEP * (mel - _SLANEY_BREAK_MEL))
    return np.where(mel < _SLANEY_BREAK_MEL, mel * _SLANEY_HZ_PER_MEL, above)


def _edges(config: FrontEndConfig) -> NDArray[np.float64]:
    """Lower edge of the first band, centres of all, upper edge of the last, Hz."""
    high = config.mel_high_hz or config.sample_rate / 2
    ends = hz_to_mel(np.array([config.mel_low_hz, high]), config.mel_scale)
    return mel_to_hz(np.linspace(ends[0], ends[1], config.mel_bands + 2), config.mel_scale)


def band_centres(config: FrontEndConfig) -> NDArray[np.float64]:
    """Frequencies where the filters are highest, Hz: (mel_bands,)."""
    return _edges(config)[1:-1]


def mel_filter_bank(config: FrontEndConfig) -> NDArray[np.float64]:
    """Triangular filters over the bins of the power spectrum.

    Returns
    -------
    filters : ndarray, shape (mel_bands, transform_size // 2 + 1)
    """
    edges = _edges(config)
    bins = np.fft.rfftfreq(config.transform_size, 1.0 / config.sample_rate)
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - lower) / (centre - lower)
    falling = (upper - bins) / (upper - centre)
    filters = np.maximum(0.0, np.minimum(rising, falling))  # (mel_bands, n_bins)
    if config.mel_norm == "slaney":
        filters *= 2.0 / (upper - lower)
    return filters


def taper(config: FrontEndConfig) -> NDArray[np.float64]:
    """Return the window of a frame, periodic form, shape (frame_length,)."""
    n = config.frame_length
    phase = 2.0 * np.pi * np.arange(n) / n
    if config.window == "hamming":
        return np.asarray(0.54 - 0.46 * np.cos(phase))
    if config.window == "hann":
        return np.asarray(0.5 - 0.5 * np.cos(phase))
    if config.window == "povey":
        return np.asarray((0.5 - 0.5 * np.cos(phase)) ** 0.85)
    return np.ones(n)


def cosine_transform(config: FrontEndConfig) -> NDArray[np.float64]:
    """Return the orthonormal DCT-II with the lifter folded in, shape (mel_bands, cepstra).

    Column n is sqrt(2/M)·cos(πn(m + ½)/M), for n = 0 divided by sqrt(2) (Davis and Mermelstein 1980, orthonormal form);
    the lifter multiplies it by 1 + L/2·sin(π(n + 1)/L) (librosa's form of Juang 1987).
    """
    bands = config.mel_bands
    n = np.arange(config.cepstra)
    matrix = np.sqrt(2.0 / bands) * np.cos(np.pi / bands * np.outer(np.arange(bands) + 0.5, n))
    matrix[:, 0] /= np.sqrt(2.0)
    if config.lifter:
        matrix *= 1.0 + config.lifter / 2.0 * np.sin(np.pi * (n + 1) / config.lifter)
    return np.asarray(matrix)
