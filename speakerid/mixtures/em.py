"""Expectation-maximisation (Dempster, Laird and Rubin 1977; Bishop 2006, section 9.2.2).

Each iteration reads the frames with the model (E-step, :func:`~speakerid.mixtures.accumulate`) and updates it from
the statistics (M-step, :func:`~speakerid.mixtures.maximum_likelihood_update`), here for several mixtures side by
side. The log-likelihood never falls; a fall beyond rounding is an error, not convergence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from speakerid.config import TrainingConfig
from speakerid.errors import TrainingError
from speakerid.mixtures.density import tiles
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.initialisation import initialise_by_kmeans, split_each
from speakerid.mixtures.maximum_likelihood import update_each
from speakerid.mixtures.statistics import Frames, SufficientStatistics, accumulate_each

__all__ = ["TrainingRecord", "train", "train_each"]


@dataclass(frozen=True)
class TrainingRecord:
    """How a training went.

    Attributes
    ----------
    log_likelihoods : tuple of float
        Mean log-likelihood in nats a frame: of the start, then after each iteration.
    converged : bool
        The last iteration rose by less than the tolerance, or fell within rounding and was not taken.
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
    (result,) = train_each([X], config, starts=[start], dtype=dtype)
    if isinstance(result, TrainingError):
        raise result
    return result


def train_each(
    matrices: Sequence[NDArray[Any]],
    config: TrainingConfig | None = None,
    *,
    starts: Sequence[GaussianMixture | None] | None = None,
    dtype: DTypeLike = np.float32,
) -> list[tuple[GaussianMixture, TrainingRecord] | TrainingError]:
    """Train several mixtures, each on its own frames: the results of :func:`train`, bit for bit, in less time.

    Parameters
    ----------
    matrices : sequence of ndarray, shape (n_i, d)
        With the same number of features.
    config, dtype
        As in :func:`train`.
    starts : sequence of GaussianMixture or None, optional
        As many.

    Returns
    -------
    results : list
        For each matrix what :func:`train` returns, or the error that it raises.

    Raises
    ------
    ValueError
        The numbers of features differ.
    """
    config = config or TrainingConfig()
    widths = {np.shape(X)[1] for X in matrices if np.ndim(X) == 2}
    if len(widths) > 1:
        raise ValueError(f"frames with different numbers of features cannot be trained together: {sorted(widths)}")
    starts = starts or [None] * len(matrices)
    results: dict[int, tuple[GaussianMixture, TrainingRecord] | TrainingError] = {}
    trainings: dict[int, _Training] = {}
    for i, (X, start) in enumerate(zip(matrices, starts, strict=True)):
        try:
            trainings[i] = _Training(Frames(_check_frames(X), dtype=dtype), config, start)
        except TrainingError as error:
            results[i] = error
    _initialise(list(trainings.values()), config)
    running = list(trainings.values())
    started = accumulate_each([t.mixture for t in running], [t.frames for t in running])
    for training, statistics in zip(running, started, strict=True):
        training.begin(statistics)
    for _ in range(config.iterations):
        if not running:
            break
        updates = update_each([t.statistics for t in running], [t.floor for t in running])
        candidates = [mixture for mixture, _report in updates]
        risen = accumulate_each(candidates, [t.frames for t in running])
        for training, (mixture, report), statistics in zip(running, updates, risen, strict=True):
            training.take(mixture, len(report.removed), statistics)
        running = [t for t in running if not t.ended]
    for i, training in trainings.items():
        results[i] = training.error or (training.result, training.record())
    return [results[i] for i in range(len(matrices))]


def _initialise(trainings: Sequence[_Training], config: TrainingConfig) -> None:
    """Give every training without a start the config's initialisation."""
    waiting = [t for t in trainings if not t.started]
    if config.initialisation == "kmeans":
        for training in waiting:
            floor = training.floor * training.frames.standardisation.scale**2
            generator = np.random.default_rng(config.seed)
            mixture = initialise_by_kmeans(training.frames, training.possible, floor, generator)
            training.mixture = training.frames.standardisation.standardised(mixture)
        return
    mixtures = split_each(
        [t.mixture for t in waiting],
        [t.frames for t in waiting],
        [t.possible for t in waiting],
        [t.floor for t in waiting],
    )
    for training, mixture in zip(waiting, mixtures, strict=True):
        training.mixture = mixture


class _Training:
    """One mixture on its way, in the standardised units of its frames, where every variance floor is the relative one."""

    statistics: SufficientStatistics

    def __init__(self, frames: Frames, config: TrainingConfig, start: GaussianMixture | None) -> None:
        d = frames.X.shape[1]
        self.frames, self.config = frames, config
        self.floor = np.full(d, config.variance_floor)
        self.started = start is not None
        self.asked = config.components if start is None else start.n_components
        self.possible = min(self.asked, max(len(frames) // config.minimum_frames_per_component, 1))
        self.mixture = GaussianMixture.trusted(np.ones(1), np.zeros((1, d)), np.ones((1, d)))
        if start is not None:
            if start.n_features != d:
                raise TrainingError(f"cannot train a mixture: a start of {start.n_features} features for frames of {d}")
            unit = frames.standardisation.standardised(start)
            # a start below the floor would be raised by the first update, and the likelihood could fall with it
            variances = np.maximum(unit.variances, self.floor)
            self.mixture = GaussianMixture.trusted(unit.weights, unit.means, variances)
        self.history: list[float] = []
        self.removed = 0
        self.converged = False
        self.error: TrainingError | None = None

    def begin(self, statistics: SufficientStatistics) -> None:
        """Note where the start is."""
        self.statistics = statistics
        self.history.append(statistics.mean_log_likelihood)

    def take(self, mixture: GaussianMixture, n_removed: int, statistics: SufficientStatistics) -> None:
        """Take an updated mixture and its own statistics, unless the likelihood fell."""
        rise = statistics.mean_log_likelihood - self.history[-1]
        if rise < -self._rounding():
            self.error = TrainingError(
                f"the log-likelihood fell by {-rise:.3g} nats a frame in iteration {len(self.history)} of EM; this is a "
                "defect of speakerid or of the processor's arithmetic: please report it with the recording"
            )
            return
        self.converged = rise < self.config.tolerance
        if rise < 0:
            # within rounding: the mixture before is as good, and the history stays monotone
            return
        self.mixture, self.statistics = mixture, statistics
        self.removed += n_removed
        self.history.append(statistics.mean_log_likelihood)

    @property
    def ended(self) -> bool:
        """There is nothing more to do."""
        return self.converged or self.error is not None

    def _rounding(self) -> float:
        """Nats a frame that rounding may take from one iteration to the next.

        The exponent is a difference of terms as large as x'²/σ'², and σ'² may be as small as the relative floor.
        """
        size = max(abs(self.history[-1]), 1.0, 1.0 / self.config.variance_floor)
        return float(size * 64 * np.finfo(self.frames.dtype).eps)

    @property
    def result(self) -> GaussianMixture:
        """The mixture of the frames as they were given."""
        mixture = self.frames.standardisation.original(self.mixture)
        return GaussianMixture(mixture.weights, mixture.means, mixture.variances)

    def record(self) -> TrainingRecord:
        """Say how it went."""
        return TrainingRecord(
            log_likelihoods=tuple(self.history),
            converged=self.converged,
            floored=int(np.count_nonzero(self.mixture.variances <= self.floor)),
            removed=self.removed,
            components_asked=self.asked,
            components=self.mixture.n_components,
            n_frames=len(self.frames),
        )
