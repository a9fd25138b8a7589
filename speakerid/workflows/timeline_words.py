"""How the pictures of a timeline write times and lengths."""

from __future__ import annotations

import math

__all__ = ["clock", "spoken", "tick_step"]

_STEPS = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
)  # fmt: skip


def tick_step(length: float, most: int) -> float:
    """Give the distance of ticks, in seconds, so that a stretch has at most so many steps."""
    for step in _STEPS:
        if length / step <= most:
            return step
    return 86400.0 * -(-length // (86400 * most))


def clock(seconds: float, longest: float | None = None, step: float = 1.0) -> str:
    """Write a time as a clock does: 75 is 1:15 and 3675 is 1:01:15.

    Parameters
    ----------
    seconds : float
    longest : float, optional
        The last time that stands beside it, which says whether there are hours and minutes; under a minute it is seconds
        alone. The time itself if None, and then always with minutes.
    step : float
        Below 1 there is a digit after the point.
    """
    # halves go up, as the page's script rounds
    tenths = math.floor(seconds * 10 + 0.5) if step < 1 else 10 * math.floor(seconds + 0.5)
    whole, tenth = divmod(tenths, 10)
    end = "" if step >= 1 else f".{tenth}"
    if longest is not None and longest < 60:
        return f"{whole}{end}"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours or (longest is not None and longest >= 3600):
        return f"{hours}:{minutes:02d}:{rest:02d}{end}"
    return f"{minutes}:{rest:02d}{end}"


def spoken(seconds: float) -> str:
    """Write a length: 12.3 s; from a minute 1:15 min; from an hour 1:01:15 h."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    return f"{clock(seconds)} {'h' if round(seconds) >= 3600 else 'min'}"
