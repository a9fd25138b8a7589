"""Every container, rate and channel layout that libsndfile writes is read; every file that cannot be is refused."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerid.audio import open_audio
from speakerid.errors import RecordingError, UsageError


def tone(seconds: float = 1.0, rate: int = 16000, frequency: float = 300.0) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def read(path: object, block: int = 1000, **options: object) -> np.ndarray:
    with open_audio(path, **options) as source:
        return np.concatenate(list(source.blocks(block)))


def refused(path: object, reason: str, **options: object) -> str:
    with pytest.raises(RecordingError) as caught:
        read(path, **options)
    message = str(caught.value)
    assert caught.value.reason == reason
    assert "\n" not in message
    return message


EXACT = [
    ("WAV", "PCM_U8", 1 / 128),
    ("WAV", "PCM_16", 1 / 32768),
    ("WAV", "PCM_24", 1 / 2**23),
    ("WAV", "PCM_32", 1e-7),
    ("WAV", "FLOAT", 0),
    ("WAV", "DOUBLE", 0),
    ("WAV", "ULAW", 0.02),
    ("WAV", "ALAW", 0.02),
    ("WAVEX", "PCM_16", 1 / 32768),
    ("RF64", "PCM_16", 1 / 32768),
    ("FLAC", "PCM_S8", 1 / 128),
    ("FLAC", "PCM_16", 1 / 32768),
    ("FLAC", "PCM_24", 1 / 2**23),
    ("AIFF", "PCM_16", 1 / 32768),
    ("AIFF", "FLOAT", 0),
    ("W64", "PCM_16", 1 / 32768),
    ("CAF", "PCM_16", 1 / 32768),
    ("CAF", "ALAC_16", 1 / 32768),
    ("AU", "PCM_16", 1 / 32768),
    ("NIST", "PCM_16", 1 / 32768),
    ("VOC", "PCM_16", 1 / 32768),
]


@pytest.mark.parametrize(("container", "subtype", "tolerance"), EXACT)
def test_lossless_containers_give_the_samples_back(tmp_path, container, subtype, tolerance):
    samples = tone()
    path = tmp_path / "x.bin"  # the name says nothing: the content decides
    soundfile.write(path, samples, 16000, format=container, subtype=subtype)
    got = read(path)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, samples, rtol=0, atol=tolerance)


LOSSY = [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("WAV", "IMA_ADPCM"), ("WAV", "GSM610")]


@pytest.mark.parametrize(("container", "subtype"), LOSSY)
def test_lossy_containers_keep_length_and_shape(tmp_path, container, subtype):
    samples = tone(2.0)
    path = tmp_path / "x"
    soundfile.write(path, samples, 16000, format=container, subtype=subtype)
    got = read(path)
    assert 0 <= len(got) - len(samples) < (600 if container == "WAV" else 1)  # ADPCM fills its last block
    assert np.corrcoef(got[: len(samples)], samples)[0, 1] > 0.99  # any shift in time would break the correlation


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_any_rate_is_kept(tmp_path, rate):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(0.25, rate), rate)
    with open_audio(path) as source:
        assert (source.rate, source.channels, source.declared_frames) == (rate, 1, round(rate / 4))
        assert sum(map(len, source.blocks(777))) == round(rate / 4)


@pytest.mark.parametrize("channels", range(1, 9))
def test_channels_are_averaged_or_chosen(tmp_path, channels):
    rng = np.random.default_rng(channels)
    samples = rng.uniform(-0.9, 0.9, (4000, channels)).astype(np.float32)
    path = tmp_path / "x.wav"
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    np.testing.assert_allclose(read(path), samples.mean(axis=1), atol=2e-7)
    for channel in range(1, channels + 1):
        np.testing.assert_array_equal(read(path, channel=channel), samples[:, channel - 1])
    message = refused(path, "unreadable", channel=channels + 1)
    assert f"{channels} channel" in message
    assert str(path) in message
    assert "no channel 0" in refused(path, "unreadable", channel=0)


@pytest.mark.parametrize(
    ("container", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
)
def test_samples_do_not_depend_on_the_block(tmp_path, container, subtype):
    rng = np.random.default_rng(1)
    path = tmp_path / "x"
    stereo = rng.normal(0, 0.1, (150_000, 2)).astype(np.float32)
    soundfile.write(path, stereo, 48000, format=container, subtype=subtype)
    whole = read(path, block=1 << 20)
    for block in (997, 4800, 65536):
        np.testing.assert_array_equal(read(path, block=block), whole)


def test_blocks_are_full_but_the_last(tmp_path):
    path = tmp_path / "x.flac"
    soundfile.write(path, tone(), 16000)
    with open_audio(path) as source:
        assert [len(block) for block in source.blocks(5000)] == [5000, 5000, 5000, 1000]
    with open_audio(path) as source:
        assert [len(block) for block in source.blocks(8000)] == [8000, 8000]


def test_a_block_is_the_callers_to_keep(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(), 16000, subtype="FLOAT")
    with open_audio(path) as source:
        blocks = list(source.blocks(100))
    np.testing.assert_array_equal(np.concatenate(blocks), tone())


def test_a_source_is_read_once(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(), 16000)
    with open_audio(path) as source:
        list(source.blocks(100))
        with pytest.raises(UsageError, match="read once"):
            next(source.blocks(100))
    source.close()


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_stretch_is_cut_to_the_sample(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    rng = np.random.default_rng(0)
    soundfile.write(path, rng.normal(0, 0.1, 64000).astype(np.float32), 16000)
    whole = read(path)
    got = read(path, start=1.23456, end=2.5)
    first, last = round(1.23456 * 16000), 40000
    assert len(got) == last - first
    # Seeking into a bit reservoir is not exact; anywhere else it is.
    np.testing.assert_allclose(got, whole[first:last], atol=2e-3 if suffix == "mp3" else 0)
    np.testing.assert_array_equal(read(path, end=0.5), whole[:8000])


def test_expected_frames_are_those_of_the_stretch(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(4.0), 16000)
    with open_audio(path, start=1, end=3) as source:
        assert (source.declared_frames, source.expected_frames) == (64000, 32000)
    with open_audio(path, start=1) as source:
        assert source.expected_frames == 48000


@pytest.mark.parametrize("suffix", ["wav", "mp3"])  # a length that is known, and one that is found by reading
def test_a_stretch_outside_the_file_names_both_times(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    soundfile.write(path, tone(1.0), 16000)
    message = refused(path, "unreadable", start=0.5, end=1.2)
    assert "1.2 s" in message
    assert "1.00 s" in message
    message = refused(path, "unreadable", start=7.0)
    assert "7 s" in message
    assert "1.00 s" in message
    assert len(read(path, start=0.5, end=1.08)) == 8000  # rounded times are let pass
    assert "shorter than a sample" in refused(path, "empty", start=0.5, end=0.5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e10])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_that_are_no_numbers_are_refused_with_their_time(tmp_path, value, channels):
    samples = np.zeros((16000, channels), dtype=np.float32)
    samples[4000, channels - 1] = value
    path = tmp_path / "x.wav"
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    message = refused(path, "unreadable")
    assert "0.250 s" in message
    assert str(path) in message


def test_float_samples_beyond_full_scale_are_read(tmp_path):
    path = tmp_path / "x.wav"
    samples = tone() * 32768
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    with open_audio(path) as source:
        np.testing.assert_array_equal(np.concatenate(list(source.blocks(99999))), samples)
        assert source.peak == pytest.approx(np.abs(samples).max())


NAMES = [b"with spaces.wav", "é 🎙 👩\u200d🚀.wav".encode(), b"not utf-8 \xff\xfe.wav", b"line\nbreak.wav", b"-.wav"]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_any_file_name_is_read_and_shown_on_one_line(tmp_path, name):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
    with Path(path).open("wb") as file:
        soundfile.write(file, tone(), 16000, format="WAV", subtype="FLOAT")
    np.testing.assert_array_equal(read(path), tone())
    message = refused(path, "unreadable", channel=2)
    message.encode("utf-8")
    assert message.isprintable() or "👩\u200d🚀" in message


def test_missing_and_impossible_paths(tmp_path):
    assert "no such file" in refused(tmp_path / "no.wav", "unreadable")
    (tmp_path / "x.wav").write_bytes(b"x")
    assert "no such file" in refused(tmp_path / "x.wav" / "y.wav", "unreadable")
    assert "not a possible path" in refused("a\0b.wav", "unreadable")
    assert "too long" in refused("x" * 5000, "unreadable")
    loop = tmp_path / "loop.wav"
    loop.symlink_to(loop)
    assert "loop" in refused(loop, "unreadable")


def test_what_is_no_regular_file_has_its_own_message(tmp_path):
    assert "a folder" in refused(tmp_path, "unreadable")
    os.mkfifo(tmp_path / "fifo.wav")  # opening it would wait for a writer
    message = refused(tmp_path / "fifo.wav", "unreadable")
    assert "named pipe" in message
    assert "give -" in message
    assert "device" in refused("/dev/null", "unreadable")
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(tmp_path)  # a socket's path is short
        try:
            server.bind("s.wav")
        finally:
            os.chdir(before)
        assert "a socket" in refused(tmp_path / "s.wav", "unreadable")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(), 16000)
    path.chmod(0)
    assert "no permission" in refused(path, "unreadable")


def test_an_error_of_permission_from_the_system(tmp_path, monkeypatch):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(), 16000)

    def deny(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    assert "no permission" in refused(path, "unreadable")


def test_files_without_samples_are_empty(tmp_path):
    (tmp_path / "zero.wav").write_bytes(b"")
    assert "0 bytes" in refused(tmp_path / "zero.wav", "empty")
    for suffix in ("wav", "flac", "aiff", "ogg"):
        path = tmp_path / f"x.{suffix}"
        soundfile.write(path, np.zeros(0), 16000)
        assert str(path) in refused(path, "empty")


NOT_AUDIO = {
    "text": b"hello, world\n" * 400,
    "utf-16": "hello, world\n".encode("utf-16") * 400,
    "zeros": bytes(5000),
    "noise": np.random.default_rng(5).bytes(5000),
    "pdf": b"%PDF-1.7\n" + bytes(1000),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(1000),
    "zip": b"PK\x03\x04" + bytes(1000),
    "one byte": b"R",
    "playlist": b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\nsecret.wav\n",
    "concat": b"ffconcat version 1.0\nfile secret.wav\n",
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    "dash": b"<?xml version='1.0'?><MPD><Period></Period></MPD>",
    "cue": b'FILE "secret.wav" WAVE\n  TRACK 01 AUDIO\n',
    "matrix": b"MATLAB 5.0 MAT-file, Platform: x" + bytes(500),
}


@pytest.mark.parametrize("name", NOT_AUDIO)
@pytest.mark.parametrize("suffix", ["wav", "m4a", "m3u8", "gsm", "vox", "raw"])
def test_what_is_not_audio_is_refused_whatever_its_name(tmp_path, name, suffix):
    soundfile.write(tmp_path / "secret.wav", tone(), 16000)
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(NOT_AUDIO[name])
    message = refused(path, "unreadable")
    assert "not an audio file that speakerid knows" in message
    assert ("--raw RATE" in message) == (suffix == "raw")


def test_junk_behind_a_known_beginning_is_refused(tmp_path):
    rng = np.random.default_rng(3)
    for head in (b"fLaC", b"OggS\0\x02" + bytes(20) + b"\x01\x1e\x01vorbis", b"NIST_1A\n", b"Creative Voice File\x1a"):
        path = tmp_path / "x"
        path.write_bytes(head + rng.bytes(3000))
        with pytest.raises(RecordingError, match=r"looks like|cut short"):
            read(path)


@pytest.mark.parametrize(("rate", "said"), [(1000, "1000 Hz"), (400_000, "400000 Hz")])
def test_rates_out_of_range_are_refused(tmp_path, rate, said):
    path = tmp_path / "x.wav"
    soundfile.write(path, np.zeros(1000), rate)
    assert said in refused(path, "unreadable")


def test_too_many_channels_are_refused(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, np.zeros((10, 65)), 16000)
    assert "65 channels" in refused(path, "unreadable")
    soundfile.write(path, np.full((10, 64), 0.5), 16000)
    np.testing.assert_array_equal(read(path), np.full(10, 0.5, dtype=np.float32))


def test_blocks_of_nothing_are_a_wrong_request(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(), 16000)
    with open_audio(path) as source, pytest.raises(UsageError):
        next(source.blocks(0))
