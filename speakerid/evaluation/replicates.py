"""Error rates of many replicates at once.

Trials of one recording are drawn together, so a replicate is a weight for each recording, and its counts at all thresholds
are a product: weights (n_replicates, n_tests) times how many of a recording's trials lie between two thresholds. The
thresholds are the distinct scores or, when these are many, some of them: every 1/1,000 of the targets, and of the
non-targets every 1/500 and in their upper tail every percent of what is left, because there the detection cost counts
single trials. Every point is then a true point of the replicate's curve; between two points the curve is a straight line
that is less than a thousandth of the targets long. Replicates are for intervals: the figures themselves are computed from
all scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from speakerid.evaluation.roc import Roc

__all__ = ["CountedTrials"]

_FEW = 2048
_TESTS_A_BLOCK = 1024


class CountedTrials:
    """Trials of recordings, counted between thresholds.

    Parameters
    ----------
    tests : ndarray of int, shape (n_trials,)
        The recording of each trial.
    scores : ndarray, shape (n_trials,)
        Larger is for "yes"; −inf allowed.
    is_target : ndarray of bool, shape (n_trials,)
    also : ndarray of bool, shape (n_trials,), optional
        Trials whose rate is wanted too; a share of the targets.
    n_tests : int

    Attributes
    ----------
    thresholds : ndarray, shape (n_points,)
        Rising; the last is +inf.
    """

    def __init__(
        self,
        tests: NDArray[np.intp],
        scores: NDArray[np.float64],
        is_target: NDArray[np.bool_],
        *,
        n_tests: int,
        also: NDArray[np.bool_] | None = None,
    ) -> None:
        grid = _grid(np.sort(scores[is_target]), np.sort(scores[~is_target]))
        self.thresholds = np.append(grid, np.inf)
        self._n_tests = n_tests
        place = np.searchsorted(grid, scores, side="right") - 1
        order = np.argsort(tests, kind="stable")
        self._tests, self._place = tests[order], place[order]
        sides = [is_target, ~is_target] + ([also & is_target] if also is not None else [])
        self._sides = [side[order] for side in sides]

    def rates(self, weights: NDArray[np.float64]) -> Iterator[tuple[Roc, NDArray[np.float64]] | None]:
        """Curves of replicates.

        Parameters
        ----------
        weights : ndarray, shape (n_replicates, n_tests)

        Yields
        ------
        curve : (Roc, ndarray of shape (n_points,)) or None
            The error rates and the rate of the trials of `also` (empty without them); None where a side has no weight.
        """
        counts = self._at_or_above(weights)
        for replicate in range(len(weights)):
            targets, nontargets, *also = (side[replicate] for side in counts)
            if targets[0] == 0 or nontargets[0] == 0:
                yield None
                continue
            roc = Roc(self.thresholds, (targets[0] - targets) / targets[0], nontargets / nontargets[0])
            yield roc, also[0] / targets[0] if also else np.empty(0)

    def _at_or_above(self, weights: NDArray[np.float64]) -> Sequence[NDArray[np.float64]]:
        """Weight of each side's trials at or above each threshold, (n_replicates, n_points) each."""
        n_cells = len(self.thresholds) - 1
        totals = [np.zeros((len(weights), n_cells + 1)) for _ in self._sides]  # and nothing is at or above +inf
        for first in range(0, self._n_tests, _TESTS_A_BLOCK):
            last = min(first + _TESTS_A_BLOCK, self._n_tests)
            trials = slice(*np.searchsorted(self._tests, (first, last)))
            cell = (self._tests[trials] - first) * n_cells + self._place[trials]
            part = weights[:, first:last].astype(np.float32)
            for number, side in enumerate(self._sides):
                counted = np.bincount(cell[side[trials]], minlength=(last - first) * n_cells)
                totals[number][:, :-1] += part @ counted.reshape(last - first, n_cells).astype(np.float32)
        return [np.cumsum(total[:, ::-1], axis=1)[:, ::-1] for total in totals]


def _grid(targets: NDArray[np.float64], nontargets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds from the sorted scores of both sides."""
    distinct = np.unique(np.concatenate([targets, nontargets]))
    if len(distinct) <= _FEW:
        return np.asarray(distinct)
    chosen = [distinct[:1]]
    for side, steps in ((targets, 1000), (nontargets, 500)):
        chosen.append(side[np.linspace(0, len(side) - 1, steps).astype(np.intp)])
        chosen.append(side[len(side) - np.unique(np.geomspace(1, len(side), 1000).astype(np.intp))])
    return np.unique(np.concatenate(chosen))
