"""Recordings in folders: found in the same order everywhere, and nothing passed over in silence."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from speakerid.audio import AUDIO_EXTENSIONS, Recording, discover_audio, discover_speakers
from speakerid.errors import UsageError


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def names(root: Path, found) -> list[str]:
    return [os.path.relpath(recording.path, root) for recording in found.recordings]


def test_one_folder_a_speaker_in_depth_and_in_order(tmp_path):
    tree(tmp_path, "bob/z.wav", "bob/a/2.FLAC", "bob/a/10.mp3", "bob/B.m4a", "alice/x.ogg", "Ärmel 🎙/y.opus")
    found = discover_speakers(tmp_path)
    assert names(tmp_path, found) == [
        "alice/x.ogg",
        "bob/B.m4a",
        "bob/a/10.mp3",
        "bob/a/2.FLAC",
        "bob/z.wav",
        "Ärmel 🎙/y.opus",
    ]
    assert [recording.speaker for recording in found.recordings] == ["alice", "bob", "bob", "bob", "bob", "Ärmel 🎙"]
    assert found.ignored == ()
    assert found.problems == ()


def test_what_is_passed_over_is_said(tmp_path):
    tree(tmp_path, "a/x.wav", "a/notes.txt", "a/.hidden.wav", ".git/y.wav", "README.md", "b/only.txt", "loose.wav")
    (tmp_path / "c").mkdir()
    found = discover_speakers(tmp_path)
    assert names(tmp_path, found) == ["a/x.wav"]
    assert sorted(os.path.relpath(path, tmp_path) for path in found.ignored) == [
        "README.md",
        "a/notes.txt",
        "b/only.txt",
    ]
    problems = {os.path.relpath(path, tmp_path): message for path, message in found.problems}
    assert problems.keys() == {"b", "c", "loose.wav"}
    assert "no audio files" in problems["b"]
    assert "--speaker NAME" in problems["loose.wav"]
    for path, message in found.problems:
        assert path in message
        assert "\n" not in message


def test_a_folder_that_is_no_folder_of_speakers(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        discover_speakers(tmp_path / "none")
    tree(tmp_path, "file/x.txt")
    with pytest.raises(UsageError, match="not a folder"):
        discover_speakers(tmp_path / "file" / "x.txt")
    with pytest.raises(UsageError, match=r"one sub-folder a speaker.*alice/monday\.wav") as caught:
        discover_speakers(tmp_path)
    assert "--speaker" not in str(caught.value)
    tree(tmp_path, "one.wav", "two.wav")
    with pytest.raises(UsageError, match=r"2 audio files lie directly .*--speaker NAME"):
        discover_speakers(tmp_path)
    with pytest.raises(UsageError):
        discover_speakers("a\0b")


def test_links_are_followed_and_loops_end(tmp_path):
    outside = tree(tmp_path / "outside", "deep/song.wav")
    top = tree(tmp_path / "top", "alice/x.wav")
    (top / "alice" / "again").symlink_to(top / "alice")  # a loop
    (top / "alice" / "up").symlink_to(top)  # a loop through the top
    (top / "bob").symlink_to(outside)
    (top / "carol").mkdir()
    (top / "carol" / "y.wav").symlink_to(top / "alice" / "x.wav")
    found = discover_speakers(top)
    assert names(top, found) == ["alice/x.wav", "bob/deep/song.wav", "carol/y.wav"]
    assert found.problems == ()


def test_special_and_broken_things_are_problems(tmp_path):
    tree(tmp_path, "a/x.wav")
    os.mkfifo(tmp_path / "a" / "pipe.wav")
    (tmp_path / "a" / "gone.wav").symlink_to("nowhere.wav")
    (tmp_path / "a" / "gone.txt").symlink_to("nowhere.txt")
    (tmp_path / "a" / "self.wav").symlink_to("self.wav")
    found = discover_speakers(tmp_path)
    assert names(tmp_path, found) == ["a/x.wav"]
    problems = {Path(path).name: message for path, message in found.problems}
    assert problems.keys() == {"pipe.wav", "gone.wav", "self.wav"}
    assert "named pipe" in problems["pipe.wav"]
    assert "broken link" in problems["gone.wav"]
    assert [Path(path).name for path in found.ignored] == ["gone.txt"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_a_problem(tmp_path):
    tree(tmp_path, "a/x.wav", "b/secret/y.wav")
    (tmp_path / "b" / "secret").chmod(0)
    try:
        found = discover_speakers(tmp_path)
    finally:
        (tmp_path / "b" / "secret").chmod(0o700)
    assert names(tmp_path, found) == ["a/x.wav"]
    assert "cannot be read" in found.problems[0][1]


def test_a_folder_that_the_system_refuses(tmp_path, monkeypatch):
    tree(tmp_path, "a/x.wav", "b/y.wav")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = discover_speakers(tmp_path)
    assert names(tmp_path, found) == ["a/x.wav"]
    assert [(Path(path).name, "permission denied" in message) for path, message in found.problems] == [("b", True)]


def test_names_that_are_not_utf_8_are_found_and_shown(tmp_path):
    folder = os.fsencode(tmp_path) + b"/sp\xff"
    tree(Path(os.fsdecode(folder)), os.fsdecode(b"\xfe.wav"))
    found = discover_speakers(tmp_path)
    (recording,) = found.recordings
    assert os.fsencode(recording.path) == folder + b"/\xfe.wav"
    assert os.fsencode(recording.speaker) == b"sp\xff"
    recording.label.encode("utf-8")
    assert r"\udcfe.wav" in recording.label


def test_a_tree_deeper_than_the_stack(tmp_path):
    depth = sys.getrecursionlimit() + 50
    (tmp_path / "a").mkdir()
    before = Path.cwd()
    os.chdir(tmp_path / "a")
    try:
        for _ in range(depth):
            Path("d").mkdir()
            os.chdir("d")
    finally:
        os.chdir(before)
    (tmp_path / "a" / "x.wav").write_bytes(b"x")
    found = discover_speakers(tmp_path)  # the system has a longest path; beyond it is a problem, not a crash
    os.chdir(tmp_path / "a")
    try:  # what cleans up after the tests is not so deep
        for _ in range(depth):
            os.chdir("d")
        for _ in range(depth):
            os.chdir("..")
            Path("d").rmdir()
    finally:
        os.chdir(before)
    assert names(tmp_path, found) == ["a/x.wav"]


def test_files_are_taken_as_they_are_and_folders_searched(tmp_path):
    tree(tmp_path, "b/2.wav", "b/sub/1.flac", "b/n.txt", "odd.bin", "empty/n.txt")
    found = discover_audio([tmp_path / "odd.bin", str(tmp_path / "b"), "-", tmp_path / "none.wav", tmp_path / "empty"])
    assert [recording.path for recording in found.recordings] == [
        str(tmp_path / "odd.bin"),
        str(tmp_path / "b" / "2.wav"),
        str(tmp_path / "b" / "sub" / "1.flac"),
        "-",
    ]
    assert all(recording.speaker is None for recording in found.recordings)
    assert [Path(path).name for path, _ in found.problems] == ["none.wav", "empty"]
    assert "no such file" in found.problems[0][1]
    assert "without audio" in found.problems[1][1]


def test_the_extensions_of_the_contract():
    assert {"wav", "flac", "ogg", "opus", "mp3", "aiff", "w64", "m4a", "aac", "amr", "webm", "mp4"} <= AUDIO_EXTENSIONS
    assert not {"txt", "csv", "json", "jpg", "py", "md"} & AUDIO_EXTENSIONS


@pytest.mark.parametrize(
    ("recording", "label"),
    [
        (Recording("a.wav"), "a.wav"),
        (Recording("a.wav", start=1.5, end=4), "a.wav [1.5-4 s]"),
        (Recording("a.wav", start=1.5), "a.wav [1.5- s]"),
        (Recording("a.wav", end=4), "a.wav [0-4 s]"),
        (Recording("a\nb\u202e.wav"), r"a\nb\u202e.wav"),
        (Recording("-"), "- (standard input)"),
    ],
)
def test_labels(recording, label):
    assert recording.label == label
