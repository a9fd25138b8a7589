"""``speakerid verify`` as people and scripts meet it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

FIELDS = {"path", "speaker", "accepted", "llr", "probability", "threshold", "status", "reason"}


@pytest.fixture(scope="module")
def test(sample: Path) -> Path:
    return sample / "test"


def test_yes_is_0_no_is_1_and_cannot_tell_is_3(program: Run, enrolled: Path, test: Path) -> None:
    for files, status in (
        (["alice-1", "alice-2"], 0), (["tom-1"], 1), (["alice-1", "tom-1"], 1),
        (["tom-1", "alice-1"], 1), (["alice-1", "silence"], 3), (["tom-1", "silence", "alice-1"], 3),
    ):  # fmt: skip
        outcome = program("verify", "Alice", *(test / f"{file}.flac" for file in files), "--db", enrolled)
        assert outcome.status == status, files
        assert len(outcome.complaints) == files.count("silence")
        assert "yes" in outcome.out or "alice-1" not in files


def test_wrong_usage_is_2_and_one_line(run: Run, enrolled: Path, test: Path, tmp_path: Path) -> None:
    alice = test / "alice-1.flac"
    for arguments in (
        ("verify", "--db", enrolled), ("verify", "Alice", "--db", enrolled), ("verify", "Nobody", alice, "--db", enrolled),
        ("verify", "", alice, "--db", enrolled), ("verify", "a\nb", alice, "--db", enrolled),
        ("verify", "Alice", alice, "--db", tmp_path / "none.db"),
        ("verify", "Alice", alice, "--db", enrolled, "--threshold", "nan"),
        ("verify", "Alice", alice, "--db", enrolled, "--threshold", "inf"),
        ("verify", "Alice", alice, "--db", enrolled, "--threshold", "many"),
        ("verify", "Alice", alice, "--db", enrolled, "--false-accept-rate", "0"),
        ("verify", "Alice", alice, "--db", enrolled, "--false-accept-rate", "1"),
        ("verify", "Alice", alice, "--db", enrolled, "--false-accept-rate", "nan"),
        ("verify", "Alice", alice, "--db", enrolled, "--threshold", "1", "--false-accept-rate", "0.1"),
        ("verify", "Alice", "-", "-", "--db", enrolled), ("verify", "Alice", alice, "--raw", "16000", "--db", enrolled),
        ("verify", "Alice", alice, "--format", "rttm", "--db", enrolled),
    ):  # fmt: skip
        outcome = run(*arguments)
        assert (outcome.status, outcome.out) == (2, ""), arguments
        assert len(outcome.err.splitlines()) == 1, outcome.err
        assert outcome.complaints


def test_the_json_is_as_promised(run: Run, enrolled: Path, test: Path) -> None:
    outcome = run("verify", "Alice", test, "--db", enrolled, "--format", "json")
    lines = outcome.json
    assert outcome.status == 3
    assert len(lines) == len(list(test.glob("*.flac")))
    for line in lines:
        assert set(line) >= FIELDS
        assert line["speaker"] == "Alice"
        assert line["threshold"] >= 0
        undecided = line["path"].endswith("silence.flac")
        assert line["status"] == ("undecided" if undecided else "accepted" if "/alice-" in line["path"] else "rejected")
        assert line["accepted"] is {"undecided": None, "accepted": True, "rejected": False}[line["status"]]
        if undecided:
            assert (line["llr"], line["probability"], line["reason"]) == (None, None, "no_speech")
        else:
            assert 0 <= line["probability"] <= 1
            assert (line["llr"] >= line["threshold"]) == line["accepted"]
            assert line["reason"] is None


def test_the_layouts_say_the_same(run: Run, enrolled: Path, test: Path) -> None:
    files = [test / f"{name}.flac" for name in ("alice-1", "tom-1", "silence")]
    as_json = run("verify", "Alice", *files, "--db", enrolled, "--format", "json").json
    as_csv = run("verify", "Alice", *files, "--db", enrolled, "--format", "csv").csv
    table = run("verify", "Alice", *files, "--db", enrolled).out.splitlines()[-3:]
    for line, row, shown, word in zip(as_json, as_csv, table, ("yes", "no", "undecided: no speech"), strict=True):
        assert row["status"] == line["status"]
        assert row["llr"] == ("" if line["llr"] is None else row["llr"])
        assert float(row["threshold"]) == line["threshold"]
        assert f" {word} " in shown


def test_a_name_is_a_name_however_it_is_written(run: Run, enrolled: Path, test: Path) -> None:
    for name in ("José", "Jose\u0301"):
        outcome = run("verify", name, test / "jose-1.flac", "--db", enrolled, "--format", "json")
        assert (outcome.status, outcome.json[0]["speaker"]) == (0, "José")


def test_standard_input(program: Run, enrolled: Path, test: Path, speech: tuple[Any, int]) -> None:
    data = (test / "alice-1.flac").read_bytes()
    outcome = program("verify", "Alice", "-", "--db", enrolled, "--format", "json", stdin=data)
    (line,) = outcome.json
    assert (outcome.status, line["path"], line["status"]) == (0, "-", "accepted")
    samples, rate = speech
    outcome = program("verify", "Alice", "-", "--raw", str(rate), "--db", enrolled, stdin=samples.tobytes())
    assert outcome.status == 1
    outcome = program("verify", "Alice", "-", "--db", enrolled, "--format", "json")
    assert (outcome.status, outcome.json[0]["status"], outcome.json[0]["reason"]) == (3, "undecided", "empty")


def test_what_is_no_recording_opens_no_door(run: Run, enrolled: Path, test: Path, bad_inputs: dict[str, Path]) -> None:
    for name, path in bad_inputs.items():
        outcome = run("verify", "Alice", path, "--db", enrolled, "--format", "json", "--quiet")
        assert outcome.status == 3, name
        assert [line["accepted"] for line in outcome.json] == [None], name
        assert len(outcome.complaints) == len(outcome.err.splitlines()) == 1, outcome.err
    outcome = run("verify", "Alice", *bad_inputs.values(), test / "alice-1.flac", "--db", enrolled, "--format", "json")
    assert outcome.status == 3
    assert [line["accepted"] for line in outcome.json].count(True) == 1
    assert len(outcome.complaints) == len(bad_inputs)


def test_a_manifest_without_rows_to_ask_opens_no_door(run: Run, enrolled: Path, test: Path, tmp_path: Path) -> None:
    shutil.copyfile(test / "alice-1.flac", tmp_path / "a.flac")
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,speaker,split\na.flac,Alice,enroll\n", encoding="utf-8")
    assert run("verify", "Alice", manifest, "--db", enrolled).status == 2
    manifest.write_text(
        "path,speaker,split,start,end\na.flac,Alice,enroll,,\na.flac,Tom,test,0.5,2.5\n", encoding="utf-8"
    )
    outcome = run("verify", "Alice", manifest, "--db", enrolled, "--format", "json")
    (line,) = outcome.json
    assert (outcome.status, line["start"], line["end"]) == (0, 0.5, 2.5)
    assert outcome.err.splitlines() == ["1 row with split = enroll was left alone"]


def test_quiet_is_quiet(run: Run, enrolled: Path, test: Path, tmp_path: Path) -> None:
    shutil.copyfile(test / "alice-1.flac", tmp_path / "a.flac")
    (tmp_path / "readme.txt").write_text("nothing", encoding="utf-8")
    loud = run("verify", "Alice", tmp_path, "--db", enrolled)
    assert "1 file is not audio by name" in loud.err
    quiet = run("verify", "Alice", tmp_path, "--db", enrolled, "--quiet")
    assert (quiet.status, quiet.err, quiet.out) == (0, "", loud.out)
    assert len(run("verify", "Alice", test / "silence.flac", "--db", enrolled, "--quiet").complaints) == 1


def test_the_rate_and_the_threshold_decide(run: Run, enrolled: Path, test: Path) -> None:
    alice, tom = test / "alice-1.flac", test / "tom-1.flac"
    assert run("verify", "Alice", alice, "--db", enrolled, "--threshold", "1000").status == 1
    assert run("verify", "Alice", tom, "--db", enrolled, "--threshold", "-1000").status == 0
    assert run("verify", "Alice", tom, "--db", enrolled, "--false-accept-rate", "0.99").status == 1
    (line,) = run("verify", "Alice", tom, "--db", enrolled, "--false-accept-rate", "0.99", "--format", "json").json
    assert line["threshold"] == 0
    (line,) = run("verify", "Alice", alice, "--db", enrolled, "--false-accept-rate", "1e-300", "--format", "json").json
    assert line["accepted"] is False
    assert line["threshold"] > 100


def test_the_number_of_workers_changes_nothing(run: Run, enrolled: Path, test: Path) -> None:
    one, three = (run("verify", "Tom", test, "--db", enrolled, "--format", "csv", "--jobs", jobs) for jobs in (1, 3))
    assert one == three


def test_speakers_learned_from_nothing_are_one_line(run: Run, small: Path, test: Path, tmp_path: Path) -> None:
    config = tmp_path / "ml.toml"
    config.write_text('[training]\nmethod = "ml"\ncomponents = 4\n', encoding="utf-8")
    assert run("enroll", small, "--db", tmp_path / "ml.db", "--config", config).status == 0
    outcome = run("verify", "Alice", test / "alice-1.flac", "--db", tmp_path / "ml.db")
    assert (outcome.status, outcome.out, len(outcome.err.splitlines())) == (2, "", 1)
    assert "needs calibrated scores" in outcome.err


@pytest.mark.parametrize("command", ["verify", "calibrate"])
def test_help_loads_nothing_heavy(python: Run, command: str) -> None:
    code = (
        "import json, sys\nfrom speakerid.cli import main\nsys.argv = ['speakerid', sys.argv[1], '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'numpy', 'scipy', 'soundfile', 'sqlite3', 'rich', 'joblib', 'speakerid.workflows', 'speakerid.store'}\n"
        "print('loaded:', json.dumps(sorted(heavy & set(sys.modules))))\n"
    )
    outcome = python(code, command)
    assert outcome.status == 0, outcome.err
    assert "Example:" in outcome.out
    loaded = [line for line in outcome.out.splitlines() if line.startswith("loaded:")]
    assert [json.loads(line.removeprefix("loaded:")) for line in loaded] == [[]]
