"""Expectation-maximisation (Dempster, Laird and Rubin 1977; Bishop 2006, section 9.2.2).

Each iteration reads the frames with the model (E-step, :func:`~speakerid.mixtures.accumulate`) and updates it from the
statistics (M-step, :func:`~speakerid.mixtures.maximum_likelihood_update`). The log-likelihood never falls; a fall beyond
rounding is an error, not convergence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from speakerid.config import TrainingConfig
from speakerid.errors import TrainingError
from speakerid.mixtures.density import tiles
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.initialisation import initialise_by_kmeans, initialise_by_splitting
from speakerid.mixtures.maximum_likelihood import maximum_likelihood_update, variance_floor
from speakerid.mixtures.statistics import Frames, accumulate

__all__ = ["TrainingRecord", "train"]


@dataclass(frozen=True)
class TrainingRecord:
    """How a training went.

    Attributes
    ----------
    log_likelihoods : tuple of float
        Mean log-likelihood in nats a frame: of the start, then after each iteration.
    converged : bool
        The last iteration rose by less than the tolerance.
    floored : int
        Variances at their floor in the final model.
    removed : int
        Components that lost their frames on the way.
    components_asked, components : int
        K of the config, and K of the model.
    n_frames : int
    """

    log_likelihoods: tuple[float, ...]
    converged: bool
    floored: int
    removed: int
    components_asked: int
    components: int
    n_frames: int


def _check_frames(X: NDArray[Any]) -> NDArray[Any]:
    X = np.asarray(X)
    if X.ndim != 2 or X.size == 0:
        raise TrainingError(f"cannot train a mixture: expected frames of shape (n, d), got {X.shape}")
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64)
    for part in tiles(len(X), X.shape[1]):
        if not np.isfinite(X[part]).all():
            frame = part.start + int(np.flatnonzero(~np.isfinite(X[part]).all(axis=1))[0])
            raise TrainingError(f"cannot train a mixture: frame {frame} has a value that is not finite")
    return X


def train(
    X: NDArray[Any],
    config: TrainingConfig | None = None,
    *,
    start: GaussianMixture | None = None,
    dtype: DTypeLike = np.float32,
) -> tuple[GaussianMixture, TrainingRecord]:
    """Train a mixture by EM.

    With fewer than ``minimum_frames_per_component`` frames a component, fewer components are trained; features that never
    move get the floor's share of unit variance. Both are in the record.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        Frames.
    config : TrainingConfig, optional
        The defaults if left out.
    start : GaussianMixture, optional
        Where to start, instead of the config's initialisation.
    dtype : numpy dtype
        float32 (default) or float64, of the products; sums are always float64.

    Returns
    -------
    mixture : GaussianMixture
    record : TrainingRecord

    Raises
    ------
    TrainingError
        Frames that are not finite or not (n, d), or a log-likelihood that fell.
    """
    config = config or TrainingConfig()
    frames = Frames(_check_frames(X), dtype=dtype)
    floor = variance_floor(frames.standardisation.scale, config.variance_floor)
    asked = start.n_components if start else config.components
    if start is not None:
        # a start below the floor would be raised by the first update, and the likelihood could fall with it
        mixture = GaussianMixture(start.weights, start.means, np.maximum(start.variances, floor))
    else:
        possible = max(len(frames) // config.minimum_frames_per_component, 1)
        n_components = min(asked, possible)
        if config.initialisation == "kmeans":
            generator = np.random.default_rng(config.seed)
            mixture = initialise_by_kmeans(frames, n_components, floor, generator)
        else:
            mixture = initialise_by_splitting(frames, n_components, floor)
    history: list[float] = []
    removed = 0
    converged = False
    statistics = accumulate(mixture, frames)
    history.append(statistics.mean_log_likelihood)
    while len(history) <= config.iterations and not converged:
        updated, report = maximum_likelihood_update(statistics, floor)
        statistics = accumulate(updated, frames)
        rise = statistics.mean_log_likelihood - history[-1]
        if rise < -_rounding(history[-1], config.variance_floor, frames):
            raise TrainingError(
                f"the log-likelihood fell by {-rise:.3g} nats a frame in iteration {len(history)} of EM; this is a "
                "defect of speakerid or of the processor's arithmetic: please report it with the recording"
            )
        if rise < 0:
            converged = True  # within rounding: the model before is as good, and the history stays monotone
            break
        mixture = updated
        removed += len(report.removed)
        history.append(statistics.mean_log_likelihood)
        converged = rise < config.tolerance
    record = TrainingRecord(
        log_likelihoods=tuple(history),
        converged=converged,
        floored=int(np.count_nonzero(mixture.variances <= floor)),
        removed=removed,
        components_asked=asked,
        components=mixture.n_components,
        n_frames=len(frames),
    )
    return mixture, record


def _rounding(level: float, relative_floor: float, frames: Frames) -> float:
    """Nats a frame that rounding may take from one iteration to the next.

    The exponent is a difference of terms as large as x'²/σ'², and σ'² may be as small as the relative floor.
    """
    return float(max(abs(level), 1.0, 1.0 / relative_floor) * 64 * np.finfo(frames.dtype).eps)
