"""Answers on standard output, the story on standard error."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import click

from speakerid.audio.paths import csv_field, shown

_NARROWEST_TEXT = 8
_WIDTH_OF_A_FILE = 1000

__all__ = [
    "Progress",
    "answered",
    "complain",
    "counted",
    "note",
    "note_ignored",
    "note_left_alone",
    "percent",
    "print_csv",
    "print_csv_rows",
    "print_json",
    "print_table",
    "recording_label",
]


def complain(message: str) -> None:
    """One line of trouble on standard error."""
    # where trouble cannot be told it must not make more of it
    with contextlib.suppress(OSError, ValueError):
        click.echo(f"speakerid: {_one_line(message)}", err=True)


def note(message: str, *, quiet: bool) -> None:
    """One line of explanation on standard error."""
    if not quiet:
        with contextlib.suppress(OSError, ValueError):
            click.echo(_one_line(message), err=True)


def counted(n: int, thing: str) -> str:
    """So many of a thing: ``1 recording``, ``2 recordings``."""
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def note_ignored(n_ignored: int, *, quiet: bool) -> None:
    """Count the files that are not audio by their names, if there are any."""
    if n_ignored:
        files = "1 file is" if n_ignored == 1 else f"{n_ignored} files are"
        note(f"{files} not audio by name and passed over", quiet=quiet)


def note_left_alone(n_rows: int, split: str, *, quiet: bool) -> None:
    """Count the rows of manifests that are for something else, if there are any."""
    if n_rows:
        rows = "1 row with split = {} was" if n_rows == 1 else f"{n_rows} rows with split = {{}} were"
        note(f"{rows.format(split)} left alone", quiet=quiet)


def _one_line(message: str) -> str:
    return shown(message)


def recording_label(path: str, start: float | None, end: float | None) -> str:
    """A recording in a table: its path, and the stretch if there is one."""
    if start is None and end is None:
        return shown(path)
    return f"{shown(path)} [{start or 0:g}-{'' if end is None else format(end, 'g')} s]"


def answered(status: str, decision: str | None, nearest: str | None, reason: str | None) -> str:
    """An answer in a table: the name, or who is nearest to somebody unknown, or why it is undecided."""
    if status == "undecided":
        return f"undecided: {reason.replace('_', ' ')}" if reason else status
    if decision is None:
        return f"unknown (nearest: {nearest})" if nearest is not None else "unknown"
    return decision


def percent(probability: float) -> str:
    """A probability for people: certainty is not claimed."""
    if probability > 0.999:
        return "> 99.9 %"
    if probability < 0.001:
        return "< 0.1 %"
    return f"{100 * probability:.1f} %"


def print_json(values: Mapping[str, Any]) -> None:
    """One JSON object on one line of standard output."""
    line = json.dumps(values, ensure_ascii=False)
    if not line.isascii():
        try:
            line.encode("utf-8")
        except UnicodeEncodeError:  # a path that is not UTF-8
            line = json.dumps(values)
    click.echo(line)


def print_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Rows as CSV on standard output, lines ending in a newline; what is missing is empty."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(["" if value is None else _field(value) for value in row])


def print_csv_rows(rows: Iterable[Sequence[Any]]) -> None:
    """Rows as CSV on standard output at once, numbers with all their digits: a time of hours has its milliseconds."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for row in rows:
        writer.writerow(["" if each is None else csv_field(each) if isinstance(each, str) else each for each in row])
    sys.stdout.flush()


def _field(value: object) -> object:
    if isinstance(value, str):
        return csv_field(value)
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e5 else f"{value:.3f}"
    return value


def print_table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> None:
    """Draw a table for people.

    Parameters
    ----------
    columns : sequence of (str, str)
        Heading and "left" or "right".
    rows : iterable of sequences of str
    """
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    # a file or a pipe has no width: nothing is folded there
    console = Console(file=sys.stdout, width=None if terminal else _WIDTH_OF_A_FILE, highlight=False, emoji=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    cells = [[Text(cell if cell == "-" else shown(cell)) for cell in row] for row in rows]
    for number, (heading, side) in enumerate(columns):
        # numbers and headings stay whole; in a narrow terminal it is the texts that are folded
        right = side == "right"
        widest = max((row[number].cell_len for row in cells), default=0)
        table.add_column(
            heading,
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=right,
            min_width=max(widest, cell_len(heading)) if right else min(widest, _NARROWEST_TEXT),
        )
    for row in cells:
        table.add_row(*row)
    # a number is never cropped: rather the terminal wraps the line
    least = console.measure(table, options=console.options.update_width(_WIDTH_OF_A_FILE)).minimum
    console.width = max(console.width, least)
    with console.capture() as capture:
        console.print(table)
    # the box draws empty lines above and below, and pads every line to the full width
    lines = [line.rstrip() for line in capture.get().splitlines()]
    click.echo("\n".join(line for line in lines if line))


class Progress:
    """A progress bar on standard error, on a terminal only, and only for what takes longer than a second."""

    _PATIENCE_SECONDS = 1.0

    def __init__(self, total: int, what: str, *, quiet: bool) -> None:
        self._total, self._what = total, what
        self._wanted = not quiet and sys.stderr.isatty()
        self._began = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the bar away, before answers are printed."""
        if self._bar is not None:
            self._bar.stop()
        self._wanted = False

    def __call__(self, done: int) -> None:
        """Say that so many are done."""
        if not self._wanted or time.monotonic() - self._began < self._PATIENCE_SECONDS:
            return
        if self._bar is None:
            self._start()
        self._bar.update(self._task, completed=done)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,  # answers are not the bar's business
            redirect_stderr=False,
        )
        self._bar.start()
        self._task = self._bar.add_task(self._what, total=self._total)
