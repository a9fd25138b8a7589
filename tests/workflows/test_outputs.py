"""Where outputs may go, and how they get there: whole or not at all, and never over what is read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from speakerid.errors import UsageError
from speakerid.workflows.outputs import check_output, refuse_inputs, whole_file


@pytest.mark.parametrize("name", ["r.json", "R.JSON", "no-such-file.yet.json"])
def test_a_good_name_is_taken(tmp_path: Path, name: str) -> None:
    check_output(str(tmp_path / name), (".json",))
    refuse_inputs([str(tmp_path / name), None], [str(tmp_path / "p.csv"), "", "a\0b"])
    check_output(None, (".json",))


def check_both(path: str, endings: tuple[str, ...], inputs: list[str]) -> None:
    check_output(path, endings)
    refuse_inputs([path], inputs)


def test_bad_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    data = tmp_path / "data.csv"
    data.write_text("path,speaker\n", encoding="utf-8")
    (tmp_path / "link.csv").symlink_to(data)
    os.link(data, tmp_path / "hard.csv")
    for name, endings, words in (
        ("r.txt", (".json",), "ends in .json"),
        ("r.json.gz", (".csv", ".csv.gz"), "ends in .csv or .csv.gz"),
        ("missing/r.json", (".json",), "no folder"),
        ("data.csv/r.json", (".json",), "no folder"),
        ("folder.json", (".json",), "is a folder"),
        ("pipe.json", (".json",), "no regular file"),
        (300 * "x" + ".json", (".json",), "shorter"),
        ("data.csv", (".csv",), "would be written over"),
        ("../" + tmp_path.name + "/data.csv", (".csv",), "would be written over"),
        ("link.csv", (".csv",), "would be written over"),
        ("hard.csv", (".csv",), "would be written over"),
    ):
        with pytest.raises(UsageError, match=words):
            check_both(str(tmp_path / name), endings, [str(tmp_path / "not there"), str(data)])


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(UsageError, match="may not be written"):
        check_output(str(tmp_path / "r.json"), (".json",))


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target.json").write_text("before", encoding="utf-8")
    (tmp_path / "link.json").symlink_to("target.json")
    with whole_file(tmp_path / "link.json") as file:
        file.write("after")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "target.json").read_text(encoding="utf-8") == "after"


def test_what_killed_processes_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f".speakerid-{ended.pid}-0123abcd.partial"
    running = tmp_path / f".speakerid-{os.getpid()}-0123abcd.partial"
    mine = tmp_path / ".speakerid-notes.partial"
    for path in (left, running, mine):
        path.write_text("something", encoding="utf-8")
    with whole_file(tmp_path / "r.json") as file:
        file.write("{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([running.name, mine.name, "r.json"])


def test_a_long_name_is_written(tmp_path: Path) -> None:
    path = tmp_path / (250 * "x" + ".json")
    with whole_file(path) as file:
        file.write("{}")
    assert path.read_text(encoding="utf-8") == "{}"


def test_an_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    with pytest.raises(OSError, match="No space left") as caught, whole_file(path):
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []
