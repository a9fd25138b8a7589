"""The store: speakers, their recordings' features and their models in one SQLite file.

What is kept of a recording is its static features (see :mod:`speakerid.frontend.features`), about 4 kB a second at the
default settings, so that a speaker can be trained again when recordings are added and the result is the same, bit for
bit, as if all had been enrolled at once. The audio itself is not kept.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeGuard

from speakerid.config import ConfigValues, FrontEndConfig, TrainingConfig, differences, from_stored, to_dict
from speakerid.errors import (
    ConfigError,
    ConflictError,
    DuplicateRecordingError,
    NotAStoreError,
    SpeakerNameError,
    StoreMismatchError,
    UnknownSpeakerError,
    UsageError,
    WorldError,
)
from speakerid.frontend import StaticFeatures
from speakerid.mixtures import GaussianMixture
from speakerid.scoring.calibration import Calibration
from speakerid.store.connection import connect, make_file, transaction, translated
from speakerid.store.names import normal_name
from speakerid.store.rows import (
    RecordingRow,
    SpeakerRow,
    SpeakerUpdate,
    adapted_from_blobs,
    adapted_to_blobs,
    mixture_from_blobs,
    mixture_to_blobs,
)
from speakerid.store.world_file import World

__all__ = ["Store", "settings_rows"]

# nats a frame: of a record somebody else may have written, such that sums and squares stay finite
_LARGEST, _LARGEST_RATIO = 1e300, 1e6
_LARGEST_DECIBELS = 500.0

_COPIED = {
    "recordings": "content_hash, source, session, source_rate, seconds, speech_seconds, enrolled, n_frames, n_static,"
    " cepstra, speech",
    "models": "n_components, n_features, weights, means, variances, record",
}


def settings_rows(
    front_end: FrontEndConfig, training: TrainingConfig, world: World | None = None, *, created: str, version: str
) -> dict[str, str]:
    """Return the rows of the table ``settings``."""
    rows = {
        "front_end": json.dumps(to_dict(front_end)),
        "training": json.dumps(to_dict(training)),
        "created": created,
        "version": version,
    }
    return rows if world is None else rows | {"world": base64.b64encode(world.to_bytes()).decode("ascii")}


class Store:
    """An open store; use it in a ``with`` statement.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    StoreNotFoundError, NotAStoreError, StoreError
        There is no store, the file is something else, or it cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._connection = connect(self.path)
        try:
            settings = self._settings()
            self.front_end = self._read_settings(FrontEndConfig, settings.get("front_end"))
            self.training = self._read_settings(TrainingConfig, settings.get("training"))
            self.created = settings.get("created", "")
            self.world = self._read_world(settings.get("world"))
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(
        cls,
        path: str | Path,
        front_end: FrontEndConfig,
        training: TrainingConfig,
        world: World | None = None,
        *,
        version: str,
        updates: Sequence[SpeakerUpdate] = (),
    ) -> Store:
        """Make a store with its first speakers, whole or not at all, and open it.

        If there is one already, that one is opened.

        Raises
        ------
        ConflictError
            There is one already, so the updates were not written.
        """
        if training.method == "map" and world is None:
            raise UsageError(f"{path}: speakers who are adapted need a world model")
        settings = settings_rows(front_end, training, world, created=_now(), version=version)

        def fill(temporary: Path) -> None:
            if updates:
                with cls(temporary) as store:
                    store.write(updates)

        if not make_file(Path(path), settings, fill) and updates:
            raise ConflictError(f"{path} was made by another process")
        return cls(path)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # reading ----------------------------------------------------------------------------------------------------------

    def _query(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with translated(self.path):
            return self._connection.execute(statement, values).fetchall()

    def _settings(self) -> dict[str, str]:
        return dict(self._query("SELECT name, value FROM settings"))

    def _read_settings(self, kind: type[ConfigValues], text: str | None) -> ConfigValues:
        try:
            return from_stored(kind, json.loads(text or "null"))
        except (ValueError, RecursionError, ConfigError) as error:
            raise NotAStoreError(f"{self.path}: the store's settings cannot be read: {error}") from None

    def _read_world(self, text: str | None) -> World | None:
        """The copy of the world model that the store's speakers were adapted from."""
        try:
            world = None
            if text is not None:
                world = World.from_bytes(base64.b64decode(text, validate=True), where=f"{self.path}, world model")
            elif self.training.method == "map":
                raise NotAStoreError(f"{self.path}: the store's world model is missing; the store is damaged")
        except (ValueError, WorldError) as error:
            raise NotAStoreError(f"{self.path}: the store's world model is damaged: {error}") from None
        if world is not None and world.front_end != self.front_end:
            raise NotAStoreError(f"{self.path}: the store's world model is of other features; the store is damaged")
        return world

    @property
    def calibration(self) -> Calibration | None:
        """The calibration that was fitted to the store's speakers, if one was.

        Read when it is asked for: a damaged one can be forgotten or made again.

        Raises
        ------
        NotAStoreError
            It is damaged.
        """
        rows = self._query("SELECT value FROM settings WHERE name = 'calibration'")
        try:
            return Calibration.from_dict(json.loads(rows[0][0])) if rows else None
        except (ValueError, RecursionError) as error:
            raise NotAStoreError(
                f"{self.path}: the store's calibration is damaged ({error}); make it again: speakerid calibrate, "
                "or go back to the one that comes with the program: speakerid calibrate --forget"
            ) from None

    def write_calibration(self, calibration: Calibration | None) -> None:
        """Keep a calibration of the store's own; None goes back to the one that comes with the program."""
        with translated(self.path), transaction(self._connection):
            self._connection.execute("DELETE FROM settings WHERE name = 'calibration'")
            if calibration is not None:
                self._connection.execute(
                    "INSERT INTO settings (name, value) VALUES ('calibration', ?)", (json.dumps(calibration.to_dict()),)
                )

    def names(self) -> list[str]:
        """All speakers in the order of their names."""
        return [self._name(row[0]) for row in self._query("SELECT name FROM speakers ORDER BY name")]

    def _name(self, text: str) -> str:
        """Check a name that was read: somebody else may have written it."""
        with contextlib.suppress(SpeakerNameError):
            if normal_name(text) == text:
                return text
        raise NotAStoreError(f"{self.path}: {text!a} cannot be a speaker's name; the store is damaged")

    def _require_seconds(self, *values: float) -> None:
        if not all(math.isfinite(value) and value >= 0 for value in values):
            raise NotAStoreError(f"{self.path}: a recording's length is no number of seconds; the store is damaged")

    def speakers(self) -> list[SpeakerRow]:
        """All speakers with their totals, in the order of their names."""
        rows = self._query(
            "SELECT s.name, s.created, s.changed, count(r.id), coalesce(sum(r.seconds), 0.0),"
            " coalesce(sum(r.speech_seconds), 0.0), coalesce(m.n_components, 0)"
            " FROM speakers s LEFT JOIN recordings r ON r.speaker_id = s.id LEFT JOIN models m ON m.speaker_id = s.id"
            " GROUP BY s.id ORDER BY s.name"
        )
        speakers = [SpeakerRow(*row) for row in rows]
        for speaker in speakers:
            self._name(speaker.name)
            self._require_seconds(speaker.seconds, speaker.speech_seconds)
        return speakers

    def speaker(self, name: str) -> SpeakerRow:
        """One speaker.

        Raises
        ------
        UnknownSpeakerError
            Nobody of that name is enrolled.
        """
        name = normal_name(name)
        for row in self.speakers():
            if row.name == name:
                return row
        raise self._unknown(name)

    def _unknown(self, name: str) -> UnknownSpeakerError:
        known = self.names()
        listed = ", ".join(known[:8]) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
        return UnknownSpeakerError(f"no speaker {name!r} in {self.path}; enrolled: {listed or 'nobody'}")

    def recordings(self, name: str) -> list[RecordingRow]:
        """A speaker's recordings, in the order of their content hashes."""
        rows = self._query(
            "SELECT r.content_hash, r.source, r.session, r.source_rate, r.seconds, r.speech_seconds, r.enrolled,"
            " r.n_frames"
            " FROM recordings r JOIN speakers s ON s.id = r.speaker_id WHERE s.name = ? ORDER BY r.content_hash",
            (name,),
        )
        recordings = [RecordingRow(*row) for row in rows]
        for recording in recordings:
            self._require_seconds(recording.seconds, recording.speech_seconds)
        return recordings

    def source_rates(self) -> tuple[int, int]:
        """Return the lowest and the highest rate in Hz at which enrolled recordings were made; 0 if there are none."""
        lowest, highest = self._query(
            "SELECT coalesce(min(source_rate), 0), coalesce(max(source_rate), 0) FROM recordings"
        )[0]
        return int(lowest), int(highest)

    def owners(self) -> dict[str, str]:
        """Whose each recording is: content hash to speaker."""
        return dict(
            self._query("SELECT r.content_hash, s.name FROM recordings r JOIN speakers s ON s.id = r.speaker_id")
        )

    def static_features(self, name: str) -> Iterator[tuple[str, StaticFeatures]]:
        """Yield a speaker's recordings, content hash and features, in the order of their content hashes.

        Raises
        ------
        NotAStoreError
            An array does not have the shape it should have.
        """
        for recording in self.recordings(name):
            rows = self._query(
                "SELECT n_frames, n_static, cepstra, speech FROM recordings WHERE content_hash = ?",
                (recording.content_hash,),
            )
            for n_frames, n_static, cepstra, speech in rows:
                try:
                    if n_static != self.front_end.n_static:
                        raise ValueError(f"expected {self.front_end.n_static} cepstra a frame, got {n_static}")  # noqa: TRY301
                    static = StaticFeatures.from_bytes(cepstra, speech, n_frames, n_static)
                except ValueError as error:
                    raise NotAStoreError(
                        f"{self.path}: the features of {recording.source} ({name}) are damaged: {error}; "
                        "remove the speaker and enrol again"
                    ) from None
                yield recording.content_hash, static

    def mixtures(self) -> dict[str, GaussianMixture]:
        """All models, in the order of the speakers' names.

        Raises
        ------
        NotAStoreError
            An array does not have the shape it should have, or is no mixture.
        """
        rows = self._query(
            "SELECT s.name, m.n_components, m.n_features, m.weights, m.means, m.variances"
            " FROM models m JOIN speakers s ON s.id = m.speaker_id ORDER BY s.name"
        )
        return {self._name(name): self._mixture(name, *blobs) for name, *blobs in rows}

    @property
    def _adapted_from(self) -> GaussianMixture | None:
        """The world model whose weights and variances the speakers have, if they have them."""
        return self.world.mixture if self.training.only_means and self.world is not None else None

    def _mixture(self, name: str, *blobs: Any) -> GaussianMixture:
        world = self._adapted_from
        try:
            # stores of before wrote weights and variances again
            if world is not None and not blobs[2] and not blobs[4]:
                return adapted_from_blobs(*blobs, world=world)
            mixture = mixture_from_blobs(
                *blobs, expected_features=self.front_end.n_features, covariance=self.training.covariance
            )
        except ValueError as error:
            raise NotAStoreError(
                f"{self.path}: the model of {name} is damaged: {error}; remove the speaker and enrol again"
            ) from None
        return mixture

    def records(self) -> dict[str, dict[str, Any]]:
        """How the training of every speaker went, in the order of the speakers' names."""
        rows = self._query(
            "SELECT s.name, m.record FROM models m JOIN speakers s ON s.id = m.speaker_id ORDER BY s.name"
        )
        return {self._name(name): self._record(name, text) for name, text in rows}

    def model(self, name: str) -> tuple[GaussianMixture, dict[str, Any]]:
        """One speaker's mixture and how its training went.

        Raises
        ------
        UnknownSpeakerError
            Nobody of that name is enrolled.
        """
        rows = self._query(
            "SELECT m.n_components, m.n_features, m.weights, m.means, m.variances, m.record"
            " FROM models m JOIN speakers s ON s.id = m.speaker_id WHERE s.name = ?",
            (normal_name(name),),
        )
        if not rows:
            raise self._unknown(name)
        *blobs, record = rows[0]
        return self._mixture(name, *blobs), self._record(name, record)

    def _record(self, name: str, text: str) -> dict[str, Any]:
        """Read how a training went: a dictionary that has at least the history of the log-likelihood."""
        try:
            details = json.loads(text)
        except (ValueError, RecursionError):
            details = None
        history = details.get("log_likelihoods") if isinstance(details, dict) else None
        numbers = isinstance(history, list) and all(map(_is_number, history))
        asked = details.get("components_asked", 0) if isinstance(details, dict) else None
        considered = details.get("considered", []) if isinstance(details, dict) else None
        pairs = isinstance(considered, list) and all(
            isinstance(p, list)
            and len(p) == 2
            and type(p[0]) is int
            and isinstance(p[1], float)
            and math.isfinite(p[1])
            for p in considered
        )
        held_out = details.get("held_out", []) if isinstance(details, dict) else None
        expected = details.get("expected_ratio") if isinstance(details, dict) else None
        ratios = [*held_out, 0.0 if expected is None else expected] if isinstance(held_out, list) else [None]
        fits = all(_is_number(v) and abs(v) <= _LARGEST_RATIO for v in ratios)
        told = _is_environment(details.get("environment")) if isinstance(details, dict) else False
        if not history or not numbers or not isinstance(asked, int) or not pairs or not fits or not told:
            raise NotAStoreError(f"{self.path}: the training record of {name} is damaged; remove it and enrol again")
        return dict(details)

    def check(self) -> None:
        """Read every page and every array.

        Raises
        ------
        NotAStoreError
            Something is damaged.
        """
        problems = [row[0] for row in self._query("PRAGMA quick_check") if row[0] != "ok"]
        if problems:
            first = " ".join(problems[0].split())
            raise NotAStoreError(f"{self.path}: damaged: {first}; restore it from a copy, or enrol again")
        _ = self.calibration
        for name in self.names():
            self.model(name)
            for _hash, _static in self.static_features(name):
                pass

    # writing ----------------------------------------------------------------------------------------------------------

    def write(self, updates: Sequence[SpeakerUpdate]) -> None:
        """Write changes of speakers in one transaction.

        Raises
        ------
        ConflictError
            A speaker's recordings are not the expected ones any more, or an added recording has been enrolled
            meanwhile. Nothing was written.
        """
        with translated(self.path), transaction(self._connection):
            for update in updates:
                present = frozenset(recording.content_hash for recording in self.recordings(update.name))
                if present != update.expected:
                    raise ConflictError(f"{update.name} was changed by another process")
                if update.replace:
                    # all of them first: two speakers may have been enrolled under each other's names
                    self._connection.execute("DELETE FROM speakers WHERE name = ?", (update.name,))
            for update in updates:
                self._write(update)

    def _write(self, update: SpeakerUpdate) -> None:
        execute = self._connection.execute
        now = _now()
        execute(
            "INSERT INTO speakers (name, created, changed) VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET changed = excluded.changed",
            (update.name, now, now),
        )
        (speaker_id,) = execute("SELECT id FROM speakers WHERE name = ?", (update.name,)).fetchone()
        for new in update.added:
            cepstra, speech = new.static.to_bytes()
            try:
                execute(
                    "INSERT INTO recordings (speaker_id, content_hash, source, session, source_rate, seconds,"
                    " speech_seconds, enrolled, n_frames, n_static, cepstra, speech)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        speaker_id, new.content_hash, new.source, new.session, new.source_rate, new.seconds,
                        new.speech_seconds, now, len(new.static), new.static.cepstra.shape[1], cepstra, speech,
                    ),
                )  # fmt: skip
            except sqlite3.IntegrityError:
                raise ConflictError(f"{new.source} was enrolled by another process") from None
        to_blobs = mixture_to_blobs if self._adapted_from is None else adapted_to_blobs
        execute(
            "INSERT OR REPLACE INTO models (speaker_id, n_components, n_features, weights, means, variances, record)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (speaker_id, *to_blobs(update.mixture), json.dumps(update.record)),
        )

    def copy_from(self, source: Store, names: Sequence[str], *, replace: bool = False) -> None:
        """Copy speakers of another store, recordings and models, in one transaction.

        Raises
        ------
        StoreMismatchError
            The stores' front ends or training settings differ.
        UnknownSpeakerError
            The other store has nobody of that name.
        UsageError
            A name is enrolled here already (unless `replace`).
        DuplicateRecordingError
            The same audio is enrolled here under another name.
        """
        if self.path.samefile(source.path):
            raise UsageError(f"{self.path}: a store cannot be imported into itself")
        self.require(source.front_end, source.training, whose=str(source.path))
        self.require_world(source.world, whose=str(source.path))
        names = [normal_name(name) for name in names]
        with source.reading():
            self._copy(source, names, replace=replace)

    def _copy(self, source: Store, names: Sequence[str], *, replace: bool) -> None:
        known = set(source.names())
        for name in names:
            if name not in known:
                raise source._unknown(name)
        # read everything once, so that damaged arrays are found before anything is written
        mixtures = source.mixtures()
        for name in names:
            if name not in mixtures:
                raise NotAStoreError(f"{source.path}: {name} has no model; enrol again there")
            for _hash, _static in source.static_features(name):
                pass
        with translated(self.path), transaction(self._connection):
            present = set(self.names())
            for name in names:
                if name in present and not replace:
                    raise UsageError(f"{name!r} is enrolled in {self.path} already; give --replace, or rename it first")
                # all of them first: two speakers may have been enrolled under each other's names
                self._connection.execute("DELETE FROM speakers WHERE name = ?", (name,))
            for name in names:
                self._copy_speaker(source, name)

    def _copy_speaker(self, source: Store, name: str) -> None:
        execute = self._connection.execute
        ((source_id, created, changed),) = source._query(
            "SELECT id, created, changed FROM speakers WHERE name = ?", (name,)
        )
        cursor = execute("INSERT INTO speakers (name, created, changed) VALUES (?, ?, ?)", (name, created, changed))
        for table, columns in _COPIED.items():
            marks = ", ".join("?" * (columns.count(",") + 2))
            insert = f"INSERT INTO {table} (speaker_id, {columns}) VALUES ({marks})"  # noqa: S608 - our own constants
            for row in source._query(f"SELECT {columns} FROM {table} WHERE speaker_id = ?", (source_id,)):  # noqa: S608 - our own constants
                try:
                    execute(insert, (cursor.lastrowid, *row))
                except sqlite3.IntegrityError:
                    raise DuplicateRecordingError(
                        f"{source.path}: a recording of {name} is enrolled in {self.path} under another name; "
                        "remove it there first"
                    ) from None

    def require(self, front_end: FrontEndConfig, training: TrainingConfig, *, whose: str) -> None:
        """Refuse settings other than the store's.

        Parameters
        ----------
        front_end : FrontEndConfig
        training : TrainingConfig
        whose : str
            Where those settings come from, for the message.

        Raises
        ------
        StoreMismatchError
            With both values of every setting that differs.
        """
        unequal = differences(self.front_end, front_end) + differences(self.training, training)
        if unequal:
            raise StoreMismatchError(
                f"{self.path} was made with other settings than {whose}: {'; '.join(unequal)} "
                "(store against asked); use another --db, or leave the settings out"
            )

    def require_world(self, world: World | None, *, whose: str) -> None:
        """Refuse another world model than the store's.

        Raises
        ------
        StoreMismatchError
            There is one here and none there, or they are different.
        """
        here, there = (None if one is None else one.digest for one in (self.world, world))
        if here != there:
            if here is None or there is None:
                what = f"has {'no' if here is None else 'a'} world model, unlike {whose}"
            else:
                what = f"was made with another world model than {whose}"
            raise StoreMismatchError(f"{self.path} {what}; use another --db, or leave the settings out")

    def rename(self, old: str, new: str) -> None:
        """Give a speaker another name.

        Raises
        ------
        UnknownSpeakerError
            Nobody is called `old`.
        UsageError
            Somebody is called `new` already.
        """
        old, new = normal_name(old), normal_name(new)
        with translated(self.path), transaction(self._connection):
            names = self.names()
            if old not in names:
                raise self._unknown(old)
            if new in names and new != old:
                raise UsageError(f"{new!r} is enrolled already; remove it first, or choose another name")
            self._connection.execute("UPDATE speakers SET name = ?, changed = ? WHERE name = ?", (new, _now(), old))

    def remove(self, names: Sequence[str]) -> None:
        """Remove speakers with their recordings and models: all of them, or none when one is unknown.

        Raises
        ------
        UnknownSpeakerError
            Nobody of that name is enrolled.
        """
        with translated(self.path), transaction(self._connection):
            known = set(self.names())
            for name in map(normal_name, names):
                if name not in known:
                    raise self._unknown(name)
                self._connection.execute("DELETE FROM speakers WHERE name = ?", (name,))

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """See one state of the store over several reads, whatever others write."""
        with translated(self.path):
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            with translated(self.path):
                self._connection.execute("COMMIT")


def _is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite number; whole ones in JSON can be larger than any float."""
    return isinstance(value, float | int) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST


def _is_environment(value: object) -> bool:
    """Whether it is what a record says of where recordings were made, or nothing."""
    if value is None:
        return True
    if not isinstance(value, dict) or not isinstance(value.get("narrow"), bool):
        return False
    noise, level = value.get("noise"), value.get("level")
    if not isinstance(noise, list) or not isinstance(level, list) or len(noise) != len(level):
        return False
    return all(_is_number(v) and abs(v) <= _LARGEST_DECIBELS for v in (*noise, *level))


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
