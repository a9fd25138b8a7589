"""Readers: one interface to libsndfile, headerless PCM and (in `media`) FFmpeg.

A reader gives all channels, forwards only, in the file's own rate. What the samples mean (which channel, which
stretch) is the business of `decode`.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from speakerid.errors import UsageError

__all__ = [
    "DecodeFault",
    "Floats",
    "PatchedFile",
    "RawFormat",
    "RawReader",
    "Reader",
    "SoundFileReader",
    "UnsupportedCodecError",
    "pass_over",
    "scaled",
]

Floats = npt.NDArray[np.float32]

LOWEST_RATE, HIGHEST_RATE = 4000, 384_000
MOST_CHANNELS = 64

# Formats that libsndfile also reads, but which are feature files, instruments or matrices, are not in this list.
_FORMATS = frozenset(
    ("AIFF", "AU", "CAF", "FLAC", "MP3", "NIST", "OGG", "RF64", "SVX", "VOC", "W64", "WAV", "WAVEX", "WVE")
)
_UNKNOWN_LENGTH = 1 << 62


class DecodeFault(Exception):  # noqa: N818 - a fault of the file, not an error for users
    """A decoder gave up; the message is the decoder's, in lower case."""


class UnsupportedCodecError(DecodeFault):
    """The container is known but not the codec in it."""


class Reader(Protocol):
    """What `decode` asks of a decoder.

    `frames` is the count that the file declares, None if it does not; `exact` says that this count can be trusted.
    """

    rate: int
    channels: int
    frames: int | None
    exact: bool

    def seek(self, frame: int) -> int:
        """Go to a frame, before the first `read`. Give the frame reached: less where the file ends before."""

    def read(self, frames: int) -> Floats:
        """Give the next samples, (n, channels) with n <= frames; n is 0 at the end.

        They are good until the next call. Raises DecodeFault.
        """

    def close(self) -> None:
        """Release what the reader itself opened; the file stays open."""


def pass_over(reader: Reader, frames: int) -> int:
    """Read and forget.

    Parameters
    ----------
    reader : Reader
        At its beginning.
    frames : int
        How many.

    Returns
    -------
    int
        How many there were.
    """
    passed = 0
    while passed < frames and (block := len(reader.read(min(frames - passed, 1 << 14)))):
        passed += block
    return passed


class _ForwardSoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read forwards.

    soundfile seeks to the place where it already is after every read of a seekable file. That costs time, makes MP3
    depend on the size of the blocks, and fails at the end of a FLAC that does not know its length.
    """

    def seekable(self) -> bool:
        """Say no, whatever the file can do."""
        return False


class SoundFileReader:
    """Reads through libsndfile.

    Parameters
    ----------
    file : binary file
        Unbuffered, at any position.

    Raises
    ------
    DecodeFault
        libsndfile does not read this file.
    """

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._sound = _ForwardSoundFile(_handle(file), closefd=False)
        except soundfile.LibsndfileError as error:
            kind = UnsupportedCodecError if error.code == 4 else DecodeFault
            raise kind(_tidy(error.error_string)) from error
        if self._sound.format not in _FORMATS:
            name = self._sound.format_info
            self._sound.close()
            raise DecodeFault(f"it is {name}, not a recording")
        self.rate = int(self._sound.samplerate)
        self.channels = int(self._sound.channels)
        self._buffer = np.empty((0, self.channels), dtype=np.float32)
        frames = int(self._sound.frames)
        self.frames = frames if frames < _UNKNOWN_LENGTH else None
        # mpg123 estimates when the file has no table; a FLAC of unknown length may say 0.
        self.exact = (
            self.frames is not None and self._sound.format != "MP3" and (frames > 0 or self._sound.format != "FLAC")
        )

    def seek(self, frame: int) -> int:
        """Go to a frame; by decoding if it may lie behind the end, of which seeking says nothing."""
        if self.frames is None or frame >= self.frames:
            return pass_over(self, frame)
        try:
            return int(self._sound.seek(frame))
        except soundfile.LibsndfileError as error:
            raise DecodeFault(_tidy(error.error_string)) from error

    def read(self, frames: int) -> Floats:
        """Give as many frames as there are: (n, channels)."""
        if len(self._buffer) < frames:
            self._buffer = np.empty((frames, self.channels), dtype=np.float32)
        block = self._buffer[:frames]
        try:
            return block[: self._sound.buffer_read_into(block, "float32")]
        except soundfile.LibsndfileError as error:
            raise DecodeFault(_tidy(error.error_string)) from error

    def close(self) -> None:
        """Close libsndfile's side."""
        self._sound.close()


def _handle(file: BinaryIO) -> int | BinaryIO:
    """Give libsndfile the descriptor, which is fastest and needs no name that it could misread.

    A descriptor means nothing to the C library of another compiler, hence not on Windows.
    """
    file.seek(0)  # libsndfile takes the present position for the file's beginning
    if sys.platform == "win32" or isinstance(file, PatchedFile):
        return file
    return file.fileno()


class PatchedFile(io.RawIOBase):
    """A file with other bytes in a few places, for a header that was never finished.

    Parameters
    ----------
    file : binary file
        Seekable. Not closed.
    patches : tuple of (int, bytes)
        Offset and bytes.
    """

    def __init__(self, file: BinaryIO, patches: tuple[tuple[int, bytes], ...]) -> None:
        super().__init__()
        self._file = file
        self._patches = patches

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move the file's position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Give the file's position."""
        return self._file.tell()

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Read with the patches in place."""
        start = self._file.tell()
        data = bytearray(self._file.read(len(buffer)))
        for offset, patch in self._patches:
            for place, byte in enumerate(patch, offset - start):
                if 0 <= place < len(data):
                    data[place] = byte
        buffer[: len(data)] = data
        return len(data)


_ENCODINGS = {
    "u8": "u1",
    "s8": "i1",
    "s16le": "<i2",
    "s16be": ">i2",
    "s24le": "s24",
    "s32le": "<i4",
    "f32le": "<f4",
    "f64le": "<f8",
    "mulaw": "u1",
    "alaw": "u1",
}


@dataclass(frozen=True, slots=True)
class RawFormat:
    """The layout of headerless PCM.

    Parameters
    ----------
    rate : int
        Samples a second, 4,000 to 384,000.
    encoding : str
        ``u8``, ``s8``, ``s16le``, ``s16be``, ``s24le``, ``s32le``, ``f32le``, ``f64le``, ``mulaw`` or ``alaw``.
    channels : int
        Interleaved, 1 to 64.

    Raises
    ------
    UsageError
        A value is out of range or unknown.
    """

    rate: int
    encoding: str = "s16le"
    channels: int = 1

    def __post_init__(self) -> None:
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            limits = f"from {LOWEST_RATE} to {HIGHEST_RATE}"
            raise UsageError(f"raw audio: a rate of {self.rate} Hz; it must be {limits}")
        if self.encoding not in _ENCODINGS:
            raise UsageError(f"raw audio: unknown encoding {self.encoding!r}; one of {', '.join(_ENCODINGS)}")
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise UsageError(f"raw audio: {self.channels} channels; it must be 1 to {MOST_CHANNELS}")


class RawReader:
    """Reads headerless PCM from a stream, as it comes, without seeking.

    A last frame that is not whole is dropped: a stream that is stopped by hand stops anywhere.

    Parameters
    ----------
    stream : binary file
        Need not be seekable.
    layout : RawFormat
        How the bytes are to be read.
    """

    def __init__(self, stream: BinaryIO, layout: RawFormat) -> None:
        self.rate = layout.rate
        self.channels = layout.channels
        self.frames: int | None = None
        self.exact = False
        self._stream = stream
        self._encoding = layout.encoding
        self._frame_bytes = layout.channels * (
            3 if layout.encoding == "s24le" else np.dtype(_ENCODINGS[layout.encoding]).itemsize
        )

    def seek(self, frame: int) -> int:
        """Read up to a frame and forget what was read."""
        return pass_over(self, frame)

    def read(self, frames: int) -> Floats:
        """Wait until there are as many frames, or the stream ends: (n, channels)."""
        wanted = frames * self._frame_bytes
        data = bytearray()
        try:
            while len(data) < wanted and (piece := self._stream.read(wanted - len(data))):
                data += piece
        except OSError as error:
            raise DecodeFault((error.strerror or str(error)).lower()) from error
        whole = len(data) - len(data) % self._frame_bytes
        return _pcm(memoryview(data)[:whole], self._encoding).reshape(-1, self.channels)

    def close(self) -> None:
        """Leave the stream open: it is its owner's."""


def _pcm(data: memoryview, encoding: str) -> Floats:
    if encoding == "s24le":
        triples = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
        padded = np.zeros((len(triples), 4), dtype=np.uint8)
        padded[:, 1:] = triples  # in the upper bytes, so that the sign is in its place
        return scaled(padded.view("<i4")[:, 0], 2.0**31)
    values = np.frombuffer(data, dtype=_ENCODINGS[encoding])
    if encoding == "mulaw":
        mulaw: Floats = _mulaw_table()[values]
        return mulaw
    if encoding == "alaw":
        alaw: Floats = _alaw_table()[values]
        return alaw
    if encoding == "u8":
        return scaled(values, 128.0, zero=128.0)
    if values.dtype.kind == "i":
        return scaled(values, 2.0 ** (8 * values.itemsize - 1))
    with np.errstate(over="ignore"):  # what does not fit is infinite, and refused as such
        return values.astype(np.float32)


def scaled(values: npt.NDArray[Any], full_scale: float, *, zero: float = 0.0) -> Floats:
    """Turn integers into floats with full scale at ±1.

    Parameters
    ----------
    values : ndarray of integers, any shape
        As stored.
    full_scale : float
        A power of two, so that nothing is rounded but 32-bit integers.
    zero : float
        The value of silence; 128 for unsigned bytes.

    Returns
    -------
    ndarray of float32, same shape
    """
    floats: Floats = values.astype(np.float32)
    if zero:
        floats -= np.float32(zero)
    floats /= np.float32(full_scale)
    return floats


def _mulaw_table() -> Floats:
    """ITU-T G.711 mu-law, 8 bits to samples: (256,)."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = ((code >> 4) & 7).astype(np.int32), (code & 15).astype(np.int32)
    magnitude = (((mantissa << 3) + 132) << exponent) - 132
    return np.where(code & 128, -magnitude, magnitude).astype(np.float32) / np.float32(32768)


def _alaw_table() -> Floats:
    """ITU-T G.711 A-law, 8 bits to samples: (256,)."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = ((code >> 4) & 7).astype(np.int32), (code & 15).astype(np.int32)
    linear = (mantissa << 4) + 8
    magnitude = np.where(exponent == 0, linear, (linear + 256) << np.maximum(exponent - 1, 0))
    return np.where(code & 128, magnitude, -magnitude).astype(np.float32) / np.float32(32768)


def _tidy(message: str) -> str:
    """Make libsndfile's messages (``Error : flac decoder lost sync.``) part of a sentence."""
    text = " ".join(message.split()).removeprefix("Error in ").removeprefix("Error : ").removeprefix("Error: ")
    return text.rstrip(".") or "the decoder gives no reason"
