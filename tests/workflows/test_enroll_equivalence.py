"""However recordings come into a store, the models are the same bytes."""

from __future__ import annotations

import random
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

import speakerid
from speakerid.store import Store

Models = Callable[[Path], dict[str, tuple[object, ...]]]
Recordings = Callable[[Path], dict[str, set[str]]]
Run = Callable[..., Any]
Way = tuple[list[str | Path], Path]


@pytest.fixture
def empty_db(tmp_path: Path) -> Path:
    return tmp_path / "new.db"


def files_of(sample: Path, name: str) -> list[Path]:
    return sorted((sample / "enroll" / name).glob("*.flac"))


def test_later_is_the_same_as_all_at_once(run: Run, sample: Path, empty_db: Path, way: Way, models: Models) -> None:
    options, enrolled = way
    for name in ("Tom", "José"):
        for path in reversed(files_of(sample, name)):
            outcome = run("enroll", path, "--speaker", name, "--db", empty_db, *options, "--format", "json")
            assert outcome.status == 0
    assert outcome.json[0]["added"] == 1
    assert outcome.json[0]["recordings"] == 3
    expected = models(enrolled)
    assert models(empty_db) == {name: expected[name] for name in ("José", "Tom")}
    with Store(empty_db) as store, Store(enrolled) as whole:
        records = whole.records()
        assert store.records() == {name: records[name] for name in ("José", "Tom")}


def test_one_recording_is_not_the_same_as_three(
    run: Run, sample: Path, empty_db: Path, enrolled: Path, models: Models
) -> None:
    run("enroll", files_of(sample, "Tom")[0], "--speaker", "Tom", "--db", empty_db)
    assert models(empty_db)["Tom"] != models(enrolled)["Tom"]


def test_the_order_of_arguments_does_not_matter(
    run: Run, sample: Path, empty_db: Path, way: Way, models: Models
) -> None:
    options, enrolled = way
    files = files_of(sample, "Ivan")
    random.Random(3).shuffle(files)
    assert files != files_of(sample, "Ivan")
    assert run("enroll", *files, "--speaker", "Ivan", "--db", empty_db, *options).status == 0
    assert models(empty_db)["Ivan"] == models(enrolled)["Ivan"]


def test_other_speakers_do_not_matter(run: Run, small: Path, empty_db: Path, enrolled: Path, models: Models) -> None:
    assert run("enroll", small, "--db", empty_db).status == 0
    expected = models(enrolled)
    assert models(empty_db) == {name: expected[name] for name in ("Alice", "Mary Ann", "Tom")}


def test_the_number_of_jobs_does_not_matter(
    run: Run, sample: Path, tmp_path: Path, models: Models, known_files: list[str], way: Way
) -> None:
    options, _enrolled = way
    answers = []
    for jobs in (1, 2, 3):
        db = tmp_path / f"jobs-{jobs}.db"
        enrolment = run("enroll", sample / "enroll", "--db", db, *options, "--jobs", jobs, "--format", "json")
        answer = run("identify", *known_files, sample / "test", "--db", db, "--jobs", jobs, "--format", "json")
        answers.append((enrolment.out, answer.out, models(db)))
    assert len(answers[0][2]) == 10
    assert answers[0] == answers[1] == answers[2]


def test_the_same_command_twice_changes_nothing_and_says_so(
    run: Run, sample: Path, db: Path, models: Models, recordings: Recordings, digest: Callable[[Path], str]
) -> None:
    before = digest(db)
    outcome = run("enroll", sample / "enroll", "--db", db, "--format", "json")
    assert outcome.status == 0
    assert "30 recordings were enrolled already: nothing was changed for them" in outcome.err
    assert {(line["new"], line["added"], line["already_enrolled"], line["recordings"]) for line in outcome.json} == {
        (False, 0, 3, 3)
    }
    assert digest(db) == before
    table = run("enroll", sample / "enroll" / "Tom", "--speaker", "Tom", "--db", db)
    assert "unchanged" in table.out
    assert digest(db) == before


def test_a_recording_given_twice_counts_once(
    run: Run, sample: Path, empty_db: Path, enrolled: Path, models: Models
) -> None:
    files = files_of(sample, "Tom")
    outcome = run("enroll", *files, *files, "--speaker", "Tom", "--db", empty_db, "--format", "json")
    assert (outcome.status, outcome.json[0]["added"], outcome.json[0]["already_enrolled"]) == (0, 3, 3)
    assert models(empty_db)["Tom"] == models(enrolled)["Tom"]


def test_wav_and_flac_of_the_same_samples_are_the_same_recording(
    run: Run,
    sample: Path,
    tmp_path: Path,
    db: Path,
    empty_db: Path,
    enrolled: Path,
    models: Models,
    recordings: Recordings,
) -> None:
    copies = []
    for number, path in enumerate(files_of(sample, "Alice")):
        samples, rate = sf.read(path, dtype="int16")
        kind = ("wav", "aiff", "flac")[number]
        copies.append(tmp_path / f"copy-{number}.{kind}")
        sf.write(copies[-1], samples, rate, subtype="PCM_24")
    assert run("enroll", *copies, "--speaker", "Alice", "--db", empty_db).status == 0
    assert recordings(empty_db)["Alice"] == recordings(enrolled)["Alice"]
    assert models(empty_db)["Alice"] == models(enrolled)["Alice"]
    again = run("enroll", *copies, "--speaker", "Alice", "--db", db, "--format", "json")
    assert (again.status, again.json[0]["already_enrolled"]) == (0, 3)


def test_the_same_audio_under_two_names_is_refused(
    run: Run, sample: Path, tmp_path: Path, db: Path, digest: Callable[[Path], str]
) -> None:
    before = digest(db)
    copy = tmp_path / "copy.wav"
    samples, rate = sf.read(files_of(sample, "Alice")[0], dtype="int16")
    sf.write(copy, samples, rate)
    outcome = run("enroll", copy, "--speaker", "Eve", "--db", db, "--format", "json")
    assert outcome.status == 3
    (line,) = outcome.json
    assert (line["path"], line["reason"]) == (str(copy), "duplicate")
    assert "the same audio is enrolled as Alice; it was not enrolled as Eve" in outcome.complaints[0]
    assert digest(db) == before


def test_the_same_audio_under_two_names_in_one_go_goes_to_the_first(
    run: Run, sample: Path, tmp_path: Path, empty_db: Path, recordings: Recordings
) -> None:
    voices = tmp_path / "voices"
    for name, source in (("Ann", "Alice"), ("Bob", "Tom")):
        shutil.copytree(sample / "enroll" / source, voices / name)
    shutil.copyfile(files_of(sample, "Alice")[1], voices / "Bob" / "wrong.flac")
    outcome = run("enroll", voices, "--db", empty_db, "--format", "json")
    assert outcome.status == 3
    assert outcome.json[-1]["path"] == str(voices / "Bob" / "wrong.flac")
    assert "enrolled as Ann" in outcome.json[-1]["message"]
    assert {name: len(them) for name, them in recordings(empty_db).items()} == {"Ann": 3, "Bob": 3}


def test_replace_starts_afresh(run: Run, sample: Path, db: Path, models: Models, recordings: Recordings) -> None:
    before, old = models(db), recordings(db)
    outcome = run("enroll", files_of(sample, "Tom")[2], "--speaker", "Tom", "--replace", "--db", db, "--format", "json")
    assert outcome.status == 0
    assert (outcome.json[0]["new"], outcome.json[0]["added"], outcome.json[0]["recordings"]) == (True, 1, 1)
    after = models(db)
    assert after["Tom"] != before["Tom"]
    assert {n: m for n, m in after.items() if n != "Tom"} == {n: m for n, m in before.items() if n != "Tom"}
    assert len(recordings(db)["Tom"] & old["Tom"]) == len(recordings(db)["Tom"]) == 1
    run("enroll", *files_of(sample, "Tom"), "--speaker", "Tom", "--replace", "--db", db)
    assert models(db) == before


def test_replace_with_nothing_usable_keeps_what_was_there(
    run: Run, sample: Path, db: Path, bad_inputs: dict[str, Path], digest: Callable[[Path], str]
) -> None:
    before = digest(db)
    for bad in (bad_inputs["silence"], files_of(sample, "Alice")[0]):
        assert run("enroll", bad, "--speaker", "Tom", "--replace", "--db", db).status == 3
        assert digest(db) == before


def test_a_decomposed_folder_name_is_the_same_speaker(
    run: Run, sample: Path, tmp_path: Path, empty_db: Path, enrolled: Path, models: Models
) -> None:
    first, *rest = files_of(sample, "José")
    composed, decomposed = tmp_path / "a" / "José", tmp_path / "b" / unicodedata.normalize("NFD", "José")
    for folder, files in ((composed, [first]), (decomposed, rest)):
        folder.mkdir(parents=True)
        for path in files:
            shutil.copy(path, folder)
        assert run("enroll", folder.parent, "--db", empty_db).status == 0
    assert models(empty_db) == {"José": models(enrolled)["José"]}


def test_arrays_and_files_are_the_same(sample: Path, tmp_path: Path, enrolled: Path, models: Models) -> None:
    db = tmp_path / "arrays.db"
    arrays = [sf.read(path, dtype="int16")[0] for path in files_of(sample, "Núria")]
    as_floats = (arrays[0] / np.float32(32768)).astype(np.float32)
    report = speakerid.enroll({"Núria": [as_floats, *arrays[1:]]}, db=db, sample_rate=16000)
    assert report.problems == []
    assert models(db)["Núria"] == models(enrolled)["Núria"]


def test_the_training_record_of_adaptation(enrolled: Path) -> None:
    with Store(enrolled) as store:
        assert store.world is not None
        world = store.world.mixture
        for name, record in store.records().items():
            before, after = record["log_likelihoods"]
            assert after > before
            # one number a recording, and its mean by their frames
            assert len(record["held_out"]) == 3
            assert min(record["held_out"]) <= record["expected_ratio"] <= max(record["held_out"])
            # what was not enrolled fits less well than what was, and better than anybody's
            assert 0 < record["expected_ratio"] < after - before
            mixture, again = store.model(name)
            assert again == record
            assert mixture.means.shape == (1024, 40)
            np.testing.assert_array_equal(mixture.weights, world.weights)
            np.testing.assert_array_equal(mixture.covariances, world.covariances)


def test_the_training_record_rises_and_the_models_are_mixtures(enrolled_ml: Path) -> None:
    with Store(enrolled_ml) as store:
        for name in store.names():
            mixture, record = store.model(name)
            history = record["log_likelihoods"]
            assert len(history) > 1
            assert history == sorted(history)
            assert mixture.weights.sum() == pytest.approx(1.0, abs=1e-12)
            assert mixture.means.shape == (16, 40)


def test_a_speaker_with_little_speech_gets_fewer_components_and_it_is_said(
    run: Run, tmp_path: Path, speech: tuple[np.ndarray, int], empty_db: Path, by_likelihood: Path
) -> None:
    samples, rate = speech
    path = tmp_path / "short.wav"
    sf.write(path, samples[rate // 2 : rate // 2 + rate], rate)
    outcome = run("enroll", path, "--speaker", "Aino", "--db", empty_db, "--config", by_likelihood, "--format", "json")
    assert outcome.status == 0
    (line,) = outcome.json
    assert 0 < line["components"] < 16
    assert line["components"] * 8 <= line["speech_seconds"] * 100 + 1
    assert f"train {line['components']} components instead of 16" in outcome.err
    assert "answers get better with 10 s and more" in outcome.err
    quiet = run("enroll", path, "--speaker", "Aino", "--db", empty_db, "--quiet")
    assert (quiet.status, quiet.err) == (0, "")
