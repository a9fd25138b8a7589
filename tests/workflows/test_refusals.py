"""What is refused with a reason, and what is named with a warning: several voices, a band that does not fit, clipping."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import soxr

import speakerid
from speakerid.audio import Recording, parse_degradation
from speakerid.audio.degradations import degrade
from speakerid.config import Config, WorldConfig
from speakerid.parallel import one_blas_thread
from speakerid.workflows.analysis import Waveform, analyse
from speakerid.workflows.identify import Identification, Identifier
from speakerid.workflows.verify import verify


@pytest.fixture(scope="module")
def identifier(enrolled: Path) -> Identifier:
    return speakerid.Identifier.open(enrolled)


def sound(path: Path) -> np.ndarray:
    samples, rate = sf.read(path, dtype="float32")
    assert rate == 16000
    return np.asarray(samples)


def voice(sample: Path, name: str) -> np.ndarray:
    """Everything that a speaker says in the test recordings."""
    return np.concatenate([sound(path) for path in sorted((sample / "test").glob(f"{name}-*.flac"))])


def as_asked(identifier: Identifier, samples: np.ndarray, rate: int = 16000) -> Identification:
    return identifier.identify(Waveform(samples, rate, label="call.wav"))


def test_two_voices_in_one_file_are_undecided(identifier: Identifier, sample: Path) -> None:
    first, second = voice(sample, "aino"), voice(sample, "robert")
    answer = as_asked(identifier, np.concatenate([first, second]))
    assert (answer.status, answer.reason, answer.decision) == ("undecided", "several_voices", None)
    message = answer.message or ""
    assert message.startswith("call.wav: two voices: ")
    assert "Aino (0.0-" in message
    assert "Robert (" in message
    assert "identify --timeline" in message
    assert "\n" not in message
    assert len(answer.scores) == 10, "the scores stay listed"
    assert answer.speech_seconds is not None
    change = float(message.split("Aino (0.0-")[1].split(" s)")[0])
    assert change == pytest.approx(len(first) / 16000, abs=0.8)


def test_each_of_the_voices_alone_is_named(identifier: Identifier, sample: Path) -> None:
    for name in ("aino", "robert"):
        answer = as_asked(identifier, voice(sample, name))
        assert (answer.status, (answer.decision or "").lower()) == ("identified", name)


def test_verification_does_not_accept_half_a_recording(identifier: Identifier, sample: Path) -> None:
    both = np.concatenate([voice(sample, "aino"), voice(sample, "robert")])
    answer = verify(identifier, "Aino", Waveform(both, 16000, label="call.wav"))
    assert (answer.status, answer.accepted, answer.reason) == ("undecided", None, "several_voices")


NARROW = ["telephone", "band:0-4000", "band:0-3400", "band:0-5500"]


@pytest.mark.parametrize("degradation", NARROW)
def test_a_narrow_band_is_a_warning_where_the_enrolment_is_wide(
    identifier: Identifier, sample: Path, degradation: str
) -> None:
    path = sample / "test" / "aino-1.flac"
    answer = identifier.identify(Recording(str(path), degradation=parse_degradation(degradation)))
    assert answer.status in ("identified", "unknown")
    assert answer.scores[0].speaker == "Aino"
    assert "scored by the bands that are there" in (answer.message or "")
    assert "enrol recordings like this one" in (answer.message or "")
    assert "\n" not in (answer.message or "")


@pytest.mark.parametrize("degradation", NARROW)
def test_a_narrow_band_that_is_not_made_up_for_is_undecided(enrolled: Path, sample: Path, degradation: str) -> None:
    identifier = Identifier.open(enrolled, config=Config(world=WorldConfig(compensation="none")))
    path = sample / "test" / "aino-1.flac"
    answer = identifier.identify(Recording(str(path), degradation=parse_degradation(degradation)))
    assert (answer.status, answer.reason, answer.decision) == ("undecided", "band", None)
    assert "enrol recordings like this one" in (answer.message or "")
    assert len(answer.scores) == 10


def test_a_narrow_file_has_one_warning(identifier: Identifier, sample: Path) -> None:
    narrow = soxr.resample(sound(sample / "test" / "aino-1.flac"), 16000, 8000)
    answer = as_asked(identifier, narrow, 8000)
    assert answer.scores[0].speaker == "Aino"
    assert (answer.message or "").count("band,") == 1


@pytest.mark.parametrize("degradation", ["noise:10:white", "noise:10:pink", "noise:10:machine"])
def test_noise_is_made_up_for(enrolled: Path, identifier: Identifier, sample: Path, degradation: str) -> None:
    plain = Identifier.open(enrolled, config=Config(world=WorldConfig(compensation="none")))
    right = []
    for each in (identifier, plain):
        margins = []
        for name in ("Aino", "Alice", "Duncan", "Tom", "Robert"):
            path = sample / "test" / f"{name.casefold()}-1.flac"
            answer = each.identify(Recording(str(path), degradation=parse_degradation(degradation)))
            found = {score.speaker: score.log_likelihood for score in answer.scores}
            assert found, answer.message  # speech is found
            own = found.pop(name)
            margins.append(own - max(found.values()))
        right.append(float(np.mean(margins)))
    assert right[0] > max(right[1], 0.0)


def test_a_store_of_before_goes_on_as_it_was_until_all_are_learned_anew(
    enrolled: Path, identifier: Identifier, sample: Path, tmp_path: Path, run: Callable[..., Any]
) -> None:
    path = tmp_path / "before.db"
    shutil.copyfile(enrolled, path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        ((text,),) = connection.execute(
            "SELECT record FROM models JOIN speakers ON speaker_id = id WHERE name = 'Tom'"
        ).fetchall()
        record = json.loads(text)
        del record["environment"]
        connection.execute(
            "UPDATE models SET record = ? WHERE speaker_id = (SELECT id FROM speakers WHERE name = 'Tom')",
            (json.dumps(record),),
        )
        connection.commit()
    asked = Recording(str(sample / "test" / "alice-1.flac"), degradation=parse_degradation("noise:10:pink"))
    before = Identifier.open(path).identify(asked)
    plain = Identifier.open(enrolled, config=Config(world=WorldConfig(compensation="none")))
    assert before.scores == plain.identify(asked).scores
    # whom it is not known of gets another recording
    assert run("enroll", sample / "test" / "tom-2.flac", "--speaker", "Tom", "--db", path).status == 0
    after = {score.speaker: score.log_likelihood for score in Identifier.open(path).identify(asked).scores}
    now = {score.speaker: score.log_likelihood for score in identifier.identify(asked).scores}
    then = {score.speaker: score.log_likelihood for score in before.scores}
    assert abs(after["Alice"] - now["Alice"]) < 0.1 * abs(after["Alice"] - then["Alice"])


def test_noise_that_one_voice_speaks_in_is_no_second_voice(identifier: Identifier, sample: Path) -> None:
    for name in ("aino", "robert", "tom"):
        for text in ("noise:10:pink", "noise:10:machine"):
            samples = degrade(voice(sample, name), 16000, parse_degradation(text), seed=1, key=name)
            assert as_asked(identifier, samples).reason != "several_voices"


def test_a_narrow_band_is_answered_where_the_enrolment_is_narrow(tmp_path: Path, small: Path, sample: Path) -> None:
    def call(path: Path) -> np.ndarray:
        """What a telephone leaves, in a file with room for more."""
        return np.asarray(soxr.resample(soxr.resample(sound(path), 16000, 8000), 8000, 16000))

    given = {folder.name: [call(path) for path in sorted(folder.iterdir())] for folder in sorted(small.iterdir())}
    speakerid.enroll(given, db=tmp_path / "calls.db", sample_rate=16000)
    identifier = speakerid.Identifier.open(tmp_path / "calls.db")
    answer = as_asked(identifier, call(sample / "test" / "alice-1.flac"))
    assert answer.reason is None
    assert answer.scores[0].speaker == "Alice"


def test_every_sample_recording_is_judged(identifier: Identifier, sample: Path) -> None:
    for path in sorted((sample / "test").glob("*-?.flac")):
        answer = identifier.identify(path)
        assert answer.status in ("identified", "unknown"), answer.message
        assert answer.message is None


def test_clipping_is_a_warning(identifier: Identifier, sample: Path) -> None:
    loud = np.clip(20 * voice(sample, "aino"), -1, 1)
    answer = as_asked(identifier, loud)
    assert answer.reason is None
    assert answer.status in ("identified", "unknown")
    assert "clipped" in (answer.message or "")
    assert answer.scores[0].speaker == "Aino"


def test_too_little_speech_says_how_much_there_is_and_is_needed(identifier: Identifier, sample: Path) -> None:
    samples = sound(sample / "test" / "aino-1.flac")
    answer = as_asked(identifier, samples[16000 : 16000 + 800])
    assert (answer.status, answer.reason, answer.scores) == ("undecided", "too_short", ())
    assert "only 0.05 s long; at least 0.1 s" in (answer.message or "")


def test_the_scores_are_those_that_an_evaluation_takes(identifier: Identifier, sample: Path) -> None:
    path = sample / "test" / "aino-1.flac"
    with one_blas_thread():  # as in an evaluation; several threads round differently
        expected = identifier.log_likelihoods(analyse(Recording(str(path)), identifier.front_end))
    answer = identifier.identify(path)
    values = {score.speaker: score.log_likelihood for score in answer.scores}
    np.testing.assert_array_equal([values[name] for name in identifier.speakers], expected)


def test_a_wide_recording_is_doubtful_where_the_enrolment_is_narrow(tmp_path: Path, small: Path, sample: Path) -> None:
    given = {
        folder.name: [soxr.resample(sound(path), 16000, 8000) for path in sorted(folder.iterdir())]
        for folder in sorted(small.iterdir())
    }
    speakerid.enroll(given, db=tmp_path / "calls.db", sample_rate=8000)
    narrow = speakerid.Identifier.open(tmp_path / "calls.db")
    path = sample / "test" / "alice-1.flac"
    assert "full band" in (narrow.identify(path).message or "")
    assert narrow.identify(soxr.resample(sound(path), 16000, 8000), sample_rate=8000).message is None
    # one narrow recording is enough for nothing to be refused, nor warned of
    mixed = speakerid.enroll(small, db=tmp_path / "mixed.db")
    assert not mixed.problems
    speakerid.enroll({"Alice": [soxr.resample(sound(path), 16000, 8000)]}, db=tmp_path / "mixed.db", sample_rate=8000)
    question = soxr.resample(sound(sample / "test" / "alice-2.flac"), 16000, 8000)
    answer = speakerid.Identifier.open(tmp_path / "mixed.db").identify(question, sample_rate=8000)
    assert (answer.status == "undecided", answer.message) == (False, None)
