"""``speakerid evaluate``: answers, files, exit statuses, Ctrl-C and going on."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile as sf

Run = Callable[..., Any]

FEW = "[training]\ncomponents = 4\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings that are fast."""
    path = tmp_path / "few.toml"
    path.write_text(FEW, encoding="utf-8")
    return path


@pytest.fixture
def data(tmp_path: Path, sample: Path) -> Path:
    """Three speakers, five recordings to ask, one of them a stranger's, under a name that a shell must quote."""
    folder = tmp_path / "my data"
    folder.mkdir()
    rows = []
    for name in ("Alice", "Ivan", "Tom"):
        for path in sorted((sample / "enroll" / name).iterdir()):
            shutil.copy(path, folder)
            rows.append((path.name, name, "enroll"))
    for name, speaker in (("alice-1", "Alice"), ("alice-2", "Alice"), ("ivan-1", "Ivan"), ("tom-1", "Tom"),
                          ("aino-1", "Aino")):  # fmt: skip
        shutil.copy(sample / "test" / f"{name}.flac", folder)
        rows.append((f"{name}.flac", speaker, "test"))
    path = folder / "p.csv"
    write(path, rows)
    return path


def write(path: Path, rows: list[tuple[str, ...]], header: str = "path,speaker,split") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])


def add(path: Path, *row: str) -> None:
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow(row)


def scores_in(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        return list(csv.DictReader(io.StringIO(file.read().decode("utf-8"), newline="")))


def load(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(path.read_bytes(), parse_constant=refuse)


def stable(values: dict[str, Any]) -> dict[str, Any]:
    """Without times and the words of the call."""
    return {
        key: value for key, value in values.items() if key not in ("timings", "created", "command", "other_systems")
    }


def own_cache(tmp_path: Path) -> dict[str, str]:
    return {"SPEAKERID_CACHE": str(tmp_path / "cache")}


# --- the same as enroll and identify


@pytest.mark.parametrize("options", [["--jobs", "1"], ["--jobs", "3"], ["--no-cache"]], ids=" ".join)
def test_scores_are_those_of_enroll_and_identify(
    run: Run, sample: Path, tmp_path: Path, way: tuple[list[str | Path], Path], options: list[str]
) -> None:
    settings, enrolled = way
    env = own_cache(tmp_path)
    tests = sorted(str(path) for path in (sample / "test").glob("*.flac") if path.name != "silence.flac")
    answers = {
        Path(line["path"]).name: line for line in run("identify", *tests, "--db", enrolled, "--format", "json").json
    }
    for number in range(2 if "--no-cache" not in options else 1):  # the second time from the cache and the score book
        outcome = run("evaluate", sample / "protocol.csv", "--scores", tmp_path / "s.csv", "--json", tmp_path / "r.json",
                      *settings, *options, env=env)  # fmt: skip
        assert outcome.status == 0, number
        found: dict[str, dict[str, float]] = {}
        for row in scores_in(tmp_path / "s.csv"):
            found.setdefault(Path(row["path"]).name, {})[row["model"]] = float(row["log_likelihood"])
        assert len(found) == 18
        for name, scores in found.items():
            assert scores == {each["speaker"]: each["log_likelihood"] for each in answers[name]["scores"]}
        values = load(tmp_path / "r.json")
        for trial in values["trials"]:
            answer = answers[Path(trial["path"]).name]
            # the best of ten was chosen: that is log 10 less
            score = answer["margin"] if settings else answer["scores"][0]["llr"] - math.log(10)
            assert (trial["decision"], trial["score"]) == (answer["decision"], pytest.approx(score, rel=0, abs=1.1e-6))
            assert trial["speech_seconds"] == answer["speech_seconds"]
        known = [trial for trial in values["trials"] if trial["known"]]
        right = sum(answers[Path(trial["path"]).name]["decision"] == trial["speaker"] for trial in known)
        assert values["top1"] == right / len(known)
    assert (tmp_path / "cache").exists() == ("--no-cache" not in options)


def test_a_threshold_gives_the_unknowns_of_identify(run: Run, sample: Path, tmp_path: Path, enrolled: Path) -> None:
    tests = sorted(str(path) for path in (sample / "test").glob("*.flac") if path.name != "silence.flac")
    margins = sorted(line["margin"] for line in run("identify", *tests, "--db", enrolled, "--format", "json").json)
    for threshold in (str(margins[6] + 1e-4), "0", "1000"):
        answers = run("identify", *tests, "--db", enrolled, "--format", "json", "--threshold", threshold).json
        unknown = {Path(line["path"]).name for line in answers if line["status"] == "unknown"}
        outcome = run("evaluate", sample / "protocol.csv", "--json", tmp_path / "r.json", "--threshold", threshold)
        assert outcome.status == 0
        values = load(tmp_path / "r.json")
        assert {Path(t["path"]).name for t in values["trials"] if t["status"] == "unknown"} == unknown
        known = [t for t in values["trials"] if t["known"]]
        refused = [t for t in known if Path(t["path"]).name in unknown]
        assert values["open_set"]["known_refused"] == pytest.approx(len(refused) / len(known), abs=1e-6)
        strangers = [t for t in values["trials"] if not t["known"]]
        named = [t for t in strangers if Path(t["path"]).name not in unknown]
        assert values["open_set"]["strangers_named"] == pytest.approx(len(named) / len(strangers), abs=1e-6)
        assert len(unknown) == {"0": 0, "1000": 18}.get(threshold, 7)


def test_folds_are_what_enrolling_the_folds_gives(run: Run, small: Path, tmp_path: Path, config: Path) -> None:
    outcome = run("evaluate", small, "--folds", "3", "--config", config, "--scores", tmp_path / "s.csv")
    assert outcome.status == 0
    rows = scores_in(tmp_path / "s.csv")
    assert len(rows) == 9 * 3
    rounds = {row["path"]: row["round"] for row in rows}
    for number in ("0", "1", "2"):
        store = tmp_path / f"{number}.db"
        held_out = [path for path in rounds if rounds[path] == number]
        write(tmp_path / "fold.csv", [(path, Path(path).parent.name) for path in rounds if path not in held_out],
              header="path,speaker")  # fmt: skip
        assert run("enroll", tmp_path / "fold.csv", "--db", store, "--config", config, "-q").status == 0
        for answer in run("identify", *held_out, "--db", store, "--format", "json").json:
            found = {row["model"]: float(row["log_likelihood"]) for row in rows if row["path"] == answer["path"]}
            assert found == {each["speaker"]: each["log_likelihood"] for each in answer["scores"]}


# --- answers and files


def test_the_table_and_the_story(run: Run, data: Path, config: Path) -> None:
    outcome = run("evaluate", data, "--config", config)
    assert outcome.status == 0
    assert "Top-1 %" in outcome.out
    assert "100.0" in outcome.out
    assert "Strangers: EER %" in outcome.out
    assert "5 recordings asked of 3 speakers" in outcome.err
    assert "Wilson" in outcome.err
    assert run("evaluate", data, "--config", config, "--quiet").err == ""


def test_json_is_a_line_a_system(run: Run, data: Path, config: Path, tmp_path: Path) -> None:
    other = tmp_path / "two.toml"
    other.write_text(FEW.replace("4", "2"), encoding="utf-8")
    outcome = run(
        "evaluate", data, "--config", config, "--config", other, "--format", "json", "--json", tmp_path / "r.json"
    )
    first, second = outcome.json
    assert (first["system"], second["system"]) == ("few", "two")
    assert (first["n_speakers"], first["n_tests"], first["n_known"], first["n_strangers"]) == (3, 5, 4, 1)
    values = load(tmp_path / "r.json")
    for line, system in ((first, values), (second, values["other_systems"][0])):
        assert line["top1"] == system["top1"]
        assert line["verification"]["eer"] == system["verification"]["eer"]
        assert line["open_set"]["eer"] == system["open_set"]["eer"]
    assert [each["system"] for each in values["differences"]] == ["two"]
    assert values["config"]["training"]["components"] == 4
    assert values["other_systems"][0]["config"]["training"]["components"] == 2


def test_systems_are_asked_the_same_and_get_a_p_value(run: Run, data: Path, config: Path, tmp_path: Path) -> None:
    same = shutil.copy(config, tmp_path / "same.toml")
    outcome = run("evaluate", data, "--config", config, "--config", same, "--scores", tmp_path / "s.csv")
    assert outcome.status == 0
    assert "McNemar" in outcome.err
    rows = scores_in(tmp_path / "s.csv")
    half = len(rows) // 2
    assert [row["system"] for row in rows] == ["few"] * half + ["same"] * half
    without = [{key: value for key, value in row.items() if key != "system"} for row in rows]
    assert without[:half] == without[half:]


def test_every_file_at_once(run: Run, data: Path, config: Path, tmp_path: Path) -> None:
    files = [tmp_path / "r.json", tmp_path / "s.csv.gz", tmp_path / "r.html"]
    outcome = run("evaluate", data, "--config", config, "--json", files[0], "--scores", files[1], "--report", files[2],
                  "--embed-audio")  # fmt: skip
    assert outcome.status == 0
    assert f"written: {', '.join(map(str, files))}" in outcome.err
    assert load(files[0])["command"].startswith("speakerid evaluate ")
    assert len(scores_in(files[1])) == 5 * 3
    assert files[2].read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few.toml", "my data", "r.html", "r.json", "s.csv.gz"]


def test_the_seed_and_the_settings_decide_and_nothing_else(
    run: Run, program: Run, small: Path, config: Path, tmp_path: Path
) -> None:
    arguments = [
        "evaluate",
        small,
        "--config",
        config,
        "--json",
        tmp_path / "r.json",
        "--seed",
        "3",
        "--format",
        "json",
    ]
    first = run(*arguments, "--jobs", "1")
    values = stable(load(tmp_path / "r.json"))
    assert program(*arguments, "--jobs", "2", "--no-cache").out == first.out
    assert stable(load(tmp_path / "r.json")) == values
    run(*arguments, "--seed", "4")
    assert stable(load(tmp_path / "r.json")) != values


def test_who_stops_reading_still_gets_the_files(program_path: Path, data: Path, config: Path, tmp_path: Path) -> None:
    command = [program_path, "evaluate", data, "--config", config, "--json", tmp_path / "r.json"]
    script = f"{shlex.join(map(str, command))} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr
    assert load(tmp_path / "r.json")["n_tests"] == 5


def test_names_of_every_kind(run: Run, sample: Path, tmp_path: Path, config: Path) -> None:
    voices = tmp_path / "voices"
    names = {"Alice": '=1+1,"x"', "Ivan": "José <b>", "Tom": "-rf 李"}
    for name, new in names.items():
        shutil.copytree(sample / "enroll" / name, voices / new)
    odd = os.fsdecode(b"caf\xe9 \x1b[31m.flac")
    try:
        shutil.copy(sample / "test" / "tom-1.flac", voices / "-rf 李" / odd)
    except OSError:
        pytest.skip("this file system has no such names")
    outcome = run("evaluate", voices, "--folds", "2", "--config", config, "--scores", tmp_path / "s.csv", "--json",
                  tmp_path / "r.json", "--report", tmp_path / "r.html")  # fmt: skip
    assert outcome.status == 0
    assert "\x1b" not in outcome.out + outcome.err
    assert {row["model"] for row in scores_in(tmp_path / "s.csv")} == set(names.values())
    trial = next(t for t in load(tmp_path / "r.json")["trials"] if t["path"].endswith(odd))
    assert trial["speaker"] == "-rf 李"
    assert "José <b>" not in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_config_whose_name_is_not_utf8(run: Run, data: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9.toml")
    try:
        odd.write_text(FEW, encoding="utf-8")
    except OSError:
        pytest.skip("this file system has no such names")
    outcome = run("evaluate", data, "--config", odd, "--scores", tmp_path / "s.csv", "--json", tmp_path / "r.json",
                  "--report", tmp_path / "r.html")  # fmt: skip
    assert outcome.status == 0
    assert {row["system"] for row in scores_in(tmp_path / "s.csv")} == {r"caf\udce9"}
    assert load(tmp_path / "r.json")["system"] == "caf\udce9"


# --- trial lists


def test_a_list_of_names(run: Run, sample: Path, tmp_path: Path, config: Path) -> None:
    lines = ["Alice alice-1.flac target", "Tom alice-1.flac nontarget", "Tom tom-1.flac target"]
    (tmp_path / "t.txt").write_text("\n".join(lines), encoding="utf-8")
    outputs = ["--scores", tmp_path / "s.csv", "--json", tmp_path / "r.json", "--report", tmp_path / "r.html"]
    source = ["--enroll", sample / "enroll", "--root", sample / "test"]
    outcome = run("evaluate", tmp_path / "t.txt", *source, "--config", config, *outputs)
    assert outcome.status == 0
    assert "Verification: EER %" in outcome.out
    assert "Top-1" not in outcome.out
    rows = scores_in(tmp_path / "s.csv")
    assert [(row["model"], Path(row["path"]).name, row["target"]) for row in rows] == [
        ("Alice", "alice-1.flac", "1"), ("Tom", "alice-1.flac", "0"), ("Tom", "tom-1.flac", "1"),
    ]  # fmt: skip
    values = load(tmp_path / "r.json")
    assert values["protocol"]["kind"] == "verification"
    assert (values["top1"], values["open_set"], values["verification"]["eer"]) == (None, None, 0.0)
    assert [trial["target"] for trial in values["trials"]] == [True, False, True]


def test_a_list_of_recordings(run: Run, sample: Path, tmp_path: Path, config: Path) -> None:
    (tmp_path / "t.txt").write_text("1 tom-1.flac tom-2.flac\n0 tom-1.flac alice-1.flac\n", encoding="utf-8")
    outcome = run("evaluate", tmp_path / "t.txt", "--root", sample / "test", "--config", config, "--format", "json")
    assert outcome.status == 0
    [line] = outcome.json
    assert line["verification"]["n_targets"] == 1
    assert line["verification"]["n_nontargets"] == 1


# --- what is refused, before the work


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--json", "r.txt"], "ends in .json"),
        (["--scores", "s.json"], "ends in .csv or .csv.gz"),
        (["--report", "r.pdf"], "ends in .html"),
        (["--json", "missing/r.json"], "no folder"),
        (["--scores", "my data/p.csv"], "would be written over"),
        (["--embed-audio"], "--report FILE.html"),
        (["--resume", "--no-cache"], "leave --resume or --no-cache out"),
        (["--threshold", "-1"], "--threshold"),
        (["--threshold", "nan"], "--threshold"),
        (["--threshold", "inf"], "--threshold"),
        (["--config", "missing.toml"], "missing.toml"),
        (["--config", "few.toml", "--config", "few.toml"], "twice"),
        (["--folds", "2"], "leave --folds out"),
        (["--seed", "-1"], "--seed"),
        (["--jobs", "0"], "--jobs"),
        (["--enroll", "few.toml"], "leave --enroll out"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_request_is_one_line(
    run: Run, data: Path, config: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], words: str
) -> None:
    monkeypatch.chdir(config.parent)
    before = data.read_bytes()
    monkeypatch.setattr("speakerid.workflows.evaluate.evaluate_system", None)
    monkeypatch.setattr("speakerid.workflows.evaluate.content_hashes", None)
    outcome = run("evaluate", "my data/p.csv", *options)
    assert outcome.status == 2
    assert outcome.out == ""
    assert words in outcome.err.splitlines()[-1]
    assert data.read_bytes() == before
    assert sorted(path.name for path in config.parent.iterdir()) == ["few.toml", "my data"]


def test_an_unknown_setting_names_file_and_key(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[training]\ncomponentss = 4\n", encoding="utf-8")
    outcome = run("evaluate", data, "--config", tmp_path / "bad.toml")
    assert outcome.status == 2
    [line] = outcome.err.splitlines()
    assert "bad.toml" in line
    assert "componentss" in line


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("missing.flac", "Tom", "test"), "p.csv, row 16"),
        (("tom-1.flac", "Tom", "probe"), "p.csv, row 16"),
        (("tom-1.flac", "Tom", "test"), "p.csv, row 16"),
        (("tom-enroll-1.flac", "Tom", "test"), "p.csv, row 16"),
        (("tom-2.flac", "", "test"), "p.csv, row 16"),
    ],
)
def test_a_bad_row_is_one_line_with_file_and_row(run: Run, data: Path, row: tuple[str, ...], words: str) -> None:
    add(data, *row)
    outcome = run("evaluate", data, "--json", data.parent / "r.json")
    assert (outcome.status, outcome.out) == (2, "")
    [line] = outcome.err.splitlines()
    assert words in line
    assert not (data.parent / "r.json").exists()


@pytest.mark.parametrize("what", ["nothing here", "-", "few.toml"])
def test_no_protocol_is_one_line(run: Run, config: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.chdir(config.parent)
    outcome = run("evaluate", what)
    assert (outcome.status, outcome.out) == (2, "")
    assert len(outcome.err.splitlines()) == 1


def test_a_threshold_for_one_speaker_is_refused(run: Run, sample: Path, tmp_path: Path) -> None:
    rows = [(f"{sample}/enroll/Tom/tom-enroll-1.flac", "Tom", "enroll"), (f"{sample}/test/tom-1.flac", "Tom", "test")]
    write(tmp_path / "p.csv", rows)
    outcome = run("evaluate", tmp_path / "p.csv", "--threshold", "2", "--quiet")
    assert outcome.status == 2
    assert "a threshold needs two speakers" in outcome.err


# --- what could not be used


def test_what_could_not_be_used_is_told_and_the_rest_is_done(
    run: Run, data: Path, config: Path, tmp_path: Path
) -> None:
    (data.parent / "letter.wav").write_text("no audio", encoding="utf-8")
    (data.parent / "verse.wav").write_text("nor here", encoding="utf-8")
    sf.write(data.parent / "short.wav", [0.0] * 200, 16000)
    add(data, "letter.wav", "Tom", "enroll")
    add(data, "verse.wav", "Tom", "test")
    add(data, "short.wav", "Eve", "test")
    files = [tmp_path / "r.json", tmp_path / "s.csv", tmp_path / "r.html"]
    outcome = run("evaluate", data, "--config", config, "--json", files[0], "--scores", files[1], "--report", files[2],
                  "--quiet")  # fmt: skip
    assert outcome.status == 3
    assert "Top-1 %" in outcome.out
    assert [
        line.count(word) for line, word in zip(outcome.complaints, ("row 16", "row 17", "row 18"), strict=True)
    ] == [1] * 3
    values = load(files[0])
    assert [(p["reason"], Path(p["path"]).name) for p in values["problems"]] == [("unreadable", "letter.wav")]
    assert values["undecided"] == {"unreadable": 1, "too_short": 1}
    assert values["top1"] == 0.8
    assert [t["right"] for t in values["trials"]] == [True] * 4 + [False, False, True]
    rows = scores_in(files[1])
    assert len(rows) == 7 * 3
    assert [row["score"] == "" for row in rows] == [False] * 15 + [True] * 6
    assert files[2].stat().st_size > 1000


def test_what_only_the_second_system_cannot_use_is_told_too(run: Run, data: Path, config: Path, tmp_path: Path) -> None:
    strict = tmp_path / "strict.toml"
    strict.write_text(FEW + "[decision]\nminimum_speech_seconds = 3.0\n", encoding="utf-8")
    assert run("evaluate", data, "--config", config, "--quiet").status == 0
    both = run("evaluate", data, "--config", config, "--config", strict, "--quiet")
    assert both.status == 3
    assert sum("at least 3 s of speech are needed" in line for line in both.complaints) == len(both.complaints) > 0


def test_a_cache_that_cannot_be_written_is_told_and_nothing_is_lost(
    run: Run, data: Path, config: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    outcome = run("evaluate", data, "--config", config, env={"SPEAKERID_CACHE": str(tmp_path / "file" / "cache")})
    assert outcome.status == 0
    assert "Top-1 %" in outcome.out
    warnings = [line for line in outcome.err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert all(str(tmp_path / "file") in line for line in warnings)


def test_a_cache_of_no_size_keeps_nothing(run: Run, data: Path, config: Path, tmp_path: Path) -> None:
    env = own_cache(tmp_path) | {"SPEAKERID_CACHE_LIMIT": "0"}
    assert run("evaluate", data, "--config", config, env=env).status == 0
    assert not (tmp_path / "cache").exists()


# --- Ctrl-C, and going on

# the command line, which waits for the signal once two recordings have been scored and kept
STOP = """
import sys, threading
mode, *sys.argv[1:] = sys.argv[1:]
from speakerid.cli import main
from speakerid.workflows.score_book import ScoreBook
add, kept = ScoreBook.add, []
def add_and_wait(self, content_hash, scores):
    add(self, content_hash, scores)
    if content_hash != "expected":  # kept beside the recordings: what the speakers' own reach
        kept.append(content_hash)
    if len(kept) == 2:
        print("kept", flush=True)
        if mode == "within a line":
            self._file.write(chr(10) + '{"recording": "')
            self._file.flush()
        threading.Event().wait()
ScoreBook.add = add_and_wait
main()
"""

# says after each recording that is scored which one it is
COUNT = """
import sys
from speakerid.cli import main
from speakerid.workflows.identify import Identifier
log_likelihoods = Identifier.log_likelihoods
def counted(self, analysis, **options):
    print("scored", analysis.content_hash, file=sys.stderr)
    return log_likelihoods(self, analysis, **options)
Identifier.log_likelihoods = counted
main()
"""


def scored(outcome: Any) -> list[str]:
    return [line.split()[1] for line in outcome.err.splitlines() if line.startswith("scored ")]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_stopped_and_gone_on_is_as_never_stopped(
    python: Run, start_python: Run, data: Path, config: Path, tmp_path: Path, ending: signal.Signals
) -> None:
    env = own_cache(tmp_path)
    arguments = ["evaluate", data, "--config", config, "--jobs", "1", "--json", tmp_path / "r.json", "--scores",
                 tmp_path / "s.csv"]  # fmt: skip
    whole = python(COUNT, *arguments, env={"SPEAKERID_CACHE": str(tmp_path / "other cache")})
    assert len(scored(whole)) == 5
    expected, scores = stable(load(tmp_path / "r.json")), (tmp_path / "s.csv").read_bytes()
    (tmp_path / "r.json").unlink()
    (tmp_path / "s.csv").unlink()

    # a process that is started has the tests' cache: this one shall find nothing
    code = f"import os; os.environ['SPEAKERID_CACHE'] = {env['SPEAKERID_CACHE']!r}\n{STOP}"
    child = start_python(code, "within a line" if ending == signal.SIGKILL else "", *arguments)
    with child:
        assert child.stdout.readline() == "kept\n"
        child.send_signal(ending)
        out, err = child.communicate(timeout=60)
    assert out == ""
    assert "Traceback" not in err
    assert not (tmp_path / "r.json").exists()
    assert not (tmp_path / "s.csv").exists()
    if ending == signal.SIGINT:
        assert child.returncode == 130
        line = err.splitlines()[-1]
        assert re.match(r"speakerid: stopped at \d+ %; what is done is kept; ", line)
        command = shlex.split(line.partition("go on with: ")[2])
        assert command == ["speakerid", "evaluate", "--resume", *map(str, arguments[1:])]
        arguments = command[1:]
    else:
        assert child.returncode == -signal.SIGKILL
        arguments.append("--resume")

    again = python(COUNT, *arguments, env=env)
    assert again.status == 0
    assert "resumed: 2 of 5 recordings asked had been scored before" in again.err
    assert len(scored(again)) == 3
    assert set(scored(again)) < set(scored(whole))
    assert again.out == whole.out
    assert stable(load(tmp_path / "r.json")) == expected
    assert (tmp_path / "s.csv").read_bytes() == scores
    last = python(COUNT, *arguments, env=env)
    assert scored(last) == []
    assert last.out == whole.out


def interrupt(*_arguments: Any, **_options: Any) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "where",
    [
        "speakerid.workflows.evaluate.content_hashes",
        "speakerid.workflows.evaluate.evaluate_system",
        "speakerid.workflows.results.document",
        "speakerid.workflows.results.save_json",
    ],
)
def test_stopped_anywhere_says_how_to_go_on(
    run: Run, small: Path, tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(where, interrupt)
    arguments = ["evaluate", str(small), "--config", str(config), "--json", str(tmp_path / "r.json")]
    outcome = run(*arguments, env=own_cache(tmp_path))
    assert outcome.status == 130
    [line] = outcome.complaints
    assert line.endswith(f"go on with: {shlex.join(['speakerid', 'evaluate', '--resume', *arguments[1:]])}")
    again = run(*arguments, "--resume", env=own_cache(tmp_path))
    assert again.complaints == outcome.complaints, "--resume is said once"
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize(("options", "limit"), [(["--no-cache"], None), ([], "0")])
def test_stopped_without_a_cache_says_that_nothing_is_kept(
    run: Run,
    data: Path,
    tmp_path: Path,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    limit: str | None,
) -> None:
    monkeypatch.setattr("speakerid.workflows.results.document", interrupt)
    env = own_cache(tmp_path) | ({"SPEAKERID_CACHE_LIMIT": limit} if limit else {})
    outcome = run("evaluate", data, "--config", config, *options, env=env)
    assert outcome.status == 130
    assert outcome.complaints == ["speakerid: stopped at 100 %; nothing is kept"]
