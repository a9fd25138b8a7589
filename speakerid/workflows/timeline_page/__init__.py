"""The page of a timeline: one HTML file with a player whose cursor runs along a lane for each voice.

- It holds all it needs and asks for nothing: styles, script, curves and the recording are in it, and its content security
  policy refuses the rest, so that nothing in a file's or a speaker's name can run or be fetched.
- Without a script it can be read, and the browser's own player plays the recording.
- Its look is that of :mod:`speakerid.evaluation.report`.
- The recording goes from file to file in pieces: memory does not grow with its length.

==================  ====================================================================================================
``contents``        what the page says: timeline → plain values for the template
``drawing``         lanes, waveform and curves as what the page draws them from
``page.html.jinja`` the page, with ``style.css`` (after the report's) and ``page.js``
==================  ====================================================================================================

Jinja2 is imported when a page is made, not with the package.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from speakerid.audio import Recording, SampleStream
from speakerid.audio.paths import STDIN
from speakerid.workflows.outputs import check_output, whole_file
from speakerid.workflows.timeline import Timeline
from speakerid.workflows.timeline_audio import Coding, page_coding, summarise_audio
from speakerid.workflows.timeline_page.contents import contents

__all__ = ["PAGE_ENDINGS", "write_page"]

PAGE_ENDINGS = (".html", ".htm")

# Where the recording is put. Names are escaped before they get into the page, so that none of them can hold it.
_PLACE = "<recording>"
# of the waveform: closer than in a picture, because the page can be looked at closer
_COLUMNS = 1 << 17
_PIECE = 3 << 16  # base64 of a multiple of three bytes has no padding


def write_page(
    timeline: Timeline,
    path: str | os.PathLike[str],
    *,
    source: Recording | SampleStream | str | os.PathLike[str] | None = None,
    channel: int | None = None,
    title: str | None = None,
    embed_audio: bool = True,
    notes: Sequence[str] = (),
) -> None:
    """Write the page.

    Parameters
    ----------
    timeline : Timeline
        With `windows`, the log-likelihood ratios of the speakers who appear can be shown.
    path : path-like
        Ends in ``.html`` or ``.htm``.
    source : Recording, path-like or SampleStream, optional
        The recording, of which the page holds the waveform and a compressed copy; a stream must be at 16 kHz. Not read if
        the timeline has no duration, which is that of a recording that cannot be used, and not from standard input, which
        has been read; the page says so. Of a stretch, times are the file's.
    channel : int, optional
        The one to take, counted from 1; the mean of all if None.
    title : str, optional
        The recording's name if None.
    embed_audio : bool
        False leaves the copy out and keeps the waveform. An hour takes 24 MB.
    notes : sequence of str
        Warnings to be shown beside the timeline's own message.

    Raises
    ------
    UsageError
        The path cannot be written or ends otherwise.
    RecordingError
        The recording cannot be used.
    OSError
        The file cannot be written.
    """
    name = os.fspath(path)
    check_output(name, PAGE_ENDINGS)
    with TemporaryDirectory(prefix="speakerid-") as folder:
        copy = Path(folder) / "recording"
        coding: Coding | None = None
        audio = None
        gone = STDIN in (source, source.path if isinstance(source, Recording) else None)
        if source is not None and not gone and timeline.duration_seconds is not None:
            coding = page_coding() if embed_audio else None
            audio = summarise_audio(
                source, channel=channel, columns=_COLUMNS, copy_to=copy if coding else None, coding=coding
            )
        page = _render(contents(timeline, audio, coding, title, notes, gone=gone))
        before, place, after = page.partition(_PLACE)
        with whole_file(name) as file:
            file.write(before)
            if place:
                _write_base64(copy, file)
            file.write(after)


def _write_base64(source: Path, target: IO[str]) -> None:
    with source.open("rb") as file:
        while piece := file.read(_PIECE):
            target.write(base64.b64encode(piece).decode("ascii"))


def _render(values: dict[str, object]) -> str:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_text),
    )
    script = _text("page.js")
    style = files("speakerid.evaluation.report").joinpath("style.css").read_text(encoding="utf-8") + _text("style.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template("page.html.jinja").render(
        **values, style=style, script=script, script_hash=f"sha256-{digest}", place=_PLACE
    )
    return page.encode("utf-8", "replace").decode("utf-8")  # notes may hold halves of characters


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
