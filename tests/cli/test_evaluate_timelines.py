"""``speakerid evaluate --timelines``: the tables, the files, and what is refused."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

Run = Callable[..., Any]

RATE = 16_000
TRUTH = [("m1", "alice", 0, 10), ("m1", "bob", 8, 15), ("m1", "carol", 20, 25), ("m2", "bob", 0, 4)]
FOUND = [("m1", "alice", 0, 9), ("m1", "bob", 9, 12), ("m1", "alice", 12, 16), ("m1", "unknown", 20, 25.5)]


def write(path: Path, turns: list[tuple[str, str, float, float]]) -> Path:
    lines = [f"SPEAKER {r} 1 {a} {b - a} <NA> <NA> {who} <NA> <NA>\n" for r, who, a, b in turns]
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write(tmp_path / "truth.rttm", TRUTH)


@pytest.fixture
def found(tmp_path: Path) -> Path:
    return write(tmp_path / "found.rttm", FOUND)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """Two enrolled voices, one after the other in a recording, and the protocol."""
    folder = tmp_path_factory.mktemp("talk")
    rows = [("path", "speaker", "split")]
    for name in ("Alice", "Tom"):
        rows += [(str(path), name, "enroll") for path in sorted((sample / "enroll" / name).iterdir())]
    parts, turns, time = [np.zeros(RATE // 2)], [], 0.5
    for file, name in (("alice-1", "Alice"), ("tom-1", "Tom"), ("alice-2", "Alice")):
        samples, _rate = sf.read(sample / "test" / f"{file}.flac")
        parts += [samples, np.zeros(RATE // 2)]
        turns.append(("talk", name, round(time, 3), round(time + len(samples) / RATE, 3)))
        time += len(samples) / RATE + 0.5
    sf.write(folder / "talk.wav", np.concatenate(parts), RATE)
    write(folder / "truth.rttm", turns)
    with (folder / "p.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([*rows, ("talk.wav", "Tom", "test")])
    return folder


def load(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(path.read_bytes(), parse_constant=refuse)


# --- turns that are there already


def test_the_tables_of_turns(run: Run, found: Path, truth: Path) -> None:
    outcome = run("evaluate", found, "--timelines", truth)
    assert (outcome.status, outcome.complaints) == (0, [])
    lines = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert "m1 22.0 2.0 (9.1 %) 1.5 (6.8 %) 3.0 (13.6 %) 29.5 29.5 30.8 %" in lines
    assert "m2 4.0 4.0 (100.0 %) 0.0 (0.0 %) 0.0 (0.0 %) 100.0 100.0 0.0 %" in lines
    assert "all together 26.0 6.0 (23.1 %) 1.5 (5.8 %) 3.0 (11.5 %) 40.4 40.4 19.0 %" in lines
    assert any(line.startswith("IER % (95 % interval) 40.4 (") for line in lines)
    assert "Least with one voice at a time % 7.7" in lines
    assert "Boundaries: median error s 1.00" in lines
    assert "bob alice 3.0" in lines
    assert not any(line.startswith("Times real time") for line in lines)
    assert "has no turns of m2: all their speech is missed" in outcome.err
    assert "carol" in outcome.err


def test_json_of_turns(run: Run, found: Path, truth: Path, tmp_path: Path) -> None:
    uem = tmp_path / "some.uem"
    uem.write_text("m1 1 0 30\n", encoding="utf-8")
    outcome = run("evaluate", found, "--timelines", truth, "--collar", "0.25", "--skip-overlap", "--uem", uem,
                  "--format", "json", "--json", tmp_path / "r.json", "--quiet")  # fmt: skip
    assert (outcome.status, outcome.err) == (0, "")
    values = load(tmp_path / "r.json")
    [line] = outcome.json
    assert line["timelines"] == values["timelines"]
    scores = values["timelines"]
    assert (scores["truth"], scores["collar"], scores["skip_overlap"], scores["uem"]) == (
        str(truth), 0.25, True, str(uem),
    )  # fmt: skip
    assert [each["recording"] for each in scores["recordings"]] == ["m1"]
    assert {*scores["recordings"][0]} == {
        "recording", "speech_seconds", "missed", "false_alarm", "confusion", "correct", "overlap", "errors_in_overlap",
        "ier", "der", "floor_from_overlap",
    }  # fmt: skip
    assert values["config"] is None
    assert values["command"].startswith("speakerid evaluate ")
    assert {"versions", "created", "seed"} <= {*values}


def test_nobody_speaks_where_it_is_scored(run: Run, found: Path, truth: Path, tmp_path: Path) -> None:
    uem = tmp_path / "some.uem"
    uem.write_text("m1 1 17 19\n", encoding="utf-8")
    outcome = run("evaluate", found, "--timelines", truth, "--uem", uem)
    assert outcome.status == 0
    lines = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert "m1 0.0 0.0 0.0 0.0 - - -" in lines
    assert "IER % (95 % interval) -" in lines


def test_who_was_enrolled_when_the_turns_were_found(run: Run, truth: Path, found: Path, talk: Path) -> None:
    both = [run("evaluate", found, "--timelines", truth, "--format", "json", *options).json[0]
            for options in ([], ["--enroll", talk / "p.csv"])]  # fmt: skip
    assert [each["timelines"]["strangers"] for each in both] == [["carol"], ["alice", "bob", "carol"]]


def test_only_found_is_one_line(run: Run, truth: Path, found: Path) -> None:
    outcome = run("evaluate", truth, "--timelines", found)
    assert outcome.status == 2
    [line] = outcome.complaints
    assert "no turns of m2, which" in line


# --- recordings


def test_recordings(run: Run, talk: Path, tmp_path: Path) -> None:
    outcome = run("evaluate", talk / "p.csv", "--timelines", talk / "truth.rttm", "--rttm", tmp_path / "f.rttm",
                  "--json", tmp_path / "r.json")  # fmt: skip
    assert (outcome.status, outcome.complaints) == (0, [])
    assert "Times real time" in outcome.out
    assert outcome.err.splitlines()[-1] == f"written: {tmp_path / 'r.json'}, {tmp_path / 'f.rttm'}"
    values = load(tmp_path / "r.json")
    assert values["timelines"]["ier"] < 0.4
    assert values["config"]["training"]["method"] == "map"
    # what was written scores the same
    again = run("evaluate", tmp_path / "f.rttm", "--timelines", talk / "truth.rttm", "--enroll", talk / "p.csv",
                "--format", "json")  # fmt: skip
    for key in ("recordings", "ier", "der", "ier_ci95", "boundaries", "confusions"):
        assert again.json[0]["timelines"][key] == values["timelines"][key]


def test_systems_side_by_side(run: Run, talk: Path, tmp_path: Path) -> None:
    configs: list[str | Path] = []
    for name, window in (("short", 1.0), ("long", 2.0), ("a", 1.5), ("b", 1.2)):
        path = tmp_path / f"{name}.toml"
        path.write_text(f"[timeline]\nwindow_seconds = {window}\n", encoding="utf-8")
        configs += ["--config", path]
    arguments = ["evaluate", talk / "p.csv", "--timelines", talk / "truth.rttm"]
    outcome = run(*arguments, *configs[:4], "--json", tmp_path / "r.json")
    assert outcome.status == 0
    lines = [line.split() for line in outcome.out.splitlines()]
    assert [line[1] for line in lines if line and line[0] == "talk"] == ["short", "long"]
    assert ["Figure", "short", "long"] in lines
    values = load(tmp_path / "r.json")
    assert [values["system"], *(each["system"] for each in values["other_systems"])] == ["short", "long"]
    assert values["other_systems"][0]["config"]["timeline"]["window_seconds"] == 2.0
    # of many a row each
    many = run(*arguments, *configs)
    heading = next(i for i, line in enumerate(many.out.splitlines()) if "Times real time" in line)
    assert many.out.splitlines()[heading].split()[0] == "System"
    rows = many.out.splitlines()[heading + 2 : heading + 6]
    assert [row.split()[0] for row in rows] == ["short", "long", "a", "b"]
    refused = run(*arguments, *configs, "--rttm", tmp_path / "f.rttm")
    assert (refused.status, "give one --config" in refused.complaints[0]) == (2, True)


def test_what_cannot_be_read_is_told_and_the_rest_is_done(run: Run, talk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "talk"
    shutil.copytree(talk, folder)
    (folder / "broken.wav").write_text("no sound", encoding="utf-8")
    with (folder / "p.csv").open("a", encoding="utf-8") as file:
        file.write("broken.wav,Tom,test\n")
    with (folder / "truth.rttm").open("a", encoding="utf-8") as file:
        file.write("SPEAKER broken 1 0 3 <NA> <NA> Tom <NA> <NA>\n")
    outcome = run("evaluate", folder / "p.csv", "--timelines", folder / "truth.rttm")
    assert outcome.status == 3
    [line] = outcome.complaints
    assert "broken.wav" in line
    assert "broken 3.0 3.0 (100.0 %)" in " ".join(outcome.out.split())


def test_stopped(run: Run, talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_arguments: Any, **_options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("speakerid.workflows.timeline_evaluation.enroll_recordings", stop)
    outcome = run("evaluate", talk / "p.csv", "--timelines", talk / "truth.rttm")
    assert (outcome.status, outcome.complaints) == (130, ["speakerid: stopped; nothing is kept"])


# --- refused


@pytest.mark.parametrize(
    "options",
    [
        ["--scores", "s.csv"], ["--report", "r.html"], ["--embed-audio"], ["--test-fraction", "0.5"], ["--folds", "3"],
        ["--leave-one-speaker-out"], ["--root", "x"], ["--degrade", "noise:10"], ["--resume"], ["--enroll", "x"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_options_without_a_use_are_refused_by_name(run: Run, talk: Path, options: list[str]) -> None:
    outcome = run("evaluate", talk / "p.csv", "--timelines", talk / "truth.rttm", *options)
    assert outcome.status == 2
    [line] = outcome.complaints
    assert f"{options[0]} has no use for timelines" in line


@pytest.mark.parametrize(
    "options",
    [
        ["--config", "c.toml"], ["--threshold", "1"], ["--false-accept-rate", "0.1"], ["--layout", "timit"],
        ["--channel", "1"], ["--rttm", "f.rttm"], ["--no-cache"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_options_without_a_use_for_turns_are_refused_by_name(
    run: Run, found: Path, truth: Path, options: list[str]
) -> None:
    outcome = run("evaluate", found, "--timelines", truth, *options)
    assert outcome.status == 2
    [line] = outcome.complaints
    assert f"{options[0]} changes nothing in turns that are there already" in line


@pytest.mark.parametrize(
    "options", [["--collar", "0"], ["--skip-overlap"], ["--uem", "u.uem"], ["--rttm", "f.rttm"]], ids=" ".join
)
def test_options_of_timelines_need_them(run: Run, talk: Path, options: list[str]) -> None:
    outcome = run("evaluate", talk / "p.csv", *options)
    assert outcome.status == 2
    [line] = outcome.complaints
    assert f"{options[0]} is for timelines: give --timelines TRUTH.rttm too" in line


@pytest.mark.parametrize("collar", ["nan", "inf", "-1", "x"])
def test_a_collar_is_a_number_of_seconds(run: Run, found: Path, truth: Path, collar: str) -> None:
    outcome = run("evaluate", found, "--timelines", truth, "--collar", collar)
    assert outcome.status == 2
    assert len(outcome.complaints) == 1
    assert "--collar" in outcome.complaints[0]


def test_turns_without_a_truth(run: Run, found: Path) -> None:
    outcome = run("evaluate", found)
    assert outcome.status == 2
    assert "give --timelines TRUTH.rttm too" in outcome.complaints[0]


def test_what_is_read_is_not_written_over(run: Run, talk: Path, found: Path, truth: Path, tmp_path: Path) -> None:
    before = (talk / "truth.rttm").read_bytes()
    outcome = run("evaluate", talk / "p.csv", "--timelines", talk / "truth.rttm", "--rttm", talk / "truth.rttm")
    assert (outcome.status, "would be written over" in outcome.complaints[0]) == (2, True)
    assert (talk / "truth.rttm").read_bytes() == before
    for name in ("r.txt", "nowhere/r.json"):
        refused = run("evaluate", found, "--timelines", truth, "--json", tmp_path / name)
        assert (refused.status, len(refused.complaints)) == (2, 1)


@pytest.mark.parametrize("what", ["data", "truth", "uem"])
def test_no_such_file_is_one_line(run: Run, found: Path, truth: Path, tmp_path: Path, what: str) -> None:
    paths = {"data": found, "truth": truth} | {what: tmp_path / "no.rttm"}
    uem = ["--uem", paths["uem"]] if what == "uem" else []
    outcome = run("evaluate", paths["data"], "--timelines", paths["truth"], *uem)
    assert outcome.status == 2
    [line] = outcome.complaints
    assert "no.rttm: no such file" in line


@pytest.mark.corpora
def test_meetings(run: Run, corpora: Path) -> None:
    outcome = run("evaluate", corpora / "protocols" / "ami-timelines.csv", "--timelines",
                  corpora / "ami-timelines" / "truth.rttm", "--format", "json")  # fmt: skip
    assert outcome.status in (0, 3)  # a stretch that is too short may have no speech
    [line] = outcome.json
    assert [each["recording"] for each in line["timelines"]["recordings"]] == ["dev01", "trn08", "tst01"]
