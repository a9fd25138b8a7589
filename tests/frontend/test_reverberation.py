"""What a room makes of features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from speakerid.audio import parse_degradation
from speakerid.audio.degradations import degrade
from speakerid.config import FrontEndConfig
from speakerid.frontend import StaticFeatures, extract_static, finish
from speakerid.frontend.deltas import append_deltas
from speakerid.frontend.environment import mel_basis
from speakerid.frontend.reverberation import in_a_room

ROOT = Path(__file__).parents[2]
RATE = 16000
CONFIG = FrontEndConfig()
BASIS = mel_basis(CONFIG)
VOICE = sf.read(ROOT / "data" / "sample" / "test" / "tom-1.flac", dtype="float32")[0]


def features(samples: NDArray[Any]) -> StaticFeatures:
    return extract_static([samples], CONFIG)


def energies(frames: NDArray[Any]) -> NDArray[Any]:
    assert BASIS is not None
    return np.asarray(np.exp(frames[:, : CONFIG.n_static].astype(np.float64) @ BASIS.back) - BASIS.floor)


def vowel(begins: int = 20, ends: int = 60, n: int = 100) -> NDArray[np.float32]:
    """Features of a sound that begins and ends in silence."""
    assert BASIS is not None
    mel = np.full((n, CONFIG.mel_bands), BASIS.floor)
    mel[begins:ends] += 1.0
    return append_deltas((np.log(mel) @ BASIS.forth).astype(np.float32), CONFIG.deltas, CONFIG.delta_window)


def test_what_ends_dies_away_by_60_decibels_in_the_time() -> None:
    heard = energies(in_a_room(vowel(), CONFIG))[60:75].sum(axis=1)
    np.testing.assert_allclose(np.diff(10 * np.log10(heard)), -60 * 0.010 / 0.5, rtol=0, atol=0.05)


def test_reflections_are_3_decibels_below_the_voice() -> None:
    heard = energies(in_a_room(vowel(), CONFIG)).sum(axis=1)
    reflections, voice = heard[60], heard[59] - heard[60]
    assert 10 * np.log10(reflections / voice) == pytest.approx(-3.0, abs=0.1)


def test_what_was_before_stays_silent() -> None:
    assert BASIS is not None
    assert np.abs(energies(in_a_room(vowel(), CONFIG))[:20]).max() < 0.05 * BASIS.floor


def test_it_is_nearer_to_a_room_than_what_was_said_in_it() -> None:
    close = features(VOICE)
    copy = in_a_room(finish(close, CONFIG).values, CONFIG)[:, : CONFIG.n_static]
    nearer = []
    for seed in range(6):
        for text in ("reverb", "room"):
            heard = features(degrade(VOICE, RATE, parse_degradation(text), seed=seed, key="tom")).cepstra
            pairs = zip((copy, close.cepstra), (heard, heard), strict=True)
            far = [np.abs(a - b)[close.speech].mean() for a, b in pairs]
            nearer.append(far[0] < far[1])
    assert np.mean(nearer) >= 0.75


def test_the_loud_frames_stay_as_loud() -> None:
    frames = finish(features(VOICE), CONFIG).speech_values
    before, after = (np.percentile(energies(each).sum(axis=1), 95) for each in (frames, in_a_room(frames, CONFIG)))
    assert after == pytest.approx(before, rel=0.02)


def test_the_copy_of_a_recording_is_always_the_same() -> None:
    frames = finish(features(VOICE), CONFIG).speech_values
    one, other = in_a_room(frames, CONFIG), in_a_room(frames.copy(), CONFIG)
    assert one.dtype == np.float32
    assert one.shape == frames.shape
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_frames_are_enough(n: int) -> None:
    frames = finish(features(VOICE), CONFIG).speech_values[:n]
    assert np.isfinite(in_a_room(frames, CONFIG)).all()


def test_features_that_do_not_show_the_spectrum_are_refused() -> None:
    config = FrontEndConfig(c0="drop")
    frames = np.zeros((10, config.n_features), dtype=np.float32)
    with pytest.raises(ValueError, match="do not show the spectrum"):
        in_a_room(frames, config)
