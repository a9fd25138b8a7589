"""From a path to mono samples at the file's own rate.

- Channels are averaged, or one is chosen.
- A stretch is from sample round(start × rate) to round(end × rate), the end not included.
- Samples are float32 with full scale at ±1. Float files may go beyond (decoders overshoot, some programs store 16-bit
  numbers as floats): whatever is finite and within ±2³¹ is taken, because features of it still fit float32.
- Long files are read in blocks, and no sample depends on the size of the blocks.

Every file that cannot be used ends in a `RecordingError` of one line whose reason is ``unreadable``, ``empty`` or
``truncated``.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from speakerid.audio.completeness import Check, check
from speakerid.audio.media import MediaReader, has_av
from speakerid.audio.paths import STDIN, shown
from speakerid.audio.readers import (
    HIGHEST_RATE,
    LOWEST_RATE,
    MOST_CHANNELS,
    DecodeFault,
    Floats,
    PatchedFile,
    RawFormat,
    RawReader,
    Reader,
    SoundFileReader,
    UnsupportedCodecError,
)
from speakerid.audio.recordings import kind_of
from speakerid.audio.sniff import HEAD_BYTES, Kind, id3_length, sniff
from speakerid.errors import MissingExtraError, RecordingError, UsageError

__all__ = ["AudioSource", "RawFormat", "open_audio"]

LARGEST_SAMPLE = 2.0**31

# Of all channels together. Large enough that a call costs nothing beside decoding, small enough for the cache.
_CHUNK_SAMPLES = 1 << 16
_COPY_BYTES = 1 << 20
# A manifest's times are often rounded to a tenth of a second.
_END_SLACK_SECONDS = 0.1
_UNKNOWN = "not an audio file that speakerid knows"
_INSTALL = "pip install av"


class AudioSource:
    """An open recording, read once, forwards. Made by `open_audio`; a context manager.

    Attributes
    ----------
    rate : int
        Samples a second, the file's own.
    channels : int
        Of the file.
    declared_frames : int or None
        Samples of a channel that the whole file declares; None if it does not say.
    peak : float
        Largest absolute value so far.
    """

    def __init__(
        self,
        label: str,
        reader: Reader,
        *,
        channel: int | None,
        start: float | None,
        end: float | None,
        resources: ExitStack,
    ) -> None:
        self.rate = reader.rate
        self.channels = reader.channels
        self.declared_frames = reader.frames
        self.peak = 0.0
        self._label = label
        self._reader = reader
        self._resources = resources
        self._check_format(channel)
        self._channel = None if channel is None else channel - 1
        self._first = 0 if start is None else round(start * self.rate)
        self._stop = None if end is None else round(end * self.rate)
        self._end = end
        self._position = 0
        self._used = False
        self._check_stretch()

    @property
    def expected_frames(self) -> int | None:
        """Samples that `blocks` will give, as far as the file declares them."""
        total = self.declared_frames
        if self._stop is not None:
            total = self._stop if total is None else min(total, self._stop)
        return None if total is None else max(0, total - self._first)

    def blocks(self, block_frames: int) -> Iterator[Floats]:
        """Give the samples, once.

        Parameters
        ----------
        block_frames : int
            Samples in every block but the last.

        Yields
        ------
        ndarray of float32, shape (n,)
            Mono; the caller may keep it.

        Raises
        ------
        RecordingError
            After the last good block, when the file turns out to be cut short, damaged, empty or shorter than the
            stretch asked for; or in place of a block with values that are no numbers.
        """
        if block_frames < 1:
            raise UsageError(f"blocks of {block_frames} samples; a block has at least one")
        if self._used:
            raise UsageError(f"{self._label}: a source is read once; open it again")
        self._used = True
        fault: DecodeFault | None = None
        try:
            self._skip()
        except DecodeFault as error:
            raise self._damaged(error) from error
        while fault is None:
            block = np.empty(self._room(block_frames), dtype=np.float32)
            filled = 0
            while filled < len(block):
                try:
                    mono = self._next_chunk(len(block) - filled)
                except DecodeFault as error:
                    fault = error
                    break
                if not len(mono):
                    break
                block[filled : filled + len(mono)] = mono
                filled += len(mono)
            if filled:
                yield block[:filled]
            if filled < block_frames:
                break
        if fault is not None:
            raise self._damaged(fault) from fault
        self._check_end()

    def close(self) -> None:
        """Close the file; a second time is harmless."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _skip(self) -> None:
        if self._first:
            self._position = self._reader.seek(self._first)
            if self._position < self._first:
                self._check_end()

    def _room(self, block_frames: int) -> int:
        """Give the size of the next block: no larger than what can still come."""
        last = self._stop
        if self._reader.exact and self.declared_frames is not None:
            # One more, so that a reader with more samples than it declared still gives them.
            last = min(self.declared_frames + 1, last if last is not None else sys.maxsize)
        return block_frames if last is None else max(0, min(block_frames, last - self._position))

    def _next_chunk(self, room: int) -> Floats:
        """Decode a chunk and make it mono: (n,) with n <= room, empty at the end; good until the next one."""
        chunk = self._reader.read(min(room, max(1, _CHUNK_SAMPLES // self.channels)))
        mono = self._mono(chunk)
        self._position += len(mono)
        if len(mono):
            self._check_values(mono)
        return mono

    def _mono(self, chunk: Floats) -> Floats:
        # chunk: (n, channels) -> (n,)
        if self._channel is not None:
            return chunk[:, self._channel]
        if self.channels == 1:
            return chunk[:, 0]
        # Channel after channel, so that a sample's sum does not depend on where its block starts.
        total = chunk[:, 0].copy()
        with np.errstate(all="ignore"):  # sums of what is no number are refused below
            for index in range(1, self.channels):
                total += chunk[:, index]
            total /= np.float32(self.channels)
        return total

    def _check_values(self, mono: Floats) -> None:
        # A comparison with a number that is none is false, so this also catches those.
        peak = max(float(mono.max()), -float(mono.min()))
        if not peak <= LARGEST_SAMPLE:
            bad = np.flatnonzero(~(np.abs(mono) <= LARGEST_SAMPLE))
            seconds = (self._position - len(mono) + int(bad[0])) / self.rate
            kind = "too large for audio" if np.isfinite(mono[bad[0]]) else "not a finite number"
            raise self._error(f"the sample at {seconds:.3f} s is {kind}; export the recording again", "unreadable")
        self.peak = max(self.peak, peak)

    def _check_format(self, channel: int | None) -> None:
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            limits = f"speakerid reads {LOWEST_RATE} to {HIGHEST_RATE}"
            raise self._error(f"a sample rate of {self.rate} Hz; {limits}", "unreadable")
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise self._error(f"{self.channels} channels; speakerid reads up to {MOST_CHANNELS}", "unreadable")
        if channel is not None and not 1 <= channel <= self.channels:
            has = "1 channel" if self.channels == 1 else f"{self.channels} channels"
            raise self._error(f"has {has}, so there is no channel {channel}; channels count from 1", "unreadable")

    def _check_stretch(self) -> None:
        if self._reader.exact and self.declared_frames == 0:
            raise self._error("no samples in it", "empty")
        if self._stop is not None and self._stop <= self._first:
            raise self._error("the stretch asked for is shorter than a sample", "empty")
        if self._reader.exact and self.declared_frames is not None:
            self._check_within(self.declared_frames)

    def _check_within(self, total: int) -> None:
        """Refuse a stretch that does not lie within the `total` frames of the file."""
        seconds = total / self.rate
        if self._first and self._first >= total:
            asked = self._first / self.rate
            raise self._error(f"the stretch starts at {asked:g} s, but the file ends at {seconds:.2f} s", "unreadable")
        if self._end is not None and self._end > seconds + _END_SLACK_SECONDS:
            message = f"the stretch ends at {self._end:g} s, but the file ends at {seconds:.2f} s"
            raise self._error(message, "unreadable")

    def _check_end(self) -> None:
        """Compare what was read with what was declared and asked for."""
        total = self._position
        declared = self.declared_frames if self._reader.exact else None
        if self._stop is not None and declared is not None:
            declared = min(declared, self._stop)
        if declared is not None and total < declared:
            raise self._short(f"{total / self.rate:.2f} of {declared / self.rate:.2f} s are there")
        if total == 0:
            raise self._error("no samples in it", "empty")
        if self._stop is None or total < self._stop:
            self._check_within(total)

    def _damaged(self, fault: DecodeFault) -> RecordingError:
        declared = self.declared_frames
        of = f" of {declared / self.rate:.2f}" if declared else ""
        return self._short(f"{self._position / self.rate:.2f}{of} s can be decoded ({fault})")

    def _short(self, what: str) -> RecordingError:
        return self._error(f"cut short or damaged: {what}; copy or export it again", "truncated")

    def _error(self, what: str, reason: str) -> RecordingError:
        return RecordingError(f"{self._label}: {what}", reason=reason)


def open_audio(
    recording_path: str | os.PathLike[str],
    *,
    channel: int | None = None,
    start: float | None = None,
    end: float | None = None,
    raw: RawFormat | None = None,
    stdin: BinaryIO | None = None,
) -> AudioSource:
    """Open a recording for reading.

    Parameters
    ----------
    recording_path : path-like
        A file of any kind that libsndfile or, with the extra ``media``, FFmpeg reads; ``-`` is standard input, which is
        copied to a temporary file first.
    channel : int, optional
        The one to take, counted from 1. All are averaged if None.
    start, end : float, optional
        The stretch to read, in seconds.
    raw : RawFormat, optional
        Standard input is headerless PCM of this layout, read as it comes. Does not concern files.
    stdin : binary file, optional
        In place of ``sys.stdin.buffer``.

    Returns
    -------
    AudioSource
        To be used in a ``with`` statement.

    Raises
    ------
    RecordingError
        The file cannot be used: ``unreadable``, ``empty`` or ``truncated``.
    MissingExtraError
        Only FFmpeg reads this kind of file, and PyAV is not installed.
    """
    path = os.fspath(recording_path)
    label = shown(path)
    if path == STDIN and stdin is None and sys.stdin is None:
        raise RecordingError(f"{label}: standard input is closed", reason="unreadable")
    stack = ExitStack()
    try:
        if path == STDIN:
            reader = _open_stdin(label, stdin if stdin is not None else sys.stdin.buffer, raw, stack)
        else:
            file, size = _open_file(path, label, stack)
            reader = _open_reader(file, size, label, Path(path).suffix)
        stack.callback(reader.close)
        return AudioSource(label, reader, channel=channel, start=start, end=end, resources=stack)
    except BaseException:
        stack.close()
        raise


def _open_file(path: str, label: str, stack: ExitStack) -> tuple[BinaryIO, int]:
    """Open a regular file, after a look at what it is: opening a named pipe would wait for its other end.

    Unbuffered, because decoders move the descriptor behind a buffer's back.
    """
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise RecordingError(f"{label}: {_not_a_file(status.st_mode)}", reason="unreadable")
        if status.st_size == 0:
            raise RecordingError(f"{label}: an empty file (0 bytes)", reason="empty")
        return stack.enter_context(Path(path).open("rb", buffering=0)), status.st_size
    except (OSError, ValueError) as error:
        raise RecordingError(f"{label}: {_why(error)}", reason="unreadable") from error


def _not_a_file(mode: int) -> str:
    kind = kind_of(mode)
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        return f"{kind}, not a file; to read a stream give - and send it to standard input"
    return f"{kind}, not an audio file"


def _why(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return "not a possible path"
    known = {
        errno.ENOENT: "no such file",
        errno.ENOTDIR: "no such file",
        errno.EACCES: "no permission to read it",
        errno.EPERM: "no permission to read it",
        errno.ELOOP: "a loop of symbolic links",
    }
    return known.get(error.errno or 0) or (error.strerror or "cannot be opened").lower()


def _open_stdin(label: str, stream: BinaryIO, raw: RawFormat | None, stack: ExitStack) -> Reader:
    """Read standard input: raw as it comes, anything else from a copy, because decoders go back and forth."""
    if raw is not None:
        return RawReader(stream, raw)
    try:
        head = b""
        # A pipe gives what its writer wrote at once, which may be a byte.
        while len(head) < HEAD_BYTES and (piece := stream.read(HEAD_BYTES - len(head))):
            head += piece
        if not head:
            raise RecordingError(f"{label}: nothing came in", reason="empty")
        # Before copying: what is no audio may never end.
        if not id3_length(head) and sniff(head) is None:
            hint = "headerless samples need --raw RATE"
            raise RecordingError(f"{label}: {_UNKNOWN}; {hint}", reason="unreadable")
        file = stack.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - the stack closes it
        size = 0
        piece = head
        while piece:
            size += len(piece)
            rest = memoryview(piece)
            while rest:  # an unbuffered file may take less than it is given
                rest = rest[file.write(rest) :]
            piece = stream.read(_COPY_BYTES)
        file.seek(0)
    except OSError as error:
        raise RecordingError(
            f"{label}: cannot be copied to a temporary file ({_why(error)})", reason="unreadable"
        ) from error
    return _open_reader(file, size, label, "")


def _open_reader(file: BinaryIO, size: int, label: str, suffix: str) -> Reader:
    """Choose the decoder by the file's first bytes, and refuse what is not all there."""
    try:
        head = file.read(HEAD_BYTES)
        tag = id3_length(head)
        after_tag = None
        if tag:
            file.seek(tag)
            after_tag = file.read(HEAD_BYTES)
        kind = sniff(head, after_tag)
        if kind is None:
            raise RecordingError(f"{label}: {_unknown(suffix)}", reason="unreadable")
        state = check(file, size, kind.name, tag)
    except OSError as error:
        raise RecordingError(f"{label}: {_why(error)}", reason="unreadable") from error
    if state.shortfall:
        raise RecordingError(f"{label}: {state.shortfall}; copy or export it again", reason="truncated")
    try:
        return _first_reader(file, kind, state)
    except _ExtraNeeded as error:
        name = suffix[1:].lower() or kind.name
        message = f'{label}: {name} needs the extra "media": {_INSTALL}'
        raise MissingExtraError(message) from error
    except DecodeFault as error:
        message = f"{label}: looks like {kind.name} but cannot be decoded ({error})"
        raise RecordingError(message, reason="unreadable") from error


class _ExtraNeeded(Exception):  # noqa: N818
    """Only FFmpeg reads this, and it is not installed."""


def _first_reader(file: BinaryIO, kind: Kind, state: Check) -> Reader:
    """Give libsndfile's reader if it can, else FFmpeg's."""
    if kind.soundfile:
        try:
            return SoundFileReader(PatchedFile(file, state.patches) if state.patches else file)  # type: ignore[arg-type]
        except DecodeFault as error:
            if kind.demuxer is None:
                raise
            if not has_av() and not isinstance(error, UnsupportedCodecError):
                raise DecodeFault(f'{error}; the extra "media" may know it: {_INSTALL}') from error
            try:
                return _media(file, kind.demuxer)
            except DecodeFault:
                # libsndfile's reason is about this file; FFmpeg's is mostly "invalid data".
                raise error from None
    assert kind.demuxer is not None
    return _media(file, kind.demuxer)


def _media(file: BinaryIO, demuxer: str) -> Reader:
    if not has_av():
        raise _ExtraNeeded
    return MediaReader(file, demuxer)


def _unknown(suffix: str) -> str:
    if suffix.lower() in {".raw", ".pcm", ".sln", ".ulaw", ".alaw"}:
        return f"{_UNKNOWN}; send headerless samples to standard input and give - --raw RATE"
    return _UNKNOWN
