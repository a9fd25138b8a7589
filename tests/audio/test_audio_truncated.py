"""A file that was cut short is told from a shorter recording, and a header that could not know its length from both."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from speakerid.audio import open_audio
from speakerid.errors import RecordingError

RATE = 16000
SECONDS = 4
SAMPLES = (np.random.default_rng(0).normal(0, 0.1, RATE * SECONDS)).astype(np.float32)


def encoded(container: str, subtype: str, samples: np.ndarray = SAMPLES) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=container, subtype=subtype)
    return file.getvalue()


def read(path) -> np.ndarray:
    with open_audio(path) as source:
        return np.concatenate(list(source.blocks(5000)))


def refused(path, content: bytes, reason: str = "truncated") -> str:
    path.write_bytes(content)
    with pytest.raises(RecordingError) as caught:
        read(path)
    assert caught.value.reason == reason
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


TOLD = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAV", "GSM610"),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("W64", "PCM_16"),
    ("CAF", "PCM_16"),
    ("AU", "PCM_16"),
]


@pytest.mark.parametrize(("container", "subtype"), TOLD)
def test_half_a_file_is_refused_with_what_is_there_and_what_was_declared(tmp_path, container, subtype):
    whole = encoded(container, subtype)
    message = refused(tmp_path / "x", whole[: len(whole) // 2])
    assert "of 4.00 s" in message
    present = float(message.split("cut short: ")[1].split(" of ")[0])
    assert present == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(("container", "subtype"), TOLD)
def test_a_few_bytes_missing_are_noticed(tmp_path, container, subtype):
    whole = encoded(container, subtype)
    refused(tmp_path / "x", whole[:-100])


@pytest.mark.parametrize(("container", "subtype"), [*TOLD, ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_no_cut_goes_unnoticed(tmp_path, container, subtype):
    """Wherever the file is cut, the answer is an error or, for Ogg, whole pages."""
    whole = encoded(container, subtype, SAMPLES[:RATE])
    path = tmp_path / "x"
    for size in [*range(1, 120, 7), *np.linspace(120, len(whole) - 3, 25).astype(int)]:
        path.write_bytes(whole[:size])
        with pytest.raises(RecordingError) as caught:
            read(path)
        assert caught.value.reason in ("truncated", "unreadable", "empty")


@pytest.mark.parametrize("cut", [0.3, 0.5, 0.99])
def test_a_flac_gives_what_it_has_and_then_says_so(tmp_path, cut):
    whole = encoded("FLAC", "PCM_16")
    path = tmp_path / "x.flac"
    path.write_bytes(whole[: int(len(whole) * cut)])
    got = 0
    with open_audio(path) as source:
        blocks = source.blocks(1000)
        with pytest.raises(RecordingError, match=r"of 4\.00 s") as caught:  # noqa: PT012
            for block in blocks:
                np.testing.assert_allclose(block, SAMPLES[got : got + len(block)], atol=1 / 32000)
                got += len(block)
    assert caught.value.reason == "truncated"
    assert got < len(SAMPLES)


def test_a_flac_that_is_damaged_in_the_middle(tmp_path):
    content = bytearray(encoded("FLAC", "PCM_16"))
    middle = len(content) // 2
    content[middle : middle + 300] = bytes([0x55]) * 300
    refused(tmp_path / "x.flac", bytes(content))


def test_a_flac_of_unknown_length_is_read_to_its_end(tmp_path):
    content = bytearray(encoded("FLAC", "PCM_16"))
    content[21] &= 0xF0  # the total in the stream's header, as an encoder in a pipe leaves it
    content[22:26] = bytes(4)
    (tmp_path / "x.flac").write_bytes(content)
    with open_audio(tmp_path / "x.flac") as source:
        assert source.declared_frames is None
    np.testing.assert_allclose(read(tmp_path / "x.flac"), SAMPLES, atol=1 / 32000)


@pytest.mark.parametrize(
    ("riff", "data"), [(0, 0), (0xFFFFFFFF,) * 2, (0x7FFFF024, 0x7FFFF000), (0x80000024, 0x80000000)]
)
@pytest.mark.parametrize("extra", [b"", b"LIST\x04\0\0\0INFO"])
def test_a_wav_written_into_a_pipe_is_read_to_its_end(tmp_path, riff, data, extra):
    content = encoded("WAV", "PCM_16")
    content = content[:36] + extra + content[36:]
    place = 40 + len(extra)
    content = content[:4] + struct.pack("<I", riff) + content[8:place] + struct.pack("<I", data) + content[place + 4 :]
    (tmp_path / "x.wav").write_bytes(content)
    np.testing.assert_allclose(read(tmp_path / "x.wav"), SAMPLES, atol=1 / 32000)


def test_an_empty_wav_with_a_chunk_behind_is_empty_not_noise(tmp_path):
    content = encoded("WAV", "PCM_16", SAMPLES[:0]) + b"LIST\x0c\0\0\0INFOISFT" + bytes(4)
    refused(tmp_path / "x.wav", content, "empty")


def test_a_missing_pad_byte_is_nothing(tmp_path):
    content = encoded("WAV", "PCM_U8", SAMPLES[:1001])
    assert len(content) == 44 + 1002
    (tmp_path / "x.wav").write_bytes(content[:-1])
    assert len(read(tmp_path / "x.wav")) == 1001


def test_a_size_of_a_long_wav_is_not_taken_for_a_placeholder_in_aiff(tmp_path):
    content = bytearray(encoded("AIFF", "PCM_16"))
    place = content.index(b"SSND") + 4
    content[place : place + 4] = struct.pack(">I", 0x7FFFFFFF)
    (tmp_path / "x.aiff").write_bytes(content)
    assert len(read(tmp_path / "x.aiff")) == len(SAMPLES)


def test_an_ogg_cut_at_a_page_is_a_recording_that_was_stopped(tmp_path):
    content = encoded("OGG", "VORBIS")
    last = content.rindex(b"OggS")
    (tmp_path / "x.ogg").write_bytes(content[:last])
    assert RATE < len(read(tmp_path / "x.ogg")) < len(SAMPLES)
    assert "inside a page" in refused(tmp_path / "y.ogg", content[:-50])
    assert "inside a page" in refused(tmp_path / "z.ogg", content[: last + 10])


def test_half_an_mp3_is_known_by_its_table(tmp_path):
    content = encoded("MP3", "MPEG_LAYER_III")
    assert "of 4." in refused(tmp_path / "x.mp3", content[: len(content) // 2])
    tagged = b"ID3\x04\0\0\0\0\x02\x00" + bytes(256) + content
    (tmp_path / "y.mp3").write_bytes(tagged)
    assert len(read(tmp_path / "y.mp3")) == len(SAMPLES)
    refused(tmp_path / "y.mp3", tagged[: len(tagged) // 2])


@pytest.mark.parametrize(("container", "subtype"), [*TOLD, ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("NIST", "PCM_16")])
def test_damaged_bytes_end_in_one_line_or_in_samples(tmp_path, container, subtype):
    rng = np.random.default_rng(12)
    whole = encoded(container, subtype, SAMPLES[:4000])
    path = tmp_path / "x"
    refusals = []
    for _ in range(60):
        content = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(0, rng.choice([32, 100, len(content)]), 6)
        content[places] = rng.choice(np.array([0, 127, 128, 255, *rng.integers(0, 256, 4)], np.uint8), 6)
        path.write_bytes(content.tobytes())
        try:
            assert np.isfinite(read(path)).all()
        except RecordingError as error:
            refusals.append(str(error))
    assert refusals
    assert not [message for message in refusals if "\n" in message or not message.startswith(str(path))]


def test_headers_of_endless_empty_chunks_are_given_up(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", 1 << 20) + b"WAVE" + b"junk\0\0\0\0" * 100_000)
    with pytest.raises(RecordingError):
        read(path)
