"""Timelines against the truth: turns whose errors are counted by hand, and recordings made of the sample voices."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

import speakerid
from speakerid.audio.rttm import SpeakerTurn, rttm_line
from speakerid.config import Config, TrainingConfig
from speakerid.errors import ManifestError, UsageError
from speakerid.evaluation.timelines import Turn, score_timeline
from speakerid.workflows.timeline_evaluation import TimelineEvaluation, carry_out, evaluate_timelines, score_timelines
from speakerid.workflows.timeline_formats import to_rttm
from speakerid.workflows.timeline_plan import enrolled_names, labels_of, plan_timelines, rttm_name

RATE = 16_000
TRUTH = {
    "m1": [("alice", 0, 10), ("bob", 8, 15), ("carol", 20, 25)],
    "m2": [("bob", 0, 4)],
}
FOUND = {"m1": [("alice", 0, 9), ("bob", 9, 12), ("alice", 12, 16), ("unknown", 20, 25.5)]}


def write(path: Path, turns: dict[str, Sequence[Turn]]) -> Path:
    lines = [rttm_line(SpeakerTurn(name, *turn)) for name, own in turns.items() for turn in own]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def figures(evaluation: TimelineEvaluation) -> dict[str, Any]:
    [system] = evaluation.systems
    return system.scores.to_dict()


@pytest.fixture
def turns(tmp_path: Path) -> tuple[Path, Path]:
    """What was found, and the truth."""
    return write(tmp_path / "found.rttm", FOUND), write(tmp_path / "truth.rttm", TRUTH)


# --- turns that are there already


def test_seconds_counted_by_hand(turns: tuple[Path, Path]) -> None:
    # m1: 8-9 and 9-10 one of two is missed; 12-15 bob is taken for alice; 15-16 and 25-25.5 nobody speaks; carol is named
    # nowhere, so unknown is right. m2: bob's 4 s are missed.
    found = figures(evaluate_timelines(*turns))
    first, second = found["recordings"]
    assert first == {
        "recording": "m1", "speech_seconds": 22, "missed": 2, "false_alarm": 1.5, "confusion": 3, "correct": 17,
        "overlap": 4, "errors_in_overlap": 2, "ier": pytest.approx(6.5 / 22), "der": pytest.approx(6.5 / 22),
        "floor_from_overlap": pytest.approx(2 / 22),
    }  # fmt: skip
    assert (second["recording"], second["missed"], second["ier"]) == ("m2", 4, 1)
    assert (found["ier"], found["floor_from_overlap"]) == (pytest.approx(10.5 / 26), pytest.approx(2 / 26))
    assert found["all"]["missed"] == 6
    assert found["confusions"] == [{"reference": "bob", "found": "alice", "seconds": 3}]
    # starts 0, 8, 20 and 0 are 0, 1, 0 and nothing away, ends 10, 15, 25 and 4 are 1, 1, 0.5 and nothing
    assert found["boundaries"] == {"n": 8, "median": 1, "share_within_0.3_s": 0.25}
    assert found["strangers"] == ["carol"]


def test_what_is_right_has_no_errors(turns: tuple[Path, Path]) -> None:
    found = figures(evaluate_timelines(turns[1], turns[1]))
    assert (found["ier"], found["der"], found["confusions"], found["ier_ci95"]) == (0, 0, [], (0, 0))
    assert found["boundaries"]["share_within_0.3_s"] == 1


def test_what_was_missed_whole_is_told(turns: tuple[Path, Path]) -> None:
    notes = evaluate_timelines(*turns).plan.notes
    assert notes[0].startswith("warning: ")
    assert "has no turns of m2: all their speech is missed" in notes[0]
    assert "carol" in notes[1]


def test_a_recording_without_truth_is_refused(turns: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match=r"found\.rttm: no turns of m2, which .*truth\.rttm has"):
        evaluate_timelines(turns[1], turns[0])


def test_who_was_enrolled_and_never_named_is_not_unknown(turns: tuple[Path, Path]) -> None:
    told = figures(evaluate_timelines(*turns, known=["alice", "bob", "carol"]))
    assert (told["strangers"], told["recordings"][0]["confusion"]) == ([], 8)
    assert told["confusions"][0] == {"reference": "carol", "found": "unknown", "seconds": 5}
    # the best mapping does not care
    assert told["der"] == figures(evaluate_timelines(*turns))["der"]


def test_without_the_answer_unknown_everybody_is_known(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth.rttm", {"m": [("alice", 0, 4), ("bob", 4, 8)]})
    found = write(tmp_path / "found.rttm", {"m": [("SPEAKER_00", 0, 4), ("SPEAKER_01", 4, 8)]})
    evaluation = evaluate_timelines(found, truth)
    scores = figures(evaluation)
    assert (scores["ier"], scores["der"], scores["strangers"]) == (1, 0, [])
    assert {each["reference"] for each in scores["confusions"]} == {"alice", "bob"}
    assert any("identification error rate says nothing" in text for text in evaluation.plan.notes)


def test_two_strangers_are_two_speakers_for_the_diarization_error_rate(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth.rttm", {"m": [("alice", 0, 4), ("x", 4, 8), ("y", 8, 10)]})
    found = write(tmp_path / "found.rttm", {"m": [("alice", 0, 4), ("unknown", 4, 10)]})
    scores = figures(evaluate_timelines(found, truth))
    assert (scores["ier"], scores["der"]) == (0, pytest.approx(0.2))


def test_undecided_is_never_right(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth.rttm", {"m": [("undecided", 0, 2), ("alice", 2, 4)]})
    found = write(tmp_path / "found.rttm", {"m": [("undecided", 0, 2), ("alice", 2, 4)]})
    scores = figures(evaluate_timelines(found, truth))
    assert (scores["ier"], scores["confusions"][0]["found"]) == (0.5, "undecided")


@pytest.mark.parametrize("unknown", [True, False])
def test_random_turns_are_scored_as_each_recording_alone(tmp_path: Path, unknown: bool) -> None:
    rng = random.Random(3)
    names = ["a", "b", "c", "d"]

    def some(labels: list[str]) -> dict[str, list[Turn]]:
        made: dict[str, list[Turn]] = {}
        for recording in ("r1", "r2", "r3"):
            starts = sorted(round(rng.uniform(0, 60), 2) for _ in range(20))
            own = [(rng.choice(labels), start, start + round(rng.uniform(0.2, 6), 2)) for start in starts]
            made[recording] = [(label, start, round(end, 2)) for label, start, end in own]
        return made

    reference, found = some(names), some([*names[:2], *(["unknown"] if unknown else [])])
    known = {"a", "b"} if unknown else None
    scores = score_timelines(reference, found, known=known, collar=0.1)
    for each in scores.recordings:
        truth, turns = reference[each.recording], found[each.recording]
        assert each.named == score_timeline(truth, turns, known=known, collar=0.1)
        assert each.mapped == score_timeline(truth, turns, mapping="best", collar=0.1)
        # all but one of those who speak at once, counted every 10 ms
        ticks = np.arange(0, 70, 0.01) + 0.005
        speaking = sum(
            np.any([(start <= ticks) & (ticks < end) for label, start, end in truth if label == name], axis=0).astype(
                int
            )
            for name in names
        )
        scored = np.ones(len(ticks), bool)
        for name in names:
            on = np.any([(start <= ticks) & (ticks < end) for label, start, end in truth if label == name], axis=0)
            for edge in ticks[1:][np.diff(on.astype(int)) != 0] - 0.005:
                scored &= np.abs(ticks - edge) > 0.1
        assert each.floor_seconds == pytest.approx((np.maximum(speaking - 1, 0) * scored).sum() * 0.01, abs=0.5)
    assert scores.named.errors == pytest.approx(sum(each.named.errors for each in scores.recordings))
    low, high = scores.ier_ci95 or (math.nan, math.nan)
    assert low < scores.named.rate < high
    assert scores == score_timelines(reference, found, known=known, collar=0.1)
    assert scores.ier_ci95 != score_timelines(reference, found, known=known, collar=0.1, seed=1).ier_ci95


def test_collar_and_overlap(turns: tuple[Path, Path]) -> None:
    skipped = figures(evaluate_timelines(*turns, skip_overlap=True))
    assert (skipped["all"]["speech_seconds"], skipped["all"]["overlap"], skipped["floor_from_overlap"]) == (22, 0, 0)
    # eight boundaries, of which four have speech on both sides: 8, 10 inside, the others on one side
    collared = figures(evaluate_timelines(*turns, collar=0.5))
    assert collared["recordings"][1]["missed"] == 3
    assert collared["recordings"][0]["overlap"] == 2
    for collar in (-1, math.nan, math.inf):
        with pytest.raises(UsageError, match="a collar of"):
            evaluate_timelines(*turns, collar=collar)


# --- UEM


def test_a_uem_says_what_is_scored(turns: tuple[Path, Path], tmp_path: Path) -> None:
    uem = text(tmp_path / "some.uem", "m1 1 5 9\nm1 1 14 30\nelsewhere 1 0 10\n")
    evaluation = evaluate_timelines(*turns, uem=uem)
    [only] = figures(evaluation)["recordings"]
    # 5-8 alice, 8-9 both and one missed, 14-15 bob taken for alice, 15-16 nobody, 20-25 carol, 25-25.5 nobody
    assert (only["speech_seconds"], only["missed"], only["confusion"], only["false_alarm"]) == (11, 1, 1, 1.5)
    # starts 8 and 20, ends 15 and 25 are inside
    assert figures(evaluation)["boundaries"] == {"n": 4, "median": 0.75, "share_within_0.3_s": 0.25}
    assert f"not in {uem} and not scored: m2" in evaluation.plan.notes


def test_in_a_uem_a_recording_in_which_nobody_speaks(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth.rttm", {"m1": [("alice", 0, 10)]})
    found = write(tmp_path / "found.rttm", {"m1": [("alice", 0, 10)], "quiet": [("alice", 1, 3)]})
    uem = text(tmp_path / "all.uem", "m1 1 0 10\nquiet 1 0 2\n")
    scores = figures(evaluate_timelines(found, truth, uem=uem))
    quiet = scores["recordings"][1]
    assert (quiet["recording"], quiet["speech_seconds"], quiet["false_alarm"], quiet["ier"]) == ("quiet", 0, 1, None)
    assert scores["ier"] == pytest.approx(0.1)


def test_a_uem_of_other_recordings_is_refused(turns: tuple[Path, Path], tmp_path: Path) -> None:
    uem = text(tmp_path / "other.uem", "m9 1 0 10\n")
    with pytest.raises(UsageError, match=r"other\.uem: none of its recordings is there to be scored, m9"):
        evaluate_timelines(*turns, uem=uem)


def test_where_nobody_speaks_there_is_no_rate(turns: tuple[Path, Path], tmp_path: Path) -> None:
    scores = figures(evaluate_timelines(*turns, uem=text(tmp_path / "u.uem", "m1 1 16 19\n")))
    assert (scores["ier"], scores["der"], scores["ier_ci95"], scores["floor_from_overlap"]) == (None, None, None, None)
    assert scores["boundaries"] == {"n": 0, "median": None, "share_within_0.3_s": None}


def test_thousands_of_turns(tmp_path: Path) -> None:
    rng = random.Random(1)

    def hours(n: int) -> list[Turn]:
        made, time = [], 0.0
        for _ in range(n):
            seconds = rng.uniform(0.3, 4)
            made.append((f"s{rng.randrange(20)}", round(time, 3), round(time + seconds, 3)))
            time += seconds * rng.uniform(0.5, 1)
        return made

    truth, found = {"long": hours(3000)}, {"long": hours(3000)}
    scores = score_timelines(truth, found)
    assert scores.named.total == pytest.approx(scores.named.correct + scores.named.confusion + scores.named.missed)
    assert len(scores.boundary_seconds) <= 6000


def test_settings_change_nothing_in_turns(turns: tuple[Path, Path]) -> None:
    for options in ({"config": Config()}, {"threshold": 1.0}, {"false_accept_rate": 0.1}):
        with pytest.raises(UsageError, match="change nothing"):
            evaluate_timelines(*turns, **options)


def test_a_wrong_row_is_named(turns: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"bad\.rttm, row 1"):
        evaluate_timelines(turns[0], text(tmp_path / "bad.rttm", "hello\n"))
    with pytest.raises(ManifestError, match=r"bad\.uem, row 1"):
        evaluate_timelines(*turns, uem=text(tmp_path / "bad.uem", "m1 0 10\n"))


def test_names_are_as_rttm_has_them() -> None:
    assert rttm_name("Mary Ann") == "Mary_Ann"
    assert rttm_name("Jose\u0301") == "José"
    assert labels_of({"m": [("a", 0, 1)], "n": [("b", 0, 1), ("a", 1, 2)]}) == {"a", "b"}


# --- recordings


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """Three enrolled voices and a stranger in two recordings, with what is true of them."""
    folder = tmp_path_factory.mktemp("talks")
    rows, truth = [("path", "speaker", "split", "start", "end")], {}
    for name in ("Alice", "Mary Ann", "Tom"):
        rows += [(str(path), name, "enroll", "", "") for path in sorted((sample / "enroll" / name).iterdir())]
    says = {
        "first talk": ["alice-1", "tom-1", "alice-2"],
        "second": ["mary-ann-1", "aino-1", "tom-2"],
    }
    for recording, files in says.items():
        parts, own, time = [np.zeros(RATE // 2)], [], 0.5
        for file in files:
            samples, rate = sf.read(sample / "test" / f"{file}.flac")
            assert rate == RATE
            parts += [samples, np.zeros(RATE // 2)]
            own.append((file[:-2].replace("-", " ").title(), time, time + len(samples) / RATE))
            time += len(samples) / RATE + 0.5
        noise = np.random.default_rng(len(files)).standard_normal(sum(map(len, parts)))
        sf.write(folder / f"{recording}.wav", np.concatenate(parts) + 1e-4 * noise, RATE)
        truth[recording] = own
        # two rows, of which neither the speaker nor the stretch matters
        rows += [(f"{recording}.wav", "Tom", "test", "0", "1"), (f"{recording}.wav", "Alice", "test", "1", "2")]
    write(folder / "truth.rttm", truth)
    with (folder / "p.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.fixture(scope="module")
def evaluated(talks: Path) -> TimelineEvaluation:
    return evaluate_timelines(talks / "p.csv", talks / "truth.rttm")


def test_timelines_are_those_of_enroll_and_identify(talks: Path, evaluated: TimelineEvaluation, tmp_path: Path) -> None:
    with (talks / "p.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "enroll"]
    by_name: dict[str, list[str]] = {}
    for row in rows:
        by_name.setdefault(row["speaker"], []).append(row["path"])
    speakerid.enroll(by_name, db=tmp_path / "s.db")
    identifier = speakerid.Identifier.open(tmp_path / "s.db")
    [system] = evaluated.systems
    assert [Path(each.path).name for each in system.timelines] == ["first talk.wav", "second.wav"]
    for each in system.timelines:
        assert each.segments == identifier.timeline(each.path).segments


def test_the_sample_voices_are_found(evaluated: TimelineEvaluation) -> None:
    [system] = evaluated.systems
    assert system.problems == ()
    found = system.scores.to_dict()
    assert [each["recording"] for each in found["recordings"]] == ["first_talk", "second"]
    assert found["strangers"] == ["Aino"]
    assert found["floor_from_overlap"] == 0
    assert found["ier"] < 0.4
    assert system.times_real_time is not None
    assert system.timings["audio"] == pytest.approx(sum(each.duration_seconds or 0 for each in system.timelines))
    assert 'not enrolled, so that "unknown" is right: Aino' in evaluated.plan.notes


def test_what_was_found_scores_the_same_once_written(
    talks: Path, evaluated: TimelineEvaluation, tmp_path: Path
) -> None:
    [system] = evaluated.systems
    found = text(tmp_path / "found.rttm", "".join(map(to_rttm, system.timelines)))
    known = enrolled_names(talks / "p.csv")
    assert known == {"Alice", "Mary Ann", "Tom"}
    again = evaluate_timelines(found, talks / "truth.rttm", known=known)
    assert again.systems[0].scores == system.scores


def test_the_document(evaluated: TimelineEvaluation) -> None:
    values = evaluated.to_dict(command="speakerid evaluate")
    assert json.loads(json.dumps(values, allow_nan=False))["command"] == "speakerid evaluate"
    assert list(values)[:2] == ["system", "timelines"]
    about = values["timelines"]
    assert (about["collar"], about["skip_overlap"], about["uem"]) == (0, False, None)
    assert values["config"]["timeline"]["window_seconds"] > 0
    assert values["versions"]["speakerid"] == speakerid.__version__
    with pytest.raises(FrozenInstanceError):
        evaluated.seed = 1  # type: ignore[misc]


def test_several_systems_and_the_settings_of_timelines(talks: Path, evaluated: TimelineEvaluation) -> None:
    by_likelihood = Config(training=TrainingConfig(method="ml", components=4))
    done: list[int] = []
    plan = plan_timelines(talks / "p.csv", talks / "truth.rttm")
    both = carry_out(plan, config={"a": Config(), "b": by_likelihood}, progress=done.append)
    assert [system.system for system in both.systems] == ["a", "b"]
    assert both.systems[0].scores == evaluated.systems[0].scores
    assert (done, plan.steps) == (sorted(done), len(plan.enroll) + 2)
    assert done[-1] == 2 * plan.steps
    assert [each["system"] for each in both.to_dict()["other_systems"]] == ["b"]


def test_a_rule_that_settings_do_not_have_is_refused_before_any_work(talks: Path) -> None:
    by_likelihood = Config(training=TrainingConfig(method="ml", components=4))
    plan = plan_timelines(talks / "p.csv", talks / "truth.rttm")
    done: list[int] = []
    with pytest.raises(UsageError, match="b: a false-accept rate needs calibrated scores"):
        carry_out(plan, config={"a": Config(), "b": by_likelihood}, false_accept_rate=0.1, progress=done.append)
    assert done == []


def test_a_threshold_refuses_names(talks: Path, evaluated: TimelineEvaluation) -> None:
    strict = evaluate_timelines(talks / "p.csv", talks / "truth.rttm", threshold=1e6)
    labels = {segment.label for each in strict.systems[0].timelines for segment in each.segments}
    assert labels <= {"unknown", "undecided"}
    assert figures(strict)["ier"] > figures(evaluated)["ier"]


def changed(talks: Path, folder: Path, change: Callable[[list[list[str]]], list[list[str]]]) -> Path:
    """The protocol with other rows; the recordings are links to those of the talks."""
    with (talks / "p.csv").open(encoding="utf-8", newline="") as file:
        rows = change(list(csv.reader(file)))
    for path in talks.glob("*.wav"):
        (folder / path.name).symlink_to(path)
    with (folder / "p.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "p.csv"


def test_a_recording_that_the_truth_does_not_have(talks: Path, tmp_path: Path) -> None:
    truth = write(tmp_path / "truth.rttm", {"second": [("Tom", 0, 1)]})
    with pytest.raises(UsageError, match=r"truth\.rttm: no turns of .*first talk\.wav"):
        plan_timelines(talks / "p.csv", truth)
    uem = text(tmp_path / "u.uem", "second 1 0 5\n")
    assert [*plan_timelines(talks / "p.csv", truth, uem=uem).asked] == ["second"]


def test_two_files_of_one_name(talks: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    sf.write(tmp_path / "more" / "second.wav", np.zeros(RATE), RATE)
    data = changed(talks, tmp_path, lambda rows: [*rows, ["more/second.wav", "Tom", "test", "", ""]])
    with pytest.raises(UsageError, match=r"second\.wav and .*second\.wav are both second in the truth"):
        plan_timelines(data, talks / "truth.rttm")


def test_names_that_rttm_cannot_tell_apart(talks: Path, tmp_path: Path) -> None:
    rename = {"Tom": "Mary_Ann", "Alice": "Alice", "Mary Ann": "Mary Ann", "speaker": "speaker"}
    data = changed(talks, tmp_path, lambda rows: [[row[0], rename[row[1]], *row[2:]] for row in rows])
    with pytest.raises(UsageError, match="are the same in RTTM"):
        plan_timelines(data, talks / "truth.rttm")


def test_a_speaker_called_as_an_answer(talks: Path, tmp_path: Path) -> None:
    data = changed(talks, tmp_path, lambda rows: [[row[0], row[1].replace("Tom", "unknown"), *row[2:]] for row in rows])
    with pytest.raises(UsageError, match='a speaker is called "unknown"'):
        plan_timelines(data, talks / "truth.rttm")


def test_what_is_enrolled_and_asked_flatters(talks: Path, tmp_path: Path) -> None:
    data = changed(talks, tmp_path, lambda rows: [*rows, ["second.wav", "Tom", "enroll", "3", "4"]])
    notes = plan_timelines(data, talks / "truth.rttm").notes
    assert "warning: parts of second are enrolled: the figures flatter" in notes


def test_a_recording_that_cannot_be_read_is_missed_and_told(talks: Path, tmp_path: Path) -> None:
    text(tmp_path / "broken.wav", "no sound")
    data = changed(talks, tmp_path, lambda rows: [*rows, ["broken.wav", "Tom", "test", "", ""]])
    truth = {"broken": [("Tom", 0, 3)], "first_talk": [("Tom", 0, 1)], "second": [("Tom", 0, 1)]}
    evaluation = evaluate_timelines(data, write(tmp_path / "truth.rttm", truth))
    [problem] = evaluation.systems[0].problems
    assert (Path(problem.path).name, problem.reason) == ("broken.wav", "unreadable")
    assert figures(evaluation)["recordings"][-1]["missed"] == 3


def test_who_cannot_be_enrolled_is_known_all_the_same(talks: Path, tmp_path: Path) -> None:
    text(tmp_path / "broken.wav", "no sound")
    data = changed(talks, tmp_path, lambda rows: [*rows, ["broken.wav", "Aino", "enroll", "", ""]])
    evaluation = evaluate_timelines(data, talks / "truth.rttm")
    assert figures(evaluation)["strangers"] == []
    assert [problem.reason for problem in evaluation.systems[0].problems] == ["unreadable"]


def test_nobody_to_enrol(talks: Path, tmp_path: Path) -> None:
    text(tmp_path / "broken.wav", "no sound")

    def only_broken(rows: list[list[str]]) -> list[list[str]]:
        return [rows[0], ["broken.wav", "Tom", "enroll", "", ""], *(row for row in rows if row[2] == "test")]

    data = changed(talks, tmp_path, only_broken)
    with pytest.raises(UsageError, match="nobody could be enrolled"):
        evaluate_timelines(data, talks / "truth.rttm")


def test_a_folder_of_speakers(small: Path, tmp_path: Path) -> None:
    every = {path.stem: [(path.parent.name, 0.0, 1.0)] for path in small.rglob("*.flac")}
    plan = plan_timelines(small, write(tmp_path / "truth.rttm", every))
    assert plan.asked
    assert {rttm_name(path.stem) for path in small.rglob("*.flac")} >= {*plan.asked}


def test_a_list_of_trials_asks_for_no_timelines(talks: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        sf.write(tmp_path / f"{name}.wav", np.zeros(RATE), RATE)
    trials = text(tmp_path / "trials.txt", "1 a.wav b.wav\n0 a.wav c.wav\n")
    with pytest.raises(UsageError, match="a list of trials asks for no timelines"):
        plan_timelines(trials, talks / "truth.rttm")


@pytest.mark.corpora
def test_meetings(corpora: Path) -> None:
    evaluation = evaluate_timelines(
        corpora / "protocols" / "ami-timelines.csv", corpora / "ami-timelines" / "truth.rttm"
    )
    found = figures(evaluation)
    assert [each["recording"] for each in found["recordings"]] == ["dev01", "trn08", "tst01"]
    # a property of the truth: 55.76 s of speech, 15.805 s of it a second or third voice
    assert found["all"]["speech_seconds"] == pytest.approx(55.76)
    assert found["floor_from_overlap"] == pytest.approx(0.2834, abs=1e-4)
    assert found["ier"] >= found["floor_from_overlap"]
