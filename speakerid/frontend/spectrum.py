"""From samples to a power spectrum, mel energies, cepstra and what speech activity needs, in one pass.

Samples come in blocks of any size and are worked on in chunks of :data:`CHUNK_FRAMES` frames, so the temporaries stay in
the processor's cache and the result does not depend on the sizes of the blocks, to the last bit.

A frame is pre-emphasised (y[n] = x[n] − a·x[n−1] over the recording, with x[−1] = x[0]), multiplied by the window,
padded with zeros to the transform's size and transformed; |·|² is the power spectrum (n_frames, transform_size/2 + 1).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig
from speakerid.frontend.activity import ActivityMeasures, Periodicity, band_matrix, lag_matrix
from speakerid.frontend.framing import padding, span
from speakerid.frontend.mel import cosine_transform, mel_filter_bank, taper

__all__ = [
    "CHUNK_FRAMES",
    "STREAM_CHUNK_FRAMES",
    "MelFrames",
    "SpectralAnalysis",
    "SpectralFrames",
    "chunks",
    "floored",
    "level_floor",
]

# frames that are analysed at a time; in a stream they wait for each other
CHUNK_FRAMES, STREAM_CHUNK_FRAMES = 128, 32
_DECIBEL = 10.0 / math.log(10.0)


@dataclass(frozen=True, eq=False)
class SpectralFrames:
    """What one pass over the samples leaves of each frame.

    Attributes
    ----------
    cepstra : ndarray, shape (n_frames, cepstra), float32
    activity : ActivityMeasures
    """

    cepstra: NDArray[np.float32]
    activity: ActivityMeasures


@dataclass(frozen=True, eq=False)
class _Plan:
    precision: type[np.float32 | np.float64]  # of the window and the transform
    window: NDArray[np.floating]  # (frame_length,)
    offset: int  # where the window begins in the transform
    filters: NDArray[np.float32]  # (n_bins, mel_bands)
    cosines: NDArray[np.float64]  # (mel_bands, cepstra)
    bands: NDArray[np.float32]  # (n_bins, n_bands)
    lags: NDArray[np.float32]  # (n_low_bins, n_lags)
    constant: NDArray[np.complex128]  # spectrum of the window, (n_low_bins,)


@functools.lru_cache(maxsize=16)
def _plan(config: FrontEndConfig) -> _Plan:
    # Speech falls by some 80 dB towards high frequencies. Pre-emphasis evens that out; without it float32 would round
    # the strong low bins to errors as large as 1e-3 of the weak high ones.
    precision = np.float32 if config.pre_emphasis else np.float64
    offset = (config.transform_size - config.frame_length) // 2 if config.centred else 0
    lags = lag_matrix(config).astype(np.float32)
    return _Plan(
        precision=precision,
        window=taper(config).astype(precision),
        offset=offset,
        filters=np.ascontiguousarray(mel_filter_bank(config).T, dtype=np.float32),
        cosines=cosine_transform(config),
        bands=band_matrix(config).astype(np.float32),
        lags=lags,
        constant=np.fft.rfft(taper(config), config.transform_size)[: len(lags)],
    )


@dataclass(frozen=True, eq=False)
class MelFrames:
    """Frames of a recording that is not over, whose floor and level are not known yet.

    Attributes
    ----------
    mel : ndarray, shape (n_frames, mel_bands), float32
        Energies of the mel bands.
    activity : ActivityMeasures
    """

    mel: NDArray[np.float32]
    activity: ActivityMeasures

    def __len__(self) -> int:
        return len(self.mel)

    def __getitem__(self, part: slice) -> MelFrames:
        return MelFrames(self.mel[part], self.activity[part])

    @staticmethod
    def joined(first: MelFrames, second: MelFrames) -> MelFrames:
        """Frames of both, one after the other."""
        mel = np.concatenate([first.mel, second.mel])
        return MelFrames(mel, ActivityMeasures.joined(first.activity, second.activity))


class SpectralAnalysis:
    """Takes samples in blocks, gives :class:`SpectralFrames` at the end, or :class:`MelFrames` on the way.

    Parameters
    ----------
    config : FrontEndConfig
    taken : bool
        Frames are taken on the way (:meth:`take`), so that memory does not grow. An offset of the sound card, which alone
        would be sound in a pause, is taken out of what tells speech; the mel bands are those of any recording.

    Examples
    --------
    >>> import numpy as np
    >>> analysis = SpectralAnalysis(FrontEndConfig())
    >>> analysis.push(np.zeros(16000, dtype=np.float32))
    >>> analysis.finish().cepstra.shape
    (98, 20)
    """

    def __init__(self, config: FrontEndConfig, *, taken: bool = False) -> None:
        self._config = config
        self._chunk = STREAM_CHUNK_FRAMES if taken else CHUNK_FRAMES
        self._offset_goes = taken
        self._plan = _plan(config)
        self._before: np.float32 | None = None  # the last raw sample, for pre-emphasis
        self._waiting = np.zeros(padding(config), dtype=np.float32)
        self._padded = np.zeros((CHUNK_FRAMES, config.transform_size), dtype=self._plan.precision)
        self._power = np.empty((CHUNK_FRAMES, config.transform_size // 2 + 1), dtype=np.float32)
        # cepstra, or mel energies where their floor is known at the end only
        self._floor_waits = taken or bool(config.dynamic_range_db or config.level_range_db)
        self._spectra: list[NDArray[np.float32]] = []
        self._bands: list[NDArray[np.float32]] = []
        self._periodicity = Periodicity()

    def push(self, samples: NDArray[np.float32]) -> None:
        """Analyse more samples, shape (n,), float32."""
        if len(samples) == 0:
            return
        if self._before is None:
            self._before = samples[0]
        emphasised = np.empty(len(samples), dtype=np.float32)
        a = np.float32(self._config.pre_emphasis)
        emphasised[0] = samples[0] - a * self._before
        np.multiply(samples[:-1], -a, out=emphasised[1:])
        emphasised[1:] += samples[1:]
        self._before = samples[-1]
        self._waiting = np.concatenate([self._waiting, emphasised])
        shift, length = self._config.frame_shift, span(self._config)
        chunk_samples = (self._chunk - 1) * shift + length
        start = 0
        while start + chunk_samples <= len(self._waiting):
            self._analyse(self._waiting[start : start + chunk_samples], self._chunk)
            start += self._chunk * shift
        self._waiting = self._waiting[start:]

    def take(self, *, last: bool = False) -> MelFrames:
        """Return the frames since the last call of which everything is known; with `last` those that are left, too."""
        if last:
            self._analyse_tail()
        voicing = self._periodicity.finish() if last else self._periodicity.take()
        mel, bands = (
            np.concatenate(parts) if parts else np.zeros((0, width), dtype=np.float32)
            for parts, width in ((self._spectra, self._config.mel_bands), (self._bands, self._plan.bands.shape[1]))
        )
        # without voicing nothing waits for later frames
        n = len(voicing) if self._config.speech_activity == "voicing" else len(mel)
        self._spectra, self._bands = [mel[n:]], [bands[n:]]
        return MelFrames(mel[:n], ActivityMeasures(bands[:n], voicing))

    def finish(self) -> SpectralFrames:
        """Analyse what is left and return everything."""
        self._analyse_tail()
        config = self._config
        n_bands = self._plan.bands.shape[1]
        bands = np.concatenate(self._bands) if self._bands else np.zeros((0, n_bands), dtype=np.float32)
        activity = ActivityMeasures(bands, self._periodicity.finish())
        if not self._spectra:
            return SpectralFrames(np.zeros((0, config.cepstra), dtype=np.float32), activity)
        if not self._floor_waits:
            return SpectralFrames(np.concatenate(self._spectra), activity)
        return SpectralFrames(_floored_cepstra(self._spectra, activity, config), activity)

    def _analyse_tail(self) -> None:
        """Analyse the frames that do not fill a chunk."""
        tail = np.concatenate([self._waiting, np.zeros(padding(self._config), dtype=np.float32)])
        shift, length = self._config.frame_shift, span(self._config)
        n_left = 1 + (len(tail) - length) // shift if len(tail) >= length and self._before is not None else 0
        for first in range(0, n_left, self._chunk):
            n = min(self._chunk, n_left - first)
            self._analyse(tail[first * shift : first * shift + (n - 1) * shift + length], n)
        self._waiting = self._waiting[:0]

    def _analyse(self, samples: NDArray[np.float32], n: int) -> None:
        """Analyse the `n` frames that `samples` holds."""
        plan, config = self._plan, self._config
        length, begin = config.frame_length, plan.offset
        frames = np.lib.stride_tricks.as_strided(
            samples[begin:], (n, length), (samples.itemsize * config.frame_shift, samples.itemsize), writeable=False
        )
        padded = self._padded[:n]
        np.multiply(frames, plan.window, out=padded[:, :length])
        spectrum = scipy.fft.rfft(padded, axis=1)
        low = self._without_offset(spectrum, float(samples.mean())) if self._offset_goes else None
        # re² and im² side by side in one pass over contiguous memory, then added
        parts = spectrum.view(plan.precision)  # (n, 2 * n_bins)
        np.square(parts, out=parts)
        self.consume(np.add(parts[:, ::2], parts[:, 1::2], out=self._power[:n], casting="same_kind"), low)

    def _without_offset(self, spectrum: NDArray[np.complexfloating], offset: float) -> NDArray[np.float32]:
        """Power of the low bins without what leaks into them from a constant offset, (n, n_low_bins)."""
        leak = offset * self._plan.constant
        low = spectrum[:, : len(leak)] - leak
        return np.asarray(low.real**2 + low.imag**2, dtype=np.float32)

    def consume(self, power: NDArray[np.float32], low: NDArray[np.float32] | None = None) -> None:
        """Go on from the power spectrum of some frames, shape (n, n_bins); speech activity takes `low` for its low bins."""
        plan, config = self._plan, self._config
        mel: NDArray[np.float32] = power @ plan.filters
        np.maximum(mel, np.float32(config.log_floor), out=mel)
        self._spectra.append(mel if self._floor_waits else _cepstra(mel, config))
        if low is not None:
            power = np.concatenate([low, power[:, low.shape[1] :]], axis=1)
        self._bands.append(power @ plan.bands)
        if config.speech_activity == "voicing":
            self._periodicity.push(power[:, : len(plan.lags)] @ plan.lags)


def floored(frames: MelFrames, config: FrontEndConfig) -> SpectralFrames:
    """Cepstra of some frames as if they were all there is."""
    return SpectralFrames(_floored_cepstra([frames.mel], frames.activity, config), frames.activity)


def _floored_cepstra(
    spectra: Sequence[NDArray[np.float32]], activity: ActivityMeasures, config: FrontEndConfig
) -> NDArray[np.float32]:
    """Cepstra of all frames of a recording, (n_frames, cepstra), from their mel energies in parts."""
    if config.dynamic_range_db and any(map(len, spectra)):
        highest = float(max(part.max(initial=0.0) for part in spectra))
        lowest = np.float32(highest * 10.0 ** (-config.dynamic_range_db / 10.0))
        spectra = [np.maximum(part, lowest) for part in spectra]
    floor = np.float32(level_floor(activity, config))
    return np.concatenate([_cepstra(part + floor, config) for part in spectra])


def _cepstra(mel: NDArray[np.float32], config: FrontEndConfig) -> NDArray[np.float32]:
    """Mel energies to cepstra, (n, mel_bands) -> (n, cepstra)."""
    # in float64, because c0 adds up all bands: float32 would lose 1e-3 of its several hundred decibels
    log_mel = np.log(mel, dtype=np.float64)
    if config.log == "decibel":
        log_mel *= _DECIBEL
    return (log_mel @ _plan(config).cosines).astype(np.float32)


def level_floor(activity: ActivityMeasures, config: FrontEndConfig) -> float:
    """Energy that is added to the mel bands of a recording (``level_range_db``)."""
    if not config.level_range_db:
        return 0.0
    return float(10.0 ** ((activity.loud_level - config.level_range_db) / 10.0))


def chunks(n_frames: int) -> Iterator[slice]:
    """Slices of :data:`CHUNK_FRAMES` frames."""
    for first in range(0, n_frames, CHUNK_FRAMES):
        yield slice(first, min(first + CHUNK_FRAMES, n_frames))
