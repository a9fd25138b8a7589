"""librosa is the oracle: mel scale, filter bank, cepstra, derivatives, and the engine that goes through it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.signal
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig, load_config
from speakerid.frontend import extract_features, extract_static
from speakerid.frontend.deltas import append_deltas, delta
from speakerid.frontend.mel import cosine_transform, hz_to_mel, mel_filter_bank, mel_to_hz, taper

ROOT = Path(__file__).parents[2]
RATE = 16000

LIKE_LIBROSA = FrontEndConfig(
    pre_emphasis=0,
    frame_length_ms=128,
    frame_shift_ms=32,
    window="hann",
    centred=True,
    mel_bands=128,
    mel_low_hz=0,
    mel_scale="slaney",
    mel_norm="slaney",
    log="decibel",
    log_floor=1e-10,
    dynamic_range_db=80,
    level_range_db=0,
    cepstra=20,
    c0="keep",
    deltas=0,
    speech_activity="none",
)


def voice(name: str) -> NDArray[np.float32]:
    samples, rate = sf.read(ROOT / "data" / "sample" / name, dtype="float32")
    assert rate == RATE
    return np.asarray(samples)


def signals() -> dict[str, NDArray[np.float32]]:
    """Noise, tones, voices; loud and quiet, long and short."""
    rng = np.random.default_rng(20)
    made: dict[str, NDArray[Any]] = {}
    for n in (2048, 16000, 80000):
        for level in (1e-4, 0.01, 0.3):
            made[f"noise of {n} samples at {level}"] = level * rng.standard_normal(n)
    t = np.arange(3 * RATE) / RATE
    tones = 0.3 * np.sin(2 * np.pi * 220 * t) + 0.2 * np.sin(2 * np.pi * 1333.3 * t)
    for level in (1e-4, 1e-2, 0.1):
        made[f"tones and noise at {level}"] = tones + level * rng.standard_normal(len(t))
    made["one tone"] = 0.5 * np.sin(2 * np.pi * 440 * t)
    made["offset and noise"] = 0.5 + 1e-3 * rng.standard_normal(len(t))
    made["burst in silence"] = np.concatenate([np.zeros(RATE), 0.3 * rng.standard_normal(8000), np.zeros(RATE)])
    for name in ("test/alice-1.flac", "test/tom-1.flac", "enroll/Ivan/ivan-enroll-1.flac"):
        made[name] = voice(name)
        made[f"{name} at -40 dB"] = 0.01 * voice(name)
    return {name: samples.astype(np.float32) for name, samples in made.items()}


SIGNALS = signals()


def librosa_mfcc(samples: NDArray[np.float32], **options: Any) -> NDArray[np.float64]:
    """librosa in float64, shape (n_frames, 20)."""
    return np.asarray(librosa.feature.mfcc(y=samples.astype(np.float64), sr=RATE, **options).T)


# Static cepstra


@pytest.mark.parametrize("name", SIGNALS)
def test_static_cepstra_equal_librosas(name: str) -> None:
    ours = extract_static([SIGNALS[name]], LIKE_LIBROSA).cepstra
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, librosa_mfcc(SIGNALS[name]), rtol=0, atol=1e-4)


def test_static_cepstra_of_almost_silence_equal_librosas() -> None:
    for name in ("test/alice-1.flac", "test/tom-1.flac"):
        samples = (1e-3 * SIGNALS[name]).astype(np.float32)
        ours = extract_static([samples], LIKE_LIBROSA).cepstra
        np.testing.assert_allclose(ours, librosa_mfcc(samples), rtol=0, atol=1e-4)


def test_the_librosa_recipe_is_librosas_default() -> None:
    front_end = load_config(ROOT / "configs" / "librosa.toml").front_end
    samples = SIGNALS["test/alice-1.flac"]
    expected = librosa.feature.mfcc(y=samples, sr=RATE).T
    np.testing.assert_allclose(extract_features(samples, front_end).values, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("lifter", [22, 40])
def test_the_lifter_is_librosas(lifter: int) -> None:
    front_end = FrontEndConfig(
        **{name: getattr(LIKE_LIBROSA, name) for name in LIKE_LIBROSA.__slots__ if name != "lifter"}, lifter=lifter
    )
    expected = librosa_mfcc(SIGNALS["test/tom-1.flac"], lifter=lifter)
    ours = extract_static([SIGNALS["test/tom-1.flac"]], front_end).cepstra
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4 * (1 + lifter / 2))  # it multiplies by up to that


def written_out(samples: NDArray[np.float32], front_end: FrontEndConfig) -> NDArray[np.float64]:
    """The definition in float64, frame by frame, with nothing of ours: natural logarithm, frames not centred."""
    x = samples.astype(np.float64)
    y = x - front_end.pre_emphasis * np.concatenate([x[:1], x[:-1]])
    length = round(front_end.sample_rate * front_end.frame_length_ms / 1000)
    shift = round(front_end.sample_rate * front_end.frame_shift_ms / 1000)
    n_fft = front_end.fft_size or 2 ** int(np.ceil(np.log2(length)))
    names = {"povey": None, "rectangular": "boxcar"}
    if front_end.window == "povey":
        window = scipy.signal.get_window("hann", length) ** 0.85
    else:
        window = scipy.signal.get_window(names.get(front_end.window, front_end.window), length)
    filters = librosa.filters.mel(
        sr=front_end.sample_rate,
        n_fft=n_fft,
        n_mels=front_end.mel_bands,
        fmin=front_end.mel_low_hz,
        fmax=front_end.mel_high_hz or None,
        htk=front_end.mel_scale == "htk",
        norm="slaney" if front_end.mel_norm == "slaney" else None,
        dtype=np.float64,
    )
    starts = range(0, len(y) - length + 1, shift)
    power = np.array([np.abs(np.fft.rfft(y[start : start + length] * window, n_fft)) ** 2 for start in starts])
    mel = np.maximum(power @ filters.T, front_end.log_floor)
    if front_end.level_range_db:
        # the level of a frame: its power from 100 Hz to 4 kHz without the pre-emphasis, a full-scale sine being 1
        hz = np.fft.rfftfreq(n_fft, 1 / front_end.sample_rate)
        response = np.abs(1 - front_end.pre_emphasis * np.exp(-2j * np.pi * hz / front_end.sample_rate)) ** 2
        heard = (hz >= 100) & (hz < 4000)
        level = (power[:, heard] / response[heard]).sum(axis=1) * 4 / (n_fft * np.sum(window**2))
        loud = np.percentile(level[level > 1e-9], 95)
        mel += loud * 10 ** (-front_end.level_range_db / 10)
    return np.asarray(scipy.fft.dct(np.log(mel), type=2, norm="ortho", axis=1)[:, : front_end.cepstra])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pre_emphasis": 0.0},
        {"window": "hamming"},
        {"window": "povey"},
        {"window": "rectangular"},
        {"fft_size": 1024},
        {"fft_size": 401},
        {"mel_scale": "slaney", "mel_norm": "slaney"},
        {"mel_bands": 26, "cepstra": 26, "mel_low_hz": 300.0, "mel_high_hz": 3400.0},
        {"sample_rate": 8000, "frame_length_ms": 20.0},
        {"frame_length_ms": 31.0, "frame_shift_ms": 7.0},
        {"log_floor": 1e-2},
        {"level_range_db": 0.0},
        {"level_range_db": 15.0},
    ],
    ids=str,
)
def test_static_cepstra_are_the_definition_written_out(options: dict[str, Any]) -> None:
    front_end = FrontEndConfig(c0="keep", speech_activity="none", **options)
    for samples in (SIGNALS["test/tom-1.flac"], SIGNALS["noise of 16000 samples at 0.01"]):
        expected = written_out(samples, front_end)
        ours = extract_static([samples], front_end).cepstra
        np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-4)


# Derivatives


@pytest.mark.parametrize("window", [1, 2, 3, 9])
@pytest.mark.parametrize("n_frames", [19, 50, 200])
def test_deltas_equal_librosas(window: int, n_frames: int) -> None:
    values = np.random.default_rng(n_frames).normal(3.0, 10.0, (n_frames, 7)).astype(np.float32)
    expected = librosa.feature.delta(values.astype(np.float64), width=2 * window + 1, order=1, mode="nearest", axis=0)
    np.testing.assert_allclose(delta(values, window), expected, rtol=0, atol=1e-5)
    both = append_deltas(values, 2, window)
    twice = librosa.feature.delta(expected, width=2 * window + 1, order=1, mode="nearest", axis=0)
    assert both.shape == (n_frames, 21)
    np.testing.assert_array_equal(both[:, :7], values)
    np.testing.assert_allclose(both[:, 7:14], expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(both[:, 14:], twice, rtol=0, atol=1e-5)


@given(
    n_frames=st.integers(0, 12),
    window=st.integers(1, 15),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_deltas_are_the_regression_with_repeated_ends_also_of_few_frames(n_frames: int, window: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.0, 5.0, (n_frames, 2)).astype(np.float32)
    expected = np.zeros((n_frames, 2))
    for t in range(n_frames):
        for k in range(1, window + 1):
            later, earlier = values[min(t + k, n_frames - 1)], values[max(t - k, 0)]
            expected[t] += k * (later.astype(np.float64) - earlier) / (2 * sum(j * j for j in range(1, window + 1)))
    np.testing.assert_allclose(delta(values, window), expected, rtol=0, atol=1e-5)


def test_the_delta_of_a_line_is_its_slope() -> None:
    line = (3.0 + 0.5 * np.arange(30, dtype=np.float32))[:, None]
    np.testing.assert_allclose(delta(line, 2)[2:-2], 0.5, rtol=1e-6)
    assert delta(line, 2).dtype == np.float32


# Mel scale, filters, windows, cosines


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_the_mel_scale_is_librosas_and_its_inverse_undoes_it(scale: str) -> None:
    hz = np.concatenate([np.linspace(0.0, 96000.0, 4001), [999.999, 1000.0, 1000.001]])
    mel = hz_to_mel(hz, scale)
    np.testing.assert_allclose(mel, librosa.hz_to_mel(hz, htk=scale == "htk"), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mel_to_hz(mel, scale), hz, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(mel_to_hz(mel, scale), librosa.mel_to_hz(mel, htk=scale == "htk"), rtol=1e-12, atol=1e-9)
    assert (np.diff(hz_to_mel(np.linspace(0.0, 96000.0, 4001), scale)) > 0).all()


def test_a_thousand_hertz_in_mel() -> None:
    assert float(hz_to_mel(1000.0, "htk")) == pytest.approx(2595 * np.log10(1 + 10 / 7), rel=1e-12)
    assert float(hz_to_mel(1000.0, "slaney")) == pytest.approx(15.0, rel=1e-12)
    assert float(mel_to_hz(42.0, "slaney")) == pytest.approx(6400.0, rel=1e-12)  # 27 logarithmic steps above


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("norm", ["none", "slaney"])
@pytest.mark.parametrize(
    ("rate", "n_fft", "bands", "low", "high"),
    [
        (16000, 512, 40, 20.0, 0.0),
        (8000, 256, 23, 0.0, 0.0),
        (16000, 2048, 128, 0.0, 8000.0),
        (44100, 1103, 26, 133.3, 6855.5),
    ],
)
def test_the_filter_bank_is_librosas(
    scale: Any, norm: Any, rate: int, n_fft: int, bands: int, low: float, high: float
) -> None:
    front_end = FrontEndConfig(
        sample_rate=rate, fft_size=n_fft, mel_bands=bands, mel_low_hz=low, mel_high_hz=high, mel_scale=scale,
        mel_norm=norm, cepstra=13,
    )  # fmt: skip
    ours = mel_filter_bank(front_end)
    expected = librosa.filters.mel(
        sr=rate, n_fft=n_fft, n_mels=bands, fmin=low, fmax=high or None, htk=scale == "htk",
        norm="slaney" if norm == "slaney" else None, dtype=np.float64,
    )  # fmt: skip
    assert ours.shape == (bands, n_fft // 2 + 1)
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("bands", "cepstra"), [(2, 1), (40, 20), (40, 40), (128, 20)])
def test_the_cosine_transform_is_scipys_and_orthonormal(bands: int, cepstra: int) -> None:
    matrix = cosine_transform(FrontEndConfig(mel_bands=bands, cepstra=cepstra))
    expected = scipy.fft.dct(np.eye(bands), type=2, norm="ortho", axis=1)[:, :cepstra]
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-14 * bands)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(cepstra), rtol=0, atol=1e-14 * bands)


@pytest.mark.parametrize("length_ms", [25.0, 20.0, 31.3])
def test_windows_are_scipys_periodic_ones(length_ms: float) -> None:
    def ours(window: Any) -> NDArray[np.float64]:
        return taper(FrontEndConfig(window=window, frame_length_ms=length_ms))

    n = round(16 * length_ms)
    np.testing.assert_allclose(ours("hann"), scipy.signal.get_window("hann", n), rtol=0, atol=1e-14)
    np.testing.assert_allclose(ours("hamming"), scipy.signal.get_window("hamming", n), rtol=0, atol=1e-14)
    np.testing.assert_allclose(ours("povey"), scipy.signal.get_window("hann", n) ** 0.85, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(ours("rectangular"), np.ones(n))


# engine = "librosa"

CONFIGS: list[dict[str, Any]] = [
    {},
    {"centred": True},
    {"lifter": 22},
    {"mel_scale": "slaney"},
    {"mel_norm": "slaney"},
    {"mel_scale": "slaney", "mel_norm": "slaney", "centred": True},
    {"window": "hamming"},
    {"window": "povey"},
    {"window": "rectangular", "centred": True},
    {"fft_size": 1024},
    {"fft_size": 401},
    {"fft_size": 401, "centred": True},
    {"fft_size": 1000, "centred": True},
    {"dynamic_range_db": 80.0},
    {"dynamic_range_db": 30.0, "log": "decibel"},
    {"dynamic_range_db": 30.0, "centred": True, "c0": "keep"},
    {"log": "decibel"},
    {"log_floor": 1e-3},
    {"c0": "keep"},
    {"c0": "drop"},
    {"sample_rate": 8000},
    {"sample_rate": 8000, "centred": True, "mel_bands": 26, "cepstra": 13},
    {"deltas": 0},
    {"deltas": 2},
    {"deltas": 2, "delta_window": 5},
    {"pre_emphasis": 0.0},
    {"pre_emphasis": 1.0},
    {"mel_low_hz": 0.0, "mel_high_hz": 4000.0},
    {"frame_length_ms": 20.0, "frame_shift_ms": 20.0},
    {"normalisation": "mean"},
    {"normalisation": "mean_variance"},
    {"speech_activity": "none"},
    {"speech_activity": "energy"},
]


@pytest.mark.parametrize("options", CONFIGS, ids=str)
def test_the_librosa_engine_gives_the_same_features(options: dict[str, Any]) -> None:
    tom, noise = SIGNALS["test/tom-1.flac"], SIGNALS["noise of 16000 samples at 0.01"]
    for samples in (tom, tom[:5000], noise, noise[:300], noise[:1], noise[:0]):
        ours = extract_features(samples, FrontEndConfig(**options))
        theirs = extract_features(samples, FrontEndConfig(engine="librosa", **options))
        assert theirs.values.dtype == np.float32
        assert ours.values.shape == theirs.values.shape
        largest = float(np.abs(ours.values).max()) if ours.values.size else 1.0
        np.testing.assert_allclose(ours.values, theirs.values, rtol=0, atol=3e-6 * max(largest, 30.0))
        np.testing.assert_array_equal(ours.times, theirs.times)
        np.testing.assert_array_equal(ours.speech, theirs.speech)
    assert len(extract_features(tom, FrontEndConfig(**options))) > 150


def test_the_librosa_engine_takes_blocks() -> None:
    samples = SIGNALS["test/alice-1.flac"]
    front_end = FrontEndConfig(engine="librosa")
    whole = extract_static([samples], front_end)
    parts = extract_static((samples[i : i + 1000] for i in range(0, len(samples), 1000)), front_end)
    np.testing.assert_array_equal(whole.cepstra, parts.cepstra)
    np.testing.assert_array_equal(whole.speech, parts.speech)
    assert extract_static([], front_end).cepstra.shape == (0, 20)
