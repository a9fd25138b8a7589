"""Score normalisation with a cohort: Z, T, S and adaptive S.

A raw ratio depends on the model (some fit everybody) and on the recording (some fit every model). Both show in the scores
of a *cohort*, speakers who are certainly somebody else:

- Z-norm: a model's scores for recordings of the cohort give its mean and deviation, z = (s − μ_model) / σ_model;
- T-norm: a recording's scores against models of the cohort, t = (s − μ_recording) / σ_recording
  (R. Auckenthaler, M. Carey and H. Lloyd-Thomas, "Score normalization for text-independent speaker verification systems",
  Digital Signal Processing 10, 2000, sections 3.2 and 3.3);
- S-norm: (z + t) / 2 (P. Kenny, "Bayesian speaker verification with heavy-tailed priors", Odyssey 2010);
- adaptive S-norm: the same, of each cohort the nearest `top` only (S. Cumani et al., "Comparison of speaker recognition
  approaches for real applications", Interspeech 2011).

None of them is on by default: with a cohort of the world model's speakers each of them made some corpora better and others
much worse, and the calibration compares with the other enrolled speakers, who are nearer (docs/strangers.md has the table).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["adaptive_s_norm", "s_norm", "t_norm", "z_norm"]

Floats = NDArray[np.float64]


def _moments(scores: Floats, axis: int, top: int | None, what: str) -> tuple[Floats, Floats]:
    """Mean and deviation along an axis, of the `top` largest there."""
    if scores.shape[axis] < 2:
        raise ValueError(f"normalisation needs two {what} of the cohort, got {scores.shape[axis]}")
    if top is not None:
        if top < 2:
            raise ValueError(f"top = {top}: expected 2 or more")
        first = max(scores.shape[axis] - top, 0)
        scores = np.take(np.sort(scores, axis=axis), np.arange(first, scores.shape[axis]), axis=axis)
    deviation = scores.std(axis=axis)
    # a cohort that scores alike tells nothing of the scale
    return scores.mean(axis=axis), np.where(deviation > 0, deviation, 1.0)


def z_norm(scores: Floats, models_to_cohort: Floats, *, top: int | None = None) -> Floats:
    """Normalise by what each model gives to recordings of a cohort.

    Parameters
    ----------
    scores : ndarray, shape (n, n_models)
    models_to_cohort : ndarray, shape (n_cohort_recordings, n_models)
    top : int, optional
        The largest so many of each model count; all if left out.

    Raises
    ------
    ValueError
        The cohort has less than two recordings, `top` is below two, or the shapes do not fit.
    """
    if models_to_cohort.ndim != 2 or models_to_cohort.shape[1] != scores.shape[1]:
        raise ValueError(f"expected the cohort's scores for {scores.shape[1]} models, got {models_to_cohort.shape}")
    mean, deviation = _moments(models_to_cohort, 0, top, "recordings")
    return (scores - mean) / deviation


def t_norm(scores: Floats, recordings_to_cohort: Floats, *, top: int | None = None) -> Floats:
    """Normalise by what models of a cohort give to each recording.

    Parameters
    ----------
    scores : ndarray, shape (n, n_models)
    recordings_to_cohort : ndarray, shape (n, n_cohort_models)
    top : int, optional
        The largest so many of each recording count; all if left out.

    Raises
    ------
    ValueError
        The cohort has less than two models, `top` is below two, or the shapes do not fit.
    """
    if recordings_to_cohort.ndim != 2 or len(recordings_to_cohort) != len(scores):
        raise ValueError(f"expected the cohort's scores for {len(scores)} recordings, got {recordings_to_cohort.shape}")
    mean, deviation = _moments(recordings_to_cohort, 1, top, "models")
    return (scores - mean[:, None]) / deviation[:, None]


def s_norm(scores: Floats, models_to_cohort: Floats, recordings_to_cohort: Floats) -> Floats:
    """Return the mean of :func:`z_norm` and :func:`t_norm`."""
    return (z_norm(scores, models_to_cohort) + t_norm(scores, recordings_to_cohort)) / 2


def adaptive_s_norm(scores: Floats, models_to_cohort: Floats, recordings_to_cohort: Floats, *, top: int = 20) -> Floats:
    """Return the mean of :func:`z_norm` and :func:`t_norm`, of each cohort the nearest `top` only."""
    z = z_norm(scores, models_to_cohort, top=top)
    return (z + t_norm(scores, recordings_to_cohort, top=top)) / 2
