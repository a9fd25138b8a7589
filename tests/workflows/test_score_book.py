"""Kept scores: what comes back is what was kept, and nothing else is believed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from speakerid.workflows.score_book import ScoreBooks, models_fingerprint

MODELS = "0123456789abcdef0123456789abcdef"
SCORES = {f"hash {i}": row for i, row in enumerate(np.random.default_rng(1).normal(-60, 5, (6, 4)))}


@pytest.fixture
def books(tmp_path: Path) -> ScoreBooks:
    return ScoreBooks(tmp_path, limit_bytes=1_000_000)


def filled(books: ScoreBooks, models: str = MODELS) -> Path:
    with books.open(models, 4) as book:
        for content_hash, scores in SCORES.items():
            book.add(content_hash, scores)
    [path] = [path for path, _size, _time in books.files() if path.name.startswith(models)]
    return path


def known(books: ScoreBooks, models: str = MODELS, n_speakers: int = 4) -> set[str]:
    """What is found, which must be exactly what was kept."""
    with books.open(models, n_speakers) as book:
        found = {content_hash for content_hash in SCORES if book.get(content_hash) is not None}
        for content_hash in found:
            np.testing.assert_array_equal(book.get(content_hash), SCORES[content_hash])
        assert len(book) == len(found)
    return found


def test_scores_come_back_to_the_last_bit(books: ScoreBooks) -> None:
    filled(books)
    assert known(books) == set(SCORES)
    assert books.trouble is None


def test_nothing_is_written_before_there_is_something_to_keep(books: ScoreBooks, tmp_path: Path) -> None:
    with books.open(MODELS, 4) as book:
        assert len(book) == 0
        assert book.get("hash 0") is None
    assert list(tmp_path.iterdir()) == []


def test_scores_are_on_disk_at_once(books: ScoreBooks) -> None:
    with books.open(MODELS, 4) as book:
        book.add("hash 0", SCORES["hash 0"])
        assert known(books) == {"hash 0"}


def test_the_first_scores_of_a_recording_stay(books: ScoreBooks) -> None:
    path = filled(books)
    size = path.stat().st_size
    with books.open(MODELS, 4) as book:
        book.add("hash 0", np.zeros(4))
    assert path.stat().st_size == size
    assert known(books) == set(SCORES)


def test_models_with_other_scores_are_other_models(books: ScoreBooks) -> None:
    filled(books)
    assert known(books, models=MODELS[::-1]) == set()
    assert known(books, n_speakers=3) == set()
    assert known(books, n_speakers=5) == set()


def test_a_file_under_the_name_of_other_models_is_not_believed(books: ScoreBooks) -> None:
    path = filled(books)
    path.rename(path.with_name(path.name.replace(MODELS, MODELS[::-1])))
    assert known(books, models=MODELS[::-1]) == set()


def test_a_kill_within_a_line_costs_that_line_only(books: ScoreBooks) -> None:
    path = filled(books)
    whole = path.read_bytes()
    last = whole.rindex(b"\n")
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        assert known(books) == set(SCORES) - {"hash 5"}
    path.write_bytes(whole[: last + 20])
    assert known(books) == set(SCORES) - {"hash 5"}
    filled(books)
    assert known(books) == set(SCORES), "what is added begins a line of its own"


def test_no_damaged_byte_is_believed(books: ScoreBooks) -> None:
    path = filled(books)
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    for place in rng.choice(len(whole), 300, replace=False).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(7))
        path.write_bytes(damaged)
        assert len(known(books)) >= 4  # a line break that is gone joins two lines


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"7",
        b"[]",
        b'"recording"',
        b"{}",
        b"[" * 100_000,
        b'{"recording": "hash 0"}',
        b'{"recording": "hash 0", "scores": 5, "check": 5}',
        b'{"recording": null, "scores": "AAAA", "check": ""}',
        b'{"recording": "hash 0", "scores": "\\ud800", "check": ""}',
    ],
    ids=lambda line: line[:40].decode("latin-1"),
)
def test_a_line_that_is_not_ours_is_passed_over(books: ScoreBooks, line: bytes) -> None:
    path = filled(books)
    path.write_bytes(line + path.read_bytes())
    assert known(books) == set(SCORES)


def test_scores_that_are_no_numbers_are_not_believed(books: ScoreBooks) -> None:
    with books.open(MODELS, 4) as book:
        book.add("hash 0", np.array([1.0, np.nan, 2.0, 3.0]))
        book.add("hash 1", np.array([1.0, -np.inf, 2.0, 3.0]))
    assert known(books) == set()


def test_scores_without_the_digest_are_not_believed(books: ScoreBooks) -> None:
    path = filled(books)
    entry = json.loads(path.read_text(encoding="ascii").splitlines()[1])
    entry["scores"] = base64.b64encode(np.zeros(4).tobytes()).decode("ascii")
    path.write_text(json.dumps(entry), encoding="ascii")
    assert known(books) == set()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    books = ScoreBooks(tmp_path, limit_bytes=1000)
    with books.open(MODELS, 4) as book:
        book.add("hash 0", SCORES["hash 0"])
    assert books.trouble


def test_a_folder_that_cannot_be_made_is_told_once_and_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    books = ScoreBooks(tmp_path / "cache", limit_bytes=1000)
    with books.open(MODELS, 4) as book:
        for content_hash, scores in SCORES.items():
            book.add(content_hash, scores)
    assert books.trouble is not None
    assert "cannot be" in books.trouble
    assert books.trouble.isprintable()


def test_a_book_that_is_a_folder_is_told(books: ScoreBooks) -> None:
    path = filled(books)
    path.unlink()
    path.mkdir()
    assert known(books) == set()
    assert books.trouble is not None
    assert str(path) in books.trouble


def aged(path: Path, days: float) -> None:
    then = time.time() - days * 24 * 3600
    os.utime(path, (then, then))


def test_the_oldest_go_when_there_is_no_room_but_never_the_last(books: ScoreBooks, tmp_path: Path) -> None:
    paths = [filled(books, f"{i}" * 32) for i in range(3)]
    for age, path in zip((3, 1, 2), paths, strict=True):
        aged(path, age)
    size = paths[0].stat().st_size
    ScoreBooks(tmp_path, limit_bytes=2 * size)
    assert [path.exists() for path in paths] == [False, True, True]
    ScoreBooks(tmp_path, limit_bytes=1)
    assert [path.exists() for path in paths] == [False, True, False]


def test_those_of_a_month_ago_go(books: ScoreBooks, tmp_path: Path) -> None:
    old, new = filled(books, "a" * 32), filled(books, "b" * 32)
    aged(old, 31)
    aged(new, 29)
    ScoreBooks(tmp_path, limit_bytes=1_000_000)
    assert (old.exists(), new.exists()) == (False, True)


def test_only_our_own_files_are_cleared(books: ScoreBooks) -> None:
    path = filled(books)
    other = path.with_name("letter.txt")
    other.write_text("mine", encoding="utf-8")
    size = path.stat().st_size
    assert books.clear() == size
    assert (path.exists(), other.exists()) == (False, True)


def test_the_fingerprint_knows_what_scores_depend_on() -> None:
    enrolled = [("Ann", ["1", "2"]), ("Bob", ["3"])]
    settings = {"training": {"components": 16}, "channel": None}
    same = models_fingerprint(enrolled, settings)
    assert same == models_fingerprint([("Ann", ["1", "2"]), ("Bob", ["3"])], dict(settings))
    assert len(same) == 32
    others = [
        models_fingerprint([("Ann", ["1"]), ("Bob", ["3"])], settings),
        models_fingerprint([("Ann", ["1"]), ("Bob", ["2", "3"])], settings),
        models_fingerprint(enrolled[::-1], settings),
        models_fingerprint([("Eve", ["1", "2"]), ("Bob", ["3"])], settings),
        models_fingerprint(enrolled, settings | {"channel": 1}),
        models_fingerprint(enrolled, settings | {"training": {"components": 8}}),
    ]
    assert len({same, *others}) == 7


WRITE = """
import sys
from pathlib import Path
import numpy as np
from speakerid.workflows.score_book import ScoreBooks
with ScoreBooks(Path(sys.argv[1]), limit_bytes=10**9).open(sys.argv[2], 1000) as book:
    for number in range(10**9):
        book.add(f"hash {number}", np.full(1000, float(number)))
        print(number, flush=True)
"""


def test_a_kill_keeps_what_was_said_to_be_kept(
    tmp_path: Path, start_python: Callable[..., subprocess.Popen[str]]
) -> None:
    with start_python(WRITE, tmp_path, MODELS) as child:
        assert child.stdout is not None
        said = [int(child.stdout.readline()) for _ in range(20)]
        child.kill()
        said += [int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    with ScoreBooks(tmp_path, limit_bytes=10**9).open(MODELS, 1000) as book:
        assert len(said) <= len(book) <= len(said) + 1
        for number in said:
            np.testing.assert_array_equal(book.get(f"hash {number}"), np.full(1000, float(number)))
