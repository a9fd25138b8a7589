"""What FFmpeg reads: m4a, aac, amr, webm, films; and what it must never be made to read."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerid.audio import open_audio
from speakerid.errors import MissingExtraError, RecordingError

av = pytest.importorskip("av")

SECONDS = 4


def tone(rate: int) -> np.ndarray:
    # A rising pitch, so that a shift in time shows in the correlation.
    time = np.arange(SECONDS * rate) / rate
    return (0.4 * np.sin(2 * np.pi * (250 + 30 * time) * time)).astype(np.float32)


def encoded(
    container: str, codec: str, rate: int, *, layout: str = "mono", options: dict[str, str] | None = None
) -> bytes:
    """Encode the tone; a second channel is the first turned down by half."""
    # A real file, because muxers that move the index to the front read back what they wrote.
    with tempfile.TemporaryDirectory() as folder:
        name = str(Path(folder) / "encoded")
        _encode(name, container, codec, rate, layout=layout, options=options)
        return Path(name).read_bytes()


def _encode(name: str, container: str, codec: str, rate: int, *, layout: str, options: dict[str, str] | None) -> None:
    with av.open(name, "w", format=container, options=options or {}) as out:
        try:
            stream = out.add_stream(codec, rate=rate)
        except av.codec.codec.UnknownCodecError:
            pytest.skip(f"this FFmpeg does not encode {codec}")
        stream.layout = layout
        if codec == "wmav2":
            stream.bit_rate = 64000
        resampler = av.AudioResampler(format=stream.codec_context.format or "s16", layout=layout, rate=rate)
        samples = tone(rate)
        if layout == "stereo":
            samples = np.stack([samples, samples / 2])
        samples = np.atleast_2d(samples)
        for start in range(0, samples.shape[1], 4000):
            part = np.ascontiguousarray(samples[:, start : start + 4000])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            frame.rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            for ready in resampler.resample(frame):
                out.mux(stream.encode(ready))
        out.mux(stream.encode(None))


KINDS = [
    # suffix, container, codec, rate, decoders keep the time exactly
    ("m4a", "ipod", "aac", 16000, True),
    ("m4a", "ipod", "aac", 44100, True),
    ("mp4", "mp4", "aac", 48000, True),
    ("mov", "mov", "alac", 16000, True),
    ("aac", "adts", "aac", 16000, False),
    ("webm", "webm", "libopus", 48000, True),
    ("mka", "matroska", "flac", 16000, True),
    ("mkv", "matroska", "pcm_s16le", 16000, True),
    ("amr", "amr", "libopencore_amrnb", 8000, False),
    ("3gp", "3gp", "libopencore_amrnb", 8000, False),
    ("wma", "asf", "wmav2", 44100, False),
    ("flv", "flv", "aac", 44100, False),
    ("ts", "mpegts", "aac", 16000, False),
    ("avi", "avi", "pcm_s16le", 16000, True),
    ("wv", "wv", "wavpack", 16000, True),
    ("tta", "tta", "tta", 16000, True),
    ("ac3", "ac3", "ac3", 48000, False),
    ("aac", "latm", "aac", 16000, False),
]


def read(path, block: int = 5000, **options) -> np.ndarray:
    with open_audio(path, **options) as source:
        return np.concatenate(list(source.blocks(block)))


def refused(path, reason: str) -> str:
    with pytest.raises(RecordingError) as caught:
        read(path)
    assert caught.value.reason == reason
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("suffix", "container", "codec", "rate", "exact"), KINDS)
def test_media_files_are_read(tmp_path, suffix, container, codec, rate, exact):
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(encoded(container, codec, rate))
    with open_audio(path) as source:
        assert (source.rate, source.channels) == (rate, 1)
        got = np.concatenate(list(source.blocks(3000)))
    expected = tone(rate)
    # Encoders add a block's worth of silence at the ends unless the container says how much.
    assert abs(len(got) - len(expected)) <= (0.07 if exact else 0.15) * rate
    if exact:
        size = min(len(got), len(expected))
        assert np.corrcoef(got[:size], expected[:size])[0, 1] > 0.97
    assert np.sqrt(np.mean(got**2)) == pytest.approx(0.4 / np.sqrt(2), rel=0.2)
    np.testing.assert_array_equal(read(path, block=1 << 20), got)


def test_channels_of_media_files(tmp_path):
    path = tmp_path / "x.m4a"
    path.write_bytes(encoded("ipod", "aac", 44100, layout="stereo"))
    left, right, mean = read(path, channel=1), read(path, channel=2), read(path)
    np.testing.assert_allclose(mean, (left + right) / 2, atol=1e-6)
    assert np.abs(left).max() > 1.7 * np.abs(right).max()
    with pytest.raises(RecordingError, match="has 2 channels"):
        read(path, channel=3)


@pytest.mark.parametrize(
    ("container", "codec", "layout"),
    [("ipod", "aac", "7.1"), ("matroska", "flac", "7.1"), ("wv", "wavpack", "7.1"), ("wv", "wavpack", "hexadecagonal")],
)
def test_eight_channels_and_more(tmp_path, container, codec, layout):
    """FFmpeg keeps up to eight pointers to channels; PyAV reads beyond the eighth."""
    path = tmp_path / "x"
    channels = av.AudioLayout(layout).nb_channels
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=48000)
        stream.layout = layout
        resampler = av.AudioResampler(format=stream.codec_context.format or "s16", layout=layout, rate=48000)
        samples = np.stack([tone(48000) * (channel + 1) / channels for channel in range(channels)])
        for start in range(0, samples.shape[1], 4096):
            part = np.ascontiguousarray(samples[:, start : start + 4096].T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(part, format="flt", layout=layout)
            frame.rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            for ready in resampler.resample(frame):
                out.mux(stream.encode(ready))
        out.mux(stream.encode(None))
    expected = tone(48000)
    for channel in (1, channels):
        got = read(path, channel=channel)[: len(expected)]
        level = np.sqrt(np.mean(got**2)) / (0.4 / np.sqrt(2))
        if codec != "aac":  # which puts the channels in its own order
            assert level == pytest.approx(channel / channels, rel=0.05)
            np.testing.assert_allclose(got, expected * channel / channels, atol=1 / 100)
    assert np.sqrt(np.mean(read(path)[: len(expected)] ** 2)) > 0.1


def test_a_stretch_of_a_media_file(tmp_path):
    path = tmp_path / "x.m4a"
    path.write_bytes(encoded("ipod", "aac", 16000))
    whole = read(path)
    np.testing.assert_array_equal(read(path, start=1.5, end=2.25), whole[24000:36000])
    with pytest.raises(RecordingError, match=r"starts at 9 s, but the file ends at 4\.0"):
        read(path, start=9)


def test_the_content_decides_not_the_name(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(encoded("ipod", "aac", 16000))
    assert len(read(path)) == pytest.approx(SECONDS * 16000, abs=1024)


@pytest.mark.parametrize(("suffix", "container", "codec"), [("m4a", "ipod", "aac"), ("webm", "webm", "libopus")])
def test_without_the_extra_one_line_names_it(tmp_path, monkeypatch, suffix, container, codec):
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(encoded(container, codec, 48000))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError) as caught:
        open_audio(path)
    assert str(caught.value) == f'{path}: {suffix} needs the extra "media": pip install av'


def test_without_the_extra_a_damaged_wav_is_not_blamed_on_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    path = tmp_path / "x.flac"
    path.write_bytes(b"fLaC" + bytes(4000))
    assert "looks like flac" in refused(path, "unreadable")


def test_a_wav_with_a_codec_that_libsndfile_does_not_know(tmp_path, monkeypatch):
    path = tmp_path / "x.wav"
    path.write_bytes(encoded("wav", "adpcm_yamaha", 16000))
    got = read(path)
    assert np.corrcoef(got[: SECONDS * 16000], tone(16000))[0, 1] > 0.97
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(RecordingError, match=r'cannot be decoded .*the extra "media" may know it: pip install'):
        open_audio(path)


@pytest.mark.parametrize(
    ("suffix", "container", "codec", "rate", "options"),
    [
        ("m4a", "ipod", "aac", 16000, {}),
        ("m4a", "ipod", "aac", 16000, {"movflags": "faststart"}),
        ("mp4", "mp4", "aac", 16000, {"movflags": "frag_keyframe+empty_moov"}),
        ("webm", "webm", "libopus", 48000, {}),
        ("avi", "avi", "pcm_s16le", 16000, {}),
        ("amr", "amr", "libopencore_amrnb", 8000, {}),
        ("tta", "tta", "tta", 16000, {}),
    ],
)
def test_half_a_media_file_is_refused(tmp_path, suffix, container, codec, rate, options):
    whole = encoded(container, codec, rate, options=options)
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(whole)
    assert len(read(path)) > 0.9 * SECONDS * rate
    path.write_bytes(whole[: len(whole) // 2 - 5])
    refused(path, "truncated")


def test_a_live_webm_without_a_length_is_read(tmp_path):
    path = tmp_path / "x.webm"
    whole = encoded("webm", "libopus", 48000, options={"live": "1"})
    path.write_bytes(whole)
    assert len(read(path)) == pytest.approx(SECONDS * 48000, abs=2000)
    path.write_bytes(whole[: len(whole) // 2])  # the browser was closed
    assert 48000 < len(read(path)) < 3 * 48000


def test_an_aac_stream_that_stops_within_a_frame_is_read(tmp_path):
    whole = encoded("adts", "aac", 16000)
    path = tmp_path / "x.aac"
    path.write_bytes(whole[: len(whole) // 2])
    assert 16000 < len(read(path)) < 3 * 16000
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 2000] = bytes(2000)
    path.write_bytes(damaged)
    refused(path, "truncated")


def test_a_film_without_sound_is_refused(tmp_path):
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(5):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode(None))
    assert "no audio stream" in refused(path, "unreadable")


def test_a_film_with_sound_gives_its_sound(tmp_path):
    path = tmp_path / "x.mkv"
    with av.open(str(path), "w", format="matroska") as out:
        picture = out.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        sound = out.add_stream("pcm_s16le", rate=16000, layout="mono")
        for _ in range(60):  # longer than the sound
            out.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        out.mux(picture.encode(None))
        frame = av.AudioFrame.from_ndarray((tone(16000)[None] * 32767).astype(np.int16), format="s16", layout="mono")
        frame.rate = 16000
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    np.testing.assert_allclose(read(path), tone(16000), atol=1 / 16000)


@pytest.mark.parametrize(
    "head", [b"", b"ID3\x04\0\0\0\0\0\x0a" + bytes(10), b"#!AMR\n", b"\xff\xf1\x60\x40\x01\x7f\xfc"]
)
def test_a_play_list_behind_any_beginning_opens_nothing(tmp_path, monkeypatch, head):
    """FFmpeg would follow a play list to other files and addresses."""
    soundfile.write(tmp_path / "secret.wav", tone(16000), 16000)
    monkeypatch.chdir(tmp_path)
    lists = (
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.wav\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile 'secret.wav'\n",
    )
    for number, content in enumerate(lists):
        path = tmp_path / f"x{number}.m4a"
        path.write_bytes(head + content)
        with pytest.raises(RecordingError):
            read(path)


def test_a_movie_that_points_to_another_file_does_not_read_it(tmp_path, monkeypatch):
    """A QuickTime data reference names the file that has the samples."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.raw").write_bytes(b"\x7f" * 400_000)
    whole = encoded("mov", "pcm_s16le", 16000)
    # `url ` with the flag "in this file" becomes a reference to a file beside it.
    place = whole.index(b"dref") + 12
    assert whole[place + 4 : place + 12] == b"url \0\0\0\1"
    name = b"secret.raw\0"
    entry = len(name) + 12
    grown = whole[:place] + entry.to_bytes(4, "big") + b"url \0\0\0\0" + name + whole[place + 12 :]
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        at = grown.index(box) - 4
        size = int.from_bytes(grown[at : at + 4], "big") + entry - 12
        grown = grown[:at] + size.to_bytes(4, "big") + grown[at + 4 :]
    path = tmp_path / "x.mov"
    path.write_bytes(grown)
    try:
        got = read(path)
    except RecordingError:
        return
    assert np.abs(got).max() < 0.5


def test_ffmpeg_says_nothing_on_stderr(tmp_path):
    whole = encoded("adts", "aac", 16000)
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 2000] = bytes(2000)
    (tmp_path / "x.aac").write_bytes(damaged)
    (tmp_path / "x.m4a").write_bytes(encoded("ipod", "aac", 16000)[:3000])
    program = (
        "import sys; from speakerid.audio import load_samples\n"
        "for path in sys.argv[1:]:\n"
        "    try: load_samples(path, sample_rate=16000)\n"
        "    except Exception as error: print(type(error).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "x.aac", tmp_path / "x.m4a"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["RecordingError", "RecordingError"]
    assert done.stderr == ""


def test_a_codec_that_nobody_knows(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(16000), 16000)
    content = bytearray(path.read_bytes())
    content[20:22] = b"\x34\x12"
    path.write_bytes(content)
    assert "looks like wav but cannot be decoded" in refused(path, "unreadable")


@pytest.mark.parametrize(("container", "codec"), [("ipod", "aac"), ("webm", "libopus"), ("amr", "libopencore_amrnb")])
def test_damaged_bytes_end_in_one_line_or_in_samples(tmp_path, container, codec, capfd):
    rng = np.random.default_rng(11)
    whole = encoded(container, codec, 8000 if container == "amr" else 48000)
    path = tmp_path / "x"
    refusals = []
    for _ in range(60):
        content = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(0, rng.choice([64, 600, len(content)]), 8)
        content[places] = rng.choice(np.array([0, 127, 128, 255, *rng.integers(0, 256, 4)], np.uint8), 8)
        path.write_bytes(content.tobytes())
        try:
            assert np.isfinite(read(path)).all()
        except RecordingError as error:
            refusals.append(str(error))
    assert refusals
    assert not [message for message in refusals if "\n" in message or not message.startswith(str(path))]
    assert capfd.readouterr().err == ""


def test_every_cut_of_an_m4a_ends_in_one_line(tmp_path):
    whole = encoded("ipod", "aac", 16000, options={"movflags": "faststart"})
    path = tmp_path / "x.m4a"
    for size in np.linspace(8, len(whole) - 200, 40).astype(int):
        path.write_bytes(whole[:size])
        with pytest.raises(RecordingError) as caught:
            read(path)
        assert caught.value.reason in ("truncated", "unreadable")
