"""Changes: whole or not at all."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from speakerid.config import FrontEndConfig, TrainingConfig
from speakerid.errors import (
    ConflictError,
    DuplicateRecordingError,
    NotAStoreError,
    StoreBusyError,
    StoreError,
    StoreMismatchError,
    UnknownSpeakerError,
    UsageError,
)
from speakerid.store import NewRecording, SpeakerUpdate, Store, export_speakers

Update = Callable[..., SpeakerUpdate]
Models = Callable[[Path], dict[str, tuple[object, ...]]]
Recordings = Callable[[Path], dict[str, set[str]]]
NewStore = Callable[[Path], Store]


# write


def test_recordings_are_added(filled: Path, update: Update, recording: Callable[..., NewRecording]) -> None:
    with Store(filled) as store:
        created = store.speaker("Ann").created
        store.write([update("Ann", 4, expected=(1, 2), model=9)])
        assert store.speaker("Ann").n_recordings == 3
        assert store.speaker("Ann").created == created
        assert store.model("Ann")[0] != store.model("Bob")[0]
        assert recording(4).content_hash in store.owners()


def test_replace_forgets_what_was_there(filled: Path, update: Update, recording: Callable[..., NewRecording]) -> None:
    with Store(filled) as store:
        store.write([update("Ann", 1, 5, expected=(1, 2), replace=True)])
        assert set(store.owners()) == {recording(i).content_hash for i in (1, 3, 5)}
        assert store.speaker("Ann").n_recordings == 2


def test_an_exception_in_the_middle_leaves_the_old_state(filled: Path, update: Update) -> None:
    before = filled.read_bytes()

    def updates() -> Iterator[SpeakerUpdate]:
        yield update("Cat", 7)
        yield update("Ann", 8, expected=(1, 2))
        raise ZeroDivisionError

    with Store(filled) as store:
        with pytest.raises(ZeroDivisionError):
            store.write(updates())
        assert store.names() == ["Ann", "Bob"]
        assert store.speaker("Ann").n_recordings == 2
        assert filled.read_bytes() == before
        store.write([update("Dan", 8)])  # the connection is not stuck in the lost transaction


@pytest.mark.parametrize("expected", [(), (1,), (1, 2, 9), (3,)])
def test_a_changed_speaker_is_a_conflict(filled: Path, update: Update, expected: tuple[int, ...]) -> None:
    before = filled.read_bytes()
    with Store(filled) as store, pytest.raises(ConflictError, match="Ann was changed by another process"):
        store.write([update("Cat", 7), update("Ann", 8, expected=expected)])
    assert filled.read_bytes() == before


def test_a_removed_speaker_is_a_conflict(filled: Path, update: Update) -> None:
    with Store(filled) as store:
        store.remove(["Ann"])
        with pytest.raises(ConflictError):
            store.write([update("Ann", 8, expected=(1, 2))])
        assert store.names() == ["Bob"]


def test_audio_that_somebody_else_enrolled_meanwhile_is_a_conflict(filled: Path, update: Update) -> None:
    before = filled.read_bytes()
    with Store(filled) as store, pytest.raises(ConflictError, match=r"recording-3\.wav"):
        store.write([update("Ann", 3, expected=(1, 2))])
    assert filled.read_bytes() == before


def test_a_held_store_is_busy_in_plain_words(filled: Path, update: Update, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speakerid.store.connection._WAIT_SECONDS", 0.0)
    holder = sqlite3.connect(filled, isolation_level=None)
    try:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusyError, match="another process has been writing"):
            Store(filled)
        holder.execute("ROLLBACK")
        holder.execute("BEGIN IMMEDIATE")
        with Store(filled) as store:  # a writer that has not committed does not keep readers out
            assert store.names() == ["Ann", "Bob"]
            with pytest.raises(StoreBusyError):
                store.write([update("Cat", 7)])
    finally:
        holder.close()


def test_reading_sees_one_state(filled: Path, update: Update, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speakerid.store.connection._WAIT_SECONDS", 0.0)
    with Store(filled) as store:
        with store.reading():
            before = store.owners()
            with Store(filled) as other, pytest.raises(StoreBusyError):
                other.write([update("Cat", 7)])
            assert store.owners() == before
        with Store(filled) as other:
            other.write([update("Cat", 7)])
        assert len(store.owners()) == len(before) + 1


def test_a_store_that_was_busy_at_the_commit_can_be_written_afterwards(
    filled: Path, update: Update, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speakerid.store.connection._WAIT_SECONDS", 0.0)
    with Store(filled) as store, Store(filled) as reader:
        with reader.reading():
            reader.names()
            with pytest.raises(StoreBusyError):
                store.write([update("Cat", 7)])
        store.write([update("Cat", 7)])
        assert reader.names() == ["Ann", "Bob", "Cat"]


# rename and remove


def test_rename_keeps_everything_else(filled: Path, models: Models, recordings: Recordings) -> None:
    old_models, old_recordings = models(filled), recordings(filled)
    with Store(filled) as store:
        store.rename("Ann", "Zoë")
        assert store.names() == ["Bob", "Zoë"]
    assert models(filled)["Zoë"] == old_models["Ann"]
    assert recordings(filled)["Zoë"] == old_recordings["Ann"]
    assert models(filled)["Bob"] == old_models["Bob"]


def test_rename_refuses(filled: Path) -> None:
    before = filled.read_bytes()
    with Store(filled) as store:
        with pytest.raises(UnknownSpeakerError, match="no speaker 'Eve'"):
            store.rename("Eve", "Zoe")
        with pytest.raises(UsageError, match="'Bob' is enrolled already"):
            store.rename("Ann", "Bob")
        with pytest.raises(UsageError, match="path separator"):
            store.rename("Ann", "A/nn")
    assert filled.read_bytes() == before
    with Store(filled) as store:
        store.rename("Ann", "Ann")
        assert store.names() == ["Ann", "Bob"]


def test_remove_is_all_or_none(filled: Path, models: Models, recordings: Recordings) -> None:
    before = filled.read_bytes()
    with Store(filled) as store, pytest.raises(UnknownSpeakerError, match="'Eve'"):
        store.remove(["Ann", "Eve"])
    assert filled.read_bytes() == before
    with Store(filled) as store:
        store.remove(["Ann"])
        assert store.names() == ["Bob"]
        assert set(store.owners().values()) == {"Bob"}
    assert set(models(filled)) == set(recordings(filled)) == {"Bob"}


@pytest.fixture
def careless_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite as it is by default: Debian's overwrites what is deleted unasked, and the tests below could not fail."""
    real = sqlite3.connect

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = real(*arguments, **options)
        connection.execute("PRAGMA secure_delete = OFF")
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect)


@pytest.mark.usefixtures("careless_sqlite")
def test_what_is_removed_is_gone_from_the_file(
    tmp_path: Path, new_store: NewStore, update: Update, recording: Callable[..., NewRecording]
) -> None:
    path = tmp_path / "s.db"
    big = recording(50, n_frames=4000)  # over many pages
    cepstra, _speech = big.static.to_bytes()
    changed = SpeakerUpdate(
        "Secret Name", frozenset(), (big,), update("x", 1).mixture, {"log_likelihoods": [-123.456789]}
    )
    with new_store(path) as store:
        store.write([changed, update("Bob", 3)])
        whole = path.read_bytes()
        pieces = [cepstra[i : i + 32] for i in range(0, len(cepstra), 500)]
        assert sum(piece in whole for piece in pieces) > 0.9 * len(pieces)
        secrets = [b"Secret Name", b"recording-50.wav", big.content_hash.encode(), b"-123.456789"]
        assert all(secret in whole for secret in secrets)
        store.remove(["Secret Name"])
    left = path.read_bytes()
    assert [secret for secret in secrets if secret in left] == []
    assert [piece for piece in pieces if piece in left] == []


@pytest.mark.usefixtures("careless_sqlite")
def test_what_is_replaced_is_gone_from_the_file(
    tmp_path: Path, new_store: NewStore, update: Update, recording: Callable[..., NewRecording]
) -> None:
    path = tmp_path / "s.db"
    with new_store(path) as store:
        store.write([update("Ann", 1, model=41)])
        old = store.mixtures()["Ann"].means.astype("<f4").tobytes()
        features = recording(1).static.to_bytes()[0]
        assert old in path.read_bytes()
        assert features in path.read_bytes()
        store.write([update("Ann", 2, expected=(1,), replace=True, model=42)])
    assert old not in path.read_bytes()
    assert features not in path.read_bytes()


# copies


@pytest.fixture
def other(tmp_path: Path, new_store: NewStore, update: Update) -> Path:
    """Ann with recording 11 and Cat with 12."""
    path = tmp_path / "other.db"
    with new_store(path) as store:
        store.write([update("Ann", 11, model=5), update("Cat", 12, model=6)])
    return path


def test_copies_are_equal(filled: Path, other: Path, models: Models, recordings: Recordings) -> None:
    with Store(filled) as target, Store(other) as source:
        target.copy_from(source, ["Cat"])
        assert target.names() == ["Ann", "Bob", "Cat"]
        assert target.speaker("Cat") == source.speaker("Cat")
        assert target.recordings("Cat") == source.recordings("Cat")
        target.check()
    assert models(filled)["Cat"] == models(other)["Cat"]
    assert recordings(filled)["Cat"] == recordings(other)["Cat"]


def test_a_copy_replaces_only_when_asked(filled: Path, other: Path, models: Models, recordings: Recordings) -> None:
    before = filled.read_bytes()
    with Store(filled) as target, Store(other) as source:
        with pytest.raises(UsageError, match=r"'Ann' is enrolled in .* already; give --replace"):
            target.copy_from(source, ["Cat", "Ann"])
        assert filled.read_bytes() == before
        target.copy_from(source, ["Cat", "Ann"], replace=True)
    assert models(filled)["Ann"] == models(other)["Ann"]
    assert recordings(filled)["Ann"] == recordings(other)["Ann"]
    assert set(recordings(filled)) == {"Ann", "Bob", "Cat"}


def test_copies_refuse(filled: Path, other: Path, tmp_path: Path, update: Update) -> None:
    before = filled.read_bytes()
    with Store(filled) as target, Store(other) as source:
        with pytest.raises(UnknownSpeakerError, match=r"no speaker 'Eve' in .*other\.db; enrolled: Ann, Cat"):
            target.copy_from(source, ["Cat", "Eve"])
        source.write([update("Dan", 3)])  # Bob's recording
        with pytest.raises(DuplicateRecordingError, match=r"a recording of Dan is enrolled in .* under another name"):
            target.copy_from(source, ["Cat", "Dan"])
    settings = (FrontEndConfig(cepstra=3, deltas=0), TrainingConfig(components=7))
    with (
        Store(filled) as target,
        Store.create(tmp_path / "unlike.db", *settings, version="0") as source,
        pytest.raises(StoreMismatchError, match=r"cepstra: 2 against 3; components: 2 against 7") as caught,
    ):
        target.copy_from(source, [])
    assert "unlike.db" in str(caught.value)
    assert filled.read_bytes() == before


def test_damage_is_found_before_anything_is_copied(filled: Path, other: Path, change: Callable[..., None]) -> None:
    before = filled.read_bytes()
    change(other, "UPDATE models SET means = x'00'")
    with Store(filled) as target, Store(other) as source, pytest.raises(NotAStoreError, match=r"other\.db"):
        target.copy_from(source, ["Cat"])
    change(other, "DELETE FROM models")
    with Store(filled) as target, Store(other) as source, pytest.raises(NotAStoreError, match="Cat has no model"):
        target.copy_from(source, ["Cat"])
    assert filled.read_bytes() == before


# exports


def test_an_export_is_a_store_of_those_speakers(
    filled: Path, tmp_path: Path, models: Models, recordings: Recordings
) -> None:
    path = tmp_path / "team.db"
    with Store(filled) as store:
        export_speakers(store, ["Bob"], path, version="1")
    assert models(path) == {"Bob": models(filled)["Bob"]}
    assert recordings(path) == {"Bob": recordings(filled)["Bob"]}
    with Store(path) as copy, Store(filled) as store:
        assert (copy.front_end, copy.training, copy.created) == (store.front_end, store.training, store.created)
        copy.check()
    assert b"Ann" not in path.read_bytes()


def test_exports_refuse_and_leave_nothing_behind(filled: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken.db"
    taken.write_text("mine", encoding="utf-8")
    with Store(filled) as store:
        with pytest.raises(UsageError, match="exists already"):
            export_speakers(store, ["Bob"], taken, version="1")
        with pytest.raises(UnknownSpeakerError):
            export_speakers(store, ["Bob", "Eve"], tmp_path / "new.db", version="1")
        with pytest.raises(StoreError):
            export_speakers(store, ["Bob"], tmp_path / "no" / "new.db", version="1")
    assert taken.read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["filled.db", "taken.db"]


def test_an_export_into_a_missing_folder_names_the_file_asked_for(filled: Path, tmp_path: Path) -> None:
    path = tmp_path / "no" / "new.db"
    with Store(filled) as store, pytest.raises(StoreError) as caught:
        export_speakers(store, ["Bob"], path, version="1")
    assert str(caught.value).startswith(f"{path}: the folder {path.parent} does not exist")


def test_settings_that_differ_are_named_with_both_values(filled: Path) -> None:
    with Store(filled) as store:
        store.require(FrontEndConfig(cepstra=2, deltas=0), TrainingConfig(components=2), whose="mine.toml")
        with pytest.raises(StoreMismatchError) as caught:
            store.require(FrontEndConfig(cepstra=2, deltas=0, window="hamming"), TrainingConfig(), whose="mine.toml")
    message = str(caught.value)
    assert 'window: "hann" against "hamming"' in message
    assert "components: 2 against 16" in message
    assert "mine.toml" in message
    assert "cepstra" not in message


def test_the_training_record_is_json_text(filled: Path) -> None:
    connection = sqlite3.connect(filled)
    try:
        (text,) = connection.execute("SELECT record FROM models").fetchone()
    finally:
        connection.close()
    assert json.loads(text) == {"log_likelihoods": [-2.0, -1.5]}
