"""Speech activity: levels, voicing, and that what is not speech has no speech frames."""

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
from speakerid.frontend import Features, extract_features
from speakerid.frontend.activity import Periodicity
from speakerid.frontend.spectrum import SpectralAnalysis

RATE = 16000
SAMPLE = Path(__file__).parents[2] / "data" / "sample"
VOICES = sorted(path for path in SAMPLE.glob("**/*.flac") if path.stem not in ("silence", "conversation"))
Samples = NDArray[np.float32]


def read(path: Path) -> Samples:
    samples, rate = sf.read(path, dtype="float32")
    assert rate == RATE
    return np.asarray(samples)


def clock(seconds: float, rate: int = RATE) -> NDArray[np.float64]:
    return np.arange(round(seconds * rate)) / rate


def noise(exponent: float, level: float, seconds: float, seed: int, rate: int = RATE) -> Samples:
    """Noise whose power falls as 1/f^exponent, of standard deviation `level`."""
    n = round(seconds * rate)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    f = np.maximum(np.fft.rfftfreq(n, 1 / rate), 20.0)
    samples = np.fft.irfft(spectrum * f ** (-exponent / 2), n)
    return np.clip(level * samples / samples.std(), -1, 1).astype(np.float32)


def n_speech(samples: NDArray[Any], **options: Any) -> int:
    return int(np.count_nonzero(extract_features(samples.astype(np.float32), FrontEndConfig(**options)).speech))


# What is not speech


@pytest.mark.parametrize("options", [{}, {"centred": True}, {"sample_rate": 8000}, {"speech_evidence": 0.0}], ids=str)
def test_digital_silence_has_no_speech(options: dict[str, Any]) -> None:
    for n in (0, 1, 300, 800, 80000):
        assert n_speech(np.zeros(n), **options) == 0


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize(("name", "exponent"), [("white", 0.0), ("pink", 1.0), ("brown", 2.0)])
def test_noise_has_no_speech(name: str, exponent: float, seconds: float) -> None:
    for rate in (16000, 8000):
        for level in (1e-4, 1e-3, 0.03, 0.3):
            for seed in (0, 1, 2):
                assert n_speech(noise(exponent, level, seconds, seed, rate), sample_rate=rate) == 0, (rate, level, seed)


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.5, 1.0, 3.0])
def test_hums_and_tones_have_no_speech(seconds: float) -> None:
    t = clock(seconds)
    sounds = {f"{f} Hz": 0.3 * np.sin(2 * np.pi * f * t) for f in (50, 60, 100, 200, 440, 1000)}
    for f in (50, 60, 120):
        sounds[f"{f} Hz and overtones"] = sum(0.2 / k * np.sin(2 * np.pi * f * k * t) for k in range(1, 20))
    sounds["tone in noise"] = sounds["200 Hz"] + np.random.default_rng(5).normal(0, 1e-3, len(t))
    sounds["constant"] = np.full(len(t), 0.5)
    assert {name: n_speech(samples) for name, samples in sounds.items()} == dict.fromkeys(sounds, 0)


def test_sirens_have_no_speech() -> None:
    """Periodic, and their spectrum moves; but their level does not."""
    t = clock(3.0)
    assert n_speech(0.3 * np.sin(2 * np.pi * (600 * t + 300 / np.pi * np.sin(np.pi * t)))) == 0
    assert n_speech(0.3 * np.sin(2 * np.pi * (100 * t + 300 * t**2))) == 0


@pytest.mark.parametrize("around", [0.0, 1e-5])
@pytest.mark.parametrize("seconds", [0.1, 0.5, 2.0])
def test_clicks_and_bursts_of_noise_have_no_speech(around: float, seconds: float) -> None:
    rng = np.random.default_rng(6)
    background = rng.normal(0, 1, round(seconds * RATE)) * around
    click = background.copy()
    click[len(click) // 2] = 0.9
    clicks = background.copy()
    clicks[100::4000] = 0.9
    assert n_speech(click) == 0
    assert n_speech(clicks) == 0
    for length in (0.02, 0.2, 1.0):
        burst = rng.normal(0, 0.3, round(length * RATE))
        assert n_speech(np.concatenate([background, burst, background])) == 0, length


@pytest.mark.parametrize("kind", ["one tone of half a second", "beeps"])
def test_tones_that_begin_and_end_have_no_speech(kind: str) -> None:
    t = clock(3.0)
    background = np.random.default_rng(7).normal(0, 1e-5, len(t))
    if kind == "beeps":
        sound = 0.3 * np.sin(2 * np.pi * 1000 * t) * ((4 * t) % 1 < 0.5)
    else:
        sound = 0.3 * np.sin(2 * np.pi * 200 * t) * ((t > 1) & (t < 1.5))
    assert n_speech(background + sound) == 0


def test_a_piece_of_a_voice_too_short_to_judge_is_not_an_error() -> None:
    samples = read(VOICES[0])
    for n in (1, 399, 400, 800, 1600):
        features = extract_features(samples[20000 : 20000 + n])
        assert features.speech.shape == (len(features),)


# What is


@pytest.mark.parametrize("path", VOICES, ids=lambda path: path.stem)
def test_most_of_a_voice_is_speech_and_the_silence_around_it_is_not(path: Path) -> None:
    samples = read(path)
    alone = extract_features(samples)
    assert alone.speech.mean() > 0.9
    quiet = np.random.default_rng(8).normal(0, 1e-5, (2, 2 * RATE)).astype(np.float32)
    padded = extract_features(np.concatenate([quiet[0], samples, quiet[1]]))
    before, after = padded.times < 1.95, padded.times > 2.05 + len(samples) / RATE
    assert not padded.speech[before | after].any()
    assert padded.speech[~(before | after)].mean() > 0.85


@pytest.mark.parametrize(("seconds", "share"), [(0.2, 0.82), (0.4, 0.95), (0.7, 0.99)])
def test_most_short_pieces_of_a_voice_have_speech(seconds: float, share: float) -> None:
    length, step = round(seconds * RATE), round(1.1 * RATE)
    found = []
    for path in VOICES:
        samples = read(path)
        found += [n_speech(samples[i : i + length]) > 0 for i in range(8000, len(samples) - length, step)]
    assert len(found) > 120
    assert np.mean(found) >= share


def test_the_silent_sample_has_no_speech() -> None:
    assert n_speech(read(SAMPLE / "test" / "silence.flac")) == 0


def test_a_voice_far_from_another_sound_keeps_its_place() -> None:
    """Frames further than the reach from any voiced frame are dropped, nearer ones stay."""
    rng = np.random.default_rng(9)
    hiss = rng.normal(0, 0.003, 3 * RATE)
    samples = np.concatenate([hiss, read(SAMPLE / "test" / "tom-1.flac"), hiss]).astype(np.float32)
    near, far = (extract_features(samples, FrontEndConfig(voicing_reach_ms=reach)) for reach in (50.0, 1000.0))
    assert not (near.speech & ~far.speech).any()
    assert 50 < np.count_nonzero(near.speech) < np.count_nonzero(far.speech) - 50


# Gain

ALL_LEVELS = {"speech_floor_db": -200.0}


@pytest.mark.parametrize("path", VOICES[::6], ids=lambda path: path.stem)
@pytest.mark.parametrize("gain_db", [-12.0, 12.0])
def test_gain_does_not_change_the_mask_but_for_the_floor(path: Path, gain_db: float) -> None:
    """A frame is never speech below -90 dB of full scale: a gain moves that floor against the recording, no more."""
    samples = read(path)
    louder = (samples * 10 ** (gain_db / 20)).astype(np.float32)
    free = extract_features(samples, FrontEndConfig(**ALL_LEVELS)).speech
    np.testing.assert_array_equal(extract_features(louder, FrontEndConfig(**ALL_LEVELS)).speech, free)
    floored = extract_features(samples, FrontEndConfig(speech_floor_db=-90.0 - gain_db)).speech
    np.testing.assert_array_equal(extract_features(louder).speech, floored)


@pytest.mark.parametrize("gain_db", [-12.0, 12.0])
def test_gain_does_not_change_the_mask_with_the_defaults(gain_db: float) -> None:
    for path in VOICES[::6]:
        samples = read(path)
        louder = (samples * 10 ** (gain_db / 20)).astype(np.float32)
        np.testing.assert_array_equal(extract_features(louder).speech, extract_features(samples).speech)


# The settings


def test_without_activity_all_frames_are_speech() -> None:
    features = extract_features(np.zeros(16000, np.float32), FrontEndConfig(speech_activity="none"))
    assert features.speech.all()
    assert features.speech.shape == (98,)


LEVEL_CONFIGS: list[dict[str, Any]] = [
    {},
    {"pre_emphasis": 0.0},
    {"window": "hamming"},
    {"window": "rectangular"},
    {"sample_rate": 8000},
    {"fft_size": 1024, "centred": True},
    {"frame_length_ms": 50.0},
]


@pytest.mark.parametrize("options", LEVEL_CONFIGS, ids=str)
def test_a_full_scale_sine_is_at_0_db(options: dict[str, Any]) -> None:
    config = FrontEndConfig(**options)
    for frequency in (210.0, 440.0, 1003.0, 2500.0):
        analysis = SpectralAnalysis(config)
        analysis.push(np.sin(2 * np.pi * frequency * clock(1.0, config.sample_rate)).astype(np.float32))
        bands = analysis.finish().activity.bands[5:-5]
        np.testing.assert_allclose(10 * np.log10(bands.sum(axis=1)), 0.0, atol=0.6)
        inside = int(np.searchsorted([500, 1000, 2000], frequency, side="right"))
        assert (bands.argmax(axis=1) == inside).all()


@pytest.mark.parametrize("options", LEVEL_CONFIGS, ids=str)
def test_the_energy_floor_is_in_db_of_full_scale(options: dict[str, Any]) -> None:
    config = FrontEndConfig(speech_activity="energy", speech_floor_db=-40.0, **options)
    sine = np.sin(2 * np.pi * 700 * clock(0.5, config.sample_rate))

    def share(level_db: float) -> float:
        features = extract_features((10 ** (level_db / 20) * sine).astype(np.float32), config)
        return float(features.speech[3:-3].mean())

    assert share(-39.0) == 1.0
    assert share(-41.0) == 0.0


def two_levels(difference_db: float, range_db: float) -> Features:
    """A second of loud tone, then a second of quiet tone, energy alone."""
    sine = 0.5 * np.sin(2 * np.pi * 700 * clock(1.0))
    samples = np.concatenate([sine, sine * 10 ** (-difference_db / 20)]).astype(np.float32)
    return extract_features(samples, FrontEndConfig(speech_activity="energy", speech_range_db=range_db))


def test_the_energy_range_is_below_the_loud_frames() -> None:
    for difference, quiet_share in ((29.0, 1.0), (31.0, 0.0)):
        features = two_levels(difference, 30.0)
        assert features.speech[features.times < 0.95].all()
        assert features.speech[features.times > 1.05].mean() == quiet_share


def test_energy_takes_noise_and_voicing_does_not() -> None:
    samples = noise(0.0, 0.1, 2.0, 11)
    assert n_speech(samples, speech_activity="energy") == 198
    assert n_speech(samples, speech_activity="voicing") == 0


def test_no_evidence_asked_leaves_the_voiced_frames() -> None:
    t = clock(2.0)
    hum = sum(0.2 / k * np.sin(2 * np.pi * 120 * k * t) for k in range(1, 20))
    assert n_speech(hum) == 0
    assert n_speech(hum, speech_evidence=0.0) == 198
    assert n_speech(hum, speech_evidence=0.0, voicing_threshold=1.0, voicing_reach_ms=0.0) < 198


# Voicing


def voicing(samples: NDArray[Any], **options: Any) -> NDArray[np.float32]:
    analysis = SpectralAnalysis(FrontEndConfig(**options))
    analysis.push(samples.astype(np.float32))
    return analysis.finish().activity.voicing


def test_pulses_are_voiced_and_white_noise_is_not() -> None:
    for pitch in (100, 150, 250, 390):
        pulses = np.zeros(2 * RATE)
        pulses[(np.arange(2 * pitch) * RATE / pitch).astype(int)] = 0.5
        assert voicing(pulses)[5:-5].min() > 0.8
    white = voicing(noise(0.0, 0.1, 10.0, 12))
    assert np.median(white) < 0.45
    assert ((white >= 0) & (white <= 1)).all()


@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=12), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_voicing_does_not_depend_on_the_chunks(sizes: list[int], seed: int) -> None:
    """Against the definition: five rows summed, the best lag over lag 0, at most 1."""
    rows = np.random.default_rng(seed).normal(0.2, 1.0, (sum(sizes), 6)).astype(np.float32)
    rows[:, 0] = np.abs(rows[:, 0]) + 1
    periodicity = Periodicity()
    for part in np.split(rows, np.cumsum(sizes)[:-1]):
        periodicity.push(part)
    padded = np.pad(rows.astype(np.float64), ((2, 2), (0, 0)))
    total = sum(padded[k : k + len(rows)] for k in range(5))
    expected = np.clip(total[:, 1:].max(axis=1) / total[:, 0], 0, 1)
    np.testing.assert_allclose(periodicity.finish(), expected, rtol=1e-5, atol=1e-6)


def test_no_frames_have_no_voicing() -> None:
    assert Periodicity().finish().shape == (0,)


@pytest.mark.parametrize("frame_length_ms", [16.0, 20.0, 25.0, 32.0])
@pytest.mark.parametrize("fft_size", [0, 1024])
def test_white_noise_is_not_voiced_whatever_the_frames(frame_length_ms: float, fft_size: int) -> None:
    """The transform's autocorrelation is circular: a frame that fills it must not be mistaken for periodic."""
    samples = (np.random.default_rng(3).standard_normal(80000) * 0.1).astype(np.float32)
    config = FrontEndConfig(frame_length_ms=frame_length_ms, frame_shift_ms=10.0, fft_size=fft_size)
    analysis = SpectralAnalysis(config)
    analysis.push(samples)
    voiced = analysis.finish().activity.voicing >= config.voicing_threshold
    assert voiced.mean() < 0.1
    assert not extract_features(samples, config).speech.any()
