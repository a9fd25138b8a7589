"""What a covariance type is: a small object that knows everything that depends on the shape of Σ_k.

Multiplied out (Bishop 2006, eq. 2.43 and 2.71), with P_k = Σ_k⁻¹,

    log π_k N(x; μ_k, Σ_k) = xᵀ P_k μ_k  +  (log π_k − ½ d log 2π − ½ log|Σ_k| − ½ μ_kᵀ P_k μ_k)  −  ½ xᵀ P_k x

is linear in [x, 1, q(x)], where q(x) is as much of the products x_i x_j as the type needs. So the E-step of every type is
one matrix product, coefficients (K, rows) @ design (rows, n), and its statistics another, responsibilities (K, n) @
designᵀ:

===========  ==============  ===================  =====================  ==============================================
type         Σ_k             q(x)                 free parameters of Σ   second moments, summed over n
===========  ==============  ===================  =====================  ==============================================
diagonal     diag σ²_k       x_i²                 K·d                    r_nk x_n²                 (K, d)
spherical    σ²_k I          |x|²                  K                      r_nk |x_n|²                (K,)
tied         Σ               nothing              d(d + 1)/2             x_n x_nᵀ, of all frames   (d, d)
full         Σ_k             x_i x_j, i ≤ j       K·d(d + 1)/2           r_nk x_n x_nᵀ             (K, d, d)
===========  ==============  ===================  =====================  ==============================================

Of a tied mixture −½ xᵀ P x is the same for all components: responsibilities do not need it, and EM needs only its sum,
−½ tr(P Σ_n x_n x_nᵀ), from moments that never change. With many frames it is the cheapest type to train; with few, putting
them into units of covariance I costs more than it saves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.standardisation import Standardisation

__all__ = ["CovarianceType"]

Array = NDArray[Any]
Float64 = NDArray[np.float64]


class CovarianceType(ABC):
    """Everything that depends on the shape of the covariances. Stateless; arrays may have leading axes (...)."""

    name: ClassVar[str]
    uses_products: ClassVar[bool] = False
    """Whether moments and units are of all products x_i x_j (a matrix) or of squares (a vector)."""
    shared: ClassVar[bool] = False
    """Whether all components have one covariance: its second moments are those of all frames."""

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return other is self or other == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[object, ...]:
        # there is one of each, also after a copy or in another process
        from speakerid.mixtures.covariances import covariance_type

        return covariance_type, (self.name,)

    # the model --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def shape(self, k: int, d: int) -> tuple[int, ...]:
        """Shape of the covariances of K components of d features."""

    @abstractmethod
    def n_free_parameters(self, k: int, d: int) -> int:
        """Free parameters of the covariances."""

    def check(self, covariances: Float64) -> None:
        """Raise ValueError unless all covariances are positive (definite)."""
        if (covariances <= 0).any():
            raise ValueError("a mixture needs positive variances")

    @abstractmethod
    def variances(self, covariances: Float64, k: int, d: int) -> Float64:
        """Variances of each feature in each component: (..., K, d)."""

    @abstractmethod
    def matrices(self, covariances: Float64, k: int, d: int) -> Float64:
        """Covariance matrices Σ_k: (K, d, d)."""

    def select(self, covariances: Float64, chosen: Array) -> Float64:
        """Covariances of some components."""
        return covariances[chosen]

    # units ------------------------------------------------------------------------------------------------------------

    @abstractmethod
    def standardisation(self, centre: Float64, moments: Float64) -> Standardisation:
        """Units in which frames of this mean and variance (d,), or covariance (d, d), are of size one."""

    @abstractmethod
    def to_unit(self, covariances: Float64, standardisation: Standardisation) -> Float64:
        """Covariances of the standardised frames."""

    @abstractmethod
    def from_unit(self, covariances: Float64, standardisation: Standardisation) -> Float64:
        """Inverse of :meth:`to_unit`."""

    @abstractmethod
    def second_from_unit(
        self, zeroth: Float64, first: Float64, second: Float64, standardisation: Standardisation
    ) -> Float64:
        """Second moments of x from those of x'; `first` is of x already."""

    # density ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def n_quadratic(self, d: int) -> int:
        """Rows of q(x)."""

    @abstractmethod
    def quadratic(self, unit: Array, out: Array) -> None:
        """Write q(x): (..., d, n) -> (..., n_quadratic, n)."""

    @abstractmethod
    def natural_parameters(self, means: Float64, covariances: Float64) -> tuple[Float64, Float64, Float64]:
        """P_k μ_k (..., K, d); the coefficients of q(x) (..., K, n_quadratic); log|Σ_k| + μ_kᵀ P_k μ_k (..., K)."""

    def common_precision(self, covariances: Float64) -> Float64 | None:
        """P (..., d, d), if −½ xᵀ P x is the same for all components and left out of q(x)."""
        return None

    # statistics and update --------------------------------------------------------------------------------------------

    @abstractmethod
    def second_moments(self, sums: Float64, products: Float64 | None) -> Float64:
        """Second moments from Σ_n r_nk q(x_n), (..., K, n_quadratic), or from Σ_n x_n x_nᵀ, (..., d, d)."""

    def floored(self, covariances: Float64, floor: Array | float) -> tuple[Float64, int]:
        """Raise what is below `floor` to it, and say how much was."""
        return np.maximum(covariances, floor), int(np.count_nonzero(covariances < floor))

    def smallest(self, covariances: Float64) -> float:
        """The smallest variance (eigenvalue)."""
        return float(covariances.min())

    @abstractmethod
    def update(
        self, zeroth: Float64, means: Float64, second: Float64, floor: Array | float
    ) -> tuple[Float64, NDArray[np.intp]]:
        """M-step: the covariances of largest likelihood that are at least `floor`, and how many had to be raised (...)."""
