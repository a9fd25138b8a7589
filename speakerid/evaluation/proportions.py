"""So many of so many, and how far that can be trusted.

The interval is Wilson's score interval: all p for which `right` of `n` independent tests would not be surprising,

    (p̂ + z²/2n ± z √(p̂ (1 − p̂)/n + z²/4n²)) / (1 + z²/n),   z the normal quantile of (1 + level)/2.

It stays within 0..1 and keeps its promise at 0 % and 100 %, where p̂ ± z √(p̂ (1 − p̂)/n) has no width. It takes tests for
independent; those of one speaker are not, and :func:`speakerid.evaluation.bootstrap` knows that.

- 0 of n begins exactly at 0; n of n ends exactly at 1.
- 0 of 0 is not a number (NaN), and its interval is 0..1: nothing is known.

E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American Statistical
Association 22 (1927), 209-212.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

__all__ = ["Proportion", "wilson_interval"]


@dataclass(frozen=True)
class Proportion:
    """`right` of `n`.

    Attributes
    ----------
    right : int
        0..n
    n : int
        0 or more.

    Raises
    ------
    ValueError
        `right` is not in 0..n.
    """

    right: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.n:
            raise ValueError(f"{self.right} of {self.n} is no proportion")

    @property
    def value(self) -> float:
        """right / n, 0..1; NaN when n is 0."""
        return self.right / self.n if self.n else math.nan

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Wilson's interval, see :func:`wilson_interval`."""
        return wilson_interval(self.right, self.n, level)


def wilson_interval(right: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the ends of Wilson's score interval of `right` of `n`, each in 0..1.

    Parameters
    ----------
    right, n : int
    level : float
        Confidence, between 0 and 1.

    Raises
    ------
    ValueError
        `right` is not in 0..n, or `level` not between 0 and 1.
    """
    p = Proportion(right, n).value
    if not 0 < level < 1:
        raise ValueError(f"level {level} is not between 0 and 1")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if right == 0 else max(centre - half, 0.0)
    high = 1.0 if right == n else min(centre + half, 1.0)
    return low, high
