"""What the pictures of a timeline need of a recording, in one pass and in memory that does not grow with it.

- An envelope: smallest and largest sample of each column of time.
- A spectrogram: mean power of each band and column, in decibels.
- A compressed copy to listen to, for a page that holds its recording.

Columns begin short. Whenever there are more than wanted, neighbours are joined in pairs, so that a recording whose length
nobody knows ends with between half and all of the columns, and the result does not depend on the size of the blocks.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speakerid.audio import Recording, SampleStream, open_samples

__all__ = ["COLUMNS", "SAMPLE_RATE", "AudioSummary", "Coding", "page_coding", "summarise_audio"]

SAMPLE_RATE = 16_000
COLUMNS = 4000
BANDS = 128

# atoms: what columns are joined from, in samples
_ENVELOPE_ATOM = 64
_SPECTRUM_ATOM = 128
_TRANSFORM = 512
_FRAMES_AT_A_TIME = 2048
_LOWEST_DB = -120.0

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class AudioSummary:
    """A recording as a picture needs it.

    Attributes
    ----------
    duration_seconds : float
    envelope : ndarray, shape (n_columns, 2), float32
        Smallest and largest sample of each column; full scale is ±1.
    column_seconds : float
        Length of a column; the last may be shorter.
    spectrogram : ndarray, shape (n_bands, n_spectra), float32, or None
        Mean power in dB relative to a sine at full scale; bands are equally wide and begin at 0 Hz.
    spectrum_seconds : float
        Length of a column of the spectrogram.
    highest_hz : float
        Upper edge of the last band, at most half the recording's own sample rate.
    begins_at : float
        Seconds of the file where the first column begins: more than 0 for a stretch.
    """

    duration_seconds: float
    envelope: Floats
    column_seconds: float
    spectrogram: Floats | None = None
    spectrum_seconds: float = 0.0
    highest_hz: float = SAMPLE_RATE / 2
    begins_at: float = 0.0


class Coding(NamedTuple):
    """How a page's recording is compressed.

    Attributes
    ----------
    name : str
    media_type : str
    options : dict
        For `soundfile.SoundFile`.
    note : str or None
        Why it is not the one that takes the least room.
    """

    name: str
    media_type: str
    options: dict[str, Any]
    note: str | None


def page_coding() -> Coding:
    """Choose the compression: MP3 at a constant 40 kbit/s, or FLAC where the installation cannot write that.

    With a constant rate a player finds a time exactly. 40 kbit/s is the lowest at 16 kHz whose frames have room for LAME's
    header, without which a player does not know how much of the beginning is the encoder's own delay (0.07 s).
    """
    import soundfile as sf

    if "MPEG_LAYER_III" not in sf.available_subtypes("MP3"):
        return _flac("the libsndfile installed here cannot write MP3")
    if "bitrate_mode" not in inspect.signature(sf.SoundFile.__init__).parameters:
        return _flac(f"soundfile {sf.__version__} cannot write MP3 at a constant rate, and 0.13 can")
    options = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": 0.8}
    return Coding("MP3", "audio/mpeg", options, None)


def _flac(reason: str) -> Coding:
    note = f"The recording is FLAC, which takes three times the room of MP3: {reason}."
    return Coding("FLAC", "audio/flac", {"format": "FLAC", "subtype": "PCM_16"}, note)


def summarise_audio(
    source: Recording | SampleStream | str | os.PathLike[str],
    *,
    channel: int | None = None,
    columns: int = COLUMNS,
    spectrogram: bool = False,
    copy_to: Path | None = None,
    coding: Coding | None = None,
) -> AudioSummary:
    """Read a recording once.

    Parameters
    ----------
    source : Recording, path-like or SampleStream
        A stream is read to its end and left open; its rate must be :data:`SAMPLE_RATE`.
    channel : int, optional
        The one to take, counted from 1; the mean of all if None.
    columns : int
        Most columns, even.
    spectrogram : bool
        Make one, with at most :data:`COLUMNS` columns.
    copy_to : Path, optional
        Where to write a compressed copy.
    coding : Coding, optional
        Of the copy; :func:`page_coding` if None.

    Returns
    -------
    AudioSummary

    Raises
    ------
    RecordingError
        The recording cannot be used.
    """
    with ExitStack() as stack:
        if isinstance(source, SampleStream):
            if source.sample_rate != SAMPLE_RATE:
                raise ValueError(f"a stream of {source.sample_rate} Hz; open it at {SAMPLE_RATE} Hz")
            stream = source
        else:
            stream = stack.enter_context(open_samples(source, sample_rate=SAMPLE_RATE, channel=channel))
        envelope = _Envelope(columns)
        spectrum = _Spectrum(COLUMNS) if spectrogram else None
        copy = None
        if copy_to is not None:
            import soundfile as sf

            options = (coding or page_coding()).options
            copy = stack.enter_context(sf.SoundFile(copy_to, "w", samplerate=SAMPLE_RATE, channels=1, **options))
        n_samples = 0
        for block in stream:
            n_samples += len(block)
            envelope.add(block)
            if spectrum is not None:
                spectrum.add(block)
            if copy is not None:
                copy.write(np.clip(block, -1.0, 1.0))
        extremes, samples = envelope.finish()
        power, spectrum_samples = spectrum.finish(n_samples) if spectrum is not None else (None, 0)
        highest = min(SAMPLE_RATE, stream.source_rate) / 2
    if power is not None:
        power = power[: max(1, round(BANDS * highest / (SAMPLE_RATE / 2)))]
    return AudioSummary(
        duration_seconds=n_samples / SAMPLE_RATE,
        envelope=extremes,
        column_seconds=samples / SAMPLE_RATE,
        spectrogram=power,
        spectrum_seconds=spectrum_samples / SAMPLE_RATE,
        highest_hz=highest,
        begins_at=source.start or 0.0 if isinstance(source, Recording) else 0.0,
    )


class _Columns:
    """Rows joined into at most so many columns.

    Parameters
    ----------
    limit : int
        Even.
    width : int
        Values a row.
    join : callable
        (n, k, width) → (n, width); of joined rows it must give what it gives of all at once.
    """

    def __init__(self, limit: int, width: int, join: Callable[[Floats], Floats]) -> None:
        if limit < 2 or limit % 2:
            raise ValueError(f"{limit} columns; the number must be even")
        self._columns = np.empty((limit, width), dtype=np.float32)
        self._n = 0
        self._join = join
        self._rest = np.empty((0, width), dtype=np.float32)
        self.rows = 1

    def add(self, rows: Floats) -> None:
        """Add rows (n, width)."""
        rest = np.concatenate((self._rest, rows)) if len(self._rest) else rows
        while len(rest) >= self.rows:
            if self._n == len(self._columns):
                self._halve()
                continue
            n = min(len(rest) // self.rows, len(self._columns) - self._n)
            taken = rest[: n * self.rows].reshape(n, self.rows, -1)
            self._columns[self._n : self._n + n] = self._join(taken)
            self._n += n
            rest = rest[n * self.rows :]
        self._rest = rest.copy()  # not a view that keeps a whole block

    def finish(self) -> Floats:
        """Give the columns, (n, width), the last of what is left."""
        if len(self._rest):
            if self._n == len(self._columns):
                self._halve()
            self._columns[self._n] = self._join(self._rest[None])[0]
            self._n += 1
            self._rest = self._rest[:0]
        return self._columns[: self._n].copy()

    def _halve(self) -> None:
        half = self._n // 2
        self._columns[:half] = self._join(self._columns.reshape(half, 2, -1))
        self._n = half
        self.rows *= 2


def _extremes(rows: Floats) -> Floats:
    return np.stack((rows[:, :, 0].min(axis=1), rows[:, :, 1].max(axis=1)), axis=1)


def _mean(rows: Floats) -> Floats:
    mean: Floats = rows.mean(axis=1, dtype=np.float32)
    return mean


class _Envelope:
    def __init__(self, limit: int) -> None:
        self._columns = _Columns(limit, 2, _extremes)
        self._rest = np.empty(0, dtype=np.float32)

    def add(self, samples: Floats) -> None:
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) // _ENVELOPE_ATOM * _ENVELOPE_ATOM
        self._rest = samples[whole:].copy()
        atoms = samples[:whole].reshape(-1, _ENVELOPE_ATOM)
        self._columns.add(np.stack((atoms.min(axis=1), atoms.max(axis=1)), axis=1))

    def finish(self) -> tuple[Floats, int]:
        """Columns (n, 2) and samples a column."""
        if len(self._rest):
            self._columns.add(np.array([[self._rest.min(), self._rest.max()]], dtype=np.float32))
        columns = self._columns.finish()
        return columns, self._columns.rows * _ENVELOPE_ATOM


class _Spectrum:
    """Power spectra whose frames stand in the middle of their atoms of the clock."""

    def __init__(self, limit: int) -> None:
        self._columns = _Columns(limit, BANDS, _mean)
        self._rest = np.zeros((_TRANSFORM - _SPECTRUM_ATOM) // 2, dtype=np.float32)
        taper = np.hanning(_TRANSFORM + 1)[:-1]
        self._taper = (taper * 2 / taper.sum()).astype(np.float32)  # a sine at full scale has a power of 1
        self._n = 0

    def add(self, samples: Floats) -> None:
        samples = np.concatenate((self._rest, samples))
        n = max(0, (len(samples) - _TRANSFORM) // _SPECTRUM_ATOM + 1)
        for start in range(0, n, _FRAMES_AT_A_TIME):
            self._transform(samples, start, min(n, start + _FRAMES_AT_A_TIME))
        self._n += n
        self._rest = samples[n * _SPECTRUM_ATOM :].copy()

    def finish(self, n_samples: int) -> tuple[Floats, int]:
        """Decibels (BANDS, n) and samples a column."""
        missing = -(-n_samples // _SPECTRUM_ATOM) - self._n
        if missing > 0:
            wanted = (missing - 1) * _SPECTRUM_ATOM + _TRANSFORM
            self._rest = np.pad(self._rest, (0, max(0, wanted - len(self._rest))))[:wanted]
            self.add(np.empty(0, dtype=np.float32))
        power = self._columns.finish().T
        floor = 10 ** (_LOWEST_DB / 10)
        return (10 * np.log10(np.maximum(power, floor))).astype(np.float32), self._columns.rows * _SPECTRUM_ATOM

    def _transform(self, samples: Floats, first: int, last: int) -> None:
        import scipy.fft

        frames = np.lib.stride_tricks.sliding_window_view(samples, _TRANSFORM)[
            first * _SPECTRUM_ATOM : last * _SPECTRUM_ATOM : _SPECTRUM_ATOM
        ]
        spectra = scipy.fft.rfft(frames * self._taper, axis=1)[:, :-1]
        power = (spectra.real**2 + spectra.imag**2).reshape(len(frames), BANDS, -1)
        self._columns.add(power.max(axis=2))
