"""Who of the enrolled speakers? Every test is of one of them, and the system must name one.

The *rank* of a test is the place of its true speaker when the scores are sorted, 1 the best. Speakers with the same score
as the true one are counted before it: a tie is decided against the system, so that a system that gives all speakers one
score is never right. From the ranks come

- top-k accuracy: the share of tests whose rank is at most k;
- the cumulative match characteristic (CMC): top-k accuracy for k = 1..n_speakers; it never falls and ends at 1
  (Phillips, Grother and Micheals, "Evaluation methods in face recognition", in Li and Jain (eds), Handbook of Face
  Recognition, 2nd ed., Springer 2011);
- the accuracy that would be expected with fewer enrolled speakers, without scoring again.

A score of −inf is allowed (a speaker who cannot be it); NaN is not. Every function of scores wants larger to be better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from speakerid.evaluation.checks import EmptySideError, checked_indices, checked_scores, checked_weights
from speakerid.evaluation.proportions import Proportion

__all__ = ["cmc_curve", "decisions", "expected_accuracy_by_size", "ranks", "top_k_accuracy"]


def ranks(scores: ArrayLike, truth: ArrayLike) -> NDArray[np.intp]:
    """Place of the true speaker in each test, 1 is best; a tie counts against the system.

    Parameters
    ----------
    scores : array-like, shape (n_tests, n_speakers)
        Larger is better.
    truth : array-like of int, shape (n_tests,)
        Column of the true speaker.

    Returns
    -------
    ranks : ndarray, shape (n_tests,)
        1..n_speakers

    Raises
    ------
    ValueError
        A shape is wrong, a score is NaN, or a true speaker is no column.
    """
    scores, true, _truth = _prepared(scores, truth)
    return np.asarray(np.count_nonzero(scores >= true[:, None], axis=1))


def decisions(scores: ArrayLike, truth: ArrayLike) -> NDArray[np.intp]:
    """Speaker named in each test, (n_tests,); of equal best scores a wrong one, the first of them.

    So a decision is right exactly where the rank is 1. Parameters and errors as in :func:`ranks`.
    """
    scores, true, truth = _prepared(scores, truth)
    rivals = scores >= true[:, None]
    np.put_along_axis(rivals, truth[:, None], False, axis=1)
    best = np.where(rivals, scores, -np.inf).argmax(axis=1)
    best = np.where(best == truth, rivals.argmax(axis=1), best)  # all rivals have −inf, and so has the truth
    return np.where(rivals.any(axis=1), best, truth)


def _prepared(scores: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Scores (n_tests, n_speakers), those of the true speakers (n_tests,), and the latter's columns (n_tests,)."""
    scores = checked_scores(scores, "scores", n_dimensions=2)
    truth = checked_indices(truth, scores.shape[0], scores.shape[1], "true speakers")
    return scores, np.take_along_axis(scores, truth[:, None], axis=1)[:, 0], truth


def top_k_accuracy(ranks: ArrayLike, k: int = 1) -> Proportion:
    """Tests whose true speaker is among the k best.

    Parameters
    ----------
    ranks : array-like of int, shape (n_tests,)
        From :func:`ranks`.
    k : int
        1 or more; more than there are speakers is the same as all of them.

    Raises
    ------
    ValueError
        k < 1.
    """
    if k < 1:
        raise ValueError(f"k must be 1 or more, got {k}")
    ranks = np.asarray(ranks)
    return Proportion(int(np.count_nonzero(ranks <= k)), len(ranks))


def cmc_curve(ranks: ArrayLike, n_speakers: int, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    """Cumulative match characteristic: element k − 1 is the share of tests with a rank of at most k.

    Parameters
    ----------
    ranks : array-like of int, shape (n_tests,)
    n_speakers : int
    weights : array-like, shape (n_tests,), optional
        How often each test counts.

    Returns
    -------
    curve : ndarray, shape (n_speakers,)
        0..1, never falling, 1 at the end.

    Raises
    ------
    EmptySideError
        There is no test.
    ValueError
        A rank is not in 1..n_speakers.
    """
    share = _share_of_each_rank(ranks, n_speakers, weights)
    curve = np.cumsum(share)
    return np.asarray(np.minimum(curve / curve[-1], 1.0))  # without the rounding of the sum


def expected_accuracy_by_size(
    ranks: ArrayLike, n_speakers: int, sizes: ArrayLike, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Top-1 accuracy to be expected if only m of the speakers were enrolled, the true one among them.

    A test of rank r stays right when none of the r − 1 speakers before it is among the m − 1 others, drawn from
    n_speakers − 1: C(n_speakers − r, m − 1) / C(n_speakers − 1, m − 1), averaged over tests. This is the mean over all
    subsets, not an estimate by drawing some; it holds for scores that do not depend on who else is enrolled.

    Parameters
    ----------
    ranks : array-like of int, shape (n_tests,)
    n_speakers : int
        With whom the ranks were found.
    sizes : array-like of int, shape (n_sizes,)
        Each 1..n_speakers.
    weights : array-like, shape (n_tests,), optional
        How often each test counts.

    Returns
    -------
    accuracy : ndarray, shape (n_sizes,)
        0..1, falling with the size; 1 for one speaker, the top-1 accuracy for all.

    Raises
    ------
    EmptySideError
        There is no test.
    ValueError
        A rank or a size is not in 1..n_speakers.
    """
    share = _share_of_each_rank(ranks, n_speakers, weights)
    others = checked_indices(sizes, np.asarray(sizes).size, n_speakers, "sizes", first=1)
    worse = n_speakers - np.arange(1, n_speakers + 1)  # how many speakers are behind a true one of that rank
    # worse: (n_speakers,); others: (n_sizes,) -> (n_sizes, n_speakers)
    m, b = others[:, None], worse[None, :]
    possible = b >= m
    log_ways = gammaln(b + 1) - gammaln(np.where(possible, b - m, 0) + 1)  # times (m − 1)!, which cancels
    stays = np.where(possible, np.exp(np.minimum(log_ways - log_ways[:, :1], 0.0)), 0.0)
    return np.asarray(np.minimum(stays @ share, 1.0), dtype=np.float64)


def _share_of_each_rank(ranks: ArrayLike, n_speakers: int, weights: ArrayLike | None) -> NDArray[np.float64]:
    places = checked_indices(ranks, np.asarray(ranks).size, n_speakers, "ranks", first=1)
    counts = np.bincount(places, checked_weights(weights, len(places)), minlength=n_speakers)
    if not counts.any():
        raise EmptySideError("no tests of enrolled speakers")
    return np.asarray(counts / counts.sum(), dtype=np.float64)
