"""Samples at a stated rate: resampling, the same whatever the block; hash, peak and clipping on the way."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
from itertools import groupby

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speakerid.audio import Recording, array_stream, load_samples, open_samples
from speakerid.errors import RecordingError, UsageError

NOISE = np.random.default_rng(7).normal(0, 0.2, 48000).astype(np.float32)


def drained(stream):
    with stream:
        return np.concatenate(list(stream))


@pytest.fixture(scope="module")
def flac(tmp_path_factory):
    path = tmp_path_factory.mktemp("samples") / "x.flac"
    soundfile.write(path, NOISE, 44100)
    return path


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100, 48000])
def test_blocks_of_any_length_give_the_same_samples(flac, sample_rate):
    whole = load_samples(str(flac), sample_rate=sample_rate)
    assert len(whole) == pytest.approx(len(NOISE) * sample_rate / 44100, abs=1)
    for block_seconds in (0.001, 0.1, 1.0, 10.0):
        got = drained(open_samples(str(flac), sample_rate=sample_rate, block_seconds=block_seconds))
        np.testing.assert_array_equal(got, whole)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 5000),
    rate=st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000]),
    sample_rate=st.sampled_from([8000, 16000]),
    block_seconds=st.floats(1e-4, 1.0),
)
def test_array_streams_do_not_depend_on_the_block(seed, size, rate, sample_rate, block_seconds):
    rng = np.random.default_rng(seed)
    samples = np.clip(rng.normal(0, 0.8, size), -1, 1).astype(np.float32)
    streams = [
        array_stream(samples, rate, sample_rate=sample_rate, block_seconds=seconds, hash_content=True)
        for seconds in (block_seconds, 10.0)
    ]
    one, other = (np.concatenate([*stream, np.empty(0, np.float32)]) for stream in streams)
    np.testing.assert_array_equal(one, other)
    for name in ("seconds", "content_hash", "peak", "clipped_fraction"):
        assert getattr(streams[0], name) == getattr(streams[1], name), name
    if rate == sample_rate:
        np.testing.assert_array_equal(one, samples)


def test_resampling_is_that_of_soxr_and_keeps_time_and_level(flac):
    rate = 44100
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)).astype(np.float32)
    got = drained(array_stream(tone, rate, sample_rate=16000))
    np.testing.assert_array_equal(got, soxr.resample(tone, rate, 16000, quality="HQ"))
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(32000) / 16000)
    np.testing.assert_allclose(got[500:-500], expected[500:-500], atol=1e-4)


def test_what_is_known_after_reading(flac):
    with open_samples(str(flac), sample_rate=16000, hash_content=True) as stream:
        assert stream.expected_seconds == pytest.approx(48000 / 44100)
        assert (stream.source_rate, stream.source_channels, stream.sample_rate) == (44100, 1, 16000)
        assert stream.seconds == 0
        list(stream)
        assert stream.seconds == 48000 / 44100
    native = load_samples(str(flac), sample_rate=44100)
    assert stream.peak == np.abs(native).max()
    digest = hashlib.sha256(struct.pack("<Q", 44100) + native.astype("<f4").tobytes()).hexdigest()
    assert stream.content_hash == digest


def test_the_hash_is_that_of_the_samples_not_of_the_file(tmp_path):
    hashes = {}
    for suffix, subtype in (("wav", "PCM_16"), ("flac", "PCM_16"), ("aiff", "PCM_16"), ("caf", "PCM_24")):
        path = tmp_path / f"x.{suffix}"
        soundfile.write(path, (NOISE * 20000).astype(np.int16), 16000, subtype=subtype)
        with open_samples(str(path), sample_rate=8000, hash_content=True) as stream:
            list(stream)
        hashes[suffix] = stream.content_hash
    assert len(set(hashes.values())) == 1
    array = array_stream((NOISE * 20000).astype(np.int16), 16000, sample_rate=16000, hash_content=True)
    list(array)
    assert array.content_hash == hashes["wav"]
    other_rate = array_stream((NOISE * 20000).astype(np.int16), 16001, sample_rate=16000, hash_content=True)
    list(other_rate)
    assert other_rate.content_hash != hashes["wav"]
    assert array_stream(NOISE, 16000, sample_rate=16000).content_hash is None


def clipped_by_definition(samples: np.ndarray) -> float:
    runs = (len(list(run)) for full, run in groupby(np.abs(samples) >= 0.999) if full)
    return sum(length for length in runs if length >= 3) / len(samples)


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, -1.0, 0.9991]), min_size=1, max_size=80),
    st.integers(1, 90),
)
def test_clipping_is_counted_across_blocks(values, block):
    samples = np.array(values, dtype=np.float32)
    stream = array_stream(samples, 8000, sample_rate=8000, block_seconds=block / 8000)
    list(stream)
    assert stream.clipped_fraction == pytest.approx(clipped_by_definition(samples))


def test_a_loud_recording_that_is_not_clipped():
    wave = np.sin(np.arange(16000) * 2.5).astype(np.float32)  # peaks at full scale, one sample at a time
    stream = array_stream(wave, 16000, sample_rate=16000)
    list(stream)
    assert stream.peak > 0.999
    assert stream.clipped_fraction == 0
    stream = array_stream(np.clip(3 * np.sin(np.arange(16000) / 20), -1, 1), 16000, sample_rate=16000)
    list(stream)
    assert stream.clipped_fraction == pytest.approx(1 - 2 * np.arcsin(1 / 3) / np.pi, abs=0.01)


def test_a_recording_with_its_stretch(flac):
    whole = load_samples(str(flac), sample_rate=44100)
    got = load_samples(Recording(str(flac), start=0.25, end=0.75), sample_rate=44100)
    np.testing.assert_array_equal(got, whole[11025:33075])
    with open_samples(Recording(str(flac), start=0.25, end=0.75), sample_rate=16000) as stream:
        assert stream.expected_seconds == pytest.approx(0.5)
        assert len(np.concatenate(list(stream))) == 8000


def test_a_file_that_fails_at_its_end_fails_here_too(tmp_path, flac):
    cut = tmp_path / "cut.flac"
    cut.write_bytes(flac.read_bytes()[:-300])
    for sample_rate in (44100, 16000):
        with pytest.raises(RecordingError) as caught:
            load_samples(str(cut), sample_rate=sample_rate)
        assert caught.value.reason == "truncated"


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([0, 16384, -32768], np.int16), [0, 0.5, -1]),
        (np.array([0, 2**30, -(2**31)], np.int32), [0, 0.5, -1]),
        (np.array([128, 192, 0], np.uint8), [0, 0.5, -1]),
        (np.array([0, 64, -128], np.int8), [0, 0.5, -1]),
        (np.array([0, 0.5, -1.0]), [0, 0.5, -1]),
        ([0.0, 0.5, -1.0], [0, 0.5, -1]),
    ],
)
def test_arrays_are_scaled_from_their_own_full_scale(samples, expected):
    got = drained(array_stream(samples, 16000, sample_rate=16000))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.array(expected, np.float32))


def test_arrays_are_not_changed():
    samples = NOISE.copy()
    for block in array_stream(samples, 16000, sample_rate=16000):
        block[:] = 0
    np.testing.assert_array_equal(samples, NOISE)


def test_arrays_that_are_no_recording():
    for wrong in (np.zeros((2, 100)), np.zeros(5, np.int64), np.zeros(5, complex), np.array(["a"])):
        with pytest.raises(UsageError):
            array_stream(wrong, 16000, sample_rate=16000)
    for rate in (0, 100, 10**6):
        with pytest.raises(UsageError, match="rate"):
            array_stream(NOISE, rate, sample_rate=16000)
    with pytest.raises(RecordingError) as caught:
        array_stream(np.zeros(0), 16000, sample_rate=16000)
    assert caught.value.reason == "empty"
    for value in (np.nan, np.inf, 1e300):
        with pytest.raises(RecordingError, match="sample 3 ") as caught:
            list(array_stream([0.0, 0.1, 0.2, value], 16000, sample_rate=16000, block_seconds=2 / 16000))
        assert caught.value.reason == "unreadable"


def test_wrong_requests_leave_no_file_open(flac):
    with pytest.raises(UsageError, match="sample rate"):
        open_samples(str(flac), sample_rate=0)
    with pytest.raises(UsageError, match="blocks"):
        open_samples(str(flac), sample_rate=16000, block_seconds=0)


def test_long_files_are_read_in_blocks(tmp_path):
    """The memory that a recording takes does not grow with its length."""
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros((96000 * 60, 2), dtype=np.int16), 96000)  # 46 MB as float32
    program = (
        "import resource, sys, numpy, soundfile, soxr\n"
        "from speakerid.audio import open_samples\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "with open_samples(sys.argv[1], sample_rate=16000, block_seconds=1.0) as stream:\n"
        "    assert sum(map(len, stream)) == 16000 * 60\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 16 << 20


def test_importing_the_room_imports_no_numpy():
    program = (
        "import sys, speakerid.audio\n"
        "from speakerid.audio import Recording, discover_speakers, read_manifest\n"
        "heavy = {'numpy', 'soundfile', 'soxr', 'av'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert set(speakerid.audio.__all__) == set(dir(speakerid.audio))\n"
        "for name in speakerid.audio.__all__: getattr(speakerid.audio, name)\n"
        "assert 'av' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    import speakerid.audio

    with pytest.raises(AttributeError, match="nonsense"):
        _ = speakerid.audio.nonsense
