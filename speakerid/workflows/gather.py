"""From what a person names on the command line to a list of recordings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from speakerid.audio import Discovery, Recording, discover_audio, discover_speakers, is_manifest, read_manifest
from speakerid.errors import UsageError

__all__ = ["Gathered", "gather_for_enrollment", "gather_for_identification"]


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
    """

    recordings: list[Recording] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    left_alone: int = 0

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


def gather_for_enrollment(paths: Sequence[str], *, speaker: str | None = None) -> Gathered:
    """Find the recordings to enrol.

    Parameters
    ----------
    paths : sequence of str
        Folders of speaker folders and manifests; with `speaker`, audio files and folders of that one speaker.
    speaker : str, optional

    Raises
    ------
    UsageError
        A path is missing, a folder has no speakers, or audio files are given without `speaker`.
    ManifestError
        A manifest is malformed.
    """
    gathered = Gathered()
    if speaker is not None:
        for path in paths:
            if is_manifest(path):
                raise UsageError(f"{path}: a manifest names its speakers itself; leave --speaker out")
        gathered._take(discover_audio(paths))
        return gathered
    for path in paths:
        if is_manifest(path):
            gathered._take_manifest(path, "enroll", require_speaker=True)
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
