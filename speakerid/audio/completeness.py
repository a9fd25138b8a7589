"""Is all of a file there? What its headers declare against the bytes that it has.

Decoders read a file that was cut short as if it were a shorter recording, without a word. A download that stopped at
half time would be enrolled as half a speaker, so every container that says how long it is gets asked.

Headers written into a pipe cannot know the length. ffmpeg writes 0xFFFFFFFF there, sox 0x7FFFF000, arecord 0x80000000,
and a program that was killed leaves 0; such files are taken as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from speakerid.audio.sniff import mpeg_frame_length, mpeg_rate

__all__ = ["MOST_CHUNKS", "PLACEHOLDER_32", "WAV_CHUNKS", "Check", "check"]

# From here on a 32-bit size is the placeholder of a program that could not know it.
PLACEHOLDER_32 = 0x7FFF0000
_PLACEHOLDER_64 = 1 << 62
# Hostile files can hold millions of empty chunks; real ones hold a dozen.
MOST_CHUNKS = 4096
# Ogg pages have at most 65,307 bytes.
_OGG_PAGE = 65536
WAV_CHUNKS = (
    b"LIST",
    b"id3 ",
    b"ID3 ",
    b"bext",
    b"fact",
    b"cue ",
    b"smpl",
    b"iXML",
    b"JUNK",
    b"PEAK",
    b"junk",
    b"FLLR",
)


@dataclass(frozen=True, slots=True)
class Check:
    """What a look at the headers found.

    Parameters
    ----------
    shortfall : str, optional
        What is missing, for a message; None if nothing is known to be.
    patches : tuple of (int, bytes)
        Bytes to put over the file at these offsets so that a decoder reads a header that was never finished.
    """

    shortfall: str | None = None
    patches: tuple[tuple[int, bytes], ...] = ()


_COMPLETE = Check()


def check(file: BinaryIO, size: int, kind: str, start: int = 0) -> Check:
    """Compare what a file's headers declare with the bytes it has.

    Parameters
    ----------
    file : binary file
        Seekable; its position is changed.
    size : int
        Of the file, in bytes.
    kind : str
        `Kind.name` of the file.
    start : int
        Where the first frame is, after an ID3 tag; in bytes.

    Returns
    -------
    Check
    """
    look = _LOOKS.get(kind)
    if look is None:
        return _COMPLETE
    try:
        return look(file, size, start)
    except struct.error:  # a field of the header lies beyond the file's end
        return Check("cut short: the file ends inside its header")


def _compare(declared: int, present: int, seconds: float | None) -> Check:
    """Compare bytes of samples declared and present, where `seconds` is the length of those declared."""
    if present >= declared:
        return _COMPLETE
    if not seconds:
        return Check(f"cut short: {max(present, 0):,} of {declared:,} bytes of audio are there")
    return Check(f"cut short: {seconds * max(present, 0) / declared:.2f} of {seconds:.2f} s are there")


def _chunks(
    file: BinaryIO, position: int, size: int, header: str, *, padding: int = 2
) -> Iterator[tuple[bytes, int, int]]:
    """Walk a container: name, size and place of the content of each chunk.

    Raises `struct.error` at the end of the file, because the caller stops at the chunk that it looks for.
    """
    length = struct.calcsize(header)
    for _ in range(MOST_CHUNKS):
        file.seek(position)
        name, declared = struct.unpack(header, file.read(length))
        inclusive = len(name) == 16  # Wave64 counts the header
        content = declared - length if inclusive else declared
        yield name, content, position + length
        if content < 0:
            return
        position += length + content
        position += -position % padding
        if position > size:
            raise struct.error


def _wav(file: BinaryIO, size: int, _start: int) -> Check:
    byte_rate = 0
    long_size: int | None = None
    for name, declared, place in _chunks(file, 12, size, "<4sI"):
        if name == b"ds64":
            long_size = struct.unpack("<Q", file.read(16)[8:])[0]
        elif name == b"fmt ":
            byte_rate = struct.unpack("<I", file.read(12)[8:])[0]
        elif name == b"data":
            if long_size is not None and declared == 0xFFFFFFFF:
                if 0 < long_size < _PLACEHOLDER_64:
                    return _compare(long_size, size - place, long_size / byte_rate if byte_rate else None)
                return _COMPLETE
            if declared == 0 and size > place and file.read(4) not in WAV_CHUNKS:
                # libsndfile believes a size of 0, but takes the placeholder for "to the end".
                return Check(patches=((4, b"\xff" * 4), (place - 4, b"\xff" * 4)))
            if declared >= PLACEHOLDER_32:
                return _COMPLETE
            return _compare(declared, size - place, declared / byte_rate if byte_rate else None)
        elif not name.isascii():
            break  # the chunks are out of step: the decoder may know better
    return _COMPLETE


def _w64(file: BinaryIO, size: int, _start: int) -> Check:
    byte_rate = 0
    for name, declared, place in _chunks(file, 40, size, "<16sQ", padding=8):
        if name[:4] == b"fmt ":
            byte_rate = struct.unpack("<I", file.read(12)[8:])[0]
        elif name[:4] == b"data":
            if not 0 < declared < _PLACEHOLDER_64:
                return _COMPLETE
            return _compare(declared, size - place, declared / byte_rate if byte_rate else None)
    return _COMPLETE


def _aiff(file: BinaryIO, size: int, _start: int) -> Check:
    seconds: float | None = None
    for name, declared, place in _chunks(file, 12, size, ">4sI"):
        if name == b"COMM":
            _, frames, _, exponent, mantissa = struct.unpack(">hIhHQ", file.read(18))
            # An 80-bit float, whose mantissa has its leading one.
            rate = mantissa * 2.0 ** ((exponent & 0x7FFF) - 16383 - 63) if exponent & 0x7FFF < 16500 else 0.0
            seconds = frames / rate if rate >= 1 else None
        elif name == b"SSND":
            if declared <= 8 or declared >= PLACEHOLDER_32:
                return _COMPLETE
            return _compare(declared - 8, size - place - 8, seconds)
    return _COMPLETE


def _caf(file: BinaryIO, size: int, _start: int) -> Check:
    seconds_per_byte = 0.0
    for name, declared, place in _chunks(file, 8, size, ">4sq", padding=1):
        if name == b"desc":
            rate, _, _, packet_bytes, packet_frames = struct.unpack(">d4sIII", file.read(24))
            seconds_per_byte = packet_frames / packet_bytes / rate if packet_bytes and rate >= 1 else 0.0
        elif name == b"data":
            if declared < 4:
                return _COMPLETE
            return _compare(declared - 4, size - place - 4, (declared - 4) * seconds_per_byte)
    return _COMPLETE


def _au(file: BinaryIO, size: int, _start: int) -> Check:
    file.seek(0)
    magic = file.read(4)
    order = ">" if magic == b".snd" else "<"
    place, declared, encoding, rate, channels = struct.unpack(f"{order}5I", file.read(20))
    if declared >= PLACEHOLDER_32:
        return _COMPLETE
    width = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(encoding, 0) * rate * channels
    return _compare(declared, size - place, declared / width if width else None)


def _avi(file: BinaryIO, size: int, _start: int) -> Check:
    file.seek(4)
    (declared,) = struct.unpack("<I", file.read(4))
    return _COMPLETE if declared == 0 or declared >= PLACEHOLDER_32 else _compare(declared, size - 8, None)


def _mp4(file: BinaryIO, size: int, _start: int) -> Check:
    position, index = 0, False
    for _ in range(MOST_CHUNKS):
        if position + 8 > size:
            break
        file.seek(position)
        declared, name, extended = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
        length = extended if declared == 1 else declared or size - position
        index = index or name == b"moov"
        if name in (b"moov", b"moof", b"mdat") and position + length > size:
            return _compare(length, size - position, None)
        if length < 8:
            break
        position += length
    return _COMPLETE if index else Check("unfinished: it has no index (moov), so the recording was never closed")


def _matroska(file: BinaryIO, size: int, _start: int) -> Check:
    place, header = _ebml_size(file, 4)
    if header is None:
        return _COMPLETE
    file.seek(place + header)
    if file.read(4) != b"\x18\x53\x80\x67":
        return _COMPLETE
    place, declared = _ebml_size(file, place + header + 4)
    # A recorder that cannot go back leaves all ones: "until it ends".
    return _COMPLETE if declared is None else _compare(declared, size - place, None)


def _ebml_size(file: BinaryIO, position: int) -> tuple[int, int | None]:
    """Read EBML's number of variable length: the place after it, and the number or None for "unknown"."""
    file.seek(position)
    (first,) = struct.unpack("B", file.read(1))
    length = 9 - int(first).bit_length()
    digits = struct.unpack(f"{length - 1}s", file.read(length - 1))[0] if length <= 8 else b""
    value = int.from_bytes(bytes([first & (0x7F >> (length - 1))]) + digits, "big") if length <= 8 else 0
    unknown = length > 8 or value == (1 << (7 * length)) - 1
    return position + length, None if unknown else value


def _mp3(file: BinaryIO, size: int, start: int) -> Check:
    file.seek(start)
    frame = file.read(192)
    if not mpeg_frame_length(frame):
        return _COMPLETE
    first, mono = frame[1] & 0x18 == 0x18, frame[3] >> 6 == 3
    side = (17 if mono else 32) if first else (9 if mono else 17)
    tag = frame[4 + side :]
    if tag[:4] not in (b"Xing", b"Info"):
        return _COMPLETE
    flags, frames, length = struct.unpack(">III", tag[4:16])
    present = size - start
    # Tools that cut tags off leave the count a little wrong; a lost frame or two is nothing.
    if flags & 3 != 3 or present + max(length // 100, 3000) >= length:
        return _COMPLETE
    return _compare(length, present, frames * (1152 if first else 576) / mpeg_rate(frame))


def _ogg(file: BinaryIO, size: int, _start: int) -> Check:
    place = max(0, size - _OGG_PAGE)
    file.seek(place)
    tail = file.read(_OGG_PAGE)
    last = tail.rfind(b"OggS\0")
    if last < 0:
        return _COMPLETE
    page = tail[last:]
    segments = page[27 : 27 + page[26]] if len(page) > 27 else b""
    if len(page) <= 27 or len(segments) < page[26] or 27 + len(segments) + sum(segments) > len(page):
        # Recorders that are stopped leave the last page without its mark of the end, but not without its content.
        return Check("cut short: the file ends inside a page")
    return _COMPLETE


_LOOKS: dict[str, Callable[[BinaryIO, int, int], Check]] = {
    "wav": _wav,
    "rf64": _wav,
    "bw64": _wav,
    "w64": _w64,
    "aiff": _aiff,
    "caf": _caf,
    "au": _au,
    "avi": _avi,
    "m4a": _mp4,
    "mov": _mp4,
    "webm": _matroska,
    "mp3": _mp3,
    "ogg": _ogg,
    "ogg (speex or video)": _ogg,
}
