"""Trial lists of speaker verification: is this model's voice the voice in that segment.

UTF-8, with or without a byte order mark, plain or gzip'd; one trial a line, in one of two formats::

    model segment target        NIST style: the name of an enrolled model, a path, target or nontarget
    model segment nontarget

    1 path path                 VoxCeleb style: 1 the same speaker, 0 different ones;
    0 path path                 the model is learned from the first recording

- The first trial tells the format, by its last field (``target``, ``nontarget``) or else its first (``1``, ``0``), and
  every other line must follow it. The labels are these words in these letters, as in the trial files of the Kaldi
  recipes; what else is in use (``tgt``, ``imp``, ``Target``) is refused.
- Fields are separated by tabs if the first trial has a tab, so that names may have spaces; else by spaces.
- Paths are relative to the list's own folder, or to `root`: VoxCeleb's lists are relative to its folder ``wav``. This
  holds for the segments of both formats. A segment is a path as it is written: no ending is guessed.
- The model of NIST style is a name and stays as it is.
- Blank lines are skipped, and comments: lines that are ``#`` or begin with ``#`` and a space. Both are counted in the
  numbers of the rows, as in an editor.

A list of any size is read a line at a time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from speakerid.audio.lines import brief, numbered_lines, row_error
from speakerid.audio.paths import STDIN, shown
from speakerid.errors import ManifestError

__all__ = ["Trial", "read_trials"]

# A line that is longer is no trial; without a limit a binary file without line breaks would be read whole.
_BLANKS = re.compile("[ \t]+")
_NIST = {"target": True, "nontarget": False}
_VOXCELEB = {"1": True, "0": False}
_FORMATS = "`model segment target|nontarget` or `1|0 path path`"


@dataclass(frozen=True, slots=True)
class Trial:
    """A question of speaker verification, and its answer.

    Parameters
    ----------
    model : str
        Who is claimed to speak: the name of an enrolled model, or the path of a recording to enrol.
    segment : str
        The path of the recording in question.
    target : bool
        The answer: it is the same speaker.
    origin : str, optional
        Where the trial was named, for messages: ``trials.txt, row 12``.
    model_is_path : bool, optional
        `model` is a path (VoxCeleb style), not a name (NIST style).
    """

    model: str
    segment: str
    target: bool
    origin: str = ""
    model_is_path: bool = False


@dataclass(frozen=True, slots=True)
class _Format:
    """What the first trial tells about all of them."""

    voxceleb: bool
    tabs: bool


def read_trials(path: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None) -> Iterator[Trial]:
    """Read a trial list, a line at a time.

    Parameters
    ----------
    path : path-like
        The list; gzip'd if its name ends in ``.gz``.
    root : path-like, optional
        The folder that paths in the list are relative to; the list's own if None.

    Yields
    ------
    Trial
        With `origin` set to the list's name and the row.

    Raises
    ------
    ManifestError
        While iterating, at the first row that is wrong; the message names file and row.
    """
    name = os.fspath(path)
    folder = Path(name).parent if root is None else Path(root)
    known: _Format | None = None
    with closing(numbered_lines(name, "trial list")) as lines:
        for number, line in lines:
            text = line.strip(" \t\r\n")
            if not text or text == "#" or text.startswith(("# ", "#\t")):
                continue
            tabs = "\t" in text if known is None else known.tabs
            fields = [field.strip(" ") for field in text.split("\t")] if tabs else _BLANKS.split(text)
            if len(fields) != 3 or not all(fields):
                raise row_error(name, number, _not_three(fields, tabs=tabs))
            if known is None:
                known = _Format(_is_voxceleb(name, number, fields), tabs)
            yield _trial(name, number, fields, folder, voxceleb=known.voxceleb)
    if known is None:
        raise ManifestError(f"{shown(name)}: no trials; a line must be {_FORMATS}")


def _is_voxceleb(name: str, number: int, fields: list[str]) -> bool:
    # The last field first: a model may be called 1, but hardly a recording `target`.
    if fields[-1] in _NIST:
        return False
    if fields[0] in _VOXCELEB:
        return True
    found = f"{brief(fields[0])} ... {brief(fields[-1])}"
    raise row_error(
        name,
        number,
        f"neither a first field 1 or 0 nor a last field target or nontarget ({found}); a trial is {_FORMATS}",
    )


def _trial(name: str, number: int, fields: list[str], folder: Path, *, voxceleb: bool) -> Trial:
    if voxceleb:
        label, model, segment = fields
        labels, expected = _VOXCELEB, "1 or 0, as in the first trial `1|0 path path`"
    else:
        model, segment, label = fields
        labels, expected = _NIST, "target or nontarget, as in the first trial `model segment target|nontarget`"
    if label not in labels:
        raise row_error(name, number, f"the label is {brief(label)}; it must be {expected}")
    return Trial(
        model=_resolved(folder, model) if voxceleb else model,
        segment=_resolved(folder, segment),
        target=labels[label],
        origin=f"{shown(Path(name).name)}, row {number}",
        model_is_path=voxceleb,
    )


def _resolved(folder: Path, value: str) -> str:
    path = str(folder / value)
    # A list names files; a file of that name is reached by a path that is not the sign for standard input.
    return f".{os.sep}{STDIN}" if path == STDIN else path


def _not_three(fields: list[str], *, tabs: bool) -> str:
    if len(fields) == 3:
        return f"field {fields.index('') + 1} is empty; a trial is {_FORMATS}"
    found = f"{len(fields)} {'field' if len(fields) == 1 else 'fields'}, separated by {'tabs' if tabs else 'spaces'}"
    advice = "; separate the fields by tabs if names have spaces" if len(fields) > 3 and not tabs else ""
    return f"{found}; a trial is {_FORMATS}{advice}"
