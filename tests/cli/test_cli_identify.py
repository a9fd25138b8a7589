"""``speakerid identify``: the contract of docs and JSON, and no name for what is not speech."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import soxr

Run = Callable[..., Any]
Digest = Callable[[Path], str]

FIELDS = [
    "path", "decision", "status", "reason", "message", "speech_seconds", "duration_seconds", "margin",
    "probability_unknown", "scores",
]  # fmt: skip


def decisions(outcome: Any) -> dict[str, str | None]:
    return {Path(line["path"]).name: line["decision"] for line in outcome.json}


# the answers


def test_every_known_voice_gets_its_name(
    run: Run, enrolled: Path, known_files: list[str], truth: dict[str, str]
) -> None:
    outcome = run("identify", *known_files, "--db", enrolled, "--format", "json", "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    assert [line["path"] for line in outcome.json] == known_files
    assert decisions(outcome) == {Path(path).name: truth[Path(path).name] for path in known_files}
    assert len(known_files) == 15


def test_the_fields_of_the_json(run: Run, enrolled: Path, known_files: list[str]) -> None:
    outcome = run("identify", *known_files[:2], "--db", enrolled, "--format", "json", "--quiet")
    assert outcome.out.endswith("}\n")
    assert "\r" not in outcome.out
    for line in outcome.json:
        assert list(line) == FIELDS
        assert (line["status"], line["reason"], line["message"]) == ("identified", None, None)
        assert line["decision"] == line["scores"][0]["speaker"]
        assert 0 < line["speech_seconds"] <= line["duration_seconds"] == pytest.approx(3, abs=1)
        assert len(line["scores"]) == 10
        fields = ["speaker", "log_likelihood", "ratio", "llr", "probability"]
        assert all(list(score) == fields for score in line["scores"])
        values = [score["llr"] for score in line["scores"]]
        assert values == sorted(values, reverse=True)
        likelihoods = [score["log_likelihood"] for score in line["scores"]]
        assert line["margin"] == pytest.approx(likelihoods[0] - max(likelihoods[1:]), abs=2e-6)
        # the world model's log-likelihood is the same for all, and the probabilities are all there is
        of_world = [score["log_likelihood"] - score["ratio"] for score in line["scores"]]
        assert max(of_world) - min(of_world) < 5e-6
        probabilities = [score["probability"] for score in line["scores"]]
        assert sum(probabilities) + line["probability_unknown"] == pytest.approx(1, abs=1e-5)
        assert min(probabilities) >= 0
        assert probabilities[0] == max(probabilities) > 0.5 > line["probability_unknown"]
        assert line["scores"][0]["llr"] > 0 > line["scores"][1]["llr"]


def test_the_json_of_speakers_without_a_world_model(run: Run, enrolled_ml: Path, known_files: list[str]) -> None:
    (line,) = run("identify", known_files[0], "--db", enrolled_ml, "--format", "json").json
    assert list(line) == FIELDS
    assert (line["decision"], line["probability_unknown"], len(line["scores"])) == ("Aino", None, 10)
    assert line["margin"] > 0
    for score in line["scores"]:
        assert (score["ratio"], score["llr"], score["probability"]) == (None, None, None)


def test_an_undecided_has_a_reason_and_no_scores(run: Run, enrolled: Path, sample: Path) -> None:
    path = sample / "test" / "silence.flac"
    outcome = run("identify", path, "--db", enrolled, "--format", "json")
    assert outcome.status == 3
    (line,) = outcome.json
    assert list(line) == FIELDS
    assert line == {
        "path": str(path), "decision": None, "status": "undecided", "reason": "no_speech", "message": line["message"],
        "speech_seconds": 0.0, "duration_seconds": 3.0, "margin": None,
        "probability_unknown": None, "scores": [],
    }  # fmt: skip
    assert outcome.err == f"speakerid: {line['message']}\n"


def test_the_csv_says_the_same_as_the_json(run: Run, enrolled: Path, sample: Path) -> None:
    table = run("identify", sample / "test", "--db", enrolled, "--format", "csv").csv
    lines = run("identify", sample / "test", "--db", enrolled, "--format", "json").json
    assert list(table[0]) == [
        "path", "start", "end", "status", "decision", "reason", "margin", "best", "log_likelihood", "next",
        "next_log_likelihood", "speech_seconds", "duration_seconds", "message", "llr", "probability",
        "probability_unknown",
    ]  # fmt: skip
    assert len(table) == len(lines) == 19
    for row, line in zip(table, lines, strict=True):
        best, following = (*line["scores"], None, None)[:2]
        assert row["path"] == line["path"]
        assert (row["status"], row["decision"], row["reason"]) == (
            line["status"], line["decision"] or "", line["reason"] or "",
        )  # fmt: skip
        assert row["message"] == (line["message"] or "")
        assert (row["best"], row["next"]) == ((best or {}).get("speaker", ""), (following or {}).get("speaker", ""))
        if best:
            assert float(row["log_likelihood"]) == pytest.approx(best["log_likelihood"], rel=1e-5, abs=1e-6)
            assert float(row["margin"]) == pytest.approx(line["margin"], rel=1e-5, abs=1e-6)
            assert float(row["llr"]) == pytest.approx(best["llr"], rel=1e-5, abs=1e-6)
            assert float(row["probability"]) == pytest.approx(best["probability"], rel=1e-4, abs=1e-6)
            assert float(row["probability_unknown"]) == pytest.approx(line["probability_unknown"], rel=1e-4, abs=1e-6)
        else:
            assert (row["llr"], row["probability"], row["probability_unknown"]) == ("", "", "")
        assert float(row["duration_seconds"]) == pytest.approx(line["duration_seconds"], rel=1e-5)


def test_the_table_is_for_people(
    run: Run, enrolled: Path, sample: Path, known_files: list[str], stranger_files: list[str]
) -> None:
    outcome = run("identify", known_files[0], sample / "test" / "silence.flac", "--db", enrolled)
    assert outcome.status == 3
    rows = [line.split() for line in outcome.out.splitlines() if line.strip()]
    assert rows[0] == ["Recording", "Speaker", "Probability", "LLR", "Margin", "Speech", "s"]
    assert rows[2][:2] == [known_files[0], "Aino"]
    assert rows[3][1:] == ["undecided:", "no", "speech", "0.0"]
    assert "\x1b" not in outcome.out
    assert "--threshold" not in outcome.err
    # "unknown" is an answer here, without any option
    strangers = run("identify", *stranger_files, "--db", enrolled)
    assert (strangers.status, strangers.out.count("unknown (nearest: "), strangers.err) == (0, 3, "")


def test_the_table_of_speakers_without_a_world_model(run: Run, enrolled_ml: Path, known_files: list[str]) -> None:
    outcome = run("identify", known_files[0], "--db", enrolled_ml)
    assert outcome.status == 0
    rows = [line.split() for line in outcome.out.splitlines() if line.strip()]
    assert rows[0] == ["Recording", "Speaker", "Margin", "Log-likelihood", "Speech", "s"]
    assert rows[2][:2] == [known_files[0], "Aino"]
    assert "Without --threshold, strangers get the nearest name" in outcome.err
    assert run("identify", known_files[0], "--db", enrolled_ml, "--closed-set").err == ""


@pytest.mark.parametrize("top", [1, 3, 99])
def test_top_limits_what_is_shown_and_not_the_decision(
    run: Run, enrolled: Path, known_files: list[str], top: int
) -> None:
    whole = run("identify", known_files[0], "--db", enrolled, "--format", "json").json[0]
    (line,) = run("identify", known_files[0], "--db", enrolled, "--format", "json", "--top", top).json
    assert line == {**whole, "scores": whole["scores"][:top]}
    table = run("identify", known_files[0], "--db", enrolled, "--top", top, "--quiet").out
    names = [score["speaker"] for score in whole["scores"]]
    assert [name for name in names if name in table] == names[:top]


def test_strangers_are_unknown_and_nobody_else(
    run: Run, enrolled: Path, known_files: list[str], stranger_files: list[str], truth: dict[str, str]
) -> None:
    outcome = run("identify", *known_files, *stranger_files, "--db", enrolled, "--format", "json", "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    assert decisions(outcome) == {
        Path(path).name: truth[Path(path).name] if path in known_files else None
        for path in known_files + stranger_files
    }
    for line in outcome.json[-3:]:
        assert (line["status"], line["decision"], line["reason"]) == ("unknown", None, None)
        assert line["probability_unknown"] > line["scores"][0]["probability"]
        assert len(line["scores"]) == 10


def test_a_threshold_answers_unknown_for_strangers_only(
    run: Run, enrolled_ml: Path, known_files: list[str], stranger_files: list[str], truth: dict[str, str]
) -> None:
    outcome = run(
        "identify",
        *known_files,
        *stranger_files,
        "--threshold",
        "6.0",
        "--db",
        enrolled_ml,
        "--format",
        "json",
        "--quiet",
    )
    assert (outcome.status, outcome.err) == (0, "")
    assert decisions(outcome) == {
        Path(path).name: truth[Path(path).name] if path in known_files else None
        for path in known_files + stranger_files
    }
    for line in outcome.json[-3:]:
        assert (line["status"], line["decision"], line["reason"]) == ("unknown", None, None)
        assert line["margin"] < 6.0
        assert len(line["scores"]) == 10
    table = run("identify", stranger_files[0], "--threshold", "6.0", "--db", enrolled_ml)
    assert "unknown (nearest: " in table.out


def test_the_closed_set_never_answers_unknown(run: Run, enrolled: Path, stranger_files: list[str]) -> None:
    closed = run("identify", *stranger_files, "--closed-set", "--db", enrolled, "--format", "json")
    assert closed.status == 0
    assert {line["status"] for line in closed.json} == {"identified"}
    assert all(line["decision"] == line["scores"][0]["speaker"] for line in closed.json)


@pytest.mark.parametrize(
    "options",
    [
        ["--closed-set", "--threshold", "6"],
        ["--threshold", "nan"],
        ["--threshold", "inf"],
        ["--threshold", "much"],
        ["--top", "0"],
        ["--jobs", "0"],
        ["--channel", "0"],
        ["--format", "xml"],
        ["--raw", "16000"],
        ["--no-such-option"],
        ["-", "-"],
        ["-", "--raw", "16000", "--raw-encoding", "morse"],
    ],
)
def test_wrong_usage_is_2_and_does_nothing(
    run: Run, enrolled: Path, known_files: list[str], options: list[str]
) -> None:
    outcome = run("identify", known_files[0], *options, "--db", enrolled)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.strip()


def test_nothing_to_identify_is_wrong_usage(run: Run, enrolled: Path) -> None:
    outcome = run("identify", "--db", enrolled)
    assert outcome.status == 2
    assert "Missing argument" in outcome.err


@pytest.mark.parametrize("method", ["map", "ml"])
def test_a_threshold_needs_two_speakers(
    run: Run, small: Path, tmp_path: Path, known_files: list[str], by_likelihood: Path, method: str
) -> None:
    db = tmp_path / "one.db"
    options = ["--config", by_likelihood] if method == "ml" else []
    assert run("enroll", small / "Tom", "--speaker", "Tom", "--db", db, *options).status == 0
    refused = run("identify", known_files[0], "--threshold", "1", "--db", db)
    assert (refused.status, refused.out) == (2, "")
    assert "a threshold needs two enrolled speakers" in refused.err
    (line,) = run("identify", known_files[0], "--db", db, "--format", "json").json
    # it is Aino, but without a world model there is only Tom
    assert (line["decision"], line["margin"], len(line["scores"])) == ("Tom" if method == "ml" else None, None, 1)
    (own,) = run("identify", small / "Tom" / "tom-enroll-1.flac", "--db", db, "--format",
                 "json").json  # fmt: skip
    assert own["decision"] == "Tom"


# where audio comes from


def wav_bytes(samples: np.ndarray, rate: int, path: Path) -> bytes:
    sf.write(path, samples, rate)
    return path.read_bytes()


def test_standard_input(
    run: Run, program: Run, enrolled: Path, tmp_path: Path, speech: tuple[np.ndarray, int], known_files: list[str]
) -> None:
    samples, rate = speech
    (expected,) = run("identify", known_files[0], "--db", enrolled, "--format", "json").json
    expected["path"] = "-"
    wav = wav_bytes(samples, rate, tmp_path / "x.wav")
    flac = Path(known_files[0]).read_bytes()
    raw = samples.astype("<i2").tobytes()
    for caller in (run, program):
        for data, options in ((wav, []), (flac, []), (raw, ["--raw", str(rate)])):
            outcome = caller(
                "identify", "-", *options, "--db", str(enrolled), "--format", "json", "--quiet", stdin=data
            )
            assert (outcome.status, outcome.err) == (0, "")
            assert outcome.json == [expected]


def test_raw_encodings_and_channels(run: Run, enrolled: Path, speech: tuple[np.ndarray, int]) -> None:
    samples, rate = speech
    silent = np.zeros_like(samples)
    stereo = np.stack([silent, samples], axis=1)
    (expected,) = run(
        "identify", "-", "--raw", rate, "--db", enrolled, "--format", "json", stdin=samples.tobytes()
    ).json
    for data, options in (
        ((samples / 32768).astype("<f4").tobytes(), ["--raw-encoding", "f32le"]),
        (samples.astype(">i2").tobytes(), ["--raw-encoding", "s16be"]),
        (stereo.tobytes(), ["--raw-channels", "2", "--channel", "2"]),
    ):
        outcome = run("identify", "-", "--raw", rate, *options, "--db", enrolled, "--format", "json", stdin=data)
        assert outcome.json == [expected]


def test_nothing_on_standard_input(run: Run, enrolled: Path) -> None:
    outcome = run("identify", "-", "--db", enrolled, "--format", "json", "--quiet")
    assert outcome.status == 3
    assert (outcome.json[0]["status"], outcome.json[0]["reason"]) == ("undecided", "empty")
    assert len(outcome.err.splitlines()) == 1


def test_a_channel_of_a_stereo_file(run: Run, enrolled: Path, tmp_path: Path, sample: Path) -> None:
    left, rate = sf.read(sample / "test" / "aino-1.flac", dtype="int16")
    right, _ = sf.read(sample / "test" / "robert-1.flac", dtype="int16")
    n = min(len(left), len(right))
    path = tmp_path / "two.wav"
    sf.write(path, np.stack([left[:n], right[:n]], axis=1), rate)
    for channel, name in ((1, "Aino"), (2, "Robert")):
        (line,) = run("identify", path, "--channel", channel, "--db", enrolled, "--format", "json").json
        assert line["decision"] == name
    outcome = run("identify", path, "--channel", "3", "--db", enrolled, "--format", "json")
    assert outcome.status == 3
    assert "no channel 3" in outcome.json[0]["message"]


@pytest.mark.parametrize(("rate", "channels"), [(48000, 1), (44100, 2), (22050, 1)])
def test_copies_at_other_rates_get_the_same_names(
    run: Run, enrolled: Path, tmp_path: Path, known_files: list[str], truth: dict[str, str], rate: int, channels: int
) -> None:
    copies = []
    for path in known_files:
        samples, original = sf.read(path, dtype="float32")
        again = soxr.resample(samples, original, rate)
        copies.append(tmp_path / f"{Path(path).stem}.wav")
        sf.write(copies[-1], np.stack([again] * channels, axis=1), rate, subtype="PCM_16")
    outcome = run("identify", *copies, "--db", enrolled, "--format", "json")
    assert {name.replace(".wav", ".flac"): who for name, who in decisions(outcome).items()} == {
        Path(path).name: truth[Path(path).name] for path in known_files
    }


@pytest.mark.parametrize("decibels", [-12.0, 12.0])
def test_gain_does_not_change_a_name(
    run: Run, enrolled: Path, tmp_path: Path, known_files: list[str], truth: dict[str, str], decibels: float
) -> None:
    for path in known_files:
        samples, rate = sf.read(path, dtype="float32")
        sf.write(tmp_path / Path(path).with_suffix(".wav").name, samples * 10 ** (decibels / 20), rate, subtype="FLOAT")
    outcome = run("identify", tmp_path, "--db", enrolled, "--format", "json")
    assert len(outcome.json) == len(known_files)
    assert {name.replace(".wav", ".flac"): who for name, who in decisions(outcome).items()} == {
        Path(path).name: truth[Path(path).name] for path in known_files
    }


def test_folders_are_searched_and_other_files_counted(run: Run, enrolled: Path, tmp_path: Path, sample: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    shutil.copy(sample / "test" / "tom-1.flac", deep)
    (deep / "notes.txt").write_text("x", encoding="utf-8")
    outcome = run("identify", tmp_path, "--db", enrolled, "--format", "json")
    assert (outcome.status, decisions(outcome)) == (0, {"tom-1.flac": "Tom"})
    assert "not audio by name" in outcome.err


# what must not get a name

EXPECTED = {
    "empty": ("empty", "an empty file (0 bytes)"),
    "silence": ("no_speech", "no speech found in 2.0 s"),
    "noise": ("no_speech", "no speech found in 3.0 s"),
    "clip": ("too_short", "only 0.05 s long"),
    "text": ("unreadable", "not an audio file"),
    "truncated": ("truncated", "cut short: 1.57 of 3.14 s are there"),
    "fifo": ("unreadable", "a named pipe"),
    "folder": ("unreadable", "a folder without audio files"),
    "missing": ("unreadable", "no such file or folder"),
}


@pytest.mark.parametrize("kind", EXPECTED)
@pytest.mark.parametrize("layout", ["json", "csv", "table"])
def test_what_is_no_speech_gets_a_reason(
    run: Run, db: Path, bad_inputs: dict[str, Path], digest: Digest, kind: str, layout: str
) -> None:
    before = digest(db)
    path = bad_inputs[kind]
    reason, says = EXPECTED[kind]
    outcome = run("identify", path, "--db", db, "--format", layout, "--quiet")
    assert outcome.status == 3
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"speakerid: {path}: ")
    assert says in line
    if layout == "json":
        (answer,) = outcome.json
        assert list(answer) == FIELDS
        assert (answer["path"], answer["decision"], answer["status"]) == (str(path), None, "undecided")
        assert (answer["reason"], f"speakerid: {answer['message']}") == (reason, line)
        assert answer["scores"] == []
    elif layout == "csv":
        (row,) = outcome.csv
        assert (row["status"], row["reason"], row["decision"], row["best"]) == ("undecided", reason, "", "")
    else:
        assert f"undecided: {reason.replace('_', ' ')}" in outcome.out
    assert digest(db) == before


@pytest.mark.parametrize("kind", EXPECTED)
def test_what_is_no_speech_cannot_be_enrolled(
    run: Run, db: Path, tmp_path: Path, bad_inputs: dict[str, Path], digest: Digest, kind: str
) -> None:
    before = digest(db)
    for name in ("Eve", "Tom"):
        outcome = run("enroll", bad_inputs[kind], "--speaker", name, "--db", db, "--quiet")
        assert outcome.status in (2, 3)
        assert outcome.complaints[0].startswith(f"speakerid: {bad_inputs[kind]}: ")
        assert EXPECTED[kind][1] in outcome.complaints[0]
        assert len(outcome.err.splitlines()) <= 2
        assert digest(db) == before
    assert run("enroll", bad_inputs[kind], "--speaker", "Eve", "--db", tmp_path / "new.db").status in (2, 3)
    assert not (tmp_path / "new.db").exists()


def test_other_noises_and_tones_get_no_name(run: Run, enrolled: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    rate, n = 16000, 48000
    t = np.arange(n) / rate
    sounds = {
        "faint": generator.standard_normal(n) * 1e-4,
        "loud": generator.standard_normal(n) * 0.3,
        "uniform": generator.uniform(-0.5, 0.5, n),
        "brown": np.cumsum(generator.standard_normal(n)) / 500,
        "constant": np.full(n, 0.25),
        "hum": 0.2 * np.sin(2 * np.pi * 50 * t),
        "click": np.eye(1, n, n // 2)[0] * 0.9,
    }
    for name, samples in sounds.items():
        sf.write(tmp_path / f"{name}.wav", np.clip(samples, -1, 1), rate)
    outcome = run("identify", tmp_path, "--db", enrolled, "--format", "json")
    assert outcome.status == 3
    assert decisions(outcome) == {f"{name}.wav": None for name in sounds}


def test_one_bad_file_among_good_ones_stops_none(
    run: Run, program: Run, enrolled: Path, known_files: list[str], bad_inputs: dict[str, Path]
) -> None:
    mixed = [
        known_files[0],
        bad_inputs["text"],
        known_files[1],
        bad_inputs["fifo"],
        bad_inputs["empty"],
        known_files[5],
    ]
    for caller in (run, program):
        outcome = caller("identify", *mixed, "--db", str(enrolled), "--format", "json", "--quiet")
        assert outcome.status == 3
        assert [line["path"] for line in outcome.json] == [str(path) for path in mixed]
        assert [line["decision"] for line in outcome.json] == ["Aino", None, "Aino", None, None, "Duncan"]
        assert len(outcome.err.splitlines()) == len(outcome.complaints) == 3


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        (kind, command)
        for kind in ("missing", "empty", "text", "folder", "fifo")
        for command in (["identify", "{file}"], ["enroll", "{file}", "--speaker", "Eve"], ["speakers", "list"])
        if (kind, command[0]) != ("missing", "enroll")  # it is made then
    ],
)
def test_a_store_that_is_none(
    run: Run, tmp_path: Path, bad_inputs: dict[str, Path], known_files: list[str], kind: str, command: list[str]
) -> None:
    path = bad_inputs[kind]
    before = path.read_bytes() if kind in ("empty", "text") else None
    outcome = run(*(word.format(file=known_files[0]) for word in command), "--db", path)
    assert (outcome.status, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    says = {"missing": "no store there", "empty": "an empty file", "text": "no SQLite database",
            "folder": "a folder, not a speakerid store", "fifo": "not a regular file"}[kind]  # fmt: skip
    assert line.startswith(f"speakerid: {path}: ")
    assert says in line
    assert before is None or path.read_bytes() == before


def test_a_store_without_speakers(run: Run, small: Path, tmp_path: Path, known_files: list[str]) -> None:
    db = tmp_path / "s.db"
    run("enroll", small / "Tom", "--speaker", "Tom", "--db", db)
    run("speakers", "remove", "Tom", "--db", db)
    outcome = run("identify", known_files[0], "--db", db)
    assert (outcome.status, outcome.out) == (2, "")
    assert "nobody is enrolled; enrol somebody first" in outcome.err


# names and places


def test_spaces_accents_and_emoji_work_end_to_end(
    program: Run, sample: Path, tmp_path: Path, known_files: list[str]
) -> None:
    voices = tmp_path / "mes voix é 🎤"
    names = {"Alice": "Ünïcødé Ålice", "Tom": "🎸 Tom", "Ivan": "Иван Иванович", "Robert": "Bob O'Hara, Jr."}
    for source, name in names.items():
        shutil.copytree(sample / "enroll" / source, voices / name / "été")
    db = tmp_path / "base de données 😀.db"
    outcome = program("enroll", voices, "--db", db, "--format", "json", "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    assert {line["speaker"] for line in outcome.json} == set(names.values())
    questions = []
    for source, name in names.items():
        question = tmp_path / f"question de {name} ❓.flac"
        shutil.copy(sample / "test" / f"{source.lower()}-1.flac", question)
        questions.append(question)
    answer = program("identify", *questions, "--db", db, "--format", "json", "--quiet")
    assert [line["decision"] for line in answer.json] == list(names.values())
    assert [line["path"] for line in answer.json] == [str(path) for path in questions]
    table = program("identify", *questions, "--db", db)
    assert all(name in table.out for name in names.values())


def test_file_names_that_are_no_utf8(program: Run, enrolled: Path, tmp_path: Path, sample: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/ordner"
    os.mkdir(folder)  # noqa: PTH102 - bytes
    name = folder + b"/caf\xe9 \x01.flac"
    shutil.copyfile(sample / "test" / "tom-1.flac", name)
    missing = folder + b"/n\xe9.wav"
    outcome = program(b"identify", name, missing, b"--db", str(enrolled).encode(), b"--format", b"json")
    assert outcome.status == 3
    by_path = {os.fsencode(line["path"]): line for line in outcome.json}
    assert by_path[name]["decision"] == "Tom"
    assert by_path[missing]["reason"] == "unreadable"
    assert outcome.err.splitlines()[-1].endswith("n\\udce9.wav: no such file or folder")
    for layout in (b"csv", b"table"):
        shown = program(b"identify", folder, b"--db", str(enrolled).encode(), b"--format", layout)
        assert shown.status == 0
        assert "caf\\udce9 " in shown.out
    db = tmp_path / "new.db"
    assert program(b"enroll", name, b"--speaker", b"Tom", b"--db", str(db).encode()).status == 0
    assert "caf\\udce9 " in program("speakers", "show", "Tom", "--db", db).out


def test_the_database_of_the_environment_and_of_the_folder(
    run: Run, program: Run, enrolled: Path, tmp_path: Path, known_files: list[str], small: Path
) -> None:
    outcome = run("identify", known_files[0], "--format", "json", env={"SPEAKERID_DB": str(enrolled)})
    assert outcome.json[0]["decision"] == "Aino"
    given = run("identify", known_files[0], "--db", tmp_path / "no.db", env={"SPEAKERID_DB": str(enrolled)})
    assert (given.status, given.complaints[0][: len(str(tmp_path)) + 11]) == (2, f"speakerid: {tmp_path}")
    assert program("enroll", small, cwd=tmp_path, env={"SPEAKERID_DB": ""}).status == 0
    assert (tmp_path / "speakers.db").is_file()
    assert program("speakers", "list", cwd=tmp_path).status == 0


def test_the_same_twice_is_the_same_byte_for_byte(program: Run, sample: Path, enrolled: Path) -> None:
    answers = [
        program("identify", sample / "test", "--db", enrolled, "--format", "json", "--jobs", jobs) for jobs in "112"
    ]
    assert answers[0].out == answers[1].out == answers[2].out
    assert len(answers[0].json) == 19
    assert answers[0].status == 3
    for line in answers[0].out.splitlines():
        assert json.loads(line)
