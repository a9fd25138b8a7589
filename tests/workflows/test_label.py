"""Labels of a diarizer get names: all speech of each, no name twice, nobody by chance."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from speakerid import Identifier, Recording, Waveform
from speakerid.audio.rttm import SpeakerTurn, one_voice, read_rttm
from speakerid.errors import RecordingError, UsageError
from speakerid.scoring import Rule
from speakerid.workflows import label_speech
from speakerid.workflows.identify import Heard
from speakerid.workflows.label import Labelling, _assigned, label_turns, turns_of
from speakerid.workflows.label_speech import SpeechSums, _parts, _rest

RATE = 16000
Voice = Callable[[str], np.ndarray]


@pytest.fixture(scope="module")
def identifier(enrolled: Path) -> Identifier:
    return Identifier.open(enrolled)


@pytest.fixture(scope="module")
def by_ml(enrolled_ml: Path) -> Identifier:
    return Identifier.open(enrolled_ml)


@pytest.fixture(scope="module")
def voice(sample: Path) -> Voice:
    def read(name: str) -> np.ndarray:
        samples, rate = sf.read(sample / "test" / f"{name}.flac", dtype="float32")
        assert rate == RATE
        return np.asarray(samples)

    return read


def made(*parts: tuple[str, np.ndarray], pause: float = 0.4) -> tuple[Waveform, list[SpeakerTurn]]:
    """Voices one after the other, and whose turns they are."""
    samples, turns, at = [], [], 0.0
    for label, speech in parts:
        samples += [speech, np.zeros(round(pause * RATE), np.float32)]
        turns.append(SpeakerTurn("call", label, at, at + len(speech) / RATE))
        at = turns[-1].end + pause
    return Waveform(np.concatenate(samples), RATE, "call.wav"), turns


def named(labelling: Labelling) -> dict[str, str | None]:
    return {each.label: each.decision for each in labelling.labels}


@pytest.fixture(scope="module")
def meeting(voice: Voice) -> tuple[Waveform, list[SpeakerTurn]]:
    return made(
        ("B", voice("tom-1")), ("A", voice("aino-1")), ("S", voice("stranger-1")), ("B", voice("tom-2")),
        ("R", voice("stranger-2")), ("A", voice("aino-2")),
    )  # fmt: skip


# names


def test_names_where_somebody_is_enrolled_and_labels_where_nobody_is(
    identifier: Identifier, meeting: tuple[Waveform, list[SpeakerTurn]], tmp_path: Path
) -> None:
    source, turns = meeting
    answer = label_turns(identifier, source, turns)
    assert named(answer) == {"B": "Tom", "A": "Aino", "S": None, "R": None}
    assert answer.names == {"B": "Tom", "A": "Aino"}
    assert (answer.path, answer.recording, answer.warnings) == ("call.wav", "call", ())
    for each in answer.labels:
        assert each.status == ("unknown" if each.decision is None else "identified")
        assert each.reason is None
        assert each.nearest in identifier.speakers
        assert each.probability is not None
        assert each.probability > 0.5
        assert each.overlap_seconds == 0
        spoken = sum(turn.end - turn.start for turn in turns if turn.label == each.label)
        assert 0.7 * spoken < each.speech_seconds <= spoken + 0.01
    path = tmp_path / "named.rttm"
    path.write_text(answer.to_rttm(), encoding="utf-8")
    assert [turn.label for turn in read_rttm(path)["call"]] == ["Tom", "Aino", "S", "Tom", "R", "Aino"]
    assert [round(turn.start, 3) for turn in read_rttm(path)["call"]] == [round(turn.start, 3) for turn in turns]


def test_a_label_is_judged_as_the_recording_that_its_speech_makes(identifier: Identifier, sample: Path) -> None:
    for name in ("alice-1", "jose-2", "stranger-3", "giulia-1"):
        path = str(sample / "test" / f"{name}.flac")
        alone = identifier.identify(path)
        assert alone.duration_seconds is not None
        assert alone.speech_seconds is not None
        (label,) = label_turns(identifier, Recording(path), [SpeakerTurn("x", "L", 0.0, alone.duration_seconds)]).labels
        assert (label.decision, label.status, label.nearest) == (
            alone.decision, alone.status, alone.scores[0].speaker,
        )  # fmt: skip
        assert label.speech_seconds == pytest.approx(alone.speech_seconds, abs=0.1)
        assert label.llr == pytest.approx(alone.scores[0].llr, abs=0.5)


def test_turns_are_seconds_of_the_file(identifier: Identifier, voice: Voice, tmp_path: Path) -> None:
    source, turns = made(("A", voice("aino-1")), ("B", voice("tom-1")))
    path = tmp_path / "call.wav"
    sf.write(path, np.asarray(source.samples), RATE)
    whole = label_turns(identifier, Recording(str(path)), turns)
    stretch = label_turns(identifier, Recording(str(path), start=turns[1].start - 0.1), turns)
    assert named(whole) == {"A": "Aino", "B": "Tom"}
    assert named(stretch) == {"A": None, "B": "Tom"}
    assert stretch.labels[0].speech_seconds == 0
    # in reverse the label is somebody else's
    swapped = [SpeakerTurn("call", {"A": "B", "B": "A"}[turn.label], turn.start, turn.end) for turn in turns]
    assert named(label_turns(identifier, Recording(str(path)), swapped)) == {"A": "Tom", "B": "Aino"}


def test_turns_may_come_in_any_order(identifier: Identifier, meeting: tuple[Waveform, list[SpeakerTurn]]) -> None:
    source, turns = meeting
    assert label_turns(identifier, source, turns[::-1]) == label_turns(identifier, source, turns)


def test_threads_change_nothing(
    identifier: Identifier, meeting: tuple[Waveform, list[SpeakerTurn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, turns = meeting
    monkeypatch.setattr(label_speech, "_POOL_SECONDS", 0.5)
    one, three = (label_turns(identifier, source, turns, jobs=jobs) for jobs in (1, 3))
    assert one == three


def test_what_is_scored_early_is_not_lost(
    identifier: Identifier, meeting: tuple[Waveform, list[SpeakerTurn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, turns = meeting
    at_once = label_turns(identifier, source, turns)
    for setting, seconds in (("_POOL_SECONDS", 0.8), ("_HELD_SECONDS", 0.5)):
        with monkeypatch.context() as patch:
            patch.setattr(label_speech, setting, seconds)
            in_parts = label_turns(identifier, source, turns)
        for before, after in zip(at_once.labels, in_parts.labels, strict=True):
            # what noise there is is told from less speech
            assert (before.label, before.decision, before.speech_seconds) == (
                after.label, after.decision, after.speech_seconds,
            )  # fmt: skip


def test_memory_does_not_grow_with_a_label(by_ml: Identifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Speech waits for as much as is scored at once, and is a sum after that."""
    # C never speaks alone for long, and B does at last
    turns = [
        SpeakerTurn("x", "A", 0.0, 300.0), SpeakerTurn("x", "B", 150.0, 310.0), SpeakerTurn("x", "C", 150.0, 300.05),
    ]  # fmt: skip
    random = np.random.default_rng(5)
    shape = (31, 1000, by_ml.front_end.n_features)
    values = random.standard_normal(shape).astype(np.float32)

    def summed(n_at_least: int, n_at_most: int) -> list[SpeechSums]:
        speech = label_speech.LabelSpeech(by_ml, turns, -0.0125, 1)
        most = all_of_it = 0
        for i, frames in enumerate(values):
            speech.take([label_speech.Piece(1000 * i, frames, np.ones(1000, np.bool_), np.zeros(1000, np.float32))])
            held = [pool.n_held for voice in speech._voices for pool in (voice.alone, voice.together)]
            most, all_of_it = max(most, *held), max(all_of_it, sum(held))
            # what is not needed is not kept
            assert i < 30 or speech._voices[1].together.n_held == 0
            assert i < 20 or speech._voices[0].together.n_held == 0
        assert most < 6000
        assert n_at_least < all_of_it <= n_at_most
        found = speech.finish()
        assert not any(pool.n_held for voice in speech._voices for pool in (voice.alone, voice.together))
        return found

    for found in (summed(9000, 18000), _with(monkeypatch, "_HELD_SECONDS", 40.0, lambda: summed(4000, 9000))):
        a, b, c = found
        assert [(each.frames, each.overlapped) for each in found] == [(15000, False), (995, False), (15005, True)]
        assert [each.overlap_seconds for each in found] == pytest.approx([150, 150.05, 150.05], abs=0.011)
        flat = values.reshape(-1, shape[2])
        for each, rows in ((a, slice(0, 15000)), (b, slice(30005, 31000)), (c, slice(15000, 30005))):
            expected, _world = by_ml.block_sums(flat[rows], np.zeros(1, dtype=np.intp))
            np.testing.assert_allclose(each.ratios, expected[0], rtol=1e-6)


def _with(monkeypatch: pytest.MonkeyPatch, name: str, value: float, call: Callable[[], Any]) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(label_speech, name, value)
        return call()


# one name, one label


def test_a_name_is_given_once(identifier: Identifier, voice: Voice) -> None:
    source, turns = made(("A", voice("aino-1")), ("B", voice("tom-1")), ("C", voice("aino-2")))
    once = label_turns(identifier, source, turns)
    assert sorted(name for name in named(once).values() if name) == ["Aino", "Tom"]
    (left,) = [each for each in once.labels if each.decision is None]
    assert (left.status, left.reason, left.nearest) == ("unknown", "name_taken", "Aino")
    (owner,) = [each for each in once.labels if each.decision == "Aino"]
    assert owner.llr is not None
    assert left.llr is not None
    assert owner.llr >= left.llr
    twice = label_turns(identifier, source, turns, repeat_names=True)
    assert named(twice) == {"A": "Aino", "B": "Tom", "C": "Aino"}
    assert all(each.reason is None for each in twice.labels)


@given(st.integers(0, 5), st.integers(1, 5), st.integers(0, 10**6))
def test_the_sum_of_the_evidence_is_largest(n_labels: int, n_speakers: int, seed: int) -> None:
    gains = np.random.default_rng(seed).normal(0, 3, (n_labels, n_speakers))
    given_names = _assigned(gains, optional=True, repeat=False)
    names = [speaker for speaker in given_names if speaker is not None]
    assert len(set(names)) == len(names)

    def worth(choice: Any) -> float:
        return float(sum(gains[row, speaker] for row, speaker in enumerate(choice) if speaker is not None))

    every = itertools.product([None, *range(n_speakers)], repeat=n_labels)
    possible = (c for c in every if len({s for s in c if s is not None}) == sum(s is not None for s in c))
    assert worth(given_names) == pytest.approx(max(map(worth, possible)))
    # a name that is not earned is not given, whatever it is good for
    assert all(gains[row, speaker] >= 0 for row, speaker in enumerate(given_names) if speaker is not None)
    all_named = _assigned(gains, optional=False, repeat=False)
    assert sum(speaker is not None for speaker in all_named) == min(n_labels, n_speakers)
    assert _assigned(gains, optional=False, repeat=True) == [int(row.argmax()) for row in gains]


def test_a_name_goes_to_whom_it_helps_most() -> None:
    # both fit the first name best; the second label has no other
    assert _assigned(np.array([[5.0, 4.0], [4.5, -9.0]]), optional=True, repeat=False) == [1, 0]
    assert _assigned(np.array([[5.0, -4.0], [4.5, -9.0]]), optional=True, repeat=False) == [0, None]
    assert _assigned(np.array([[0.0, -1.0]]), optional=True, repeat=False) == [0]


# rules


def test_in_a_closed_set_everybody_has_a_name(
    identifier: Identifier, meeting: tuple[Waveform, list[SpeakerTurn]]
) -> None:
    source, turns = meeting
    answer = label_turns(identifier, source, turns, closed_set=True)
    names = named(answer)
    assert (names["A"], names["B"]) == ("Aino", "Tom")
    assert len({*names.values()}) == 4
    assert None not in names.values()


def test_there_may_be_fewer_names_than_labels(
    identifier: Identifier, meeting: tuple[Waveform, list[SpeakerTurn]]
) -> None:
    source, turns = meeting
    few = Identifier(
        {name: identifier.mixtures[name] for name in ("Aino", "Tom")}, identifier.front_end, identifier.decision
    )
    for rule in ({"closed_set": True}, {}):
        answer = label_turns(few, source, turns, **rule)
        assert sorted(name for name in named(answer).values() if name) == ["Aino", "Tom"]
        left = [each for each in answer.labels if each.decision is None]
        assert [(each.status, each.reason, each.llr) for each in left] == [("unknown", "name_taken", None)] * 2


def test_speakers_without_a_calibration(by_ml: Identifier, voice: Voice) -> None:
    source, turns = made(("A", voice("aino-1")), ("B", voice("tom-1")), ("C", voice("robert-1")))
    answer = label_turns(by_ml, source, turns)
    assert named(answer) == {"A": "Aino", "B": "Tom", "C": "Robert"}
    assert all((each.llr, each.probability) == (None, None) for each in answer.labels)
    with pytest.raises(UsageError, match="calibrated"):
        label_turns(by_ml, source, turns, false_accept_rate=0.1)


@pytest.mark.parametrize("model", ["map", "ml"])
def test_by_the_margin(
    model: str, identifier: Identifier, by_ml: Identifier, meeting: tuple[Waveform, list[SpeakerTurn]]
) -> None:
    source, turns = meeting
    asked = identifier if model == "map" else by_ml
    assert named(label_turns(asked, source, turns, threshold=1000.0)) == dict.fromkeys("BASR")
    lenient = label_turns(asked, source, turns, threshold=0.0)
    assert (lenient.names["A"], lenient.names["B"]) == ("Aino", "Tom")


def test_a_name_needs_what_a_recording_needs(
    identifier: Identifier, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, turns = made(("A", voice("aino-1")))
    (label,) = label_turns(identifier, source, turns).labels
    assert label.llr is not None
    earned = label.llr - np.log(len(identifier.speakers))
    for threshold, name in ((earned - 0.01, "Aino"), (earned + 0.01, None)):
        monkeypatch.setattr(Identifier, "rule", lambda *_a, _t=threshold, **_k: Rule("evidence", _t))
        (label,) = label_turns(identifier, source, turns).labels
        assert (label.decision, label.nearest, label.reason) == (name, "Aino", None)


def test_of_too_many_labels_those_that_fit_are_named(by_ml: Identifier, voice: Voice) -> None:
    few = Identifier({name: by_ml.mixtures[name] for name in ("Aino", "Tom")}, by_ml.front_end)
    # short ones have the larger sums of log-likelihoods, which are far below 0
    short = voice("stranger-1")[RATE : 2 * RATE]
    source, turns = made(("B", voice("tom-1")), ("S", short), ("A", voice("aino-1")))
    assert named(label_turns(few, source, turns)) == {"B": "Tom", "S": None, "A": "Aino"}


def test_rules_that_exclude_each_other(identifier: Identifier, meeting: tuple[Waveform, list[SpeakerTurn]]) -> None:
    with pytest.raises(UsageError, match="choose one"):
        label_turns(identifier, *meeting, closed_set=True, threshold=1.0)


# overlaps


def test_where_others_speak_is_left_out(identifier: Identifier, voice: Voice) -> None:
    aino, tom = voice("aino-1"), voice("tom-1")
    both = min(len(aino), len(tom)) // 2
    samples = np.concatenate([aino, tom])
    samples[len(aino) - both : len(aino)] += tom[:both]
    turns = [
        SpeakerTurn("x", "A", 0.0, len(aino) / RATE),
        SpeakerTurn("x", "B", (len(aino) - both) / RATE, len(samples) / RATE),
    ]
    answer = label_turns(identifier, Waveform(samples, RATE), turns)
    assert named(answer) == {"A": "Aino", "B": "Tom"}
    for each in answer.labels:
        assert 0.5 * both / RATE < each.overlap_seconds <= both / RATE + 0.01
        assert each.speech_seconds <= len(samples) / RATE - both / RATE
        assert each.reason is None


def test_a_label_that_never_speaks_alone_is_doubtful(identifier: Identifier, voice: Voice) -> None:
    aino, tom = voice("aino-1"), voice("tom-1")
    n = min(len(aino), len(tom))
    samples = np.concatenate([tom[:n], aino[:n] + 0.01 * tom[:n]])
    turns = [SpeakerTurn("x", "B", 0.0, 2 * n / RATE), SpeakerTurn("x", "A", n / RATE, 2 * n / RATE)]
    refused = label_turns(identifier, Waveform(samples, RATE), turns)
    b, a = refused.labels
    assert (b.decision, a.decision, a.status, a.reason) == ("Tom", None, "undecided", "overlap")
    answer = label_turns(identifier, Waveform(samples, RATE), turns, closed_set=True)
    assert named(answer) == {"A": "Aino", "B": "Tom"}
    b, a = answer.labels
    assert (b.reason, a.reason) == (None, "overlap")
    assert a.speech_seconds == pytest.approx(a.overlap_seconds)
    assert a.overlap_seconds == pytest.approx(b.overlap_seconds)
    (warning,) = answer.warnings
    assert warning.startswith("A: others speak in all of its speech")


turns_given = st.lists(
    st.tuples(st.sampled_from("ABC"), st.integers(0, 60), st.integers(1, 20)), min_size=1, max_size=12
).map(lambda drawn: sorted((SpeakerTurn("x", a, b / 4, (b + c) / 4) for a, b, c in drawn), key=lambda turn: turn.start))


@given(turns_given)
def test_speech_is_cut_into_alone_and_not(turns: list[SpeakerTurn]) -> None:
    frame, numbers = 0.01, {label: i for i, label in enumerate("ABC")}
    count = np.zeros((3, 2, 2100), dtype=int)
    for part in _parts(turns, numbers, 0.005, frame):
        assert part.first < part.end
        count[part.voice, int(part.alone), part.first : part.end] += 1
    assert count.max() <= 1
    spoken = np.zeros((3, 2100), dtype=bool)
    for turn in turns:
        spoken[numbers[turn.label], round(turn.start / frame) : round(turn.end / frame)] = True
    alone = spoken & (spoken.sum(axis=0) == 1)
    np.testing.assert_array_equal(count[:, 1], alone)
    np.testing.assert_array_equal(count[:, 0], spoken & ~alone)
    assert count[:, 1].sum() == round(sum(part.end - part.start for part in one_voice(turns)) / frame)


def test_what_is_left_of_stretches() -> None:
    assert _rest([(0, 4), (6, 9)], [(1, 2), (6, 7)]) == [(0, 1), (2, 4), (7, 9)]
    assert _rest([(0, 4)], [(0, 4)]) == []
    assert _rest([(0, 4), (6, 9)], []) == [(0, 4), (6, 9)]


# what cannot be judged


def test_labels_without_speech_stay_with_a_reason(identifier: Identifier, voice: Voice) -> None:
    source, turns = made(("A", voice("aino-1")), ("Q", np.zeros(3 * RATE, np.float32)))
    turns += [
        SpeakerTurn("call", "short", 1.0, 1.05),
        SpeakerTurn("call", "late", turns[-1].end + 5, turns[-1].end + 6),
    ]
    turns[0] = SpeakerTurn("call", "A", 0.0, 1.0)
    turns.append(SpeakerTurn("call", "A", 1.05, turns[1].start - 0.4))
    answer = label_turns(identifier, source, turns)
    assert {each.label: (each.status, each.reason) for each in answer.labels} == {
        "A": ("identified", None), "Q": ("undecided", "no_speech"), "short": ("undecided", "too_short"),
        "late": ("undecided", "beyond_end"),
    }  # fmt: skip
    assert all((each.llr, each.nearest) == (None, None) for each in answer.labels if each.status == "undecided")
    # also where names are given always
    assert label_turns(identifier, source, turns, closed_set=True).names.keys() == {"A"}


def test_turns_of_another_recording(identifier: Identifier, voice: Voice) -> None:
    source, turns = made(("A", voice("aino-1")), ("B", voice("tom-1")))
    end = len(np.asarray(source.samples)) / RATE
    for more, warnings in (
        ([SpeakerTurn("call", "B", 1.0, end + 0.05)], []),
        ([SpeakerTurn("call", "B", 1.0, end + 2)], ["1 of 3 turns end after the recording does"]),
        ([SpeakerTurn("call", "B", end + 1, end + 2)], ["1 of them begin after it"]),
    ):  # fmt: skip
        found = label_turns(identifier, source, turns + more).warnings
        assert len(found) == len(warnings)
        assert all(part in text for part, text in zip(warnings, found, strict=True))
    with pytest.raises(UsageError, match=r"call\.wav: ends at .*: the turns are of another recording"):
        label_turns(identifier, source, [SpeakerTurn("call", "A", end + 1, end + 3)])
    for wrong in ([], [*turns, SpeakerTurn("other", "A", 0.0, 1.0)]):
        with pytest.raises(UsageError, match="give those of one"):
            label_turns(identifier, source, wrong)


def test_audio_that_cannot_be_used(identifier: Identifier, bad_inputs: dict[str, Path]) -> None:
    turns = [SpeakerTurn("x", "A", 0.0, 1.0)]
    for name in ("empty", "text", "truncated", "missing"):
        with pytest.raises(RecordingError, match=name):
            label_turns(identifier, Recording(str(bad_inputs[name])), turns)
    (answer,) = label_turns(identifier, Recording(str(bad_inputs["silence"])), turns).labels
    assert (answer.decision, answer.reason) == (None, "no_speech")


def test_a_band_that_does_not_fit(identifier: Identifier, voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the lack of the upper band cannot be made up for, nobody is named, but in a closed set."""
    source, turns = made(("A", voice("aino-1")), ("B", voice("tom-1")))
    monkeypatch.setattr(Identifier, "within", lambda self, _static: Heard(self._adapted, True, False, True))
    answer = label_turns(identifier, source, turns)
    assert [(each.status, each.reason) for each in answer.labels] == [("undecided", "band")] * 2
    forced = label_turns(identifier, source, turns, closed_set=True)
    assert named(forced) == {"A": "Aino", "B": "Tom"}
    assert sum("nothing in the upper band" in warning for warning in forced.warnings) == 3


# labels that are names


def test_labels_that_read_like_names(identifier: Identifier, voice: Voice) -> None:
    def warned(*labels: str) -> list[str]:
        voices = [voice(name) for name in ("aino-1", "stranger-1", "mary-ann-1")]
        return list(label_turns(identifier, *made(*zip(labels, voices, strict=True))).warnings)

    assert warned("Aino", "S", "Mary_Ann") == []
    assert warned("X", "Tom", "Y") == [
        "Tom: keeps its label, the name of an enrolled speaker, but was not found to be that one"
    ]
    (clash,) = warned("X", "Aino", "Y")
    assert clash == "Aino: keeps its label and was not found to be Aino, as X was: both are called so now"
    (clash,) = warned("X", "Mary_Ann", "Y")
    assert clash.startswith("Mary_Ann: keeps its label and was not found to be Mary Ann, as Y was")
    (other,) = warned("Tom", "S", "Y")
    assert other == "Tom: is the name of an enrolled speaker, and this voice is Aino's"


# which recording


def test_the_turns_of_a_recording_are_found_by_its_name() -> None:
    def one(name: str) -> tuple[SpeakerTurn, ...]:
        return (SpeakerTurn(name, "A", 0.0, 1.0),)

    several = {name: one(name) for name in ("a", "b.wav", "my_call", "c.d")}
    for path, name in (("x/a.flac", "a"), ("b.wav", "b.wav"), ("my call.mp3", "my_call"), ("c.d.wav", "c.d")):
        assert turns_of(several, path, rttm="x.rttm") == (several[name], None)
    assert turns_of(several, "a.wav", rttm="x.rttm", recording="c.d") == (several["c.d"], None)
    turns, note = turns_of({"other": one("other")}, "a.wav", rttm="x.rttm")
    assert turns == one("other")
    assert note == "x.rttm calls its only recording other: taken for a.wav"
    assert turns_of({"stdin": one("stdin"), "a": one("a")}, "-", rttm="x.rttm")[0] == one("stdin")
    with pytest.raises(
        UsageError, match=r"x\.rttm: no recording 'z'; say which one with --recording: a, b\.wav, my_call"
    ):
        turns_of(several, "z.wav", rttm="x.rttm")
    with pytest.raises(UsageError, match=r"no recording 'z'; it has a, b\.wav"):
        turns_of(several, "a.wav", rttm="x.rttm", recording="z")
    with pytest.raises(UsageError, match="nobody speaks"):
        turns_of({"a": ()}, "a.wav", rttm="x.rttm")
    with pytest.raises(UsageError, match=r"6, 7 and 12 more$"):
        turns_of({str(i): one(str(i)) for i in range(20)}, "a.wav", rttm="x.rttm")


# real speech


@pytest.mark.corpora
def test_real_voices(corpora: Path, tmp_path: Path, run: Callable[..., Any]) -> None:
    """Ten readers of LibriSpeech enrolled; four of them and two others speak in turn."""
    folder = corpora / "librispeech-10"
    speakers = sorted(path.name for path in folder.iterdir() if path.is_dir())
    rows = ["path,speaker"]
    test: dict[str, list[Path]] = {}
    for speaker in speakers:
        files = sorted((folder / speaker).glob("*.flac"))
        rows += [f"{path},{speaker}" for path in files[:4]] if speaker not in speakers[:2] else []
        test[speaker] = files[4:]
    manifest = tmp_path / "enroll.csv"
    manifest.write_text("\n".join(rows), encoding="utf-8")
    assert run("enroll", manifest, "--db", tmp_path / "s.db", "-q").status == 0
    identifier = Identifier.open(tmp_path / "s.db")
    random = np.random.default_rng(3)
    parts = []
    for turn in range(18):
        speaker = speakers[turn % 6]
        samples, rate = sf.read(test[speaker][turn // 6], dtype="float32")
        assert rate == RATE
        parts.append((f"L{speaker}", samples[: int(random.uniform(2, 5) * RATE)]))
    answer = named(label_turns(identifier, *made(*parts)))
    assert answer == {f"L{speaker}": None if speaker in speakers[:2] else speaker for speaker in speakers[:6]}
