"""Accuracy on real speech, by the command line as people use it, with the default settings.

Top-1 of the speaker with the best score; a recording that is undecided is an error. The bars are those of the first
issue; the corpora and their licences are described beside them.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# per cent, and how many questions the protocol has, so that a protocol that shrank cannot pass
BARS = {
    "librispeech-10-closed": (100.0, 60),
    "librispeech-251-2s": (98.0, 180),
    "arabic-commands-other-words": (92.0, 600),
    "dspspeech-other-words": (92.0, 408),
    "fsdd-digits": (99.0, 420),
}


def where(path: Path | str, start: float | str | None) -> tuple[str, float | None]:
    return os.path.normpath(path), None if start in (None, "") else float(start)


@pytest.mark.corpora
@pytest.mark.parametrize("name", BARS)
def test_accuracy(name: str, corpora: Path, tmp_path: Path, program: Callable[..., Any]) -> None:
    protocol = corpora / "protocols" / f"{name}.csv"
    with protocol.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    truth = {
        where(protocol.parent / row["path"], row["start"]): row["speaker"] for row in rows if row["split"] == "test"
    }
    speakers = {row["speaker"] for row in rows if row["split"] == "enroll"}
    bar, n_questions = BARS[name]
    assert len(truth) == n_questions
    assert set(truth.values()) <= speakers

    enrolment = program("enroll", protocol, "--db", tmp_path / "s.db", "--format", "json", "--quiet")
    assert {line["speaker"] for line in enrolment.json if "speaker" in line} == speakers
    assert len([line for line in enrolment.json if "reason" in line]) <= 0.01 * len(rows)
    answers = program("identify", protocol, "--db", tmp_path / "s.db", "--format", "json", "--quiet")
    found = {where(line["path"], line.get("start")): line for line in answers.json}
    assert set(found) == set(truth)
    assert len(answers.json) == n_questions

    right = sum(
        bool(line["scores"]) and line["scores"][0]["speaker"] == truth[question] for question, line in found.items()
    )
    undecided = sum(line["status"] == "undecided" for line in answers.json)
    assert (enrolment.status in (0, 3), answers.status) == (True, 3 if undecided else 0)
    accuracy = 100 * right / n_questions
    print(f"{name}: {accuracy:.2f} % ({n_questions - right} wrong, of which {undecided} undecided)")
    assert accuracy >= bar
