"""The model: a mixture of Gaussians.

p(x) = Σ_k π_k N(x; μ_k, Σ_k), π_k ≥ 0, Σ_k π_k = 1 (Bishop 2006, eq. 9.7). One feature is the case d = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speakerid.mixtures.covariances import CovarianceType
from speakerid.mixtures.covariances import covariance_type as _kind

__all__ = ["GaussianMixture"]

# weights that sum to 1 up to the rounding of a sum are left as they are
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """A frozen mixture; the arrays are copied and made read-only.

    Parameters
    ----------
    weights, means, covariances : array_like
    covariance_type : {"diagonal", "spherical", "tied", "full"} or CovarianceType

    Attributes
    ----------
    weights : ndarray, shape (K,), float64
        π_k, all positive, with sum 1.
    means : ndarray, shape (K, d), float64
        μ_k.
    covariances : ndarray, float64
        Σ_k, positive definite, in the shape of its type: (K, d) variances if diagonal, (K,) if spherical, (d, d) if
        tied, (K, d, d) if full.
    covariance_type : CovarianceType

    Raises
    ------
    ValueError
        The shapes do not fit, a number is not finite, a weight or variance is not positive, a matrix is not positive
        definite, or the weights do not sum to 1 within 1e-5 (they are then scaled to 1).
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]
    covariance_type: CovarianceType

    def __init__(
        self,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike,
        covariance_type: str | CovarianceType = "diagonal",
    ) -> None:
        kind = _kind(covariance_type)
        pi = np.array(weights, dtype=np.float64)
        mu = np.array(means, dtype=np.float64)
        sigma = np.array(covariances, dtype=np.float64)
        shape = kind.shape(*mu.shape) if mu.ndim == 2 else None
        if pi.shape != mu.shape[:1] or sigma.shape != shape or mu.size == 0:
            wanted = str(kind.shape("K", "d")).replace("'", "")  # type: ignore[arg-type] # the same with letters
            raise ValueError(
                f"expected weights (K,), means (K, d), {kind} covariances {wanted}, "
                f"got {pi.shape}, {mu.shape}, {sigma.shape}"
            )
        if not (np.isfinite(pi).all() and np.isfinite(mu).all() and np.isfinite(sigma).all()):
            raise ValueError("a mixture needs finite weights, means and covariances")
        if (pi <= 0).any():
            raise ValueError("a mixture needs positive weights")
        kind.check(sigma)
        total = pi.sum()
        if abs(total - 1.0) > 1e-5:
            raise ValueError(f"the weights of a mixture sum to 1, got {total:.6g}")
        self._freeze(pi if abs(total - 1.0) < _ROUNDING else pi / total, mu, sigma, kind)

    def _freeze(
        self, pi: NDArray[np.float64], mu: NDArray[np.float64], sigma: NDArray[np.float64], kind: CovarianceType
    ) -> None:
        for name, array in (("weights", pi), ("means", mu), ("covariances", sigma)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "covariance_type", kind)

    @classmethod
    def trusted(
        cls,
        weights: NDArray[np.float64],
        means: NDArray[np.float64],
        covariances: NDArray[np.float64],
        covariance_type: CovarianceType,
    ) -> GaussianMixture:
        """Take arrays over, without copies and checks, and make them read-only: for updates, which make many mixtures."""
        mixture = object.__new__(cls)
        mixture._freeze(weights, means, covariances, covariance_type)
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
    def variances(self) -> NDArray[np.float64]:
        """Variance of each feature in each component, (K, d), whatever the type."""
        return self.covariance_type.variances(self.covariances, *self.means.shape)

    @property
    def n_parameters(self) -> int:
        """p, the free parameters: K − 1 weights, K·d means, and those of the covariances."""
        return self.n_components - 1 + self.means.size + self.covariance_type.n_free_parameters(*self.means.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GaussianMixture):
            return NotImplemented
        return (
            self.covariance_type is other.covariance_type
            and np.array_equal(self.weights, other.weights)
            and np.array_equal(self.means, other.means)
            and np.array_equal(self.covariances, other.covariances)
        )

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[object, ...]:
        # for copies, and for other processes: through the constructor, so that arrays are read-only and types are ours
        return GaussianMixture, (self.weights, self.means, self.covariances, self.covariance_type.name)

    def __repr__(self) -> str:
        kind = "" if self.covariance_type.name == "diagonal" else f", covariance_type={self.covariance_type.name!r}"
        return f"GaussianMixture(n_components={self.n_components}, n_features={self.n_features}{kind})"
