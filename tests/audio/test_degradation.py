"""Degradations: what they do, measured independently of how it is done."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from speakerid.audio import (
    Recording,
    array_stream,
    check_degradation,
    degrade,
    load_samples,
    open_samples,
    parse_degradation,
)
from speakerid.audio.degradations import codecs, fingerprint
from speakerid.audio.degradations.rooms import decay_response, room_response
from speakerid.audio.degradations.text import (
    CODECS,
    NOISES,
    Band,
    Clip,
    Codec,
    Degradation,
    Gain,
    Noise,
    Reverb,
    Room,
    Telephone,
)
from speakerid.errors import RecordingError, UsageError

Floats = NDArray[np.float32]
RATE = 16000

EVERY = (
    "noise:10",
    *(f"noise:5:{kind}" for kind in NOISES),
    "telephone",
    "band:300-3000",
    "reverb",
    "reverb:0.5",
    "room",
    "room:0.3",
    "gain:12",
    "gain:=-6",
    *(f"codec:{name}" for name in CODECS),
    "codec:mp3:16",
    "codec:opus:12",
    "clip:12",
    "telephone+noise:20",
)


def voice(seed: int = 0, *, seconds: float = 2.0, rate: int = RATE) -> Floats:
    """Something like speech: noise of 100 to 3000 Hz in bursts, with quiet between them, peak 0.5."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    noise = sosfilt(butter(4, (100, min(3000, 0.45 * rate)), "bandpass", fs=rate, output="sos"), rng.standard_normal(n))
    bursts = np.where(np.sin(2 * np.pi * 1.5 * np.arange(n) / rate) > 0, 1.0, 1e-4)
    sound = noise * bursts
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def done(text: str, samples: Floats, *, rate: int = RATE, seed: int = 0, key: str = "a") -> Floats:
    return degrade(samples, rate, parse_degradation(text), seed=seed, key=key)


def active_decibels(samples: Floats, rate: int) -> float:
    """The definition once more, frame by frame."""
    frame = rate // 50
    powers = [
        float(np.mean(samples[i : i + frame].astype(float) ** 2)) for i in range(0, len(samples) - frame + 1, frame)
    ]
    powers = sorted(p for p in powers if p > 0)
    loud = float(np.percentile(powers, 95))
    return 10 * float(np.log10(np.mean([p for p in powers if 10 * np.log10(p / loud) >= -30])))


def mean_decibels(samples: NDArray[np.floating]) -> float:
    return 10 * float(np.log10(np.mean(np.square(samples, dtype=np.float64))))


def lag_of(heard: Floats, sent: Floats, *, most: int = 2000) -> int:
    """Samples that `heard` comes late by, where both are most alike."""
    n = len(sent)
    return max(
        range(-most, most + 1),
        key=lambda k: float(heard[max(0, k) : n + min(0, k)].astype(float) @ sent[max(0, -k) : n - max(0, k)]),
    )


def decay_seconds(response: NDArray[np.float64], rate: int) -> float:
    """T60 from Schroeder's integral of what follows the direct path, between -10 and -30 dB."""
    energy = np.cumsum(response[1:][::-1] ** 2)[::-1]
    decibels = 10 * np.log10(energy / energy[0] + 1e-300)
    first, last = int(np.argmax(decibels < -10)), int(np.argmax(decibels < -30))
    return 3 * (last - first) / rate


# how they are written

decibels = st.floats(-100, 100).map(lambda x: x + 0.0)
seconds = st.none() | st.floats(0.1, 1)
sources = (
    st.none()
    | st.sampled_from(NOISES)
    | st.sampled_from(("noises/", "a+b.wav", "C:\\noises", "a:b+c d.flac", "/music & talk", "./white"))
)
steps = st.one_of(
    st.builds(Noise, decibels, sources),
    st.just(Telephone()),
    st.builds(lambda low, width: Band(low, low + width), st.floats(10, 4000), st.floats(11, 9000)),
    st.builds(Reverb, seconds),
    st.builds(Room, seconds),
    st.builds(Gain, st.floats(0, 100).map(lambda x: x + 0.0)),
    st.builds(Gain, decibels, st.just(True)),
    st.sampled_from(sorted(CODECS)).map(Codec),
    st.builds(Codec, st.just("opus"), st.integers(6, 256)),
    st.builds(Clip, st.floats(0.01, 100)),
)


@given(st.lists(steps, min_size=1, max_size=4))
def test_a_degradation_is_read_from_its_own_text(chosen: list[object]) -> None:
    degradation = Degradation(tuple(chosen))  # type: ignore[arg-type]
    assert parse_degradation(str(degradation)) == degradation


@given(st.text(alphabet="noiseband:+-=.0123456789reverbcodecopusgainclip ", max_size=30) | st.text(max_size=12))
def test_any_text_is_a_degradation_or_refused_in_words(text: str) -> None:
    with contextlib.suppress(UsageError):
        degradation = parse_degradation(text)
        assert parse_degradation(str(degradation)) == degradation


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("noise:10.0", "noise:10"),
        ("noise:-0", "noise:0"),
        ("noise:07.50:pink", "noise:7.5:pink"),
        ("noise:5:a+b/c+d", "noise:5:a+b/c+d"),
        ("noise:5:a+b+telephone", "noise:5:a+b+telephone"),
        ("band:0-4000.0", "band:0-4000"),
        ("gain:=-6", "gain:=-6"),
        ("codec:mp3:64", "codec:mp3:64"),
    ],
)
def test_the_normal_form(text: str, normal: str) -> None:
    assert str(parse_degradation(text)) == normal


def test_a_path_ends_where_a_step_begins() -> None:
    assert parse_degradation("noise:5:a+b+telephone").steps == (Noise(5.0, "a+b"), Telephone())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected noise:SNR, telephone,"),
        ("nosie:10", '"nosie:10" is no degradation'),
        ("telephone+nosie", '"nosie" is no degradation'),
        ("telephone+", '"" is no degradation'),
        ("noise", "noise:SNR in dB"),
        ("noise:loud", "noise:SNR in dB"),
        ("noise:nan", "a number from -100 to 100"),
        ("noise:1e1", "a number from -100 to 100"),
        ("noise:10:", "white, pink, brown, babble, machine, or a file or folder"),
        ("noise:10:white+noise", "noise:SNR in dB"),
        ("telephone:8", "telephone has no numbers"),
        ("band:300", "such as band:300-3400"),
        ("band:3000-300", "HIGH at least 10 above it"),
        ("band:1-300", "LOW 0 or at least 10"),
        ("reverb:0", "from 0.05 to 10"),
        ("reverb:", "from 0.05 to 10"),
        ("room:3", "from 0.1 to 1"),
        ("gain:-3", "from 0 to 100"),
        ("gain", "gain:DB"),
        ("gain:=", "gain:=DB"),
        ("codec", "one of mp3, opus, vorbis, mulaw, gsm"),
        ("codec:aac", "one of mp3, opus, vorbis, mulaw, gsm"),
        ("codec:gsm:13", "the rate of gsm cannot be chosen"),
        ("codec:mp3:1000", "from 8 to 320"),
        ("codec:opus:16.5", "a whole number"),
        ("clip:0", "more than 0"),
    ],
)
def test_what_is_none_is_refused_in_one_line(text: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_degradation(text)
    assert why in str(error.value)
    assert f'"{text}"' in str(error.value)
    assert "\n" not in str(error.value)


# all of them


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("rate", [4000, 8000, 11025, 44100])
def test_the_length_is_kept_and_the_same_is_drawn_again(text: str, rate: int) -> None:
    samples = voice(rate=rate, seconds=1.003)
    check_degradation(parse_degradation(text))
    one = done(text, samples, rate=rate)
    assert one.dtype == np.float32
    assert one.shape == samples.shape
    assert np.isfinite(one).all()
    assert not np.array_equal(one, samples)
    np.testing.assert_array_equal(done(text, samples, rate=rate), one)


@pytest.mark.parametrize("text", EVERY)
def test_a_few_samples_and_silence_are_no_special_case(text: str) -> None:
    for n in (0, 1, 100, 5000):
        silence = np.zeros(n, dtype=np.float32)
        np.testing.assert_array_equal(done(text, silence), silence)
    for n in (1, 7, 200):
        assert np.isfinite(done(text, voice()[:n])).all()


@pytest.mark.parametrize("text", EVERY)
def test_what_was_given_is_left_alone(text: str) -> None:
    samples = voice()
    before = samples.copy()
    done(text, samples)
    np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize("text", ["noise:10", "reverb", "room", "gain:12"])
def test_what_is_drawn_depends_on_seed_and_recording(text: str) -> None:
    samples = voice()
    one = done(text, samples)
    assert not np.array_equal(done(text, samples, seed=1), one)
    assert not np.array_equal(done(text, samples, key="b"), one)


def test_a_step_draws_the_same_behind_another_and_anew_when_it_is_repeated() -> None:
    samples = voice()
    alone = done("noise:20:white", samples) - samples
    behind = done("gain:=-6+noise:20:white", samples) - done("gain:=-6", samples)
    assert np.corrcoef(alone, behind)[0, 1] > 0.999
    twice = done("noise:20:white+noise:20:white", samples) - samples - alone
    assert abs(np.corrcoef(alone, twice)[0, 1]) < 0.1


@pytest.mark.parametrize("bad", [np.zeros((2, 3)), np.array([0.0, np.nan])])
def test_samples_that_are_none_are_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(UsageError):
        degrade(bad, RATE, parse_degradation("telephone"), seed=0, key="")


# noise


@pytest.mark.parametrize("snr", [-5, 0, 12.5, 30])
@pytest.mark.parametrize("source", ["", *(f":{kind}" for kind in NOISES)])
def test_the_signal_to_noise_ratio_is_that_of_the_louder_parts(snr: float, source: str) -> None:
    samples = voice(seconds=3)
    noise = done(f"noise:{snr}{source}", samples) - samples
    assert active_decibels(samples, RATE) - mean_decibels(noise) == pytest.approx(snr, abs=0.1)


def test_pauses_and_digital_silence_do_not_make_noise_quieter() -> None:
    samples = voice(seconds=2)
    padded = np.concatenate((samples, np.zeros(30 * RATE, dtype=np.float32)))
    noise, of_padded = (done("noise:10:white", each) - each for each in (samples, padded))
    assert mean_decibels(of_padded) == pytest.approx(mean_decibels(noise), abs=0.1)


def decibels_an_octave(noise: Floats, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(noise.astype(float))) ** 2
    frequencies = np.fft.rfftfreq(len(noise), 1 / RATE)
    one, other = (
        10 * np.log10(power[(frequencies > edge / 1.2) & (frequencies < edge * 1.2)].mean()) for edge in (low, high)
    )
    return float(other - one) / float(np.log2(high / low))


@pytest.mark.parametrize(
    ("kind", "slope", "low", "high"),
    [("white", 0, 100, 6000), ("pink", -3, 100, 6000), ("brown", -6, 100, 6000), ("babble", -9, 800, 6000)],
)
def test_spectra_fall_as_they_should(kind: str, slope: float, low: float, high: float) -> None:
    samples = voice(seconds=10)
    noise = done(f"noise:0:{kind}", samples) - samples
    assert decibels_an_octave(noise, low, high) == pytest.approx(slope, abs=0.35)


def test_babble_rises_and_falls_more_than_white_noise() -> None:
    samples = voice(seconds=10)

    def variation(kind: str) -> float:
        noise = done(f"noise:0:{kind}", samples) - samples
        levels = np.sqrt(np.mean(noise.reshape(-1, RATE // 20).astype(float) ** 2, axis=1))
        return float(levels.std() / levels.mean())

    assert variation("babble") > 4 * variation("white")


def test_without_a_source_recordings_get_noises_of_several_kinds() -> None:
    samples = voice(seconds=4)
    slopes = [decibels_an_octave(done("noise:0", samples, key=str(k)) - samples, 800, 6000) for k in range(20)]
    assert max(slopes) > -0.7  # white
    assert any(-3.7 < slope < -2.3 for slope in slopes)  # pink
    assert min(slopes) < -8  # babble


@pytest.fixture
def noises(tmp_path: Path) -> Path:
    folder = tmp_path / "noises"
    (folder / "deep").mkdir(parents=True)
    time = np.arange(3 * 22050) / 22050
    sf.write(folder / "low.wav", 0.1 * np.sin(2 * np.pi * 440 * time), 22050)
    sf.write(folder / "deep" / "high.flac", 0.1 * np.sin(2 * np.pi * 2000 * time[:11025]), 22050)
    (folder / "notes.txt").write_text("no noise\n")
    return folder


def test_noise_comes_from_the_files_of_a_folder(noises: Path) -> None:
    samples = voice(seconds=2)
    pitches = set()
    for (
        key
    ) in "abcdefghijklmnopqrstuvwxyz":  # what is drawn depends on the folder's name: eight were all of one file once
        noise = done(f"noise:6:{noises}", samples, key=key) - samples
        assert active_decibels(samples, RATE) - mean_decibels(noise) == pytest.approx(6, abs=0.1)
        pitches.add(round(float(np.argmax(np.abs(np.fft.rfft(noise)))) * RATE / len(noise) / 20) * 20)
    assert pitches == {440, 2000}


def test_one_file_of_noise_is_enough_and_may_be_short(noises: Path) -> None:
    samples = voice(seconds=4)
    noise = done(f"noise:0:{noises / 'deep' / 'high.flac'}", samples) - samples
    assert mean_decibels(noise[-RATE:]) == pytest.approx(mean_decibels(noise[:RATE]), abs=0.5)


def test_noises_that_cannot_be_had_are_refused_before_any_work(noises: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "broken.wav").write_bytes(b"RIFF, but no more")
    for name, why in (
        ("absent", "no such file or folder"),
        ("none", "no files of noise"),
        ("broken.wav", "cannot be read"),
    ):
        with pytest.raises(UsageError, match=why) as error:
            check_degradation(parse_degradation(f"noise:10:{tmp_path / name}"))
        assert "\n" not in str(error.value)
    sf.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    with pytest.raises(RecordingError, match="digital silence"):
        done(f"noise:10:{tmp_path / 'silent.wav'}", voice())
    check_degradation(parse_degradation(f"noise:10:{noises}"))


def test_a_fingerprint_changes_with_the_files_of_noise(noises: Path) -> None:
    degradation = parse_degradation(f"noise:10:{noises}")
    check_degradation(degradation)
    before = fingerprint(degradation)
    assert fingerprint(degradation) == before
    sf.write(noises / "new.wav", voice(), RATE)
    check_degradation(degradation)
    assert fingerprint(degradation) != before
    assert fingerprint(parse_degradation("noise:10")) != fingerprint(parse_degradation("noise:11"))


# bands


def response_of(text: str, rate: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies and decibels of what is done to a click."""
    click = np.zeros(rate, dtype=np.float32)
    click[rate // 2] = 0.5
    spectrum = np.abs(np.fft.rfft(done(text, click, rate=rate))) / 0.5
    return np.fft.rfftfreq(rate, 1 / rate), 20 * np.log10(np.maximum(spectrum, 1e-10))


@pytest.mark.parametrize(("rate", "low", "high"), [(16000, 300, 3400), (44100, 50, 7000), (8000, 1000, 1500)])
def test_a_band_has_its_edges_where_it_says(rate: int, low: int, high: int) -> None:
    frequencies, decibels = response_of(f"band:{low}-{high}", rate)
    assert np.abs(decibels[(frequencies > low + 50) & (frequencies < high - 50)]).max() < 0.1
    assert decibels[(frequencies < low - 50) | (frequencies > high + 50)].max(initial=-60) < -55
    for edge in (low, high):
        assert decibels[np.searchsorted(frequencies, edge)] == pytest.approx(-6, abs=0.3)


def test_edges_may_be_open() -> None:
    frequencies, decibels = response_of("band:0-1000", 8000)
    assert abs(decibels[0]) < 0.1
    assert decibels[frequencies > 1050].max() < -55
    frequencies, decibels = response_of("band:1000-6000", 8000)
    assert np.abs(decibels[frequencies > 1050]).max() < 0.1
    samples = voice(rate=8000)
    np.testing.assert_array_equal(done("band:0-6000", samples, rate=8000), samples)
    assert not done("band:5000-6000", samples, rate=8000).any()


def test_a_telephone_has_its_band_and_the_steps_of_its_coder() -> None:
    rng = np.random.default_rng(3)
    samples = (0.1 * rng.standard_normal(4 * RATE)).astype(np.float32)
    heard = done("telephone", samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    power = np.abs(np.fft.rfft(heard.astype(float))) ** 2

    def level(low: float, high: float) -> float:
        return 10 * float(np.log10(power[(frequencies > low) & (frequencies < high)].mean()))

    speech = level(350, 3350)
    # below the noise that the coder makes, which is some 37 dB down
    assert level(0, 230) < speech - 30
    assert level(3480, 3900) < speech - 30
    assert level(4200, 8000) < speech - 60
    assert lag_of(heard, samples, most=50) == 0
    at_8k = done("telephone", voice(rate=8000), rate=8000)
    assert len(np.unique(at_8k)) <= 255  # 8 bits a sample


# rooms


@pytest.mark.parametrize("t60", [0.2, 0.5, 1.0])
def test_reverberation_decays_by_60_decibels_in_its_time(t60: float) -> None:
    click = np.zeros(2 * RATE, dtype=np.float32)
    click[0] = 0.5
    for key in "abc":
        decayed, boxed = (done(f"{kind}:{t60}", click, key=key).astype(float) for kind in ("reverb", "room"))
        assert decay_seconds(decayed, RATE) == pytest.approx(t60, rel=0.1)
        assert decay_seconds(boxed, RATE) == pytest.approx(t60, rel=0.15)
        # the direct path is first and largest
        assert np.argmax(np.abs(decayed)) == np.argmax(np.abs(boxed)) == 0


def test_the_time_is_drawn_from_its_range() -> None:
    for response in (decay_response, room_response):
        times = [decay_seconds(response(None, 8000, np.random.default_rng(seed)), 8000) for seed in range(12)]
        assert 0.25 < min(times) < 0.45
        assert 0.65 < max(times) < 0.95


def test_the_direct_path_is_as_far_above_the_rest_as_it_says() -> None:
    ratios = []
    for seed in range(30):
        response = decay_response(0.5, RATE, np.random.default_rng(seed))
        ratios.append(10 * np.log10(response[0] ** 2 / np.sum(response[1:] ** 2)))
    assert -0.01 < min(ratios) < 1.5
    assert 6.5 < max(ratios) < 8.01


@pytest.mark.parametrize("text", ["reverb:0.4", "room:0.4"])
def test_a_room_keeps_level_and_place(text: str) -> None:
    samples = voice()
    heard = done(text, samples)
    assert mean_decibels(heard) == pytest.approx(mean_decibels(samples), abs=0.01)
    assert lag_of(heard, samples, most=300) == 0


# gain and clipping


def test_a_gain_is_exact_or_drawn_within_limits() -> None:
    samples = voice() / 10
    np.testing.assert_allclose(done("gain:=-6", samples), samples * 10 ** (-6 / 20), rtol=1e-6)
    gains = [mean_decibels(done("gain:12", samples, key=str(k))) - mean_decibels(samples) for k in range(60)]
    assert -12.01 <= min(gains) < -9
    assert 9 < max(gains) <= 12.01


def test_a_drawn_gain_never_clips_and_an_exact_one_does() -> None:
    samples = voice()  # peak 0.5: 6 dB are left
    for key in range(30):
        heard = done("gain:40", samples, key=str(key))
        assert np.abs(heard).max() <= 1.0000001
        assert np.corrcoef(heard, samples)[0, 1] == pytest.approx(1)
    loud = done("gain:=20", samples)
    assert np.abs(loud).max() == 1
    np.testing.assert_allclose(loud, np.clip(samples * 10, -1, 1), rtol=1e-6)
    beyond = voice() * 4
    assert np.abs(done("gain:40", beyond, key="x")).max() <= np.abs(beyond).max()


def test_clipping_takes_the_peaks() -> None:
    samples = voice()
    limit = np.abs(samples).max() * 10 ** (-12 / 20)
    np.testing.assert_allclose(done("clip:12", samples), np.clip(samples, -limit, limit), rtol=1e-6)


# codecs


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 96000])
@pytest.mark.parametrize("codec", [*CODECS, "mp3:8", "mp3:24", "mp3:64", "mp3:128", "opus:6", "opus:64"])
def test_a_codec_keeps_length_and_place(codec: str, rate: int) -> None:
    samples = voice(seed=5, seconds=1.5, rate=rate)
    heard = done(f"codec:{codec}", samples, rate=rate)
    # few kilobits of Opus do not keep the phase: a tenth of a millisecond
    assert abs(lag_of(heard, samples)) <= (rate // 10000 if codec in {"opus", "opus:6"} else 0)
    likeness = np.corrcoef(heard, samples)[0, 1]
    assert 0.3 < likeness < 0.99999
    # the end is there, and not only what a codec holds back
    assert mean_decibels(heard[-rate // 10 :]) == pytest.approx(mean_decibels(samples[-rate // 10 :]), abs=6)


@pytest.mark.parametrize(("name", "few", "many"), [("mp3", 16, 128), ("opus", 8, 128)])
def test_more_kilobits_are_nearer_to_the_original(name: str, few: int, many: int) -> None:
    samples = voice(seed=6)
    wrong = [mean_decibels(done(f"codec:{name}:{kbps}", samples) - samples) for kbps in (few, many)]
    assert wrong[1] < wrong[0] - 3


def test_mulaw_is_g711() -> None:
    """Half a step of its scale: 16 steps from one power of two to the next, of the magnitude and 33 of 8192."""
    samples = voice(seed=7)
    heard = done("codec:mulaw", samples)
    half_step = (np.abs(samples) + 33 / 8192) / 32
    rounding = 1 / 8192  # to 14 bits, before
    assert (np.abs(heard - samples) <= half_step + rounding).all()
    assert len(np.unique(heard)) <= 255


def test_what_is_above_full_scale_comes_back_above_it() -> None:
    samples = 6 * voice(seed=8)
    for codec in ("mulaw", "opus:64"):
        heard = done(f"codec:{codec}", samples)
        assert np.abs(heard).max() == pytest.approx(np.abs(samples).max(), rel=0.3)


def test_a_codec_that_libsndfile_lacks_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_arguments: object, **_options: object) -> None:
        raise TypeError("write() got an unexpected keyword argument 'compression_level'")

    monkeypatch.setattr(codecs.soundfile, "write", lacking)
    codecs._delay.cache_clear()
    with pytest.raises(UsageError, match="does not have it") as error:
        check_degradation(parse_degradation("codec:opus:16"))
    assert "\n" not in str(error.value)


# on the way from a file to samples


@pytest.fixture
def stereo(tmp_path: Path) -> str:
    path = tmp_path / "two.wav"
    sf.write(path, np.stack([voice(1), voice(2)], axis=1), RATE, subtype="FLOAT")
    return str(path)


def test_a_stretch_is_mixed_then_degraded_then_hashed_then_resampled(stereo: str) -> None:
    degradation = parse_degradation("noise:10+reverb")
    recording = Recording(stereo, start=0.5, end=1.5, degradation=degradation, degradation_seed=7)
    clean = load_samples(dataclasses.replace(recording, degradation=None), sample_rate=RATE)
    assert len(clean) == RATE
    key = hashlib.sha256(RATE.to_bytes(8, "little") + clean.astype("<f4").tobytes()).hexdigest()
    expected = degrade(clean, RATE, degradation, seed=7, key=key)
    with open_samples(recording, sample_rate=RATE, hash_content=True) as stream:
        given = np.concatenate(list(stream))
        np.testing.assert_array_equal(given, expected)
        of_degraded = hashlib.sha256(RATE.to_bytes(8, "little") + expected.astype("<f4").tobytes()).hexdigest()
        assert stream.content_hash == of_degraded
        assert stream.seconds == 1
        assert stream.source_channels == 2
        assert stream.peak == np.abs(expected).max()
    # at another rate it is the same, resampled
    with array_stream(expected, RATE, sample_rate=8000) as resampled:
        np.testing.assert_array_equal(load_samples(recording, sample_rate=8000), np.concatenate(list(resampled)))


def test_the_size_of_blocks_and_the_name_of_the_file_change_nothing(stereo: str, tmp_path: Path) -> None:
    degradation = parse_degradation("noise:10+codec:opus")
    copy = tmp_path / "copy.wav"
    copy.write_bytes(Path(stereo).read_bytes())

    def read(path: str, block_seconds: float) -> Floats:
        recording = Recording(path, degradation=degradation)
        with open_samples(recording, sample_rate=8000, block_seconds=block_seconds) as stream:
            return np.concatenate(list(stream))

    whole = read(stereo, 100)
    np.testing.assert_array_equal(read(stereo, 0.1), whole)
    np.testing.assert_array_equal(read(str(copy), 1), whole)


def test_an_array_is_degraded_as_a_file_of_it(tmp_path: Path) -> None:
    samples = voice()
    sf.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    degradation = parse_degradation("noise:10")
    with array_stream(samples, RATE, sample_rate=RATE, degradation=degradation, degradation_seed=3) as stream:
        of_array = np.concatenate(list(stream))
    recording = Recording(str(tmp_path / "a.wav"), degradation=degradation, degradation_seed=3)
    np.testing.assert_array_equal(load_samples(recording, sample_rate=RATE), of_array)


def test_a_recording_says_what_is_done_to_it(stereo: str) -> None:
    recording = Recording("a.wav", start=1.5, degradation=parse_degradation("noise:10.0"))
    assert recording.label == "a.wav [1.5- s] with noise:10"
    bad = dataclasses.replace(recording, path=stereo, start=5.0)
    with pytest.raises(RecordingError), open_samples(bad, sample_rate=RATE) as stream:
        list(stream)


@pytest.mark.parametrize("make", [lambda: parse_degradation("noise:10+codec:mp3:32")])
def test_a_degradation_is_a_value(make: Callable[[], Degradation]) -> None:
    assert make() == make()
    assert hash(make()) == hash(make())
    assert Recording("a", degradation=make()) == Recording("a", degradation=make())
