"""The best path through time: who speaks when, from gains of every state in every step.

A state is a speaker, somebody unknown, or silence. Of all ways to give each step to a state, that one is looked for whose
gains less the costs of all changes are largest, where a state that is entered stays for its shortest duration at least:
dynamic programming (Viterbi, "Error bounds for convolutional codes", IEEE Transactions on Information Theory 13, 1967), in
the form for explicit durations (Ferguson 1980; Rabiner, "A tutorial on hidden Markov models", Proceedings of the IEEE 77,
1989, section IV.D). With V_s(t) the best sum of a path that is in s at t, e_s the gains, c_s the cost of entering s, and d_s
its shortest duration,

    V_s(t) = max( V_s(t−1) + e_s(t),  max_{r ≠ s} V_r(t−d_s) − c_s + Σ_{u = t−d_s+1..t} e_s(u) ).

The path is found while the steps come. What all paths have in common that can still win is firm; where they disagree about
what was `longest_delay` steps ago, the best one is believed and the others are given up. So delay and memory are bounded,
and the result does not depend on how many steps are pushed at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Entered", "Left", "PathFinder"]

Floats = NDArray[np.float64]

# how often it is looked what is firm: the same moments whatever comes in at a time
_LOOK_STEPS = 2


class Entered(NamedTuple):
    """It is firm that a state was entered."""

    state: int
    start: int


class Left(NamedTuple):
    """It is firm that a state was left: it was there in the steps from `start` up to `end`, excluded."""

    state: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    """A path up to `end`: the state it is in, since when, and the path before."""

    state: int
    start: int
    end: int
    before: _Past | None

    def first(self, since: int) -> _Past | None:
        """The first state that ends after `since`."""
        past: _Past | None = self
        while past is not None and past.before is not None and past.before.end > since:
            past = past.before
        return past if past is not None and past.end > since else None

    def chain(self, since: int) -> list[_Past]:
        """States from `since` on, the first one first."""
        found: list[_Past] = []
        past: _Past | None = self
        while past is not None and past.end > since:
            found.append(past)
            past = past.before
        return found[::-1]


@dataclass(frozen=True, slots=True, eq=False)
class _Moment:
    """The best path up to a step, and the best one that is in another state then; None where there is none."""

    best: _Past | None
    value: float
    second: _Past | None
    second_value: float


class PathFinder:
    """Takes gains as they come, gives what is firm.

    Parameters
    ----------
    shortest : ndarray of int, shape (n_states,)
        d_s, steps.
    costs : ndarray, shape (n_states,)
        c_s, in the units of the gains.
    longest_delay : int
        Steps after which a state is firm at the latest; at least the longest of `shortest`.

    Examples
    --------
    >>> import numpy as np
    >>> finder = PathFinder(np.array([1, 1]), np.array([2.0, 2.0]), longest_delay=50)
    >>> gains = np.array([[1.0, 0.0]] * 8 + [[0.0, 1.0]] * 8)
    >>> [*finder.push(gains), *finder.finish()][-2:]
    [Left(state=0, start=0, end=8), Left(state=1, start=8, end=16)]
    """

    def __init__(self, shortest: NDArray[np.integer], costs: Floats, *, longest_delay: int) -> None:
        self._shortest = np.maximum(np.asarray(shortest, dtype=np.intp), 1)
        self._costs = np.asarray(costs, dtype=np.float64)
        self._wanted = longest_delay
        self._delay = max(longest_delay, int(self._shortest.max()) + _LOOK_STEPS)
        n = len(self._shortest)
        self._longest = int(self._shortest.max())
        self._durations = np.unique(self._shortest)
        self._groups = [np.flatnonzero(self._shortest == d) for d in self._durations]
        self._time = 0
        self._values = np.full(n, -np.inf)
        self._starts = np.zeros(n, dtype=np.intp)
        self._pasts = np.full(n, None, dtype=object)  # path before the present state
        # of the present and of the steps that a state may be entered after
        self._moments: deque[_Moment] = deque([_Moment(None, 0.0, None, 0.0)], maxlen=self._longest + 1)
        self._sums: deque[Floats] = deque([np.zeros(n)], maxlen=self._longest + 1)
        self._firm = 0  # step that what has been given ends with
        self._said: int | None = None  # start of the state that was given as entered
        self._agree_until = 0

    @property
    def slack(self) -> int:
        """Steps that may pass beyond the delay before it is looked what is firm."""
        return _LOOK_STEPS + self._delay - self._wanted

    def push(self, gains: Floats) -> Iterator[Entered | Left]:
        """Take steps, (n, n_states); give what has become firm."""
        for step in gains:
            self._step(step)
            if self._time % _LOOK_STEPS == 0:
                yield from self._agreed()
                yield from self._late()

    def finish(self) -> Iterator[Entered | Left]:
        """Give the rest. Where it is shorter than any state may be, it goes to the state with the largest gains."""
        if self._time == 0:
            return
        if self._time < self._longest:
            final = _Past(int(self._sums[-1].argmax()), 0, self._time, None)
        else:
            final = self._past_of(int(self._values.argmax()))
        for past in final.chain(self._firm):
            yield from self._left(past)

    def _step(self, gains: Floats) -> None:
        self._time += 1
        self._sums.append(self._sums[-1] + gains)
        self._values += gains
        for duration, states in zip(self._durations.tolist(), self._groups, strict=True):
            if duration <= self._time:
                self._enter(states, duration)
        self._remember()

    def _enter(self, states: NDArray[np.intp], duration: int) -> None:
        """Let states be entered so many steps ago, where that is better than having been there."""
        start = self._time - duration
        moment = self._moments[-duration]
        entered = self._sums[-1][states] - self._sums[-1 - duration][states]
        is_best = states == (-1 if moment.best is None else moment.best.state)
        entered += np.where(is_best, moment.second_value, moment.value) - self._costs[states]
        better = entered > self._values[states]
        chosen = states[better]
        self._values[chosen] = entered[better]
        self._starts[chosen] = start
        self._pasts[chosen] = moment.best
        self._pasts[states[better & is_best]] = moment.second

    def _remember(self) -> None:
        """Keep the best path and the best one in another state."""
        best = int(self._values.argmax())
        value = float(self._values[best])
        self._values[best] = -np.inf
        second = int(self._values.argmax())
        second_value = float(self._values[second])
        self._values[best] = value
        self._moments.append(
            _Moment(
                None if np.isneginf(value) else self._past_of(best),
                value,
                None if np.isneginf(second_value) else self._past_of(second),
                second_value,
            )
        )

    def _past_of(self, state: int) -> _Past:
        return _Past(state, int(self._starts[state]), self._time, self._pasts[state])

    def _firsts(self) -> tuple[set[tuple[int, int]], set[tuple[int, int, int]], bool]:
        """First states after what is firm, of all paths that can still win.

        Returns
        -------
        open : set of (state, start)
            Of paths that are there still.
        closed : set of (state, start, end)
        begun : bool
            Whether all paths have begun.
        """
        is_open: set[tuple[int, int]] = set()
        closed: set[tuple[int, int, int]] = set()
        begun = True
        known: dict[int, _Past | None] = {}
        alive = np.flatnonzero(np.isfinite(self._values))
        for state, past in zip(alive.tolist(), self._pasts[alive].tolist(), strict=True):
            if id(past) not in known:
                known[id(past)] = None if past is None else past.first(self._firm)
            first = known[id(past)]
            if first is None:
                is_open.add((state, int(self._starts[state])))
            else:
                closed.add((first.state, first.start, first.end))
        for age, moment in enumerate(reversed(self._moments)):
            begun = begun and age < self._time
            for past in (moment.best, moment.second):
                first = None if past is None else past.first(self._firm)
                if first is past is not None:
                    is_open.add((past.state, past.start))  # another state may be entered from here
                elif first is not None:
                    closed.add((first.state, first.start, first.end))
        return is_open, closed, begun

    def _agreed(self) -> Iterator[Entered | Left]:
        """Give what all paths have in common."""
        while True:
            is_open, closed, begun = self._firsts()
            if not begun:
                self._agree_until = self._time  # it is too early to disagree
                return
            if not is_open and len(closed) == 1:
                state, start, end = closed.pop()
                yield from self._left(_Past(state, start, end, None))
                continue
            entered = is_open | {(state, start) for state, start, _end in closed}
            self._agree_until = self._firm
            if len(entered) == 1:
                self._agree_until = min((end for _state, _start, end in closed), default=self._time)
                yield from self._entered(*entered.pop())
            return

    def _late(self) -> Iterator[Entered | Left]:
        """Believe the best path about what was long ago, and give up those that disagree."""
        limit = self._time - self._delay
        if self._agree_until > limit:
            return
        best = self._past_of(int(self._values.argmax()))
        covering = best
        for past in best.chain(self._firm):
            covering = past
            if past.end > limit:
                break
            yield from self._left(past)
        yield from self._entered(covering.state, covering.start)
        self._give_up(covering, limit)

    def _give_up(self, covering: _Past, limit: int) -> None:
        """Keep the paths that are in this state at `limit`: there is one way only to where it was entered."""

        def through(past: _Past | None) -> bool:
            first = None if past is None else past.first(self._firm)
            if first is None or first.end <= limit:
                return False
            return (first.state, first.start) == (covering.state, covering.start)

        for state in np.flatnonzero(np.isfinite(self._values)).tolist():
            if not through(self._past_of(state)):
                self._values[state] = -np.inf
        for number, moment in enumerate(self._moments):
            kept = [
                (past, value)
                for past, value in ((moment.best, moment.value), (moment.second, moment.second_value))
                if through(past)
            ]
            kept += [(None, -np.inf)] * (2 - len(kept))
            self._moments[number] = _Moment(*kept[0], *kept[1])

    def _entered(self, state: int, start: int) -> Iterator[Entered]:
        if self._said != start:
            self._said = start
            yield Entered(state, start)

    def _left(self, past: _Past) -> Iterator[Entered | Left]:
        yield from self._entered(past.state, past.start)
        self._firm = past.end
        yield Left(past.state, past.start, past.end)
