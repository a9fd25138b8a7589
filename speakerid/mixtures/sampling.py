"""Draw frames from a mixture: first the component, then the frame (Bishop 2006, sections 8.1.2 and 11.1.1).

k ~ π,  x = μ_k + L_k z,  z ~ N(0, I),  Σ_k = L_k L_kᵀ. Of a diagonal or spherical Σ_k, L_k is its deviations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.gaussian_mixture import GaussianMixture

__all__ = ["sample"]


def sample(
    mixture: GaussianMixture, n: int, generator: np.random.Generator | int
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Draw independent frames.

    Parameters
    ----------
    mixture : GaussianMixture
    n : int
        How many; 0 gives empty arrays.
    generator : numpy.random.Generator or int
        Or its seed.

    Returns
    -------
    X : ndarray, shape (n, d), float64
    components : ndarray of int, shape (n,)
        Which component each frame comes from, in no order.

    Raises
    ------
    ValueError
        `n` is negative.
    """
    if n < 0 or n != int(n):
        raise ValueError(f"cannot draw {n} frames")
    generator = np.random.default_rng(generator)
    kind = mixture.covariance_type
    components = generator.choice(mixture.n_components, size=n, p=mixture.weights).astype(np.intp)
    noise = generator.standard_normal((n, mixture.n_features))
    if kind.uses_products:
        factors = np.linalg.cholesky(kind.matrices(mixture.covariances, *mixture.means.shape))  # (K, d, d)
        # a component at a time: a factor a frame would be an (n, d, d) array
        for k in range(mixture.n_components):
            mine = components == k
            noise[mine] = noise[mine] @ factors[k].T
    else:
        noise *= np.sqrt(mixture.variances)[components]
    noise += mixture.means[components]
    return noise, components
