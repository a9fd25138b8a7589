"""What pictures need of a recording: extremes, powers and a copy, whatever the blocks."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from speakerid.audio import Recording, array_stream
from speakerid.errors import RecordingError
from speakerid.workflows import timeline_audio
from speakerid.workflows.timeline_audio import SAMPLE_RATE, page_coding, summarise_audio


def stream(samples: np.ndarray, rate: int = SAMPLE_RATE, block_seconds: float = 10.0) -> Any:
    return array_stream(samples, rate, sample_rate=SAMPLE_RATE, block_seconds=block_seconds)


def noise(seconds: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 6400, 6401, 100_003])
def test_the_envelope_is_the_extremes_of_its_columns(n: int) -> None:
    samples = noise(n / SAMPLE_RATE)
    found = summarise_audio(stream(samples), columns=20)
    step = round(found.column_seconds * SAMPLE_RATE)
    assert len(found.envelope) == -(-n // step) <= 20
    assert len(found.envelope) >= 10 or step == 64
    pieces = [samples[start : start + step] for start in range(0, n, step)]
    np.testing.assert_array_equal(found.envelope, [[piece.min(), piece.max()] for piece in pieces])
    assert found.duration_seconds == n / SAMPLE_RATE


@pytest.mark.parametrize("block_seconds", [0.013, 0.7])
def test_blocks_do_not_matter(block_seconds: float) -> None:
    samples = noise(70.3)
    whole = summarise_audio(stream(samples, block_seconds=100), columns=400, spectrogram=True)
    pieces = summarise_audio(stream(samples, block_seconds=block_seconds), columns=400, spectrogram=True)
    np.testing.assert_array_equal(whole.envelope, pieces.envelope)
    np.testing.assert_array_equal(whole.spectrogram, pieces.spectrogram)


def test_a_tone_is_in_its_band_at_its_time_with_its_power() -> None:
    samples = np.zeros(3 * SAMPLE_RATE, np.float32)
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    samples[SAMPLE_RATE : 2 * SAMPLE_RATE] = 0.5 * np.sin(2 * np.pi * 1500 * t)
    found = summarise_audio(stream(samples), spectrogram=True)
    assert found.spectrogram is not None
    bands, n = found.spectrogram.shape
    times = (np.arange(n) + 0.5) * found.spectrum_seconds
    inside, outside = (times > 1.05) & (times < 1.95), (times < 0.95) | (times > 2.05)
    assert n == 375
    assert set(found.spectrogram[:, inside].argmax(axis=0)) == {1500 * bands // round(found.highest_hz)}
    assert found.spectrogram[:, inside].max() == pytest.approx(20 * np.log10(0.5), abs=0.3)
    assert found.spectrogram[:, outside].max() < -100


def test_a_recording_of_a_telephone_has_no_upper_bands() -> None:
    found = summarise_audio(stream(noise(1.0), 8000), spectrogram=True)
    assert found.spectrogram is not None
    assert (found.highest_hz, len(found.spectrogram)) == (4000.0, 64)


def test_a_spectrogram_has_only_so_many_columns() -> None:
    found = summarise_audio(stream(noise(100.0)), spectrogram=True)
    assert found.spectrogram is not None
    assert 2000 <= found.spectrogram.shape[1] <= 4000
    assert found.spectrogram.shape[1] * found.spectrum_seconds == pytest.approx(100, abs=found.spectrum_seconds)


def test_the_copy_has_a_constant_rate_and_the_length_of_the_recording(tmp_path: Path) -> None:
    samples = 0.3 * np.sin(2 * np.pi * 440 * np.arange(20 * SAMPLE_RATE) / SAMPLE_RATE)
    assert page_coding().media_type == "audio/mpeg"
    summarise_audio(stream(samples), copy_to=tmp_path / "copy")
    copy, rate = sf.read(tmp_path / "copy")
    assert (rate, len(copy)) == (SAMPLE_RATE, len(samples))
    assert np.corrcoef(copy[1000:-1000], samples[1000:-1000])[0, 1] > 0.99  # no delay
    assert (tmp_path / "copy").stat().st_size == pytest.approx(20 * 40_000 / 8, rel=0.02)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SoundFile", type("Old", (), {"__init__": lambda self, file, mode="r": None})),
        ("available_subtypes", lambda kind: {}),
    ],
)
def test_flac_is_written_where_mp3_cannot_be_and_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(sf, name, value)
    coding = page_coding()
    assert (coding.name, coding.media_type) == ("FLAC", "audio/flac")
    assert coding.note is not None
    assert "FLAC" in coding.note


def test_a_copy_as_flac_is_the_recording(tmp_path: Path) -> None:
    samples = noise(2.0)
    coding = timeline_audio._flac("so")
    summarise_audio(stream(samples), copy_to=tmp_path / "copy", coding=coding)
    copy, _ = sf.read(tmp_path / "copy", dtype="float32")
    np.testing.assert_allclose(copy, samples, atol=1 / 32768)


def test_stretches_channels_and_files_are_read_as_asked(tmp_path: Path) -> None:
    left, right = noise(3.0, 1), noise(3.0, 2) / 4
    sf.write(tmp_path / "a.wav", np.stack((left, right), axis=1), SAMPLE_RATE, subtype="FLOAT")
    found = summarise_audio(Recording(str(tmp_path / "a.wav"), start=1.0, end=2.5), channel=2)
    assert found.duration_seconds == 1.5
    assert found.envelope[:, 1].max() == right[SAMPLE_RATE : round(2.5 * SAMPLE_RATE)].max()
    with pytest.raises(RecordingError):
        summarise_audio(tmp_path / "missing.wav")


def test_a_stream_of_another_rate_and_odd_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="open it at 16000 Hz"):
        summarise_audio(array_stream(noise(0.1), 8000, sample_rate=8000))
    with pytest.raises(ValueError, match="must be even"):
        summarise_audio(stream(noise(0.1)), columns=7)


class _Endless:
    """A source of any length that takes no room."""

    rate, channels, expected_frames, peak = SAMPLE_RATE, 1, None, 0.5

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def blocks(self, block_frames: int) -> Iterator[np.ndarray]:
        block = noise(1.0)
        for _ in range(self._seconds):
            yield block

    def close(self) -> None:
        pass


def test_memory_does_not_grow_with_the_recording() -> None:
    def most(seconds: int) -> int:
        source = _Endless(seconds)
        samples = timeline_audio.SampleStream(source, sample_rate=SAMPLE_RATE, block_seconds=10, hash_content=False)
        tracemalloc.start()
        summarise_audio(samples, spectrogram=True)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    most(2)  # imports
    assert most(600) < most(60) + 500_000
