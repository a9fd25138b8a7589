"""Work on several processor cores, with the same results on any number of them.

Threads, because the work is inside numpy, scipy and libsndfile, which let other threads run. BLAS is held to one thread:
two BLAS threads inside two workers fight for the same cores, and the results would depend on their number.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

__all__ = ["Map", "effective_jobs", "map_in_order", "one_blas_thread", "worker_threads"]

_SWITCH_SECONDS = 2e-4
_SLICE_A_JOB, _LARGEST_SLICE_A_JOB = 16, 256
# joblib looks for the end of a slice a hundred times a second: short slices would spend their time waiting
_SHORT_SLICE = 0.25
# such pieces of work are mostly Python, which one thread does faster than two
_SHORT_ITEM = 1e-3

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
Item = TypeVar("Item")
Result = TypeVar("Result")


def effective_jobs(jobs: int | None) -> int:
    """Return how many workers to use; None takes all the processor cores that this process may use."""
    if jobs is not None:
        if jobs < 1:
            raise ValueError(f"jobs = {jobs}: expected at least 1, or None for all processor cores")
        return jobs
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread, for as long as anybody is inside, in whatever thread."""
    with _holding.lock:
        _holding.depth += 1
        if _holding.depth == 1:
            _take_control()
            _holding.limit = _controller().limit(limits=1, user_api="blas")
    try:
        yield
    finally:
        with _holding.lock:
            _holding.depth -= 1
            if _holding.depth == 0:
                _take_control()
                _holding.limit.restore_original_limits()
                _take_control()


def _take_control() -> None:
    """Since 3.8 threadpoolctl lets one thread only set OpenBLAS, the first; here it is whoever holds the lock."""
    import threadpoolctl

    clear = getattr(threadpoolctl.OpenBLASController, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


class _Holding:
    """Who is inside: such a setting belongs to the process, so it is set by the first and lifted by the last."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth = 0
        self.limit: Any = None


_holding = _Holding()
_patience = _Holding()


@functools.cache
def _controller() -> Any:
    """Finding the loaded libraries takes milliseconds: do it once. Only numpy's BLAS is ever used."""
    import numpy as np  # noqa: F401 - loaded first, so that its BLAS is found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextlib.contextmanager
def worker_threads(jobs: int) -> Iterator[Callable[[Callable[[Item], Result], Iterable[Item]], Iterable[Result]]]:
    """Give a ``map`` that works on `jobs` threads, kept for as long as anybody is inside; results come in order.

    For short pieces of work that are asked for again and again, such as the iterations of EM: the caller works too, and
    every thread takes the next piece when it is done with one, so that nobody is woken for each. All results are kept
    until the last piece is done.
    """
    if jobs == 1:
        yield map
        return
    from concurrent.futures import ThreadPoolExecutor, wait

    with _short_patience(), ThreadPoolExecutor(jobs - 1, thread_name_prefix="speakerid") as pool:

        def run(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
            waiting = list(items)
            numbers = iter(range(len(waiting)))  # taking the next one is one step of the interpreter
            results: list[Any] = [None] * len(waiting)

            def work() -> None:
                try:
                    for number in numbers:
                        results[number] = function(waiting[number])
                finally:
                    for _number in numbers:  # after an error nobody begins another piece
                        pass

            helpers = [pool.submit(work) for _ in range(min(jobs, len(waiting)) - 1)]
            try:
                work()
            finally:
                wait(helpers)
            for helper in helpers:
                helper.result()
            return results

        yield run


@contextlib.contextmanager
def _short_patience() -> Iterator[None]:
    """Let threads ask for the interpreter early: its 5 ms are long next to products of 0.1 ms."""
    with _patience.lock:
        _patience.depth += 1
        if _patience.depth == 1:
            _patience.limit = sys.getswitchinterval()
            sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        with _patience.lock:
            _patience.depth -= 1
            if _patience.depth == 0:
                sys.setswitchinterval(_patience.limit)


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Iterator[Result]:
    """Yield ``function(item)`` for every item, in order, `jobs` at a time.

    With one job nothing is started and joblib is not imported. With more, the items are worked on in slices, so that no
    work is under way when a caller stops asking.
    """
    if jobs == 1:
        yield from map(function, items)
        return
    from joblib import Parallel, delayed

    remaining = iter(items)
    size, alone = _SLICE_A_JOB, False
    with _short_patience(), Parallel(n_jobs=jobs, backend="threading") as workers:
        while part := list(itertools.islice(remaining, size * jobs)):
            began = time.perf_counter()
            results = list(map(function, part)) if alone else workers(delayed(function)(item) for item in part)
            seconds = time.perf_counter() - began
            if seconds < _SHORT_SLICE:
                size = min(2 * size, _LARGEST_SLICE_A_JOB)
            alone = seconds / len(part) < _SHORT_ITEM
            yield from results
