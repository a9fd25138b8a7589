"""The timeline of a recording that is there, of any length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from speakerid.audio import RawFormat
from speakerid.errors import RecordingError
from speakerid.parallel import effective_jobs
from speakerid.workflows.analysis import Source, located, open_source
from speakerid.workflows.identify import where_of
from speakerid.workflows.timeline import Timeline
from speakerid.workflows.timeline_stream import TimelineStream

if TYPE_CHECKING:
    from speakerid.workflows.identify import Identifier

__all__ = ["timeline_of"]

# read at a time: some pieces for every thread
_AT_ONCE_SECONDS = 20.0
# so much is lost before a damage
_BLOCK_SECONDS = 0.5


def timeline_of(
    identifier: Identifier,
    source: Source,
    *,
    channel: int | None = None,
    raw: RawFormat | None = None,
    stdin: BinaryIO | None = None,
    progress: Callable[[float, float | None], object] | None = None,
    jobs: int | None = None,
    **options: Any,
) -> Timeline:
    """As :meth:`speakerid.Identifier.timeline`."""
    where = where_of(source)
    stream = TimelineStream(identifier, label=source.label, jobs=effective_jobs(jobs), **where, **options)
    rate = identifier.front_end.sample_rate
    try:
        with open_source(
            source, rate, channel=channel, raw=raw, stdin=stdin, hashed=False, block_seconds=_BLOCK_SECONDS
        ) as samples:
            fault = None
            try:
                for block in _joined(iter(samples), round(_AT_ONCE_SECONDS * rate)):
                    stream.push(block)
                    if progress is not None:
                        progress(samples.seconds, samples.expected_seconds)
            except RecordingError as error:
                fault = _located(source, error)
                if samples.seconds == 0:
                    raise
            timeline = stream.finish(
                source_rate=samples.source_rate, clipped_fraction=samples.clipped_fraction, fault=fault
            )
    except RecordingError as error:
        message = located(source, str(error))
        return Timeline(
            where["path"], "undecided", None, error.reason, message, None, None, start=where["start"], end=where["end"]
        )
    return timeline


def _located(source: Source, error: RecordingError) -> RecordingError:
    return RecordingError(located(source, str(error)), reason=error.reason)


def _joined(blocks: Iterator[NDArray[np.float32]], n_samples: int) -> Iterator[NDArray[np.float32]]:
    """Blocks put together until there are so many samples; what came before an error is given before it."""
    waiting: list[NDArray[np.float32]] = []
    fault: RecordingError | None = None
    while fault is None:
        try:
            block = next(blocks, None)
        except RecordingError as error:
            block, fault = None, error
        if block is not None:
            waiting.append(block)
            if sum(map(len, waiting)) < n_samples:
                continue
        if waiting:
            yield np.concatenate(waiting)
            waiting = []
        if block is None:
            break
    if fault is not None:
        raise fault
