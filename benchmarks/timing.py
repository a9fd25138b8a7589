"""Interleaved timing: what is compared takes turns, so that a slow moment of the machine hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved_medians(
    work: Mapping[str, Callable[[], object]], *, rounds: int, warm: bool = True
) -> dict[str, float]:
    """Median seconds of each piece of work over `rounds` turns; one unmeasured turn first if `warm`."""
    if warm:
        for function in work.values():
            function()
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, function in work.items():
            begin = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in seconds.items()}
