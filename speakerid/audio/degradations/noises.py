"""Noise, generated or from files, at a signal-to-noise ratio.

**The level of speech** is the mean power of its active frames: of the frames of 20 ms that are not digital silence, those
within 30 dB of the 95th percentile of their powers. So pauses do not make the same noise louder. **The level of noise** is
its mean power over the recording. The ratio of the two, in dB, is what is asked for.

Generated noises are stationary, but for babble, and are no recordings of anything:

- *white*; *pink* and *brown*, whose power falls with the frequency and its square; nothing below 20 Hz;
- *babble*: eight independent noises with the long-term spectrum of speech (100 Hz to 500 Hz flat, then 9 dB an octave down:
  after Byrne et al. 1994, "An international comparison of long-term average speech spectra"), each rising and falling a
  few times a second as syllables do. It masks like a crowd, but nobody says anything;
- *machine*: a hum of 40 to 120 Hz with its harmonics, and as much power in an octave of noise around 300 to 2000 Hz.

What is generated repeats after a minute, without a seam.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy import fft

from speakerid.audio.degradations.text import NOISES
from speakerid.errors import RecordingError, UsageError

__all__ = ["NoiseFile", "active_power", "add_noise", "noise_files"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

FRAME_SECONDS = 0.020
ACTIVE_WITHIN_DB = 30.0
_LOUD_PERCENTILE = 95.0

_PERIOD_SECONDS = 60.0
_LOWEST_HZ = 20.0
_TALKERS = 8
# without a source; brown is like pink, only duller
_MIX = ("white", "pink", "babble", "machine")
_DRAWS = 20
_SUFFIXES = frozenset(
    ".wav .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .w64 .caf .au .rf64 .sph .nist .wv".split()  # noqa: SIM905
)


def active_power(samples: Floats, sample_rate: int) -> float:
    """Mean power of the louder parts of (n_samples,), see the module; 0 for digital silence."""
    frame = max(1, round(FRAME_SECONDS * sample_rate))
    # what is left over at the end counts only where there is nothing else
    n_frames = len(samples) // frame
    whole = samples[: n_frames * frame] if n_frames else samples
    powers = np.square(whole.reshape(max(n_frames, 1), -1), dtype=np.float64).mean(axis=1)
    powers = powers[powers > 0]
    if not len(powers):
        return 0.0
    floor = np.percentile(powers, _LOUD_PERCENTILE) * 10 ** (-ACTIVE_WITHIN_DB / 10)
    return float(powers[powers >= floor].mean())


def add_noise(samples: Floats, sample_rate: int, snr_db: float, source: str | None, rng: np.random.Generator) -> Floats:
    """Add noise to (n_samples,); digital silence stays as it is, because it has no level.

    Raises
    ------
    UsageError
        There are no noises at the path that `source` is.
    RecordingError
        They are digital silence.
    """
    level = active_power(samples, sample_rate)
    if level == 0:
        return samples
    if source is None:
        source = _MIX[rng.integers(len(_MIX))]
    if source in NOISES:
        noise = _generated(source, len(samples), sample_rate, rng)
    else:
        noise = _from_files(source, len(samples), sample_rate, rng)
    gain = math.sqrt(level / float(np.mean(np.square(noise)))) * 10 ** (-snr_db / 20)
    return (samples + gain * noise).astype(np.float32)


def _generated(kind: str, n: int, rate: int, rng: np.random.Generator) -> Doubles:
    # long enough that a hum has its frequency, and a short recording is no special case
    period = fft.next_fast_len(min(max(n, rate), round(_PERIOD_SECONDS * rate)), real=True)
    frequencies = np.fft.rfftfreq(period, 1 / rate).astype(np.float64)
    if kind == "babble":
        noise = _babble(frequencies, period, rng)
    elif kind == "machine":
        noise = _machine(frequencies, period, rate, rng)
    else:
        exponent = {"white": 0.0, "pink": 0.5, "brown": 1.0}[kind]
        heard = frequencies >= _LOWEST_HZ
        noise = _shaped(np.where(heard, np.maximum(frequencies, _LOWEST_HZ) ** -exponent, 0.0), period, rng)
    return np.resize(noise, n)  # periodic: repeating has no seam


def _shaped(amplitudes: Doubles, period: int, rng: np.random.Generator) -> Doubles:
    """Gaussian noise (period,) of power 1 with a spectrum of these amplitudes (period // 2 + 1,), periodic."""
    noise: Doubles = fft.irfft(fft.rfft(rng.standard_normal(period)) * amplitudes, period)
    return noise / math.sqrt(float(np.mean(np.square(noise))) or 1.0)


def _babble(frequencies: Doubles, period: int, rng: np.random.Generator) -> Doubles:
    # 9 dB an octave is a power of 1.5 in amplitude
    speech = np.where(frequencies >= 100, np.maximum(frequencies, 500.0) ** -1.5, 0.0)
    syllables = np.where((frequencies > 0) & (frequencies < 8), 1.0, 0.0)
    total = np.zeros(period)
    for _ in range(_TALKERS):
        total += _shaped(speech, period, rng) * np.exp(0.8 * _shaped(syllables, period, rng))
    return total


def _machine(frequencies: Doubles, period: int, rate: int, rng: np.random.Generator) -> Doubles:
    # a whole number of waves in a period
    hum = max(1, round(rng.uniform(40, 120) * period / rate))
    spectrum = np.zeros(len(frequencies), dtype=np.complex128)
    harmonics = hum * np.arange(1, 31)
    harmonics = harmonics[harmonics < len(frequencies) - 1]
    strengths = np.arange(1, len(harmonics) + 1) ** -0.7 * rng.uniform(0.3, 1.0, len(harmonics))
    spectrum[harmonics] = strengths * np.exp(2j * np.pi * rng.uniform(size=len(harmonics)))
    tones: Doubles = np.fft.irfft(spectrum, period)
    centre = rng.uniform(300, min(2000, 0.3 * rate))
    octave = np.where(np.abs(np.log2(np.maximum(frequencies, 1e-9) / centre)) <= 0.5, 1.0, 0.0)
    return tones / math.sqrt(float(np.mean(np.square(tones)))) + _shaped(octave, period, rng)


@dataclass(frozen=True)
class NoiseFile:
    """A file of noise; `status` changes when the file does."""

    path: Path
    name: str
    frames: int
    rate: int
    status: tuple[int, ...]


@functools.lru_cache(maxsize=16)
def noise_files(source: str) -> tuple[NoiseFile, ...]:
    """List the noises at a path, in the order of their names. What was found is remembered until ``cache_clear()``.

    Raises
    ------
    UsageError
        There are none, or one cannot be read.
    """
    top = Path(source)
    try:
        if top.is_dir():
            paths = sorted(path for path in top.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
        elif top.is_file():
            paths = [top]
        else:
            raise UsageError(f"{source}: there is no such file or folder of noises, nor a noise of that name; "
                             f"expected a path or one of {', '.join(NOISES)}")  # fmt: skip
        if not paths:
            raise UsageError(f"{source}: no files of noise in this folder; wav, flac, ogg, mp3 and aiff are looked for")
        found = tuple(_noise_file(path, top) for path in paths)
    except OSError as error:
        raise UsageError(f"{error.filename or source}: noises cannot be read: {error.strerror or error}") from None
    return found


def _noise_file(path: Path, top: Path) -> NoiseFile:
    try:
        # soundfile wants names in UTF-8, which a name need not be
        with path.open("rb") as file, soundfile.SoundFile(file) as sound:
            frames, rate = int(sound.frames), int(sound.samplerate)
    except soundfile.LibsndfileError as error:
        raise UsageError(f"{path}: this noise cannot be read: {error.error_string.strip()}; remove it") from None
    if frames < 1:
        raise UsageError(f"{path}: this noise is empty; remove it")
    facts = path.stat()
    status = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, facts.st_dev)
    name = path.name if path == top else path.relative_to(top).as_posix()
    return NoiseFile(path, name, frames, rate, status)


def _from_files(source: str, n: int, rate: int, rng: np.random.Generator) -> Doubles:
    """Draw a file and a stretch of it: (n,). One that is too short is repeated."""
    files = noise_files(source)
    for _ in range(_DRAWS):
        file = files[rng.integers(len(files))]
        frames = math.ceil(n * file.rate / rate) + 1
        start = int(rng.integers(max(1, file.frames - frames + 1)))
        noise = _read(file, start, min(frames, file.frames))
        if file.rate != rate:
            noise = soxr.resample(noise, file.rate, rate, quality="HQ")
        if len(noise) and noise[:n].any():
            if len(noise) < n:
                noise = np.roll(noise, -int(rng.integers(len(noise))))
            return np.resize(noise, n).astype(np.float64)
    raise RecordingError(f"{source}: of the noises, {_DRAWS} stretches drawn are digital silence", reason="unreadable")


def _read(file: NoiseFile, start: int, frames: int) -> Floats:
    try:
        with file.path.open("rb") as opened, soundfile.SoundFile(opened) as sound:
            sound.seek(start)
            samples: Floats = sound.read(frames, dtype="float32", always_2d=True).mean(axis=1)
    except (OSError, soundfile.LibsndfileError) as error:
        raise RecordingError(f"{file.path}: this noise could be opened before: {error}", reason="unreadable") from None
    return np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
