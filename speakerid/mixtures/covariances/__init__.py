"""The covariance types by name."""

from __future__ import annotations

from speakerid.mixtures.covariances.base import CovarianceType
from speakerid.mixtures.covariances.diagonal import Diagonal
from speakerid.mixtures.covariances.full import Full
from speakerid.mixtures.covariances.spherical import Spherical
from speakerid.mixtures.covariances.tied import Tied

__all__ = ["COVARIANCE_TYPES", "DIAGONAL", "CovarianceType", "Diagonal", "Full", "Spherical", "Tied", "covariance_type"]

DIAGONAL = Diagonal()
COVARIANCE_TYPES: dict[str, CovarianceType] = {kind.name: kind for kind in (DIAGONAL, Spherical(), Tied(), Full())}


def covariance_type(name: str | CovarianceType) -> CovarianceType:
    """Return the type of that name; scikit-learn's "diag" is understood too.

    Raises
    ------
    ValueError
        There is none.
    """
    if isinstance(name, CovarianceType):
        return name
    try:
        return COVARIANCE_TYPES["diagonal" if name == "diag" else name]
    except (KeyError, TypeError):
        raise ValueError(f"unknown covariance type {name!r}; known: {', '.join(COVARIANCE_TYPES)}") from None
