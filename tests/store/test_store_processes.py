"""Several processes enrol into one store at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speakerid.errors import ConflictError
from speakerid.store import SpeakerUpdate, Store
from speakerid.workflows.library import enroll

Models = Callable[[Path], dict[str, tuple[object, ...]]]
Recordings = Callable[[Path], dict[str, set[str]]]

# analyse everything, say so, wait for the word, then write: all write at the same moment
CHILD = """
import sys
from speakerid.workflows import enroll as room
db, speaker, *files = sys.argv[1:]
real = room._Writer.write
def write(self, batch):
    print("ready", flush=True)
    sys.stdin.readline()
    real(self, batch)
room._Writer.write = write
from speakerid.workflows.library import enroll
report = enroll({speaker: files}, db=db, jobs=1)
assert not report.problems, report.problems
"""


def together(start_python: Callable[..., Any], jobs: list[list[str | Path]]) -> None:
    """Run the children side by side, from the same start."""
    children = [start_python(CHILD, *job) for job in jobs]
    try:
        for child in children:
            assert child.stdout.readline() == "ready\n", child.stderr.read()
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        ends = [child.communicate(timeout=90) for child in children]
        assert [child.returncode for child in children] == [0] * len(children), ends
        assert [err for _out, err in ends] == [""] * len(children)
    finally:
        for child in children:
            child.kill()
            child.__exit__(None, None, None)


def files_of(sample: Path, name: str) -> list[Path]:
    return sorted((sample / "enroll" / name).glob("*.flac"))


@pytest.mark.parametrize("there", [False, True], ids=["new store", "store that exists"])
def test_different_speakers(
    there: bool,
    tmp_path: Path,
    sample: Path,
    start_python: Callable[..., Any],
    enrolled: Path,
    models: Models,
    recordings: Recordings,
) -> None:
    db = tmp_path / "s.db"
    names = ["Alice", "Tom", "Ivan"]
    if there:
        enroll({"Robert": files_of(sample, "Robert")}, db=db, jobs=1)
    together(start_python, [[db, name, *files_of(sample, name)] for name in names])
    expected = {*names, *(["Robert"] if there else [])}
    assert models(db) == {name: model for name, model in models(enrolled).items() if name in expected}
    assert recordings(db) == {name: them for name, them in recordings(enrolled).items() if name in expected}
    assert [path.name for path in tmp_path.iterdir()] == ["s.db"]


@pytest.mark.parametrize("each", ["one recording", "all recordings"])
def test_the_same_speaker(
    each: str,
    tmp_path: Path,
    sample: Path,
    start_python: Callable[..., Any],
    enrolled: Path,
    models: Models,
    recordings: Recordings,
) -> None:
    db = tmp_path / "s.db"
    files = files_of(sample, "Alice")
    shares = [[path] for path in files] if each == "one recording" else [files] * 2
    together(start_python, [[db, "Alice", *share] for share in shares])
    assert recordings(db) == {"Alice": recordings(enrolled)["Alice"]}
    assert models(db) == {"Alice": models(enrolled)["Alice"]}


def test_a_change_between_reading_and_writing_is_noticed_and_trained_again(
    tmp_path: Path,
    sample: Path,
    enrolled: Path,
    models: Models,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The race, without a race: somebody else enrols exactly when our model is trained."""
    db = tmp_path / "s.db"
    first, second, third = files_of(sample, "Alice")
    enroll({"Alice": [first]}, db=db, jobs=1)
    real = Store.write
    conflicts = []

    def late(self: Store, updates: list[SpeakerUpdate]) -> None:
        if not conflicts:
            conflicts.append("")
            enroll({"Alice": [third]}, db=db, jobs=1)
            with pytest.raises(ConflictError) as caught:
                real(self, updates)
            conflicts[0] = str(caught.value)
            raise caught.value
        real(self, updates)

    monkeypatch.setattr(Store, "write", late)
    report = enroll({"Alice": [second]}, db=db, jobs=1)
    assert conflicts == ["Alice was changed by another process"]
    assert [(s.added, s.n_recordings) for s in report.speakers] == [(1, 3)]
    assert models(db)["Alice"] == models(enrolled)["Alice"]


def test_audio_that_another_process_gave_to_somebody_else_meanwhile_is_a_duplicate(
    tmp_path: Path, sample: Path, models: Models, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "s.db"
    (shared, other, _third) = files_of(sample, "Alice")
    real = Store.write
    calls = []

    def late(self: Store, updates: list[SpeakerUpdate]) -> None:
        calls.append(updates)
        if len(calls) == 1:
            enroll({"Bob": [shared]}, db=db, jobs=1)
        real(self, updates)

    monkeypatch.setattr(Store, "write", late)
    report = enroll({"Ann": [shared, other]}, db=db, jobs=1)
    assert [(problem.reason, problem.path) for problem in report.problems] == [("duplicate", str(shared))]
    assert "enrolled as Bob" in report.problems[0].message
    assert {name: len(them) for name, them in recordings(db).items()} == {"Ann": 1, "Bob": 1}
    alone = tmp_path / "alone.db"
    enroll({"Ann": [other]}, db=alone, jobs=1)
    assert models(db)["Ann"] == models(alone)["Ann"]
