"""Files that are written whole or not at all, and never over what is read."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from speakerid.errors import UsageError

__all__ = ["check_output", "refuse_inputs", "whole_file"]

_PREFIX, _SUFFIX = ".speakerid-", ".partial"
_LONGEST_NAME = 255


def check_output(path: str | None, endings: Sequence[str]) -> None:
    """Refuse, before any work, a path that cannot be written or whose name says something else.

    Raises
    ------
    UsageError
        The path's ending is none of `endings`, its folder is missing or may not be written, or it is no regular file.
    """
    if path is None:
        return
    target = Path(path)
    folder = target.absolute().parent
    if not str(path).lower().endswith(tuple(endings)):
        raise UsageError(f"{path}: expected a name that ends in {' or '.join(endings)}")
    if len(os.fsencode(target.name)) > _LONGEST_NAME:
        raise UsageError(f"{path}: a name of more than {_LONGEST_NAME} bytes; give a shorter one")
    if not folder.is_dir():
        raise UsageError(f"{path}: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{path}: the folder {folder} may not be written; give another one")
    if target.is_dir():
        raise UsageError(f"{path}: is a folder; give a file")
    if target.exists() and not target.is_file():
        raise UsageError(f"{path}: is no regular file; give another name")


def refuse_inputs(outputs: Iterable[str | None], inputs: Iterable[str]) -> None:
    """Refuse to write over what is read, whatever names lead to it.

    Raises
    ------
    UsageError
        An output is one of the inputs.
    """
    there: dict[tuple[int, int], str] = {}
    for path in outputs:
        if path is not None:
            with contextlib.suppress(OSError):
                status = Path(path).stat()
                there[status.st_dev, status.st_ino] = path
    if not there:
        return
    for given in inputs:
        with contextlib.suppress(OSError, ValueError):
            status = Path(given).stat()
            path = there.get((status.st_dev, status.st_ino))
            if path is not None:
                raise UsageError(f"{path}: would be written over, but it is read; give another name")


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[IO[str]]:
    """Write a text file in UTF-8 beside its name and rename; gzip'd if the name ends in ``.gz``.

    A link is followed. What killed processes have left in the folder is removed.

    Raises
    ------
    OSError
        The file cannot be written; its name is in the error.
    """
    target = Path(os.path.realpath(path))
    _sweep(target.parent)
    temporary = target.with_name(f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}")
    try:
        with contextlib.ExitStack() as stack:
            if str(path).lower().endswith(".gz"):
                raw = stack.enter_context(temporary.open("wb"))
                packed = stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
                yield stack.enter_context(io.TextIOWrapper(packed, encoding="utf-8", newline=""))
            else:
                yield stack.enter_context(temporary.open("w", encoding="utf-8", newline=""))
        temporary.replace(target)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a process cannot be asked whether it is there
        return
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        number = path.name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdigit():
            with contextlib.suppress(OSError, OverflowError):
                try:
                    os.kill(int(number), 0)
                except ProcessLookupError:
                    path.unlink()
