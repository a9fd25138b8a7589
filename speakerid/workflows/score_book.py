"""Scores that were computed before: of a run that was stopped, or of one with the same models and recordings.

One file of lines for each set of models; a line is a JSON object with the content hash of a recording and its scores. The
file belongs to what the scores were computed from (recordings enrolled, settings, program), a line to the audio, neither
to a place in a run: what has changed since has another fingerprint or another hash and is scored again. A line carries a
digest, also of the fingerprint: one that a kill cut short, that is damaged or of other models is not believed.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import json
import platform
import re
import stat
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from speakerid.workflows.cache import FeatureCache, source_digest

__all__ = ["ScoreBook", "ScoreBooks", "books_beside", "books_limit", "models_fingerprint"]

_FOLDER = "scores-v1"
_KEPT_SECONDS = 30 * 24 * 3600
_SUFFIX = ".scores.jsonl"
_OURS = re.compile(r"[0-9a-f]{32}\.scores\.jsonl")

Scores = NDArray[np.float64]


def books_limit(cache: FeatureCache) -> int:
    """Bytes that scores may have: an eighth of what features may."""
    return cache.limit_bytes // 8


def books_beside(cache: FeatureCache) -> ScoreBooks | None:
    """Scores that are kept where features are; None if neither is."""
    if cache.is_temporary or cache.limit_bytes == 0:
        return None
    return ScoreBooks(cache.folder.parent, limit_bytes=books_limit(cache))


def models_fingerprint(enrolled: Sequence[tuple[str, Sequence[str]]], settings: dict[str, Any]) -> str:
    """Return 32 hexadecimal digits for models that are learned from these recordings with these settings.

    Parameters
    ----------
    enrolled : sequence of (str, sequence of str)
        Names in the order of the scores, and content hashes.
    settings : dict
    """
    what = [_program(), np.__version__, sys.platform, platform.machine(), settings, enrolled]
    return hashlib.sha256(json.dumps(what).encode("utf-8", "surrogateescape")).hexdigest()[:32]


@functools.cache
def _program() -> str:
    """Digest of our own code, so that a changed program never gives the scores of the old one."""
    return source_digest([""], Path(__file__).parents[1]).hex()


class ScoreBooks:
    """The folder with the files.

    Parameters
    ----------
    folder : Path
        The cache's; the files are in a sub-folder of it.
    limit_bytes : int, optional
        The oldest files go when all together are larger, but never the last one, with which one would go on; those of a
        month ago go anyway. Left out: nothing goes.

    Attributes
    ----------
    found : int
        Scores that were there.
    trouble : str or None
        One line, when nothing can be kept.
    """

    def __init__(self, folder: Path, *, limit_bytes: int | None = None) -> None:
        self.folder = folder / _FOLDER
        self.found = 0
        self.trouble: str | None = None
        if limit_bytes is not None:
            with contextlib.suppress(OSError):
                self._trim(limit_bytes)

    def open(self, models: str, n_speakers: int) -> ScoreBook:
        """Open the file of a set of models."""
        return ScoreBook(self, self.folder / f"{models}{_SUFFIX}", models, n_speakers)

    def files(self) -> list[tuple[Path, int, float]]:
        """Path, bytes and time of last change of every file."""
        found = []
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            with contextlib.suppress(OSError):
                status = path.lstat()
                # others may keep things there too
                if _OURS.fullmatch(path.name) and stat.S_ISREG(status.st_mode):
                    found.append((path, status.st_size, status.st_mtime))
        return found

    def clear(self) -> int:
        """Remove all files and say how many bytes they had."""
        total = 0
        for path, size, _changed in self.files():
            with contextlib.suppress(OSError):
                path.unlink()
                total += size
        return total

    def _trim(self, limit_bytes: int) -> None:
        total = 0
        for number, (path, size, changed) in enumerate(sorted(self.files(), key=lambda file: -file[2])):
            total += size
            if (number and total > limit_bytes) or time.time() - changed > _KEPT_SECONDS:
                path.unlink(missing_ok=True)


class ScoreBook:
    """Scores by content hash; a context manager. Use :meth:`ScoreBooks.open`."""

    def __init__(self, books: ScoreBooks, path: Path, models: str, n_speakers: int) -> None:
        self._books, self._path, self._models, self._n_speakers = books, path, models, n_speakers
        self._known: dict[str, Scores] = {}
        self._file: IO[str] | None = None
        try:
            self._read()
        except FileNotFoundError:
            pass
        except OSError as error:
            self._books.trouble = f"{path}: scores of earlier runs cannot be read: {error.strerror or error}"

    def __enter__(self) -> ScoreBook:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def __len__(self) -> int:
        return len(self._known)

    def get(self, content_hash: str) -> Scores | None:
        """Scores of a recording, (n_speakers,), if they are known."""
        return self._known.get(content_hash)

    def add(self, content_hash: str, scores: Scores) -> None:
        """Keep the scores of a recording, (n_speakers,)."""
        if content_hash in self._known or self._books.trouble is not None:
            return
        self._known[content_hash] = scores
        values = base64.b64encode(scores.astype("<f8").tobytes()).decode("ascii")
        line = {"recording": content_hash, "scores": values, "check": self._check(content_hash, values)}
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("a", encoding="ascii")
            # begins a line of its own, also after one that was cut short
            self._file.write("\n" + json.dumps(line))
            self._file.flush()
        except OSError as error:
            self._books.trouble = f"{self._path}: scores cannot be kept: {error.strerror or error}"

    def _read(self) -> None:
        if not stat.S_ISREG(self._path.stat().st_mode):
            raise OSError(0, "not a regular file")
        with self._path.open("rb") as file:
            for line in file:
                # a damaged line costs its recording's scoring, nothing else
                with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
                    entry = json.loads(line)
                    content_hash, values = str(entry["recording"]), str(entry["scores"])
                    if entry["check"] != self._check(content_hash, values):
                        continue
                    scores = np.frombuffer(base64.b64decode(values, validate=True), dtype="<f8")
                    if scores.shape == (self._n_speakers,) and np.isfinite(scores).all():
                        self._known[content_hash] = scores.astype(np.float64)

    def _check(self, content_hash: str, values: str) -> str:
        text = f"{self._models} {content_hash} {values}"
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
