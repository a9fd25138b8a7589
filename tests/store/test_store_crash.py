"""A process that is killed at the worst moment leaves the old state or the new one, and the same call does the rest.

Whatever SQLite has in memory dies with the process here; what the operating system has would survive. So these tests
hold the program to its transactions, not the disk to its promises.
"""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speakerid.store import Store

Models = Callable[[Path], dict[str, tuple[object, ...]]]
Recordings = Callable[[Path], dict[str, set[str]]]

# every child enrols a folder, one speaker a transaction, and is killed at its n-th chance
CHILD = """
import contextlib, os, signal, sys
folder, db, moment, chance = sys.argv[1:]
left = int(chance)

def maybe_die(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

from speakerid.store import connection, store
from speakerid.workflows import enroll
from speakerid.workflows.library import enroll as enroll_folder
enroll._BATCH_RECORDINGS = 1

real_transaction, real_raw, real_publish = store.transaction, connection._raw_connection, connection.publish

@contextlib.contextmanager
def transaction(c):
    with real_transaction(c):
        yield
        if moment == "commit":
            maybe_die()

class Watched:
    def __init__(self, real): self.real = real
    def __getattr__(self, name): return getattr(self.real, name)
    def execute(self, statement, *values):
        result = self.real.execute(statement, *values)
        if moment == "statement" and statement.startswith("INSERT"):
            maybe_die()
        return result

def raw(path, mode):
    c = real_raw(path, mode)
    c.execute("PRAGMA cache_size = 1")  # so that SQLite writes to the file before the end of the transaction
    return Watched(c)

def publish(temporary, path):
    if moment == "publish":
        maybe_die()
    made = real_publish(temporary, path)
    if moment == "published":
        maybe_die()
    return made

store.transaction, connection._raw_connection, connection.publish = transaction, raw, publish
if moment == "progress":
    real = enroll._analyse_all
    enroll._analyse_all = lambda items, results, report, progress: real(items, results, report, maybe_die)
enroll_folder(folder, db=db, jobs=1)
print("done")
"""


def whole_or_absent(db: Path, whole: dict[str, tuple[object, ...]], models: Models, recordings: Recordings) -> set[str]:
    """Open a store as a user would, check each speaker, and return who is there."""
    if not db.exists():
        return set()
    with Store(db) as store:
        store.check()
        names = set(store.names())
        assert all(row.n_recordings == 3 for row in store.speakers())
    present = models(db)
    assert set(present) == names == set(recordings(db))
    assert present == {name: whole[name] for name in names}
    return names


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, small: Path, run: Callable[..., Any], models: Models) -> Any:
    """The models of an enrolment that nobody disturbed."""
    db = tmp_path_factory.mktemp("whole") / "whole.db"
    assert run("enroll", small, "--db", db).status == 0
    return models(db)


@pytest.mark.parametrize(
    ("moment", "chance", "expected"),
    [
        ("publish", 1, set()),
        ("published", 1, {"Alice"}),
        ("progress", 2, set()),
        ("progress", 6, {"Alice"}),
        ("progress", 7, {"Alice", "Mary Ann"}),  # the second is written when the third's first recording is done
        ("statement", 1, set()),
        ("statement", 3, set()),
        ("statement", 8, {"Alice"}),
        ("commit", 1, set()),
        ("commit", 2, {"Alice"}),
        ("commit", 3, {"Alice", "Mary Ann"}),
    ],
)
def test_killed_in_the_middle_of_an_enrolment(
    moment: str,
    chance: int,
    expected: set[str],
    tmp_path: Path,
    small: Path,
    start_python: Callable[..., Any],
    run: Callable[..., Any],
    whole: dict[str, tuple[object, ...]],
    models: Models,
    recordings: Recordings,
) -> None:
    db = tmp_path / "speakers.db"
    with start_python(CHILD, small, db, moment, str(chance)) as child:
        _out, err = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, err
    if moment == "commit" and chance > 1:
        # the kill hit where it hurts: pages were in the file, and the journal knows how to take them back
        assert db.with_name("speakers.db-journal").stat().st_size > 512
    assert whole_or_absent(db, whole, models, recordings) == expected
    again = run("enroll", small, "--db", db, "--quiet")
    assert (again.status, again.err) == (0, "")
    assert whole_or_absent(db, whole, models, recordings) == set(whole)
    assert models(db) == whole


def test_the_child_that_lives_does_the_whole_job(
    tmp_path: Path, small: Path, start_python: Callable[..., Any], whole: Any, models: Models
) -> None:
    db = tmp_path / "speakers.db"
    with start_python(CHILD, small, db, "never", "1") as child:
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out.strip(), err) == (0, "done", "")
    assert models(db) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["speakers.db"]


REMOVE = """
import os, signal, sys
from speakerid.store import Store, connection, store
import contextlib
real_transaction, real_raw = store.transaction, connection._raw_connection
@contextlib.contextmanager
def transaction(c):
    with real_transaction(c):
        yield
        os.kill(os.getpid(), signal.SIGKILL)
def raw(path, mode):
    c = real_raw(path, mode)
    c.execute("PRAGMA cache_size = 1")
    return c
store.transaction, connection._raw_connection = transaction, raw
with Store(sys.argv[1]) as s:
    getattr(s, sys.argv[2])(*eval(sys.argv[3]))
"""


@pytest.mark.parametrize(("method", "arguments"), [("remove", (["Tom", "Alice"],)), ("rename", ("Tom", "Tim"))])
def test_killed_in_the_middle_of_another_change(
    method: str, arguments: tuple[object, ...], db: Path, start_python: Callable[..., Any], models: Models
) -> None:
    before = models(db)
    with start_python(REMOVE, db, method, repr(arguments)) as child:
        child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    with Store(db) as store:
        store.check()
    assert models(db) == before


def test_a_journal_of_a_dead_process_is_rolled_back_by_plain_sqlite_too(
    db: Path, start_python: Callable[..., Any]
) -> None:
    with start_python(REMOVE, db, "remove", "(['Tom', 'Alice'],)") as child:
        child.communicate(timeout=60)
    with contextlib.closing(sqlite3.connect(db)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM speakers").fetchone() == (10,)
