"""Are two systems that answered the same tests different? McNemar's exact test.

Only tests that one system got right and the other wrong say anything. If the systems are equally good, each of those is as
likely to be the one's as the other's, so their number for one system is binomial with p = 1/2; the p value is two-sided,
2 P(X ≤ the smaller number), at most 1. Without such tests it is 1. Tests are taken for independent
(:func:`speakerid.evaluation.paired_bootstrap` draws whole speakers).

Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", Psychometrika 12
(1947), 153-157. L. Gillick and S. Cox, "Some statistical issues in the comparison of speech recognition algorithms",
ICASSP 1989, 532-535.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr

from speakerid.evaluation.checks import checked_flags

__all__ = ["McNemar", "mcnemar_test"]


@dataclass(frozen=True)
class McNemar:
    """Where two systems differ.

    Attributes
    ----------
    only_first, only_second : int
        Tests that only that system got right.
    p_value : float
        Two-sided, 0..1.
    """

    only_first: int
    only_second: int
    p_value: float


def mcnemar_test(first_right: ArrayLike, second_right: ArrayLike) -> McNemar:
    """Compare right and wrong answers to the same tests.

    Parameters
    ----------
    first_right, second_right : array-like of bool, shape (n_tests,)

    Raises
    ------
    ValueError
        The shapes differ.
    """
    first = checked_flags(first_right, np.asarray(first_right).size, "right answers of the first system")
    second = checked_flags(second_right, len(first), "right answers of the second system")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    n = only_first + only_second
    p_value = min(2.0 * float(bdtr(min(only_first, only_second), n, 0.5)), 1.0) if n else 1.0
    return McNemar(only_first, only_second, p_value)
