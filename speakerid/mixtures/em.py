"""Expectation-maximisation (Dempster, Laird and Rubin 1977; Bishop 2006, section 9.2.2).

Each iteration reads the frames with the model (E-step, :func:`~speakerid.mixtures.accumulate`: r_nk, and with them N_k and
the moments) and updates it from the statistics (M-step, :func:`~speakerid.mixtures.maximum_likelihood_update`: π_k, μ_k,
Σ_k), here for several mixtures side by side. The log-likelihood never falls; a fall beyond rounding is an error, not
convergence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from speakerid.config import TrainingConfig
from speakerid.errors import TrainingError
from speakerid.mixtures.design import standardised, to_original
from speakerid.mixtures.frames import Frames
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.initialisation import initialise_each
from speakerid.mixtures.maximum_likelihood import update_each
from speakerid.mixtures.statistics import SufficientStatistics, accumulate_each
from speakerid.parallel import Map

__all__ = ["Training", "TrainingRecord", "expectation_maximisation"]

# deviations of the frames; beyond, squares over variances overflow in float32
_FARTHEST_START = 1e6


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
        Variances at their floor in the final model (of full and tied types: eigenvalues, in units of the frames' own
        covariance).
    removed : int
        Components that lost their frames on the way.
    constant : int
        Features that never move; they have the floor's share of unit variance. Features that are copies of others show in
        `floored`, of tied and full types.
    components_asked, components : int
        K asked for, and K of the model: less when there are too few frames, or too few different ones.
    n_frames : int
    considered : tuple of (int, float)
        K and its BIC, where K was chosen by it.
    held_out : tuple of float
        Of an adapted mixture: how much better than the world model each recording fits the mixture that the speaker's other
        recordings give, nats a frame. Empty where there is nothing else to learn from.
    expected_ratio : float, optional
        The mean of that over the frames: what a recording of the speaker can be expected to reach.
    environment : dict, optional
        Whatever was found out about where the recordings were made.
    """

    log_likelihoods: tuple[float, ...]
    converged: bool
    floored: int
    removed: int
    constant: int
    components_asked: int
    components: int
    n_frames: int
    considered: tuple[tuple[int, float], ...] = ()
    held_out: tuple[float, ...] = ()
    expected_ratio: float | None = None
    environment: dict[str, Any] | None = None


def expectation_maximisation(trainings: Sequence[Training], config: TrainingConfig, run: Map = map) -> None:
    """Initialise and train, in place, all that have no error.

    Parameters
    ----------
    trainings : sequence of Training
    config : TrainingConfig
    run : callable
        A ``map`` for the work of an E-step, of threads perhaps.
    """
    waiting = [t for t in trainings if not t.started]
    units = initialise_each(
        [t.frames for t in waiting],
        [t.possible for t in waiting],
        config.initialisation,
        config.variance_floor,
        [t.generator for t in waiting],
        run,
    )
    for training, unit in zip(waiting, units, strict=True):
        training.mixture = unit
    running = list(trainings)
    for training, statistics in zip(running, _e_step(running, run), strict=True):
        training.begin(statistics)
    running = [t for t in running if not t.ended]
    for _ in range(config.iterations):
        if not running:
            break
        updates = update_each([t.statistics for t in running], config.variance_floor, running[0].frames.covariance_type)
        before = [t.mixture for t in running]
        for training, (mixture, _report) in zip(running, updates, strict=True):
            training.mixture = mixture
        risen = _e_step(running, run)
        for training, old, (_new, report), statistics in zip(running, before, updates, risen, strict=True):
            training.take(old, len(report.removed), statistics)
        running = [t for t in running if not t.ended]


def _e_step(trainings: Sequence[Training], run: Map) -> list[SufficientStatistics]:
    return accumulate_each([t.mixture for t in trainings], [t.frames for t in trainings], run)


class Training:
    """One mixture on its way, in the standardised units of its frames, where the variance floor is the relative one.

    Parameters
    ----------
    frames : Frames
    config : TrainingConfig
    n_components : int
        K; fewer are trained if there are too few frames.
    start : GaussianMixture, optional
        Where to start, in the units of the frames as they were given.
    generator : numpy.random.Generator, optional
        What the initialisation draws from; left out, one with the config's seed.

    Raises
    ------
    TrainingError
        The start does not fit.
    """

    mixture: GaussianMixture
    statistics: SufficientStatistics

    def __init__(
        self,
        frames: Frames,
        config: TrainingConfig,
        n_components: int,
        start: GaussianMixture | None = None,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.frames, self.config = frames, config
        self.started = start is not None
        self.generator = generator or np.random.default_rng(config.seed)
        self.asked = n_components if start is None else start.n_components
        self.possible = min(self.asked, max(len(frames) // config.minimum_frames_per_component, 1))
        if start is not None:
            self.mixture = self._unit(start)
        self.history: list[float] = []
        self.removed = 0
        self.converged = False
        self.error: TrainingError | None = None

    def _unit(self, start: GaussianMixture) -> GaussianMixture:
        frames = self.frames
        if start.n_features != frames.n_features:
            raise TrainingError(
                f"cannot train a mixture: a start of {start.n_features} features for frames of {frames.n_features}"
            )
        if start.covariance_type is not frames.covariance_type:
            raise TrainingError(
                f"cannot train a mixture: a start with {start.covariance_type} covariances, "
                f"where the settings say {frames.covariance_type}"
            )
        unit = standardised(start, frames.standardisation)
        if not np.abs(unit.means).max() < _FARTHEST_START:
            raise TrainingError(
                "cannot train a mixture: the start is too far from the frames; is it one of these features?"
            )
        # a start below the floor would be raised by the first update, and the likelihood could fall with it
        covariances, _raised = unit.covariance_type.floored(unit.covariances, self.config.variance_floor)
        return GaussianMixture.trusted(unit.weights, unit.means, covariances, unit.covariance_type)

    def begin(self, statistics: SufficientStatistics) -> None:
        """Note where the start is."""
        self.statistics = statistics
        self.history.append(statistics.mean_log_likelihood)
        if not np.isfinite(self.history[-1]):
            self.error = TrainingError(
                "cannot train a mixture: the log-likelihood of the start is not finite; is it a start for these frames?"
            )

    def take(self, before: GaussianMixture, n_removed: int, statistics: SufficientStatistics) -> None:
        """Keep an updated mixture and its statistics, unless the likelihood fell: then it is the one `before`."""
        rise = statistics.mean_log_likelihood - self.history[-1]
        if not rise >= 0 and not rise >= -self._rounding():  # NaN is a fall too
            self.error = TrainingError(
                f"the log-likelihood fell by {-rise:.3g} nats a frame in iteration {len(self.history)} of EM; this is a "
                "defect of speakerid or of the processor's arithmetic: please report it with the recording"
            )
            return
        self.converged = rise < self.config.tolerance
        if rise < 0:
            # within rounding: the mixture before is as good, and the history stays monotone
            self.mixture, self.converged = before, True
            return
        self.statistics = statistics
        self.removed += n_removed
        self.history.append(statistics.mean_log_likelihood)

    @property
    def ended(self) -> bool:
        """There is nothing more to do."""
        return self.converged or self.error is not None

    def _rounding(self) -> float:
        """Nats a frame that rounding may take from one iteration to the next.

        The exponent is a difference of terms as large as x'²/σ'², with the smallest variance that there is.
        """
        smallest = self.frames.covariance_type.smallest(self.mixture.covariances)
        size = max(abs(self.history[-1]), 1.0, 1.0 / max(smallest, self.config.variance_floor))
        return float(size * 64 * np.finfo(self.frames.dtype).eps)

    @property
    def result(self) -> GaussianMixture:
        """The mixture of the frames as they were given."""
        return to_original(self.mixture, self.frames.standardisation)

    def record(self) -> TrainingRecord:
        """Say how it went."""
        kind = self.frames.covariance_type
        # what an update raised is at the floor; a whisker above it, as rounding has it
        _covariances, floored = kind.floored(self.mixture.covariances, self.config.variance_floor * (1 + 1e-9))
        return TrainingRecord(
            log_likelihoods=tuple(self.history),
            converged=self.converged,
            floored=int(floored),
            removed=self.removed,
            constant=self.frames.n_constant,
            components_asked=self.asked,
            components=self.mixture.n_components,
            n_frames=len(self.frames),
        )
