"""Sound that comes while it is read: the samples of the file, whatever the pieces; headers of pipes; what is refused."""

from __future__ import annotations

import io
import os
import struct
import threading
import tracemalloc

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerid.audio import RawFormat, load_samples, open_samples
from speakerid.audio.live import open_live
from speakerid.errors import RecordingError, UsageError

NOISE = np.random.default_rng(3).normal(0, 0.25, (3000, 2)).clip(-1, 1)
SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
EXTENSIBLE_TAIL = bytes.fromhex("000000001000800000aa00389b71")


class Pieces(io.RawIOBase):
    """A pipe that gives pieces of given sizes, again and again, and cannot seek."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        super().__init__()
        self.content, self.place, self.sizes, self.reads = content, 0, sizes, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "asks for all of a stream that may not end"
        size = min(size, self.sizes[self.reads % len(self.sizes)])
        self.reads += 1
        piece = self.content[self.place : self.place + size]
        self.place += len(piece)
        return piece


def written(container: str, subtype: str, rate: int = 16000, channels: int = 1, samples: np.ndarray = NOISE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples[:, :channels], rate, format=container, subtype=subtype)
    return file.getvalue()


def drained(stream) -> np.ndarray:
    with stream:
        return np.concatenate([*stream, np.empty(0, np.float32)])


def live(content: bytes, *, raw=None, sample_rate=16000, sizes=(1 << 16,), **options) -> np.ndarray:
    return drained(open_live(Pieces(content, list(sizes)), raw=raw, sample_rate=sample_rate, **options))


def whole(content: bytes, sample_rate: int = 16000, **options) -> np.ndarray:
    return load_samples("-", sample_rate=sample_rate, stdin=io.BytesIO(content), **options)


def wav(
    tag: int,
    bits: int,
    data: bytes,
    *,
    size: int | None = None,
    rate: int = 16000,
    channels: int = 1,
    before: bytes = b"",
    after: bytes = b"",
    more: bytes = b"",
) -> bytes:
    """A WAV stream made by hand."""
    width = (bits + 7) // 8 * channels
    form = struct.pack("<HHIIHH", tag, channels, rate, width * rate, width, bits) + more
    size = len(data) if size is None else size
    chunks = before + b"fmt " + struct.pack("<I", len(form)) + form + after
    return b"RIFF\xff\xff\xff\xffWAVE" + chunks + b"data" + struct.pack("<I", size) + data


@settings(max_examples=120)
@given(
    container=st.sampled_from(["WAV", "WAVEX"]),
    subtype=st.sampled_from(SUBTYPES),
    rate=st.sampled_from([8000, 16000, 44100, 48000]),
    channels=st.sampled_from([1, 2]),
    channel=st.sampled_from([None, 1]),
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=8),
    block_seconds=st.sampled_from([0.001, 0.01, 0.1]),
)
def test_the_samples_are_those_of_the_file_whatever_the_pieces(
    container, subtype, rate, channels, channel, sizes, block_seconds
):
    content = written(container, subtype, rate, channels)
    stream = open_live(
        Pieces(content, sizes), raw=None, sample_rate=16000, channel=channel, block_seconds=block_seconds
    )
    with open_samples("-", sample_rate=16000, channel=channel, stdin=io.BytesIO(content)) as expected:
        np.testing.assert_array_equal(drained(stream), np.concatenate(list(expected)))
        for name in ("source_rate", "source_channels", "seconds", "peak", "clipped_fraction"):
            assert getattr(stream, name) == getattr(expected, name), name
    assert stream.clipped_fraction == 0 or subtype != "FLOAT"
    assert stream.lost_seconds == 0


@pytest.mark.parametrize(
    "encoding", ["u8", "s8", "s16le", "s16be", "s24le", "s32le", "f32le", "f64le", "mulaw", "alaw"]
)
def test_headerless_samples_are_those_of_the_whole(encoding):
    content = np.random.default_rng(4).integers(0, 64, 4800 * 8, dtype=np.uint8).tobytes()
    layout = RawFormat(8000, encoding, channels=2)
    expected = whole(content, raw=layout)
    for sizes in ([1], [7, 1, 2, 3], [4096]):
        np.testing.assert_array_equal(live(content, raw=layout, sizes=sizes), expected)
    # the last sample is not all there
    if encoding not in ("u8", "s8", "mulaw", "alaw"):
        np.testing.assert_array_equal(live(content[:-1], raw=layout), whole(content[:-1], raw=layout))


PCM = (NOISE[:, 0] * 32767).astype("<i2").tobytes()
EXPECTED = np.frombuffer(PCM, "<i2").astype(np.float32) / 32768


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x80000000, 0x7FFFF000, len(PCM), len(PCM) + 2, 10 * len(PCM)])
def test_a_stream_lasts_until_it_ends(size):
    np.testing.assert_array_equal(live(wav(1, 16, PCM, size=size)), EXPECTED)
    # stopped in the middle of a sample
    np.testing.assert_array_equal(live(wav(1, 16, PCM[:-1], size=size or 0)), EXPECTED[:-1])


@pytest.mark.parametrize(("codec", "dtype"), [("pcm_s16le", "s16"), ("pcm_f32le", "flt")])
def test_what_ffmpeg_writes_into_a_pipe(codec, dtype):
    """Its header has a list before the samples, whose number it cannot know; with many channels it is extensible."""

    class Sink:
        content = b""

        def write(self, piece: bytes) -> int:
            self.content += piece
            return len(piece)

    sink = Sink()
    samples = np.frombuffer(PCM, "<i2") if dtype == "s16" else EXPECTED
    with av.open(sink, "w", format="wav") as container:
        stream = container.add_stream(codec, rate=16000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.repeat(samples, 2)[None, :], format=dtype, layout="stereo")
        frame.sample_rate = 16000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    assert b"LIST" in sink.content[:100]
    assert b"data\xff\xff\xff\xff" in sink.content
    np.testing.assert_array_equal(live(sink.content, sizes=[11, 1000]), EXPECTED)


def test_what_follows_the_samples_is_not_sound():
    np.testing.assert_array_equal(live(wav(1, 16, PCM + b"LIST\4\0\0\0odd!", size=len(PCM))), EXPECTED)


def test_chunks_before_the_samples_are_passed_over():
    odd = b"LIST\5\0\0\0abcde\0"
    large = b"JUNK" + struct.pack("<I", 300_000) + bytes(300_000)
    np.testing.assert_array_equal(live(wav(1, 16, PCM, before=odd, after=large + odd), sizes=[9, 5000]), EXPECTED)


def test_a_format_with_more_fields_and_its_extensible_kind():
    np.testing.assert_array_equal(live(wav(1, 16, PCM, more=b"\0\0")), EXPECTED)
    tail = b"\x16\0" + struct.pack("<HI", 16, 4) + b"\1\0" + EXTENSIBLE_TAIL
    np.testing.assert_array_equal(live(wav(0xFFFE, 16, PCM, more=tail)), EXPECTED)
    with pytest.raises(RecordingError, match="format 65534"):
        live(wav(0xFFFE, 16, PCM, more=tail[:-1] + b"?"))


def test_fewer_bits_than_bytes_hold_stand_on_the_left():
    content = wav(1, 12, (np.frombuffer(PCM, "<i2") & ~15).tobytes())
    np.testing.assert_array_equal(live(content), whole(content))


def test_sound_is_given_as_soon_as_it_comes():
    """A real pipe whose writer waits until its half sentence has been heard: a reader that wants more never comes back."""
    receiver, sender = os.pipe()
    heard = threading.Event()
    content = wav(1, 16, PCM, size=0xFFFFFFFF)
    header = len(content) - len(PCM)

    def write() -> None:
        with os.fdopen(sender, "wb", buffering=0) as pipe:
            for piece in (content[:5], content[5:header], PCM[:7], PCM[7:101]):
                pipe.write(piece)
            assert heard.wait(60)
            pipe.write(PCM[101:])

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(receiver, "rb") as pipe, open_live(pipe, raw=None, sample_rate=16000) as stream:
        blocks = iter(stream)
        got = [next(blocks)]
        while sum(map(len, got)) < 50:
            got.append(next(blocks))
        assert sum(map(len, got)) == 50
        assert stream.seconds == 50 / 16000
        heard.set()
        got.extend(blocks)
    writer.join()
    np.testing.assert_array_equal(np.concatenate(got), EXPECTED)


def test_a_pipe_that_does_not_wait_is_made_to():
    """Else nothing to read would look like the end."""
    receiver, sender = os.pipe()
    os.set_blocking(receiver, False)
    os.write(sender, wav(1, 16, PCM[:2000], size=0))
    with os.fdopen(receiver, "rb", buffering=0) as pipe, open_live(pipe, raw=None, sample_rate=16000) as stream:
        assert os.get_blocking(receiver)
        os.close(sender)
        np.testing.assert_array_equal(drained(stream), EXPECTED[:1000])


class Endless(io.RawIOBase):
    """A recorder that nobody stops."""

    def __init__(self) -> None:
        super().__init__()
        self.head = wav(1, 16, b"", size=0xFFFFFFFF, rate=48000)

    def read(self, size: int = -1) -> bytes:
        assert 0 < size <= 1 << 16
        piece, self.head = self.head, b""
        return piece or bytes(size)


def test_memory_does_not_grow_with_the_stream():
    with open_live(Endless(), raw=None, sample_rate=16000) as stream:
        blocks = iter(stream)
        for _ in range(50):
            next(blocks)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(500):
            next(blocks)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert stream.seconds > 50
    assert grown < 100_000


@pytest.mark.parametrize(
    ("content", "reason", "message"),
    [
        (b"", "empty", "nothing came in"),
        (written("FLAC", "PCM_16"), "unreadable", "flac cannot be read while it comes"),
        (written("OGG", "VORBIS"), "unreadable", "ogg cannot"),
        (written("MP3", "MPEG_LAYER_III"), "unreadable", "mp3 cannot"),
        (b"ID3\4\0\0\0\0\0\x10" + bytes(40), "unreadable", "mp3 cannot"),
        (written("RF64", "PCM_16"), "unreadable", "rf64 cannot"),
        (written("W64", "PCM_16"), "unreadable", "w64 cannot"),
        (b"This is a letter.\n" * 9, "unreadable", "--raw RATE"),
        (b"RIF", "unreadable", "--raw RATE"),
        (wav(1, 16, PCM)[:20], "truncated", "inside its header"),
        (wav(1, 16, PCM, before=b"LIST\0\1\0\0")[:40], "truncated", "inside its header"),
        (wav(17, 4, PCM), "unreadable", "format 17, 4 bits"),
        (wav(3, 16, PCM), "unreadable", "format 3, 16 bits"),
        (wav(1, 0, PCM), "unreadable", "format 1, 0 bits"),
        (wav(1, 16, PCM).replace(b"fmt \x10", b"fmt \x08"), "unreadable", "header makes no sense"),
        (wav(1, 16, PCM).replace(b"fmt ", b"fmx "), "unreadable", "header makes no sense"),
        (wav(1, 16, PCM, before=b"LIST\xff\xff\xff\xff"), "unreadable", "header makes no sense"),
        (b"RIFF\0\0\0\0WAVE" + b"LIST\0\0\0\0" * 5000, "unreadable", "header makes no sense"),
        (b"RIFF\0\0\0\0WAVEfmt \4\0\0\0\1\0\1\0data\0\0\0\0", "unreadable", "without a format"),
        (wav(1, 16, PCM, channels=0), "unreadable", "0 channels"),
        (wav(1, 16, PCM, channels=65), "unreadable", "65 channels"),
        (wav(1, 16, PCM, rate=100), "unreadable", "100 Hz"),
        (wav(1, 16, b""), "empty", "no samples"),
        (wav(1, 16, b"\0"), "empty", "no samples"),
        (wav(1, 16, b"LIST\4\0\0\0odd!", size=0), "empty", "no samples"),
        (wav(3, 32, np.array([0, np.nan], "<f4").tobytes()), "unreadable", "not a finite number"),
        (wav(3, 64, np.array([1e12], "<f8").tobytes()), "unreadable", "too large for audio"),
    ],
)
def test_what_cannot_be_used_ends_in_a_line_that_says_what_to_do(content, reason, message):
    for sizes in ([1], [1 << 16]):
        with pytest.raises(RecordingError, match=message) as caught:
            live(content, sizes=sizes)
        assert caught.value.reason == reason
        text = str(caught.value)
        assert text.startswith("- (standard input): ")
        assert "\n" not in text
        if reason == "unreadable" and ("cannot" in text or "sense" in text):
            assert "ffmpeg -i … -f wav - | speakerid identify - --timeline --follow" in text


def test_a_channel_that_is_not_there_and_another_name():
    with pytest.raises(RecordingError, match="there is no channel 3") as caught:
        live(written("WAV", "PCM_16", channels=2), channel=3, label="the radio")
    assert str(caught.value).startswith("the radio: has 2 channels")


class Breaking(Pieces):
    """A pipe that cannot be read any more."""

    def read(self, size: int = -1) -> bytes:
        piece = super().read(size)
        if not piece:
            raise OSError(5, "Input/output error")
        return piece


def test_a_pipe_that_breaks():
    with pytest.raises(RecordingError, match=r"cannot be read \(input/output error\)"):
        open_live(Breaking(b"RIFF", [4]), raw=None, sample_rate=16000)
    stream = open_live(Breaking(wav(1, 16, PCM, size=0xFFFFFFFF), [4096]), raw=None, sample_rate=16000)
    with pytest.raises(RecordingError, match=r"stopped after 0\.19 s: input/output error") as caught:
        drained(stream)
    assert caught.value.reason == "truncated"


def test_a_stream_is_read_once():
    stream = open_live(io.BytesIO(wav(1, 16, PCM)), raw=None, sample_rate=16000)
    drained(stream)
    with pytest.raises(UsageError, match="read once"):
        next(iter(stream))
