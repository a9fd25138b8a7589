"""Speakers out of a store and into another: an export is a store itself, written whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from speakerid.errors import UsageError
from speakerid.store.connection import make_file
from speakerid.store.store import Store, settings_rows

__all__ = ["export_speakers"]


def export_speakers(source: Store, names: Sequence[str], path: str | Path, *, version: str) -> None:
    """Write speakers, with recordings' features and models, to a new store.

    Raises
    ------
    UsageError
        There is a file of that name already.
    UnknownSpeakerError
        Nobody of that name is enrolled.
    StoreError
        The file cannot be written.
    """
    path = Path(path)
    if path.exists():
        raise UsageError(f"{path}: exists already; remove it, or give another name with --output")
    settings = settings_rows(source.front_end, source.training, source.world, created=source.created, version=version)

    def fill(temporary: Path) -> None:
        with Store(temporary) as target:
            target.copy_from(source, names)

    if not make_file(path, settings, fill):
        raise UsageError(f"{path}: another process has just made a file of this name; try again")
