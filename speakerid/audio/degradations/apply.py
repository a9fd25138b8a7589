"""Degrading samples.

What is drawn (the noise and its place, the room, the gain) comes from a generator that is seeded by a seed, the recording's
own samples and the step's text: not by other recordings, their order or the number of workers. The same step twice in a
row draws twice.

*Band*: a linear-phase FIR filter (Kaiser window), 60 dB down outside; the edges are where it is 6 dB down, and it falls
within 100 Hz around them, or half the lower edge if that is less. An edge above half the sample rate is none.

*Telephone*: at 8 kHz the band from 300 to 3400 Hz, and mu-law (ITU-T G.711). Recordings below 8 kHz stay at their rate.

*Gain*: what is drawn is limited so that nothing clips; an exact gain is kept, and clips at full scale.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray
from scipy.signal import firwin, kaiserord, oaconvolve

from speakerid.audio.degradations.codecs import check_codec, through_codec
from speakerid.audio.degradations.noises import add_noise, noise_files
from speakerid.audio.degradations.rooms import decay_response, room_response
from speakerid.audio.degradations.text import (
    Band,
    Clip,
    Codec,
    Degradation,
    Gain,
    Noise,
    Reverb,
    Room,
    Step,
    Telephone,
)
from speakerid.errors import UsageError

__all__ = ["check_degradation", "degrade", "fingerprint"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_TELEPHONE_HZ, _TELEPHONE_RATE = Band(300.0, 3400.0), 8000
_STOPPED_DB = 60.0
_WIDEST_SLOPE_HZ = 100.0


def degrade(samples: ArrayLike, sample_rate: int, degradation: Degradation, *, seed: int, key: str) -> Floats:
    """Degrade a recording.

    Parameters
    ----------
    samples : array_like, shape (n_samples,)
        Mono, full scale ±1.
    sample_rate : int
        In Hz, at least 4000.
    degradation : Degradation
        From :func:`speakerid.audio.parse_degradation`.
    seed : int
    key : str
        Of the recording: its content hash, say. What is drawn depends on it, the seed and the step's text only.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        Aligned with the original. Digital silence stays what it is. Values beyond ±1 are not clipped, unless a step says so.

    Raises
    ------
    UsageError
        Not one-dimensional or not finite; noises that are not there; a codec that the installed libsndfile does not have.
    """
    degraded = np.ascontiguousarray(samples, dtype=np.float32)
    if degraded.ndim != 1:
        raise UsageError(f"samples have shape {degraded.shape}; expected (n_samples,), one channel")
    if not np.isfinite(degraded).all():
        raise UsageError("samples that are not finite cannot be degraded; remove them")
    before: Counter[str] = Counter()
    for step in degradation.steps:
        if not degraded.any():
            break
        text = str(step)
        degraded = _apply(step, degraded, sample_rate, _generator(seed, key, text, before[text]))
        before[text] += 1
    return degraded


def check_degradation(degradation: Degradation) -> None:
    """Look whether it can be done here: that the files of noise are there and the codecs installed.

    Raises
    ------
    UsageError
    """
    noise_files.cache_clear()  # they may be others than the last time
    for step in degradation.steps:
        if isinstance(step, Codec):
            check_codec(step)
        elif isinstance(step, Telephone):
            check_codec(Codec("mulaw"))
    for path in degradation.paths:
        noise_files(path)


def fingerprint(degradation: Degradation) -> str:
    """A text that differs where what a degradation does to the same samples may differ: its steps and files of noise."""
    files = [
        (file.name, file.frames, file.rate, file.status) for path in degradation.paths for file in noise_files(path)
    ]
    return json.dumps([str(degradation), files])


def _generator(seed: int, key: str, text: str, repeated: int) -> np.random.Generator:
    what = json.dumps([seed, key, text, repeated]).encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(what).digest(), "big"))


def _apply(step: Step, samples: Floats, rate: int, rng: np.random.Generator) -> Floats:
    match step:
        case Noise(snr_db, source):
            return add_noise(samples, rate, snr_db, source, rng)
        case Telephone():
            return _telephone(samples, rate)
        case Band():
            return _filtered(samples, rate, step)
        case Reverb(t60):
            return _reverberated(samples, decay_response(t60, rate, rng))
        case Room(t60):
            return _reverberated(samples, room_response(t60, rate, rng))
        case Gain(db, exact):
            return _gained(samples, db, None if exact else rng)
        case Codec():
            return through_codec(samples, rate, step)
        case Clip(db):
            limit = float(np.abs(samples).max()) * 10 ** (-db / 20)
            return np.clip(samples, -limit, limit).astype(np.float32)


def _filtered(samples: Floats, rate: int, band: Band) -> Floats:
    half = rate / 2
    if band.low >= half:
        return np.zeros_like(samples)
    edges = [edge for edge in (band.low, band.high) if 0 < edge < half]
    if not edges:
        return samples
    slope = min(_WIDEST_SLOPE_HZ, edges[0] / 2, band.high - band.low, *(half - edge for edge in edges))
    n_taps, beta = kaiserord(_STOPPED_DB, slope / half)
    taps = firwin(n_taps | 1, edges, window=("kaiser", beta), pass_zero=band.low == 0, fs=rate)
    # the filter's delay is half its length
    delay = len(taps) // 2
    filtered: Doubles = oaconvolve(samples, taps)[delay : delay + len(samples)]
    return filtered.astype(np.float32)


def _telephone(samples: Floats, rate: int) -> Floats:
    wire = min(rate, _TELEPHONE_RATE)
    sent = samples if wire == rate else soxr.resample(samples, rate, wire, quality="HQ")
    sent = through_codec(_filtered(sent, wire, _TELEPHONE_HZ), wire, Codec("mulaw"))
    heard = sent if wire == rate else soxr.resample(sent, wire, rate, quality="HQ")
    result = np.zeros(len(samples), dtype=np.float32)
    n = min(len(result), len(heard))
    result[:n] = heard[:n]
    return result


def _reverberated(samples: Floats, response: Doubles) -> Floats:
    """Convolve, and keep the mean power."""
    heard: Doubles = oaconvolve(samples.astype(np.float64), response)[: len(samples)]
    power, now = (float(np.mean(np.square(each, dtype=np.float64))) for each in (samples, heard))
    return (heard * np.sqrt(power / now)).astype(np.float32) if now > 0 else samples


def _gained(samples: Floats, db: float, rng: np.random.Generator | None) -> Floats:
    if rng is None:
        return np.clip(samples * np.float64(10 ** (db / 20)), -1, 1).astype(np.float32)
    gain = 10 ** (rng.uniform(-db, db) / 20)
    loudest = float(np.abs(samples).max())
    return (samples * np.float64(min(gain, max(1.0, 1 / loudest)) if gain > 1 else gain)).astype(np.float32)
