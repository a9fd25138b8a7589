"""Answers while the sound still comes: what ``identify - --timeline --follow`` and ``listen`` have in common."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import click

from speakerid.audio.paths import STDIN, shown
from speakerid.cli.output import answered, percent, print_csv_rows, print_json
from speakerid.errors import RecordingError

if TYPE_CHECKING:
    from speakerid.workflows.timeline import Beginning, Segment, Timeline

__all__ = ["LAYOUTS", "Engine", "Listening", "Meter", "follow", "print_events", "print_heading", "summary"]

LAYOUTS = ("table", "json", "csv", "rttm", "audacity")
"""What `print_events` can write."""


class Engine(Protocol):
    """What turns samples into events, as `speakerid.workflows.timeline_stream.TimelineStream` does."""

    def push(self, samples: Any) -> Sequence[Segment | Beginning]:
        """Take samples (n,) and give what has become firm."""

    def finish(self) -> Timeline:
        """Give all segments, those that `push` has given too."""


class Meter(Protocol):
    """What is shown while nothing is answered."""

    def __call__(self, samples: Any) -> None:
        """Show the level of samples (n,)."""

    def clear(self) -> None:
        """Make room for a line."""


class _Stop(KeyboardInterrupt):
    """Raised where sound is waited for."""


class Listening:
    """Sound until it ends, fails, or Ctrl-C is pressed; a context manager.

    The first Ctrl-C is taken where sound is waited for, so that it never cuts a computation in two; the second ends the
    program as it does anywhere.

    Attributes
    ----------
    stopped : bool
        By Ctrl-C.
    fault : RecordingError or None
        Why no more sound came.
    """

    def __init__(self) -> None:
        self.stopped = False
        self.fault: RecordingError | None = None
        self._waiting = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        # only the main thread gets signals
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def blocks(self, stream: Iterable[Any]) -> Iterator[Any]:
        """Give the blocks of a stream; a RecordingError after the first one ends them and is kept in `fault`."""
        blocks = iter(stream)
        heard = False
        while True:
            try:
                # from here on Ctrl-C raises; one that came before has set the mark
                self._waiting = True
                if self.stopped:
                    return
                block = next(blocks, None)
                self._waiting = False
            except _Stop:
                return
            except RecordingError as error:
                self._waiting = False
                if not heard:
                    raise
                self.fault = error
                return
            except BaseException:
                self._waiting = False
                raise
            if block is None:
                return
            heard = True
            yield block

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self.stopped = True
        signal.signal(signal.SIGINT, self._previous)
        if self._waiting:
            self._waiting = False
            raise _Stop


def follow(
    stream: Iterable[Any],
    engine: Engine,
    layout: str,
    *,
    listening: Listening,
    path: str = STDIN,
    meter: Meter | None = None,
    finish: Callable[[], Timeline] | None = None,
) -> Timeline:
    """Print who speaks while the sound comes.

    Parameters
    ----------
    stream : iterable of ndarray, shape (n,)
        Samples at the engine's rate.
    engine : Engine
    layout : str
        One of `LAYOUTS`.
    listening : Listening
        Entered; says afterwards why it ended.
    path : str
        What the sound is called in lines that name their recording.
    meter : Meter, optional
    finish : callable, optional
        In place of the engine's own, to tell it what it cannot know.

    Returns
    -------
    Timeline
        All of it, already printed.

    Raises
    ------
    RecordingError
        There was no sound.
    """
    print_heading(layout)
    n_printed = 0
    for samples in listening.blocks(stream):
        if meter is not None:
            meter(samples)
        events = engine.push(samples)
        if events:
            if meter is not None:
                meter.clear()
            n_printed += print_events(events, layout, path=path)
    if meter is not None:
        meter.clear()
    timeline = (finish or engine.finish)()
    print_events(timeline.segments[n_printed:], layout, path=path)
    _print_end(timeline, layout)
    return timeline


def _print_end(timeline: Timeline, layout: str) -> None:
    """Say what there is to say of the whole: a program must not wait for segments that never come."""
    if layout == "json":
        print_json({"event": "end", **{k: v for k, v in timeline.to_dict().items() if k != "segments"}})
    elif layout == "csv" and not timeline.segments:
        from speakerid.workflows.timeline_formats import csv_rows

        print_csv_rows(csv_rows(timeline))


def print_heading(layout: str) -> None:
    """Print what stands above the events."""
    if layout == "csv":
        from speakerid.workflows.timeline_formats import CSV_FIELDS

        print_csv_rows([CSV_FIELDS])


def print_events(events: Iterable[Segment | Beginning], layout: str, *, path: str = STDIN) -> int:
    """Print events, each at once.

    Parameters
    ----------
    events : iterable of Segment or Beginning
    layout : str
        One of `LAYOUTS`; all but "table" and "json" have lines for segments only.
    path : str
        What the recording is called, where the layout names it.

    Returns
    -------
    int
        How many of them are segments.
    """
    from speakerid.workflows.timeline import Beginning

    n_segments = 0
    for event in events:
        if isinstance(event, Beginning):
            if layout == "json":
                print_json({"event": "beginning", "start": round(event.start, 3), "speaker": event.speaker})
            elif layout == "table":
                click.echo(f"{_clock(event.start)}  {shown(event.speaker or 'unknown')}")
            continue
        n_segments += 1
        if layout == "json":
            print_json({"event": "segment", **event.to_dict()})
        elif layout == "table":
            click.echo(_line(event))
        else:
            _print_as_file(event, layout, path)
    return n_segments


def _line(segment: Segment) -> str:
    """Write a segment for people: ``0:12.4 - 0:17.9  alice  97.1 %  LLR 5.2``."""
    name = answered(segment.status, segment.decision, segment.nearest, segment.reason)
    parts = [f"{_clock(segment.start)} - {_clock(segment.end)}", shown(name)]
    if segment.probability is not None:
        parts.append(percent(segment.probability))
    if segment.llr is not None:
        parts.append(f"LLR {segment.llr:.1f}")
    return "  ".join(parts)


def _clock(seconds: float) -> str:
    from speakerid.workflows.timeline_words import clock

    return clock(seconds, step=0.1)


def _print_as_file(segment: Segment, layout: str, path: str) -> None:
    """Print a segment as the file of a timeline has it."""
    from speakerid.workflows import timeline_formats
    from speakerid.workflows.timeline import Timeline

    one = Timeline(path, segment.status, segment.decision, None, None, None, None, segments=(segment,))
    if layout == "csv":
        print_csv_rows(timeline_formats.csv_rows(one))
    else:
        write = timeline_formats.to_rttm if layout == "rttm" else timeline_formats.to_audacity
        click.echo(write(one), nl=False)


def summary(timeline: Timeline, seconds: float) -> str:
    """Say in a line how much was heard and how long each one spoke.

    Parameters
    ----------
    timeline : Timeline
    seconds : float
        Length of all the sound.

    Returns
    -------
    str
        ``1:04 min heard: alice 31.2 s, bob 12.0 s, unknown 4.4 s, nobody 16.4 s``.
    """
    from speakerid.workflows.timeline_formats import seconds_by_speaker
    from speakerid.workflows.timeline_words import spoken

    spoke = seconds_by_speaker(timeline)
    parts = [f"{shown(label)} {spoken(of_label)}" for label, of_label, _n in spoke]
    nobody = seconds - sum(of_label for _label, of_label, _n in spoke)
    if nobody >= 0.05 or not parts:
        parts.append(f"nobody {spoken(max(nobody, 0.0))}")
    return f"{spoken(seconds)} heard: {', '.join(parts)}"
