"""Detection trials: is this that speaker? A score for each, larger for yes, and whether it is true (a *target* trial).

Trials are sorted once; what depends on weights then costs sums only, so a bootstrap of a thousand replicates does not
sort a thousand times.

The decision at threshold t is "yes" when score ≥ t. Trials with one score stay together whatever the threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speakerid.evaluation.checks import (
    EmptySideError,
    checked_flags,
    checked_scores,
    checked_weights,
)
from speakerid.evaluation.roc import Roc

__all__ = ["DetectionTrials"]


class DetectionTrials:
    """Scores of target and non-target trials, in the order given and sorted.

    Parameters
    ----------
    scores : array-like, shape (n_trials,)
        Larger is for "yes"; ±inf allowed. Log-likelihood ratios in nats where a metric asks for them.
    is_target : array-like of bool, shape (n_trials,)

    Attributes
    ----------
    scores : ndarray, shape (n_trials,)
    is_target : ndarray of bool, shape (n_trials,)
    thresholds : ndarray, shape (n_distinct + 1,)
        The distinct scores, rising, and +inf for "no" to all.

    Raises
    ------
    EmptySideError
        There are no target or no non-target trials.
    ValueError
        A shape is wrong or a score is NaN.
    """

    def __init__(self, scores: ArrayLike, is_target: ArrayLike) -> None:
        self.scores = checked_scores(scores, "trial scores")
        self.is_target = checked_flags(is_target, len(self.scores), "target flags")
        if self.is_target.all() or not self.is_target.any():
            side = "target" if not self.is_target.any() else "non-target"
            raise EmptySideError(f"no {side} trials among {len(self.scores)}")
        self._order = np.argsort(self.scores, kind="stable")
        ordered = self.scores[self._order]
        self._first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self.thresholds = np.append(ordered[self._first], np.inf)

    @classmethod
    def of(cls, targets: ArrayLike, nontargets: ArrayLike) -> DetectionTrials:
        """Trials from the scores of each side, (n_targets,) and (n_nontargets,), in that order."""
        targets, nontargets = checked_scores(targets, "target scores"), checked_scores(nontargets, "non-target scores")
        return cls(np.concatenate([targets, nontargets]), np.arange(len(targets) + len(nontargets)) < len(targets))

    @classmethod
    def of_matrix(cls, scores: ArrayLike, truth: ArrayLike) -> DetectionTrials:
        """Every test against every enrolled speaker, test by test.

        A weight for each test becomes one for each trial by ``np.repeat(weights, n_speakers)``.

        Parameters
        ----------
        scores : array-like, shape (n_tests, n_speakers)
        truth : array-like of int, shape (n_tests,)
            Column of the true speaker; −1 for nobody enrolled, whose trials are all non-target.
        """
        scores = checked_scores(scores, "scores", n_dimensions=2)
        truth = np.asarray(truth)
        if truth.shape != (len(scores),) or not ((truth >= -1) & (truth < scores.shape[1])).all():
            raise ValueError(f"true speakers: expected {len(scores)} numbers in -1..{scores.shape[1] - 1}")
        return cls(scores.ravel(), (truth[:, None] == np.arange(scores.shape[1])).ravel())

    def __len__(self) -> int:
        """n_trials."""
        return len(self.scores)

    @property
    def targets(self) -> NDArray[np.float64]:
        """Scores of the target trials, (n_targets,)."""
        return self.scores[self.is_target]

    @property
    def nontargets(self) -> NDArray[np.float64]:
        """Scores of the non-target trials, (n_nontargets,)."""
        return self.scores[~self.is_target]

    def of_each_score(self, amounts: ArrayLike) -> NDArray[np.float64]:
        """Sum of amounts (n_trials,) over the trials of each distinct score, (n_distinct,)."""
        ordered = checked_weights(amounts, len(self), "amounts")[self._order]
        return ordered if len(self._first) == len(ordered) else np.add.reduceat(ordered, self._first)

    def at_or_above(self, amounts: ArrayLike) -> NDArray[np.float64]:
        """Sum of amounts (n_trials,) over the trials that get "yes" at each threshold, (n_distinct + 1,)."""
        return np.append(np.cumsum(self.of_each_score(amounts)[::-1])[::-1], 0.0)

    def of_score_index(self) -> NDArray[np.intp]:
        """Index of each trial's score among the distinct ones, (n_trials,)."""
        result = np.empty(len(self), dtype=np.intp)
        result[self._order] = np.repeat(np.arange(len(self._first)), np.diff(np.append(self._first, len(self))))
        return result

    def sides(self, weights: ArrayLike | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights of the target and of the non-target trials, (n_trials,) each, with 0 for the other side.

        Raises
        ------
        EmptySideError
            A side has no weight.
        """
        each = checked_weights(weights, len(self))
        targets, nontargets = each * self.is_target, each * ~self.is_target
        for side, weight in (("target", targets), ("non-target", nontargets)):
            if not weight.any():
                raise EmptySideError(f"no weight on {side} trials")
        return targets, nontargets

    def roc(self, weights: ArrayLike | None = None) -> Roc:
        """Miss and false-alarm rates at every threshold.

        Parameters
        ----------
        weights : array-like, shape (n_trials,), optional
            How often each trial counts.

        Raises
        ------
        EmptySideError
            A side has no weight.
        """
        targets, nontargets = (self.at_or_above(side) for side in self.sides(weights))
        return Roc(self.thresholds, (targets[0] - targets) / targets[0], nontargets / nontargets[0])
