"""Opening the file safely, and SQLite's errors in our words.

A new store is written under a temporary name and linked to its own name when complete, so a file of that name is a whole
store or does not exist. Every change is one transaction with the rollback journal: a kill at any moment leaves the old
state or the new one. SQLite's lock lets any number of processes read and one write; others wait.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from speakerid.errors import NotAStoreError, StoreBusyError, StoreError, StoreNotFoundError
from speakerid.store.schema import APPLICATION_ID, SCHEMA_VERSION, TABLES

__all__ = ["connect", "make_file", "publish", "transaction", "translated"]

_WAIT_SECONDS = 60.0
_DAY_SECONDS = 86400.0
_MAGIC = b"SQLite format 3\x00"


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except UnicodeDecodeError:
        raise NotAStoreError(f"{path}: not a speakerid store, or a damaged one (text that is not UTF-8)") from None
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        primary = code & 0xFF if code is not None else None
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            message = f"{path}: another process has been writing for {_WAIT_SECONDS:.0f} s; try again when it is done"
            raise StoreBusyError(message) from None
        if primary in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise NotAStoreError(f"{path}: not a speakerid store, or a damaged one ({error})") from None
        if primary == sqlite3.SQLITE_READONLY:
            raise StoreError(f"{path}: the store or its folder is write-protected") from None
        if primary == sqlite3.SQLITE_CANTOPEN:
            raise StoreError(f"{path}: the store cannot be opened or made: is its folder write-protected?") from None
        if primary == sqlite3.SQLITE_FULL:
            raise StoreError(f"{path}: the disk is full; nothing was changed") from None
        if primary == sqlite3.SQLITE_TOOBIG:
            raise StoreError(f"{path}: a recording is too long for the store; split it") from None
        raise StoreError(f"{path}: the store cannot be used ({error})") from None


def _check_file(path: Path) -> None:
    """Refuse what SQLite would take for a database or hang on."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise StoreNotFoundError(f"{path}: no store there; `speakerid enroll` makes one, --db names another") from None
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        raise StoreError(f"{path}: the store cannot be opened: {what}") from None
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise NotAStoreError(f"{path}: {kind}, not a speakerid store; --db names the store's file")
    if status.st_size == 0:
        # SQLite takes an empty file for a new database, and would fill somebody's file
        raise NotAStoreError(f"{path}: an empty file, not a speakerid store; remove it, or name another with --db")
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise StoreError(f"{path}: the store cannot be opened: {error.strerror}") from None
    if magic != _MAGIC:
        raise NotAStoreError(
            f"{path}: not a speakerid store (no SQLite database); a store is a file that `speakerid enroll` made"
        )


def _raw_connection(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)
    # text that is no UTF-8 must be found by our checks, not by an exception on the way
    connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
    # a hostile file's schema must not run code
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    # a person who is removed should be gone from the file
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """Open an existing store.

    Raises
    ------
    StoreNotFoundError
        There is no file.
    NotAStoreError
        It is not a store, or one of another schema.
    StoreError
        It cannot be opened.
    """
    _check_file(path)
    with translated(path):
        connection = _raw_connection(path, "rw")
        try:
            _check_identity(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _check_identity(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise NotAStoreError(f"{path}: a database of another program, not a speakerid store")
    if version != SCHEMA_VERSION:
        raise NotAStoreError(
            f"{path}: a store of version {version}, this program reads version {SCHEMA_VERSION}; "
            "use the speakerid that made it, or enrol again"
        )
    entries = connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()
    # the indexes that SQLite makes itself, for UNIQUE and PRIMARY KEY, have no text
    found = [(name, sql) for kind, name, sql in entries if (kind, sql) != ("index", None)]
    if len(found) != len(TABLES) or dict(found) != TABLES:
        raise NotAStoreError(f"{path}: not a speakerid store: its tables are not the ones we make")


def make_file(path: Path, settings: Mapping[str, str], fill: Callable[[Path], None]) -> bool:
    """Make a new store with what `fill` writes into it: whole, or not at all.

    Parameters
    ----------
    path : Path
        Its name; a dangling link is followed.
    settings : mapping of str to str
    fill : callable
        Called with the file under its temporary name.

    Returns
    -------
    made : bool
        False if there is a file of that name by now; it is left alone.

    Raises
    ------
    StoreError
        The folder is missing or write-protected, or the disk is full.
    """
    place = Path(os.path.realpath(path))
    if not place.parent.is_dir():
        raise StoreError(f"{path}: the folder {place.parent} does not exist; make it first")
    _sweep(place.parent)
    temporary = place.with_name(f".speakerid-{secrets.token_hex(6)}.new")
    try:
        with translated(path):
            with contextlib.closing(_raw_connection(temporary, "rwc")) as connection:
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                with transaction(connection):
                    for statement in TABLES.values():
                        connection.execute(statement)
                    connection.executemany("INSERT INTO settings (name, value) VALUES (?, ?)", settings.items())
            fill(temporary)
        return publish(temporary, place)
    except StoreError as error:
        # people know the store by its own name
        raise type(error)(str(error).replace(str(temporary), str(path))) from None
    finally:
        temporary.unlink(missing_ok=True)
        temporary.with_name(f"{temporary.name}-journal").unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left: unfinished files that nobody has touched for a day."""
    with contextlib.suppress(OSError):
        for leftover in folder.glob(".speakerid-*.new*"):
            if time.time() - leftover.stat().st_mtime > _DAY_SECONDS:
                leftover.unlink(missing_ok=True)


def publish(temporary: Path, path: Path) -> bool:
    """Give a complete file its name, if it is free; return whether it was.

    Where the file system has hard links the test and the naming are one step. Elsewhere (FAT) two processes that make the
    same new store at the same moment could replace each other's.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        # a file system without hard links
        if path.exists():
            return False
        try:
            temporary.rename(path)
        except OSError as error:
            raise StoreError(f"{path}: the store cannot be made: {error.strerror}") from None
    return True


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing. The write lock is taken at once, so what is read inside is still true when it is written."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
