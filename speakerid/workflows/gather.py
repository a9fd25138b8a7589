"""From what a person names on the command line to a list of recordings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from speakerid.audio import (
    AUDIO_EXTENSIONS,
    Discovery,
    Recording,
    discover_audio,
    discover_speakers,
    is_manifest,
    read_manifest,
)
from speakerid.audio.paths import STDIN, shown
from speakerid.audio.rttm import SpeakerTurn, is_rttm, one_voice, read_rttm
from speakerid.errors import UsageError

__all__ = ["Gathered", "gather_for_enrollment", "gather_for_identification", "names_in_rttm"]

# of one voice; a shorter one is hardly a syllable
_SHORTEST_STRETCH_SECONDS = 0.25
_ROUNDING = 1e-6


@dataclass
class Gathered:
    """Recordings, and all that was passed over.

    Attributes
    ----------
    recordings : list of Recording
        With their speakers, for enrolment.
    problems : list of (str, str)
        Path and message of what looked like audio and cannot be used.
    ignored : list of str
        Files that are not audio by their name.
    left_alone : int
        Manifest rows of the other split.
    overlapping, too_short : int
        Stretches of turns in which several voices overlap, and those of one voice that are too short.
    """

    recordings: list[Recording] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    left_alone: int = 0
    overlapping: int = 0
    too_short: int = 0

    def _take(self, found: Discovery) -> None:
        self.recordings.extend(found.recordings)
        self.problems.extend(found.problems)
        self.ignored.extend(found.ignored)

    def _take_manifest(self, path: str, split: str, *, require_speaker: bool) -> None:
        before = len(self.recordings)
        for recording in read_manifest(path, require_speaker=require_speaker):
            if recording.split in (split, None):
                self.recordings.append(recording)
            else:
                self.left_alone += 1
        if len(self.recordings) == before:
            raise UsageError(f"{path}: no rows with split = {split} or without a split: there is nothing to do")

    def _take_rttm(self, path: str) -> None:
        before = len(self.recordings)
        turns = read_rttm(path)
        audio = _audio_beside(path)
        problems: list[str] = []
        for name, of_recording in turns.items():
            found = audio.get(name, [])
            if len(found) == 1:
                self._take_turns(path, found[0], of_recording)
                continue
            several = f"{len(found)} recordings of that name: {', '.join(shown(Path(each).name) for each in found)}"
            what = several if found else "no recording of that name beside it, such as " + shown(f"{name}.wav")
            problems.append(f"{shown(path)}: {shown(name)}: {what}")
        if len(problems) == len(turns):
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise UsageError(f"{problems[0]}{more}; put the recordings into the list's folder")
        if len(self.recordings) == before:
            raise UsageError(
                f"{shown(path)}: nobody speaks alone for {_SHORTEST_STRETCH_SECONDS:g} s: there is nothing to enrol"
            )
        self.problems.extend((path, problem) for problem in problems)

    def _take_turns(self, path: str, audio: str, turns: Sequence[SpeakerTurn]) -> None:
        for part in one_voice(turns):
            if part.end - part.start < _SHORTEST_STRETCH_SECONDS - _ROUNDING:
                self.too_short += 1
                continue
            origin = f"{shown(Path(path).name)}, {shown(part.label)}"
            self.recordings.append(Recording(audio, speaker=part.label, start=part.start, end=part.end, origin=origin))
        self.overlapping += _overlaps(turns)


def gather_for_enrollment(paths: Sequence[str], *, speaker: str | None = None) -> Gathered:
    """Find the recordings to enrol.

    Parameters
    ----------
    paths : sequence of str
        Folders of speaker folders, manifests, and turns in RTTM that lie beside their audio, of which the stretches of one
        voice are taken; with `speaker`, audio files and folders of that one speaker.
    speaker : str, optional

    Raises
    ------
    UsageError
        A path is missing, a folder has no speakers, or audio files are given without `speaker`.
    ManifestError
        A manifest or a list of turns is malformed.
    """
    gathered = Gathered()
    if speaker is not None:
        for path in paths:
            if is_manifest(path) or is_rttm(path):
                what = "a manifest" if is_manifest(path) else "RTTM"
                raise UsageError(f"{path}: {what} names its speakers itself; leave --speaker out")
        gathered._take(discover_audio(paths))
        return gathered
    for path in paths:
        if is_manifest(path):
            gathered._take_manifest(path, "enroll", require_speaker=True)
        elif is_rttm(path) and not Path(path).is_dir():
            gathered._take_rttm(path)
        elif path == "-" or Path(path).is_file():
            raise UsageError(f"{path}: whose voice is it? Say --speaker NAME, or give a folder of speaker folders")
        else:
            gathered._take(discover_speakers(path))
    return gathered


def gather_for_identification(paths: Sequence[str]) -> Gathered:
    """Find the recordings to identify: files, folders searched in depth, ``-``, and manifests.

    Raises
    ------
    ManifestError
        A manifest is malformed.
    """
    gathered = Gathered()
    for path in paths:
        if is_manifest(path) and os.path.exists(path):  # noqa: PTH110 - the path may be any text
            gathered._take_manifest(path, "test", require_speaker=False)
        else:
            gathered._take(discover_audio([path]))
    return gathered


def names_in_rttm(path: str) -> tuple[str, ...]:
    """By what names a list of turns may know an audio file: without folder and ending, or with the ending.

    Blanks, which RTTM does not allow, may be ``_`` there.
    """
    name = "stdin" if path == STDIN else Path(path).name
    several = (Path(name).stem, name)
    return tuple(dict.fromkeys([*several, *("_".join(each.split()) for each in several)]))


def _audio_beside(path: str) -> dict[str, list[str]]:
    """Find the audio files in a list's folder, by the names that the list may have for them."""
    # a folder that can be entered and not listed has nothing that can be found
    try:
        entries = sorted(each for each in Path(path).parent.iterdir() if not each.name.startswith("."))
    except OSError:
        entries = []
    found: dict[str, list[str]] = {}
    for entry in entries:
        if entry.suffix[1:].casefold() in AUDIO_EXTENSIONS and not entry.is_dir():
            for name in names_in_rttm(entry.name):
                found.setdefault(name, []).append(str(entry))
    return found


def _overlaps(turns: Sequence[SpeakerTurn]) -> int:
    """Count the stretches in which several labels speak."""
    changes = sorted([(turn.start, 1, turn.label) for turn in turns] + [(turn.end, -1, turn.label) for turn in turns])
    speaking: dict[str, int] = {}
    n, before = 0, False
    for (time, change, label), (until, _change, _label) in pairwise(changes):
        speaking[label] = speaking.get(label, 0) + change
        if not speaking[label]:
            del speaking[label]
        if until > time:
            several = len(speaking) > 1
            n, before = n + (several and not before), several
    return n
