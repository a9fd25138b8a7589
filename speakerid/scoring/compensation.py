"""A world model and its speakers as they sound in the noise and the band of a recording.

In a mel band the energies of speech and noise add. With x the logarithm of a Gaussian's mean energy in a band, f the
floor that the front end adds, E the noise and g a gain, the band's mean in the recording is

    y = log((e^x − f)·e^g + f + E),  and  a = dy/dx = e^(x + g) / e^y

says how much of a small change of the speech is left: 1 far above the noise, 0 far below it, never more than 1. A band that
the recording's channel does not pass has y as it was measured, and a = 0. In cepstra, with C the cosine transform and C⁺ its
inverse,

    μ' = μ + C (y − x),  J = C diag(a) C⁺,  Δμ' = J Δμ,  Σ' = J Σ Jᵀ + (I − J) Σ_noise (I − J)ᵀ (its diagonal),

and a speaker's move away from the world model becomes J·move. So what a band in noise says of the speaker counts for little
and what stands out of it counts in full, without a threshold. This is the first-order vector Taylor series of Moreno, Raj
and Stern, "A vector Taylor series approach for environment-independent speech recognition", ICASSP 1996, eq. 8-13, with
the noise known; derivatives as in Acero, Deng, Kristjansson and Zhang, "HMM adaptation using vector Taylor series for
noisy speech recognition", ICSLP 2000.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures import GaussianMixture

__all__ = ["Compensated", "compensated"]

Floats = NDArray[np.float64]

_LEAST_VARIANCE = 1e-3  # of the world's own
_LEAST_SPEECH = 0.01  # of the floor: what a mean below the floor is taken for


@dataclass(frozen=True, eq=False)
class Compensated:
    """A world model in a recording's environment.

    Attributes
    ----------
    world : GaussianMixture
    jacobians : ndarray, shape (K, n_static, n_static), float32
        J of each component: what it makes of moves of the static features and, alike, of their derivatives.
    """

    world: GaussianMixture
    jacobians: NDArray[np.float32]


def compensated(
    world: GaussianMixture,
    *,
    back: Floats,
    forth: Floats,
    floor: float,
    noise_variance: Floats,
    noise: Floats,
    gain: float,
    missing: NDArray[np.bool_],
    level: Floats,
) -> Compensated:
    """Put a world model into an environment.

    Parameters
    ----------
    world : GaussianMixture
        K diagonal Gaussians of cepstra and their derivatives.
    back, forth : ndarray, shapes (n_static, bands) and (bands, n_static)
        C⁺ and C, transposed: from cepstra to logarithms of mel energies and back.
    floor : float
        f.
    noise_variance : ndarray, shape (d,)
        Diagonal of Σ_noise.
    noise : ndarray, shape (bands,)
        E.
    gain : float
    missing : ndarray of bool, shape (bands,)
    level : ndarray, shape (bands,)
        y of the missing bands.

    Returns
    -------
    compensated : Compensated
    """
    n_static = len(back)
    x = world.means[:, :n_static] @ back  # (K, bands)
    speech = np.maximum(np.exp(x) - floor, _LEAST_SPEECH * floor) * np.exp(gain)
    total = speech + floor + noise
    y = np.where(missing, level, np.log(total))
    # near the floor a gain would lift what is said to more than was said
    left = np.where(missing, 0.0, np.minimum(np.exp(x + gain) / total, 1.0))
    # J = C diag(a) C⁺ of all components is one product; components come last, where sums over features run fast
    outer = np.einsum("mb,bn->nmb", back, forth).reshape(-1, len(forth)).astype(np.float32)
    jacobians = (outer @ left.T.astype(np.float32)).reshape(n_static, n_static, -1)
    squares = np.square(jacobians)
    rest = np.square(np.eye(n_static, dtype=np.float32)[:, :, None] - jacobians)
    means = np.empty_like(world.means)
    means[:, :n_static] = world.means[:, :n_static] + (y - x) @ forth
    variances = np.empty_like(world.means)
    for first in range(0, world.n_features, n_static):
        part = slice(first, first + n_static)
        own = np.ascontiguousarray(world.variances[:, part].T, dtype=np.float32)
        of_noise = np.einsum("ijk,j->ik", rest, noise_variance[part].astype(np.float32))
        variances[:, part] = np.maximum(np.einsum("ijk,jk->ik", squares, own) + of_noise, _LEAST_VARIANCE * own).T
        if first:
            means[:, part] = np.einsum("ijk,jk->ik", jacobians, world.means[:, part].T.astype(np.float32, order="C")).T
    mixture = GaussianMixture.trusted(world.weights, means, variances, world.covariance_type)
    return Compensated(mixture, jacobians.transpose(2, 0, 1))
