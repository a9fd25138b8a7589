"""An evaluation is what enrolment and identification make of the same recordings, however it is run."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

import speakerid
from speakerid.audio import Recording
from speakerid.config import Config, TrainingConfig
from speakerid.errors import UsageError
from speakerid.evaluation.outcome import Outcome
from speakerid.workflows import evaluate as evaluating
from speakerid.workflows.cache import FeatureCache
from speakerid.workflows.evaluate import System, SystemResult, content_hashes, evaluate_system, steps_of
from speakerid.workflows.identify import Identifier
from speakerid.workflows.learning import learn_each
from speakerid.workflows.protocols import Protocol, read_protocol
from speakerid.workflows.score_book import ScoreBooks

SMALL = Config(training=TrainingConfig(components=4))
DEFAULT = Config()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FeatureCache]:
    with FeatureCache(tmp_path / "cache") as features:
        yield features


@pytest.fixture
def books(cache: FeatureCache) -> ScoreBooks:
    return ScoreBooks(cache.folder.parent, limit_bytes=10**8)


def read(data: Path, cache: FeatureCache, **options: Any) -> Protocol:
    def hashes(recordings: Any) -> Any:
        return content_hashes(recordings, SMALL, cache, jobs=1)

    return read_protocol(str(data), content_hashes=hashes, **options)


def evaluated(protocol: Protocol, cache: FeatureCache, config: Config = SMALL, **options: Any) -> SystemResult:
    return evaluate_system(protocol, System("small", config), cache, **{"jobs": 1, **options})


def asked(outcome: Outcome, *, left_out: bool = False) -> dict[str, dict[str, float]]:
    """Log-likelihoods by path and speaker, of those that are enrolled and could be judged."""
    return {
        row.path: {
            name: float(value) for name, value in zip(outcome.speakers, values, strict=True) if np.isfinite(value)
        }
        for row, values in zip(outcome.rows, outcome.log_likelihoods, strict=True)
        if row.left_out == left_out
    }


def identified(paths: list[str], enrolled: dict[str, list[str]], folder: Path, config: Config = SMALL) -> Any:
    """The same by enrolment into a store and by identification."""
    store = folder / f"{len(list(folder.iterdir()))}.db"
    report = speakerid.enroll(enrolled, db=store, config=config, jobs=1)
    assert not report.problems
    identifier = Identifier.open(store)
    return {path: {s.speaker: s.log_likelihood for s in identifier.identify(path).scores} for path in paths}


@pytest.fixture
def train_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many speakers are trained at each call."""
    calls: list[int] = []

    def counted(frames: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(len(frames))
        return learn_each(frames, *arguments, **options)

    monkeypatch.setattr(evaluating, "learn_each", counted)
    return calls


@pytest.fixture
def score_calls(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Content hash of every recording that is scored."""
    calls: list[str | None] = []
    original = Identifier.log_likelihoods

    def counted(self: Identifier, analysis: Any, **options: Any) -> Any:
        calls.append(analysis.content_hash)
        return original(self, analysis, **options)

    monkeypatch.setattr(Identifier, "log_likelihoods", counted)
    return calls


def same(first: Outcome, second: Outcome) -> None:
    assert first.rows == second.rows
    assert first.speakers == second.speakers
    for name in ("log_likelihoods", "scores", "enrolled", "enrolled_seconds"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


# --- the same as enroll and identify


@pytest.mark.parametrize("config", [DEFAULT, SMALL], ids=["map", "ml"])
def test_log_likelihoods_are_those_of_identification_to_the_last_bit(
    sample: Path, cache: FeatureCache, tmp_path: Path, config: Config
) -> None:
    assert config.training.method == ("map" if config is DEFAULT else "ml")
    protocol = read(sample / "protocol.csv", cache)
    found = asked(evaluated(protocol, cache, config).outcome)
    enrolled: dict[str, list[str]] = {}
    for recording in protocol.rounds[0].enroll:
        enrolled.setdefault(recording.speaker or "", []).append(recording.path)
    assert found == identified(list(found), enrolled, tmp_path, config)
    assert len(found) == 18
    assert {len(scores) for scores in found.values()} == {10}


def test_scores_and_decisions_are_those_of_identification_to_the_last_digit_that_is_written(
    sample: Path, cache: FeatureCache, tmp_path: Path
) -> None:
    protocol = read(sample / "protocol.csv", cache)
    outcome = evaluated(protocol, cache, DEFAULT).outcome
    assert not speakerid.enroll(sample / "protocol.csv", db=tmp_path / "s.db", jobs=1).problems
    identifier = Identifier.open(tmp_path / "s.db")
    statuses = []
    for row, scores, named in zip(outcome.rows, outcome.scores, outcome.named, strict=True):
        answer = identifier.identify(row.path)
        statuses.append(answer.status)
        assert (outcome.speakers[named] if named >= 0 else None) == answer.decision
        if answer.scores:
            assert dict(zip(outcome.speakers, scores.tolist(), strict=True)) == {
                score.speaker: round(score.llr or 0.0, 6) for score in answer.scores
            }
    assert {status: statuses.count(status) for status in set(statuses)} == {"identified": 15, "unknown": 3}


@pytest.mark.parametrize("covariance", ["full", "tied"])
def test_so_they_are_with_other_settings(sample: Path, cache: FeatureCache, tmp_path: Path, covariance: str) -> None:
    training = dataclasses.replace(SMALL.training, covariance=covariance, components=2)
    config = dataclasses.replace(SMALL, training=training)
    protocol = read(sample / "protocol.csv", cache)
    found = asked(evaluated(protocol, cache, config).outcome)
    enrolled: dict[str, list[str]] = {}
    for recording in protocol.rounds[0].enroll:
        enrolled.setdefault(recording.speaker or "", []).append(recording.path)
    assert found == identified(list(found), enrolled, tmp_path, config)


def test_leaving_a_speaker_out_is_enrolling_without(sample: Path, cache: FeatureCache, tmp_path: Path) -> None:
    folder = tmp_path / "stores"
    folder.mkdir()
    protocol = read(sample / "protocol.csv", cache, leave_one_speaker_out=True)
    outcome = evaluated(protocol, cache).outcome
    without = asked(outcome, left_out=True)
    assert len(without) == 15, "strangers have no speaker to leave out"
    speakers = {recording.path: recording.speaker or "" for recording in protocol.rounds[0].tests}
    for name in ("Alice", "Tom", "Núria"):
        others: dict[str, list[str]] = {}
        for recording in protocol.rounds[0].enroll:
            if recording.speaker != name:
                others.setdefault(recording.speaker or "", []).append(recording.path)
        paths = [path for path in without if speakers[path] == name]
        assert paths
        for path, scores in identified(paths, others, folder).items():
            # the stack of models is rounded with other means
            assert without[path] == pytest.approx(scores, rel=0, abs=2e-5)
    # and the margins are among those who remain
    scores = np.sort(outcome.log_likelihoods[outcome.strangers], axis=1)
    margins = np.round(scores[:, -1] - scores[:, -2], 6)  # as they are written down
    np.testing.assert_array_equal(outcome.acceptance[outcome.strangers], margins)


def test_folds_are_enrolling_the_others(small: Path, cache: FeatureCache, tmp_path: Path) -> None:
    folder = tmp_path / "stores"
    folder.mkdir()
    protocol = read(small, cache, folds=3)
    outcome = evaluated(protocol, cache).outcome
    found = asked(outcome)
    every = {recording.path: recording.speaker or "" for one in protocol.rounds for recording in one.tests}
    assert len(found) == len(every) == 9
    for number, one in enumerate(protocol.rounds):
        held_out = [recording.path for recording in one.tests]
        enrolled: dict[str, list[str]] = {}
        for path, name in every.items():
            if path not in held_out:
                enrolled.setdefault(name, []).append(path)
        assert {path: found[path] for path in held_out} == identified(held_out, enrolled, folder)
        assert {row.round for row in outcome.rows if row.path in held_out} == {number}
    assert [row.test for row in outcome.rows] == list(range(9))


def test_a_channel_and_a_stretch_are_those_of_identification(tmp_path: Path, cache: FeatureCache, sample: Path) -> None:
    rows = []
    for name in ("Alice", "Tom", "Ivan"):
        left, rate = sf.read(sample / "enroll" / name / f"{name.lower()}-enroll-1.flac")
        right, _rate = sf.read(sample / "enroll" / name / f"{name.lower()}-enroll-2.flac")
        n = min(len(left), len(right))
        sf.write(tmp_path / f"{name}.wav", np.stack([left[:n], right[:n]], axis=1), rate)
        rows += [f"{name}.wav,{name},enroll,0,2", f"{name}.wav,{name},test,2,"]
    (tmp_path / "p.csv").write_text("path,speaker,split,start,end\n" + "\n".join(rows), encoding="utf-8")
    protocol = read(tmp_path / "p.csv", cache)
    outcome = evaluated(protocol, cache, channel=2).outcome
    store = tmp_path / "s.db"
    from speakerid.workflows.enroll import enroll_recordings

    items = [(r.speaker or "", r) for r in protocol.rounds[0].enroll]
    assert not enroll_recordings(store, items, config=SMALL, channel=2, jobs=1).problems
    identifier = Identifier.open(store)
    for row, values in zip(outcome.rows, outcome.log_likelihoods, strict=True):
        answer = identifier.identify(Recording(row.path, start=row.start, end=row.end), channel=2)
        assert {s.speaker: s.log_likelihood for s in answer.scores} == dict(
            zip(outcome.speakers, values.tolist(), strict=True)
        )
        assert (row.speech_seconds, row.duration_seconds) == (answer.speech_seconds, answer.duration_seconds)


def test_the_same_audio_under_two_names_is_whose_enrolment_says(
    sample: Path, cache: FeatureCache, tmp_path: Path
) -> None:
    voice = sample / "enroll" / "Tom" / "tom-enroll-1.flac"
    shutil.copy(voice, tmp_path / "a.flac")
    shutil.copy(voice, tmp_path / "b.flac")
    rows = ["path,speaker,split", "a.flac,Zoe,enroll", "b.flac,Adam,enroll"]
    rows += [f"{sample}/enroll/Tom/tom-enroll-{i}.flac,{name},enroll" for i, name in ((2, "Zoe"), (3, "Adam"))]
    rows += [f"{sample}/test/tom-1.flac,Zoe,test"]
    (tmp_path / "p.csv").write_text("\n".join(rows), encoding="utf-8")
    result = evaluated(read(tmp_path / "p.csv", cache), cache)
    store = tmp_path / "s.db"
    report = speakerid.enroll(tmp_path / "p.csv", db=store, config=SMALL, jobs=1)
    assert [problem.reason for problem in result.problems] == ["duplicate"]
    assert [problem.path for problem in result.problems] == [problem.path for problem in report.problems]
    answer = Identifier.open(store).identify(str(sample / "test" / "tom-1.flac"))
    assert asked(result.outcome) == {
        str(sample / "test" / "tom-1.flac"): {s.speaker: s.log_likelihood for s in answer.scores}
    }


# --- however it is run


@pytest.mark.parametrize("config", [DEFAULT, SMALL], ids=["map", "ml"])
def test_the_result_depends_neither_on_jobs_nor_on_the_cache_nor_on_the_book(
    sample: Path, cache: FeatureCache, books: ScoreBooks, train_calls: list[int], config: Config
) -> None:
    protocol = read(sample / "protocol.csv", cache)
    cold = evaluated(protocol, cache, config).outcome
    assert cache.hits == 0
    with FeatureCache.temporary() as other:
        same(evaluated(protocol, other, config, jobs=2).outcome, cold)
    same(evaluated(protocol, cache, config, jobs=3).outcome, cold)
    assert cache.misses == 48
    first = evaluated(protocol, cache, config, books=books).outcome
    assert books.found == 0
    assert len(train_calls) == 4
    again = evaluated(protocol, cache, config, books=books, jobs=2).outcome
    assert books.found == 18
    assert len(train_calls) == 4, "nobody was trained again"
    same(first, cold)
    same(again, cold)


def test_speakers_trained_in_batches_are_the_same(
    sample: Path, cache: FeatureCache, monkeypatch: pytest.MonkeyPatch, train_calls: list[int]
) -> None:
    protocol = read(sample / "protocol.csv", cache)
    whole = evaluated(protocol, cache).outcome
    monkeypatch.setattr(evaluating, "_BATCH_RECORDINGS", 7)
    monkeypatch.setattr(evaluating, "_KEPT_FRAMES", 1000)
    same(evaluated(protocol, cache).outcome, whole)
    assert train_calls == [10, 3, 3, 3, 1]


def test_features_are_computed_once_for_all_systems_and_rounds(small: Path, cache: FeatureCache) -> None:
    protocol = read(small, cache, folds=3)
    assert (cache.hits, cache.misses) == (0, 9)
    evaluated(protocol, cache)
    evaluated(protocol, cache, dataclasses.replace(SMALL, training=dataclasses.replace(SMALL.training, seed=9)))
    assert cache.misses == 9


def test_progress_counts_to_the_steps_and_no_further(sample: Path, cache: FeatureCache, books: ScoreBooks) -> None:
    protocol = read(sample / "protocol.csv", cache)
    for _run in range(2):
        said: list[int] = []
        evaluated(protocol, cache, books=books, progress=said.append)
        assert said == list(range(1, 49))
    assert steps_of(protocol) == 48


class Stop(Exception):  # noqa: N818 - as KeyboardInterrupt
    """Somebody stopped the run."""


def stopped_after(number: int) -> Callable[[int], None]:
    def progress(done: int) -> None:
        if done == number:
            raise Stop

    return progress


def test_going_on_scores_only_the_rest_and_gives_the_same(
    sample: Path, cache: FeatureCache, books: ScoreBooks, score_calls: list[str | None]
) -> None:
    protocol = read(sample / "protocol.csv", cache)
    whole = evaluated(protocol, cache).outcome
    everything = list(score_calls)
    score_calls.clear()
    with pytest.raises(Stop):
        evaluated(protocol, cache, books=books, progress=stopped_after(30 + 7))
    kept = list(score_calls)
    assert 5 <= len(kept) <= 7
    score_calls.clear()
    said: list[int] = []
    books = ScoreBooks(cache.folder.parent, limit_bytes=10**8)
    same(evaluated(protocol, cache, books=books, progress=said.append).outcome, whole)
    assert sorted(kept + score_calls) == sorted(everything)
    assert not set(kept) & set(score_calls)
    assert books.found == len(kept)
    assert said == list(range(1, 49))


def test_recordings_that_are_not_scored_yet_are_not_counted_as_done(
    sample: Path, cache: FeatureCache, books: ScoreBooks, score_calls: list[str | None]
) -> None:
    protocol = read(sample / "protocol.csv", cache)
    with pytest.raises(Stop):
        evaluated(protocol, cache, books=books, progress=stopped_after(30 + 3))
    score_calls.clear()
    done: list[tuple[int, int]] = []
    evaluated(protocol, cache, books=books, progress=lambda number: done.append((number, len(score_calls))))
    unjudged_and_kept = done[-1][0] - done[-1][1]
    assert all(number - scored <= unjudged_and_kept for number, scored in done)


def changed_settings(protocol: Protocol, config: Config) -> tuple[Protocol, Config]:
    return protocol, dataclasses.replace(config, training=dataclasses.replace(config.training, components=3))


def one_recording_less(protocol: Protocol, config: Config) -> tuple[Protocol, Config]:
    one = protocol.rounds[0]
    return dataclasses.replace(protocol, rounds=(dataclasses.replace(one, enroll=one.enroll[1:]),)), config


@pytest.mark.parametrize("change", [changed_settings, one_recording_less])
def test_other_models_are_scored_again(
    sample: Path, cache: FeatureCache, books: ScoreBooks, change: Any, score_calls: list[str | None]
) -> None:
    protocol = read(sample / "protocol.csv", cache)
    first = evaluated(protocol, cache, books=books).outcome
    score_calls.clear()
    other, config = change(protocol, SMALL)
    second = evaluated(other, cache, config, books=books).outcome
    assert len(score_calls) == 18
    assert books.found == 0
    assert (first.log_likelihoods != second.log_likelihoods).any()
    same(second, evaluated(other, cache, config).outcome)


def test_a_recording_that_has_changed_is_scored_again(
    small: Path, sample: Path, cache: FeatureCache, books: ScoreBooks, tmp_path: Path, score_calls: list[str | None]
) -> None:
    voices = shutil.copytree(small, tmp_path / "voices")
    tests = {name: shutil.copy(sample / "test" / f"{name}-1.flac", tmp_path) for name in ("alice", "tom")}
    rows = [
        "path,speaker,split",
        *(f"{p.relative_to(tmp_path)},{p.parent.name},enroll" for p in voices.rglob("*.flac")),
    ]
    (tmp_path / "p.csv").write_text(
        "\n".join([*rows, "alice-1.flac,Alice,test", "tom-1.flac,Tom,test"]), encoding="utf-8"
    )
    protocol = read(tmp_path / "p.csv", cache)
    first = asked(evaluated(protocol, cache, books=books).outcome)
    shutil.copy(sample / "test" / "tom-2.flac", tests["tom"])
    score_calls.clear()
    second = asked(evaluated(protocol, cache, books=books).outcome)
    assert len(score_calls) == 1
    assert second[str(tests["alice"])] == first[str(tests["alice"])]
    assert second[str(tests["tom"])] != first[str(tests["tom"])]


def test_a_damaged_book_gives_the_same_answers(
    sample: Path, cache: FeatureCache, books: ScoreBooks, score_calls: list[str | None]
) -> None:
    protocol = read(sample / "protocol.csv", cache)
    whole = evaluated(protocol, cache, books=books).outcome
    [(path, _size, _time)] = books.files()
    lines = path.read_bytes().splitlines()
    lines[3] = lines[3].replace(b"A", b"B")
    lines[5] = lines[5][:50]
    path.write_bytes(b"\n".join(lines))
    score_calls.clear()
    same(evaluated(protocol, cache, books=books).outcome, whole)
    assert len(score_calls) == 2


def test_two_systems_do_not_share_scores(sample: Path, cache: FeatureCache, books: ScoreBooks) -> None:
    protocol = read(sample / "protocol.csv", cache)
    two = dataclasses.replace(SMALL, training=dataclasses.replace(SMALL.training, components=2))
    first = evaluated(protocol, cache, books=books).outcome
    second = evaluated(protocol, cache, two, books=books).outcome
    assert len(books.files()) == 2
    known = np.isfinite(first.log_likelihoods)
    assert (first.log_likelihoods[known] != second.log_likelihoods[known]).all()


# --- what cannot be used


def manifest(path: Path, sample: Path, *more: str, speakers: tuple[str, ...] = ("Alice", "Tom", "Ivan")) -> Path:
    rows = ["path,speaker,split"]
    for name in speakers:
        rows += [f"{sample}/enroll/{name}/{name.lower()}-enroll-{i}.flac,{name},enroll" for i in (1, 2, 3)]
        rows += [f"{sample}/test/{name.lower()}-1.flac,{name},test"]
    path.write_text("\n".join([*rows, *more]), encoding="utf-8")
    return path


def test_a_speaker_whose_recordings_cannot_be_read_is_known_and_wrong(
    sample: Path, cache: FeatureCache, tmp_path: Path
) -> None:
    (tmp_path / "letter.wav").write_text("no audio", encoding="utf-8")
    data = manifest(tmp_path / "p.csv", sample, "letter.wav,Eve,enroll", f"{sample}/test/aino-1.flac,Eve,test")
    result = evaluated(read(data, cache), cache)
    outcome = result.outcome
    [problem] = result.problems
    assert (problem.path, problem.reason) == (str(tmp_path / "letter.wav"), "unreadable")
    assert "p.csv, row 14" in problem.message
    assert outcome.speakers == ("Alice", "Eve", "Ivan", "Tom")
    eve = [row.speaker for row in outcome.rows].index("Eve")
    assert outcome.truth[eve] == 1
    assert eve in outcome.known
    assert not outcome.right[eve]
    assert np.isneginf(outcome.log_likelihoods[:, 1]).all()
    assert outcome.named[eve] >= 0
    assert outcome.right.sum() == 3


def test_a_speaker_who_cannot_be_trained_is_told_every_time(
    sample: Path, cache: FeatureCache, books: ScoreBooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from speakerid.errors import TrainingError

    def one_fails(frames: Any, *arguments: Any, **options: Any) -> Any:
        return [TrainingError("no"), *learn_each(frames, *arguments, **options)[1:]]

    monkeypatch.setattr(evaluating, "learn_each", one_fails)
    protocol = read(manifest(tmp_path / "p.csv", sample), cache)
    for _run in range(2):
        result = evaluated(protocol, cache, books=books)
        assert [(p.path, p.reason) for p in result.problems] == [("Alice", "untrainable")]
        assert np.isneginf(result.outcome.log_likelihoods[:, 0]).all()
    assert books.files() == []


def test_nobody_to_enrol_is_an_error_with_the_reason(cache: FeatureCache, tmp_path: Path, sample: Path) -> None:
    (tmp_path / "letter.wav").write_text("no audio", encoding="utf-8")
    rows = f"path,speaker,split\nletter.wav,Eve,enroll\n{sample}/test/tom-1.flac,Eve,test\n"
    (tmp_path / "p.csv").write_text(rows, encoding="utf-8")
    with pytest.raises(UsageError, match=r"p\.csv: nobody could be enrolled: .*letter\.wav"):
        evaluated(read(tmp_path / "p.csv", cache), cache)


def test_what_cannot_be_judged_is_undecided_and_is_scored_never(
    sample: Path, cache: FeatureCache, books: ScoreBooks, tmp_path: Path
) -> None:
    (tmp_path / "letter.wav").write_text("no audio", encoding="utf-8")
    data = manifest(tmp_path / "p.csv", sample, f"{sample}/test/silence.flac,Tom,test", "letter.wav,nobody,test")
    for _run in range(2):
        outcome = evaluated(read(data, cache), cache, books=books).outcome
        silence, letter = outcome.rows[-2:]
        assert (silence.reason, letter.reason) == ("no_speech", "unreadable")
        assert silence.duration_seconds == pytest.approx(3.0)
        assert silence.speech_seconds == 0
        assert "p.csv, row 15" in (letter.message or "")
        assert (letter.speech_seconds, letter.duration_seconds) == (None, None)
        assert np.isneginf(outcome.log_likelihoods[-2:]).all()
        assert outcome.right.tolist() == [True, True, True, False, True]
    assert books.found == 3


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), float("-inf")])
def test_a_threshold_that_is_no_number_is_refused(sample: Path, cache: FeatureCache, threshold: float) -> None:
    with pytest.raises(UsageError, match="threshold"):
        evaluated(read(sample / "protocol.csv", cache), cache, threshold=threshold)


def test_a_threshold_for_a_single_speaker_is_refused_as_by_identification(
    sample: Path, cache: FeatureCache, tmp_path: Path
) -> None:
    protocol = read(manifest(tmp_path / "p.csv", sample, speakers=("Tom",)), cache)
    assert evaluated(protocol, cache).outcome.right.all()
    with pytest.raises(UsageError, match="needs two speakers"):
        evaluated(protocol, cache, threshold=1.0)


def test_leaving_one_of_two_out_is_refused(sample: Path, cache: FeatureCache, tmp_path: Path) -> None:
    # a single score that remains would be compared with margins: every figure would be perfect
    protocol = read(manifest(tmp_path / "p.csv", sample, speakers=("Tom", "Ivan")), cache, leave_one_speaker_out=True)
    with pytest.raises(UsageError, match="takes three"):
        evaluated(protocol, cache)


def test_the_same_audio_enrolled_and_asked_is_counted(sample: Path, cache: FeatureCache, tmp_path: Path) -> None:
    shutil.copy(sample / "enroll" / "Tom" / "tom-enroll-1.flac", tmp_path / "copy.flac")
    data = manifest(tmp_path / "p.csv", sample, "copy.flac,Tom,test")
    assert evaluated(read(data, cache), cache).repeated == 1


# --- trial lists


def test_a_list_with_names_asks_what_it_says(sample: Path, cache: FeatureCache, tmp_path: Path) -> None:
    lines = ["Alice\talice-1.flac\ttarget", "Tom\talice-1.flac\tnontarget", "Tom\ttom-1.flac\ttarget"]
    (tmp_path / "trials.txt").write_text("\n".join(lines), encoding="utf-8")
    protocol = read(tmp_path / "trials.txt", cache, enroll=str(sample / "enroll"), root=str(sample / "test"))
    outcome = evaluated(protocol, cache).outcome
    assert outcome.speakers == ("Alice", "Tom")
    assert outcome.listed is not None
    assert (outcome.listed.row.tolist(), outcome.listed.column.tolist()) == ([0, 0, 1], [0, 1, 1])
    assert outcome.listed.target.tolist() == [True, False, True]
    enrolled = {name: sorted(map(str, (sample / "enroll" / name).iterdir())) for name in ("Alice", "Tom")}
    found = asked(outcome)
    assert found == identified(list(found), enrolled, tmp_path)
    assert outcome.detection.targets.min() > outcome.detection.nontargets.max()


def test_one_recording_may_be_two_models(sample: Path, cache: FeatureCache, tmp_path: Path) -> None:
    for name in ("tom-1", "tom-2", "alice-1"):
        shutil.copy(sample / "test" / f"{name}.flac", tmp_path)
    shutil.copy(tmp_path / "tom-1.flac", tmp_path / "copy.flac")
    lines = ["1 tom-1.flac tom-2.flac", "1 copy.flac tom-2.flac", "0 tom-1.flac alice-1.flac"]
    (tmp_path / "trials.txt").write_text("\n".join(lines), encoding="utf-8")
    result = evaluated(read(tmp_path / "trials.txt", cache), cache)
    assert result.problems == []
    outcome = result.outcome
    assert outcome.speakers == ("copy.flac", "tom-1.flac")
    np.testing.assert_array_equal(outcome.log_likelihoods[:, 0], outcome.log_likelihoods[:, 1])


# --- the library


def test_the_library_gives_the_document(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEAKERID_CACHE", str(tmp_path / "cache"))
    two = dataclasses.replace(SMALL, training=dataclasses.replace(SMALL.training, components=2))
    results = speakerid.evaluate(sample / "protocol.csv", config={"four": SMALL, "two": two}, jobs=1)
    assert (results["system"], results["top1"], results["n_tests"]) == ("four", 1.0, 18)
    assert [other["system"] for other in results["other_systems"]] == ["two"]
    assert [each["baseline"] for each in results["differences"]] == ["four"]
    again = speakerid.evaluate(sample / "protocol.csv", config={"four": SMALL, "two": two}, jobs=2)
    volatile = ("timings", "created", "other_systems")
    assert {k: v for k, v in again.items() if k not in volatile} == {
        k: v for k, v in results.items() if k not in volatile
    }
    assert list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("limit", [None, "0"])
def test_the_library_keeps_nothing_if_asked(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None
) -> None:
    monkeypatch.setenv("SPEAKERID_CACHE", str(tmp_path / "cache"))
    if limit is not None:
        monkeypatch.setenv("SPEAKERID_CACHE_LIMIT", limit)
    data = manifest(tmp_path / "p.csv", sample)
    assert speakerid.evaluate(data, config=SMALL, cache=limit is not None, jobs=1)["top1"] == 1
    assert not (tmp_path / "cache").exists()


def test_the_library_refuses_no_systems(sample: Path) -> None:
    with pytest.raises(UsageError, match="no systems"):
        speakerid.evaluate(sample / "protocol.csv", config={})
