"""The model: a mixture of Gaussians with diagonal covariances.

p(x) = Σ_k π_k N(x; μ_k, diag σ²_k), π_k ≥ 0, Σ_k π_k = 1 (Bishop 2006, eq. 9.7). One feature is the case d = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["GaussianMixture"]


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """A frozen mixture; the arrays are copied and made read-only.

    Attributes
    ----------
    weights : ndarray, shape (K,), float64
        π_k, all positive, with sum 1.
    means : ndarray, shape (K, d), float64
        μ_k.
    variances : ndarray, shape (K, d), float64
        σ²_k, all positive.

    Raises
    ------
    ValueError
        The shapes do not fit, a number is not finite, a weight or variance is not positive, or the weights do not sum
        to 1 within 1e-5 (they are then scaled to 1 exactly).
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]

    def __init__(self, weights: ArrayLike, means: ArrayLike, variances: ArrayLike) -> None:
        pi = np.array(weights, dtype=np.float64)
        mu = np.array(means, dtype=np.float64)
        sigma2 = np.array(variances, dtype=np.float64)
        if mu.ndim != 2 or pi.shape != mu.shape[:1] or sigma2.shape != mu.shape or mu.size == 0:
            raise ValueError(
                f"expected weights (K,), means (K, d), variances (K, d), got {pi.shape}, {mu.shape}, {sigma2.shape}"
            )
        if not (np.isfinite(pi).all() and np.isfinite(mu).all() and np.isfinite(sigma2).all()):
            raise ValueError("a mixture needs finite weights, means and variances")
        if (pi <= 0).any() or (sigma2 <= 0).any():
            raise ValueError("a mixture needs positive weights and variances")
        if abs(pi.sum() - 1.0) > 1e-5:
            raise ValueError(f"the weights of a mixture sum to 1, got {pi.sum():.6g}")
        self._freeze(pi / pi.sum(), mu, sigma2)

    def _freeze(self, *arrays: NDArray[np.float64]) -> None:
        for name, array in zip(("weights", "means", "variances"), arrays, strict=True):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @classmethod
    def trusted(
        cls, weights: NDArray[np.float64], means: NDArray[np.float64], variances: NDArray[np.float64]
    ) -> GaussianMixture:
        """Take arrays over, without copies and checks, and make them read-only: for updates, which make many mixtures."""
        mixture = object.__new__(cls)
        mixture._freeze(weights, means, variances)
        return mixture

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.weights)

    @property
    def n_features(self) -> int:
        """d."""
        return int(self.means.shape[1])

    @property
    def n_parameters(self) -> int:
        """Free parameters: K − 1 weights, K·d means, K·d variances."""
        return self.n_components - 1 + 2 * self.means.size

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GaussianMixture):
            return NotImplemented
        return (
            np.array_equal(self.weights, other.weights)
            and np.array_equal(self.means, other.means)
            and np.array_equal(self.variances, other.variances)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"GaussianMixture(n_components={self.n_components}, n_features={self.n_features})"
