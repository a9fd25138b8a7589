"""``speakerid calibrate`` as people meet it."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Change = Callable[..., None]


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory, enrolled: Path, run: Run) -> Path:
    """The ten voices, calibrated; nobody may write to it."""
    path = tmp_path_factory.mktemp("calibrated") / "speakers.db"
    shutil.copyfile(enrolled, path)
    outcome = run("calibrate", "--db", path, "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == f"{path}: calibrated with 30 recordings of 10 speakers\n"
    return path


def kept(path: Path) -> dict[str, Any] | None:
    """The calibration in a store, as text."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT value FROM settings WHERE name = 'calibration'").fetchall()
    return json.loads(rows[0][0]) if rows else None


def ratios(run: Run, path: Path, *files: str) -> list[dict[str, float]]:
    outcome = run("identify", *files, "--db", path, "--format", "json")
    assert outcome.status == 0
    return [{score["speaker"]: score["llr"] for score in line["scores"]} for line in outcome.json]


def test_identify_and_verify_use_it(run: Run, calibrated: Path, enrolled: Path, known_files: list[str]) -> None:
    assert kept(enrolled) is None
    about = kept(calibrated)["about"]  # type: ignore[index]
    assert (about["speakers"], about["recordings"]) == (10, 30)
    before, after = ratios(run, enrolled, *known_files), ratios(run, calibrated, *known_files)
    assert before != after
    (line,) = run("verify", "Alice", known_files[0], "--db", calibrated, "--format", "json").json
    assert line["llr"] == after[0]["Alice"]
    assert line["llr"] != before[0]["Alice"]


def test_it_is_no_worse_for_the_voices_it_is_of(
    run: Run, calibrated: Path, known_files: list[str], stranger_files: list[str], truth: dict[str, str]
) -> None:
    known = run("identify", *known_files, "--db", calibrated, "--format", "json").json
    assert all(line["decision"] == truth[Path(line["path"]).name] for line in known)
    strangers = run("identify", *stranger_files, "--db", calibrated, "--format", "json").json
    assert [line["status"] for line in strangers] == ["unknown"] * len(stranger_files)


def test_what_it_costs_is_told_and_the_seed_is_kept(run: Run, db: Path, calibrated: Path) -> None:
    outcome = run("calibrate", "--db", db, "--seed", 5, "--jobs", 1)
    assert outcome.status == 0
    (line,) = outcome.err.splitlines()
    assert line.startswith("Cost of a held-out answer")
    assert kept(db)["about"]["seed"] == 5  # type: ignore[index]
    assert kept(db) != kept(calibrated)


def test_forgetting_goes_back(
    run: Run, tmp_path: Path, calibrated: Path, enrolled: Path, known_files: list[str]
) -> None:
    db = tmp_path / "speakers.db"
    shutil.copyfile(calibrated, db)
    for _time in range(2):
        outcome = run("calibrate", "--forget", "--db", db)
        assert (outcome.status, outcome.err) == (0, "")
        assert "comes with the program" in outcome.out
        assert kept(db) is None
    assert ratios(run, db, known_files[0]) == ratios(run, enrolled, known_files[0])


def test_too_little_is_one_line(run: Run, small: Path, tmp_path: Path) -> None:
    db = tmp_path / "small.db"
    assert run("enroll", small, "--db", db).status == 0
    outcome = run("calibrate", "--db", db)
    assert (outcome.status, outcome.out, len(outcome.err.splitlines())) == (2, "", 1)
    assert "too little to calibrate with: 9 recordings (or quarters of single ones), speakers: 3;" in outcome.err
    assert kept(db) is None


def test_what_cannot_be_calibrated_is_one_line(run: Run, small: Path, tmp_path: Path, db: Path) -> None:
    config = tmp_path / "ml.toml"
    config.write_text('[training]\nmethod = "ml"\ncomponents = 4\n', encoding="utf-8")
    assert run("enroll", small, "--db", tmp_path / "ml.db", "--config", config).status == 0
    text = tmp_path / "text.db"
    text.write_text("a letter", encoding="utf-8")
    for options in ((), ("--forget",)):
        for arguments in (
            ("--db", tmp_path / "ml.db"), ("--db", tmp_path / "none.db"), ("--db", text), ("--db", db, "--config", config),
            ("--db", db, "--config", tmp_path / "none.toml"), ("--db", db, "--seed", "-1"), ("--db", db, "surplus"),
        ):  # fmt: skip
            outcome = run("calibrate", *arguments, *options)
            assert (outcome.status, outcome.out, len(outcome.err.splitlines())) == (2, "", 1), arguments
    assert kept(db) is None
    assert kept(tmp_path / "ml.db") is None
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    "text", ["", "null", "{}", '{"format": 2}', "[" * 100_000, '{"format": 1, "several": "' + "1" * 13 + '"}']
)
def test_a_damaged_one_is_one_line_and_can_be_mended(
    run: Run, db: Path, change: Change, known_files: list[str], text: str
) -> None:
    change(db, "INSERT INTO settings (name, value) VALUES ('calibration', ?)", values=(text,))
    for command in (("identify", known_files[0]), ("verify", "Alice", known_files[0])):
        outcome = run(*command, "--db", db)
        assert (outcome.status, outcome.out, len(outcome.err.splitlines())) == (2, "", 1)
        assert "calibration is damaged" in outcome.err
        assert "calibrate --forget" in outcome.err
    # the speakers can be looked after as ever
    assert run("speakers", "list", "--db", db).status == 0
    mend = ["--forget"] if text else []
    assert run("calibrate", "--db", db, *mend).status == 0
    assert run("identify", known_files[0], "--db", db).status == 0
    assert (kept(db) is None) == bool(mend)


def test_a_speaker_is_removed_meanwhile(
    run: Run, db: Path, start_python: Callable[..., Any], known_files: list[str]
) -> None:
    """The other process has read the speakers when Tom goes, and writes what it found afterwards."""
    code = (
        "import sys\nfrom speakerid.workflows import calibrate\n"
        "def stop(done):\n"
        "    if done == 1:\n        print('half', flush=True)\n        sys.stdin.readline()\n"
        "calibrate.calibrate(sys.argv[1], jobs=1, progress=stop)\nprint('written')\n"
    )
    with start_python(code, db) as process:
        assert process.stdout.readline() == "half\n"
        assert run("speakers", "remove", "Tom", "--db", db).status == 0
        out, err = process.communicate("go on\n", timeout=60)
    assert (process.returncode, out, err) == (0, "written\n", "")
    assert kept(db)["about"]["speakers"] == 10  # type: ignore[index]
    (line,) = run("identify", known_files[0], "--db", db, "--format", "json").json
    assert len(line["scores"]) == 9
    assert run("verify", "Tom", known_files[0], "--db", db).status == 2


def test_enrolling_more_keeps_it(
    run: Run, tmp_path: Path, calibrated: Path, sample: Path, known_files: list[str]
) -> None:
    db = tmp_path / "speakers.db"
    shutil.copyfile(calibrated, db)
    before = kept(db)
    assert run("enroll", sample / "test" / "stranger-1.flac", "--speaker", "New", "--db", db).status == 0
    assert kept(db) == before
    assert len(ratios(run, db, known_files[0])[0]) == 11
