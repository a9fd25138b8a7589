"""What is checked of the rows of an evaluation before any work starts.

Every error names the row that is wrong, and the other row where two contradict each other. Files are looked up, not
opened; they are known by what they are and not by how they are written, so that a link to an enrolled recording is that
recording.
"""

from __future__ import annotations

import math
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from speakerid.audio import Recording
from speakerid.audio.paths import shown
from speakerid.audio.recordings import kind_of
from speakerid.errors import ManifestError, SpeakerNameError, UsageError
from speakerid.store import normal_name

__all__ = [
    "File",
    "check_asked_once",
    "check_not_enrolled_and_asked",
    "check_sessions",
    "counted",
    "look_up_files",
    "where",
    "with_normal_names",
    "without_repeats",
    "written",
]

File = tuple[int, int]
"""Device and inode: what a file is, however its path is written."""

_Stretch = tuple[File, float, float]


def where(recording: Recording) -> str:
    """Say where a recording was named: the row of a list, or for a folder the path."""
    return recording.origin or shown(recording.path)


def counted(number: int, thing: str, things: str | None = None) -> str:
    """Give a number with its noun: ``1 recording``, ``2 recordings``."""
    return f"{number} {thing if number == 1 else things or thing + 's'}"


def written(path: str, folder: str) -> str:
    """Give a path as a list writes it, relative to the folder it is relative to; others stay as they are."""
    try:
        return Path(path).relative_to(folder).as_posix()
    except ValueError:
        return path


def with_normal_names(recordings: Iterable[Recording]) -> list[Recording]:
    """Give recordings with their speakers' names in the form that a store has.

    Raises
    ------
    ManifestError, SpeakerNameError
        Text cannot be a name; the message says where.
    """
    normal: dict[str, str] = {}
    result = []
    for recording in recordings:
        speaker = recording.speaker or ""
        if speaker not in normal:
            try:
                normal[speaker] = normal_name(speaker)
            except SpeakerNameError as error:
                kind = ManifestError if recording.origin else SpeakerNameError
                raise kind(f"{where(recording)}: {error}; rename the speaker") from error
        result.append(replace(recording, speaker=normal[speaker]))
    return result


def look_up_files(recordings: Iterable[Recording], *, advice: str) -> dict[str, File]:
    """Find out that every file is there.

    Parameters
    ----------
    recordings : iterable of Recording
    advice : str
        What paths are relative to, for the message.

    Returns
    -------
    dict of str to File
        By path.

    Raises
    ------
    UsageError
        A path is no regular file; the message names the first one with its row, and counts the others.
    """
    files: dict[str, File] = {}
    wrong: dict[str, str] = {}
    for recording in recordings:
        path = recording.path
        if path in files or path in wrong:
            continue
        try:
            status = Path(path).stat()
        except FileNotFoundError:
            wrong[path] = f"{_lead(recording)}no such file"
        except OSError as error:
            wrong[path] = f"{_lead(recording)}cannot be used ({(error.strerror or str(error)).lower()})"
        except ValueError:  # a null byte
            wrong[path] = f"{_lead(recording)}not a possible path"
        else:
            if stat.S_ISREG(status.st_mode):
                files[path] = (status.st_dev, status.st_ino)
            else:
                wrong[path] = f"{_lead(recording)}{kind_of(status.st_mode)}, not a file"
    if wrong:
        more = f", and {counted(len(wrong) - 1, 'more file')} cannot be used either" if len(wrong) > 1 else ""
        message = f"{next(iter(wrong.values()))}{more}; {advice}"
        raise ManifestError(message) if any(one.origin for one in recordings) else UsageError(message)
    return files


def check_asked_once(tests: Sequence[Recording], files: Mapping[str, File]) -> None:
    """Refuse a question that is asked twice, which would count double, or has two right answers.

    Raises
    ------
    ManifestError
    """
    first: dict[_Stretch, Recording] = {}
    for recording in tests:
        other = first.setdefault(_stretch(recording, files), recording)
        if other is recording:
            continue
        if other.speaker == recording.speaker:
            message = f"is asked in {where(other)} already, and would count double; remove one of the two rows"
        else:
            message = f"is {recording.speaker}, but {where(other)} says that it is {other.speaker}; remove one"
        raise ManifestError(f"{where(recording)}: {recording.label} {message}")


def without_repeats(
    enroll: Sequence[Recording], files: Mapping[str, File], *, shared: bool = False
) -> tuple[list[Recording], int]:
    """Leave out rows that enrol the same once more.

    Parameters
    ----------
    enroll : sequence of Recording
    files : mapping of str to File
    shared : bool
        A recording may be enrolled under several names, as in a list of verification trials.

    Returns
    -------
    recordings : list of Recording
    repeats : int
        How many were left out.

    Raises
    ------
    ManifestError
        A recording is enrolled under two names.
    """
    first: dict[tuple[str | None, _Stretch], Recording] = {}
    result = []
    for recording in enroll:
        other = first.setdefault((recording.speaker if shared else None, _stretch(recording, files)), recording)
        if other is recording:
            result.append(recording)
        elif other.speaker != recording.speaker:
            raise ManifestError(
                f"{where(recording)}: {recording.label} is enrolled as {recording.speaker}, but as {other.speaker} in "
                f"{where(other)}; remove one"
            )
    return result, len(enroll) - len(result)


def check_sessions(enroll: Sequence[Recording], tests: Sequence[Recording]) -> None:
    """Refuse a session of a speaker that is both enrolled and asked.

    Raises
    ------
    ManifestError
    """
    enrolled: dict[tuple[str | None, str], Recording] = {}
    for recording in enroll:
        if recording.session is not None:
            enrolled.setdefault((recording.speaker, recording.session), recording)
    for recording in tests:
        other = enrolled.get((recording.speaker, recording.session)) if recording.session is not None else None
        if other is not None:
            raise ManifestError(
                f"{where(recording)}: session {shown(recording.session or '')} of {recording.speaker} is asked, but "
                f"{where(other)} enrols it; a session must be on one side"
            )


def check_not_enrolled_and_asked(
    enroll: Sequence[Recording], tests: Sequence[Recording], files: Mapping[str, File]
) -> None:
    """Refuse audio that is both enrolled and asked, be it of one speaker or of two; stretches that only touch are fine.

    Raises
    ------
    ManifestError
    """
    asked = {files[recording.path] for recording in tests}
    stretches: dict[File, list[tuple[float, float, bool, Recording]]] = {}
    for is_test, side in enumerate((enroll, tests)):
        for recording in side:
            file, start, end = _stretch(recording, files)
            if file in asked:
                stretches.setdefault(file, []).append((start, end, bool(is_test), recording))
    for found in stretches.values():
        # in order of their starts, what overlaps anything of the other side overlaps the one that ends last
        last: dict[bool, tuple[float, Recording]] = {}
        for start, end, is_test, recording in sorted(found, key=lambda item: item[:3]):
            if is_test not in last or last[is_test][0] < end:
                last[is_test] = (end, recording)
            if (not is_test) in last and last[not is_test][0] > start:
                other = last[not is_test][1]
                enrolled, test = (other, recording) if is_test else (recording, other)
                raise ManifestError(
                    f"{where(test)}: {test.label} is asked, but {where(enrolled)} enrols {_same(enrolled, test)}; audio "
                    "that was learned from proves nothing"
                )


def _same(enrolled: Recording, test: Recording) -> str:
    if (enrolled.path, enrolled.start, enrolled.end) == (test.path, test.start, test.end):
        return "the same"
    return enrolled.label


def _stretch(recording: Recording, files: Mapping[str, File]) -> _Stretch:
    end = math.inf if recording.end is None else recording.end
    return files[recording.path], recording.start or 0.0, end


def _lead(recording: Recording) -> str:
    return f"{recording.origin}: {shown(recording.path)}: " if recording.origin else f"{shown(recording.path)}: "
