"""From turns in RTTM and the audio beside them to recordings for enrolment."""

from __future__ import annotations

from pathlib import Path

import pytest

from speakerid.errors import ManifestError, UsageError
from speakerid.workflows.gather import Gathered, gather_for_enrollment, names_in_rttm


def gather(folder: Path, *rows: tuple[str, str, float, float], audio: tuple[str, ...] = ("a.wav",)) -> Gathered:
    """Turns as (recording, label, start, end)."""
    for name in audio:
        (folder / name).touch()
    path = folder / "turns.rttm"
    path.write_text(
        "".join(
            f"SPEAKER {r} 1 {start} {end - start:.3f} <NA> <NA> {label} <NA> <NA>\n" for r, label, start, end in rows
        ),
        encoding="utf-8",
    )
    return gather_for_enrollment([str(path)])


def found(gathered: Gathered) -> list[tuple[str, str | None, float | None, float | None]]:
    return [(Path(each.path).name, each.speaker, each.start, each.end) for each in gathered.recordings]


def test_stretches_of_one_voice_are_recordings(tmp_path: Path) -> None:
    gathered = gather(
        tmp_path,
        ("a", "A", 0, 2), ("a", "B", 1.5, 4), ("a", "A", 3.9, 4.1), ("a", "A", 4.1, 4.25), ("a", "C", 5, 5.25),
        ("a", "C", 6, 6.2), ("b", "A", 1, 3),
        audio=("a.wav", "b.FLAC", "a.txt", ".b.wav"),
    )  # fmt: skip
    assert found(gathered) == [
        ("a.wav", "A", 0, 1.5), ("a.wav", "B", 2, 3.9), ("a.wav", "A", 4.0, 4.25), ("a.wav", "C", 5, 5.25),
        ("b.FLAC", "A", 1, 3),
    ]  # fmt: skip
    assert (gathered.overlapping, gathered.too_short, gathered.problems) == (2, 1, [])
    assert gathered.recordings[0].origin == "turns.rttm, A"
    # all stretches of a file stay on one side of a split
    assert len({each.kept_together for each in gathered.recordings}) == 2


def test_overlaps_are_counted_as_stretches(tmp_path: Path) -> None:
    for rows, n in (
        ([("A", 0, 10), ("B", 1, 2), ("C", 2, 3), ("B", 5, 6)], 2),
        ([("A", 0, 10), ("B", 1, 4), ("C", 2, 3)], 1),
        ([("A", 0, 10), ("A", 1, 4)], 0),
        ([("A", 0, 1), ("B", 1, 2)], 0),
        ([("A", 0, 10), ("B", 1, 2), ("B", 1, 3)], 1),
    ):
        gathered = gather(tmp_path, *(("a", *row) for row in rows))
        assert gathered.overlapping == n, rows


def test_a_recording_is_found_by_the_names_that_lists_use(tmp_path: Path) -> None:
    for name in ("my_call", "c.d", "x.wav"):
        gathered = gather(tmp_path, (name, "A", 0, 1), audio=("my call.mp3", "c.d.m4a", "x.wav"))
        assert len(gathered.recordings) == 1
    assert names_in_rttm("x/my call.wav") == ("my call", "my call.wav", "my_call", "my_call.wav")
    assert names_in_rttm("-") == ("stdin",)


def test_a_name_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "outside.wav").touch()
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "folder.wav").mkdir()
    for name in ("../outside", str(tmp_path / "outside"), "folder", "."):
        with pytest.raises(UsageError, match="no recording of that name beside it"):
            gather(folder, (name, "A", 0, 1))


def test_audio_that_is_missing_or_there_twice(tmp_path: Path) -> None:
    gathered = gather(
        tmp_path, ("a", "A", 0, 1), ("b", "A", 0, 1), ("c", "A", 0, 1), audio=("a.wav", "b.wav", "b.flac")
    )
    assert found(gathered) == [("a.wav", "A", 0, 1)]
    path = str(tmp_path / "turns.rttm")
    assert gathered.problems == [
        (path, f"{path}: b: 2 recordings of that name: b.flac, b.wav"),
        (path, f"{path}: c: no recording of that name beside it, such as c.wav"),
    ]


def test_nothing_to_enrol(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"turns\.rttm: nobody speaks alone for 0\.25 s"):
        gather(tmp_path, ("a", "A", 0, 2), ("a", "B", 0, 2))
    with pytest.raises(UsageError, match="RTTM names its speakers itself; leave --speaker out"):
        gather_for_enrollment([str(tmp_path / "turns.rttm")], speaker="A")
    with pytest.raises(ManifestError, match="no such file"):
        gather_for_enrollment([str(tmp_path / "none.rttm")])
    # a folder is a folder, whatever it is called
    (tmp_path / "voices.rttm" / "alice").mkdir(parents=True)
    (tmp_path / "voices.rttm" / "alice" / "a.wav").touch()
    assert [each.speaker for each in gather_for_enrollment([str(tmp_path / "voices.rttm")]).recordings] == ["alice"]
