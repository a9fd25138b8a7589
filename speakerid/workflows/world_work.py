"""The work folder of a training of a world model: frames, a journal of what they are of, the mixture after every step.

What is kept carries digests, and is believed as far as they are right; one training at a time has the folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from speakerid._version import __version__
from speakerid.audio import Recording
from speakerid.config import Config, TrainingConfig, to_dict
from speakerid.errors import RecordingError, TrainingError, UsageError
from speakerid.frontend import finish
from speakerid.mixtures import GaussianMixture, split_components, train
from speakerid.parallel import map_in_order
from speakerid.workflows.analysis import Analysis, analyse_for_training, located
from speakerid.workflows.enroll import Problem

if sys.platform == "win32":
    import msvcrt

    def _lock(number: int) -> None:
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


__all__ = ["FRAMES_A_COMPONENT", "NAMES", "Found", "WorldWork", "exclusive", "has_journal"]

# names that nobody else gives: the folder may be one of the user's, and they are removed at the end
_FRAMES, _JOURNAL, _KEPT = "speakerid-frames.f32", "speakerid-frames.jsonl", "speakerid-mixture.json"
_PARTIAL, _LOCK = "speakerid-mixture.partial", "speakerid-lock"
NAMES = (_FRAMES, _JOURNAL, _KEPT, _PARTIAL, _LOCK)
_LOCK_ATTEMPTS = 100
_ARRAYS = ("weights", "means", "covariances")
_ITERATIONS_A_LEVEL = 3
_ITERATIONS_A_STEP = 5
FRAMES_A_COMPONENT = 50
# recordings of so much are analysed at a time, and their features are in memory
_BATCH_BYTES, _BYTES_A_SECOND = 64 << 20, 32_000
_BLOCK_BYTES = 1 << 20
_PROBLEM_KEYS = {each.name for each in dataclasses.fields(Problem)}


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Have the work folder alone; it is removed when nothing is kept in it.

    The system releases the lock when a process ends, however it ends.
    """
    file = _locked(folder)
    try:
        yield
    finally:
        if not any((folder / name).exists() for name in NAMES if name != _LOCK):
            if sys.platform == "win32":  # where an open file cannot be removed
                file.close()
            with contextlib.suppress(OSError):  # the user's own things are in the folder
                (folder / _LOCK).unlink()
                folder.rmdir()
        file.close()


def _locked(folder: Path) -> BinaryIO:
    """Make the folder, and open and lock its lock file."""
    path = folder / _LOCK
    for _attempt in range(_LOCK_ATTEMPTS):
        _make_folder(folder)
        # a training that ends removes file and folder: what was opened just before is then the lock of nobody
        with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as opened:
            file = opened.enter_context(path.open("ab"))
            try:
                _lock(file.fileno())
            except (BlockingIOError, PermissionError):
                break
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise UsageError(f"{folder}: cannot be locked ({reason}); give another --work-folder") from None
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                opened.pop_all()
                return file
    raise UsageError(f"another training uses {folder}; wait for it or give another --work-folder")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        if os.path.lexists(folder):  # or another training has removed its folder just now
            raise UsageError(f"{folder}: is a file, not a folder; give another --work-folder") from None
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError(f"{folder}: the work folder cannot be made ({reason}); give another --work-folder") from None
    for name in NAMES:
        with contextlib.suppress(FileNotFoundError):
            # a link would be written through, a pipe waited for
            if not stat.S_ISREG((folder / name).lstat().st_mode):
                raise UsageError(f"{folder / name}: is not a regular file; remove it or give another --work-folder")


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in an error that does not: writing to an open file does not say where."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def has_journal(folder: Path) -> bool:
    """Whether a training has left something."""
    return (folder / _JOURNAL).exists()


@dataclass(frozen=True)
class _Entry:
    """What became of one recording: the audio's hash and its frames in the file, or a problem."""

    content_hash: str
    frames: int = 0
    problem: dict[str, str] | None = None

    @property
    def is_plain(self) -> bool:
        """Everything has the type it was written with."""
        problem = self.problem
        return (
            type(self.content_hash) is str
            and type(self.frames) is int
            and self.frames >= 0
            and (problem is None or (isinstance(problem, dict) and problem.keys() == _PROBLEM_KEYS
                                     and all(isinstance(text, str) for text in problem.values())))
        )  # fmt: skip

    def to_line(self) -> bytes:
        """What its digest is of, besides the frames."""
        return _line(dataclasses.asdict(self))


@dataclass(frozen=True, eq=False)
class Found:
    """The frames (n, d), as they are in the file, and what they are of."""

    matrix: NDArray[np.float32]
    entries: list[_Entry]

    @property
    def n_frames(self) -> int:
        """Frames, of all recordings."""
        return len(self.matrix)

    @property
    def hashes(self) -> list[str]:
        """Content hashes of the recordings used, sorted."""
        return sorted({e.content_hash for e in self.entries if e.problem is None})

    @property
    def list_hash(self) -> str:
        """SHA-256 of the content hashes, in hexadecimal."""
        return hashlib.sha256("\n".join(self.hashes).encode()).hexdigest()

    @property
    def problems(self) -> list[Problem]:
        """Recordings that could not be used."""
        return [Problem(**e.problem) for e in self.entries if e.problem is not None]

    @property
    def duplicates(self) -> int:
        """Recordings with the same audio as another one."""
        return len(self.entries) - len(self.problems) - len(self.hashes)


class WorldWork:
    """The work folder: the frames, a journal of what they are of, and the mixture after every step."""

    def __init__(
        self,
        folder: Path,
        recordings: Sequence[Recording],
        config: Config,
        components: int,
        iterations: int,
        variance_floor: float,
        channel: int | None,
    ) -> None:
        self.folder, self.recordings, self.config = folder, recordings, config
        self.components, self.iterations, self.variance_floor, self.channel = (
            components, iterations, variance_floor, channel,
        )  # fmt: skip
        self.resumed = False
        task = [
            [(r.path, _stamp(r.path), r.start, r.end, str(r.degradation or ""), r.degradation_seed) for r in recordings],
            to_dict(config.front_end), channel,
            config.decision.minimum_speech_seconds, __version__,
        ]  # fmt: skip
        self.task = hashlib.sha256(json.dumps(task).encode()).hexdigest()

    def frames(self, jobs: int, progress: Callable[[int], None] | None) -> Found:
        """Analyse the recordings that an earlier run has not analysed."""
        entries, journal_size, running = self._entries()
        self.resumed = bool(entries)
        width = self.config.front_end.n_features
        hashes = {entry.content_hash for entry in entries}
        frames_path, journal_path = self.folder / _FRAMES, self.folder / _JOURNAL
        with (
            _naming(frames_path), frames_path.open("ab") as frames_file,
            _naming(journal_path), journal_path.open("ab") as journal,
        ):  # fmt: skip
            # what was written and not noted, or half noted, is written again
            journal.truncate(journal_size)
            frames_file.truncate(4 * width * sum(entry.frames for entry in entries))
            if not journal_size:
                _append(journal, _line({"task": self.task}))
            for recording, result in self._analysed(self.recordings[len(entries) :], jobs):
                data = b""
                if isinstance(result, RecordingError):
                    problem = Problem(recording.path, result.reason, located(recording, str(result)))
                    entry = _Entry("", problem=dataclasses.asdict(problem))
                else:
                    entry = _Entry(result.content_hash or "")
                    if entry.content_hash not in hashes:
                        values = finish(result.static, self.config.front_end).speech_values
                        data = np.ascontiguousarray(values, dtype=np.float32).tobytes()
                        entry = dataclasses.replace(entry, frames=len(values))
                    hashes.add(entry.content_hash)
                _append(frames_file, data)
                running.update(entry.to_line())
                running.update(data)
                _append(journal, _line(dataclasses.asdict(entry) | {"digest": running.hexdigest()}))
                entries.append(entry)
                if progress is not None:
                    progress(len(entries))
        n_frames = sum(entry.frames for entry in entries)
        if not n_frames:
            self.remove()
            problems = Found(np.empty((0, width), np.float32), entries).problems
            first = f": {problems[0].message}" if problems else ""
            raise UsageError(f"none of {len(self.recordings)} recordings can be used{first}")
        return Found(np.memmap(frames_path, dtype=np.float32, mode="r", shape=(n_frames, width)), entries)

    def _entries(self) -> tuple[list[_Entry], int, hashlib.blake2b]:
        """What an earlier run has noted of the same recordings, so many bytes of its journal, and the digest so far.

        A line's digest is of the task, all lines and all frames up to there: from the first that is wrong on, nothing is
        believed.
        """
        entries: list[_Entry] = []
        size = 0
        running = hashlib.blake2b(self.task.encode(), digest_size=16)
        with (
            contextlib.suppress(OSError, ValueError, TypeError, RecursionError),
            (self.folder / _JOURNAL).open("rb") as journal,
            (self.folder / _FRAMES).open("rb") as frames,
        ):
            if journal.readline() != _line({"task": self.task}):
                return entries, 0, running
            size = journal.tell()
            for line in journal:
                values = json.loads(line)
                if not isinstance(values, dict):
                    break
                digest = values.pop("digest", None)
                entry = _Entry(**values)
                if len(entries) == len(self.recordings) or not line.endswith(b"\n") or not entry.is_plain:
                    break
                further = running.copy()
                further.update(entry.to_line())
                if not _update(further, frames, 4 * self.config.front_end.n_features * entry.frames):
                    break
                if further.hexdigest() != digest:
                    break
                entries.append(entry)
                size += len(line)
                running = further
        return entries, size, running

    def _analysed(
        self, recordings: Sequence[Recording], jobs: int
    ) -> Iterator[tuple[Recording, Analysis | RecordingError]]:
        work = partial(
            analyse_for_training,
            config=self.config.front_end,
            channel=self.channel,
            minimum_seconds=self.config.decision.minimum_speech_seconds,
        )
        for batch in _batches(recordings, jobs):
            yield from zip(batch, map_in_order(work, batch, jobs), strict=True)

    def train(
        self, found: Found, jobs: int | None, progress: Callable[[int, int], None] | None
    ) -> tuple[GaussianMixture, float]:
        """Grow and settle the mixture; give it and its log-likelihood, nats a frame."""
        step = self._kept(found)
        while not step.done:
            step = self._next(step, found, jobs)
            if progress is not None:
                progress(step.mixture.n_components, step.iterations)
            if not step.done:
                self._keep(step, found)
        return step.mixture, step.log_likelihood

    def _next(self, step: _Step, found: Found, jobs: int | None) -> _Step:
        """One level of splitting, or some iterations with all components."""
        growing = step.mixture.n_components < self.components
        start = split_components(step.mixture, self.components) if growing else step.mixture
        settling = start.n_components == self.components
        asked = min(_ITERATIONS_A_STEP, self.iterations - step.iterations) if settling else _ITERATIONS_A_LEVEL
        settings = TrainingConfig(
            components=start.n_components,
            iterations=asked,
            variance_floor=self.variance_floor,
            minimum_frames_per_component=1,
        )
        try:
            mixture, record = train(found.matrix, settings, start=start, jobs=jobs)
        except TrainingError as error:
            raise UsageError(f"the world model cannot be trained: {error}") from None
        iterations = step.iterations + len(record.log_likelihoods) - 1 if settling else 0
        stuck = growing and mixture.n_components <= step.mixture.n_components
        done = stuck or (settling and (record.converged or iterations >= self.iterations))
        return _Step(mixture, iterations, record.log_likelihoods[-1], done)

    def _kept(self, found: Found) -> _Step:
        """Where an earlier run stopped, or the beginning: one Gaussian."""
        kept = _read_json(self.folder / _KEPT)
        if kept is not None and kept.pop("digest", None) == _digest(kept) and kept.get("task") == self._task(found):
            with contextlib.suppress(KeyError, TypeError, ValueError):
                mixture = GaussianMixture(*(kept[name] for name in _ARRAYS))
                iterations, log_likelihood = kept["iterations"], kept["log_likelihood"]
                fits = mixture.n_components <= self.components and mixture.n_features == found.matrix.shape[1]
                if (
                    fits
                    and type(iterations) is int
                    and 0 <= iterations < self.iterations
                    and math.isfinite(log_likelihood)
                ):
                    return _Step(mixture, iterations, log_likelihood, done=False)
        settings = TrainingConfig(components=1, iterations=1, variance_floor=self.variance_floor)
        mixture, record = train(found.matrix, settings)
        return _Step(mixture, 0, record.log_likelihoods[-1], done=self.components == 1)

    def _keep(self, step: _Step, found: Found) -> None:
        # JSON writes every digit of a float64: going on gives what going through would have given
        arrays = {name: getattr(step.mixture, name).tolist() for name in _ARRAYS}
        values = {
            "task": self._task(found),
            "iterations": step.iterations,
            "log_likelihood": step.log_likelihood,
        } | arrays
        partial_file = self.folder / _PARTIAL
        with _naming(partial_file):
            partial_file.write_text(json.dumps(values | {"digest": _digest(values)}), encoding="utf-8")
        partial_file.replace(self.folder / _KEPT)

    def _task(self, found: Found) -> str:
        return json.dumps([self.task, found.list_hash, self.components, self.iterations, self.variance_floor])

    def remove(self) -> None:
        """Remove what was kept; the lock and the folder go when it is left."""
        for name in NAMES:
            if name != _LOCK:
                (self.folder / name).unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class _Step:
    """What there is after some iterations with all components, or 0 while they are growing."""

    mixture: GaussianMixture
    iterations: int
    log_likelihood: float
    done: bool


def _read_json(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        values = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(values, dict):
            return values
    return None


def _batches(recordings: Sequence[Recording], jobs: int) -> Iterator[list[Recording]]:
    """As many recordings at a time as there are workers, and more where they are small."""
    batch: list[Recording] = []
    total = 0.0
    for recording in recordings:
        size = float((_stamp(recording.path) or (0, 0))[0])
        if recording.end is not None:
            size = min(size, (recording.end - (recording.start or 0.0)) * _BYTES_A_SECOND)
        if len(batch) >= jobs and total + size > _BATCH_BYTES:
            yield batch
            batch, total = [], 0.0
        batch.append(recording)
        total += size
    if batch:
        yield batch


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _append(file: BinaryIO, data: bytes) -> None:
    with _naming(Path(file.name)):
        file.write(data)
        file.flush()


def _digest(values: dict[str, Any]) -> str:
    # every float64 is written with all its digits, so what is read back is the same text
    return hashlib.blake2b(json.dumps(values).encode(), digest_size=16).hexdigest()


def _update(digest: hashlib.blake2b, file: BinaryIO, size: int) -> bool:
    """Take `size` bytes of a file into a digest, and tell whether there were so many."""
    while size > 0:
        block = file.read(min(size, _BLOCK_BYTES))
        if not block:
            return False
        digest.update(block)
        size -= len(block)
    return True


def _stamp(path: str) -> tuple[int, int] | None:
    """Size and time of a file, which change when it is written again."""
    try:
        status = os.stat(path)  # noqa: PTH116 - the path may be any text
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns
