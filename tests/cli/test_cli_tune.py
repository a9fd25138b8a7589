"""Choosing the number of components: ``tune``, ``enroll --components`` and what the other commands make of it."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import shutil
import sqlite3
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import soundfile as sf

from speakerid.config import Config, TrainingConfig, load_config
from speakerid.store import Store

Run = Callable[..., Any]
Models = Callable[[Path], dict[str, tuple[object, ...]]]

FIELDS = [
    "settings", "components", "mean_components", "log_likelihood", "bic", "aic", "held_out", "held_out_error",
    "right", "asked", "accuracy", "accuracy_error", "chosen",
]  # fmt: skip
QUICK = ("--components", "1,2,4", "--folds", "2")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "tuned.toml"


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory, small: Path) -> Path:
    """Three speakers again, in a folder that may not be written to either."""
    folder = tmp_path_factory.mktemp("tune") / "voices"
    shutil.copytree(small, folder)
    return folder


@pytest.fixture(scope="module")
def tuned(run: Run, voices: Path) -> tuple[Any, Path]:
    """The quick tuning with windows so short that some are mistaken, as JSON, and its config."""
    path = voices.parent / "tuned.toml"
    outcome = run("tune", voices, *QUICK, "--test-seconds", "0.2", "--output", path, "--format", "json")
    assert outcome.status == 0
    return outcome, path


def manifest(path: Path, *rows: Sequence[object]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def usage(outcome: Any, says: str) -> None:
    """Refused, and in words."""
    assert (outcome.status, outcome.out) == (2, "")
    assert says in outcome.err
    assert "internal error" not in outcome.err


# answers


def test_json_is_a_row_a_line(tuned: tuple[Any, Path]) -> None:
    outcome, _path = tuned
    rows = outcome.json
    assert [list(row) for row in rows] == [FIELDS] * 3
    assert [row["components"] for row in rows] == [1, 2, 4]
    assert [row["mean_components"] for row in rows] == [1.0, 2.0, 4.0]
    assert {row["settings"] for row in rows} == {""}
    assert [row["chosen"] for row in rows].count(True) == 1
    for row in rows:
        assert row["accuracy"] == pytest.approx(row["right"] / row["asked"], abs=1e-6)
        assert row["bic"] > row["aic"] > 0
        assert row["held_out"] < row["log_likelihood"] < 0
    # larger mixtures fit their own frames better
    assert [row["log_likelihood"] for row in rows] == sorted(row["log_likelihood"] for row in rows)


def test_the_table_has_the_same_numbers_and_the_story_is_on_standard_error(
    run: Run, voices: Path, tuned: tuple[Any, Path], out: Path
) -> None:
    outcome = run("tune", voices, *QUICK, "--test-seconds", "0.2", "--output", out)
    assert outcome.status == 0
    heading, rule, *lines = outcome.out.splitlines()
    for word in ("K", "BIC", "AIC", "Trained on", "Held out", "Accuracy %", "Best by"):
        assert word in heading
    assert set(rule.strip()) == {"─"}
    assert len(lines) == 3
    for line, row in zip(lines, tuned[0].json, strict=True):
        # what is behind the best has a difference and its error, which test_tune derives; the best has a dash
        numbers = re.sub(r"\S+ ± \S+", "-", line).split()[:8]
        assert [numbers[5] == "-", numbers[7] == "-"] == [True, True]
        cells = [float(numbers[i].replace(",", "")) for i in (0, 1, 2, 3, 4, 6)]
        shown = [row[name] for name in ("components", "bic", "aic", "log_likelihood", "held_out")]
        shown += [100 * row["accuracy"]]
        for cell, value, step in zip(cells, shown, (0, 1, 1, 1e-2, 1e-2, 0.1), strict=True):
            assert cell == pytest.approx(value, abs=0.51 * step)
        assert line.endswith("<- chosen") == row["chosen"]
    assert outcome.out.count("bic") == outcome.out.count("aic") == outcome.out.count("held-out") == 1
    asked = tuned[0].json[0]["asked"]
    assert f"Accuracy: of {asked} windows of about 0.2 s" in outcome.err
    assert "Chosen: 4 components: " in outcome.err
    assert f"{out} written; now: speakerid enroll {voices} --config {out}" in outcome.err
    assert outcome.complaints == []


def test_csv_has_the_same_rows(run: Run, voices: Path, tuned: tuple[Any, Path], out: Path) -> None:
    outcome = run("tune", voices, *QUICK, "--test-seconds", "0.2", "--output", out, "--format", "csv", "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    for given, expected in zip(outcome.csv, tuned[0].json, strict=True):
        assert list(given) == FIELDS
        for field, value in expected.items():
            text = given[field]
            if isinstance(value, float):
                assert float(text) == pytest.approx(value, rel=1e-5)
            else:
                assert text == str(value)


def test_csv_keeps_the_digits_of_the_criteria(run: Run, voices: Path, tuned: tuple[Any, Path], out: Path) -> None:
    outcome = run("tune", voices, *QUICK, "--test-seconds", "0.2", "--output", out, "--format", "csv", "--quiet")
    assert [float(row["bic"]) for row in outcome.csv] == pytest.approx([r["bic"] for r in tuned[0].json], abs=0.01)


def test_the_number_of_jobs_does_not_matter(run: Run, voices: Path, tuned: tuple[Any, Path], tmp_path: Path) -> None:
    for jobs in (1, 2):
        path = tmp_path / f"{jobs}.toml"
        outcome = run("tune", voices, *QUICK, "--test-seconds", "0.2", "-o", path, "--format", "json", "--jobs", jobs)
        assert outcome.out == tuned[0].out
        assert path.read_bytes() == tuned[1].read_bytes()


def test_speakers_one_by_one(run: Run, voices: Path, out: Path, tmp_path: Path) -> None:
    outcome = run("tune", voices, *QUICK, "--output", out, "--per-speaker", "--format", "json")
    rows, speakers = outcome.json[:3], outcome.json[3:]
    assert [list(row) for row in rows] == [FIELDS] * 3
    assert [row["speaker"] for row in speakers] == ["Alice", "Mary Ann", "Tom"]
    assert all(row[name] in (1, 2, 4) for row in speakers for name in ("bic", "aic", "held_out"))
    assert load_config(out).training.components == 4  # telling is not choosing
    table = run("tune", voices, *QUICK, "--output", tmp_path / "b.toml", "--per-speaker").out
    last = table.splitlines()[-4:]
    assert last[0].strip() == "─" * len(last[0].strip())
    assert [line.split()[-3:] for line in last[1:]] == [
        [str(row["bic"]), str(row["aic"]), str(row["held_out"])] for row in speakers
    ]


@pytest.mark.parametrize(
    ("criterion", "field", "best"), [("bic", "bic", min), ("aic", "aic", min), ("held-out", "held_out", max)]
)
def test_another_criterion_may_decide(run: Run, voices: Path, out: Path, criterion: str, field: str, best: Any) -> None:
    outcome = run("tune", voices, *QUICK, "--choose", criterion, "--output", out, "--format", "json")
    (chosen,) = (row for row in outcome.json if row["chosen"])
    assert chosen[field] == best(row[field] for row in outcome.json)
    assert load_config(out).training.components == chosen["components"]


# the config that is written


def test_the_config_is_for_enroll(run: Run, voices: Path, tuned: tuple[Any, Path], tmp_path: Path) -> None:
    outcome, path = tuned
    (chosen,) = (row["components"] for row in outcome.json if row["chosen"])
    assert load_config(path) == Config(training=TrainingConfig(components=chosen))
    db = tmp_path / "s.db"
    enrolment = run("enroll", voices, "--config", path, "--db", db, "--format", "json")
    assert enrolment.status == 0
    assert {line["components"] for line in enrolment.json} == {chosen}


def test_other_settings_of_the_config_are_kept(run: Run, voices: Path, tmp_path: Path, out: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text("[front_end]\ncepstra = 13\n[training]\niterations = 5\n[decision]\nminimum_speech_seconds = 0.5\n")
    outcome = run("tune", voices, *QUICK, "--config", mine, "--output", out, "--format", "json")
    (chosen,) = (row["components"] for row in outcome.json if row["chosen"])
    before, after = load_config(mine), load_config(out)
    assert (after.front_end, after.decision) == (before.front_end, before.decision)
    assert after.training == TrainingConfig(components=chosen, iterations=5)


def test_files_that_exist_are_kept_and_that_is_said_before_the_work(run: Run, tmp_path: Path, voices: Path) -> None:
    existing = tmp_path / "mine.toml"
    existing.write_text("precious")
    picture = tmp_path / "mine.svg"
    picture.write_text("precious")
    new = tmp_path / "new.toml"
    # the folder does not exist: had the work begun, that would be said
    usage(run("tune", tmp_path / "none", "-o", existing), f"{existing} exists: give --force")
    usage(run("tune", tmp_path / "none", "-o", new, "--plot", picture), f"{picture} exists: give --force")
    assert (existing.read_text(), picture.read_text()) == ("precious", "precious")
    assert not new.exists()
    outcome = run("tune", voices, *QUICK, "-o", existing, "--plot", picture, "--force", "--quiet")
    assert outcome.status == 0
    assert load_config(existing).training.components in (1, 2, 4)
    assert picture.read_bytes().startswith(b"<?xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.svg", "mine.toml"]


def test_places_that_cannot_be_are_refused_before_the_work(run: Run, tmp_path: Path) -> None:
    for name in ("-o", "--plot"):
        other = ["-o", tmp_path / "x.toml"] if name == "--plot" else []
        outcome = run("tune", tmp_path / "none", name, tmp_path / "no folder" / "a.svg", *other)
        usage(outcome, "there is no such folder")
    for picture in ("a.jpg", "a", ".svg", "svg"):
        outcome = run("tune", tmp_path / "none", "-o", tmp_path / "x.toml", "--plot", tmp_path / picture)
        usage(outcome, "a picture is a .png, .svg, .pdf file")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to(run: Run, voices: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    outcome = run("tune", voices, *QUICK, "-o", folder / "a.toml", "--quiet")
    assert outcome.status == 2
    assert "Permission denied" in outcome.err
    folder.chmod(0o755)
    assert list(folder.iterdir()) == []


def test_a_folder_is_no_output(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder.svg").mkdir()
    for options in (["-o", tmp_path], ["-o", tmp_path / "x.toml", "--plot", tmp_path / "folder.svg"]):
        outcome = run("tune", tmp_path / "none", *options, "--force")
        usage(outcome, "folder")
        assert "none" not in outcome.err


def test_config_and_picture_are_two_files(run: Run, tmp_path: Path) -> None:
    outcome = run("tune", tmp_path / "none", "-o", tmp_path / "x.svg", "--plot", tmp_path / "." / "x.svg")
    usage(outcome, "x.svg")
    assert "none" not in outcome.err


def test_what_is_no_regular_file_is_not_replaced(run: Run, voices: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    outcome = run("tune", voices, "--components", "1", "--folds", "2", "-o", pipe, "--force", "--quiet")
    assert outcome.status == 2
    assert pipe.is_fifo()


def test_a_link_is_followed(run: Run, voices: Path, tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "link.toml"
    real.write_text("")
    link.symlink_to(real)
    assert run("tune", voices, "--components", "1", "--folds", "2", "-o", link, "--force", "--quiet").status == 0
    assert link.is_symlink()
    assert load_config(real).training.components == 1


def test_the_config_is_written_though_nobody_reads_the_answers(
    program_path: Path, voices: Path, tmp_path: Path, out: Path
) -> None:
    line = f'"{program_path}" tune "{voices}" --components 1 --folds 2 -o "{out}" --quiet | true'
    subprocess.run(["/bin/sh", "-c", line], check=True, timeout=60, capture_output=True)
    assert out.is_file()


# pictures


@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG\r\n"), ("svg", b"<?xml"), ("PDF", b"%PDF-")])
def test_curves_are_drawn(run: Run, voices: Path, tmp_path: Path, out: Path, suffix: str, begins: bytes) -> None:
    picture = tmp_path / f"Kurven ü.{suffix}"
    outcome = run("tune", voices, "--components", "1,2,auto", "--folds", "2", "-o", out, "--plot", picture)
    assert outcome.status == 0
    assert f"{out} and {picture} written" in outcome.err
    assert picture.read_bytes().startswith(begins)
    if suffix == "svg":
        first = picture.read_bytes()
        text = "".join(ET.fromstring(first).itertext())
        for words in ("BIC", "AIC", "held out", "trained on", "components K", "K by BIC for each speaker"):
            assert words in text
        arguments = ("--components", "1,2,auto", "--folds", "2", "-o", out, "--plot", picture, "--force", "--quiet")
        assert run("tune", voices, *arguments).status == 0
        assert picture.read_bytes() == first


def test_curves_of_long_settings_are_drawn(run: Run, voices: Path, tmp_path: Path, out: Path) -> None:
    outcome = run(
        "tune", voices, "--components", "1,2,auto", "--folds", "2", "-o", out, "--plot", tmp_path / "a.svg",
        "--try", "covariance=diagonal,spherical", "--try", "minimum_frames_per_component=1",
    )  # fmt: skip
    assert outcome.status == 0


# what is asked for


@pytest.mark.parametrize("value", ["0", "x", "", ",", "1,,2", "1,", "-1", "1.0", "65537", "9" * 30, "AUTO", "٣"])
def test_components_that_cannot_be(run: Run, voices: Path, tmp_path: Path, value: str) -> None:
    usage(run("tune", voices, "--components", value, "-o", tmp_path / "x.toml"), "from 1 to 65536, or auto")
    if "," not in value or value == ",":
        usage(run("enroll", voices, "--components", value, "--db", tmp_path / "x.db"), "from 1 to 65536, or auto")
    assert list(tmp_path.iterdir()) == []


def test_components_are_tried_once_and_in_the_order_given(run: Run, voices: Path, out: Path) -> None:
    outcome = run("tune", voices, "--components", "2, 1,auto,02,auto,1", "--folds", "2", "-o", out, "--format", "json")
    assert [row["components"] for row in outcome.json] == [2, 1, "auto"]


def test_more_components_than_there_is_speech_for_are_left_out(run: Run, voices: Path, out: Path) -> None:
    outcome = run("tune", voices, "--components", "1,4096,65536", "--folds", "2", "-o", out, "--format", "json")
    assert [row["components"] for row in outcome.json] == [1]
    assert "no speaker has enough speech for 4096, 65536 components: left out" in outcome.err
    assert load_config(out).training.components == 1
    usage(run("tune", voices, "--components", "65536", "-o", out.with_name("b.toml")), "nothing is left to try")
    assert not out.with_name("b.toml").exists()


def test_settings_are_tried_in_every_combination(run: Run, voices: Path, out: Path, tmp_path: Path) -> None:
    outcome = run(
        "tune", voices, "--components", "1,2", "--folds", "2", "-o", out, "--format", "json",
        "--try", "covariance=diagonal,full", "--try", " training.iterations = 2, 3,2 ",
    )  # fmt: skip
    assert outcome.status == 0
    labels = [f"covariance = {c}, iterations = {n}" for c in ("diagonal", "full") for n in (2, 3)]
    assert [(r["settings"], r["components"]) for r in outcome.json] == [(label, k) for label in labels for k in (1, 2)]
    (chosen,) = (row for row in outcome.json if row["chosen"])
    training = load_config(out).training
    assert f"covariance = {training.covariance}, iterations = {training.iterations}" == chosen["settings"]
    assert training.components == chosen["components"]
    table = run(
        "tune", voices, "--components", "1", "--folds", "2", "-o", tmp_path / "b.toml", "--try", "seed=1"
    ).out.splitlines()
    assert table[0].split()[:2] == ["Settings", "K"]
    assert "seed = 1" in table[2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("covariance", "expected SETTING=VALUE,VALUE,..."),
        ("=", "expected SETTING=VALUE,VALUE,..."),
        ("=full", "expected SETTING=VALUE,VALUE,..."),
        ("covariance=", "expected SETTING=VALUE,VALUE,..."),
        ("covariance= , ,", "expected SETTING=VALUE,VALUE,..."),
        ("covariance==full", 'covariance = "=full": expected one of "diagonal"'),
        ("covariance=diagonal,round", 'covariance = "round": expected one of "diagonal"'),
        ("kovariance=full", "kovariance: no setting that can be varied; did you mean covariance?"),
        ("components=1,2", "components: give the numbers to try by --components"),
        ("decision.minimum_speech_seconds=1", "no setting that can be varied"),
        ("tolerance=nan", "tolerance = nan: expected at least 0"),
        ("seed=-1", "seed = -1: expected at least 0"),
        ("cepstra=100", "cepstra = 100: expected at most mel_bands = 36"),
    ],
)
def test_settings_that_cannot_be_tried(run: Run, voices: Path, out: Path, text: str, says: str) -> None:
    usage(run("tune", voices, "-o", out, "--try", text), says)
    assert not out.exists()


@pytest.mark.parametrize(
    "options",
    [["--folds", "1"], ["--folds", "x"], ["--test-seconds", "0"], ["--test-seconds", "inf"], ["--choose", "k"]],
)
def test_options_out_of_range(run: Run, voices: Path, out: Path, options: list[str]) -> None:
    usage(run("tune", voices, "-o", out, *options), "Invalid value for")
    assert not out.exists()


def test_windows_of_no_length(run: Run, voices: Path, out: Path) -> None:
    usage(run("tune", voices, "-o", out, "--test-seconds", "nan"), "Invalid value for '--test-seconds'")


@pytest.mark.parametrize("options", [["--folds", "1000"], ["--test-seconds", "0.1"], ["--test-seconds", "3600"]])
def test_extremes_that_may_be(run: Run, voices: Path, out: Path, options: list[str]) -> None:
    outcome = run("tune", voices, "--components", "1", "--folds", "2", *options, "-o", out, "--format", "json")
    assert outcome.status == 0
    (row,) = outcome.json
    assert row["asked"] >= 9


# recordings


def test_sessions_of_a_manifest_stay_together(run: Run, voices: Path, tmp_path: Path, out: Path) -> None:
    """With two recordings a session, each fold is a session: the same as a folder with one file of both."""
    rows = [
        (path, path.parent.name, "" if number % 3 else "enroll", f"day {min(number % 3, 1)}")
        for number, path in enumerate(sorted(voices.glob("*/*.flac")))
    ]
    sessions = manifest(tmp_path / "sessions.csv", ("path", "speaker", "split", "session"), *rows)
    by_session = run("tune", sessions, "--components", "2", "--folds", "3", "-o", out, "--format", "json", "--quiet")
    assert (by_session.status, by_session.err) == (0, "")
    joined = tmp_path / "joined"
    for folder in voices.iterdir():
        (joined / folder.name).mkdir(parents=True)
        first, *rest = sorted(folder.glob("*.flac"))
        shutil.copy(first, joined / folder.name)
        parts = [sf.read(path, dtype="int16") for path in rest]
        sf.write(joined / folder.name / "z.wav", np.concatenate([part for part, _rate in parts]), parts[0][1])
    whole = run("tune", joined, "--components", "2", "--folds", "3", "-o", out, "--force", "--format", "json")
    # nearly: frames at the joint, and c0 has its mean over the recording removed
    assert by_session.json[0]["held_out"] == pytest.approx(whole.json[0]["held_out"], abs=0.5)
    each = run("tune", voices, "--components", "2", "--folds", "3", "-o", out, "--force", "--format", "json")
    assert by_session.json[0]["held_out"] < each.json[0]["held_out"]


def test_test_rows_are_left_alone(run: Run, voices: Path, sample: Path, tmp_path: Path, out: Path) -> None:
    rows = [(path, path.parent.name, "enroll") for path in sorted(voices.glob("*/*.flac"))]
    tests = [(sample / "test" / "tom-1.flac", "Tom", "test"), (tmp_path / "missing.wav", "Eve", "test")]
    protocol = manifest(tmp_path / "p.csv", ("path", "speaker", "split"), *rows, *tests)
    outcome = run("tune", protocol, *QUICK, "-o", out, "--format", "json")
    assert outcome.status == 0
    assert "2 rows with split = test were left alone" in outcome.err
    plain = run("tune", voices, *QUICK, "-o", out, "--force", "--format", "json")
    assert outcome.out == plain.out


def test_copies_count_once(run: Run, voices: Path, tmp_path: Path, out: Path) -> None:
    doubled = tmp_path / "voices"
    shutil.copytree(voices, doubled)
    samples, rate = sf.read(doubled / "Tom" / "tom-enroll-1.flac", dtype="int16")
    sf.write(doubled / "Tom" / "z.wav", samples, rate)
    outcome = run("tune", doubled, *QUICK, "-o", out, "--format", "json")
    assert outcome.status == 0
    assert "the same audio as another one" in outcome.err
    assert outcome.out == run("tune", voices, *QUICK, "-o", out, "--force", "--format", "json").out


def test_a_single_recording_is_cut_and_that_is_said(run: Run, voices: Path, tmp_path: Path, out: Path) -> None:
    few = tmp_path / "voices"
    for name in ("Alice", "Tom"):
        (few / name).mkdir(parents=True)
        shutil.copy(sorted((voices / name).glob("*.flac"))[0], few / name)
    shutil.copy(sorted((voices / "Tom").glob("*.flac"))[1], few / "Tom")
    outcome = run("tune", few, "--components", "1", "--folds", "3", "-o", out)
    assert outcome.status == 0
    assert "Alice: one recording only, held out in 3 stretches of it" in outcome.err
    for path in (few / "Tom").glob("*-2.flac"):
        path.unlink()
    outcome = run("tune", few, "--components", "1", "--folds", "3", "-o", out, "--force")
    assert "2 speakers: one recording only, held out in 3 stretches of it" in outcome.err
    quiet = run("tune", few, "--components", "1", "--folds", "3", "-o", out, "--force", "--quiet")
    assert (quiet.status, quiet.err) == (0, "")


def test_one_speaker_is_tuned_by_held_out_speech(run: Run, voices: Path, tmp_path: Path, out: Path) -> None:
    shutil.copytree(voices / "Tom", tmp_path / "voices" / "Tom")
    outcome = run("tune", tmp_path / "voices", "--components", "1,2,64", "--folds", "3", "-o", out, "--format", "json")
    assert outcome.status == 0
    assert {row["accuracy"] for row in outcome.json} == {1.0}
    assert "One speaker only: everything is identified, so accuracy tells nothing." in outcome.err
    (chosen,) = (row for row in outcome.json if row["chosen"])
    assert chosen["held_out"] == max(row["held_out"] for row in outcome.json)


def test_recordings_that_cannot_be_used_are_told_once_and_the_rest_is_done(
    run: Run, voices: Path, bad_inputs: dict[str, Path], tmp_path: Path, out: Path
) -> None:
    mixed = tmp_path / "voices"
    shutil.copytree(voices, mixed)
    for name in ("empty", "silence"):
        shutil.copy(bad_inputs[name], mixed / "Tom")
    (mixed / "Tom" / "notes.txt").write_text("nothing")
    outcome = run("tune", mixed, *QUICK, "-o", out, "--format", "json", "--try", "cepstra=13,20")
    assert outcome.status == 3
    assert len(outcome.complaints) == 2
    assert sum("empty.wav: an empty file" in line for line in outcome.complaints) == 1
    assert sum("silence.wav: no speech found" in line for line in outcome.complaints) == 1
    assert "1 file is not audio by name and passed over" in outcome.err
    plain = run("tune", voices, *QUICK, "-o", out, "--format", "json", "--try", "cepstra=13,20", "--force")
    assert (plain.status, plain.out) == (0, outcome.out)


def test_nothing_to_tune_with(run: Run, voices: Path, bad_inputs: dict[str, Path], tmp_path: Path, out: Path) -> None:
    (tmp_path / "none").mkdir()
    usage(run("tune", tmp_path / "none", "-o", out), "no audio in any sub-folder")
    usage(run("tune", tmp_path / "missing", "-o", out), "no such file or folder")
    usage(run("tune", voices / "Tom" / "tom-enroll-1.flac", "-o", out), "whose voice is it?")
    assert not out.exists()


def test_it_is_said_why_no_recording_can_be_used(
    run: Run, bad_inputs: dict[str, Path], tmp_path: Path, out: Path
) -> None:
    (tmp_path / "voices" / "Tom").mkdir(parents=True)
    shutil.copy(bad_inputs["silence"], tmp_path / "voices" / "Tom")
    outcome = run("tune", tmp_path / "voices", "-o", out)
    assert outcome.status in (2, 3)
    assert "no speech found" in outcome.err


def test_the_same_audio_under_two_names_is_trouble(run: Run, voices: Path, tmp_path: Path, out: Path) -> None:
    mixed = tmp_path / "voices"
    shutil.copytree(voices, mixed)
    (mixed / "Zoe").mkdir()
    shutil.copy(mixed / "Tom" / "tom-enroll-1.flac", mixed / "Zoe" / "a.flac")
    outcome = run("tune", mixed, "--components", "1", "--folds", "2", "-o", out)
    assert outcome.status == 3
    assert "Zoe" in outcome.err


def test_names_of_all_kinds(run: Run, voices: Path, tmp_path: Path, out: Path) -> None:
    odd = tmp_path / "vóices = 1"
    for name, new in (("Alice", "[bold]Alice[red"), ("Tom", "=cmd()"), ("Mary Ann", "José, 大")):
        shutil.copytree(voices / name, odd / new)
    picture = tmp_path / "ü,=.svg"
    outcome = run("tune", odd, "--components", "1", "--folds", "2", "-o", out, "--plot", picture, "--per-speaker")
    assert outcome.status == 0
    for name in ("[bold]Alice[red", "=cmd()", "José, 大"):
        assert name in outcome.out
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.toml"))
    assert run("tune", odd, "--components", "1", "--folds", "2", "-o", strange, "--quiet").status == 0
    assert load_config(strange).training.components == 1


def test_a_terminal_of_eighty_columns_shows_whole_numbers(
    voices: Path, out: Path, monkeypatch: Any, capsys: Any
) -> None:
    import sys

    from speakerid.cli import cli

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    cli.main(["tune", str(voices), *QUICK, "-o", str(out), "--quiet"], standalone_mode=False)
    text = capsys.readouterr().out
    # BIC and AIC of three candidates, whole
    assert len(re.findall(r"(?<![\d,])\d{3},\d{3}(?![\d,…])", text)) >= 6, text
    assert "chosen" in text


# the store's recordings


def test_without_data_and_without_a_store(run: Run, tmp_path: Path, out: Path) -> None:
    usage(
        run("tune", "-o", out, "--db", tmp_path / "none.db"),
        "give DATA, a folder of speaker folders; there is no store",
    )
    (tmp_path / "folder").mkdir()
    usage(run("tune", "-o", out, "--db", tmp_path / "folder"), "a folder, not a speakerid store")
    assert not out.exists()
    assert not (tmp_path / "none.db").exists()


def test_an_empty_store_is_nothing_to_tune_with(run: Run, db: Path, out: Path) -> None:
    with Store(db) as store:
        store.remove(store.names())
    usage(run("tune", "-o", out, "--db", db), "nobody is enrolled")


def test_the_store_gives_the_numbers_of_its_folder(run: Run, voices: Path, tmp_path: Path, digest: Any) -> None:
    db = tmp_path / "s.db"
    assert run("enroll", voices, "--db", db).status == 0
    before = digest(db)
    # as many folds as recordings: which is in which does not matter
    quick = ("--components", "1,2,4", "--folds", "3", "--format", "json", "--test-seconds", "0.2")
    stored = run("tune", *quick, "--db", db, "-o", tmp_path / "a.toml")
    given = run("tune", voices, *quick, "-o", tmp_path / "b.toml")
    assert (stored.status, given.status) == (0, 0)
    for one, other in zip(stored.json, given.json, strict=True):
        assert list(one) == list(other) == FIELDS
        for field in ("log_likelihood", "bic", "aic", "held_out", "held_out_error"):
            assert one[field] == pytest.approx(other[field], rel=1e-5)
        assert one["asked"] == other["asked"]
        assert abs(one["right"] - other["right"]) <= 2
    assert load_config(tmp_path / "a.toml") == load_config(tmp_path / "b.toml")
    assert digest(db) == before


def test_the_store_gives_the_very_numbers_of_its_folder(run: Run, sample: Path, enrolled: Path, tmp_path: Path) -> None:
    quick = ("--components", "1,4", "--folds", "2", "--format", "json")
    stored = run("tune", *quick, "--db", enrolled, "-o", tmp_path / "a.toml")
    given = run("tune", sample / "enroll", *quick, "-o", tmp_path / "b.toml")
    assert stored.out == given.out


def test_the_store_s_settings_are_the_base(run: Run, voices: Path, tmp_path: Path, out: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[front_end]\ncepstra = 13\n[training]\ncomponents = 2\niterations = 7\ncovariance = "spherical"\n')
    db = tmp_path / "s.db"
    assert run("enroll", voices, "--db", db, "--config", mine).status == 0
    for options in ([], ["--config", mine]):
        assert run("tune", *QUICK, "--db", db, "-o", out, "--force", *options).status == 0
        written = load_config(out)
        assert written.front_end.cepstra == 13
        assert (written.training.iterations, written.training.covariance) == (7, "spherical")
    other = tmp_path / "other.toml"
    other.write_text("[front_end]\ncepstra = 12\n")
    usage(run("tune", "--db", db, "-o", out, "--force", "--config", other), "cepstra: 13 against 12")


def test_training_settings_may_be_tried_with_a_store_front_ends_may_not(run: Run, enrolled: Path, out: Path) -> None:
    usage(run("tune", "--db", enrolled, "-o", out, "--try", "cepstra=13,20"), "a store keeps features, not audio")
    outcome = run(
        "tune", "--db", enrolled, "--components", "1", "--folds", "2", "-o", out, "--format", "json",
        "--try", "covariance=diagonal,spherical",
    )  # fmt: skip
    assert [row["settings"] for row in outcome.json] == ["covariance = diagonal", "covariance = spherical"]


def test_a_single_other_front_end_is_refused_with_a_store_too(run: Run, enrolled: Path, out: Path) -> None:
    outcome = run("tune", "--db", enrolled, "--components", "1", "--folds", "2", "-o", out, "--try", "cepstra=13")
    usage(outcome, "a store keeps features, not audio")


# enroll --components


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory, small: Path) -> Path:
    """Three speakers, one of them with little speech: components chosen by BIC differ."""
    folder = tmp_path_factory.mktemp("uneven") / "voices"
    shutil.copytree(small / "Alice", folder / "Alice")
    shutil.copytree(small / "Mary Ann", folder / "Mary Ann")
    (folder / "Tom").mkdir()
    samples, rate = sf.read(small / "Tom" / "tom-enroll-1.flac", dtype="int16")
    sf.write(folder / "Tom" / "short.wav", samples[: 2 * rate], rate)
    return folder


@pytest.fixture(scope="module")
def chosen_by_bic(run: Run, uneven: Path) -> tuple[Any, Path]:
    """Outcome and store of ``enroll --components auto``; nobody may write to it."""
    db = uneven.parent / "auto.db"
    outcome = run("enroll", uneven, "--components", "auto", "--db", db, "--format", "json")
    assert outcome.status == 0
    return outcome, db


def test_components_are_the_smallest_bic_of_the_record(chosen_by_bic: tuple[Any, Path], run: Run) -> None:
    outcome, db = chosen_by_bic
    sizes = {line["speaker"]: line["components"] for line in outcome.json}
    assert sizes["Tom"] < sizes["Alice"]
    assert "components chosen by BIC, and for how many speakers: " in outcome.err
    with Store(db) as store:
        assert store.training.components == "auto"
        for name, size in sizes.items():
            mixture, record = store.model(name)
            considered = dict(record["considered"])
            assert list(considered) == [1 << i for i in range(len(considered))]
            assert min(considered, key=considered.__getitem__) == size == mixture.n_components
            assert record["components"] == record["components_asked"] == size
    for name, size in sizes.items():
        text = run("speakers", "show", name, "--db", db).out
        (line,) = (line for line in text.splitlines() if line.startswith("components chosen by BIC"))
        shown = dict(part.removeprefix("K = ").split(": ") for part in line.split("best: ")[1].split("; "))
        values = {int(k): float(v.replace(",", "")) for k, v in shown.items()}
        assert min(values, key=values.__getitem__) == size
        (told,) = run("speakers", "show", name, "--db", db, "--format", "json").json
        assert {k: round(v) for k, v in told["training"]["considered"]} == values


def test_a_store_of_mixed_sizes_answers(chosen_by_bic: tuple[Any, Path], run: Run, sample: Path) -> None:
    _outcome, db = chosen_by_bic
    assert len({row["components"] for row in run("speakers", "list", "--db", db, "--format", "csv").csv}) > 1
    paths = [sample / "test" / f"{name}.flac" for name in ("alice-1", "alice-2", "tom-1", "tom-2", "mary-ann-1")]
    answers = run("identify", *paths, "--db", db, "--format", "json").json
    assert [answer["decision"] for answer in answers] == ["Alice", "Alice", "Tom", "Tom", "Mary Ann"]
    for jobs in (1, 2):
        assert run("identify", *paths, "--db", db, "--format", "json", "--jobs", jobs).json == answers


def test_later_and_in_any_order_is_the_same_as_all_at_once(
    chosen_by_bic: tuple[Any, Path], run: Run, uneven: Path, tmp_path: Path, models: Models
) -> None:
    expected = models(chosen_by_bic[1])
    for jobs in (1, 2):
        db = tmp_path / f"{jobs}.db"
        for number, path in enumerate(sorted(uneven.glob("*/*"), reverse=jobs == 1)):
            # the store remembers: only its maker says auto
            auto = ["--components", "auto"] if number == 0 else []
            outcome = run("enroll", path, "--speaker", path.parent.name, "--db", db, "--jobs", jobs, *auto)
            assert outcome.status == 0
        assert models(db) == expected


def test_other_components_than_the_store_s_are_refused_with_both(
    chosen_by_bic: tuple[Any, Path], run: Run, uneven: Path, db: Path, digest: Any
) -> None:
    auto = chosen_by_bic[1]
    before = digest(auto), digest(db)
    usage(run("enroll", uneven, "--db", auto, "--components", "4"), 'components: "auto" against 4')
    usage(run("enroll", uneven, "--db", db, "--components", "auto"), 'components: 16 against "auto"')
    usage(run("enroll", uneven, "--db", db, "--components", "8"), "components: 16 against 8")
    assert (digest(auto), digest(db)) == before
    assert run("enroll", uneven, "--db", auto, "--components", "auto", "--quiet").status == 0
    assert digest(auto) == before[0]


def test_a_number_on_the_command_line_goes_before_the_config(run: Run, voices: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[training]\ncomponents = "auto"\n')
    outcome = run(
        "enroll", voices, "--config", mine, "--components", "2", "--db", tmp_path / "a.db", "--format", "json"
    )
    assert {line["components"] for line in outcome.json} == {2}
    assert "chosen by BIC" not in outcome.err
    asked = run("enroll", voices, "--config", mine, "--db", tmp_path / "b.db", "--format", "json")
    assert "chosen by BIC" in asked.err


def test_far_too_many_components_are_as_many_as_there_is_speech_for(run: Run, uneven: Path, tmp_path: Path) -> None:
    outcome = run("enroll", uneven, "--components", "65536", "--db", tmp_path / "s.db", "--format", "json")
    assert outcome.status == 0
    for line in outcome.json:
        assert line["components"] <= line["speech_seconds"] * 100 / 8
        assert f"train {line['components']} components instead of 65536" in outcome.err


# covariances


@pytest.fixture(scope="module", params=["full", "tied", "spherical"])
def other_store(
    request: pytest.FixtureRequest, run: Run, sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """Ten voices with other covariances; nobody may write to the store."""
    folder = tmp_path_factory.mktemp(request.param)
    config = folder / "c.toml"
    config.write_text(f'[training]\ncomponents = 2\ncovariance = "{request.param}"\ninitialisation = "random"\n')
    outcome = run("enroll", sample / "enroll", "--config", config, "--db", folder / "s.db", "--format", "json")
    assert outcome.status == 0
    assert {line["components"] for line in outcome.json} == {2}
    return request.param, folder / "s.db"


def test_stores_of_all_covariances_answer_right(
    other_store: tuple[str, Path], run: Run, known_files: list[str], truth: dict[str, str]
) -> None:
    answers = run("identify", *known_files, "--db", other_store[1], "--format", "json").json
    wrong = [a["path"] for a, path in zip(answers, known_files, strict=True) if a["decision"] != truth[Path(path).name]]
    # two spheres are hardly a model of a voice
    assert len(wrong) <= (3 if other_store[0] == "spherical" else 0)


def test_stores_of_all_covariances_keep_their_models(
    other_store: tuple[str, Path], run: Run, sample: Path, tmp_path: Path, models: Models
) -> None:
    kind, db = other_store
    with Store(db) as store:
        assert (store.training.covariance, store.training.initialisation) == (kind, "random")
        mixture, record = store.model("Tom")
        assert mixture.covariance_type.name == kind
        assert mixture.covariances.shape == {"full": (2, 40, 40), "tied": (40, 40), "spherical": (2,)}[kind]
        assert record["log_likelihoods"] == sorted(record["log_likelihoods"])
    # out of the store and into another, and enrolled once more
    copy = tmp_path / "copy.db"
    assert run("speakers", "export", "--db", db, "--output", copy).status == 0
    assert models(copy) == models(db)
    assert run("speakers", "remove", "Tom", "--db", copy).status == 0
    for path in sorted((sample / "enroll" / "Tom").glob("*.flac"), reverse=True):
        assert run("enroll", path, "--speaker", "Tom", "--db", copy).status == 0
    assert models(copy) == models(db)


@pytest.mark.parametrize("damage", ["short", "zero", "nan", "negative", "huge", "lopsided", "components"])
def test_damaged_models_of_all_covariances_are_told(
    other_store: tuple[str, Path], run: Run, sample: Path, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "s.db"
    shutil.copy(other_store[1], path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (blob,) = connection.execute("SELECT variances FROM models LIMIT 1").fetchone()
        bad = struct.pack("<f", {"nan": float("nan"), "huge": 1e30}.get(damage, -1e3))
        new = {
            "short": blob[:-4],
            "zero": bytes(len(blob)),
            # in a matrix one of two that are equal, of spherical covariances a variance
            "lopsided": blob[:4] + bad + blob[8:],
            "components": blob,
        }.get(damage, bad + blob[4:])
        connection.execute("UPDATE models SET variances = ?", (new,))
        if damage == "components":
            connection.execute("UPDATE models SET n_components = n_components + 1")
        connection.commit()
    outcome = run("identify", sample / "test" / "tom-1.flac", "--db", path, "--format", "json")
    usage(outcome, "is damaged")


def test_another_covariance_than_the_store_s_is_refused(
    run: Run, other_store: tuple[str, Path], voices: Path, tmp_path: Path
) -> None:
    kind, db = other_store
    config = tmp_path / "c.toml"
    config.write_text('[training]\ncomponents = 2\ninitialisation = "random"\n')
    usage(run("enroll", voices, "--db", db, "--config", config), f'covariance: "{kind}" against "diagonal"')


def test_the_search_for_tied_components_does_not_end_early(run: Run, sample: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[training]\ncovariance = "tied"\ncomponents = "auto"\n')
    giulia = sample / "enroll" / "Giulia"
    outcome = run(
        "enroll", giulia, "--speaker", "Giulia", "--config", config, "--db", tmp_path / "s.db", "--format", "json"
    )
    assert outcome.json[0]["components"] > 4


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_a_floor_that_is_none_is_no_internal_error(
    run: Run, speech: tuple[np.ndarray, int], tmp_path: Path, kind: str
) -> None:
    samples, rate = speech
    sf.write(tmp_path / "a.wav", samples[rate : rate + rate // 15], rate)
    config = tmp_path / "c.toml"
    config.write_text(
        f'[training]\ncovariance = "{kind}"\ncomponents = 2\nvariance_floor = 1e-300\n'
        "minimum_frames_per_component = 1\n"
        '[front_end]\nspeech_activity = "none"\n[decision]\nminimum_speech_seconds = 0\n'
    )
    outcome = run("enroll", tmp_path / "a.wav", "--speaker", "A", "--config", config, "--db", tmp_path / "s.db")
    assert outcome.status in (0, 3)
    assert "internal error" not in outcome.err


@pytest.mark.parametrize("considered", ["5", "[1]", '[["a", "b"]]', "[[1, null]]", "[[1, NaN]]"])
def test_a_damaged_search_is_told(run: Run, db: Path, change: Any, considered: str) -> None:
    change(
        db,
        "UPDATE models SET record = replace(record, '\"considered\": []', ?)",
        values=(f'"considered": {considered}',),
    )
    usage(run("speakers", "show", "Tom", "--db", db), "training record of Tom is damaged")


def test_names_with_brackets_are_not_stretches(run: Run, voices: Path, tmp_path: Path, out: Path) -> None:
    for folder in voices.iterdir():
        target = tmp_path / "takes" / folder.name
        target.mkdir(parents=True)
        for number, file in enumerate(sorted(folder.iterdir())):
            shutil.copy(file, target / f"take [{number}]{file.suffix}")
    db = tmp_path / "takes.db"
    assert run("enroll", tmp_path / "takes", "--db", db, "--quiet").status == 0
    outcome = run("tune", "--db", db, *QUICK, "-o", out, "--format", "json")
    assert outcome.status == 0
    assert "one session" not in outcome.err


@pytest.mark.parametrize("text", ["0" * 8 + "1" + "9" * 5000, "00000000199999999", "65537", "-1", "1e3"])
def test_numbers_of_components_that_are_none(run: Run, voices: Path, out: Path, text: str) -> None:
    outcome = run("tune", voices, "--components", text, "-o", out)
    assert outcome.status == 2
    assert "expected a whole number from 1 to 65536" in outcome.err


def test_two_front_ends_with_one_number(run: Run, voices: Path, out: Path) -> None:
    outcome = run("tune", voices, "--components", "2", "--folds", "2", "--try", "cepstra=13,20", "-o", out)
    assert outcome.status == 0
    assert "of all front ends" in outcome.err
