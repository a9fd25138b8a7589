"""The path through time against all paths there are, and firm before everything is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerid.scoring.path import Entered, Left, PathFinder

Segments = list[tuple[int, int, int]]


def segments(events: list[Entered | Left]) -> Segments:
    return [tuple(event) for event in events if isinstance(event, Left)]


def found(gains: np.ndarray, shortest: np.ndarray, costs: np.ndarray, delay: int = 10**6, step: int = 7) -> Segments:
    finder = PathFinder(shortest, costs, longest_delay=delay)
    events: list[Entered | Left] = []
    for start in range(0, len(gains), step):
        events += finder.push(gains[start : start + step])
    return segments([*events, *finder.finish()])


def worth(path: Segments, gains: np.ndarray, costs: np.ndarray) -> float:
    total = sum(gains[start:end, state].sum() for state, start, end in path)
    return float(total - sum(costs[state] for state, _start, _end in path))


def every_path(n_steps: int, shortest: np.ndarray) -> list[Segments]:
    """All ways to give steps to states that last long enough, by trying."""
    whole = []
    for labels in itertools.product(range(len(shortest)), repeat=n_steps):
        edges = [0, *(i for i in range(1, n_steps) if labels[i] != labels[i - 1]), n_steps]
        path = [(labels[a], a, b) for a, b in itertools.pairwise(edges)]
        if all(b - a >= shortest[state] for state, a, b in path):
            whole.append(path)
    return whole


@pytest.mark.parametrize("seed", range(25))
def test_no_path_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_states, n_steps = int(rng.integers(2, 4)), int(rng.integers(5, 9))
    shortest = rng.integers(1, 4, n_states)
    costs = rng.uniform(0, 1.5, n_states)
    gains = rng.normal(size=(n_steps, n_states))
    best = max(every_path(n_steps, shortest), key=lambda path: worth(path, gains, costs))
    assert found(gains, shortest, costs) == best


def made_up(seed: int, n_steps: int, n_states: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    turns = np.repeat(rng.normal(size=(n_steps // 6 + 1, n_states)), 6, axis=0)[:n_steps]
    return turns + rng.normal(size=(n_steps, n_states)), rng.integers(1, 6, n_states), rng.uniform(0.1, 3, n_states)


@given(st.integers(0, 10**6), st.integers(1, 200), st.integers(1, 5), st.integers(0, 40), st.integers(1, 50))
def test_the_path_is_whole_and_does_not_depend_on_the_blocks(
    seed: int, n_steps: int, n_states: int, delay: int, step: int
) -> None:
    gains, shortest, costs = made_up(seed, n_steps, n_states)
    path = found(gains, shortest, costs, delay, step)
    assert path == found(gains, shortest, costs, delay, n_steps)
    assert path[0][1] == 0
    assert path[-1][2] == n_steps
    assert all(a[2] == b[1] and a[0] != b[0] for a, b in itertools.pairwise(path))
    if n_steps >= shortest.max():
        assert all(end - start >= shortest[state] for state, start, end in path)


@given(st.integers(0, 10**6), st.integers(10, 200), st.integers(2, 5), st.integers(0, 30))
def test_what_was_is_firm_in_time(seed: int, n_steps: int, n_states: int, delay: int) -> None:
    gains, shortest, costs = made_up(seed, n_steps, n_states)
    finder = PathFinder(shortest, costs, longest_delay=delay)
    firm, said = 0, -1
    for time in range(n_steps):
        for event in finder.push(gains[time : time + 1]):
            if isinstance(event, Entered):
                assert event.start == firm
                said = event.start
            else:
                assert (event.start, said) == (firm, firm)
                firm = event.end
        # somebody was said to speak then: either it has ended since or goes on
        assert time + 1 - delay - finder.slack < firm or said == firm or time + 1 <= delay + finder.slack


def test_memory_does_not_grow_in_a_monologue_and_in_doubt() -> None:
    rng = np.random.default_rng(3)
    finder = PathFinder(np.array([5, 5, 1]), np.array([2.0, 2.0, 0.2]), longest_delay=60)
    sure = np.tile([0.0, -1.0, -3.0], (3000, 1))
    doubt = rng.normal(scale=0.05, size=(3000, 3))
    for gains in (sure, doubt):
        list(finder.push(gains))
        depth, past = 0, finder._pasts[int(finder._values.argmax())]
        while past is not None and past.end > finder._firm:
            depth, past = depth + 1, past.before
        assert depth < 70
        assert len(finder._moments) == 6


def test_a_longer_delay_is_never_worse() -> None:
    gains, shortest, costs = made_up(11, 400, 4)
    values = [worth(found(gains, shortest, costs, delay), gains, costs) for delay in (8, 16, 64, 1000)]
    assert values == sorted(values)


def test_nothing_comes_of_nothing() -> None:
    finder = PathFinder(np.array([3, 1]), np.array([1.0, 1.0]), longest_delay=10)
    assert list(finder.finish()) == []


def test_less_than_any_state_may_last_goes_to_the_best() -> None:
    assert found(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([5, 1]), np.array([1.0, 1.0])) == [(0, 0, 2)]
