"""MAP adaptation: from a world model and a speaker's statistics to the speaker's mixture.

D. A. Reynolds, T. F. Quatieri and R. B. Dunn, "Speaker verification using adapted Gaussian mixture models", Digital Signal
Processing 10 (2000), 19-41. With the statistics of T frames under the world model, N_k, E_k(x) = F_k / N_k and E_k(x²) =
S_k / N_k (eq. 8-10), each component moves as far towards the speaker as it has seen frames of the speaker:

    α_k = N_k / (N_k + r)                                                   (eq. 14)
    π̂_k = [α_k N_k / T + (1 − α_k) π_k] γ, γ so that they sum to 1          (eq. 11)
    μ̂_k = α_k E_k(x) + (1 − α_k) μ_k                                        (eq. 12)
    σ̂²_k = α_k E_k(x²) + (1 − α_k) (σ²_k + μ_k²) − μ̂_k²                     (eq. 13)

r is the relevance factor: with r frames in a component it has gone half of the way. Without a frame it stays where it is,
and with r → 0 it is the maximum-likelihood update. Statistics add, so those of a further recording are added to the
speaker's and the mixture made again: the result is that of all recordings at once.

Adapting means alone is the usual choice. What is not adapted stays the world's, also where other things are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.config import TrainingConfig
from speakerid.errors import TrainingError
from speakerid.mixtures.covariances import DIAGONAL
from speakerid.mixtures.em import TrainingRecord
from speakerid.mixtures.frames import checked_training_frames
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.statistics import SufficientStatistics, accumulate
from speakerid.parallel import effective_jobs, one_blas_thread, worker_threads

__all__ = ["adapt_each", "maximum_a_posteriori_update"]

# of the world's variance
_SMALLEST_SHARE = 1e-6


def maximum_a_posteriori_update(
    world: GaussianMixture,
    statistics: SufficientStatistics,
    relevance_factor: float = 16.0,
    *,
    weights: bool = False,
    means: bool = True,
    variances: bool = False,
    floor: NDArray[np.float64] | float = 0.0,
) -> GaussianMixture:
    """Adapt a world model to a speaker.

    Parameters
    ----------
    world : GaussianMixture
        K diagonal Gaussians.
    statistics : SufficientStatistics
        Of the speaker's frames under the world model.
    relevance_factor : float
        r, frames; 0 or more.
    weights, means, variances : bool
        What is adapted.
    floor : float or ndarray, shape (d,)
        The least variance, in squared units of the features; where the world's own is smaller, that one.

    Returns
    -------
    mixture : GaussianMixture
        With K components, in the order of the world's.

    Raises
    ------
    ValueError
        The world is not diagonal, the statistics are not of its shape, or the factor is below 0.
    """
    if world.covariance_type is not DIAGONAL:
        raise ValueError(f"adaptation is of diagonal mixtures, got one with {world.covariance_type} covariances")
    if statistics.first.shape != world.means.shape or statistics.covariance_type is not DIAGONAL:
        raise ValueError(
            f"expected statistics under the world model, shape {world.means.shape}, got {statistics.first.shape}"
        )
    if not 0 <= relevance_factor < np.inf:
        raise ValueError(f"relevance factor {relevance_factor}: expected 0 or more frames")
    n = statistics.zeroth  # (K,)
    seen = n > 0
    alpha = np.where(seen, n / np.where(seen, n + relevance_factor, 1.0), 0.0)  # (K,)
    safe = np.where(seen, n, 1.0)[:, None]
    expected, expected_square = statistics.first / safe, statistics.second / safe  # (K, d)
    share = alpha[:, None]
    pi = world.weights
    if weights and n.sum() > 0:
        pi = alpha * n / n.sum() + (1 - alpha) * world.weights  # eq. 11
        pi = np.maximum(pi, np.finfo(np.float64).tiny) / pi.sum()
    mu = share * expected + (1 - share) * world.means if means else world.means  # eq. 12
    sigma2 = world.covariances
    if variances:
        # eq. 13, written as squares about the mean that is taken: right as well where that is the world's
        of_speaker = expected_square - 2 * mu * expected + mu**2
        of_world = world.covariances + (world.means - mu) ** 2
        sigma2 = share * of_speaker + (1 - share) * of_world
        # a single frame has no variance: never below the floor, nor with r = 0 below what is a variance at all
        sigma2 = np.maximum(
            sigma2, np.maximum(np.minimum(floor, world.covariances), _SMALLEST_SHARE * world.covariances)
        )
    return GaussianMixture(pi, mu, sigma2)


def adapt_each(
    matrices: Sequence[NDArray[Any]], world: GaussianMixture, config: TrainingConfig, *, jobs: int | None = None
) -> list[tuple[GaussianMixture, TrainingRecord] | TrainingError]:
    """Adapt a world model to several speakers.

    Parameters
    ----------
    matrices : sequence of ndarray, shape (n_i, d)
        Each speaker's frames.
    world : GaussianMixture
        Diagonal.
    config : TrainingConfig
        Of which `relevance_factor`, `adapted` and `variance_floor` count.
    jobs : int, optional
        Threads; all cores if left out. The result does not depend on it.

    Returns
    -------
    results : list
        For each speaker the mixture and a record whose log-likelihoods are those under the world and under the mixture; or
        why the frames cannot be used.
    """
    spread = world.weights @ (world.variances + world.means**2) - (world.weights @ world.means) ** 2

    def adapt(X: NDArray[Any]) -> tuple[GaussianMixture, TrainingRecord] | TrainingError:
        try:
            frames = checked_training_frames(X)
            statistics = accumulate(world, frames, jobs=1)
            mixture = maximum_a_posteriori_update(
                world,
                statistics,
                config.relevance_factor,
                weights=config.adapted == "all",
                variances=config.adapted != "means",
                floor=config.variance_floor * spread,
            )
            after = accumulate(mixture, frames, jobs=1)
        except TrainingError as error:
            return error
        except ValueError as error:
            return TrainingError(f"cannot adapt the world model: {error}")
        record = TrainingRecord(
            log_likelihoods=(statistics.mean_log_likelihood, after.mean_log_likelihood),
            converged=True,
            floored=0,
            removed=0,
            constant=0,
            components_asked=world.n_components,
            components=world.n_components,
            n_frames=len(frames),
        )
        return mixture, record

    with one_blas_thread(), worker_threads(min(effective_jobs(jobs), max(len(matrices), 1))) as run:
        return list(run(adapt, matrices))
