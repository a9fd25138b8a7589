"""Who was taken for whom.

`counts[i, j]` is how many tests of label i were given label j, so the diagonal is right, a row is all tests of a speaker
and a column all tests given that name. "unknown" may be one of the labels, as a truth and as a decision.

- recall of a speaker: of the tests of it, the share that was given its name; None for a speaker without a test;
- precision: of the tests given its name, the share that is of it; None for a name never given.

None, not 0: a ratio 0/0 is not a bad figure but no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speakerid.evaluation.checks import checked_indices

__all__ = ["ConfusedPair", "Confusion", "SpeakerFigures", "confusion_matrix"]


@dataclass(frozen=True)
class SpeakerFigures:
    """How one label fares.

    Attributes
    ----------
    label : str
    n_tests : int
        Tests of it.
    n_decided : int
        Tests that were given its name.
    n_right : int
        Both.
    recall, precision : float or None
        0..1; None where they are 0/0.
    """

    label: str
    n_tests: int
    n_decided: int
    n_right: int
    recall: float | None
    precision: float | None


@dataclass(frozen=True)
class ConfusedPair:
    """Tests of `truth` that were given the name `decided`.

    Attributes
    ----------
    truth, decided : str
    count : int
        1 or more.
    share : float
        Of the tests of `truth`, 0..1.
    """

    truth: str
    decided: str
    count: int
    share: float


@dataclass(frozen=True, eq=False)
class Confusion:
    """A confusion matrix with its labels.

    Attributes
    ----------
    labels : tuple of str, n_labels
    counts : ndarray of int, shape (n_labels, n_labels)
        Truth by row, decision by column.
    """

    labels: tuple[str, ...]
    counts: NDArray[np.int64]

    def per_speaker(self) -> tuple[SpeakerFigures, ...]:
        """Figures of each label, in the order of the labels."""
        tests, decided, right = self.counts.sum(axis=1), self.counts.sum(axis=0), np.diagonal(self.counts)
        return tuple(
            SpeakerFigures(label, t, d, r, recall=r / t if t else None, precision=r / d if d else None)
            for label, t, d, r in zip(self.labels, tests.tolist(), decided.tolist(), right.tolist(), strict=True)
        )

    def worst_pairs(self, most: int | None = None) -> tuple[ConfusedPair, ...]:
        """Pairs that were confused at all: the most tests first, then the largest share, then the labels' order.

        A pair has a direction: alice taken for bob and bob taken for alice are two.

        Parameters
        ----------
        most : int, optional
            So many at most; None gives all.
        """
        tests = self.counts.sum(axis=1)
        truth, decided = np.nonzero(self.counts * ~np.eye(len(self.labels), dtype=np.bool_))
        count = self.counts[truth, decided]
        share = count / tests[truth]
        order = np.lexsort((decided, truth, -share, -count))[:most]
        return tuple(
            ConfusedPair(self.labels[truth[i]], self.labels[decided[i]], int(count[i]), float(share[i])) for i in order
        )


def confusion_matrix(truth: ArrayLike, decided: ArrayLike, labels: Sequence[str]) -> Confusion:
    """Count decisions by truth.

    Parameters
    ----------
    truth, decided : array-like of int, shape (n_tests,)
        Indices into `labels`.
    labels : sequence of str
        Each once.

    Raises
    ------
    ValueError
        A label comes twice, an index is of no label, or the lengths differ.
    """
    n = len(labels)
    if len(set(labels)) != n:
        raise ValueError("a label comes twice")
    truth = checked_indices(truth, np.asarray(truth).size, n, "truth")
    decided = checked_indices(decided, len(truth), n, "decisions")
    counts = np.bincount(truth * n + decided, minlength=n * n).reshape(n, n).astype(np.int64)
    return Confusion(tuple(labels), counts)
