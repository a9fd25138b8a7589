"""Noise and band of a recording, taken back from its features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from speakerid.audio import parse_degradation
from speakerid.audio.degradations import degrade
from speakerid.config import FrontEndConfig
from speakerid.frontend import extract_features
from speakerid.frontend.environment import (
    Environment,
    disturbance,
    environment_of,
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
    found = environment_of(extract_features(gain * samples, CONFIG).speech_values, CONFIG)
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
    found = environment_of(extract_features(noise, quiet).speech_values, quiet)
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
    assert found.noise_db - less.noise_db == pytest.approx(10, abs=2.5)


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


def test_the_typical_environment_is_one_of_most() -> None:
    quiet, loud = environment(), environment("noise:5:white")
    typical = typical_environment([quiet, quiet, quiet, quiet, loud])
    assert typical.noise == quiet.noise
    assert not typical.narrow


@pytest.mark.parametrize(
    "options",
    [{"c0": "mean_removed"}, {"c0": "drop"}, {"level_range_db": 0.0}, {"normalisation": "mean"}, {"cepstra": 13}],
    ids=str,
)
def test_features_that_do_not_show_it_have_none(options: dict[str, object]) -> None:
    config = FrontEndConfig(**options)  # type: ignore[arg-type]
    assert mel_basis(config) is None
    assert environment_of(extract_features(VOICE, config).speech_values, config) is None
