"""c0 and the microphone's gain, the compact form a store keeps, normalisation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig
from speakerid.frontend import StaticFeatures, extract_features, extract_static, finish

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
HALF_MAX = 65504.0


def voice(name: str) -> NDArray[np.float32]:
    samples, _rate = sf.read(SAMPLE / "test" / name, dtype="float32")
    return np.asarray(samples)


ROBERT = voice("robert-1.flac")


# c0 and gain


@pytest.mark.parametrize("gain_db", [-12.0, -3.3, 6.0, 12.0])
@pytest.mark.parametrize("log", ["natural", "decibel"])
def test_gain_moves_c0_alone_and_level_and_mean_take_it_out(gain_db: float, log: Any) -> None:
    gain = np.float32(10 ** (gain_db / 20))
    options: dict[str, Any] = {"log": log, "log_floor": 1e-30, "speech_activity": "none"}
    kept = FrontEndConfig(c0="keep", deltas=0, **options)
    quiet, loud = extract_features(ROBERT, kept).values, extract_features(ROBERT * gain, kept).values
    # every one of the log energies rises by the gain: c0 = Σ_m log E_m / √M by √M times as much
    rise = np.sqrt(FrontEndConfig().mel_bands) * (gain_db if log == "decibel" else gain_db / 10 * np.log(10.0))
    np.testing.assert_allclose(loud[:, 0] - quiet[:, 0], rise, rtol=0, atol=1e-3)
    np.testing.assert_allclose(loud[:, 1:], quiet[:, 1:], rtol=0, atol=1e-3)

    for c0 in ("mean_removed", "level_removed"):
        removed = FrontEndConfig(c0=c0, deltas=2, **options)
        quiet, loud = extract_features(ROBERT, removed).values, extract_features(ROBERT * gain, removed).values
        np.testing.assert_allclose(loud, quiet, rtol=0, atol=1e-3)


def test_twenty_decibels_quieter_are_the_same_features() -> None:
    loud, quiet = extract_features(ROBERT), extract_features(ROBERT / np.float32(10))
    np.testing.assert_allclose(quiet.values, loud.values, rtol=0, atol=5e-3)


def test_c0_is_relative_to_the_level_of_the_loud_frames() -> None:
    kept = extract_static([ROBERT], FrontEndConfig(c0="keep"))
    removed = extract_static([ROBERT], FrontEndConfig())
    shift = kept.cepstra[:, 0] - removed.cepstra[:, 0]
    np.testing.assert_allclose(shift, shift[0], rtol=0, atol=1e-4)
    frames = np.lib.stride_tricks.sliding_window_view(ROBERT, 400)[::160]
    level = np.percentile(10 * np.log10(2 * np.mean(np.square(frames), axis=1)), 95)
    assert float(shift[0]) == pytest.approx(
        6 * level * np.log(10) / 10, abs=6 * 0.5
    )  # within 2 dB: other bands, a taper


def test_c0_loses_its_mean_over_the_speech_frames() -> None:
    silence = np.random.default_rng(3).normal(0, 1e-5, 16000)
    samples = np.concatenate([silence, ROBERT, silence]).astype(np.float32)
    kept = extract_static([samples], FrontEndConfig(c0="keep"))
    removed = extract_static([samples], FrontEndConfig(c0="mean_removed"))
    np.testing.assert_array_equal(kept.speech, removed.speech)
    assert 0 < kept.n_speech < len(kept) - 100
    assert removed.cepstra[removed.speech, 0].mean(dtype=np.float64) == pytest.approx(0.0, abs=1e-5)
    mean = kept.cepstra[kept.speech, 0].mean(dtype=np.float64)
    np.testing.assert_allclose(removed.cepstra[:, 0], kept.cepstra[:, 0] - mean, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(removed.cepstra[:, 1:], kept.cepstra[:, 1:])


def test_without_speech_c0_loses_its_mean_over_all_frames() -> None:
    noise = np.random.default_rng(4).normal(0, 0.1, 16000).astype(np.float32)
    removed = extract_static([noise], FrontEndConfig(c0="mean_removed"))
    assert removed.n_speech == 0
    assert removed.cepstra[:, 0].mean(dtype=np.float64) == pytest.approx(0.0, abs=1e-5)
    assert removed.cepstra[:, 0].std() > 0.05


def test_dropping_c0_leaves_the_others() -> None:
    kept = extract_static([ROBERT], FrontEndConfig(c0="keep"))
    dropped = extract_static([ROBERT], FrontEndConfig(c0="drop"))
    assert dropped.cepstra.shape == (len(kept), 19)
    np.testing.assert_array_equal(dropped.cepstra, kept.cepstra[:, 1:])


@pytest.mark.parametrize(
    "options",
    [
        {"c0": "mean_removed"},
        {"c0": "mean_removed", "dynamic_range_db": 80.0},
        {"normalisation": "mean", "speech_activity": "none"},
        {"normalisation": "mean_variance", "speech_activity": "none"},
    ],
    ids=str,
)
def test_digital_silence_has_features_of_zero(options: dict[str, Any]) -> None:
    features = extract_features(np.zeros(16000, dtype=np.float32), FrontEndConfig(**options))
    assert features.values.shape == (98, 40)
    np.testing.assert_allclose(features.values, 0.0, atol=1e-3)


# The compact form

FLOATS = st.floats(-(2.0**20), 2.0**20, width=32)
MATRICES = st.tuples(st.integers(0, 20), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(
        arrays.arrays(np.float32, shape, elements=FLOATS), arrays.arrays(np.bool_, shape[:1], elements=st.booleans())
    )
)


@given(MATRICES)
@settings(max_examples=100, deadline=None)
def test_bytes_give_back_the_rounded_features(parts: tuple[NDArray[np.float32], NDArray[np.bool_]]) -> None:
    static = StaticFeatures(*parts)
    n_frames, n_static = static.cepstra.shape
    cepstra, speech = static.to_bytes()
    assert len(cepstra) == 2 * n_frames * n_static
    assert len(speech) == -(-n_frames // 8)
    back = StaticFeatures.from_bytes(cepstra, speech, n_frames, n_static)
    np.testing.assert_array_equal(back.cepstra, static.rounded().cepstra)
    np.testing.assert_array_equal(back.speech, static.speech)
    assert back.cepstra.dtype == np.float32
    assert back.speech.dtype == np.bool_
    again = back.rounded()
    np.testing.assert_array_equal(again.cepstra, back.cepstra)  # rounding twice is rounding once
    assert back.to_bytes() == (cepstra, speech)
    inside = np.clip(static.cepstra, -HALF_MAX, HALF_MAX)
    np.testing.assert_allclose(back.cepstra, inside, rtol=2**-11, atol=2**-25)


def test_the_bytes_are_little_endian_halves_and_eight_frames_a_byte() -> None:
    speech = np.array([1, 0, 0, 0, 0, 0, 0, 1, 1], dtype=np.bool_)
    static = StaticFeatures(np.arange(9, dtype=np.float32)[:, None], speech)
    cepstra, mask = static.to_bytes()
    assert cepstra[:6] == b"\x00\x00\x00\x3c\x00\x40"  # 0, 1, 2
    assert mask == b"\x81\x80"
    assert static.n_speech == 3
    assert len(static) == 9


def test_bytes_of_the_wrong_size_are_refused() -> None:
    cepstra, speech = StaticFeatures(np.ones((9, 3), np.float32), np.ones(9, np.bool_)).to_bytes()
    for wrong in (
        (cepstra[:-1], speech, 9, 3),
        (cepstra + b"\0", speech, 9, 3),
        (cepstra, speech[:-1], 9, 3),
        (cepstra, speech + b"\0", 9, 3),
        (cepstra, speech, 8, 3),
        (cepstra, speech, 9, 4),
        (cepstra, speech, 27, 1),
        (cepstra, speech, -9, -3),
        (b"", b"", -1, 0),
        (b"", b"", 1, 3),
    ):
        with pytest.raises(ValueError, match=r"expected -?\d+ frames of"):
            StaticFeatures.from_bytes(*wrong)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_bytes_that_are_not_finite_are_refused(value: float) -> None:
    cepstra = np.ones((9, 3), dtype="<f2")
    cepstra[4, 1] = value
    with pytest.raises(ValueError, match="not finite"):
        StaticFeatures.from_bytes(cepstra.tobytes(), b"\xff\x80", 9, 3)


# Normalisation


def some_features(**options: Any) -> tuple[StaticFeatures, FrontEndConfig]:
    rng = np.random.default_rng(9)
    static = StaticFeatures(rng.normal(5.0, 3.0, (300, 20)).astype(np.float32), rng.random(300) < 0.6)
    return static, FrontEndConfig(deltas=2, **options)


def test_mean_and_variance_over_the_speech_frames_become_0_and_1() -> None:
    static, config = some_features(normalisation="mean_variance")
    features = finish(static, config)
    assert features.values.dtype == np.float32
    speech = features.values[static.speech].astype(np.float64)
    np.testing.assert_allclose(speech.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(speech.std(axis=0), 1.0, rtol=1e-6)
    assert np.abs(features.values.mean(axis=0)).max() > 1e-3  # over all frames they are something else
    np.testing.assert_array_equal(features.speech_values, features.values[static.speech])
    assert features.speech_seconds == pytest.approx(static.n_speech * 0.01)


def test_mean_normalisation_moves_and_does_not_scale() -> None:
    static, config = some_features(normalisation="mean")
    plain = finish(static, FrontEndConfig(deltas=2)).values
    centred = finish(static, config).values
    mean = plain[static.speech].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(centred, plain - mean, rtol=0, atol=1e-5)


def test_normalisation_without_speech_changes_nothing() -> None:
    static, config = some_features(normalisation="mean_variance")
    silent = StaticFeatures(static.cepstra, np.zeros(300, np.bool_))
    np.testing.assert_array_equal(finish(silent, config).values, finish(silent, FrontEndConfig(deltas=2)).values)


def test_a_feature_that_never_moves_becomes_zero() -> None:
    static, config = some_features(normalisation="mean_variance")
    static.cepstra[:, 3] = 7.0
    values = finish(static, config).values
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values[:, [3, 23, 43]], 0.0)


def test_a_feature_that_moves_by_rounding_alone_is_not_blown_up() -> None:
    static, config = some_features(normalisation="mean_variance")
    last_bit = np.spacing(np.float32(-145.6)) * np.random.default_rng(10).integers(0, 2, 300)
    static.cepstra[:, 3] = np.float32(-145.6) + last_bit.astype(np.float32)
    values = finish(static, config).values
    assert np.abs(values[:, [3, 23, 43]]).max() < 1e-2


def test_finishing_leaves_the_static_features_alone() -> None:
    static, config = some_features(normalisation="mean_variance")
    before = static.cepstra.copy()
    finish(static, config)
    np.testing.assert_array_equal(static.cepstra, before)


def test_features_are_finished_static_features() -> None:
    for options in ({}, {"normalisation": "mean_variance"}, {"c0": "drop", "deltas": 2}):
        config = FrontEndConfig(**options)
        whole = extract_features(ROBERT, config)
        parts = finish(extract_static([ROBERT], config), config)
        np.testing.assert_array_equal(whole.values, parts.values)
        np.testing.assert_array_equal(whole.speech, parts.speech)
        assert whole.values.shape[1] == config.n_features
    np.testing.assert_array_equal(extract_features(ROBERT).values, extract_features(ROBERT, FrontEndConfig()).values)
