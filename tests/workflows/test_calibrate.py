"""Calibration on a store's own speakers: what is held out is held out, and odd stores are answers or one line."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from speakerid.config import Config, FrontEndConfig, TrainingConfig
from speakerid.errors import StoreMismatchError, TrainingError, UsageError
from speakerid.frontend import StaticFeatures
from speakerid.mixtures import GaussianMixture, accumulate, maximum_a_posteriori_update
from speakerid.scoring import AdaptedStack
from speakerid.store import NewRecording, SpeakerUpdate, Store, World
from speakerid.workflows import calibrate as module
from speakerid.workflows.calibrate import HeldOut, calibrate, forget_calibration, hold_out, questions
from speakerid.workflows.learning import learn_each
from speakerid.workflows.shipped import shipped_calibration

K, D = 8, 4
FRONT_END = FrontEndConfig(cepstra=D, deltas=0, normalisation="none")
TRAINING = TrainingConfig(method="map", relevance_factor=4.0)


def make_world() -> World:
    rng = np.random.default_rng(0)
    mixture = GaussianMixture(np.full(K, 1 / K), rng.normal(0, 2, (K, D)), np.ones((K, D)))
    return World.from_bytes(World(mixture, FRONT_END).to_bytes(), where="here")


WORLD = make_world()


def voice(seed: int, lengths: Sequence[int]) -> list[NDArray[np.float32]]:
    """Recordings of a speaker, in frames of 10 ms."""
    rng = np.random.default_rng(seed)
    means = WORLD.mixture.means + rng.normal(0, 0.8, (K, D))
    return [
        np.float32(means[rng.integers(K, size=length)] + rng.normal(0, 1, (length, D)) + rng.normal(0, 0.2, D))
        for length in lengths
    ]


def make_store(path: Path, speakers: dict[str, Sequence[int]], *, session: str | None = None) -> Path:
    updates = []
    for seed, (name, lengths) in enumerate(speakers.items()):
        added = []
        for number, values in enumerate(voice(seed, lengths)):
            static = StaticFeatures(values, np.ones(len(values), dtype=np.bool_)).rounded()
            content_hash = hashlib.sha256(f"{name} {number}".encode()).hexdigest()
            seconds = len(values) / 100
            added.append(NewRecording(content_hash, f"{name}-{number}", session, 16000, seconds, seconds, static))
        ((mixture, record),) = learn_each([[new.static.cepstra for new in added]], TRAINING, WORLD)  # type: ignore[misc]
        details = {"log_likelihoods": record.log_likelihoods, "expected_ratio": record.expected_ratio}
        updates.append(SpeakerUpdate(name, frozenset(), tuple(added), mixture, details))
    Store.create(path, FRONT_END, TRAINING, WORLD, version="0", updates=updates).close()
    return path


def held(speakers: dict[str, list[NDArray[np.float32]]], **options: int) -> HeldOut:
    return hold_out(speakers, TRAINING, WORLD, **options)


# holding out


def test_what_is_asked_was_not_learned_from() -> None:
    speakers = {str(seed): voice(seed, [60, 110, 45, 80, 130, 52]) for seed in range(3)}
    found = held(speakers)
    flat = [(speaker, number) for speaker in range(3) for number in range(6)]
    for fold in range(4):
        mixtures = []
        for recordings in speakers.values():
            total = None
            for number, frames in enumerate(recordings):
                if number % 4 != fold:
                    statistics = accumulate(WORLD.mixture, frames)
                    total = statistics if total is None else total + statistics
            assert total is not None
            mixtures.append(maximum_a_posteriori_update(WORLD.mixture, total, 4.0))
        stack = AdaptedStack(WORLD.mixture, mixtures)
        for place in np.flatnonzero(found.fold == fold):
            speaker, number = flat[found.recording[place]]
            assert speaker == found.speaker[place]
            assert number % 4 == fold
        for number in set(found.recording[found.fold == fold].tolist()):
            speaker, of_speaker = flat[number]
            places = np.flatnonzero(found.recording == number)
            frames = speakers[str(speaker)][of_speaker]
            weights = found.frames[places] / len(frames)
            assert weights.sum() == pytest.approx(1)
            np.testing.assert_allclose(weights @ found.ratios[places], stack.mean_ratios(frames)[0], atol=1e-5)
    assert set(found.recording.tolist()) == set(range(18))
    assert found.expected.shape == (4, 3)


def test_of_two_recordings_of_which_one_is_empty_nothing_is_asked_that_was_learned_from() -> None:
    empty = np.empty((0, D), np.float32)
    with_empty = {str(seed): [*voice(seed, [200]), empty] for seed in range(3)}
    without = {str(seed): voice(seed, [200]) for seed in range(3)}
    one, other = held(with_empty), held(without)
    for field in dataclasses.fields(HeldOut):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
    # a recording that is all there is of the speaker is asked by quarters
    assert len(np.unique(other.recording)) == 12


def test_a_single_frame_is_never_asked() -> None:
    found = held({"0": voice(0, [1]), "1": voice(1, [100, 100]), "2": voice(2, [100, 100])})
    assert set(found.speaker.tolist()) == {1, 2}
    assert found.ratios.shape[1] == 3


def test_of_nothing_nothing_can_be_learned() -> None:
    with pytest.raises(TrainingError):
        held({"0": [np.empty((0, D), np.float32)], "1": voice(1, [100, 100])})


def test_the_numbers_do_not_depend_on_the_workers() -> None:
    speakers = {str(seed): voice(seed, [60, 110, 45]) for seed in range(4)}
    one, two = held(speakers, jobs=1), held(speakers, jobs=2)
    for field in dataclasses.fields(HeldOut):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))


def test_progress_is_the_folds() -> None:
    done: list[int] = []
    hold_out({"a": voice(0, [60, 60]), "b": voice(1, [60, 60])}, TRAINING, WORLD, progress=done.append)
    assert done == [1, 2, 3, 4]


# questions


def test_questions_are_made_of_what_was_scored() -> None:
    found = held({str(seed): voice(seed, [100] * 4) for seed in range(4)})
    data = questions(found, seed=1, count=400)
    again = questions(found, seed=1, count=400)
    np.testing.assert_array_equal(data.ratios, again.ratios)
    assert not np.array_equal(data.ratios, questions(found, seed=2, count=400).ratios)
    sizes = np.isfinite(data.ratios).sum(axis=1)
    assert sizes.min() == 1
    assert sizes.max() == 3
    known = data.truth >= 0
    assert 0.4 < known.mean() < 0.6
    assert (data.truth[known] == sizes[known] - 1).all()
    assert data.n_recordings == 16
    assert data.seconds.min() >= 0.5
    # the right one is asked: on the whole its ratio is the largest
    best = data.ratios[known].argmax(axis=1) == data.truth[known]
    assert best[sizes[known] > 1].mean() > 0.9


# a whole store


@pytest.mark.parametrize(
    "speakers",
    [
        {f"s{i}": [25] * 10 for i in range(4)},
        {f"s{i}": [20, 40, 16, 12, 300, 49, 50, 51] for i in range(5)},
        {"big": [500] * 20, "b": [60, 61], "c": [80, 90]},
        {"a": [15] * 9, "b": [15] * 9, "c": [14] * 5 + [15] * 9},
        {"a": [10_000], "b": [60] * 20, "c": [61]},
    ],
    ids=["a quarter of a second", "mixed", "unequal", "pieces that just do", "long and short"],
)  # fmt: skip
def test_odd_stores_are_calibrated(tmp_path: Path, speakers: dict[str, list[int]]) -> None:
    path = make_store(tmp_path / "odd.db", speakers, session="monday")
    report = calibrate(path, jobs=1)
    assert report.left_out == ()
    assert 0 <= report.cost_after < 1.2
    assert report.calibration.about["speakers"] == len(speakers)
    assert report.calibration.about["recordings"] == sum(map(len, speakers.values()))
    with Store(path) as store:
        assert store.calibration == report.calibration


@pytest.mark.parametrize(
    "speakers",
    [
        {"a": [200] * 20, "b": [200] * 20},
        {"a": [200] * 40},
        {f"s{i}": [11] for i in range(30)},
        {f"s{i}": [14] * 20 for i in range(5)},
        {f"s{i}": [59] for i in range(30)},
        {"a": [200] * 20, "b": [200] * 20, "c": [14] * 50},
        {"a": [200] * 7, "b": [200] * 7, "c": [200] * 7},
        {},
    ],
    ids=["two", "one", "tiny", "nothing long enough", "short", "two and one of snippets", "few", "nobody"],
)
def test_too_little_is_one_line_and_nothing_is_written(tmp_path: Path, speakers: dict[str, list[int]]) -> None:
    path = make_store(tmp_path / "little.db", speakers)
    with pytest.raises(UsageError, match="too little to calibrate with") as caught:
        calibrate(path)
    assert len(str(caught.value).splitlines()) == 1
    with Store(path) as store:
        assert store.calibration is None


def test_who_has_too_little_speech_is_named(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", {**{f"s{i}": [100] * 8 for i in range(4)}, "tiny": [20], "snippets": [14] * 9})
    report = calibrate(path)
    assert report.left_out == ("snippets", "tiny")
    assert report.calibration.about["speakers"] == 4


def test_two_hundred_speakers(tmp_path: Path) -> None:
    path = make_store(tmp_path / "many.db", {f"s{i:03}": [80] for i in range(200)})
    report = calibrate(path)
    assert report.calibration.about["recordings"] == 200
    assert report.cost_after < 0.5


def test_it_is_the_same_again_and_with_any_workers(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", {f"s{i}": [100] * 6 for i in range(5)})
    first = calibrate(path, jobs=1)
    assert calibrate(path, jobs=2) == first


def test_little_is_drawn_to_the_shipped_one() -> None:
    found = held({str(seed): voice(seed, [100] * 8) for seed in range(4)})
    data = questions(found, seed=0)
    shipped = np.array(shipped_calibration().several)
    near, far = (
        np.abs(np.array(module._fitted(dataclasses.replace(data, n_recordings=n)).several) - shipped).max()
        for n in (1, 10_000)
    )
    assert near < far


def test_other_settings_are_refused(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", {f"s{i}": [100] * 8 for i in range(4)})
    for function in (calibrate, forget_calibration):
        with pytest.raises(StoreMismatchError, match="was made with other settings"):
            function(path, config=Config())
    with Store(path) as store:
        assert store.calibration is None


def test_another_store_in_its_place_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_store(tmp_path / "s.db", {f"s{i}": [100] * 8 for i in range(4)})

    def exchange(*arguments: object, **options: object) -> HeldOut:
        path.unlink()
        Store.create(path, FrontEndConfig(), TrainingConfig(method="ml"), version="0").close()
        return hold_out(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "hold_out", exchange)
    with pytest.raises(StoreMismatchError, match="other settings"):
        calibrate(path)
    with Store(path) as store:
        assert store.calibration is None


def test_models_learned_from_nothing_cannot_be_calibrated(tmp_path: Path) -> None:
    path = tmp_path / "ml.db"
    Store.create(path, FRONT_END, TrainingConfig(method="ml"), version="0").close()
    for function in (calibrate, forget_calibration):
        with pytest.raises(UsageError, match="only speakers adapted from a world model can be calibrated"):
            function(path)


@pytest.mark.corpora
def test_fsdd_like_recordings_of_half_a_second(tmp_path: Path, corpora: Path) -> None:
    import csv

    from speakerid.audio import Recording
    from speakerid.workflows.enroll import enroll_recordings

    with (corpora / "protocols" / "fsdd-digits.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "enroll"]
    items = []
    for name in sorted({row["speaker"] for row in rows}):
        of_speaker = [row for row in rows if row["speaker"] == name][:8]
        items += [(name, Recording(str(corpora / "protocols" / row["path"]))) for row in of_speaker]
    path = tmp_path / "fsdd.db"
    enroll_recordings(path, items, config=Config())
    report = calibrate(path)
    assert report.cost_after < 0.8
