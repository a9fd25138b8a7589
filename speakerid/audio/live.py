"""Sound that comes while it is read: a pipe that may never end and cannot seek.

- What has come is given at once: a read waits for the first sample, never for more than the writer has sent. A sample of
  which only a part has come is kept until the rest comes.
- The stream is headerless PCM, or RIFF WAVE as recorders write it into pipes. Chunks before the samples are passed over. A
  data chunk of size 0 (a header that was never finished), of the placeholder of a program that could not know it (ffmpeg
  0xFFFFFFFF, arecord 0x80000000, sox 0x7FFFF000), or larger than what comes, lasts until the stream ends: a stream that is
  stopped by hand stops anywhere. Part of a sample at its end is dropped. What follows a data chunk of a stated size is not
  read.
- The samples are those that `open_samples` gives for the same file, bit for bit, and do not depend on the pieces in which
  they come.

Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (1991); Microsoft, "Multiple Channel Audio
Data and WAVE Files" (2007), for WAVE_FORMAT_EXTENSIBLE.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from speakerid.audio.completeness import MOST_CHUNKS, PLACEHOLDER_32, WAV_CHUNKS
from speakerid.audio.decode import AudioSource
from speakerid.audio.paths import STDIN, shown
from speakerid.audio.readers import DecodeFault, Floats, RawFormat, RawReader, Reader
from speakerid.audio.samples import SampleStream
from speakerid.audio.sniff import HEAD_BYTES, id3_length, sniff
from speakerid.errors import RecordingError, UsageError

__all__ = ["LiveSource", "LiveStream", "open_live"]

_PLAIN = "ffmpeg -i … -f wav - | speakerid identify - --timeline --follow"
_SKIP_BYTES = 1 << 16
# `sniff` tells most kinds by so much.
_ENOUGH_TO_NAME = 64

# (format tag, bytes of a sample) of the samples that need no decoder.
_ENCODINGS = {
    (1, 1): "u8",
    (1, 2): "s16le",
    (1, 3): "s24le",
    (1, 4): "s32le",
    (3, 4): "f32le",
    (3, 8): "f64le",
    (6, 1): "alaw",
    (7, 1): "mulaw",
}
_EXTENSIBLE = 0xFFFE
# What stands behind the format tag in the identifier of WAVE_FORMAT_EXTENSIBLE.
_SUBFORMAT = bytes.fromhex("000000001000800000aa00389b71")


class LiveSource(AudioSource):
    """Sound as it comes, mono, at its own rate, checked as that of a file.

    Parameters
    ----------
    label : str
        What to call it in messages.
    reader : Reader
        Gives what there is, and waits only if there is nothing.
    channel : int, optional
        The one to take, counted from 1. All are averaged if None.
    resources : ExitStack, optional
        Closed with the source.

    Raises
    ------
    RecordingError
        The rate, the number of channels or the channel asked for is out of range.
    """

    def __init__(
        self, label: str, reader: Reader, *, channel: int | None = None, resources: ExitStack | None = None
    ) -> None:
        super().__init__(
            label, reader, channel=channel, start=None, end=None, resources=resources if resources else ExitStack()
        )

    def blocks(self, block_frames: int) -> Iterator[Floats]:
        """Give the samples, once, as they come.

        Parameters
        ----------
        block_frames : int
            Samples in a block at most.

        Yields
        ------
        ndarray of float32, shape (n,), n > 0
            Mono; the caller may keep it.

        Raises
        ------
        RecordingError
            In place of a block with values that are no numbers; or at the end, when nothing came or reading failed.
        """
        if self._used:
            raise UsageError(f"{self._label}: a stream is read once")
        self._used = True
        while True:
            try:
                mono = self._next_chunk(block_frames)
            except DecodeFault as fault:
                raise self._damaged(fault) from fault
            if not len(mono):
                break
            yield np.ascontiguousarray(mono)
        self._check_end()

    def _damaged(self, fault: DecodeFault) -> RecordingError:
        return self._error(f"stopped after {self._position / self.rate:.2f} s: {fault}", "truncated")


class LiveStream(SampleStream):
    """Samples that come while they are read. Made by `open_live`; a context manager.

    Iterating waits for sound and gives float32 arrays of shape (n,), n > 0, at `sample_rate`, until the stream ends.
    `seconds`, `peak` and `clipped_fraction` are of what has come so far.
    """

    def __init__(self, source: LiveSource, *, sample_rate: int, block_seconds: float) -> None:
        super().__init__(source, sample_rate=sample_rate, block_seconds=block_seconds, hash_content=False)

    @property
    def lost_seconds(self) -> float:
        """Sound that came and could not be kept, in seconds; a pipe's writer waits, so nothing is lost there."""
        return 0.0


def open_live(
    stream: BinaryIO,
    *,
    raw: RawFormat | None,
    sample_rate: int,
    channel: int | None = None,
    label: str = shown(STDIN),
    block_seconds: float = 0.1,
) -> LiveStream:
    """Open a pipe for reading while it is written. Waits for the header of a WAV stream.

    Parameters
    ----------
    stream : binary file
        Need not be seekable. Not closed.
    raw : RawFormat or None
        Layout of headerless PCM; None is a WAV stream.
    sample_rate : int
        Wanted, in Hz.
    channel : int, optional
        The one to take, counted from 1; the mean of all if None.
    label : str
        What to call it in messages.
    block_seconds : float
        Seconds in a block at most. Does not change the samples.

    Returns
    -------
    LiveStream
        To be used in a ``with`` statement.

    Raises
    ------
    RecordingError
        What comes cannot be read while it comes, or at all: ``unreadable``, ``empty`` or ``truncated``; here or while
        iterating.
    """
    pipe = _Pipe(stream)
    try:
        layout = _wav_layout(pipe, label) if raw is None else _Layout(raw.rate, raw.channels, raw.encoding)
    except DecodeFault as fault:
        raise RecordingError(f"{label}: cannot be read ({fault})", reason="unreadable") from fault
    source = LiveSource(label, _PipeReader(pipe, layout), channel=channel)
    return LiveStream(source, sample_rate=sample_rate, block_seconds=block_seconds)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the bytes of a stream are to be read; as `RawFormat`, but not yet checked.

    `size` is how many bytes of samples there are at most; None if the stream's end is theirs.
    """

    rate: int
    channels: int
    encoding: str
    size: int | None = None

    @property
    def frame_bytes(self) -> int:
        bits = "".join(filter(str.isdigit, self.encoding)) or "8"
        return self.channels * int(bits) // 8


class _Pipe:
    """Bytes as they come."""

    def __init__(self, stream: BinaryIO) -> None:
        _wait_for_bytes(stream)
        # A buffered file's `read` would wait until there is as much as is asked for.
        self._read: Callable[[int], bytes | None] = getattr(stream, "read1", stream.read)
        self._ahead = b""

    def some(self, size: int) -> bytes:
        """Give 1 to `size` bytes, and wait only if there is none; nothing at the end. Raises DecodeFault."""
        if self._ahead:
            piece, self._ahead = self._ahead[:size], self._ahead[size:]
            return piece
        try:
            return self._read(size) or b""
        except OSError as error:
            raise DecodeFault((error.strerror or str(error)).lower()) from error

    def exactly(self, size: int) -> bytes:
        """Give so many bytes, fewer at the end."""
        data = b""
        while len(data) < size and (piece := self.some(size - len(data))):
            data += piece
        return data

    def skip(self, size: int) -> bool:
        """Pass over bytes; False if the stream ends before."""
        while size and (piece := self.some(min(size, _SKIP_BYTES))):
            size -= len(piece)
        return not size

    def give_back(self, data: bytes) -> None:
        self._ahead = data + self._ahead


def _wait_for_bytes(stream: BinaryIO) -> None:
    """Make a descriptor wait: another program may have left ours so that nothing to read looks like the end."""
    # An array of bytes has no descriptor, and not every system has the question.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        descriptor = stream.fileno()
        if not os.get_blocking(descriptor):
            os.set_blocking(descriptor, True)


class _PipeReader:
    """Reads samples as they come: a `Reader` for `LiveSource`."""

    frames: int | None = None
    exact = False

    def __init__(self, pipe: _Pipe, layout: _Layout) -> None:
        self.rate, self.channels = layout.rate, layout.channels
        self._pipe = pipe
        self._layout = layout
        self._left = layout.size
        self._partial = b""

    def seek(self, frame: int) -> int:
        """Nobody asks for it: a live source has no stretch."""
        raise NotImplementedError

    def read(self, frames: int) -> Floats:
        """Give what there is, one frame at least: (n, channels) with n <= frames; n is 0 at the end."""
        frame_bytes = self._layout.frame_bytes
        data = self._partial
        while len(data) < frame_bytes:
            wanted = frames * frame_bytes - len(data)
            piece = (
                self._pipe.some(wanted if self._left is None else min(wanted, self._left)) if self._left != 0 else b""
            )
            if not piece:
                return np.empty((0, self.channels), dtype=np.float32)
            if self._left is not None:
                self._left -= len(piece)
            data += piece
        whole = len(data) - len(data) % frame_bytes
        self._partial = data[whole:]
        layout = RawFormat(self.rate, self._layout.encoding, self.channels)
        return RawReader(io.BytesIO(data[:whole]), layout).read(frames)

    def close(self) -> None:
        """Leave the stream open: it is its owner's."""


def _wav_layout(pipe: _Pipe, label: str) -> _Layout:
    """Read a WAV stream up to its first sample."""
    # As much as there is: the message about anything else should name it.
    head = pipe.some(HEAD_BYTES)
    while len(head) < 12 and (piece := pipe.some(HEAD_BYTES)):
        head += piece
    if not head:
        message = f"{label}: nothing came in; is the recorder running? It should send sound: {_PLAIN}"
        raise RecordingError(message, reason="empty")
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        head += pipe.exactly(_ENOUGH_TO_NAME - len(head))
        raise RecordingError(f"{label}: {_not_wav(head)}", reason="unreadable")
    pipe.give_back(head[12:])
    form = b""
    for _ in range(MOST_CHUNKS):
        header = pipe.exactly(8)
        if len(header) < 8:
            raise RecordingError(f"{label}: cut short: the stream ends inside its header", reason="truncated")
        name, size = struct.unpack("<4sI", header)
        if name == b"data" and form:
            return _layout(form, _samples_size(pipe, size), label)
        if name == b"data" or not name.decode("latin-1").isprintable() or size >= PLACEHOLDER_32:
            break
        kept = b""
        if name == b"fmt ":
            kept = form = pipe.exactly(min(size, 64))
        if not pipe.skip(size - len(kept) + size % 2):
            raise RecordingError(f"{label}: cut short: the stream ends inside its header", reason="truncated")
    message = f"{label}: a WAV stream whose header makes no sense; let ffmpeg write it: {_PLAIN}"
    raise RecordingError(message, reason="unreadable")


def _not_wav(head: bytes) -> str:
    found = sniff(head)
    kind = "mp3" if id3_length(head) else found.name if found else None
    if kind is None:
        return f"no sound that speakerid knows; headerless samples need --raw RATE, all else goes by way of {_PLAIN}"
    # Of a kind only the container's name: what is in it may not have come yet.
    return f"{kind.partition(' (')[0]} cannot be read while it comes; send it as WAV: {_PLAIN}"


def _samples_size(pipe: _Pipe, declared: int) -> int | None:
    """Tell how many bytes of samples come at most; None if the stream's end is theirs."""
    if declared == 0:
        following = pipe.exactly(4)
        pipe.give_back(following)
        return 0 if following in WAV_CHUNKS else None
    return None if declared >= PLACEHOLDER_32 else declared


def _layout(form: bytes, size: int | None, label: str) -> _Layout:
    """Read the chunk that tells the format."""
    if len(form) < 16:
        raise RecordingError(
            f"{label}: a WAV stream without a format; let ffmpeg write it: {_PLAIN}", reason="unreadable"
        )
    tag, channels, rate, _, align, bits = struct.unpack("<HHIIHH", form[:16])
    if tag == _EXTENSIBLE and form[26:40] == _SUBFORMAT:
        (tag,) = struct.unpack("<H", form[24:26])
    width = (bits + 7) // 8
    encoding = _ENCODINGS.get((tag, width))
    if encoding is None or (channels and align != channels * width):
        message = (
            f"WAV with samples of format {tag}, {bits} bits, cannot be read while it comes; send it as PCM: {_PLAIN}"
        )
        raise RecordingError(f"{label}: {message}", reason="unreadable")
    return _Layout(rate, channels, encoding, size)
