"""Enrolment advice: the decisions on numbers, the words, and a store of real and sample voices."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from speakerid.audio import Recording
from speakerid.config import Config, TrainingConfig
from speakerid.errors import UnknownSpeakerError
from speakerid.store import Store
from speakerid.workflows.advice import (
    Advice,
    AdviceReport,
    Inequality,
    Neighbour,
    RecordingAdvice,
    advise,
    amount_of,
    inequality_of,
    judge_recordings,
    likeness,
)
from speakerid.workflows.advice_sentences import sentences
from speakerid.workflows.enroll import enroll_recordings


@pytest.mark.parametrize(
    ("seconds", "amount"),
    [(0.0, "too_little"), (4.99, "too_little"), (5.0, "little"), (9.99, "little"), (10.0, "enough"), (600.0, "enough")],
)
def test_amounts(seconds: float, amount: str) -> None:
    assert amount_of(seconds) == amount


def test_a_recording_is_compared_with_the_others_alone() -> None:
    held_out, seconds = np.array([4.0, 4.0, 1.0, 5.0]), np.full(4, 3.0)
    best = np.array([0.5, 0.5, 3.0, 0.5])
    fits, typical, findings = judge_recordings(held_out, seconds, best)
    # the medians of the other three, by hand
    assert typical.tolist() == [4.0, 4.0, 4.0, 4.0]
    assert fits.tolist() == [1.0, 1.0, 0.25, 1.25]
    assert findings == [None, None, "fits_another", None]


@pytest.mark.parametrize(
    ("held_out", "best", "finding"),
    [
        (2.3, 3.4, "fits_another"),  # 0.575 of 4, and 1.1 behind
        (2.5, 4.5, None),  # fits well enough by itself
        (2.3, 3.2, None),  # 0.9 behind: no more than chance
        (0.7, 0.8, None),  # 0.175 of 4: poor, but it fits nobody else, and a noise at the door may do that
        (0.5, 0.6, "fits_nobody"),
        (-1.0, -3.0, "fits_nobody"),
    ],
)
def test_limits_of_what_is_said_of_a_recording(held_out: float, best: float, finding: str | None) -> None:
    findings = judge_recordings(np.array([4.0, 4.0, held_out, 4.0]), np.full(4, 3.0), np.array([0, 0, best, 0]))[2]
    assert findings == [None, None, finding, None]


def test_too_little_speech_of_the_others_finds_nothing() -> None:
    held_out, best = np.array([4.0, 4.0, -1.0]), np.array([0.0, 0.0, 4.0])
    assert judge_recordings(held_out, np.array([2.4, 2.5, 9.0]), best)[2] == [None, None, None]
    assert judge_recordings(held_out, np.array([2.5, 2.5, 9.0]), best)[2] == [None, None, "fits_another"]


def test_of_two_recordings_nobody_can_say_which_is_the_odd_one() -> None:
    assert judge_recordings(np.array([-1.0, 3.0]), np.array([9.0, 9.0]), None)[2] == [None, None]
    assert judge_recordings(np.array([-1.0, 3.0]), np.array([9.0, 9.0]), np.array([3.0, 0.0]))[2][0] == "fits_another"


def test_recordings_that_fit_nobody_are_not_each_others_measure() -> None:
    # the medians are below what is typical of anybody: no division by next to nothing
    fits = judge_recordings(np.array([0.01, 0.02, 0.03]), np.full(3, 9.0), None)[0]
    assert np.all(np.abs(fits) < 0.1)


def test_likeness_is_the_same_from_both_sides() -> None:
    one = likeness(3.0, 1.0, (4.0, 2.0), (20.0, 30.0))
    other = likeness(1.0, 3.0, (2.0, 4.0), (30.0, 20.0))
    assert one == other
    assert one[0] == pytest.approx(4 / 6)
    assert one[1] == "similar"


def test_limits_of_likeness() -> None:
    def finding(value: float, seconds: float = 20.0) -> str | None:
        return likeness(2 * value, 2 * value, (2.0, 2.0), (seconds, 60.0))[1]

    assert [finding(v) for v in (0.59, 0.61, 0.79, 0.81, 1.2)] == [
        None, "similar", "similar", "same_person", "same_person",
    ]  # fmt: skip
    assert finding(1.2, seconds=4.9) == "similar"
    # hardly any ratio of one's own must not make everybody alike
    assert likeness(0.2, 0.2, (0.01, 0.01), (20.0, 20.0))[1] is None


def test_inequality_is_told_to_those_who_have_to_do_with_it() -> None:
    amounts = {"a": 60.0, "b": 12.0, "c": 30.0, "nothing": 0.0}
    found = inequality_of(amounts, ["b"])
    assert found == Inequality("a", 60.0, "b", 12.0)
    assert found.factor == 5
    assert inequality_of(amounts, ["c"]) is None
    assert inequality_of({"a": 60.0, "b": 12.1}, ["a", "b"]) is None
    assert inequality_of({"a": 60.0}, ["a"]) is None


def _odd(number: int) -> RecordingAdvice:
    return RecordingAdvice(str(number), f"{number}.wav", -0.1, "Bob", 1.0, "fits_another")


def test_there_are_few_lines_however_much_there_is_to_say() -> None:
    speakers = tuple(
        Advice(f"s{i}", 3.0 + 4 * (i % 2), amount_of(3.0 + 4 * (i % 2)), (_odd(i), _odd(i + 100)),
               (Neighbour(f"s{i ^ 1}", 0.9, 0.9, "same_person"),))
        for i in range(40)
    )  # fmt: skip
    lines = sentences(AdviceReport(speakers, Inequality("a", 60.0, "b", 6.0)))
    assert lines[0].startswith("20 speakers (s0, s2, s4, ...) have less than 5 s of speech, too little")
    assert lines[1].startswith("20 speakers (s1, s3, s5, ...) have less than 10 s of speech")
    assert "77 more recordings do not sound like the speaker's others: speakerid speakers show NAME" in lines
    assert "17 more pairs of speakers sound alike: speakerid speakers show NAME" in lines  # 20 pairs, each told once
    assert len(lines) == 2 + 4 + 4 + 1
    assert "(10 times as much)" in lines[-1]
    assert "do not lean" in lines[-1]
    assert "do not lean" not in sentences(AdviceReport((), Inequality("a", 60.0, "b", 6.0), adapted=False))[0]


def test_those_who_may_be_one_person_come_first() -> None:
    alike, same = Neighbour("c", 0.7, 0.7, "similar"), Neighbour("d", 0.9, 0.9, "same_person")
    lines = sentences(
        AdviceReport((Advice("a", 20.0, "enough", (), (alike,)), Advice("b", 20.0, "enough", (), (same,))))
    )
    assert ["may be the same person" in line for line in lines] == [True, False]


@pytest.fixture(scope="module")
def store_path(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """Three voices; Tom's are under two names, and one of Aino's is under Alice."""
    path = tmp_path_factory.mktemp("advice") / "s.db"
    voices = sample / "enroll"
    under = {
        "Alice": [voices / "Alice" / f"alice-enroll-{i}.flac" for i in (1, 2, 3)] + [voices / "Aino" / "aino-enroll-1.flac"],
        "Aino": [voices / "Aino" / f"aino-enroll-{i}.flac" for i in (2, 3)],
        "Tom": [voices / "Tom" / f"tom-enroll-{i}.flac" for i in (1, 2)],
        "Thomas": [voices / "Tom" / "tom-enroll-3.flac", sample / "test" / "tom-1.flac", sample / "test" / "tom-2.flac"],
    }  # fmt: skip
    report = enroll_recordings(path, [(name, Recording(str(p))) for name, paths in under.items() for p in paths])
    assert report.problems == []
    return path


def test_what_a_store_says(store_path: Path) -> None:
    report = advise(store_path)
    odd = [
        (a.speaker, Path(r.source).name, r.nearest, r.finding)
        for a in report.speakers
        for r in a.recordings
        if r.finding
    ]
    assert odd == [("Alice", "aino-enroll-1.flac", "Aino", "fits_another")]
    pairs = {(a.speaker, n.speaker): n.finding for a in report.speakers for n in a.neighbours if n.finding}
    assert pairs == {("Tom", "Thomas"): "same_person", ("Thomas", "Tom"): "same_person"}
    assert (report.adapted, report.skipped) == (True, None)


def test_fits_are_those_of_the_training_record(store_path: Path) -> None:
    with Store(store_path) as store:
        held_out = store.records()["Alice"]["held_out"]
        hashes = [row.content_hash for row in store.recordings("Alice")]
    (advice,) = advise(store_path, ["Alice"]).speakers
    assert [r.content_hash for r in advice.recordings] == hashes
    for i, recording in enumerate(advice.recordings):
        others = sorted(held_out[:i] + held_out[i + 1 :])
        assert recording.fit == pytest.approx(held_out[i] / others[1])


def test_asking_of_one_gives_the_same_as_asking_of_all(store_path: Path) -> None:
    whole = {advice.speaker: advice for advice in advise(store_path, neighbours=True).speakers}
    for name, advice in whole.items():
        (alone,) = advise(store_path, [name], neighbours=True, jobs=1).speakers
        assert alone == advice
        assert len(alone.neighbours) == 3
        assert all(neighbour.likeness is not None for neighbour in alone.neighbours)


def test_a_store_that_is_too_large_is_not_compared_and_it_is_said(store_path: Path) -> None:
    report = advise(store_path, most_speakers=3)
    assert all(advice.neighbours == () for advice in report.speakers)
    assert "more than 3 of them" in sentences(report)[-1]
    # what needs no comparison is still there, and "nobody else" is not claimed of what was not asked
    (line,) = [line for line in sentences(report) if "aino-enroll-1" in line]
    assert "nor like" not in line
    assert "does not sound like Alice's other recordings: listen to it" in line


def test_somebody_who_is_not_enrolled(store_path: Path) -> None:
    with pytest.raises(UnknownSpeakerError, match="Nobody"):
        advise(store_path, ["Nobody"])


def test_a_store_of_own_mixtures_has_amounts_alone(tmp_path: Path, sample: Path) -> None:
    path = tmp_path / "ml.db"
    items = [(name, Recording(str(next((sample / "enroll" / name).iterdir())))) for name in ("Tom", "Aino")]
    enroll_recordings(path, items, config=Config(training=TrainingConfig(method="ml", components=4)))
    report = advise(path)
    assert not report.adapted
    assert [(a.amount, a.neighbours, [r.fit for r in a.recordings]) for a in report.speakers] == [
        ("too_little", (), [None])
    ] * 2
    assert all("too little" in line for line in sentences(report))


def test_a_single_recording_is_compared_with_nothing_of_its_own(tmp_path: Path, sample: Path) -> None:
    path = tmp_path / "one.db"
    enroll_recordings(path, [("Tom", Recording(str(sample / "enroll" / "Tom" / "tom-enroll-1.flac")))])
    (advice,) = advise(path, neighbours=True).speakers
    (recording,) = advice.recordings
    assert (recording.fit, recording.nearest, recording.finding, advice.neighbours) == (None, None, None, ())


@pytest.mark.corpora
def test_real_speech_gets_few_warnings_and_a_wrong_folder_is_found(corpora: Path, tmp_path: Path) -> None:
    folder = tmp_path / "voices"
    sources = sorted((corpora / "librispeech-10").iterdir())
    for speaker in sources[:6]:
        (folder / speaker.name).mkdir(parents=True)
        for file in sorted(speaker.glob("*.flac"))[:6]:
            shutil.copy(file, folder / speaker.name)
    items = [(p.parent.name, Recording(str(p))) for p in sorted(folder.glob("*/*.flac"))]
    enroll_recordings(tmp_path / "right.db", items)
    assert sentences(advise(tmp_path / "right.db")) == []
    # one of another enrolled speaker, and one of nobody's
    first, second, third = (speaker.name for speaker in sources[:3])
    of_second, of_nobody = (sorted(speaker.glob("*.flac"))[7] for speaker in (sources[1], sources[8]))
    wrong = [*items, (first, Recording(str(of_second))), (third, Recording(str(of_nobody)))]
    enroll_recordings(tmp_path / "wrong.db", wrong)
    found = {
        (a.speaker, r.source): r for a in advise(tmp_path / "wrong.db").speakers for r in a.recordings if r.finding
    }
    assert set(found) == {(first, str(of_second)), (third, str(of_nobody))}
    assert (found[first, str(of_second)].finding, found[first, str(of_second)].nearest) == ("fits_another", second)
