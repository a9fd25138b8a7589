"""Noise and band of a recording, taken back from its features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from speakerid.audio import parse_degradation
from speakerid.audio.degradations import degrade
from speakerid.config import FrontEndConfig
from speakerid.frontend import StaticFeatures, extract_static, finish
from speakerid.frontend.environment import (
    Environment,
    disturbance,
    environment_of,
    environment_of_speaker,
    mel_basis,
    typical_environment,
)

ROOT = Path(__file__).parents[2]
RATE = 16000
CONFIG = FrontEndConfig()
VOICE = sf.read(ROOT / "data" / "sample" / "test" / "tom-1.flac", dtype="float32")[0]


def environment(text: str | None = None, *, gain: float = 1.0) -> Environment:
    samples = VOICE
    if text is not None:
        samples = degrade(samples, RATE, parse_degradation(text), seed=1, key="tom")
    found = environment_of(extract_static([np.float32(gain) * samples], CONFIG), CONFIG)
    assert found is not None
    return found


def test_more_noise_is_heard_as_more_by_as_many_decibels() -> None:
    heard = [np.array(environment(f"noise:{snr}:white").noise)[4:].mean() for snr in (25, 20, 15, 10)]
    assert np.diff(heard) == pytest.approx(5.0, abs=1.5)


def test_white_noise_has_the_spectrum_that_it_has() -> None:
    # all of it is noise: what its quietest frames say of its mean is its mean
    basis = mel_basis(CONFIG)
    assert basis is not None
    noise = np.random.default_rng(2).standard_normal(5 * RATE).astype(np.float32) / 10
    quiet = FrontEndConfig(speech_activity="none")
    found = environment_of(extract_static([noise], quiet), quiet)
    assert found is not None
    np.testing.assert_allclose(found.noise[8:], np.array(found.level)[8:], rtol=0, atol=2.0)


def test_the_gain_of_a_microphone_is_no_environment() -> None:
    loud, soft = environment(), environment(gain=0.5)
    np.testing.assert_allclose(loud.noise, soft.noise, rtol=0, atol=1.5)
    np.testing.assert_allclose(loud.level, soft.level, rtol=0, atol=1.5)


def test_a_recording_like_those_enrolled_is_not_disturbed() -> None:
    assert disturbance(environment(), environment(), CONFIG) is None


def test_what_the_noise_adds_is_told() -> None:
    found = disturbance(environment("noise:10:white"), environment(), CONFIG)
    assert found is not None
    assert (found.noise > 0).mean() > 0.7
    assert not found.missing.any()
    assert found.gain == 0.0
    less = disturbance(environment("noise:20:white"), environment(), CONFIG)
    assert less is not None
    assert 10 * np.log10(found.noise.sum() / less.noise.sum()) == pytest.approx(10, abs=2.5)


def test_the_band_of_a_telephone_is_told() -> None:
    basis = mel_basis(CONFIG)
    assert basis is not None
    found = disturbance(environment("telephone"), environment(), CONFIG)
    assert found is not None
    missing = basis.centres_hz[found.missing]
    there = basis.centres_hz[~found.missing]
    assert there.min() < 400
    assert 3000 < there.max() < 4100
    assert (missing < 300).any()
    assert (missing > 4100).sum() == (basis.centres_hz > 4100).sum()


def test_of_a_store_that_is_narrow_itself_no_band_is_missing() -> None:
    narrow = environment("telephone")
    assert narrow.narrow
    found = disturbance(narrow, narrow, CONFIG)
    assert found is None or not found.missing.any()


@pytest.mark.parametrize("level", [0.0, 3e-5])
def test_what_a_program_put_around_noise_is_no_quiet(level: float) -> None:
    noisy = degrade(VOICE, RATE, parse_degradation("noise:10:white"), seed=1, key="tom")
    silence = np.random.default_rng(4).normal(0, level, RATE).astype(np.float32)
    padded = environment_of(extract_static([np.concatenate([silence, noisy, silence])], CONFIG), CONFIG)
    assert padded is not None
    np.testing.assert_allclose(padded.noise, environment("noise:10:white").noise, rtol=0, atol=1.5)


def test_of_hours_a_part_is_looked_at() -> None:
    static = extract_static([VOICE], CONFIG)
    often = StaticFeatures(np.tile(static.cepstra, (50, 1)), np.tile(static.speech, 50))
    assert len(often) > 10_000
    hours, once = environment_of(often, CONFIG), environment_of(static, CONFIG)
    assert hours is not None
    assert once is not None
    np.testing.assert_allclose(hours.noise, once.noise, rtol=0, atol=1.0)


def test_a_speaker_is_as_noisy_as_seconds_of_the_recordings_are() -> None:
    frames = finish(extract_static([VOICE], CONFIG), CONFIG).speech_values
    whole, noise = environment_of_speaker([frames], CONFIG), np.array(environment().noise)
    assert whole is not None
    assert (np.array(whole.noise) >= noise).mean() > 0.9
    twice = environment_of_speaker([frames, frames], CONFIG)
    assert twice is not None
    assert twice.noise == pytest.approx(whole.noise, abs=1.0)


def test_the_typical_environment_does_not_depend_on_the_order() -> None:
    rng = np.random.default_rng(5)
    some = [Environment(tuple(rng.normal(size=36).round(2)), tuple(rng.normal(size=36).round(2))) for _ in range(7)]
    assert len({typical_environment(rng.permutation(np.array(some, dtype=object)).tolist()) for _ in range(50)}) == 1


def test_the_typical_environment_is_one_of_most() -> None:
    quiet, loud = environment(), environment("noise:5:white")
    typical = typical_environment([quiet, quiet, quiet, quiet, loud])
    assert typical.noise == quiet.noise
    assert not typical.narrow


@pytest.mark.parametrize(
    "options",
    [
        {"c0": "mean_removed"},
        {"c0": "drop"},
        {"level_range_db": 0.0},
        {"normalisation": "mean"},
        {"cepstra": 13},
        {"lifter": 2},
    ],
    ids=str,
)
def test_features_that_do_not_show_it_have_none(options: dict[str, object]) -> None:
    config = FrontEndConfig(**options)  # type: ignore[arg-type]
    assert mel_basis(config) is None
    assert environment_of(extract_static([VOICE], config), config) is None
