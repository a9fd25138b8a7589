"""Static features that were computed before, kept in files, so that another run does not read the audio again.

An entry is found by its *key*, a digest of everything that its features depend on: the bytes of the recording, the stretch,
the channel, the degradation, the settings of the front end, the program's own code and the versions of the libraries.
Nothing is ever out of date; what nobody asks for any more goes when room is needed. The settings ``deltas``,
``delta_window`` and ``normalisation`` are not in the key: :func:`speakerid.frontend.finish` applies them to static features.

In the cache's folder, sub-folder ``features-v1``; every file is written under a temporary name and renamed, so that any
number of threads and processes may read and write:

- ``<key>.features``, an entry: magic, the length of a JSON object, that object, cepstra as float32 and the mask of speech
  as bits (little-endian), and a digest of all that. A file that is not exactly that is computed again and overwritten.
- ``<digest of a path>.seen``, the digest that the file at that path had: as in git's index, a file whose size, times,
  inode and device are unchanged is not read again. Its times must have been some seconds old then, or a change within
  the same tick of the clock would be missed (git: "racily clean"). Where the operating system has no time of the last
  change that programs cannot set (Windows), a change that restores size and time goes unnoticed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import secrets
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from speakerid._version import __version__
from speakerid.audio import Recording
from speakerid.audio.paths import STDIN
from speakerid.config import FrontEndConfig
from speakerid.errors import UsageError
from speakerid.workflows.analysis import Analysis, Source, analyse
from speakerid.workflows.cache_entries import DIGEST_BYTES, DamageError, checksum, pack, unpack
from speakerid.workflows.sizes import format_size, parse_size

__all__ = [
    "DEFAULT_LIMIT_BYTES",
    "FeatureCache",
    "Usage",
    "default_cache_folder",
    "default_cache_limit",
    "source_digest",
]

DEFAULT_LIMIT_BYTES = 2_000_000_000
_FOLDER_VARIABLE, _LIMIT_VARIABLE = "SPEAKERID_CACHE", "SPEAKERID_CACHE_LIMIT"

_SUBFOLDER = "features-v1"
_ENTRY, _SEEN, _TEMPORARY = ".features", ".seen", ".tmp"
_OURS = re.compile(rf"[0-9a-f]{{64}}({_ENTRY}|{_SEEN}|\.[0-9a-f]{{16}}{_TEMPORARY})")
_SEEN_MAGIC = b"speakerid-seen1\n"
# more than the coarsest clock of a file system in use: FAT's two seconds
_RACY_NS = 3_000_000_000
# how exactly the time of the last use is known: a network folder is not written to for every hit
_USE_NS = 60_000_000_000
_STALE_TEMPORARY_NS = 3_600_000_000_000
# trimming goes this far below the limit, so that not every entry that follows needs a look at the whole folder
_TRIM_TO = 0.9
# and after so much of the limit was written here, others may have filled the rest
_LOOK_AFTER = 0.125

_APPLIED_LATER = frozenset(("deltas", "delta_window", "normalisation"))
_SOURCES = ("audio", "frontend", "config.py", "workflows/analysis.py")
_LIBRARIES = ("numpy", "scipy", "soxr", "soundfile", "av")


@dataclass(frozen=True)
class Usage:
    """What is kept.

    Attributes
    ----------
    entries : int
        Recordings, or stretches of them, whose features are kept.
    bytes : int
        Size of all the cache's files.
    """

    entries: int
    bytes: int


@dataclass(frozen=True)
class _Seen:
    """A file as it was found.

    Attributes
    ----------
    path : Path
        Absolute.
    token : bytes
        Digest of path, size, times, inode and device.
    newest_ns : int
        The later one of its two times, in nanoseconds.
    """

    path: Path
    token: bytes
    newest_ns: int

    @staticmethod
    def of(path: Path, status: os.stat_result) -> _Seen:
        facts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
        token = checksum(os.fsencode(path), b"\0", repr(facts).encode())
        return _Seen(path, token, max(status.st_mtime_ns, status.st_ctime_ns))


@dataclass(frozen=True)
class _Content:
    """What the bytes of a file are, and whether its `_Seen` proves it from now on."""

    digest: bytes
    settled: bool
    remembered: bool


class FeatureCache:
    """Gives what :func:`speakerid.workflows.analysis.analyse` gives, from its files when it can. A context manager.

    Threads may share one object, and processes one folder. Nothing is written before there is something to keep, and
    only files of the cache's own names, in its own sub-folder, are ever removed.

    Parameters
    ----------
    folder : path-like
        Made when needed.
    limit_bytes : int
        The least recently used entries go when all of them together are larger. Processes that write at the same time
        may each be an eighth of it over. 0 keeps nothing.

    Attributes
    ----------
    folder : Path
        Where the files are: the sub-folder.
    limit_bytes : int
    hits, misses : int
        Recordings whose features were there, and were not.
    damaged : int
        Files of the cache that were not as they had been written.
    trouble : str or None
        One line, when the folder cannot be written: from then on nothing more is kept.
    """

    def __init__(self, folder: str | os.PathLike[str], *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        if limit_bytes < 0:
            raise ValueError(f"limit_bytes = {limit_bytes}: expected at least 0")
        self.folder = Path(folder).absolute() / _SUBFOLDER
        self.limit_bytes = limit_bytes
        self.hits = self.misses = self.damaged = 0
        self.trouble: str | None = None
        self._remedy = f"{_FOLDER_VARIABLE} names another folder"
        self._program = _program()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._open = True
        self._counting = threading.Lock()
        self._asked: set[str] = set()
        self._computed: set[str] = set()
        self._trimming = threading.Lock()
        self._total: int | None = None  # bytes in the folder, as far as known; None before the first look
        self._written = 0  # bytes since the last look

    @classmethod
    def from_environment(cls) -> FeatureCache:
        """Return the cache that the environment asks for.

        Raises
        ------
        UsageError
            The limit is no size.
        """
        return cls(default_cache_folder(), limit_bytes=default_cache_limit())

    @classmethod
    def temporary(cls, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> FeatureCache:
        """Return a cache in a temporary folder that goes with it."""
        folder = tempfile.TemporaryDirectory(prefix="speakerid-", ignore_cleanup_errors=True)
        cache = cls(folder.name, limit_bytes=limit_bytes)
        cache._temporary = folder
        cache._remedy = "TMPDIR names another folder for temporary files"
        return cache

    @property
    def n_asked(self) -> int:
        """Different recordings and settings that were asked for, however often."""
        return len(self._asked)

    @property
    def n_computed(self) -> int:
        """Those of them that had to be computed."""
        return len(self._computed)

    @property
    def is_temporary(self) -> bool:
        """Whether it goes with this object."""
        return self._temporary is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Neither read nor write any more, and remove a temporary folder; a second time is harmless."""
        self._open = False
        if self._temporary is not None:
            self._temporary.cleanup()

    def analyse(self, source: Source, config: FrontEndConfig, *, channel: int | None = None) -> Analysis:
        """Return what ``analyse(source, config, channel=channel, hash_content=True)`` returns, bit for bit.

        Arrays, standard input and what is no regular file are not looked up, and what cannot be read is not kept.

        Parameters
        ----------
        source : Recording or Waveform
        config : FrontEndConfig
        channel : int, optional
            As for `analyse`.

        Raises
        ------
        RecordingError
            The recording cannot be read.
        """
        seen = self._look(source)
        content = None if seen is None else self._content(seen)
        if seen is None or content is None:
            return analyse(source, config, channel=channel, hash_content=True)
        assert isinstance(source, Recording)
        key = self._key(content.digest, source, config, channel)
        with self._counting:
            self._asked.add(key)
        analysis = self._load(key)
        if analysis is not None:
            self._count("hits")
            self._remember(seen, content)
            return analysis
        self._count("misses")
        with self._counting:
            self._computed.add(key)
        analysis = analyse(source, config, channel=channel, hash_content=True)
        # the file was read a second time: these are the features of that digest only if nobody changed it in between
        if _still(seen, content):
            self._save(key, analysis)
            self._remember(seen, content)
        return analysis

    def usage(self) -> Usage:
        """Count what is kept.

        Raises
        ------
        UsageError
            The folder cannot be read.
        """
        with self._translated("read"):
            files = list(self._files())
        return Usage(sum(path.suffix == _ENTRY for path, _ in files), sum(status.st_size for _, status in files))

    def clear(self) -> Usage:
        """Remove everything that is kept, and return what that was.

        Raises
        ------
        UsageError
            The folder cannot be read, or a file in it not be removed.
        """
        entries = n_bytes = 0
        with self._translated("cleared"):
            for path, status in list(self._files()):
                path.unlink(missing_ok=True)
                entries += path.suffix == _ENTRY
                n_bytes += status.st_size
        with contextlib.suppress(OSError):
            self.folder.rmdir()  # unless there is something else in it
        return Usage(entries, n_bytes)

    def _count(self, what: str) -> None:
        with self._counting:
            setattr(self, what, getattr(self, what) + 1)

    @contextlib.contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"{error.filename or self.folder}: the feature cache cannot be {what}: {error.strerror or error}"
            raise UsageError(f"{message}; {self._remedy}") from None

    # what a file is

    def _look(self, source: Source) -> _Seen | None:
        """Look at a recording without opening it; None if its features are not kept."""
        if not self._open or not self.limit_bytes or not isinstance(source, Recording) or source.path == STDIN:
            return None
        try:
            path = Path(source.path).absolute()
            status = path.stat()
        except (OSError, ValueError):
            return None  # `analyse` knows the words for it
        return _Seen.of(path, status) if stat.S_ISREG(status.st_mode) else None

    def _content(self, seen: _Seen) -> _Content | None:
        """Give the digest of a file's bytes, as it is remembered or by reading them; None if it is another file by now."""
        digest = self._recall(seen)
        if digest is not None:
            return _Content(digest, settled=True, remembered=True)
        now = time.time_ns()
        digest = _digest_file(seen)
        return None if digest is None else _Content(digest, settled=seen.newest_ns < now - _RACY_NS, remembered=False)

    def _recall(self, seen: _Seen) -> bytes | None:
        data = self._read(self._seen_file(seen))
        if data is None:
            return None
        record = data.tobytes()
        body, check = record[:-DIGEST_BYTES], record[-DIGEST_BYTES:]
        if len(record) != len(_SEEN_MAGIC) + 3 * DIGEST_BYTES or body[:16] != _SEEN_MAGIC or checksum(body) != check:
            self._count("damaged")
            return None
        token, digest = body[16:48], body[48:]
        return digest if token == seen.token else None

    def _remember(self, seen: _Seen, content: _Content) -> None:
        if content.settled and not content.remembered:
            body = _SEEN_MAGIC + seen.token + content.digest
            self._write(self._seen_file(seen), body, checksum(body))

    def _seen_file(self, seen: _Seen) -> Path:
        return self.folder / f"{checksum(os.fsencode(seen.path)).hex()}{_SEEN}"

    # entries

    def _key(self, digest: bytes, recording: Recording, config: FrontEndConfig, channel: int | None) -> str:
        """Name everything that the features depend on: 64 hexadecimal digits."""
        start, end = (None if time is None else float(time) for time in (recording.start, recording.end))
        facts: tuple[object, ...] = (start, end, channel)
        if recording.degradation is not None:
            from speakerid.audio.degradations import fingerprint

            facts = (*facts, fingerprint(recording.degradation), recording.degradation_seed)
        return checksum(_settings(config), self._program, digest, repr(facts).encode()).hex()

    def _load(self, key: str) -> Analysis | None:
        data = self._read(self.folder / f"{key}{_ENTRY}")
        if data is None:
            return None
        try:
            return unpack(data, key)
        except DamageError:
            self._count("damaged")
            return None

    def _save(self, key: str, analysis: Analysis) -> None:
        self._write(self.folder / f"{key}{_ENTRY}", *pack(key, analysis))

    # files

    def _read(self, path: Path) -> NDArray[np.uint8] | None:
        """Read a file of the cache and note its use; None if it is not there, or not to be had."""
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return None  # opening a named pipe would wait for its other end
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_size > self.limit_bytes:
                    return None  # no file that is kept is that large
                data = np.empty(status.st_size, dtype=np.uint8)
                data = data[: file.readinto(data.data)]
            if status.st_mtime_ns < time.time_ns() - _USE_NS:
                with contextlib.suppress(OSError):  # removed meanwhile, or somebody else's
                    os.utime(path)
        except OSError:
            return None
        return data

    def _write(self, path: Path, *parts: bytes | memoryview) -> None:
        """Keep a file; or say in `trouble` why not, and write no more."""
        size = sum(len(part) for part in parts)
        if self.trouble is not None or size > self.limit_bytes:
            return
        temporary = path.with_name(f"{path.stem}.{secrets.token_hex(8)}{_TEMPORARY}")
        try:
            try:
                _write_file(temporary, parts)
            except FileNotFoundError:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # voices are nobody else's business
                _write_file(temporary, parts)
            _publish(temporary, path)
            self._trim_when_due(size, keep=path)
        except FileNotFoundError:
            return  # somebody cleared the cache at this moment
        except OSError as error:
            self._complain(error.strerror or str(error))

    def _complain(self, why: str) -> None:
        with self._counting:
            self.trouble = self.trouble or f"{self.folder}: features cannot be kept: {why}; {self._remedy}"

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Give the cache's own files."""
        try:
            with os.scandir(self.folder) as found:
                for item in found:
                    if not _OURS.fullmatch(item.name):
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        status = item.stat(follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode):
                            yield Path(item.path), status
        except FileNotFoundError:
            return

    def _trim_when_due(self, written: int, *, keep: Path) -> None:
        with self._trimming:
            self._written += written
            if self._total is not None:
                self._total += written
                if self._total <= self.limit_bytes and self._written <= _LOOK_AFTER * self.limit_bytes:
                    return
            self._total, self._written = self._trim(keep), 0
            if self._total > self.limit_bytes:
                self._complain(f"older files cannot be removed, and they fill {format_size(self.limit_bytes)}")

    def _trim(self, keep: Path) -> int:
        """Remove what killed processes left and, over the limit, what was not used for longest; return what is left."""
        long_ago = time.time_ns() - _STALE_TEMPORARY_NS
        files = []
        for path, status in self._files():
            if path.suffix != _TEMPORARY:
                files.append((status.st_mtime_ns, status.st_size, path))
            elif status.st_mtime_ns < long_ago:
                with contextlib.suppress(OSError):
                    path.unlink()
        total = sum(size for _, size, _ in files)
        if total <= self.limit_bytes:
            return total
        for _, size, path in sorted(files):
            if total <= _TRIM_TO * self.limit_bytes:
                break
            if path == keep:
                continue
            with contextlib.suppress(PermissionError):  # Windows, where somebody is reading it
                path.unlink(missing_ok=True)
                total -= size
        return total


def _write_file(path: Path, parts: tuple[bytes | memoryview, ...]) -> None:
    """Write a new file, whole or not at all."""
    try:
        with path.open("xb") as file:
            for part in parts:
                file.write(part)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def _publish(temporary: Path, path: Path) -> None:
    try:
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        # Windows does not replace a file that somebody reads; then it is there already
        if not (isinstance(error, PermissionError) and path.is_file()):
            raise


def _digest_file(seen: _Seen) -> bytes | None:
    """Read a file that is as it was seen; None if it is not, or cannot be read."""
    try:
        with seen.path.open("rb", buffering=0) as file:
            if _Seen.of(seen.path, os.fstat(file.fileno())) != seen:
                return None
            # what changes while it is read is noticed by `_still`
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).digest()
    except OSError:
        return None


def _still(seen: _Seen, content: _Content) -> bool:
    """Tell whether a file has been the same all the time since it was seen."""
    try:
        unchanged = _Seen.of(seen.path, seen.path.stat()) == seen
    except OSError:
        return False
    # the times of a file that was written just now prove nothing: look at the bytes again
    return unchanged and (content.settled or _digest_file(seen) == content.digest)


@functools.lru_cache(maxsize=64)
def _settings(config: FrontEndConfig) -> bytes:
    """Digest of what static features depend on beside the recording and our own code."""
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name not in _APPLIED_LATER}
    libraries = (*_LIBRARIES, "librosa") if config.engine == "librosa" else _LIBRARIES
    facts = [settings, {name: _version(name) for name in libraries}, _sound_library(), *_computer()]
    return checksum(json.dumps(facts, sort_keys=True).encode())


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _sound_library() -> str:
    import soundfile

    return str(soundfile.__libsndfile_version__)


def _computer() -> tuple[str, str]:
    # a home folder may be on the network; another processor's arithmetic rounds differently
    return sys.platform, platform.machine()


@functools.cache
def _program(package: Path = Path(__file__).parents[1]) -> bytes:
    """Digest of the code that makes features, so that a changed program never gives those of the old one."""
    return source_digest(_SOURCES, package)


def source_digest(sources: Sequence[str], package: Path) -> bytes:
    """Digest of modules and folders of a package, and of the version."""
    total: list[bytes] = [__version__.encode()]
    for source in sources:
        path = package / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            total += [file.relative_to(package).as_posix().encode(), checksum(file.read_bytes())]
    return checksum(json.dumps([part.hex() for part in total]).encode())


def default_cache_folder() -> Path:
    """Return the folder that the environment variable SPEAKERID_CACHE names, or else the operating system's for caches."""
    named = os.environ.get(_FOLDER_VARIABLE)
    if named:
        return Path(named)
    import platformdirs

    return platformdirs.user_cache_path("speakerid", appauthor=False)


def default_cache_limit() -> int:
    """Return the size in bytes that the environment variable SPEAKERID_CACHE_LIMIT allows, or else 2 GB.

    Raises
    ------
    UsageError
        It is no size.
    """
    text = os.environ.get(_LIMIT_VARIABLE)
    if not text:
        return DEFAULT_LIMIT_BYTES
    try:
        return parse_size(text)
    except UsageError as error:
        raise UsageError(f"{_LIMIT_VARIABLE}: {error}") from None
