"""``speakerid enroll`` as people see it, ``speakers ...``, ``doctor`` and ``demo``."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Models = Callable[[Path], dict[str, tuple[object, ...]]]
Digest = Callable[[Path], str]

TEN = ["Aino", "Alice", "Duncan", "Giulia", "Ivan", "José", "Mary Ann", "Núria", "Robert", "Tom"]
ENROL_FIELDS = [
    "speaker", "new", "added", "already_enrolled", "recordings", "speech_seconds", "components", "log_likelihood",
]  # fmt: skip


# enroll


def test_enrolment_in_json_csv_and_table(run: Run, sample: Path, tmp_path: Path) -> None:
    json_ = run("enroll", sample / "enroll", "--db", tmp_path / "j.db", "--format", "json")
    csv_ = run("enroll", sample / "enroll", "--db", tmp_path / "c.db", "--format", "csv")
    table = run("enroll", sample / "enroll", "--db", tmp_path / "t.db")
    assert [outcome.status for outcome in (json_, csv_, table)] == [0, 0, 0]
    assert [outcome.err for outcome in (json_, csv_, table)] == ["", "", ""]
    assert [line["speaker"] for line in json_.json] == TEN
    for line, row in zip(json_.json, csv_.csv, strict=True):
        assert list(line) == list(row) == ENROL_FIELDS
        assert (line["new"], line["added"], line["already_enrolled"], line["recordings"]) == (True, 3, 0, 3)
        assert line["components"] == 1024
        assert 10 < line["speech_seconds"] < 14
        assert row["speaker"] == line["speaker"]
        assert float(row["speech_seconds"]) == pytest.approx(line["speech_seconds"], rel=1e-5)
    assert all(name in table.out for name in TEN)
    assert table.out.count(" new ") == 10


@pytest.fixture
def untidy(tmp_path: Path, small: Path) -> Path:
    """A folder of speakers as folders are: a loose file, an empty folder, a text, a hidden one, a bad file."""
    folder = tmp_path / "untidy"
    shutil.copytree(small, folder)
    shutil.copy(small / "Tom" / "tom-enroll-1.flac", folder / "loose.flac")
    (folder / "Empty").mkdir()
    (folder / "Tom" / "notes.txt").write_text("x", encoding="utf-8")
    (folder / "Tom" / "bad.wav").write_text("no audio", encoding="utf-8")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "a.wav").touch()
    return folder


def test_what_was_passed_over_is_said_and_counted(run: Run, untidy: Path, tmp_path: Path) -> None:
    outcome = run("enroll", untidy, "--db", tmp_path / "s.db", "--format", "json")
    assert outcome.status == 3
    assert [line["speaker"] for line in outcome.json if "speaker" in line] == ["Alice", "Mary Ann", "Tom"]
    for part in ("no audio files for speaker Empty", "lies in no speaker's folder", "bad.wav: not an audio file"):
        assert sum(part in line for line in outcome.complaints) == 1
    assert outcome.complaints[-1] == "speakerid: 3 inputs could not be used; the others were"
    assert "1 file is not audio by name" in outcome.err
    assert "hidden" not in outcome.err


def test_the_json_has_every_problem(run: Run, untidy: Path, tmp_path: Path) -> None:
    outcome = run("enroll", untidy, "--db", tmp_path / "s.db", "--format", "json")
    problems = {Path(line["path"]).name for line in outcome.json if "path" in line}
    assert problems == {"Empty", "loose.flac", "bad.wav"}


def test_a_folder_that_has_no_speakers(run: Run, small: Path, tmp_path: Path) -> None:
    for folder, says in ((small / "Tom", "3 audio files lie directly in the folder"), (tmp_path, "no audio in any")):
        outcome = run("enroll", folder, "--db", tmp_path / "s.db")
        assert (outcome.status, outcome.out) == (2, "")
        (line,) = outcome.err.splitlines()
        assert line.startswith(f"speakerid: {folder}: ")
        assert says in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{tom}"], "whose voice is it? Say --speaker NAME"),
        (["-", "--speaker", "Tom"], "enroll cannot read standard input"),
        (["{tom}", "--speaker", "a/b"], "path separator"),
        (["{tom}", "--speaker", "a\nb"], "a control character"),
        (["{tom}", "--speaker", " "], "blank"),
        (["/no/such/folder"], "/no/such/folder"),
        (["{tom}", "--speaker", "Tom", "--channel", "x"], "not a valid integer"),
    ],
)
def test_wrong_enrolments(run: Run, small: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    tom = small / "Tom" / "tom-enroll-1.flac"
    outcome = run("enroll", *(word.format(tom=tom) for word in arguments), "--db", tmp_path / "s.db")
    assert (outcome.status, outcome.out) == (2, "")
    assert says in outcome.err
    assert list(tmp_path.iterdir()) == []


# speakers


def test_list(run: Run, db: Path) -> None:
    lines = run("speakers", "list", "--db", db, "--format", "json").json
    rows = run("speakers", "list", "--db", db, "--format", "csv").csv
    table = run("speakers", "list", "--db", db)
    assert [line["speaker"] for line in lines] == [row["speaker"] for row in rows] == TEN
    for line, row in zip(lines, rows, strict=True):
        assert list(line) == list(row) == [
            "speaker", "recordings", "seconds", "speech_seconds", "components", "created", "changed",
        ]  # fmt: skip
        assert (line["recordings"], line["components"]) == (3, 1024)
        assert 10 < line["speech_seconds"] <= line["seconds"] < 14
        assert dt.datetime.fromisoformat(line["created"]).tzinfo is not None
        assert (row["recordings"], row["created"]) == ("3", line["created"])
    assert all(name in table.out for name in TEN)
    assert table.err == ""


def test_list_of_nobody(run: Run, db: Path) -> None:
    assert run("speakers", "remove", *TEN, "--db", db).status == 0
    outcome = run("speakers", "list", "--db", db)
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "nobody is enrolled\n")
    assert run("speakers", "list", "--db", db, "--format", "json", "--quiet").json == []


def test_show(run: Run, db: Path, sample: Path) -> None:
    (line,) = run("speakers", "show", "José", "--db", db, "--format", "json").json
    assert (line["speaker"], len(line["recordings"]), line["components"]) == ("José", 3, 1024)
    assert sorted(Path(r["source"]) for r in line["recordings"]) == sorted((sample / "enroll" / "José").iterdir())
    assert {len(r["content_hash"]) for r in line["recordings"]} == {64}
    history = line["training"]["log_likelihoods"]
    assert history == sorted(history)
    table = run("speakers", "show", "José", "--db", db)
    assert table.status == 0
    assert "José: 3 recordings, 12.3 s" in table.out
    assert "1024 components, adapted from the world model" in table.out
    assert table.out.count("jose-enroll-") == 3


def test_rename(run: Run, db: Path, models: Models, sample: Path) -> None:
    before = models(db)
    outcome = run("speakers", "rename", "Tom", "Tom Smith 🎸", "--db", db)
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "Tom is now Tom Smith 🎸\n")
    after = models(db)
    assert after.pop("Tom Smith 🎸") == before.pop("Tom")
    assert after == before
    (line,) = run("identify", sample / "test" / "tom-1.flac", "--db", db, "--format", "json").json
    assert line["decision"] == "Tom Smith 🎸"


def test_remove(run: Run, db: Path, models: Models) -> None:
    outcome = run("speakers", "remove", "Tom", "Mary Ann", "--db", db)
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "removed: Tom, Mary Ann\n")
    assert sorted(models(db)) == [name for name in TEN if name not in ("Tom", "Mary Ann")]


def test_export_and_import(run: Run, db: Path, tmp_path: Path, models: Models, digest: Digest) -> None:
    team = tmp_path / "team.db"
    before = digest(db)
    exported = run("speakers", "export", "Tom", "José", "Tom", "--output", team, "--db", db)
    assert (exported.status, exported.out, exported.err) == (0, "", f"2 speakers written to {team}\n")
    assert digest(db) == before
    mine = models(db)
    assert models(team) == {name: mine[name] for name in ("José", "Tom")}
    new = tmp_path / "new.db"
    assert run("speakers", "import", team, "--db", new).status == 0
    assert models(new) == models(team)
    only = tmp_path / "only.db"
    assert run("speakers", "import", team, "Tom", "--db", only, "--quiet").err == ""
    assert models(only) == {"Tom": mine["Tom"]}
    everybody = tmp_path / "all.db"
    assert run("speakers", "export", "-o", everybody, "--db", db).status == 0
    assert models(everybody) == mine


def test_export_and_import_refuse(
    run: Run, db: Path, small: Path, tmp_path: Path, enrolled: Path, digest: Digest, bad_inputs: dict[str, Path]
) -> None:
    other = tmp_path / "other.db"
    config = tmp_path / "c.toml"
    config.write_text("[front_end]\ncepstra = 13\n[training]\ncomponents = 4\n", encoding="utf-8")
    run("enroll", small, "--db", other, "--config", config)
    renamed = tmp_path / "renamed.db"
    shutil.copyfile(enrolled, renamed)
    run("speakers", "rename", "Tom", "Thomas", "--db", renamed)
    before = digest(db)
    for arguments, says in (
        (["export", "Eve", "-o", tmp_path / "e.db"], "no speaker 'Eve'"),
        (["export", "Tom", "-o", other], "exists already"),
        (["export", "Tom"], "Missing option"),
        (["import", enrolled], "'Aino' is enrolled in"),
        (["import", enrolled, "Eve"], "no speaker 'Eve'"),
        (["import", renamed, "Thomas"], "a recording of Thomas is enrolled in"),
        (["import", other], 'cepstra: 20 against 13; method: "map" against "ml"; components: 16 against 4'),
        (["import", bad_inputs["text"]], "no SQLite database"),
        (["import", bad_inputs["missing"]], "no store there"),
        (["rename", "Tom", "Alice"], "'Alice' is enrolled already"),
        (["rename", "Eve", "Adam"], "no speaker 'Eve'"),
        (["rename", "Tom", "a/b"], "path separator"),
        (["remove", "Tom", "Eve"], "no speaker 'Eve'"),
        (["show", "Eve"], "no speaker 'Eve'"),
        (["show"], "Missing argument"),
        (["dance"], "No such command"),
    ):
        outcome = run("speakers", *arguments, "--db", db)
        assert (outcome.out, says in outcome.err) == ("", True), (arguments, outcome.err)
        assert outcome.status == (3 if "Thomas" in says else 2), arguments
        assert digest(db) == before
    assert run("speakers", "import", enrolled, "--replace", "--db", db).status == 0
    assert not (tmp_path / "e.db").exists()


def test_an_import_that_fails_makes_no_store(run: Run, enrolled: Path, tmp_path: Path) -> None:
    assert run("speakers", "import", enrolled, "Eve", "--db", tmp_path / "new.db").status == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("record", "command"),
    [
        ("[]", ["speakers", "show", "Tom"]),
        ('{"log_likelihoods": ["x"]}', ["speakers", "show", "Tom"]),
        ("[]", ["enroll", "{sample}"]),
    ],
)
def test_a_damaged_training_record_is_a_damaged_store(
    run: Run, db: Path, change: Callable[..., None], sample: Path, record: str, command: list[str]
) -> None:
    change(db, "UPDATE models SET record = ?", values=(record,))
    outcome = run(*(word.format(sample=sample / "enroll") for word in command), "--db", db)
    assert outcome.status == 2
    assert outcome.complaints[0].startswith(f"speakerid: {db}: ")


def test_the_json_of_a_damaged_store_is_json(run: Run, db: Path, change: Callable[..., None]) -> None:
    change(db, "UPDATE recordings SET seconds = 9e999")
    outcome = run("speakers", "list", "--db", db, "--format", "json")
    assert outcome.status == 2 or len(outcome.json) == 10


# doctor and demo


def test_doctor_finds_all_in_order(run: Run, db: Path, digest: Digest, tmp_path: Path) -> None:
    before = digest(db)
    outcome = run("doctor", "--db", db, "--format", "json")
    findings = {line["check"]: line for line in outcome.json}
    assert outcome.status == 0, outcome.out
    assert {"speakerid", "packages", "codecs", "threads", "store"} <= set(findings)
    assert all(finding["ok"] is not False for finding in findings.values())
    assert findings["store"]["found"].startswith(f"{db}: 10 speakers")
    table = run("doctor", "--db", tmp_path / "none.db")
    assert (table.status, "none yet" in table.out) == (0, True)
    assert "PROBLEM" not in table.out
    assert digest(db) == before
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:100_000]),
        lambda path: path.write_bytes(b"hello"),
        lambda path: path.write_bytes(b""),
    ],
    ids=["truncated", "text", "empty"],
)
def test_doctor_finds_a_damaged_store(run: Run, db: Path, damage: Callable[[Path], object]) -> None:
    damage(db)
    outcome = run("doctor", "--db", db, "--format", "json")
    assert outcome.status == 3
    assert [(line["check"], line["ok"]) for line in outcome.json if line["ok"] is False] == [("store", False)]
    assert "PROBLEM" in run("doctor", "--db", db).out


def test_doctor_finds_damaged_arrays(run: Run, db: Path, change: Callable[..., None]) -> None:
    change(db, "UPDATE recordings SET cepstra = x'00' WHERE id = 7")
    outcome = run("doctor", "--db", db, "--format", "json")
    assert outcome.status == 3
    assert "are damaged" in outcome.json[-1]["found"]


def test_the_demo_does_the_whole_job(
    program: Run, tmp_path: Path, known_files: list[str], truth: dict[str, str]
) -> None:
    outcome = program("demo", cwd=tmp_path)
    assert outcome.status == 0
    lines = outcome.out.splitlines()
    for path in known_files:
        rows = [line for line in lines if f"test/{Path(path).name} " in line and not line.startswith("$")]
        assert rows
        for row in rows:
            assert row.split(".flac", 1)[1].strip().startswith(f"{truth[Path(path).name]}  ")
    commands = [line for line in lines if line.startswith("$ speakerid ")]
    shown = [line.split()[2] for line in commands]
    assert shown[0] == "enroll"
    assert {"enroll", "identify", "speakers", "verify"} == set(shown)
    assert "undecided: no speech" in outcome.out
    (answer,) = [json.loads(line) for line in lines if line.startswith("{")]
    assert answer["decision"] == truth[Path(answer["path"]).name]
    assert len(answer["scores"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_demo_names_no_stranger(run: Run, stranger_files: list[str]) -> None:
    lines = run("demo").out.splitlines()
    for path in stranger_files:
        (row,) = [line for line in lines if f"test/{Path(path).name} " in line and not line.startswith("$")]
        assert "unknown" in row
