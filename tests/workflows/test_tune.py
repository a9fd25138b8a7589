"""Tuning, against a straightforward reckoning in the test: what is judged, on which frames, and what is chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray
from scipy.special import logsumexp

from speakerid.audio import Recording, load_samples
from speakerid.config import Config, FrontEndConfig, TrainingConfig
from speakerid.errors import ConfigError, UsageError
from speakerid.frontend import extract_static, finish
from speakerid.mixtures import GaussianMixture, train
from speakerid.workflows.curves import draw_curves
from speakerid.workflows.material import Material, material_from_recordings, material_from_store
from speakerid.workflows.tune import (
    Candidate,
    SpeakerRow,
    TuneRow,
    behind,
    best_row,
    candidates,
    compare,
    speaker_choices,
    too_large,
)

Matrix = NDArray[np.float64]
Run = Callable[..., Any]

WINDOW_SECONDS = 0.2


def recordings_of(folder: Path) -> list[Recording]:
    return [
        Recording(str(path), speaker=speaker.name)
        for speaker in sorted(folder.iterdir())
        for path in sorted(speaker.glob("*.flac"))
    ]


def frames_of(path: str | Path) -> Matrix:
    """Speech frames of a recording, by the public functions."""
    settings = FrontEndConfig()
    static = extract_static([load_samples(path, sample_rate=settings.sample_rate)], settings).rounded()
    return finish(static, settings).speech_values


def frame_log_densities(mixture: GaussianMixture, X: Matrix) -> Matrix:
    """log p(x_n) of diagonal covariances, in float64, as the lecture writes it."""
    X = X.astype(np.float64)
    terms = []
    for weight, mean, variance in zip(mixture.weights, mixture.means, mixture.variances, strict=True):
        squares = ((X - mean) ** 2 / variance).sum(axis=1)
        terms.append(math.log(weight) - 0.5 * (np.log(2 * np.pi * variance).sum() + squares))
    return np.asarray(logsumexp(terms, axis=0))


def dealt(lengths: Sequence[int], n_folds: int) -> list[int]:
    """The longest first, each to the fold that has least."""
    loads, folds = [0] * min(n_folds, len(lengths)), [0] * len(lengths)
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        folds[i] = loads.index(min(loads))
        loads[folds[i]] += lengths[i]
    return folds


def ratio_error(tops: Sequence[float], bottoms: Sequence[float]) -> float:
    """Standard error of Σ top / Σ bottom (Cochran 1977, eq. 2.44, without the finite population)."""
    n, ratio = len(tops), sum(tops) / sum(bottoms)
    squares = sum((t - ratio * b) ** 2 for t, b in zip(tops, bottoms, strict=True))
    return math.sqrt(squares / (n - 1) / n) / (sum(bottoms) / n)


# the numbers


@pytest.fixture(scope="module")
def material(small: Path) -> Material:
    return material_from_recordings(recordings_of(small), Config(), folds=2, jobs=1)


@pytest.fixture(scope="module")
def rows(material: Material) -> list[TuneRow]:
    return compare(candidates(Config(), [1, 4]), {FrontEndConfig(): material}, test_seconds=WINDOW_SECONDS, jobs=1)


@pytest.fixture(scope="module")
def frames(small: Path) -> dict[str, list[Matrix]]:
    return {
        folder.name: [frames_of(path) for path in sorted(folder.glob("*.flac"))] for folder in sorted(small.iterdir())
    }


@pytest.mark.parametrize("number", [0, 1])
def test_bic_and_aic_are_those_of_mixtures_trained_alone(
    rows: list[TuneRow], frames: dict[str, list[Matrix]], number: int
) -> None:
    row = rows[number]
    k = (1, 4)[number]
    total, n_all, bic, aic = 0.0, 0, 0.0, 0.0
    for name, parts in frames.items():
        X = np.concatenate(parts)
        mixture, _record = train(X, TrainingConfig(components=k))
        log_likelihood = frame_log_densities(mixture, X).sum()
        # weights that sum to one, means, variances
        p = (k - 1) + k * 40 + k * 40
        own_bic = -2 * log_likelihood + p * math.log(len(X))
        own_aic = -2 * log_likelihood + 2 * p
        assert row.speakers[name].components == k
        assert row.speakers[name].bic == pytest.approx(own_bic, rel=1e-6)
        assert row.speakers[name].aic == pytest.approx(own_aic, rel=1e-6)
        total, n_all, bic, aic = total + log_likelihood, n_all + len(X), bic + own_bic, aic + own_aic
    assert row.bic == pytest.approx(bic, rel=1e-6)
    assert row.aic == pytest.approx(aic, rel=1e-6)
    assert row.log_likelihood == pytest.approx(total / n_all, abs=1e-4)
    assert row.components == k


@pytest.mark.parametrize("number", [0, 1])
def test_held_out_and_accuracy_are_those_of_a_plain_loop(
    rows: list[TuneRow], frames: dict[str, list[Matrix]], number: int
) -> None:
    row, settings = rows[number], TrainingConfig(components=(1, 4)[number])
    names = list(frames)
    folds = {name: dealt([len(f) for f in frames[name]], 2) for name in names}
    own: list[float] = []
    lengths: list[int] = []
    rights: list[int] = []
    asked: list[int] = []
    by_speaker: dict[str, list[int]] = {name: [] for name in names}
    doubtful = 0
    for fold in (0, 1):
        mixtures = [
            train(np.concatenate([f for f, at in zip(frames[n], folds[n], strict=True) if at != fold]), settings)[0]
            for n in names
        ]
        for i, name in enumerate(names):
            for part, at in zip(frames[name], folds[name], strict=True):
                if at != fold:
                    continue
                scores = np.stack([frame_log_densities(m, part) for m in mixtures])
                # windows of about 20 frames, as near to equal as they can be
                sums = np.stack([s.mean(axis=1) for s in np.array_split(scores, max(len(part) // 20, 1), axis=1)])
                two = np.sort(sums, axis=1)[:, -2:]
                doubtful += int((two[:, 1] - two[:, 0] < 1e-3).sum())
                by_speaker[name].append(len(own))
                own.append(float(scores[i].sum()))
                lengths.append(len(part))
                rights.append(int((sums.argmax(axis=1) == i).sum()))
                asked.append(len(sums))
    assert row.asked == sum(asked)
    assert 0 < sum(rights) < sum(asked), "a test in which all are right would tell nothing"
    assert abs(row.right - sum(rights)) <= doubtful
    assert row.accuracy == row.right / row.asked
    assert row.held_out == pytest.approx(sum(own) / sum(lengths), abs=1e-3)
    assert row.held_out_error == pytest.approx(ratio_error(own, lengths), rel=1e-3)
    if doubtful == 0:
        assert row.accuracy_error == pytest.approx(ratio_error(rights, asked), rel=1e-9)
    for name, which in by_speaker.items():
        expected = sum(own[i] for i in which) / sum(lengths[i] for i in which)
        assert row.speakers[name].held_out == pytest.approx(expected, abs=1e-3)


def test_speech_that_was_not_trained_on_is_less_likely(rows: list[TuneRow]) -> None:
    assert all(row.held_out < row.log_likelihood for row in rows)
    # and the more so the larger the mixture
    small_gap, large_gap = (row.log_likelihood - row.held_out for row in rows)
    assert small_gap < large_gap


def test_the_number_of_jobs_does_not_matter(material: Material, rows: list[TuneRow]) -> None:
    tried = candidates(Config(), [1, 4])
    assert compare(tried, {FrontEndConfig(): material}, test_seconds=WINDOW_SECONDS, jobs=2) == rows


def test_progress_counts_the_candidates(material: Material) -> None:
    told: list[int] = []
    compare(candidates(Config(), [1, 2]), {FrontEndConfig(): material}, test_seconds=2, jobs=1, progress=told.append)
    assert told == [1, 2]


def test_components_by_bic_are_each_speaker_s_best(material: Material) -> None:
    (auto,) = compare(candidates(Config(), ["auto"]), {FrontEndConfig(): material}, test_seconds=2, jobs=1)
    for name, speaker in auto.speakers.items():
        X = np.concatenate([f for f, _fold in material.pieces[name]])
        bics = {}
        for k in (1, 2, 4, 8, 16, 32, 64):
            mixture, _record = train(X, TrainingConfig(components=k))
            n_free = mixture.n_components * 81 - 1
            bics[k] = -2 * frame_log_densities(mixture, X).sum() + n_free * math.log(len(X))
        # what is best by a hair is best either way
        assert bics[speaker.components] <= min(bics.values()) * (1 + 1e-6)
    assert auto.components == np.mean([speaker.components for speaker in auto.speakers.values()])


# folds


def test_recordings_are_whole_in_their_folds(material: Material, frames: dict[str, list[Matrix]]) -> None:
    for name, parts in frames.items():
        lengths, folds = zip(*[(len(f), fold) for f, fold in material.pieces[name]], strict=True)
        assert sorted(lengths) == sorted(map(len, parts))
        assert set(folds) == {0, 1}
    assert material.n_folds == 2
    assert material.most_frames() == max(sum(map(len, parts)) for parts in frames.values())
    assert (material.problems, material.duplicates, material.cut) == ([], 0, [])


def test_sessions_are_whole_in_their_folds(small: Path) -> None:
    given = [
        replace(recording, session="tuesday" if recording.path.endswith("-2.flac") else "monday")
        for recording in recordings_of(small)
    ]
    material = material_from_recordings(given, Config(), folds=5, jobs=1)
    for pieces in material.pieces.values():
        folds = [fold for _frames, fold in pieces]
        assert len(folds) == 3
        # two recordings of monday, one of tuesday
        assert sorted(folds.count(fold) for fold in set(folds)) == [1, 2]


def test_more_folds_than_recordings_is_one_recording_a_fold(small: Path) -> None:
    material = material_from_recordings(recordings_of(small), Config(), folds=1000, jobs=1)
    assert material.n_folds == 3
    for pieces in material.pieces.values():
        assert sorted(fold for _frames, fold in pieces) == [0, 1, 2]


def test_a_single_recording_is_cut_into_stretches(sample: Path, small: Path) -> None:
    path = sample / "test" / "duncan-1.flac"
    given = [*recordings_of(small), Recording(str(path), speaker="Duncan")]
    material = material_from_recordings(given, Config(), folds=3, jobs=1)
    assert material.cut == ["Duncan"]
    pieces = material.pieces["Duncan"]
    assert [fold for _frames, fold in pieces] == [0, 1, 2]
    # one after the other, of like length, nothing lost
    # (read in blocks or at once: a cepstrum may round to the next half-precision number)
    np.testing.assert_allclose(np.concatenate([f for f, _fold in pieces]), frames_of(path), rtol=2e-3, atol=1e-3)
    lengths = [len(f) for f, _fold in pieces]
    assert max(lengths) - min(lengths) <= 1


def test_copies_count_once_whatever_the_format(small: Path, tmp_path: Path) -> None:
    original = sorted((small / "Tom").glob("*.flac"))[0]
    samples, rate = sf.read(original, dtype="int16")
    sf.write(tmp_path / "copy.wav", samples, rate)
    given = recordings_of(small)
    again = material_from_recordings(
        [*given, Recording(str(tmp_path / "copy.wav"), speaker="Tom")], Config(), folds=3, jobs=1
    )
    assert again.duplicates == 1
    assert len(again.pieces["Tom"]) == 3


def test_what_cannot_be_used_is_told_and_the_rest_is_done(small: Path, bad_inputs: dict[str, Path]) -> None:
    bad = [Recording(str(bad_inputs[name]), speaker="Tom") for name in ("empty", "silence", "noise", "text")]
    material = material_from_recordings([*recordings_of(small), *bad], Config(), folds=3, jobs=1)
    assert [problem.path for problem in material.problems] == [recording.path for recording in bad]
    assert [len(pieces) for pieces in material.pieces.values()] == [3, 3, 3]
    nothing = material_from_recordings(bad, Config(), folds=3, jobs=1)
    assert (nothing.pieces, len(nothing.problems)) == ({}, len(bad))


def test_the_least_speech_of_the_settings_counts(small: Path) -> None:
    strict = Config()
    strict = replace(strict, decision=replace(strict.decision, minimum_speech_seconds=4.2))
    material = material_from_recordings(recordings_of(small), strict, folds=3, jobs=1)
    assert material.problems
    assert {problem.reason for problem in material.problems} == {"too_short"}
    assert len(material.problems) < 9
    for pieces in material.pieces.values():
        assert sum(len(frames) for frames, _fold in pieces) >= 420


def test_a_store_has_the_frames_of_its_recordings(enrolled: Path, small: Path) -> None:
    stored = material_from_store(enrolled, folds=3)
    given = material_from_recordings(recordings_of(small), Config(), folds=3, jobs=1)
    for name, pieces in given.pieces.items():
        here = sorted(f.tobytes() for f, _fold in pieces)
        there = sorted(f.tobytes() for f, _fold in stored.pieces[name])
        assert here == there


def test_a_speaker_who_cannot_be_held_out_is_not_asked(frames: dict[str, list[Matrix]]) -> None:
    alice, tom = frames["Alice"], frames["Tom"]
    material = Material(
        FrontEndConfig(), {"Alice": [(f, 0) for f in alice], "Tom": list(zip(tom, (0, 1, 1), strict=True))}
    )
    (row,) = compare(candidates(Config(), [2]), {FrontEndConfig(): material}, test_seconds=2, jobs=1)
    assert row.speakers["Alice"].held_out is None
    assert row.asked == sum(max(len(f) // 200, 1) for f in tom)
    assert speaker_choices([row], row, "Alice") == {"bic": 2, "aic": 2, "held_out": None}
    nobody = Material(FrontEndConfig(), {"Alice": [(f, 0) for f in alice]})
    with pytest.raises(UsageError, match="nothing can be held out"):
        compare(candidates(Config(), [2]), {FrontEndConfig(): nobody}, test_seconds=2, jobs=1)


def test_a_speaker_who_cannot_be_held_out_is_still_among_the_answers(frames: dict[str, list[Matrix]]) -> None:
    alice, tom = frames["Alice"], frames["Tom"]
    material = Material(
        FrontEndConfig(), {"Alice": [(f, 0) for f in alice], "Tom": list(zip(tom, (0, 1, 1), strict=True))}
    )
    (row,) = compare(candidates(Config(), [1]), {FrontEndConfig(): material}, test_seconds=0.02, jobs=1)
    rival = train(np.concatenate(alice), TrainingConfig(components=1))[0]
    right = 0
    for fold in (0, 1):
        held_out = [tom[0]] if fold == 0 else tom[1:]
        own = train(np.concatenate(tom[1:] if fold == 0 else tom[:1]), TrainingConfig(components=1))[0]
        for part in held_out:
            ahead = frame_log_densities(own, part) - frame_log_densities(rival, part)
            right += sum(window.sum() > 0 for window in np.array_split(ahead, len(part) // 2))
    assert right < row.asked
    assert row.right == pytest.approx(right, abs=1)


def test_stretches_of_one_file_stay_together(small: Path) -> None:
    given = [
        Recording(str(path), speaker=path.parent.name, start=start, end=start + 2.0)
        for path in sorted(small.glob("*/*-[12].flac"))
        for start in (0.0, 1.0)
    ]
    material = material_from_recordings(given, Config(), folds=4, jobs=1)
    for pieces in material.pieces.values():
        # two files, each whole in a fold, whatever the order of their stretches
        assert sorted(fold for _frames, fold in pieces) == [0, 0, 1, 1]


# candidates


def test_candidates_are_all_combinations_in_order() -> None:
    tried = candidates(Config(), [1, "auto"], {"covariance": ["diagonal", "full"], "front_end.cepstra": ["13"]})
    assert [(c.components, c.label) for c in tried] == [
        (1, "covariance = diagonal, cepstra = 13"),
        ("auto", "covariance = diagonal, cepstra = 13"),
        (1, "covariance = full, cepstra = 13"),
        ("auto", "covariance = full, cepstra = 13"),
    ]
    assert {c.config.front_end.cepstra for c in tried} == {13}
    assert [c.config.training.covariance for c in tried] == ["diagonal", "diagonal", "full", "full"]


def test_what_is_not_varied_stays(small: Path) -> None:
    base = Config(front_end=FrontEndConfig(cepstra=13), training=TrainingConfig(seed=5, components=3))
    (one,) = candidates(base, [7])
    assert one == Candidate(replace(base, training=replace(base.training, components=7)))
    assert one.label == ""


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("iterations", "5", 5),
        ("variance_floor", "1e-3", 0.001),
        ("training.seed", "7", 7),
        ("centred", "true", True),
        ("c0", "drop", "drop"),
        ("mel_low_hz", "50", 50.0),
    ],
)
def test_values_are_read_as_numbers_words_and_booleans(name: str, text: str, value: object) -> None:
    (one,) = candidates(Config(), [1], {name: [text]})
    key = name.rpartition(".")[2]
    found = [getattr(t, key) for t in (one.config.training, one.config.front_end) if hasattr(t, key)]
    assert found == [value]
    assert type(found[0]) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("components", "4"),
        ("training.components", "4"),
        ("kovariance", "full"),
        ("front_end.covariance", "full"),
        ("decision.minimum_speech_seconds", "1"),
        ("minimum_speech_seconds", "1"),
        ("a.b.c", "1"),
        (".", "1"),
        ("covariance", "round"),
        ("tolerance", "nan"),
        ("tolerance", "inf"),
        ("seed", "-1"),
        ("seed", "1.0"),
        ("seed", "9" * 5000),
        ("cepstra", "500"),
        ("centred", "True"),
        ("variance_floor", "0"),
    ],
)
def test_what_cannot_be_varied_so_is_a_config_error(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=name.rpartition(".")[2] or "no setting"):
        candidates(Config(), [1], {name: [text]})


def test_more_components_than_anybody_has_speech_for_are_too_large(material: Material) -> None:
    most = material.most_frames() // 8
    tried = candidates(Config(), [1, most, most + 1, 65536, "auto"])
    left_out = too_large(tried, {FrontEndConfig(): material})
    assert [c.components for c in left_out] == [most + 1, 65536]


# choosing


N_RECORDINGS, FRAMES, WINDOWS = 16, 100, 4


def made_up(
    k: int | str,
    *,
    bic: float = 0.0,
    aic: float = 0.0,
    held_out: float | Sequence[float] = 0.0,
    right: Sequence[int] = (WINDOWS,) * N_RECORDINGS,
    names: Sequence[str] = ("Ann", "Bob"),
) -> TuneRow:
    """A row of 16 recordings of 100 frames and 4 windows; `held_out` (nats a frame) and `right` by recording."""
    size = k if isinstance(k, int) else 10
    by_recording = np.broadcast_to(np.asarray(held_out, dtype=float), N_RECORDINGS)
    ones = np.ones(N_RECORDINGS)
    return TuneRow(
        candidate=Candidate(Config(training=TrainingConfig(components=k))),  # type: ignore[arg-type]
        components=float(size),
        log_likelihood=0.0,
        bic=bic,
        aic=aic,
        parameters=size,
        held_out=float(by_recording.mean()),
        held_out_error=0.1,
        right=sum(right),
        asked=WINDOWS * N_RECORDINGS,
        accuracy_error=0.01,
        speakers={name: SpeakerRow(size, bic, aic, float(by_recording.mean())) for name in names},
        recordings=np.stack([FRAMES * by_recording, FRAMES * ones, np.asarray(right, float), WINDOWS * ones], axis=1),
    )


def wrong(*recordings: int) -> list[int]:
    """Windows right of each recording, with one wrong in each of those named."""
    return [WINDOWS - (i in recordings) for i in range(N_RECORDINGS)]


def test_bic_and_aic_choose_the_smallest() -> None:
    table = [made_up(1, bic=3.0, aic=-1.0), made_up(2, bic=-2.0, aic=1.0), made_up(4, bic=4.0, aic=-3.0)]
    assert best_row(table, "bic") == (table[1], "the smallest BIC")
    assert best_row(table, "aic") == (table[2], "the smallest AIC")


def test_how_far_behind_is_a_paired_difference() -> None:
    spread = np.linspace(-60.0, -30.0, N_RECORDINGS)  # recordings differ far more than rows
    gaps = np.tile([0.4, 0.6], N_RECORDINGS // 2)
    best, row = made_up(4, held_out=spread), made_up(2, held_out=spread - gaps, right=wrong(0, 1, 2, 3))
    difference, error = behind(row, best, "held-out")
    assert difference == pytest.approx(0.5)
    assert error == pytest.approx(np.std(gaps, ddof=1) / np.sqrt(N_RECORDINGS))
    difference, error = behind(row, best, "accuracy")
    assert difference == pytest.approx(4 / 64)
    lost = np.repeat([1.0, 0.0], [4, 12]) / WINDOWS
    assert error == pytest.approx(np.std(lost, ddof=1) / np.sqrt(N_RECORDINGS))
    assert behind(best, best, "held-out") == (0.0, 0.0)
    assert behind(best, best, "accuracy") == (0.0, 1 / 64)  # a window is the least that can be known


def test_held_out_chooses_the_simplest_that_is_not_told_apart_from_the_best() -> None:
    noise = np.tile([0.5, -0.3], N_RECORDINGS // 2)
    table = [made_up(1, held_out=-50.0), made_up(2, held_out=-45.0 - noise), made_up(4, held_out=-45.0)]
    chosen, why = best_row(table, "held-out")
    assert chosen is table[1]  # 0.1 behind, with an error of 0.1
    assert why.startswith("the simplest of the 2")
    table[1] = made_up(2, held_out=-45.0 - noise - 0.1)
    assert best_row(table, "held-out") == (table[2], "the largest held-out log-likelihood")


def test_equal_rows_give_the_simplest() -> None:
    table = [made_up(4), made_up(1), made_up(2)]
    assert best_row(table, "accuracy")[0] is table[1]


def test_the_best_accuracy_wins_where_no_other_is_near() -> None:
    table = [made_up(1, right=wrong(*range(8)), held_out=9.0), made_up(2, held_out=-9.0)]
    chosen, why = best_row(table, "accuracy")
    assert chosen is table[1]
    assert why == "the best accuracy, 100.0 %; no other is within one standard error of it"


def test_a_single_window_decides_nothing() -> None:
    table = [made_up(1, right=wrong(3), held_out=-4.0), made_up(2, held_out=-5.0)]
    chosen, why = best_row(table, "accuracy")
    assert chosen is table[0]
    assert "2 whose accuracy is within one standard error of the best, the largest held-out" in why


def test_one_speaker_is_judged_by_held_out_speech() -> None:
    table = [made_up(k, held_out=h, names=["Ann"]) for k, h in ((1, -5.0), (2, -3.0), (4, -4.0))]
    chosen, why = best_row(table, "accuracy")
    assert chosen is table[1]
    assert "held-out" in why


def test_a_single_row_is_chosen() -> None:
    assert best_row([made_up(3)], "accuracy")[1] == "there was no other"


def test_the_choices_of_one_speaker() -> None:
    table = [
        made_up(1, bic=1.0, aic=9.0, held_out=-5.0),
        made_up(2, bic=2.0, aic=3.0, held_out=-4.0),
        made_up(4, bic=3.0, aic=4.0, held_out=-3.0),
        made_up("auto", bic=-9.0, aic=-9.0, held_out=0.0),
    ]
    assert speaker_choices(table, table[0], "Bob") == {"bic": 1, "aic": 2, "held_out": 4}


def test_front_ends_are_not_compared_by_likelihood(small: Path) -> None:
    tried = candidates(Config(), [2], {"cepstra": ["20", "8"]})
    materials = {
        c.config.front_end: material_from_recordings(recordings_of(small), c.config, folds=2, jobs=1) for c in tried
    }
    rows = compare(tried, materials, test_seconds=2, jobs=1)
    assert rows[0].accuracy == rows[1].accuracy == 1.0
    # nothing tells them apart but the number of features
    assert best_row(rows, "accuracy")[0] is rows[0]


# pictures


@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG\r\n"), ("svg", b"<?xml"), ("pdf", b"%PDF-")])
def test_pictures_are_what_their_names_say_and_the_same_again(
    rows: list[TuneRow], tmp_path: Path, suffix: str, begins: bytes
) -> None:
    table = [*rows, made_up("auto", bic=rows[0].bic, aic=rows[0].aic, held_out=-50.0, right=wrong(1, 2))]
    paths = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for path in paths:
        draw_curves(table, rows[1], path, test_seconds=0.2)
    first, second = (path.read_bytes() for path in paths)
    assert first.startswith(begins)
    assert first == second


def test_a_picture_of_no_kind_is_refused(rows: list[TuneRow], tmp_path: Path) -> None:
    for name in ("a.jpg", "a", "a.svg.txt"):
        with pytest.raises(UsageError, match="picture"):
            draw_curves(rows, rows[0], tmp_path / name, test_seconds=2)
    assert list(tmp_path.iterdir()) == []
