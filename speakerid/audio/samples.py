"""From a recording to mono float32 samples at a stated rate, block by block.

Resampling is soxr's, quality HQ, as a stream; the identity when the rates are equal. The samples do not depend on the
size of the blocks, bit for bit.

What a recording is known by is taken on the way, before resampling:

- its hash: SHA-256 over the rate (8 bytes, little-endian) and the mono samples (float32, little-endian), so that the
  same audio in another lossless container is recognised;
  A degraded recording is known by its degraded samples;
- its peak, and the share of samples that are clipped: at least `CLIP_LEVEL` in magnitude in a run of `CLIP_RUN` or
  more. A single sample at full scale is no sign of clipping; a plateau is.

A recording with a degradation is read as a whole and degraded at its own rate, before any of that.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, Self

import numpy as np
import numpy.typing as npt

from speakerid.audio.decode import LARGEST_SAMPLE, open_audio
from speakerid.audio.degradations import Degradation
from speakerid.audio.readers import HIGHEST_RATE, LOWEST_RATE, scaled
from speakerid.audio.recording import Recording
from speakerid.errors import RecordingError, UsageError

if TYPE_CHECKING:
    from speakerid.audio.readers import Floats, RawFormat

__all__ = ["CLIP_LEVEL", "CLIP_RUN", "SampleStream", "array_stream", "load_samples", "open_samples"]

CLIP_LEVEL = 0.999
CLIP_RUN = 3
# What soxr resamples fastest at a time: more leaves the cache.
_SOXR_FRAMES = 1 << 14


class Source(Protocol):
    """What gives the native samples: a file or an array."""

    @property
    def rate(self) -> int:
        """Samples a second."""

    @property
    def channels(self) -> int:
        """Of the file."""

    @property
    def expected_frames(self) -> int | None:
        """Samples that will come, if that is known."""

    @property
    def peak(self) -> float:
        """Largest absolute value so far."""

    def blocks(self, block_frames: int) -> Iterator[Floats]:
        """Give the samples, once: (n,) each."""

    def close(self) -> None:
        """Release the file."""


class SampleStream:
    """The samples of one recording, read once, forwards. Made by `open_samples` or `array_stream`; a context manager.

    Iterating gives float32 arrays of shape (n,), n > 0, at `sample_rate`. What is measured on the way (`seconds`,
    `peak`, ...) holds for the samples read so far, so for the recording once the iteration has ended.

    Attributes
    ----------
    sample_rate : int
        Of the samples given, in Hz.
    source_rate : int
        Of the recording, in Hz.
    source_channels : int
        Of the recording.
    """

    def __init__(self, source: Source, *, sample_rate: int, block_seconds: float, hash_content: bool) -> None:
        if sample_rate < 1:
            raise UsageError(f"a sample rate of {sample_rate} Hz; it must be at least 1")
        if not block_seconds > 0:
            raise UsageError(f"blocks of {block_seconds} s; they must be longer than 0")
        self.sample_rate = sample_rate
        self.source_rate = source.rate
        self.source_channels = source.channels
        self._source = source
        self._block_frames = max(1, round(block_seconds * source.rate))
        self._hash = _hash_at(source.rate) if hash_content else None
        self._frames = 0
        self._clipping = _Clipping()

    def __iter__(self) -> Iterator[Floats]:
        blocks = self._measured()
        return blocks if self.sample_rate == self.source_rate else self._resampled(blocks)

    @property
    def seconds(self) -> float:
        """Length of what was read, in seconds."""
        return self._frames / self.source_rate

    @property
    def expected_seconds(self) -> float | None:
        """Length in seconds as the file declares it, for progress bars; None if it does not."""
        frames = self._source.expected_frames
        return None if frames is None else frames / self.source_rate

    @property
    def content_hash(self) -> str | None:
        """SHA-256 in hexadecimal, see the module; None unless it was asked for."""
        return None if self._hash is None else self._hash.hexdigest()

    @property
    def peak(self) -> float:
        """Largest absolute value; 1 is full scale."""
        return self._source.peak

    @property
    def clipped_fraction(self) -> float:
        """Share of the samples that are clipped, 0..1; see the module."""
        return self._clipping.count / self._frames if self._frames else 0.0

    def close(self) -> None:
        """Close the file; a second time is harmless."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _measured(self) -> Iterator[Floats]:
        for block in self._source.blocks(self._block_frames):
            self._frames += len(block)
            self._clipping.add(block, self._source.peak)
            if self._hash is not None:
                self._hash.update(_as_hashed(block))
            yield block

    def _resampled(self, blocks: Iterator[Floats]) -> Iterator[Floats]:
        import soxr  # noqa: PLC0415 - recordings at the wanted rate do not need it

        resampler = soxr.ResampleStream(self.source_rate, self.sample_rate, 1, dtype="float32", quality="HQ")
        for block in blocks:
            # soxr keeps a filter's length of samples back and gives them with later blocks.
            pieces = [
                resampler.resample_chunk(block[start : start + _SOXR_FRAMES])
                for start in range(0, len(block), _SOXR_FRAMES)
            ]
            resampled = np.concatenate(pieces)
            if len(resampled):
                yield resampled
        rest = resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True)
        if len(rest):
            yield rest


def _hash_at(rate: int) -> hashlib._Hash:
    return hashlib.sha256(struct.pack("<Q", rate))


def _as_hashed(block: Floats) -> memoryview:
    return np.ascontiguousarray(block, dtype="<f4").data


class _DegradedSource:
    """What another source gives, degraded: all of it is in memory.

    Parameters
    ----------
    source : Source
    degradation : Degradation
    seed : int
    """

    def __init__(self, source: Source, degradation: Degradation, seed: int) -> None:
        self._source, self._degradation, self._seed = source, degradation, seed
        self.rate, self.channels = source.rate, source.channels
        self.peak = 0.0

    @property
    def expected_frames(self) -> int | None:
        return self._source.expected_frames

    def blocks(self, block_frames: int) -> Iterator[Floats]:
        from speakerid.audio.degradations import degrade  # noqa: PLC0415 - scipy, which most recordings do not need

        # copies: a block is good until the next one
        pieces = [block.copy() for block in self._source.blocks(block_frames)]
        if not pieces:
            return
        samples = np.concatenate(pieces)
        del pieces
        content = _hash_at(self.rate)
        content.update(_as_hashed(samples))
        samples = degrade(samples, self.rate, self._degradation, seed=self._seed, key=content.hexdigest())
        self.peak = float(np.abs(samples).max())
        for start in range(0, len(samples), block_frames):
            yield samples[start : start + block_frames]

    def close(self) -> None:
        self._source.close()


class _Clipping:
    """Counts samples in runs at full scale, across the borders of blocks."""

    def __init__(self) -> None:
        self._closed = 0
        self._open = 0

    @property
    def count(self) -> int:
        return self._closed + (self._open if self._open >= CLIP_RUN else 0)

    def add(self, block: Floats, peak: float) -> None:
        """Count a block (n,), n > 0; `peak` is at least its largest absolute value."""
        if peak < CLIP_LEVEL and not self._open:
            return  # nearly every recording: nothing to look for
        full = np.abs(block) >= CLIP_LEVEL
        edges = np.flatnonzero(np.diff(np.concatenate(([False], full, [False])).astype(np.int8)))
        starts, ends = edges[::2], edges[1::2]
        lengths = ends - starts
        if len(lengths) and starts[0] == 0:
            lengths[0] += self._open
        elif self._open >= CLIP_RUN:
            self._closed += self._open
        self._open = 0
        if len(lengths) and ends[-1] == len(block):
            self._open = int(lengths[-1])
            lengths = lengths[:-1]
        self._closed += int(lengths[lengths >= CLIP_RUN].sum())


def open_samples(
    recording: Recording | str | os.PathLike[str],
    *,
    sample_rate: int,
    channel: int | None = None,
    raw: RawFormat | None = None,
    stdin: BinaryIO | None = None,
    block_seconds: float = 10.0,
    hash_content: bool = False,
) -> SampleStream:
    """Open a recording for reading at a stated rate.

    Parameters
    ----------
    recording : Recording or path-like
        With `Recording.start` and `Recording.end`, that stretch of the file; with `Recording.degradation`, degraded.
    sample_rate : int
        Wanted, in Hz.
    channel : int, optional
        The one to take, counted from 1; the mean of all if None.
    raw : RawFormat, optional
        Layout of headerless PCM on standard input.
    stdin : binary file, optional
        In place of ``sys.stdin.buffer``.
    block_seconds : float
        How much is read at a time, in seconds of the recording. Does not change the samples.
    hash_content : bool
        Compute `SampleStream.content_hash`.

    Returns
    -------
    SampleStream
        To be used in a ``with`` statement.

    Raises
    ------
    RecordingError
        The recording cannot be used; here or while iterating, see `open_audio` and `AudioSource.blocks`.
    """
    if not isinstance(recording, Recording):
        recording = Recording(os.fspath(recording))
    source: Source = open_audio(
        recording.path, channel=channel, start=recording.start, end=recording.end, raw=raw, stdin=stdin
    )
    if recording.degradation is not None:
        source = _DegradedSource(source, recording.degradation, recording.degradation_seed)
    try:
        return SampleStream(source, sample_rate=sample_rate, block_seconds=block_seconds, hash_content=hash_content)
    except BaseException:
        source.close()
        raise


def load_samples(
    recording: Recording | str | os.PathLike[str],
    *,
    sample_rate: int,
    channel: int | None = None,
    raw: RawFormat | None = None,
    stdin: BinaryIO | None = None,
) -> Floats:
    """Read a whole recording into memory.

    Parameters
    ----------
    recording, sample_rate, channel, raw, stdin
        As in `open_samples`.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        Mono, at `sample_rate`.

    Raises
    ------
    RecordingError
        The recording cannot be used.
    """
    # Blocks so long that most recordings are one, which needs no copy.
    with open_samples(
        recording, sample_rate=sample_rate, channel=channel, raw=raw, stdin=stdin, block_seconds=60.0
    ) as stream:
        blocks = list(stream)
    if len(blocks) == 1:
        return blocks[0]
    return np.concatenate(blocks) if blocks else np.empty(0, dtype=np.float32)


def array_stream(
    samples: npt.ArrayLike,
    rate: int,
    *,
    sample_rate: int,
    block_seconds: float = 10.0,
    hash_content: bool = False,
    degradation: Degradation | None = None,
    degradation_seed: int = 0,
) -> SampleStream:
    """Give samples that are in memory as if they came from a file.

    Parameters
    ----------
    samples : array_like, shape (n_samples,)
        Mono. Floats have full scale at ±1; int8, int16, int32 and uint8 are scaled from their own full scale.
    rate : int
        Of the samples, in Hz.
    sample_rate : int
        Wanted, in Hz.
    block_seconds, hash_content
        As in `open_samples`.
    degradation, degradation_seed
        As in `Recording`.

    Returns
    -------
    SampleStream
        The same samples at the same rate have the same hash as a file of them.

    Raises
    ------
    UsageError
        Not one-dimensional, of a type without a full scale, or a rate out of range.
    RecordingError
        No samples (``empty``), or values that are not finite (``unreadable``, while iterating).
    """
    source: Source = _ArraySource(np.asarray(samples), rate)
    if degradation is not None:
        source = _DegradedSource(source, degradation, degradation_seed)
    return SampleStream(
        source,
        sample_rate=sample_rate,
        block_seconds=block_seconds,
        hash_content=hash_content,
    )


class _ArraySource:
    """An array in the place of a file."""

    channels = 1

    def __init__(self, samples: npt.NDArray[Any], rate: int) -> None:
        if samples.ndim != 1:
            raise UsageError(f"samples have shape {samples.shape}; expected (n_samples,), one channel")
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise UsageError(f"samples at {rate} Hz; the rate must be from {LOWEST_RATE} to {HIGHEST_RATE}")
        self._zero = 128.0 if samples.dtype == np.uint8 else 0.0
        if samples.dtype.kind == "f":
            self._full_scale = 0.0
        elif samples.dtype in (np.uint8, np.int8, np.int16, np.int32):
            self._full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
        else:
            raise UsageError(f"samples are {samples.dtype}; expected floats in -1..1, int16, int32, int8 or uint8")
        if not len(samples):
            raise RecordingError("the array has no samples", reason="empty")
        self.rate = int(rate)
        self.peak = 0.0
        self.expected_frames = len(samples)
        self._samples = samples

    def blocks(self, block_frames: int) -> Iterator[Floats]:
        for start in range(0, len(self._samples), block_frames):
            part = self._samples[start : start + block_frames]
            if self._full_scale:
                block = scaled(part, self._full_scale, zero=self._zero)
            else:
                with np.errstate(over="ignore"):  # float64 that does not fit is infinite, and refused as such
                    block = part.astype(np.float32)
            peak = max(float(block.max()), -float(block.min()))
            if not peak <= LARGEST_SAMPLE:
                bad = start + int(np.flatnonzero(~(np.abs(block) <= LARGEST_SAMPLE))[0])
                raise RecordingError(f"sample {bad} of the array is not a finite audio value", reason="unreadable")
            self.peak = max(self.peak, peak)
            yield block

    def close(self) -> None:
        """Nothing is open."""
