"""One of the enrolled speakers, or nobody? Tests of enrolled speakers and of strangers.

Each test has an *acceptance score*: what is compared with the threshold. By default it is the largest score over the
enrolled speakers; a margin or a probability will do as well. "Somebody" when it is ≥ the threshold, and then the speaker
with the largest score is named. At threshold t:

- false-alarm rate: share of strangers who are given a name;
- detection miss rate: share of tests of enrolled speakers that are given none, whoever it would have been;
- detection and identification rate (DIR, at rank 1): share of tests of enrolled speakers that are given a name, and it is
  theirs. It is at most the closed-set accuracy, its value when every test is given a name.

The DIR at a false-alarm rate f is that at the lowest threshold with a false-alarm rate of at most f, so nothing is
interpolated and the promise is kept: with 40 strangers, f = 1 % means that none of them gets a name. The threshold is one
of the scores of the tests, or +inf when only "nobody" to all keeps f (then the DIR is 0). The detection EER is the equal
error rate (:mod:`speakerid.evaluation.detection`) of misses and false alarms.

P. J. Phillips, P. Grother and R. Micheals, "Evaluation methods in face recognition", in S. Z. Li and A. K. Jain (eds),
Handbook of Face Recognition, 2nd ed., Springer 2011 (the open-set task).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speakerid.evaluation.checks import checked_flags, checked_scores, checked_weights
from speakerid.evaluation.closed_set import ranks
from speakerid.evaluation.detection import equal_error_rate
from speakerid.evaluation.roc import Roc
from speakerid.evaluation.trials import DetectionTrials

__all__ = ["OpenSetCurve", "OpenSetTrials"]

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class OpenSetCurve:
    """What happens at each threshold.

    Attributes
    ----------
    roc : Roc
        Thresholds (n_points,), rising; rates of misses (an enrolled speaker is called nobody) and false alarms (a stranger
        is given a name).
    identified : ndarray, shape (n_points,)
        Detection and identification rate, 0..1, never rising; 0 at the end.
    """

    roc: Roc
    identified: NDArray[np.float64]

    @property
    def equal_error_rate(self) -> float:
        """Of detection, 0..1."""
        return equal_error_rate(self.roc)

    def threshold_at(self, false_alarm_rate: float) -> float:
        """Lowest threshold of the curve with at most that false-alarm rate, in the units of the scores; maybe +inf.

        Raises
        ------
        ValueError
            The rate is not in 0..1.
        """
        return float(self.roc.thresholds[self._point_at(false_alarm_rate)])

    def identified_at(self, false_alarm_rate: float) -> float:
        """Detection and identification rate at a false-alarm rate of at most that, 0..1.

        Raises
        ------
        ValueError
            The rate is not in 0..1.
        """
        return float(self.identified[self._point_at(false_alarm_rate)])

    def missed_at(self, false_alarm_rate: float) -> float:
        """Detection miss rate at a false-alarm rate of at most that, 0..1.

        Raises
        ------
        ValueError
            The rate is not in 0..1.
        """
        return float(self.roc.miss[self._point_at(false_alarm_rate)])

    def _point_at(self, false_alarm_rate: float) -> int:
        if not 0 <= false_alarm_rate <= 1:
            raise ValueError(f"false-alarm rate {false_alarm_rate} is not in 0..1")
        # the curve ends at 0, and an equal rate computed another way is equal
        return int(np.argmax(self.roc.false_alarm <= false_alarm_rate + _ROUNDING))


class OpenSetTrials:
    """Tests of enrolled speakers and of strangers, sorted once.

    Parameters
    ----------
    known : array-like, shape (n_known,)
        Acceptance score of each test of an enrolled speaker, larger is for "somebody"; ±inf allowed.
    right : array-like of bool, shape (n_known,)
        The name that would be given is the true one.
    strangers : array-like, shape (n_strangers,)
        Acceptance score of each test of a stranger.

    Raises
    ------
    EmptySideError
        There are no tests of enrolled speakers or of strangers.
    ValueError
        A shape is wrong or a score is NaN.
    """

    def __init__(self, known: ArrayLike, right: ArrayLike, strangers: ArrayLike) -> None:
        known = checked_scores(known, "scores of enrolled speakers' tests")
        strangers = checked_scores(strangers, "scores of strangers' tests")
        self.right = checked_flags(right, len(known), "right names")
        self.n_known, self.n_strangers = len(known), len(strangers)
        self.detection = DetectionTrials.of(known, strangers)

    @classmethod
    def of_scores(cls, known: ArrayLike, truth: ArrayLike, strangers: ArrayLike) -> OpenSetTrials:
        """Accept by the largest score; a tie for it with a wrong speaker is not right.

        Parameters
        ----------
        known : array-like, shape (n_known, n_speakers)
            Scores of tests of enrolled speakers, larger is better.
        truth : array-like of int, shape (n_known,)
            Column of the true speaker.
        strangers : array-like, shape (n_strangers, n_speakers)
            Scores of tests of strangers.

        Raises
        ------
        EmptySideError
            There are no tests of enrolled speakers or of strangers.
        ValueError
            A shape is wrong, a score is NaN, or a true speaker is no column.
        """
        known = checked_scores(known, "scores of enrolled speakers' tests", n_dimensions=2)
        strangers = checked_scores(strangers, "scores of strangers' tests", n_dimensions=2)
        if strangers.shape[1] != known.shape[1] or not known.shape[1]:
            raise ValueError(
                f"expected scores for the same speakers, one or more, got {known.shape[1]} and {strangers.shape[1]}"
            )
        return cls(known.max(axis=1), ranks(known, truth) == 1, strangers.max(axis=1))

    def curve(self, known_weights: ArrayLike | None = None, stranger_weights: ArrayLike | None = None) -> OpenSetCurve:
        """Rates at every threshold.

        Parameters
        ----------
        known_weights : array-like, shape (n_known,), optional
            How often each test of an enrolled speaker counts.
        stranger_weights : array-like, shape (n_strangers,), optional
            How often each test of a stranger counts.

        Raises
        ------
        EmptySideError
            A side has no weight.
        """
        known = checked_weights(known_weights, self.n_known, "weights of enrolled speakers' tests")
        strangers = checked_weights(stranger_weights, self.n_strangers, "weights of strangers' tests")
        roc = self.detection.roc(np.concatenate([known, strangers]))
        nobody: NDArray[Any] = np.zeros(self.n_strangers)
        identified = self.detection.at_or_above(np.concatenate([known * self.right, nobody]))
        return OpenSetCurve(roc, identified / known.sum())
