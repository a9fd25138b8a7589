"""Where frames lie, and that blocks of any size give the same features to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig
from speakerid.frontend import extract_features, extract_static
from speakerid.frontend.framing import count_frames, frame_times
from speakerid.frontend.spectrum import CHUNK_FRAMES

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
GRIDS: list[dict[str, Any]] = [
    {},
    {"centred": True},
    {"frame_length_ms": 20.0, "frame_shift_ms": 20.0},
    {"frame_length_ms": 32.0, "frame_shift_ms": 7.0, "centred": True},
    {"fft_size": 401, "centred": True},
    {"fft_size": 1000},
    {"fft_size": 1000, "centred": True},
    {"sample_rate": 8000},
]


def by_hand(n_samples: int, config: FrontEndConfig) -> int:
    """Lay frame after frame on the samples until one sticks out."""
    if n_samples == 0:
        return 0
    around = config.transform_size // 2 if config.centred else 0
    width = config.transform_size if config.centred else config.frame_length
    n_frames = 0
    while n_frames * config.frame_shift - around + width <= n_samples + around:
        n_frames += 1
    return n_frames


# Counting


@pytest.mark.parametrize("options", GRIDS, ids=str)
def test_frames_are_counted_as_by_hand(options: dict[str, Any]) -> None:
    config = FrontEndConfig(**options)
    for n_samples in [*range(5), *range(150, 165), *range(390, 575), 999, 1000, 1001, 16000, 16001, 80159, 80160]:
        assert count_frames(n_samples, config) == by_hand(n_samples, config), n_samples


def test_the_edges_of_the_first_frames() -> None:
    config = FrontEndConfig()  # 400 samples every 160
    edges = {0: 0, 1: 0, 399: 0, 400: 1, 559: 1, 560: 2, 719: 2, 720: 3, 16000: 98}
    assert {n: count_frames(n, config) for n in edges} == edges
    centred = FrontEndConfig(centred=True)
    edges = {0: 0, 1: 1, 159: 1, 160: 2, 319: 2, 320: 3, 16000: 101}
    assert {n: count_frames(n, centred) for n in edges} == edges


@pytest.mark.parametrize("options", GRIDS, ids=str)
@pytest.mark.parametrize("n_samples", [0, 1, 159, 160, 399, 400, 401, 512, 559, 560, 1001, 30000])
def test_as_many_features_as_counted_frames(options: dict[str, Any], n_samples: int) -> None:
    config = FrontEndConfig(**options)
    samples = np.random.default_rng(1).normal(0, 0.1, n_samples).astype(np.float32)
    features = extract_features(samples, config)
    n_frames = by_hand(n_samples, config)
    assert features.values.shape == (n_frames, 40)
    assert features.times.shape == features.speech.shape == (n_frames,)
    assert features.values.dtype == np.float32
    assert features.speech.dtype == np.bool_
    assert np.isfinite(features.values).all()
    assert len(features) == n_frames


# Times


def test_times_are_the_centres_of_the_frames() -> None:
    np.testing.assert_allclose(frame_times(3, FrontEndConfig()), [0.0125, 0.0225, 0.0325], rtol=1e-12)
    np.testing.assert_allclose(frame_times(3, FrontEndConfig(centred=True)), [0.0, 0.01, 0.02], rtol=1e-12)
    # 22,050 Hz: 10 ms round to 220 samples, and the clock follows the samples
    times = frame_times(1001, FrontEndConfig(sample_rate=22050))
    assert times[1000] == pytest.approx((1000 * 220 + 551 / 2) / 22050, rel=1e-12)
    assert frame_times(0, FrontEndConfig()).shape == (0,)


@pytest.mark.parametrize("options", GRIDS, ids=str)
def test_a_click_is_loudest_in_the_frame_whose_time_it_has(options: dict[str, Any]) -> None:
    config = FrontEndConfig(pre_emphasis=0.0, c0="keep", speech_activity="none", window="hann", **options)
    for position in (3010, 7777, 12345):
        samples = np.zeros(20000, dtype=np.float32)
        samples[position] = 1.0
        features = extract_features(samples, config)
        loudest = int(features.values[:, 0].argmax())
        nearest = int(np.abs(features.times - position / config.sample_rate).argmin())
        assert loudest == nearest


def test_the_shift_in_seconds_is_that_of_the_samples() -> None:
    samples = np.zeros(44100, dtype=np.float32)
    features = extract_features(samples, FrontEndConfig(sample_rate=22050))
    assert features.frame_shift == pytest.approx(220 / 22050, rel=1e-12)
    assert np.diff(features.times) == pytest.approx(features.frame_shift)


# Blocks

BLOCK_CONFIGS: list[dict[str, Any]] = [{}, {"centred": True, "dynamic_range_db": 60.0}, {"fft_size": 401, "deltas": 2}]


def a_voice() -> NDArray[np.float32]:
    samples, _rate = sf.read(SAMPLE / "test" / "tom-2.flac", dtype="float32")
    return np.asarray(samples)


VOICE = a_voice()


@pytest.mark.parametrize("options", BLOCK_CONFIGS, ids=str)
@given(cuts=st.lists(st.integers(0, len(VOICE)), max_size=12))
@settings(max_examples=25, deadline=None)
def test_blocks_of_any_size_give_the_same_features_to_the_last_bit(options: dict[str, Any], cuts: list[int]) -> None:
    config = FrontEndConfig(**options)
    whole = extract_static([VOICE], config)
    assert len(whole) > 2 * CHUNK_FRAMES
    parts = extract_static(np.split(VOICE, sorted(cuts)), config)
    np.testing.assert_array_equal(whole.cepstra, parts.cepstra)
    np.testing.assert_array_equal(whole.speech, parts.speech)


@pytest.mark.parametrize("size", [1, 7, 160, 400, 5000])
def test_equal_blocks_give_the_same_features_to_the_last_bit(size: int) -> None:
    samples = VOICE[8000:24000]
    whole = extract_static([samples], FrontEndConfig())
    parts = extract_static((samples[i : i + size] for i in range(0, len(samples), size)), FrontEndConfig())
    np.testing.assert_array_equal(whole.cepstra, parts.cepstra)
    np.testing.assert_array_equal(whole.speech, parts.speech)


def test_a_long_recording_in_blocks() -> None:
    samples = np.tile(VOICE, 12)  # 33 s: more than one pass of every stage
    whole = extract_static([samples], FrontEndConfig())
    parts = extract_static(np.array_split(samples, 50), FrontEndConfig())
    np.testing.assert_array_equal(whole.cepstra, parts.cepstra)
    np.testing.assert_array_equal(whole.speech, parts.speech)


def test_no_blocks_at_all() -> None:
    for config in (FrontEndConfig(), FrontEndConfig(centred=True, dynamic_range_db=80.0)):
        for blocks in ([], [np.zeros(0, dtype=np.float32)]):
            static = extract_static(blocks, config)
            assert static.cepstra.shape == (0, 20)
            assert static.speech.shape == (0,)


def test_frames_do_not_depend_on_what_comes_later() -> None:
    config = FrontEndConfig(c0="keep", speech_activity="none", level_range_db=0)
    whole = extract_static([VOICE], config).cepstra
    n = CHUNK_FRAMES * config.frame_shift * 2 + 240  # whole chunks, so that not even the summation order differs
    first = extract_static([VOICE[:n]], config).cepstra
    np.testing.assert_array_equal(first, whole[: len(first)])


def test_the_samples_are_left_alone() -> None:
    samples = VOICE.copy()
    extract_features(samples, FrontEndConfig(dynamic_range_db=80.0))
    np.testing.assert_array_equal(samples, VOICE)
