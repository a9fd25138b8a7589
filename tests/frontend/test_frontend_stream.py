"""Features piece by piece: the same whatever comes at a time, and those of the neighbourhood as a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerid.config import FrontEndConfig
from speakerid.frontend import finish
from speakerid.frontend.activity import ActivityMeasures, silence_ratios
from speakerid.frontend.extract import extract_static
from speakerid.frontend.stream import FeatureStream, Piece
from speakerid.parallel import one_blas_thread

CONFIG = FrontEndConfig()


@pytest.fixture(scope="module")
def talk(sample: Path) -> np.ndarray:
    samples, rate = sf.read(sample / "conversation.flac", dtype="float32")
    assert rate == CONFIG.sample_rate
    return np.asarray(samples)


def streamed(samples: np.ndarray, sizes: list[int], config: FrontEndConfig = CONFIG, **options: Any) -> list[Piece]:
    """Pieces of samples that come in blocks of these sizes, the last one again and again."""
    with one_blas_thread():
        stream = FeatureStream(config, **options)
        pieces, start = [], 0
        for size in sizes:
            pieces += stream.push(samples[start : start + size])
            start += size
        while start < len(samples):
            pieces += stream.push(samples[start : start + sizes[-1]])
            start += sizes[-1]
        return [*pieces, *stream.finish()]


def same(first: list[Piece], second: list[Piece]) -> bool:
    return len(first) == len(second) and all(
        a.first == b.first
        and np.array_equal(a.values, b.values)
        and np.array_equal(a.speech, b.speech)
        and np.array_equal(a.silence, b.silence)
        for a, b in zip(first, second, strict=True)
    )


@settings(max_examples=15)
@given(st.lists(st.integers(1, 70_000), min_size=1, max_size=6).filter(lambda sizes: sizes[-1] > 200))
def test_pieces_do_not_depend_on_how_samples_come(talk: np.ndarray, sizes: list[int]) -> None:
    assert same(streamed(talk[:150_001], sizes), streamed(talk[:150_001], [150_001]))


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.03, 0.5, 1.0, 1.5])
def test_a_short_recording_has_the_features_of_identify(talk: np.ndarray, seconds: float) -> None:
    samples = talk[: round(16000 * seconds)]
    with one_blas_thread():
        whole = finish(extract_static([samples], CONFIG), CONFIG)
    pieces = streamed(samples, [max(len(samples), 1)])
    assert sum(map(len, pieces)) == len(whole)
    if pieces:
        np.testing.assert_allclose(np.concatenate([piece.values for piece in pieces]), whole.values, atol=1e-3)
        assert np.array_equal(np.concatenate([piece.speech for piece in pieces]), whole.speech)


def test_a_piece_knows_its_neighbourhood_alone(talk: np.ndarray) -> None:
    """Samples further away than the context change nothing but what silence is measured against."""
    other = np.concatenate([talk[160_000:320_000][::-1], talk[:160_000], talk[::-1]])
    inside = streamed(other, [16_000])[14]  # 4 s after the beginning of the part that both have, 6 s before its end
    alone = streamed(talk[:160_000], [16_000])[4]
    # chunks of the transform begin elsewhere: equal but for the last bits
    np.testing.assert_allclose(inside.values, alone.values, atol=2e-3)
    assert np.array_equal(inside.speech, alone.speech)


def test_a_level_belongs_to_its_seconds(talk: np.ndarray) -> None:
    """A quiet voice after a loud one has the features that it has alone: the whole recording would sink it."""
    quiet = np.concatenate([talk[:160_000], talk[:160_000] * np.float32(0.03)])
    pieces = streamed(quiet, [16_000])
    assert np.abs(pieces[14].values - pieces[4].values).max() < 0.35
    assert pieces[14].speech.all()


def test_frames_are_all_there_once_and_in_order(talk: np.ndarray) -> None:
    for piece, before, after in ((100, 2.0, 2.0), (30, 0.0, 0.0), (250, 0.0, 0.7), (1, 0.5, 0.1)):
        pieces = streamed(talk, [16_000], piece_frames=piece, before_seconds=before, after_seconds=after)
        assert [each.first for each in pieces] == list(np.cumsum([0, *map(len, pieces)])[:-1])
        assert pieces[-1].first + len(pieces[-1]) == 1 + (len(talk) - 400) // 160


def test_memory_is_that_of_a_piece_and_its_context(talk: np.ndarray) -> None:
    stream = FeatureStream(CONFIG)
    largest = 0
    for _ in range(4):
        for start in range(0, len(talk), 16_000):
            list(stream.push(talk[start : start + 16_000]))
            assert stream._frames is not None
            largest = max(largest, len(stream._frames))
    assert largest <= 300 + 100 + 50 + 100 + 32
    assert len(stream._levels) == 700


@pytest.mark.parametrize(
    "config",
    [
        FrontEndConfig(engine="librosa"),
        FrontEndConfig(normalisation="mean_variance", c0="keep"),
        FrontEndConfig(dynamic_range_db=60.0, log="decibel"),
        FrontEndConfig(speech_activity="energy"),
        FrontEndConfig(speech_activity="none", deltas=2),
        FrontEndConfig(sample_rate=8000, mel_bands=24, mel_low_hz=250.0, mel_high_hz=3400.0, centred=True),
    ],
    ids=["librosa", "normalised", "dynamic-range", "energy", "none", "telephone"],
)
def test_other_front_ends_stream_too(talk: np.ndarray, config: FrontEndConfig) -> None:
    samples = talk[: round(1.5 * config.sample_rate)]
    with one_blas_thread():
        whole = finish(extract_static([samples], config), config)
    pieces = streamed(samples, [1000], config)
    values = np.concatenate([piece.values for piece in pieces])
    # librosa rounds elsewhere: the features are the same to its own precision
    np.testing.assert_allclose(values, whole.values, atol=0.02 if config.engine == "librosa" else 5e-3)
    assert same(pieces, streamed(samples, [len(samples)], config))


def measures(level_db: np.ndarray, voicing: np.ndarray) -> ActivityMeasures:
    bands = np.zeros((len(level_db), 4), dtype=np.float32)
    bands[:, 0] = 10 ** (level_db / 10)
    return ActivityMeasures(bands, voicing.astype(np.float32))


def test_silence_is_sure_beyond_speech_and_speech_where_it_is_loud_and_voiced() -> None:
    level = np.where(np.arange(300) < 150, -30.0, -75.0)
    voiced = np.where(np.arange(300) < 150, 0.9, 0.1)
    speech = np.arange(300) < 290
    found = silence_ratios(measures(level, voiced), speech, np.zeros(0), CONFIG)
    assert found[:140].max() < 0
    assert found[210:].min() == 1
    assert found[290:].tolist() == [1.0] * 10
    assert abs(np.flatnonzero(found > 0)[0] - 150) <= 4


def test_steady_noise_is_silence_and_so_is_what_was_quiet_before() -> None:
    level = np.full(300, -40.0) + np.random.default_rng(1).normal(size=300)
    found = silence_ratios(measures(level, np.full(300, 0.2)), np.ones(300, np.bool_), np.zeros(0), CONFIG)
    assert found.min() > 0
    # the same after silence stands out, and voiced it is a voice
    before = np.full(800, -80.0)
    found = silence_ratios(measures(level, np.full(300, 0.8)), np.ones(300, np.bool_), before, CONFIG)
    assert found.max() < 0


def test_digital_silence_is_silence() -> None:
    found = silence_ratios(measures(np.full(9, -200.0), np.zeros(9)), np.zeros(9, np.bool_), np.zeros(0), CONFIG)
    assert found.tolist() == [1.0] * 9
