"""Recordings: what they are, and how they are found in folders.

A folder of speakers has one sub-folder a speaker, named after the speaker and searched in depth::

    speakers/
        alice/  monday.wav  phone/call.m4a
        bob/    talk.flac

Order is by name, so that the same folder gives the same recordings in the same order on every machine. Hidden files and
folders (a dot in front) are no recordings. Links are followed; a folder that is reached twice is read once.

Nothing here opens a recording or imports numpy. Manifests are read in `manifests`, whose functions are given here too.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from speakerid.audio.manifests import is_manifest, read_manifest
from speakerid.audio.paths import STDIN, shown
from speakerid.audio.recording import Recording
from speakerid.errors import UsageError

__all__ = [
    "AUDIO_EXTENSIONS",
    "MEDIA_EXTENSIONS",
    "SOUNDFILE_EXTENSIONS",
    "Discovery",
    "Recording",
    "discover_audio",
    "discover_speakers",
    "is_manifest",
    "read_manifest",
]

SOUNDFILE_EXTENSIONS = frozenset(
    "aif aifc aiff au caf flac mp1 mp2 mp3 nist oga ogg opus rf64 snd sph svx voc w64 wav wave".split()  # noqa: SIM905
)
"""Endings of files that the base installation reads."""

MEDIA_EXTENSIONS = frozenset(
    (  # noqa: SIM905 - words read better than quotes
        "3g2 3ga 3gp aac ac3 amr ape asf avi awb f4a f4v flv m2ts m4a m4b m4r m4v mka mkv mov mp4 mpeg mpg mts ogv "
        "ogx qt spx ts tta weba webm wma wmv wv"
    ).split()
)
"""Endings of files that need the extra ``media``."""

AUDIO_EXTENSIONS = SOUNDFILE_EXTENSIONS | MEDIA_EXTENSIONS
"""Endings (lower case, without the dot) by which a search through folders knows recordings."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a search found, and everything that it passed over.

    Parameters
    ----------
    recordings : tuple of Recording
        In the order of their names.
    ignored : tuple of str
        Paths of files that are not audio by their extension; hidden files are not listed.
    problems : tuple of (str, str)
        Path and one-line message for everything that looked like audio and cannot be used.
    """

    recordings: tuple[Recording, ...] = ()
    ignored: tuple[str, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Search:
    """The lists that a search fills."""

    recordings: list[Recording] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def add_problem(self, path: str, what: str) -> None:
        self.problems.append((path, f"{shown(path)}: {what}"))

    def result(self) -> Discovery:
        return Discovery(tuple(self.recordings), tuple(self.ignored), tuple(self.problems))


def discover_speakers(folder: str | os.PathLike[str]) -> Discovery:
    """Find the recordings of a folder that has one sub-folder a speaker.

    Parameters
    ----------
    folder : path-like
        The folder of speakers.

    Returns
    -------
    Discovery
        Recordings with their speaker set to the name of the sub-folder.

    Raises
    ------
    UsageError
        The folder is missing, is no folder, cannot be listed, or no sub-folder has audio.
    """
    top = os.fspath(folder)
    search = _Search()
    loose = 0
    identity = _identity_of_top(top)
    try:
        entries = _listing(top)
    except OSError as error:
        raise UsageError(f"{shown(top)}: the folder cannot be read ({_why(error)})") from error
    for entry in entries:
        if _is_folder(entry):
            found = len(search.recordings)
            problems = len(search.problems)
            _search_folder(entry.path, search, speaker=entry.name, seen={identity})
            if len(search.recordings) == found and len(search.problems) == problems:
                search.add_problem(entry.path, f"no audio files for speaker {shown(entry.name)}; add some or remove it")
        elif _is_audio(entry.name):
            loose += 1
            search.add_problem(
                entry.path, "lies in no speaker's folder; move it into one, or enrol it with --speaker NAME"
            )
        else:
            _take_file(entry, search, speaker=None)
    if not search.recordings:
        raise UsageError(_no_speakers(top, loose, search))
    return search.result()


def discover_audio(paths: Sequence[str | os.PathLike[str]]) -> Discovery:
    """Find recordings in files and folders, without speakers.

    Parameters
    ----------
    paths : sequence of path-like
        Files are taken whatever their extension (``-`` is standard input); folders are searched in depth.

    Returns
    -------
    Discovery
        In the order given. A path that is missing or a folder without audio is a problem, not an exception.
    """
    search = _Search()
    for given in paths:
        path = os.fspath(given)
        if path == STDIN:
            search.recordings.append(Recording(path))
            continue
        try:
            mode = Path(path).stat().st_mode
        except (OSError, ValueError) as error:
            search.add_problem(path, _why(error))
            continue
        if not stat.S_ISDIR(mode):
            search.recordings.append(Recording(path))
            continue
        found, problems = len(search.recordings), len(search.problems)
        _search_folder(path, search, speaker=None, seen=set())
        if len(search.recordings) == found and len(search.problems) == problems:
            search.add_problem(path, "a folder without audio files")
    return search.result()


def _search_folder(folder: str, search: _Search, *, speaker: str | None, seen: set[tuple[int, int]]) -> None:
    """Add what lies in and below a folder, in order of path.

    `seen` has (device, inode) of the folders that were read; it ends loops of links. A stack of iterators rather than
    recursion, because a tree of folders can be deeper than Python's stack.
    """
    stack = [_enter(folder, search, seen)]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
        elif _is_folder(entry):
            stack.append(_enter(entry.path, search, seen))
        else:
            _take_file(entry, search, speaker=speaker)


def _enter(folder: str, search: _Search, seen: set[tuple[int, int]]) -> Iterator[os.DirEntry[str]]:
    """Give the entries of a folder, or none if it was read before or cannot be."""
    try:
        status = Path(folder).stat()
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            return iter(())
        seen.add(identity)
        return iter(_listing(folder))
    except OSError as error:
        search.add_problem(folder, f"the folder cannot be read ({_why(error)})")
        return iter(())


def _take_file(entry: os.DirEntry[str], search: _Search, *, speaker: str | None) -> None:
    """File an entry that is no folder under recordings, ignored or problems."""
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        if _is_audio(entry.name):
            search.add_problem(entry.path, "a broken link" if entry.is_symlink() else _why(error))
        else:
            search.ignored.append(entry.path)
        return
    if not stat.S_ISREG(mode):
        search.add_problem(entry.path, f"{kind_of(mode)}, not a file; skipped")
    elif _is_audio(entry.name):
        search.recordings.append(Recording(entry.path, speaker=speaker))
    else:
        search.ignored.append(entry.path)


def _listing(folder: str) -> list[os.DirEntry[str]]:
    """List what is not hidden in a folder, by name."""
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that points to itself
        return False


def _is_audio(name: str) -> bool:
    return Path(name).suffix[1:].casefold() in AUDIO_EXTENSIONS


def kind_of(mode: int) -> str:
    """Name what is not a regular file.

    Parameters
    ----------
    mode : int
        ``st_mode`` of the path.

    Returns
    -------
    str
        With its article, for a message.
    """
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"


def _identity_of_top(top: str) -> tuple[int, int]:
    try:
        status = Path(top).stat()
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown(top)}: {_why(error)}") from error
    if not stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{shown(top)}: not a folder; give a folder with one sub-folder a speaker")
    return status.st_dev, status.st_ino


def _no_speakers(top: str, loose: int, search: _Search) -> str:
    layout = "expected one sub-folder a speaker with audio in it, as in alice/monday.wav"
    if loose:
        return (
            f"{shown(top)}: {loose} audio {'file lies' if loose == 1 else 'files lie'} directly in the folder and no "
            f"sub-folder has any; {layout}; for recordings of one speaker give the files with --speaker NAME"
        )
    other = f" ({len(search.ignored)} other files)" if search.ignored else ""
    return f"{shown(top)}: no audio in any sub-folder{other}; {layout}"


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file or folder"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "not a possible path"
