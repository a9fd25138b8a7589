"""The file: what is in it, and that nothing else is taken for a store."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speakerid.config import FrontEndConfig, TrainingConfig
from speakerid.errors import NotAStoreError, StoreError, StoreNotFoundError
from speakerid.mixtures import GaussianMixture
from speakerid.store import NewRecording, SpeakerUpdate, Store
from speakerid.store.rows import mixture_from_blobs, mixture_to_blobs

Update = Callable[..., SpeakerUpdate]
Change = Callable[..., None]


def everything(path: Path) -> None:
    """Open a store and read all of it."""
    with Store(path) as store:
        store.check()
        store.speakers()
        for name in store.names():
            store.model(name)


def query(path: Path, statement: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


# what is in it


def test_the_header_says_what_it_is(filled: Path) -> None:
    assert query(filled, "PRAGMA application_id") == [(0x53504B49,)]
    assert query(filled, "PRAGMA user_version") == [(1,)]
    header = filled.read_bytes()[:100]
    assert header[68:72] == b"SPKI"
    assert header[60:64] == struct.pack(">I", 1)


def test_models_are_little_endian_float32_rows(filled: Path) -> None:
    ((n_components, n_features, weights, means, variances),) = query(
        filled,
        "SELECT n_components, n_features, weights, means, variances FROM models m"
        " JOIN speakers s ON s.id = m.speaker_id WHERE s.name = 'Ann'",
    )
    assert (n_components, n_features) == (2, 2)
    assert struct.unpack("<2f", weights) == (0.25, 0.75)
    assert struct.unpack("<4f", variances) == (1.0, 2.0, 0.5, 0.25)
    expected = np.random.default_rng(1).standard_normal((2, 2)).astype(np.float32)
    assert struct.unpack("<4f", means) == tuple(expected.ravel().tolist())


def test_features_are_little_endian_float16_and_bits(filled: Path, recording: Callable[..., NewRecording]) -> None:
    new = recording(3)
    ((n_frames, n_static, cepstra, speech),) = query(
        filled, f"SELECT n_frames, n_static, cepstra, speech FROM recordings WHERE content_hash = '{new.content_hash}'"
    )
    assert (n_frames, n_static) == (11, 2)
    assert struct.unpack("<22e", cepstra) == tuple(new.static.cepstra.ravel().tolist())
    bits = "".join(f"{byte:08b}" for byte in speech)
    assert bits == "".join("1" if frame else "0" for frame in new.static.speech) + "00000"


def test_settings_are_in_it_and_come_back(tmp_path: Path) -> None:
    front_end = FrontEndConfig(cepstra=13, deltas=2, mel_low_hz=100.0)
    training = TrainingConfig(components=5, seed=9)
    path = tmp_path / "s.db"
    Store.create(path, front_end, training, version="7.7").close()
    settings = dict(query(path, "SELECT name, value FROM settings"))
    assert json.loads(settings["front_end"])["cepstra"] == 13
    assert json.loads(settings["training"])["components"] == 5
    assert settings["version"] == "7.7"
    with Store(path) as store:
        assert (store.front_end, store.training) == (front_end, training)


def test_a_store_that_does_not_name_newer_settings_keeps_what_was_done_before_them(
    tmp_path: Path, change: Change
) -> None:
    path = tmp_path / "s.db"
    Store.create(path, FrontEndConfig(), TrainingConfig(method="ml"), version="0").close()
    for name, key in (("front_end", "level_range_db"), ("front_end", "c0"), ("training", "method")):
        values = json.loads(dict(query(path, "SELECT name, value FROM settings"))[name])
        del values[key]
        change(path, "UPDATE settings SET value = ? WHERE name = ?", values=(json.dumps(values), name))
    with Store(path) as store:
        assert (store.front_end.level_range_db, store.front_end.c0) == (0.0, "mean_removed")
        assert store.training.method == "ml"


def test_creating_leaves_one_file_and_never_replaces_one(filled: Path, tmp_path: Path) -> None:
    before = filled.read_bytes()
    with Store.create(filled, FrontEndConfig(), TrainingConfig(method="ml"), version="0") as store:
        assert store.names() == ["Ann", "Bob"]
        assert store.front_end.cepstra == 2
    assert filled.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["filled.db"]


def test_what_was_written_comes_back(filled: Path, recording: Callable[..., NewRecording]) -> None:
    with Store(filled) as store:
        assert store.names() == ["Ann", "Bob"]
        ann = store.speaker("Ann")
        assert (ann.n_recordings, ann.n_components) == (2, 2)
        assert ann.seconds == pytest.approx(0.22)
        news = sorted((recording(1), recording(2)), key=lambda new: new.content_hash)
        for new, (content_hash, static) in zip(news, store.static_features("Ann"), strict=True):
            assert content_hash == new.content_hash
            np.testing.assert_array_equal(static.cepstra, new.static.cepstra)
            np.testing.assert_array_equal(static.speech, new.static.speech)
        assert store.owners() == {recording(i).content_hash: "Bob" if i == 3 else "Ann" for i in (1, 2, 3)}
        mixture, record = store.model("Ann")
        assert mixture == store.mixtures()["Ann"]
        assert record == {"log_likelihoods": [-2.0, -1.5]}


def test_a_store_reads_under_an_odd_name(filled: Path, tmp_path: Path) -> None:
    for name in ("a?mode=memory.db", "b#c.db", "100%41.db", "ünï 😀.db", "\udcff.db"):
        path = tmp_path / name
        shutil.copyfile(filled, path)
        with Store(path) as store:
            assert store.names() == ["Ann", "Bob"]


# what is no store


@pytest.fixture
def not_stores(tmp_path: Path) -> dict[str, Path]:
    paths = {name: tmp_path / f"{name}.db" for name in ("empty", "text", "short", "foreign", "blank", "fifo", "folder")}
    paths["empty"].touch()
    paths["text"].write_text("a list of names\n" * 100, encoding="utf-8")
    paths["short"].write_bytes(b"SQLite format 3\x00")
    with contextlib.closing(sqlite3.connect(paths["foreign"])) as connection:
        connection.execute("CREATE TABLE speakers (name TEXT)")
        connection.commit()
    with contextlib.closing(sqlite3.connect(paths["blank"])) as connection:
        connection.execute(f"PRAGMA application_id = {0x53504B49}")
        connection.execute("PRAGMA user_version = 1")
    os.mkfifo(paths["fifo"])
    paths["folder"].mkdir()
    return paths


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("empty", "an empty file"),
        ("text", "no SQLite database"),
        ("short", "not a speakerid store"),
        ("foreign", "a database of another program"),
        ("blank", "its tables are not the ones we make"),
        ("fifo", "not a regular file"),
        ("folder", "a folder"),
    ],
)
def test_what_is_no_store_is_refused_and_left_alone(kind: str, says: str, not_stores: dict[str, Path]) -> None:
    path = not_stores[kind]
    before = path.read_bytes() if path.is_file() else None
    for opening in (Store, lambda p: Store.create(p, FrontEndConfig(), TrainingConfig(method="ml"), version="0")):
        with pytest.raises(NotAStoreError) as caught:
            opening(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert says in message
        assert "\n" not in message
    assert before is None or path.read_bytes() == before
    assert not [p for p in path.parent.iterdir() if p.name.endswith((".new", "-journal", "-wal"))]


def test_a_missing_store_and_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError, match="no store there"):
        Store(tmp_path / "none.db")
    with pytest.raises(StoreError, match=r"the folder .* does not exist"):
        Store.create(tmp_path / "no" / "s.db", FrontEndConfig(), TrainingConfig(method="ml"), version="0")
    with pytest.raises(StoreError):
        Store(f"{tmp_path}/nul\0.db")
    assert list(tmp_path.iterdir()) == []


def test_another_schema_version_is_refused_by_number(filled: Path, change: Change) -> None:
    change(filled, "PRAGMA user_version = 2")
    with pytest.raises(NotAStoreError, match="a store of version 2, this program reads version 1"):
        Store(filled)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER UPDATE ON speakers BEGIN DELETE FROM speakers; END",
        "CREATE VIEW v AS SELECT * FROM speakers",
        "CREATE TABLE more (x)",
        "CREATE INDEX i ON speakers (changed)",
        "DROP INDEX recordings_by_speaker",
        "ALTER TABLE speakers ADD COLUMN extra TEXT",
    ],
)
def test_any_other_schema_is_refused(filled: Path, change: Change, statement: str) -> None:
    change(filled, statement)
    with pytest.raises(NotAStoreError, match="its tables are not the ones we make"):
        Store(filled)


def with_trigger_before_settings(path: Path, source: Path) -> None:
    """A trigger may have a table's name. Here the table of that name comes after it."""
    with contextlib.closing(sqlite3.connect(path)) as connection, contextlib.closing(sqlite3.connect(source)) as old:
        connection.execute(f"PRAGMA application_id = {0x53504B49}")
        connection.execute("PRAGMA user_version = 1")
        schema = dict(old.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))
        settings = schema.pop("settings")
        for sql in schema.values():
            connection.execute(sql)
        connection.execute("CREATE TRIGGER settings AFTER UPDATE ON speakers BEGIN DELETE FROM speakers; END")
        connection.execute(settings)
        for table in ("settings", "speakers"):
            rows = old.execute(f"SELECT * FROM {table}").fetchall()
            connection.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
        connection.commit()


def with_trigger_called_like_sqlites_own(path: Path, source: Path) -> None:
    shutil.copyfile(source, path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        sql = "CREATE TRIGGER sqlite_x AFTER UPDATE ON speakers BEGIN DELETE FROM speakers; END"
        connection.execute("INSERT INTO sqlite_master VALUES ('trigger', 'sqlite_x', 'speakers', 0, ?)", (sql,))
        connection.commit()


@pytest.mark.parametrize("disguise", [with_trigger_before_settings, with_trigger_called_like_sqlites_own])
def test_a_disguised_trigger_never_runs(filled: Path, tmp_path: Path, disguise: Callable[[Path, Path], None]) -> None:
    path = tmp_path / "hostile.db"
    disguise(path, filled)
    try:
        store = Store(path)
    except NotAStoreError:
        return
    with store:
        store.rename("Ann", "Eve")
        assert store.names() == ["Bob", "Eve"]


# damage


def damaged_weights(*values: float) -> tuple[str, bytes]:
    return "UPDATE models SET weights = ?", struct.pack(f"<{len(values)}f", *values)


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        damaged_weights(0.5),
        damaged_weights(0.25, 0.25, 0.5),
        damaged_weights(),
        damaged_weights(math.nan, 0.75),
        damaged_weights(math.inf, 0.75),
        damaged_weights(-0.25, 1.25),
        damaged_weights(0.25, 0.25),
        ("UPDATE models SET means = ?", struct.pack("<4f", 0, 0, 0, math.nan)),
        ("UPDATE models SET means = ?", bytes(15)),
        ("UPDATE models SET means = ?", bytes(32)),
        ("UPDATE models SET variances = ?", struct.pack("<4f", 1, 1, 1, 0)),
        ("UPDATE models SET variances = ?", struct.pack("<4f", 1, 1, 1, -1)),
        ("UPDATE models SET n_components = ?", 0),
        ("UPDATE models SET n_components = ?", -2),
        ("UPDATE models SET n_components = ?", 3),
        ("UPDATE models SET n_components = ?", 1 << 62),
        ("UPDATE models SET n_features = ?", 1),
        ("UPDATE models SET n_features = ?", 1 << 62),
        ("UPDATE recordings SET n_frames = ?", -1),
        ("UPDATE recordings SET n_frames = ?", 12),
        ("UPDATE recordings SET n_frames = ?", 1 << 62),
        ("UPDATE recordings SET cepstra = ?", bytes(43)),
        ("UPDATE recordings SET cepstra = ?", struct.pack("<22e", *[math.nan] * 22)),
        ("UPDATE recordings SET speech = ?", bytes(3)),
        ("UPDATE recordings SET speech = ?", b""),
        ("UPDATE models SET record = ?", "no JSON"),
        ("UPDATE settings SET value = ? WHERE name = 'front_end'", "no JSON"),
        ("UPDATE settings SET value = ? WHERE name = 'front_end'", "[]"),
        ("UPDATE settings SET value = ? WHERE name = 'front_end'", '{"cepstra": 0}'),
        ("UPDATE settings SET value = ? WHERE name = 'training'", '{"components": "16"}'),
        ("UPDATE settings SET value = ? WHERE name = 'training'", '{"tolerance": NaN}'),
        ("UPDATE settings SET value = ? WHERE name = 'training'", '{"magic": 1}'),
        ("DELETE FROM settings WHERE name <> ?", ""),
    ],
)
def test_damaged_values_are_named_and_never_used(filled: Path, change: Change, statement: str, value: Any) -> None:
    change(filled, statement, values=(value,))
    with pytest.raises(NotAStoreError) as caught:
        everything(filled)
    assert str(caught.value).startswith(f"{filled}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE settings SET value = ? WHERE name = 'training'",
        "UPDATE settings SET value = ? WHERE name = 'front_end'",
        "UPDATE models SET record = ?",
    ],
)
def test_json_that_is_nested_too_deep_is_refused(
    filled: Path, change: Change, program: Callable[..., Any], statement: str
) -> None:
    change(filled, statement, values=("[" * 100_000,))
    # in a process of its own: after a RecursionError in C, Python 3.11's ast module can fail and take pytest with it
    outcome = program("speakers", "show", "Ann", "--db", filled)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(f"speakerid: {filled}: ")
    assert len(outcome.err) < 500


def test_a_name_that_cannot_be_one_is_refused(filled: Path, change: Change) -> None:
    change(filled, "UPDATE speakers SET name = ? || id", values=("a\n\x1b[31m",))
    with pytest.raises(NotAStoreError):
        everything(filled)


def test_a_text_that_is_no_utf8_is_refused(filled: Path, change: Change) -> None:
    change(filled, "UPDATE speakers SET name = CAST(x'ff' || name AS TEXT)")
    with pytest.raises(StoreError):
        everything(filled)


def test_a_truncated_store_is_refused(filled: Path, tmp_path: Path) -> None:
    whole = filled.read_bytes()
    size = int.from_bytes(whole[16:18], "big")
    assert len(whole) % size == 0
    lengths = [*range(size, len(whole), size), 16, 99, 100, size - 1, size + 1, len(whole) - 1]
    for length in lengths:
        path = tmp_path / f"cut-{length}.db"
        path.write_bytes(whole[:length])
        with pytest.raises(NotAStoreError):
            everything(path)


def test_a_schema_that_is_no_text_is_refused(filled: Path) -> None:
    damaged = filled.read_bytes().replace(b"modelsmodels", b"\xff\xfe\x9f\x9f\xff\xfemodels", 1)
    damaged = damaged.replace(b"CREATE TABLE models", b"CREATE TABLE !!!!!!", 1)
    filled.write_bytes(damaged)
    with pytest.raises(NotAStoreError):
        everything(filled)


def test_any_damaged_page_is_an_error_of_ours_or_harmless(filled: Path, tmp_path: Path) -> None:
    whole = filled.read_bytes()
    generator = np.random.default_rng(11)
    messages = []
    path = tmp_path / "damaged.db"
    for _ in range(150):
        damaged = bytearray(whole)
        start = int(generator.integers(0, len(whole) - 64))
        damaged[start : start + 64] = generator.bytes(64)
        path.write_bytes(damaged)
        try:
            everything(path)
        except StoreError as error:
            messages.append(str(error))
    assert [message for message in messages if not message.startswith(f"{path}: ") or "\n" in message] == []
    assert len(messages) >= 15  # the rest hit unused space


# files that may not be written


@pytest.fixture
def as_reader(filled: Path) -> Iterator[Path]:
    """A store in a folder that this process may read but not write."""
    if os.geteuid() == 0:
        folder = Path(tempfile.mkdtemp(prefix="speakerid-test-"))
        folder.chmod(0o755)
        path = folder / "s.db"
        shutil.copyfile(filled, path)
        path.chmod(0o644)
        os.seteuid(65534)
        try:
            yield path
        finally:
            os.seteuid(0)
            shutil.rmtree(folder)
    else:
        filled.chmod(0o444)
        filled.parent.chmod(0o555)
        yield filled
        filled.parent.chmod(0o755)


def test_a_write_protected_store_can_be_read_and_says_so_when_written(as_reader: Path, update: Update) -> None:
    with Store(as_reader) as store:
        assert store.names() == ["Ann", "Bob"]
        with pytest.raises(StoreError, match="write-protected") as caught:
            store.write([update("Cat", 9)])
        assert not isinstance(caught.value, NotAStoreError)
        assert store.names() == ["Ann", "Bob"]


def test_a_store_cannot_be_made_in_a_write_protected_folder(as_reader: Path) -> None:
    with pytest.raises(StoreError):
        Store.create(as_reader.with_name("new.db"), FrontEndConfig(), TrainingConfig(method="ml"), version="0")
    assert [path.name for path in as_reader.parent.iterdir()] == [as_reader.name]


def test_what_a_killed_process_left_is_swept_after_a_day(tmp_path: Path) -> None:
    old, new = tmp_path / ".speakerid-0123456789ab.new", tmp_path / ".speakerid-ba9876543210.new-journal"
    for path in (old, new):
        path.write_bytes(b"unfinished")
    yesterday = old.stat().st_mtime - 2 * 86400
    os.utime(old, (yesterday, yesterday))
    Store.create(tmp_path / "s.db", FrontEndConfig(), TrainingConfig(method="ml"), version="0").close()
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("kind", ["tied", "full"])
def test_a_covariance_that_is_nearly_singular_survives_its_rounding(kind: str) -> None:
    sigma = np.array([[1.0, 1 - 5e-9], [1 - 5e-9, 1.0]])
    covariances = sigma if kind == "tied" else np.stack([sigma, 4 * sigma])
    mixture = GaussianMixture([0.25, 0.75], [[0.0, 0.0], [1.0, 1.0]], covariances, kind)
    back = mixture_from_blobs(*mixture_to_blobs(mixture), expected_features=2, covariance=kind)
    assert np.linalg.eigvalsh(back.covariances).min() > 0
    np.testing.assert_allclose(back.covariances, covariances, rtol=1e-6)


def test_factors_that_are_none_are_refused() -> None:
    k, d, weights, means, factors = mixture_to_blobs(GaussianMixture([1.0], np.zeros((1, 2)), np.eye(2), "tied"))
    for wrong in ([1, 0, 0, -1], [1, 0, 0, 0], [1, 0.5, 0, 1]):
        blob = np.array(wrong, dtype="<f4").tobytes()
        assert len(blob) == len(factors)
        with pytest.raises(ValueError, match="Cholesky"):
            mixture_from_blobs(k, d, weights, means, blob, expected_features=2, covariance="tied")
