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

A world model may be several mixtures side by side, of speech as it is and of speech in rooms. Each :class:`Part` of it is
adapted by itself, with responsibilities among its own components; one that knows rooms learns from each recording as it is
and from a copy as it would sound in a room. Together they are one mixture again, and in every frame those components answer
that fit.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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

__all__ = ["Part", "adapt_each", "maximum_a_posteriori_update"]

# of the world's variance
_SMALLEST_SHARE = 1e-6
# Recordings are held out in so many turns at most: each costs an E-step of its part.
_MOST_TURNS = 8
# a single recording is held out by quarters, if they have so many frames
_QUARTERS, _LEAST_FRAMES = 4, 10


@dataclass(frozen=True, eq=False)
class Part:
    """Components of a world model that are adapted by themselves.

    Attributes
    ----------
    components : int
        How many; the parts of a world follow each other.
    copy : callable, optional
        From frames (n, d) to frames (m, d) that these components learn from as well.
    """

    components: int
    copy: Callable[[NDArray[Any]], NDArray[Any]] | None = None


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
    speakers: Sequence[NDArray[Any] | Sequence[NDArray[Any]]],
    world: GaussianMixture,
    config: TrainingConfig,
    *,
    parts: Sequence[Part] = (),
    jobs: int | None = None,
) -> list[tuple[GaussianMixture, TrainingRecord] | TrainingError]:
    """Adapt a world model to several speakers.

    Parameters
    ----------
    speakers : sequence
        Each speaker's frames (n, d), or those of each of the speaker's recordings: statistics add, so it is the same.
    world : GaussianMixture
        Diagonal.
    config : TrainingConfig
        Of which `relevance_factor`, `adapted` and `variance_floor` count.
    parts : sequence of Part, optional
        All components of the world, in their order; one part without a copy if left out.
    jobs : int, optional
        Threads; all cores if left out. The result does not depend on it.

    Returns
    -------
    results : list
        For each speaker the mixture and a record whose log-likelihoods are those under the world and under the mixture, and
        whose `held_out` says how well each recording fits what the others gave; or why the frames cannot be used.

    Raises
    ------
    ValueError
        The parts have not as many components as the world.
    """
    adaptation = _Adaptation(world, config, parts or (Part(world.n_components),))

    def adapt(
        frames: NDArray[Any] | Sequence[NDArray[Any]],
    ) -> tuple[GaussianMixture, TrainingRecord] | TrainingError:
        try:
            recordings = [checked_training_frames(frames)] if isinstance(frames, np.ndarray) else list(frames)
            recordings = [checked_training_frames(recording) for recording in recordings]
            pieces = _pieces(recordings)
            seen = [adaptation.seen(frames) for _recording, frames in pieces]
            mixture = adaptation.update(each.statistics for each in seen)
            after = sum(accumulate(mixture, frames, jobs=1).log_likelihood for _recording, frames in pieces)
        except TrainingError as error:
            return error
        except ValueError as error:
            return TrainingError(f"cannot adapt the world model: {error}")
        n_frames = sum(map(len, recordings))
        held_out = _held_out(pieces, seen, adaptation, len(recordings))
        expected = float(np.average(held_out, weights=[*map(len, recordings)])) if held_out else None
        record = TrainingRecord(
            log_likelihoods=(sum(each.log_likelihood for each in seen) / n_frames, after / n_frames),
            converged=True,
            floored=0,
            removed=0,
            constant=0,
            components_asked=world.n_components,
            components=world.n_components,
            n_frames=n_frames,
            held_out=held_out,
            expected_ratio=expected,
        )
        return mixture, record

    with one_blas_thread(), worker_threads(min(effective_jobs(jobs), max(len(speakers), 1))) as run:
        return list(run(adapt, speakers))


@dataclass(frozen=True, eq=False)
class _Seen:
    """Frames under a world model: their log-likelihood under all of it, nats, and the statistics of each part."""

    log_likelihood: float
    statistics: tuple[SufficientStatistics, ...]


class _Adaptation:
    """A world model in parts, and how it is adapted."""

    def __init__(self, world: GaussianMixture, config: TrainingConfig, parts: Sequence[Part]) -> None:
        if sum(part.components for part in parts) != world.n_components:
            raise ValueError(f"parts of {[part.components for part in parts]} components, of {world.n_components}")
        self.world, self.config, self.copies = world, config, [part.copy for part in parts]
        spread = world.weights @ (world.variances + world.means**2) - (world.weights @ world.means) ** 2
        self.floor = config.variance_floor * spread
        ends = np.cumsum([0, *(part.components for part in parts)])
        slices = [slice(first, last) for first, last in itertools.pairwise(ends)]
        self.shares = [float(world.weights[part].sum()) for part in slices]
        self.worlds = [world]
        if len(parts) > 1:
            self.worlds = [
                GaussianMixture(world.weights[part] / share, world.means[part], world.covariances[part])
                for part, share in zip(slices, self.shares, strict=True)
            ]

    def seen(self, frames: NDArray[Any]) -> _Seen:
        """Statistics of frames and of their copies."""
        statistics = []
        for world, copy in zip(self.worlds, self.copies, strict=True):
            own = accumulate(world, frames, jobs=1)
            statistics.append(own if copy is None else own + accumulate(world, copy(frames), jobs=1))
        if len(statistics) == 1 and self.copies[0] is None:
            return _Seen(statistics[0].log_likelihood, (statistics[0],))
        return _Seen(accumulate(self.world, frames, jobs=1).log_likelihood, tuple(statistics))

    def update(self, statistics: Iterable[Sequence[SufficientStatistics]]) -> GaussianMixture:
        """Adapt every part, and put them together."""
        adapted = self.config.adapted
        mixtures = [
            maximum_a_posteriori_update(
                world,
                functools.reduce(operator.add, own),
                self.config.relevance_factor,
                weights=adapted == "all",
                variances=adapted != "means",
                floor=self.floor,
            )
            for world, own in zip(self.worlds, zip(*statistics, strict=True), strict=True)
        ]
        if len(mixtures) == 1:
            return mixtures[0]
        weights = self.world.weights
        if adapted == "all":
            weights = np.concatenate([share * each.weights for share, each in zip(self.shares, mixtures, strict=True)])
        means = np.concatenate([each.means for each in mixtures])
        return GaussianMixture(weights, means, np.concatenate([each.covariances for each in mixtures]))


_Pieces = list[tuple[int, NDArray[Any]]]


def _pieces(recordings: Sequence[NDArray[Any]]) -> _Pieces:
    """Split into what is held out at a time: recordings with their numbers, of a single one its quarters."""
    if len(recordings) > 1:
        return list(enumerate(recordings))
    (frames,) = recordings
    quarters = np.array_split(frames, _QUARTERS) if len(frames) >= _QUARTERS * _LEAST_FRAMES else [frames]
    return [(0, quarter) for quarter in quarters]


def _held_out(pieces: _Pieces, seen: Sequence[_Seen], adaptation: _Adaptation, n_recordings: int) -> tuple[float, ...]:
    """How much better than the world each recording fits the speaker that the others give, nats a frame.

    The pieces are held out in a few turns, each in one. What is alone is not held out: there is no answer then.
    """
    if len(pieces) < 2:
        return ()
    n_turns = min(len(pieces), _MOST_TURNS)
    gained, frames_of = np.zeros(n_recordings), np.zeros(n_recordings)
    for turn in range(n_turns):
        without = adaptation.update(each.statistics for i, each in enumerate(seen) if i % n_turns != turn)
        for i in range(turn, len(pieces), n_turns):
            recording, frames = pieces[i]
            gained[recording] += accumulate(without, frames, jobs=1).log_likelihood - seen[i].log_likelihood
            frames_of[recording] += len(frames)
    return tuple((gained / frames_of).tolist())
