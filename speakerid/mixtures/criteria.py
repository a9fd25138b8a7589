"""Criteria for the number of components: a mixture with more of them always fits its own frames better.

BIC = −2 log L + p log N (Schwarz 1978) and AIC = −2 log L + 2 p (Akaike 1974), with L the likelihood of the N frames the
mixture was trained on and p its free parameters; the smallest is best. Both take frames for independent; those of speech
overlap, so there are fewer independent ones than N, and both tend to choose larger mixtures than they promise. The
cross-validated log-likelihood (Smyth 2000) asks frames the mixture has not seen; folds keep whole recordings together,
because neighbouring frames are nearly copies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.density import frame_log_likelihoods
from speakerid.mixtures.gaussian_mixture import GaussianMixture

__all__ = ["aic", "aic_of", "bic", "bic_of", "recording_folds"]


def bic_of(log_likelihood: float, n_parameters: int, n_frames: int) -> float:
    """−2 log L + p log N; `log_likelihood` is that of all frames, nats."""
    return -2.0 * log_likelihood + n_parameters * math.log(n_frames)


def aic_of(log_likelihood: float, n_parameters: int) -> float:
    """−2 log L + 2 p."""
    return -2.0 * log_likelihood + 2.0 * n_parameters


def bic(mixture: GaussianMixture, X: NDArray[Any]) -> float:
    """Bayesian information criterion of a mixture on frames (n, d)."""
    return bic_of(_log_likelihood(mixture, X), mixture.n_parameters, len(X))


def aic(mixture: GaussianMixture, X: NDArray[Any]) -> float:
    """Akaike information criterion of a mixture on frames (n, d)."""
    return aic_of(_log_likelihood(mixture, X), mixture.n_parameters)


def _log_likelihood(mixture: GaussianMixture, X: NDArray[Any]) -> float:
    if len(X) == 0:
        raise ValueError("no frames to judge a mixture by")
    return float(frame_log_likelihoods(mixture, X).sum())


def recording_folds(n_frames: Sequence[int], n_folds: int) -> NDArray[np.intp]:
    """Deal recordings to folds of about as many frames: the fold of each recording.

    The longest goes first, always to the fold with the fewest frames; with fewer recordings than folds each is a fold.

    Parameters
    ----------
    n_frames : sequence of int
        Of each recording.
    n_folds : int

    Returns
    -------
    folds : ndarray, shape (n_recordings,)
    """
    result = np.zeros(len(n_frames), dtype=np.intp)
    load = np.zeros(max(min(n_folds, len(n_frames)), 1))
    for recording in sorted(range(len(n_frames)), key=lambda i: (-n_frames[i], i)):
        result[recording] = int(load.argmin())
        load[result[recording]] += max(n_frames[recording], 1)
    return result
