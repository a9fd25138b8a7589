"""``speakerid label`` as people and scripts meet it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from speakerid.audio.rttm import read_rttm

Run = Callable[..., Any]

LABEL_FIELDS = [
    "label", "decision", "status", "reason", "llr", "probability", "nearest", "speech_seconds", "overlap_seconds",
]  # fmt: skip
VOICES = (
    ("SPEAKER_00", "mary-ann-1"), ("SPEAKER_01", "tom-1"), ("SPEAKER_02", "stranger-1"), ("SPEAKER_01", "tom-2"),
    ("SPEAKER_03", "stranger-2"),
)  # fmt: skip


@pytest.fixture
def call(tmp_path: Path, sample: Path) -> tuple[Path, Path]:
    """A recording of two who are enrolled and two who are not, and its turns."""
    samples, lines, at = [], [], 0.0
    for label, name in VOICES:
        speech, rate = sf.read(sample / "test" / f"{name}.flac", dtype="int16")
        seconds = len(speech) / rate
        lines.append(f"SPEAKER call 1 {at:.3f} {seconds:.3f} <NA> <NA> {label} <NA> <NA>\n")
        samples += [speech, np.zeros(rate // 2, np.int16)]
        at += seconds + 0.5
    audio, turns = tmp_path / "call.wav", tmp_path / "call.rttm"
    sf.write(audio, np.concatenate(samples), 16000)
    turns.write_text("".join(lines), encoding="utf-8")
    return audio, turns


def labels_of(path: Path) -> list[str]:
    (turns,) = read_rttm(path).values()
    return [turn.label for turn in turns]


def test_rttm_with_names(run: Run, enrolled: Path, call: tuple[Path, Path], tmp_path: Path) -> None:
    audio, turns = call
    outcome = run("label", audio, turns, "--db", enrolled)
    assert outcome.status == 0
    written = tmp_path / "named.rttm"
    written.write_text(outcome.out, encoding="utf-8")
    # a blank cannot be in RTTM
    assert labels_of(written) == ["Mary_Ann", "Tom", "SPEAKER_02", "Tom", "SPEAKER_03"]
    assert outcome.out.replace("Mary_Ann", "SPEAKER_00").replace("Tom", "SPEAKER_01") == turns.read_text("utf-8")
    lines = outcome.err.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("SPEAKER_00: Mary Ann (")
    assert lines[1].startswith("SPEAKER_01: Tom (")
    assert lines[2].startswith("stays SPEAKER_02: nobody enrolled (nearest: ")
    assert ", LLR " in lines[2]


def test_quiet_says_nothing(run: Run, enrolled: Path, call: tuple[Path, Path]) -> None:
    outcome = run("label", *call, "--db", enrolled, "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    assert len(outcome.out.splitlines()) == len(VOICES)


def test_a_file_is_written_whole_and_nothing_is_printed(
    run: Run, enrolled: Path, call: tuple[Path, Path], tmp_path: Path
) -> None:
    output = tmp_path / "out.rttm"
    printed = run("label", *call, "--db", enrolled, "-q")
    outcome = run("label", *call, "--db", enrolled, "-q", "--output", output)
    assert (outcome.status, outcome.out) == (0, "")
    assert output.read_text("utf-8") == printed.out
    table = run("label", *call, "--db", enrolled, "-q", "--output", output, "--format", "table")
    assert "Mary Ann" in table.out
    assert output.read_text("utf-8") == printed.out


def test_the_json_is_as_promised(run: Run, enrolled: Path, call: tuple[Path, Path]) -> None:
    outcome = run("label", *call, "--db", enrolled, "-q", "--format", "json")
    (answer,) = outcome.json
    assert list(answer) == ["path", "recording", "labels", "segments", "warnings"]
    assert (answer["path"], answer["recording"], answer["warnings"]) == (str(call[0]), "call", [])
    assert [list(each) for each in answer["labels"]] == [LABEL_FIELDS] * 4
    assert [(each["label"], each["decision"], each["status"]) for each in answer["labels"]] == [
        ("SPEAKER_00", "Mary Ann", "identified"), ("SPEAKER_01", "Tom", "identified"),
        ("SPEAKER_02", None, "unknown"), ("SPEAKER_03", None, "unknown"),
    ]  # fmt: skip
    assert [(each["label"], each["decision"]) for each in answer["segments"]] == [
        ("SPEAKER_00", "Mary Ann"), ("SPEAKER_01", "Tom"), ("SPEAKER_02", None), ("SPEAKER_01", "Tom"),
        ("SPEAKER_03", None),
    ]  # fmt: skip
    assert all(set(each) == {"start", "end", "label", "decision"} for each in answer["segments"])
    (turns,) = read_rttm(call[1]).values()
    assert [(each["start"], each["end"]) for each in answer["segments"]] == [(turn.start, turn.end) for turn in turns]


def test_the_table(run: Run, enrolled: Path, call: tuple[Path, Path]) -> None:
    outcome = run("label", *call, "--db", enrolled, "-q", "--format", "table")
    heading, _line, *rows = outcome.out.splitlines()
    assert heading.split() == ["Label", "Speaker", "Probability", "LLR", "Speech", "s", "Overlap", "s"]
    assert [row.split()[0] for row in rows] == [f"SPEAKER_0{i}" for i in range(4)]
    assert "Mary Ann" in rows[0]
    assert "unknown (nearest: " in rows[2]


def test_how_names_are_given(run: Run, enrolled: Path, call: tuple[Path, Path]) -> None:
    audio, turns = call
    turns.write_text(turns.read_text("utf-8").replace("SPEAKER_03", "SPEAKER_02"), encoding="utf-8")
    # of Tom's two turns one is somebody else's now
    first, *rest = turns.read_text("utf-8").split("SPEAKER_01")
    turns.write_text(first + "SPEAKER_01" + "SPEAKER_09".join(rest), encoding="utf-8")

    def names(*options: str) -> list[str | None]:
        outcome = run("label", audio, turns, "--db", enrolled, "--format", "json", *options)
        assert outcome.status == 0
        told.append(outcome.err)
        return [each["decision"] for each in outcome.json[0]["labels"]]

    told: list[str] = []
    assert names().count("Tom") == 1
    assert "fits Tom (LLR " in told[0]
    assert ", whose name SPEAKER_0" in told[0]
    assert names("--repeat-names").count("Tom") == 2
    closed = names("--closed-set")
    assert len(set(closed)) == 4
    assert None not in closed
    assert names("--threshold", "1000") == [None] * 4
    assert names("--false-accept-rate", "0.9")[0] == "Mary Ann"


def test_what_is_doubtful_is_told(run: Run, enrolled: Path, call: tuple[Path, Path], sample: Path) -> None:
    audio, turns = call
    with turns.open("a", encoding="utf-8") as file:
        file.write("SPEAKER call 1 9000 1 <NA> <NA> Alice <NA> <NA>\n")
        file.write("SPEAKER call 1 1.0 0.05 <NA> <NA> SPEAKER_07 <NA> <NA>\n")
    outcome = run("label", audio, turns, "--db", enrolled)
    assert outcome.status == 0
    told = outcome.err.splitlines()
    assert "stays Alice: only after the end of the recording" in told
    assert "stays SPEAKER_07: too little speech (0.05 s)" in told
    assert sum(line.startswith("warning: ") for line in told) == 2
    assert "1 of 7 turns end after the recording does" in outcome.err
    assert "warning: Alice: keeps its label, the name of an enrolled speaker" in outcome.err
    silence = run("label", sample / "test" / "silence.flac", turns, "--db", enrolled, "--recording", "call")
    assert silence.status == 0
    assert "stays SPEAKER_00: no speech found" in silence.err


def test_without_a_world_model_strangers_have_names(run: Run, enrolled_ml: Path, call: tuple[Path, Path]) -> None:
    outcome = run("label", *call, "--db", enrolled_ml)
    assert outcome.err.splitlines()[-1] == "Without --threshold, strangers get the nearest name that is left."
    assert "LLR" not in outcome.err
    table = run("label", *call, "--db", enrolled_ml, "--format", "table", "-q")
    assert table.status == 0
    assert "Mary Ann" in table.out


def test_which_recording_of_the_list(run: Run, enrolled: Path, call: tuple[Path, Path], tmp_path: Path) -> None:
    audio, turns = call
    other = tmp_path / "other.wav"
    shutil.copyfile(audio, other)
    alone = run("label", other, turns, "--db", enrolled)
    assert alone.status == 0
    assert alone.err.startswith(f"{turns} calls its only recording call: taken for {other}")
    with turns.open("a", encoding="utf-8") as file:
        file.write("SPEAKER second 1 0 3 <NA> <NA> X <NA> <NA>\n")
    several = run("label", other, turns, "--db", enrolled)
    assert (several.status, several.out) == (2, "")
    assert several.complaints == [
        f"speakerid: {turns}: no recording 'other'; say which one with --recording: call, second"
    ]
    assert run("label", audio, turns, "--db", enrolled).out == alone.out
    second = run("label", other, turns, "--db", enrolled, "--recording", "second", "-q")
    assert second.out == "SPEAKER second 1 0.000 3.000 <NA> <NA> Mary_Ann <NA> <NA>\n"


def test_standard_input(run: Run, enrolled: Path, call: tuple[Path, Path]) -> None:
    audio, turns = call
    piped = run("label", "-", turns, "--db", enrolled, "-q", stdin=audio.read_bytes())
    assert piped.status == 0
    assert piped.out == run("label", audio, turns, "--db", enrolled, "-q").out


def test_wrong_usage_is_2_and_one_line(run: Run, enrolled: Path, call: tuple[Path, Path], tmp_path: Path) -> None:
    audio, turns = call
    wrong, empty, late = tmp_path / "wrong.rttm", tmp_path / "empty.rttm", tmp_path / "late.rttm"
    wrong.write_text("SPEAKER call 1 0.5 x <NA> <NA> A <NA> <NA>\n", encoding="utf-8")
    empty.write_text("SPEAKER call 1 0.5 0 <NA> <NA> A <NA> <NA>\n", encoding="utf-8")
    late.write_text("SPEAKER call 1 500 1 <NA> <NA> A <NA> <NA>\n", encoding="utf-8")
    for arguments in (
        (audio,), (audio, wrong), (audio, empty), (audio, late), (audio, tmp_path / "none.rttm"), (turns, audio),
        (audio, turns, "--recording", "x"), (audio, turns, "--output", turns), (audio, turns, "--output", "named.txt"),
        (audio, turns, "--output", tmp_path / "no folder" / "x.rttm"), (audio, turns, "--format", "csv"),
        (audio, turns, "--threshold", "nan"), (audio, turns, "--threshold", "inf"),
        (audio, turns, "--false-accept-rate", "1"), (audio, turns, "--closed-set", "--threshold", "1"),
        (audio, audio),
    ):  # fmt: skip
        outcome = run("label", *arguments, "--db", enrolled)
        assert (outcome.status, outcome.out) == (2, ""), arguments
        assert len(outcome.err.splitlines()) == 1, outcome.err
        assert outcome.complaints
    assert run("label", audio, turns, "--db", tmp_path / "none.db").status == 2
    swapped = run("label", turns, audio, "--db", enrolled)
    assert f"speakerid label {audio} {turns}" in swapped.err


def test_audio_that_cannot_be_used_is_3(
    run: Run, enrolled: Path, call: tuple[Path, Path], bad_inputs: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("empty", "text", "truncated", "missing", "folder"):
        outcome = run("label", bad_inputs[name], call[1], "--db", enrolled, "--output", tmp_path / "o.rttm")
        assert (outcome.status, outcome.out) == (3, ""), name
        assert len(outcome.complaints) == 1
    assert not (tmp_path / "o.rttm").exists()


# enrolment


def test_enrolment_from_turns(run: Run, call: tuple[Path, Path], tmp_path: Path) -> None:
    audio, turns = call
    db = tmp_path / "s.db"
    (later,) = [row for row in turns.read_text("utf-8").splitlines() if "SPEAKER_03" in row]
    start = float(later.split()[3])
    with turns.open("a", encoding="utf-8") as file:
        # a turn that overlaps, and one that is too short
        file.write(f"SPEAKER call 1 {start + 1:.3f} 0.5 <NA> <NA> SPEAKER_00 <NA> <NA>\n")
        file.write(f"SPEAKER call 1 {start - 0.4:.3f} 0.2 <NA> <NA> SPEAKER_00 <NA> <NA>\n")
    outcome = run("enroll", turns, "--db", db, "--format", "json")
    assert (outcome.status, outcome.complaints) == (0, [])
    assert {each["speaker"]: each["recordings"] for each in outcome.json} == {
        "SPEAKER_00": 1, "SPEAKER_01": 2, "SPEAKER_02": 1, "SPEAKER_03": 2,
    }  # fmt: skip
    assert "left out of the turns: 1 stretch where voices overlap, and 1 stretch of less than 0.25 s" in outcome.err
    named = run("label", audio, turns, "--db", db, "--format", "json", "-q").json[0]
    assert {each["label"]: each["decision"] for each in named["labels"]} == {
        f"SPEAKER_0{i}": f"SPEAKER_0{i}" for i in range(4)
    }


def test_enrolment_from_turns_without_audio(run: Run, call: tuple[Path, Path], tmp_path: Path) -> None:
    audio, turns = call
    db = tmp_path / "s.db"
    with turns.open("a", encoding="utf-8") as file:
        file.write("SPEAKER gone 1 0 3 <NA> <NA> X <NA> <NA>\n")
    some = run("enroll", turns, "--db", db)
    assert some.status == 3
    assert some.complaints[0] == (f"speakerid: {turns}: gone: no recording of that name beside it, such as gone.wav")
    assert run("speakers", "list", "--db", db).out.count("SPEAKER_0") == 4
    audio.unlink()
    none = run("enroll", turns, "--db", tmp_path / "new.db")
    assert (none.status, none.out) == (2, "")
    assert none.complaints == [
        f"speakerid: {turns}: call: no recording of that name beside it, such as call.wav (and 1 more); put the recordings "
        "into the list's folder"
    ]
    assert run("enroll", turns, "--speaker", "A", "--db", db).status == 2


def test_labels_that_cannot_be_names(run: Run, call: tuple[Path, Path], tmp_path: Path) -> None:
    _audio, turns = call
    turns.write_text(turns.read_text("utf-8").replace("SPEAKER_00", "a/b"), encoding="utf-8")
    outcome = run("enroll", turns, "--db", tmp_path / "s.db")
    assert (outcome.status, outcome.out) == (2, "")
    assert "'a/b' cannot be a speaker's name" in outcome.err
    assert not (tmp_path / "s.db").exists()
