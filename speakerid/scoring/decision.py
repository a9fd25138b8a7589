"""From scores to a decision that can be defended.

The speaker with the largest mean log-likelihood wins (Reynolds and Rose 1995, maximum-likelihood classification: the
cumulative log-likelihood over the speech frames; the mean ranks the same). How far the winner is ahead of the next
speaker, in nats a frame, is the *margin*: strangers are close to two speakers at once, an enrolled speaker is close
to one. A name may be refused by a threshold on it.

Where scores are calibrated (:mod:`speakerid.scoring.calibration`) the speaker with the largest calibrated ratio wins, who is
the most probable one: with as much speech enrolled of everybody nearly always the same, and fairer to those of whom
little is enrolled. A name may be refused by a threshold on that ratio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Decision", "Rule", "cohort_scores", "decide", "refuses", "relative_scores"]


@dataclass(frozen=True)
class Rule:
    """What decides between a name and "unknown".

    Attributes
    ----------
    kind : {"always", "closed_set", "margin", "evidence"}
        The best speaker is named always ("closed_set": also of a recording that would be refused); or when the margin, nats
        a frame, reaches the threshold; or when the calibrated log-likelihood ratio does, less log n for having been chosen
        among n speakers.
    threshold : float
    """

    kind: Literal["always", "closed_set", "margin", "evidence"]
    threshold: float = 0.0


@dataclass(frozen=True)
class Decision:
    """What the scores say.

    Attributes
    ----------
    status : {"identified", "unknown"}
    speaker : int
        Index of the best speaker, also when it is refused.
    margin : float or None
        Nats a frame that the best speaker is ahead of the others, below 0 where a log-likelihood alone would name another;
        None with a single speaker.
    ranking : tuple of int
        All speakers, best first; equal scores in their order.
    """

    status: Literal["identified", "unknown"]
    speaker: int
    margin: float | None
    ranking: tuple[int, ...]


def decide(log_likelihoods: NDArray[np.float64], rule: Rule, *, ratios: NDArray[np.float64] | None = None) -> Decision:
    """Rank the speakers and decide.

    Parameters
    ----------
    log_likelihoods : ndarray, shape (n_speakers,)
        Mean over the speech frames, nats a frame.
    rule : Rule
        A single speaker has no margin, and is named by a margin's rule always.
    ratios : ndarray, shape (n_speakers,), optional
        Calibrated; needed for a rule by evidence. They rank the speakers, unless the rule is about margins: a likelihood
        alone leans to speakers of whom much is enrolled.
    """
    ranking = np.argsort(-(log_likelihoods if ratios is None or rule.kind == "margin" else ratios), kind="stable")
    best = int(ranking[0])
    refused = refuses(rule, best, log_likelihoods, ratios)
    return Decision(
        "unknown" if refused else "identified", best, _margin(best, log_likelihoods), tuple(ranking.tolist())
    )


def refuses(rule: Rule, speaker: int, log_likelihoods: NDArray[np.float64], ratios: NDArray[np.float64] | None) -> bool:
    """Whether a rule gives a speaker no name, with the scores of :func:`decide`."""
    if rule.kind == "margin":
        margin = _margin(speaker, log_likelihoods)
        return margin is not None and margin < rule.threshold
    if rule.kind == "evidence":
        assert ratios is not None
        return bool(float(ratios[speaker]) - np.log(len(ratios)) < rule.threshold)
    return False


def _margin(speaker: int, log_likelihoods: NDArray[np.float64]) -> float | None:
    """By how much a speaker is ahead of the others; None with a single speaker."""
    if len(log_likelihoods) < 2:
        return None
    return float(log_likelihoods[speaker] - np.delete(log_likelihoods, speaker).max())


def cohort_scores(log_likelihoods: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each model's log-likelihood less the mean of all others': how a trial is scored that has no world model.

    The other models of a list stand for the world. Their mean, not the best of them: some may be of the same speaker
    (Auckenthaler, Carey and Lloyd-Thomas, "Score normalization for text-independent speaker verification systems",
    Digital Signal Processing 10, 2000, 42-54: test normalisation, here without the scale).

    Parameters
    ----------
    log_likelihoods : ndarray, shape (n, n_models)
        Nats a frame; −inf for a model that there is not.

    Returns
    -------
    scores : ndarray, shape (n, n_models)
        Nats a frame; −inf stays. The only model of a row has nobody to be compared with and keeps the log-likelihood.
    """
    there = np.isfinite(log_likelihoods)
    values = np.where(there, log_likelihoods, 0.0)
    others = there.sum(axis=1, keepdims=True) - 1
    mean = (values.sum(axis=1, keepdims=True) - values) / np.maximum(others, 1)
    return np.where(there, np.where(others > 0, log_likelihoods - mean, log_likelihoods), log_likelihoods)


def relative_scores(log_likelihoods: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each speaker's log-likelihood less the best of the others': what tells a speaker from everybody else.

    The largest of a row is the margin of its best speaker; all others are at most 0. This is the log-likelihood ratio to
    the nearest of a cohort that is made of the enrolled speakers (Higgins, Bahler and Porter, "Speaker verification using
    randomized phrase prompting", Digital Signal Processing 1, 1991, 89-106).

    Parameters
    ----------
    log_likelihoods : ndarray, shape (n, n_speakers)
        Nats a frame; −inf for a speaker who is not to be compared.

    Returns
    -------
    scores : ndarray, shape (n, n_speakers)
        Nats a frame; −inf stays. The only speaker of a row has nobody to be compared with and keeps the log-likelihood.
    """
    if log_likelihoods.shape[1] < 2:
        return log_likelihoods
    second, first = np.partition(log_likelihoods, (-2, -1), axis=1)[:, -2:].T
    with np.errstate(invalid="ignore"):
        rival = np.where(log_likelihoods == first[:, None], second[:, None], first[:, None])
        scores = np.where(np.isneginf(rival), log_likelihoods, log_likelihoods - rival)
    return np.where(np.isneginf(log_likelihoods), log_likelihoods, scores)
