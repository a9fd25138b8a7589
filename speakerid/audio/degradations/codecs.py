"""Through a codec and back, in memory, by libsndfile.

mp3, opus and vorbis run at the recording's own rate or the next that they have, gsm (06.10) at 8 kHz, mu-law (G.711) at any
rate. What a codec delays is measured once, with noise, and taken back: length and place are those of the original. What is
above full scale is turned down for the codec and up again behind it.
"""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy import fft

from speakerid.audio.degradations.text import Codec
from speakerid.errors import UsageError

__all__ = ["check_codec", "through_codec"]

Floats = NDArray[np.float32]

_FORMATS = {
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "opus": ("OGG", "OPUS"),
    "vorbis": ("OGG", "VORBIS"),
    "mulaw": ("WAV", "ULAW"),
    "gsm": ("WAV", "GSM610"),
}
_RATES = {
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "opus": (8000, 12000, 16000, 24000, 48000),
    "vorbis": (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000),
    "gsm": (8000,),
}
_DEFAULT_KBPS = {"mp3": 32, "opus": 16}
# MPEG-1, MPEG-2 and MPEG-2.5 by sampling rate
_MP3_RATES = (
    (32000, (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)),
    (16000, (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)),
    (8000, (8, 16, 24, 32, 40, 48, 56, 64)),
)
_OPUS_KBPS = (6, 256)


def through_codec(samples: Floats, sample_rate: int, codec: Codec) -> Floats:
    """Code and decode (n_samples,): as long, and in the same place.

    Raises
    ------
    UsageError
        The installed libsndfile does not have the codec.
    """
    loudest = max(1.0, float(np.abs(samples).max(initial=0.0)))
    rate = _rate_of(codec.name, sample_rate)
    sent = samples / np.float32(loudest)
    if rate != sample_rate:
        sent = soxr.resample(sent, sample_rate, rate, quality="HQ")
    delay = _delay(codec, rate)
    # what comes late is still wanted
    heard = _coded(np.concatenate((sent, np.zeros(delay, dtype=np.float32))), rate, codec)[delay:]
    if rate != sample_rate:
        heard = soxr.resample(heard, rate, sample_rate, quality="HQ")
    result = np.zeros(len(samples), dtype=np.float32)
    n = min(len(result), len(heard))
    result[:n] = heard[:n] * np.float32(loudest)
    return result


def check_codec(codec: Codec) -> None:
    """Try it.

    Raises
    ------
    UsageError
        The installed libsndfile does not have the codec.
    """
    _delay(codec, _rate_of(codec.name, 16000))


def _rate_of(name: str, sample_rate: int) -> int:
    rates = _RATES.get(name)
    if rates is None:
        return sample_rate
    return next((rate for rate in rates if rate >= sample_rate), rates[-1])


def _coded(samples: Floats, rate: int, codec: Codec) -> Floats:
    container, coding = _FORMATS[codec.name]
    file = io.BytesIO()
    try:
        soundfile.write(file, samples, rate, format=container, subtype=coding, **_options(codec, rate))
        file.seek(0)
        heard, _rate = soundfile.read(file, dtype="float32")
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        version = soundfile.__libsndfile_version__
        raise UsageError(
            f"{codec}: the installed libsndfile {version} with soundfile {soundfile.__version__} does not have it at "
            f"{rate} Hz ({str(error).splitlines()[0].strip()}); update soundfile or take another codec"
        ) from None
    coded: Floats = heard
    return coded


def _options(codec: Codec, rate: int) -> dict[str, Any]:
    """How libsndfile is told the rate: as a level from 0, its most kilobits, to 1, its fewest."""
    kbps = codec.kbps or _DEFAULT_KBPS.get(codec.name)
    if kbps is None:
        return {}
    if codec.name == "opus":
        low, high = _OPUS_KBPS
        return {"compression_level": (high - kbps) / (high - low)}
    allowed = next(values for least, values in _MP3_RATES if rate >= least)
    nearest = min(allowed, key=lambda value: abs(value - kbps))
    level = (allowed[-1] - nearest) / (allowed[-1] - allowed[0])
    # libsndfile 1.2 refuses 1 itself
    return {"compression_level": min(level, 0.999), "bitrate_mode": "CONSTANT"}


@functools.cache
def _delay(codec: Codec, rate: int) -> int:
    """Samples that a codec comes late by, by cross-correlation of two seconds of noise."""
    n = 2 * rate
    frequencies = fft.rfftfreq(n, 1 / rate)
    spectrum = fft.rfft(np.random.default_rng(0).standard_normal(n))
    spectrum[(frequencies < 150) | (frequencies > min(3300, 0.4 * rate))] = 0
    probe = fft.irfft(spectrum, n)
    probe = (0.5 * probe / np.abs(probe).max()).astype(np.float32)
    heard = _coded(probe, rate, codec)[: 2 * n]
    length = fft.next_fast_len(n + len(heard), real=True)
    likeness = fft.irfft(fft.rfft(heard, length) * np.conj(fft.rfft(probe, length)), length)
    # a codec cannot come early
    return int(np.argmax(likeness[: n // 2]))
