"""Layouts: public corpora as they are unpacked, read without moving a file.

=========== ======================================================= ============================= ==============
layout      a recording lies in                                     speaker                       session
=========== ======================================================= ============================= ==============
librispeech ``[subset/]speaker/chapter/speaker-chapter-n.flac``     the reader's number           the chapter
voxceleb    ``[wav/]id10001/video-id/00001.wav``                    ``id10001``                   the video
timit       ``[TRAIN|TEST/]DR1/FCJF0/SA1.WAV``                      ``FCJF0``, in capitals        none
voxforge    ``user-20080101-abc/wav/a0001.wav``                     the user; of an anonymous one the archive
                                                                    the archive
folders     ``speaker/[session/]recording.wav``                     the folder                    the sub-folder
=========== ======================================================= ============================= ==============

- Only the last three parts of a path are compared, so any folders may lie above (``LibriSpeech/train-clean-100/``), and
  any ending that is known as audio will do. TIMIT is the same in capitals and small letters. LibriTTS and Multilingual
  LibriSpeech, with underscores in the names, are ``librispeech``; VoxCeleb2 is ``voxceleb``.
- The subsets of a corpus are no enrolment and test: their speakers differ. No recording gets a `split`.
- TIMIT was recorded in one sitting a speaker. Its sentences SA1 and SA2 are the same for everybody, SX are shared by
  seven speakers, SI belong to one; the file's name tells.
- People who gave VoxForge no name share the user ``anonymous`` and are different people, as far as anybody knows.
- In plain folders the sub-folders are sessions, unless every speaker has all recordings in one place: then
  ``alice/wav/`` is a wrapping and says nothing about sessions.

**Recognition** looks at the first audio file, by name, of at most eight sub-folders of each folder; files beside the
speakers' folders do not count. If nine in ten of these lie as in one layout, it is that one; what is no corpus is plain
folders. Anything between is refused, not guessed.

Hidden files, links, odd names and what cannot be read are treated as in `recordings`. A folder of a corpus that is
reached twice is read once; in plain folders, once a speaker.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from speakerid.audio.paths import shown
from speakerid.audio.recording import Recording
from speakerid.audio.recordings import (
    Discovery,
    _identity_of_top,
    _is_audio,
    _is_folder,
    _listing,
    _Search,
    _search_folder,
    discover_speakers,
)
from speakerid.errors import UsageError

__all__ = ["LAYOUTS", "discover_layout", "recognise_layout"]

FOLDERS = "folders"

# Recognition is a glance: with these limits it reads some hundred folders of the largest corpus.
_MOST_SUBFOLDERS = 8
_DEEPEST = 8
_MOST_FOLDERS = 2000
_ENOUGH = 0.9


@dataclass(frozen=True, slots=True)
class _Corpus:
    """How a corpus is laid out.

    `recording` matches the last three parts of a path and gives the groups `speaker` and perhaps `session`; `unit`
    matches the name of the folder that belongs to one speaker and lies `unit_depth` folders above the recording.
    """

    title: str
    shape: str
    recording: re.Pattern[str]
    unit: re.Pattern[str]
    unit_depth: int = 1

    def match(self, parts: Sequence[str]) -> re.Match[str] | None:
        return self.recording.fullmatch("/".join(parts[-3:]))


def _corpus(title: str, shape: str, recording: str, unit: str, *, unit_depth: int = 1) -> _Corpus:
    # DOTALL, because a file's name may have a line break
    flags = re.ASCII | re.DOTALL
    return _Corpus(title, shape, re.compile(recording, flags), re.compile(unit, flags), unit_depth)


# Some archives of VoxForge lack the three letters after the date, have a letter joined to it, or digits too many.
_ARCHIVE = r"(?P<speaker>[^/]+)-20\d{6,8}[a-z]*([-_][^/]*)?"

_CORPORA = {
    "librispeech": _corpus(
        "LibriSpeech",
        "[subset/]speaker/chapter/speaker-chapter-utterance.flac",
        r"(?P<speaker>\d+)/(?P<session>\d+)/(?P=speaker)[-_](?P=session)([-_]\d+)+\.[^/]*",
        r"\d+",
    ),
    "voxceleb": _corpus(
        "VoxCeleb",
        "[wav/]id10001/video-id/00001.wav",
        r"(?P<speaker>id\d{5})/(?P<session>[^/]+)/\d{5}\.[^/]*",
        r"id\d{5}",
    ),
    "timit": _corpus(
        "TIMIT",
        "[TRAIN|TEST/]DR1/FCJF0/SA1.WAV",
        r"(?i:dr[1-8]/(?P<speaker>[fm][a-z]{3}\d)/s[aix]\d{1,4}\.[^/]*)",
        r"(?i:[fm][a-z]{3}\d)",
        unit_depth=0,
    ),
    "voxforge": _corpus(
        "VoxForge",
        "user-20080101-abc/wav/a0001.wav",
        rf"(?P<session>{_ARCHIVE})/(?i:wav|flac)/[^/]+",
        _ARCHIVE,
    ),
}

LAYOUTS = (*_CORPORA, FOLDERS)
"""The names of the layouts, besides ``auto``."""


def recognise_layout(folder: str | os.PathLike[str]) -> str:
    """Tell how a folder of recordings is laid out, at a glance.

    Parameters
    ----------
    folder : path-like
        A corpus, a part of one with several speakers, or a folder with one sub-folder a speaker.

    Returns
    -------
    str
        One of `LAYOUTS`.

    Raises
    ------
    UsageError
        The folder is missing, is no folder, cannot be listed, no sub-folder has audio, or it is laid out in more than
        one way.
    """
    top = os.fspath(folder)
    _identity_of_top(top)
    seen_as: dict[str, list[str]] = {}
    for parts in _witnesses(top, (), set()):
        name = next((name for name, corpus in _CORPORA.items() if corpus.match(parts)), FOLDERS)
        seen_as.setdefault(name, []).append("/".join(parts))
    if not seen_as:
        discover_speakers(top)  # searches everything, and says what is wrong if there is no audio
        return FOLDERS
    best = max(seen_as, key=lambda name: len(seen_as[name]))
    if len(seen_as[best]) < _ENOUGH * sum(map(len, seen_as.values())):
        ways = ", ".join(f"{shown(paths[0])} as in {_title(name)}" for name, paths in sorted(seen_as.items()))
        raise UsageError(
            f"{shown(top)}: laid out in more than one way ({ways}); give a folder that has one of them, or say which "
            f"with --layout {' or '.join(sorted(seen_as))}"
        )
    return best


def discover_layout(folder: str | os.PathLike[str], layout: str = "auto") -> Discovery:
    """Find the recordings of a corpus with their speakers and sessions.

    Parameters
    ----------
    folder : path-like
        As for `recognise_layout`.
    layout : str
        One of `LAYOUTS`, or ``auto`` to recognise it.

    Returns
    -------
    Discovery
        Recordings in the order of their paths. An audio file that does not lie where the corpus keeps its recordings,
        and a speaker's folder without audio, are problems.

    Raises
    ------
    UsageError
        As `recognise_layout`; or the layout has no such name; or fewer than half of the recordings lie as in it.
    """
    if layout not in ("auto", *LAYOUTS):
        raise UsageError(f"layout is {shown(repr(layout))}; it must be one of auto, {', '.join(LAYOUTS)}")
    top = os.fspath(folder)
    _identity_of_top(top)
    if layout == "auto":
        layout = recognise_layout(top)
    return _discover_folders(top) if layout == FOLDERS else _discover_corpus(top, _CORPORA[layout])


def _discover_folders(top: str) -> Discovery:
    found = discover_speakers(top)
    sessions = []
    for recording in found.recordings:
        below = _parts(top, recording.path)[1:]  # without the speaker's own folder
        sessions.append(below[0] if len(below) > 1 else None)
    places = {(recording.speaker, session) for recording, session in zip(found.recordings, sessions, strict=True)}
    if len(places) == len({speaker for speaker, _session in places}):
        return found
    recordings = (replace(one, session=session) for one, session in zip(found.recordings, sessions, strict=True))
    return replace(found, recordings=tuple(recordings))


def _discover_corpus(top: str, corpus: _Corpus) -> Discovery:
    search = _Search()
    _search_folder(top, search, speaker=None, seen=set())
    if not search.recordings:
        return discover_speakers(top)  # refuses a folder without audio
    found, strays = [], []
    for recording in search.recordings:
        match = corpus.match(_parts(top, recording.path))
        if match is None:
            strays.append(recording.path)
        else:
            found.append(_attributed(recording, match))
    if len(found) < len(strays):
        raise UsageError(_not_laid_out(top, corpus, strays[0], len(found), len(search.recordings)))
    for path in strays:
        search.add_problem(path, f"not where {corpus.title} has recordings ({corpus.shape}); move or remove it")
    _add_empty(search, corpus, [recording.path for recording in found])
    search.recordings = found
    return search.result()


def _attributed(recording: Recording, match: re.Match[str]) -> Recording:
    groups = match.groupdict()
    speaker, session = groups["speaker"], groups.get("session")
    if session is None:
        speaker = speaker.upper()  # of TIMIT, which is handed on in capitals and in small letters
    elif speaker.casefold() == "anonymous":
        speaker = session
    return replace(recording, speaker=speaker, session=session)


def _add_empty(search: _Search, corpus: _Corpus, paths: Sequence[str]) -> None:
    """Add the speakers' folders without audio that lie beside those with some, as an unfinished copy leaves them."""
    units = {Path(path).parents[corpus.unit_depth] for path in paths}
    explained = {folder for path, _message in search.problems for folder in (Path(path), *Path(path).parents)} | units
    for container in sorted({unit.parent for unit in units}):
        try:
            entries = _listing(str(container))
        except OSError:  # it was read a moment ago; what it had is found
            continue
        for entry in entries:
            # a link may lead to a folder that was read already, so it needs no audio of its own
            expected = corpus.unit.fullmatch(entry.name) and _is_folder(entry) and not entry.is_symlink()
            if expected and Path(entry.path) not in explained:
                search.add_problem(entry.path, f"no audio files in {shown(entry.name)}; add some or remove it")


def _witnesses(folder: str, parts: tuple[str, ...], seen: set[tuple[int, int]]) -> Iterator[tuple[str, ...]]:
    """Yield the parts, below the top, of the first audio file of each folder that recognition looks at."""
    if len(parts) > _DEEPEST or len(seen) >= _MOST_FOLDERS:
        return
    try:
        status = Path(folder).stat()
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            return
        seen.add(identity)
        entries = _listing(folder)
    except OSError:  # the search for recordings will say so
        return
    file_wanted = bool(parts)
    subfolders = 0
    for entry in entries:
        if _is_folder(entry):
            if subfolders < _MOST_SUBFOLDERS:
                found = list(_witnesses(entry.path, (*parts, entry.name), seen))
                yield from found
                subfolders += bool(found)
        elif file_wanted and _is_audio(entry.name):
            file_wanted = False
            yield (*parts, entry.name)


def _parts(top: str, path: str) -> tuple[str, ...]:
    return Path(path).relative_to(top).parts


def _title(name: str) -> str:
    return "plain folders" if name == FOLDERS else _CORPORA[name].title


def _not_laid_out(top: str, corpus: _Corpus, stray: str, n_found: int, n_all: int) -> str:
    relative = _parts(top, stray)
    fits = next((name for name, other in _CORPORA.items() if other.match(relative)), FOLDERS)
    counted = "no recording lies" if n_found == 0 else f"only {n_found} of {n_all} recordings lie"
    return (
        f"{shown(top)}: {counted} as in {corpus.title}; expected {corpus.shape}, found {shown('/'.join(relative))} "
        f"as in {_title(fits)}; try --layout {fits} or --layout auto"
    )
