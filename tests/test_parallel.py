"""Threads: order, exceptions and the settings of the process that they borrow."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from speakerid.config import TrainingConfig
from speakerid.mixtures import train
from speakerid.parallel import effective_jobs, map_in_order, one_blas_thread, worker_threads
from speakerid.scoring import MixtureStack


def double(x: int) -> int:
    if x < 0:
        raise ValueError(f"no double of {x}")
    return 2 * x


@pytest.mark.parametrize("jobs", [1, 2, 3, 8])
def test_results_come_in_order(jobs: int) -> None:
    with worker_threads(jobs) as run:
        assert list(run(double, range(200))) == [2 * x for x in range(200)]
        assert list(run(double, iter([5, 1]))) == [10, 2]  # again and again
        assert list(run(double, [])) == []


@pytest.mark.parametrize("jobs", [2, 3])
def test_that_many_work_at_a_time(jobs: int) -> None:
    """Each piece of work waits for the others, which would never end with fewer threads."""
    meeting = threading.Barrier(jobs, timeout=30)

    def meet(_x: int) -> str:
        meeting.wait()
        return threading.current_thread().name

    with worker_threads(jobs) as run:
        names = set(run(meet, range(jobs)))
    assert len(names) == jobs
    assert threading.current_thread().name in names  # the caller is one of them
    assert sum(name.startswith("speakerid") for name in names) == jobs - 1


def test_one_job_is_plain_map_in_this_thread() -> None:
    before = sys.getswitchinterval()
    with worker_threads(1) as run:
        assert run is map
        assert sys.getswitchinterval() == before
        names = set(run(lambda _x: threading.current_thread().name, range(5)))
    assert names == {threading.current_thread().name}


@pytest.mark.parametrize("jobs", [1, 2])
def test_exceptions_come_through(jobs: int) -> None:
    before = sys.getswitchinterval()
    with worker_threads(jobs) as run:
        with pytest.raises(ValueError, match="no double of -1"):
            list(run(double, [1, 2, -1, 3]))
        assert list(run(double, [4])) == [8]  # and the threads are still of use
    with pytest.raises(KeyError), worker_threads(jobs):
        raise KeyError
    assert sys.getswitchinterval() == before


def test_no_thread_stays_behind() -> None:
    before = set(threading.enumerate())
    with worker_threads(3) as run:
        list(run(double, range(10)))
    assert set(threading.enumerate()) == before


def test_the_switch_interval_is_short_inside_and_restored_by_the_last() -> None:
    before = sys.getswitchinterval()
    with worker_threads(2) as outer:
        short = sys.getswitchinterval()
        assert short < before
        with worker_threads(3) as inner:
            assert sys.getswitchinterval() == short
            assert list(outer(lambda x: sum(inner(double, range(x))), range(4))) == [0, 0, 2, 6]
        assert sys.getswitchinterval() == short
    assert sys.getswitchinterval() == before


def test_the_switch_interval_is_that_of_the_moment() -> None:
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(0.0125)
        with worker_threads(2):
            assert sys.getswitchinterval() < 0.0125
        assert sys.getswitchinterval() == pytest.approx(0.0125, rel=1e-3)
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("jobs", [1, 2])
def test_map_in_order_gives_results_in_order_and_exceptions(jobs: int) -> None:
    before = sys.getswitchinterval()
    assert list(map_in_order(double, range(100), jobs)) == [2 * x for x in range(100)]
    with pytest.raises(ValueError, match="no double of -3"):
        list(map_in_order(double, [1, -3, 2], jobs))
    assert sys.getswitchinterval() == before


def blas_threads() -> set[int]:
    """Threads of every BLAS that is loaded, as seen by whoever asks."""
    np.ones((2, 2)) @ np.ones((2, 2))
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def in_a_thread(function: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


@pytest.fixture
def two_threads() -> Iterator[None]:
    """BLAS has two threads before and, if all goes well, after."""
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("this BLAS cannot be given two threads")
        yield


@pytest.mark.usefixtures("two_threads")
def test_blas_is_held_in_any_thread() -> None:
    with one_blas_thread():
        assert blas_threads() == {1}
    assert blas_threads() == {2}

    def hold() -> set[int]:
        with one_blas_thread():
            return blas_threads()

    assert in_a_thread(hold) == {1}
    assert in_a_thread(blas_threads) == {2}
    assert hold() == {1}  # and here again
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_threads")
def test_the_last_one_out_gives_the_threads_back_whoever_was_in_first() -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with one_blas_thread():
            inside.set()
            leave.wait(30)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(hold)
        assert inside.wait(30)
        with one_blas_thread():
            assert blas_threads() == {1}
            leave.set()
            first.result()
            assert blas_threads() == {1}
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_threads")
def test_training_and_scoring_in_a_thread_give_the_same_bits() -> None:
    X = np.random.default_rng(1).standard_normal((3000, 20)).astype(np.float32)
    config = TrainingConfig(components=32, iterations=3)
    here = train(X, config)[0]
    assert in_a_thread(lambda: train(X, config)[0]) == here
    stack = MixtureStack([here] * 3)
    scores = stack.mean_log_likelihoods(X)
    np.testing.assert_array_equal(in_a_thread(lambda: stack.mean_log_likelihoods(X)), scores)


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_jobs_are_refused(jobs: int) -> None:
    with pytest.raises(ValueError, match="expected at least 1"):
        effective_jobs(jobs)
