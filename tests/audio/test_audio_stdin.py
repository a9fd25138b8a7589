"""Standard input: any file, or headerless samples whose layout is told."""

from __future__ import annotations

import io
import os
import threading

import numpy as np
import pytest
import soundfile

from speakerid.audio import RawFormat, load_samples, open_audio
from speakerid.errors import RecordingError, UsageError

SAMPLES = (0.5 * np.sin(np.arange(16000) / 20)).astype(np.float32)


class Drip(io.RawIOBase):
    """A pipe that gives a few bytes at a time and cannot seek."""

    def __init__(self, content: bytes, step: int = 7) -> None:
        super().__init__()
        self.content, self.place, self.step = content, 0, step

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        piece = self.content[self.place : self.place + (self.step if size < 0 else min(size, self.step))]
        self.place += len(piece)
        return piece


def encoded(container: str, subtype: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, SAMPLES, 16000, format=container, subtype=subtype)
    return file.getvalue()


def read(content: bytes, step: int = 7, **options) -> np.ndarray:
    with open_audio("-", stdin=Drip(content, step), **options) as source:
        return np.concatenate(list(source.blocks(1000)))


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "FLOAT"), ("FLAC", "PCM_24"), ("AIFF", "FLOAT")])
def test_a_file_in_a_pipe(container, subtype):
    np.testing.assert_allclose(read(encoded(container, subtype)), SAMPLES, atol=1e-6)
    np.testing.assert_allclose(read(encoded(container, subtype), start=0.25, end=0.5), SAMPLES[4000:8000], atol=1e-6)


def test_a_real_pipe(monkeypatch):
    content = encoded("FLAC", "PCM_16")
    receiver, sender = os.pipe()
    writer = threading.Thread(target=lambda: [os.write(sender, content), os.close(sender)])
    with os.fdopen(receiver, "rb") as stream:
        writer.start()
        got = load_samples("-", sample_rate=16000, stdin=stream)
        writer.join()
    np.testing.assert_allclose(got, SAMPLES, atol=1 / 32000)


def test_standard_input_is_the_default(monkeypatch):
    class Stdin:
        buffer = io.BytesIO(encoded("WAV", "FLOAT"))

    monkeypatch.setattr("sys.stdin", Stdin)
    np.testing.assert_array_equal(load_samples("-", sample_rate=16000), SAMPLES)


def test_nothing_came_in():
    with pytest.raises(RecordingError, match="nothing came in") as caught:
        read(b"")
    assert caught.value.reason == "empty"


class Endless(io.RawIOBase):
    """Counts what is asked of it; a reader that waits for its end never comes back."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0
        self.taken += size
        assert self.taken < 1 << 20
        return bytes(size)


def test_what_is_no_audio_is_refused_at_once_with_the_way_out():
    with pytest.raises(RecordingError, match="--raw RATE") as caught:
        open_audio("-", stdin=Endless())
    assert caught.value.reason == "unreadable"
    assert "standard input" in str(caught.value)


def test_a_cut_file_in_a_pipe():
    with pytest.raises(RecordingError, match=r"of 1\.00 s") as caught:
        read(encoded("WAV", "PCM_16")[:-5000])
    assert caught.value.reason == "truncated"


def pcm(dtype: str, scale: float, offset: float = 0) -> bytes:
    return np.round(SAMPLES.astype(np.float64) * scale + offset).astype(dtype).tobytes()


RAW = [
    ("u8", pcm("u1", 127, 128), 1 / 64),
    ("s8", pcm("i1", 127), 1 / 64),
    ("s16le", pcm("<i2", 32767), 1e-4),
    ("s16be", pcm(">i2", 32767), 1e-4),
    ("s32le", pcm("<i4", 2**31 - 1), 1e-6),
    ("f32le", SAMPLES.astype("<f4").tobytes(), 0),
    ("f64le", SAMPLES.astype("<f8").tobytes(), 0),
    ("s24le", b"".join(int(x).to_bytes(3, "little", signed=True) for x in np.round(SAMPLES * 8388607.0)), 1e-6),
]


@pytest.mark.parametrize(("encoding", "content", "tolerance"), RAW, ids=[case[0] for case in RAW])
def test_headerless_samples(encoding, content, tolerance):
    layout = RawFormat(16000, encoding)
    np.testing.assert_allclose(read(content, raw=layout), SAMPLES, atol=tolerance)
    # A stream that is stopped by hand ends anywhere; the half sample is dropped.
    if encoding not in ("u8", "s8"):
        assert len(read(content[:-1], raw=layout)) == len(SAMPLES) - 1


@pytest.mark.parametrize(("encoding", "subtype"), [("mulaw", "ULAW"), ("alaw", "ALAW")])
def test_telephone_codes_are_those_of_libsndfile(encoding, subtype):
    codes = bytes(range(256))
    expected, _ = soundfile.read(
        io.BytesIO(codes), samplerate=8000, channels=1, format="RAW", subtype=subtype, dtype="float32"
    )
    np.testing.assert_array_equal(read(codes, raw=RawFormat(8000, encoding)), expected)


def test_headerless_channels_and_stretch():
    stereo = np.stack([SAMPLES, -SAMPLES / 2], axis=1).astype("<f4").tobytes()
    layout = RawFormat(16000, "f32le", channels=2)
    np.testing.assert_allclose(read(stereo, step=999, raw=layout), SAMPLES / 4, atol=1e-7)
    np.testing.assert_array_equal(
        read(stereo, step=999, raw=layout, channel=1, start=0.5, end=0.75), SAMPLES[8000:12000]
    )
    with pytest.raises(RecordingError, match=r"starts at 5 s, but the file ends at 1\.00 s"):
        read(stereo, step=999, raw=layout, start=5)


def test_headerless_samples_come_as_they_are_written():
    """A block is there before the stream has ended, without a copy in a file."""
    with open_audio("-", stdin=Endless(), raw=RawFormat(16000)) as source:
        assert len(next(source.blocks(16000))) == 16000


def test_headerless_nothing_and_no_numbers():
    with pytest.raises(RecordingError) as caught:
        read(b"\0", raw=RawFormat(16000))
    assert caught.value.reason == "empty"
    with pytest.raises(RecordingError, match="not a finite number"):
        read(np.array([0, np.nan], "<f4").tobytes(), raw=RawFormat(16000, "f32le"))
    with pytest.raises(RecordingError, match="not a finite number"):
        read(np.array([1e300], "<f8").tobytes(), raw=RawFormat(16000, "f64le"))


@pytest.mark.parametrize("layout", [(0,), (500_000,), (16000, "s17"), (16000, "s16le", 0), (16000, "s16le", 65)])
def test_impossible_layouts_are_wrong_requests(layout):
    with pytest.raises(UsageError, match="raw audio"):
        RawFormat(*layout)


def test_the_layout_of_standard_input_does_not_concern_files(tmp_path):
    (tmp_path / "x.wav").write_bytes(encoded("WAV", "FLOAT"))
    np.testing.assert_array_equal(
        load_samples(str(tmp_path / "x.wav"), sample_rate=16000, raw=RawFormat(8000)), SAMPLES
    )
