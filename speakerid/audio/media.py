"""Everything that libsndfile does not read, through FFmpeg (PyAV, the extra ``media``).

FFmpeg gets an open file, never a name or an address, and the one demultiplexer that fits the file's first bytes;
should a file ask for another file, it is refused. The first audio stream is taken.

Samples are decoded from the beginning even for a stretch in the middle: lossy codecs carry state, and most containers
do not know their samples exactly.
"""

from __future__ import annotations

from collections import deque
from typing import Any, BinaryIO, NoReturn

import numpy as np

from speakerid.audio.readers import MOST_CHANNELS, DecodeFault, Floats, pass_over, scaled

__all__ = ["MediaReader", "has_av"]

# These containers know how long their audio is; the others' lengths are guesses from the bit rate.
_TIMED = frozenset(("mov", "wv", "tta", "ape", "asf", "matroska", "flv"))
# Streams of bare frames, often cut from a broadcast: half a frame at either end is usual there.
_BARE = frozenset(("aac", "loas", "ac3", "mpegts", "mpeg", "mp3"))
# Delays of codecs make the declared length differ a little from the decoded one.
_SLACK_SECONDS = 0.5
# How many planes an FFmpeg frame points to by itself (AV_NUM_DATA_POINTERS).
_FFMPEG_POINTERS = 8


def has_av() -> bool:
    """Tell whether PyAV can be imported.

    Returns
    -------
    bool
    """
    try:
        import av  # noqa: F401, PLC0415
    except ImportError:
        return False
    return True


class MediaReader:
    """Reads the first audio stream of a media file.

    Parameters
    ----------
    file : binary file
        Seekable, at any position. Not closed.
    demuxer : str
        FFmpeg's name of the format; no other is tried.

    Raises
    ------
    DecodeFault
        FFmpeg cannot read it, or there is no audio stream.
    ImportError
        PyAV is not installed.
    """

    def __init__(self, file: BinaryIO, demuxer: str) -> None:
        import av  # noqa: PLC0415

        # PyAV keeps FFmpeg's log to itself unless a program asks for it.
        self._errors: tuple[type[Exception], ...] = (
            av.FFmpegError,
            OSError,
            ValueError,
            IndexError,
            MemoryError,
        )
        self._demuxer = demuxer
        self._interleaver = av.AudioResampler(format="flt")
        file.seek(0)
        try:
            self._container = av.open(_Quiet(file), "r", format=demuxer, io_open=_refuse, metadata_errors="replace")
        except self._errors as error:
            raise DecodeFault(_reason(error)) from error
        try:
            self._start()
        except BaseException:
            self._container.close()
            raise

    def _start(self) -> None:
        if not self._container.streams.audio:
            raise DecodeFault("it has no audio stream")
        stream = self._container.streams.audio[0]
        if stream.codec_context is None:
            raise DecodeFault("nobody knows its codec")
        stream.codec_context.thread_count = 1  # files are many: parallelism is for the caller to spend
        self._pieces = self._decoded(stream)
        self._waiting: deque[Floats] = deque()
        self.rate = self.channels = 0
        self.frames: int | None = None
        # Streams tell their rate and channels reliably only in the first decoded frame (AAC with extensions).
        first = next(self._pieces, None)
        if first is None:
            raise DecodeFault("no audio in it can be decoded")
        self._waiting.append(first)
        self.frames = self._declared(stream)
        self.exact = False

    def _declared(self, stream: Any) -> int | None:
        """Give the declared length in frames, if the container knows it."""
        if self._demuxer not in _TIMED:
            return None
        if stream.duration is not None and stream.time_base is not None:
            return int(stream.duration * stream.time_base * self.rate)
        # The length of the whole is that of the longest stream, so it says something only about a stream that is alone.
        if self._container.duration is not None and len(self._container.streams) == 1:
            return int(self._container.duration * self.rate // 1_000_000)
        return None

    def seek(self, frame: int) -> int:
        """Read up to a frame and forget what was read."""
        return pass_over(self, frame)

    def read(self, frames: int) -> Floats:
        """Give up to the end of what FFmpeg decoded at once: (n, channels)."""
        while not self._waiting:
            piece = next(self._pieces, None)
            if piece is None:
                return np.empty((0, self.channels), dtype=np.float32)
            self._waiting.append(piece)
        piece = self._waiting.popleft()
        if len(piece) > frames:
            self._waiting.appendleft(piece[frames:])
        return piece[:frames]

    def close(self) -> None:
        """Close FFmpeg's side."""
        self._pieces.close()
        self._container.close()

    def _decoded(self, stream: Any) -> Any:
        """Yield blocks (n, channels) until the end; raise DecodeFault where the stream is damaged."""
        count, end = 0, 0.0
        fault: Exception | None = None
        packets = iter(self._container.demux(stream))
        while True:
            try:
                packet = next(packets, None)
                frames = [] if packet is None else packet.decode()
            except self._errors as error:
                fault = error
                if self._demuxer in _BARE:
                    # Going on is safe: the next packet either decodes, and the damage was in the middle, or ends it.
                    continue
                raise DecodeFault(_reason(error)) from error
            if packet is None:
                break
            for frame in frames:
                if fault is not None and count:
                    raise DecodeFault(_reason(fault)) from fault
                fault = None
                try:
                    block = self._samples(frame)
                except self._errors as error:
                    raise DecodeFault(_reason(error)) from error
                if not self.rate:
                    self.rate, self.channels = frame.sample_rate, block.shape[1]
                if (frame.sample_rate, block.shape[1]) != (self.rate, self.channels):
                    raise DecodeFault("it changes its sample rate or channels in the middle")
                count += len(block)
                if frame.time is not None:
                    end = max(end, frame.time + len(block) / self.rate)
                if len(block):
                    yield block
        declared = self.frames / self.rate if count and self.frames else 0.0
        # A stream may leave out silence, so its clock counts as well as its samples.
        if declared - max(end, count / max(self.rate, 1)) > _SLACK_SECONDS:
            raise DecodeFault("the rest is missing")

    def _samples(self, frame: Any) -> Floats:
        """Turn FFmpeg's frame of any sample format into (n, channels) in -1..1."""
        channels = frame.layout.nb_channels
        if channels > MOST_CHANNELS:
            raise DecodeFault(f"it has {channels} channels")
        planar = frame.format.is_planar
        if planar and channels >= _FFMPEG_POINTERS:
            # PyAV walks the planes to a null pointer, which is not there when all eight are in use: it would read
            # memory that is not the frame's. FFmpeg itself knows their number.
            (frame,) = self._interleaver.resample(frame)
            planar = False
        values = frame.to_ndarray()
        values = values.T if planar else values.reshape(-1, channels)
        if values.dtype == np.uint8:
            return scaled(values, 128.0, zero=128.0)
        if values.dtype.kind == "i":
            return scaled(values, 2.0 ** (8 * values.itemsize - 1))
        return np.ascontiguousarray(values, dtype=np.float32)


class _Quiet:
    """A file for FFmpeg that fails without an exception.

    A damaged file makes FFmpeg seek to impossible places; PyAV prints an exception that it cannot pass on.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read
        self.tell = file.tell
        self._seek = file.seek

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place; -1 if there is none."""
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


def _refuse(url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    """Refuse to open what a file points to."""
    raise PermissionError(url)


def _reason(error: BaseException) -> str:
    """Give FFmpeg's reason without its function names and numbers."""
    text = str(getattr(error, "strerror", None) or error).lower()
    return " ".join(text.split())
