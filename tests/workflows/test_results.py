"""Results on disk: strict JSON, every score as CSV, clips; whole or not there, and never over what is read."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from speakerid.config import Config
from speakerid.evaluation.outcome import Listed, Outcome, Row
from speakerid.evaluation.summary import finite
from speakerid.workflows.evaluate import System, SystemResult
from speakerid.workflows.protocols import Protocol, Round
from speakerid.workflows.results import clips_of, document, save_json, save_scores, save_text

SPEAKERS = ("Ann", "=cmd()", 'Zoë "Z", the 2nd')
NOT_UTF8 = os.fsdecode(b"caf\xe9.wav")


def made_up(paths: tuple[str, ...] = ("a.wav", "b,c.wav", NOT_UTF8, "line\nbreak\r.wav"), **changes: Any) -> Outcome:
    rows = tuple(
        Row(i, path, SPEAKERS[i % 3], start=0.5 * i or None, speech_seconds=1.0) for i, path in enumerate(paths)
    )
    values = np.random.default_rng(len(paths)).normal(-60, 3, (len(rows), 3))
    return Outcome(
        SPEAKERS,
        rows,
        values,
        values - values.mean(axis=1, keepdims=True),
        np.ones((1, 3), bool),
        np.ones((1, 3)),
        **changes,
    )


def result_of(outcome: Outcome, name: str = "default") -> SystemResult:
    return SystemResult(
        System(name, Config()), outcome, "a rule", timings={"enrolling": 0.25, "asking": 0.5, "audio": 60.0}
    )


def protocol_of(outcome: Outcome) -> Protocol:
    return Protocol("p", "p.csv", (Round((), ()),), outcome.speakers, None, False, "as made up", "0" * 64)


def scores_in(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        return list(csv.DictReader(io.StringIO(file.read().decode("utf-8"), newline="")))


# --- scores


@pytest.mark.parametrize("name", ["scores.csv", "scores.csv.gz", "SCORES.CSV.GZ"])
def test_every_pair_is_a_row(tmp_path: Path, name: str) -> None:
    outcome = made_up()
    save_scores(tmp_path / name, [result_of(outcome, "one"), result_of(outcome, "two")])
    data = (tmp_path / name).read_bytes()
    text = (gzip.decompress(data) if name.lower().endswith(".gz") else data).decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == 2 * 4 * 3
    assert [row["system"] for row in rows] == ["one"] * 12 + ["two"] * 12
    for number, row in enumerate(rows[:12]):
        test, column = divmod(number, 3)
        assert row["model"] == SPEAKERS[column]
        assert row["speaker"] == SPEAKERS[test % 3]
        assert row["target"] == str(int(test % 3 == column))
        assert float(row["log_likelihood"]) == finite(outcome.log_likelihoods[test, column])
        assert float(row["score"]) == finite(outcome.scores[test, column])
        assert row["start"] == ("" if test == 0 else str(0.5 * test))
        assert (row["end"], row["round"], row["left_out"]) == ("", "0", "0")
    assert [rows[3 * i]["path"] for i in range(4)] == ["a.wav", "b,c.wav", r"caf\udce9.wav", "line\nbreak\\r.wav"]
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_what_is_packed_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.csv.gz", "b.csv.gz"):
        save_scores(tmp_path / name, [result_of(made_up())])
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


@given(st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1), min_size=1, max_size=3, unique=True))
def test_no_name_breaks_the_rows(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    path = tmp_path_factory.mktemp("scores") / "s.csv"
    outcome = made_up(tuple(names))
    result = result_of(dataclasses.replace(outcome, speakers=(names[0], "b", "c")), names[-1])
    save_scores(path, [result])
    rows = scores_in(path)
    assert len(rows) == 3 * len(names)
    assert all(None not in row and None not in row.values() for row in rows)


def test_what_could_not_be_scored_is_empty(tmp_path: Path) -> None:
    outcome = made_up()
    outcome.log_likelihoods[1] = outcome.scores[1] = -np.inf
    save_scores(tmp_path / "s.csv", [result_of(outcome)])
    rows = scores_in(tmp_path / "s.csv")
    assert [row["log_likelihood"] == "" for row in rows] == [False] * 3 + [True] * 3 + [False] * 6
    assert [row["score"] == "" for row in rows] == [row["log_likelihood"] == "" for row in rows]


def test_who_is_not_asked_has_no_row(tmp_path: Path) -> None:
    outcome = made_up()
    rows = (*outcome.rows[:2], dataclasses.replace(outcome.rows[2], left_out=True), outcome.rows[3])
    enrolled = np.array([[True, False, True]])
    save_scores(tmp_path / "s.csv", [result_of(dataclasses.replace(outcome, rows=rows, enrolled=enrolled))])
    found = scores_in(tmp_path / "s.csv")
    assert [row["model"] for row in found] == ["Ann", SPEAKERS[2], "Ann", SPEAKERS[2], "Ann", "Ann", SPEAKERS[2]]
    assert [row["left_out"] for row in found] == ["0"] * 4 + ["1"] + ["0"] * 2


def test_of_a_list_its_trials_are_the_rows(tmp_path: Path) -> None:
    listed = Listed(np.array([2, 0]), np.array([1, 1]), np.array([True, False]))
    outcome = made_up(listed=listed)
    outcome = dataclasses.replace(outcome, rows=tuple(dataclasses.replace(row, speaker=None) for row in outcome.rows))
    save_scores(tmp_path / "s.csv", [result_of(outcome)])
    rows = scores_in(tmp_path / "s.csv")
    assert [(row["path"], row["model"], row["target"], row["speaker"]) for row in rows] == [
        (r"caf\udce9.wav", "=cmd()", "1", ""), ("a.wav", "=cmd()", "0", ""),
    ]  # fmt: skip


# --- JSON


def strict(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(path.read_bytes().decode("utf-8"), parse_constant=refuse)


def test_the_document_comes_back_from_disk(tmp_path: Path) -> None:
    outcome = made_up()
    outcome.log_likelihoods[1] = outcome.scores[1] = -np.inf
    results = [result_of(outcome, "one"), result_of(made_up(), "two")]
    values = document(protocol_of(outcome), results, seed=7, command="speakerid evaluate é", notes=["a note"])
    save_json(tmp_path / "r.json", values)
    assert strict(tmp_path / "r.json") == values
    assert list(tmp_path.iterdir()) == [tmp_path / "r.json"]
    assert values["trials"][2]["path"] == NOT_UTF8
    assert values["protocol"]["notes"] == ["a note"]
    assert (values["seed"], values["command"]) == (7, "speakerid evaluate é")
    text = (tmp_path / "r.json").read_text(encoding="utf-8")
    assert "Zoë" in text, "people read it too"


def test_the_keys_of_the_contract_and_their_types() -> None:
    outcome = made_up()
    values = document(protocol_of(outcome), [result_of(outcome, "one"), result_of(outcome, "two")], seed=7)
    kinds = {
        "n_speakers": int, "n_tests": int, "top1": float, "top1_ci95": list, "top5": float, "cmc": list, "confusion": dict,
        "verification": dict, "by_duration": list, "trials": list, "config": dict, "versions": dict, "protocol": dict,
        "system": str, "other_systems": list, "differences": list, "seed": int, "created": str, "command": str,
        "problems": list, "timings": dict, "undecided": dict,
    }  # fmt: skip
    assert {key: type(values[key]) for key in kinds} == kinds
    assert values["open_set"] is None
    assert {"labels", "counts"} == set(values["confusion"])
    assert {"eer", "min_dcf", "cllr"} <= set(values["verification"])
    assert {"front_end", "training", "decision"} <= set(values["config"])
    assert {"speakerid", "python", "numpy"} <= set(values["versions"])
    assert len(values["top1_ci95"]) == 2
    [other] = values["other_systems"]
    assert set(kinds) - set(other) == {
        "versions", "protocol", "other_systems", "differences", "seed", "created", "command",
    }  # fmt: skip
    [difference] = values["differences"]
    assert (difference["system"], difference["baseline"]) == ("two", "one")
    assert difference["mcnemar"] == {"only_system": 0, "only_baseline": 0, "p_value": 1.0}


@pytest.mark.parametrize("values", [{"a": float("nan")}, {"a": [{"b": float("inf")}]}])
def test_a_number_that_is_none_is_never_written(tmp_path: Path, values: dict[str, Any]) -> None:
    (tmp_path / "r.json").write_text("before", encoding="utf-8")
    with pytest.raises(ValueError, match="JSON"):
        save_json(tmp_path / "r.json", values)
    assert (tmp_path / "r.json").read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [tmp_path / "r.json"]


# --- whole or not there


def breaking() -> Iterator[SystemResult]:
    yield result_of(made_up())
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["s.csv", "s.csv.gz"])
def test_a_file_that_is_not_finished_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        save_scores(tmp_path / name, breaking())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    (tmp_path / name).write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt):
        save_scores(tmp_path / name, breaking())  # type: ignore[arg-type]
    assert (tmp_path / name).read_bytes() == b"before"


def test_a_page_is_written_over_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "r.html").write_text("before and longer", encoding="utf-8")
    save_text(tmp_path / "r.html", "é\n")
    assert (tmp_path / "r.html").read_bytes() == "é\n".encode()
    assert list(tmp_path.iterdir()) == [tmp_path / "r.html"]


# --- clips


def test_clips_are_the_beginnings_of_the_hardest(tmp_path: Path) -> None:
    rate = 16000
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (20 * rate, 2))
    sf.write(tmp_path / "long.wav", samples, rate)
    sf.write(tmp_path / "short.wav", samples[:rate], rate)
    trials = [
        {"path": str(tmp_path / "long.wav"), "start": None, "end": None},
        {"path": str(tmp_path / "short.wav"), "start": None, "end": None},
        {"path": str(tmp_path / "long.wav"), "start": 2.0, "end": 5.0},
        {"path": str(tmp_path / "gone.wav"), "start": None, "end": None},
    ]
    clips = clips_of({"hardest": [2, 0, 3, 1], "trials": trials}, channel=2)
    assert set(clips) == {0, 1, 2}
    for number, expected in ((0, samples[: 12 * rate]), (1, samples[:rate]), (2, samples[2 * rate : 5 * rate])):
        found, found_rate = sf.read(io.BytesIO(clips[number]))
        assert found_rate == rate
        assert found.shape == (len(expected),)
        np.testing.assert_allclose(found, expected[:, 1], atol=3 / 32768)


def test_no_more_than_twenty_clips(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.zeros(1600), 16000)
    trials = [{"path": str(tmp_path / "a.wav"), "start": None, "end": None}] * 30
    assert set(clips_of({"hardest": list(range(30)), "trials": trials})) == set(range(20))
