"""To scikit-learn's ``GaussianMixture`` and back, bit for bit.

scikit-learn is imported when a function is called, and not before: speakerid does not need it.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from speakerid.mixtures.em import TrainingRecord
from speakerid.mixtures.gaussian_mixture import GaussianMixture

__all__ = ["from_scikit_learn", "to_scikit_learn"]

# the other types have the same name there
_THEIR_NAMES = {"diagonal": "diag"}


def _scikit_learn() -> Any:
    try:
        return importlib.import_module("sklearn.mixture")
    except ImportError:
        raise ImportError("converting mixtures needs scikit-learn: pip install scikit-learn") from None


def to_scikit_learn(mixture: GaussianMixture, record: TrainingRecord | None = None) -> Any:
    """Return a fitted ``sklearn.mixture.GaussianMixture`` of the same weights, means and covariances.

    Parameters
    ----------
    mixture : GaussianMixture
    record : TrainingRecord, optional
        How it was trained; ``converged_``, ``n_iter_`` and ``lower_bound_`` are taken from it. Left out they are True, 0
        and NaN.

    Returns
    -------
    model : sklearn.mixture.GaussianMixture
        With ``weights_`` (K,), ``means_`` (K, d), ``covariances_``, ``precisions_`` and ``precisions_cholesky_`` in the
        shape of its ``covariance_type``: "diag", "spherical", "tied" or "full". The arrays are copies.

    Raises
    ------
    ImportError
        scikit-learn is not installed.
    """
    if not isinstance(mixture, GaussianMixture):
        raise TypeError(f"expected a GaussianMixture, got {type(mixture).__name__}; of an estimator give its mixture_")
    kind = mixture.covariance_type
    model = _scikit_learn().GaussianMixture(
        n_components=mixture.n_components, covariance_type=_THEIR_NAMES.get(kind.name, kind.name)
    )
    model.weights_ = mixture.weights.copy()
    model.means_ = mixture.means.copy()
    model.covariances_ = mixture.covariances.copy()
    if kind.uses_products:
        # their factor U of P = U Uᵀ is the transposed inverse of L in Σ = L Lᵀ
        factor = np.linalg.inv(np.linalg.cholesky(model.covariances_)).swapaxes(-1, -2)
        model.precisions_cholesky_ = np.triu(factor)
        model.precisions_ = model.precisions_cholesky_ @ model.precisions_cholesky_.swapaxes(-1, -2)
    else:
        model.precisions_cholesky_ = 1.0 / np.sqrt(model.covariances_)
        model.precisions_ = model.precisions_cholesky_**2
    history = record.log_likelihoods if record is not None else (math.nan,)
    model.converged_ = record is None or record.converged
    model.n_iter_ = len(history) - 1
    model.lower_bound_ = history[-1]
    model.lower_bounds_ = list(history[1:])
    model.n_features_in_ = mixture.n_features
    return model


def from_scikit_learn(model: Any) -> GaussianMixture:
    """Return the mixture of a fitted ``sklearn.mixture.GaussianMixture``.

    Parameters
    ----------
    model : sklearn.mixture.GaussianMixture
        Trained in float64. The weights of one trained in float32 sum to 1 up to that precision only, and are scaled.

    Returns
    -------
    mixture : GaussianMixture

    Raises
    ------
    TypeError
        Something else, such as a ``BayesianGaussianMixture``, whose parameters are distributions.
    ValueError
        It has not been fitted, or a weight is zero.
    ImportError
        scikit-learn is not installed.
    """
    if not isinstance(model, _scikit_learn().GaussianMixture):
        raise TypeError(f"expected a sklearn.mixture.GaussianMixture, got {type(model).__name__}")
    arrays = [getattr(model, name, None) for name in ("weights_", "means_", "covariances_")]
    weights, means, covariances = arrays
    if weights is None or means is None or covariances is None:
        raise ValueError("this sklearn.mixture.GaussianMixture has not been fitted: call its fit first")
    return GaussianMixture(weights, means, covariances, model.covariance_type)
