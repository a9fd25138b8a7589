"""Where EM starts.

*Binary splitting* (Linde, Buzo and Gray 1980): one Gaussian, then every component is split along its deviations and a few
EM iterations settle them, until there are K. Deterministic, cheap, and as good a start as the best of the others.

*k-means* with k-means++ seeds (Arthur and Vassilvitskii 2007), on frames scaled to unit variance; the clusters' weights,
means and variances start the mixture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.density import Standardisation, n_rows, tiles
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.maximum_likelihood import maximum_likelihood_update
from speakerid.mixtures.statistics import Frames, SufficientStatistics, accumulate

__all__ = ["initialise_by_kmeans", "initialise_by_splitting", "single_gaussian"]

_SPLIT_DEVIATIONS = 0.2
_ITERATIONS_A_LEVEL = 3
_KMEANS_ITERATIONS = 20


def single_gaussian(standardisation: Standardisation, floor: NDArray[Any]) -> GaussianMixture:
    """One Gaussian with the frames' mean and variance: the closed form for K = 1."""
    variances = np.maximum(standardisation.scale**2, floor)
    return GaussianMixture([1.0], standardisation.centre[None], variances[None])


def initialise_by_splitting(frames: Frames, n_components: int, floor: NDArray[Any]) -> GaussianMixture:
    """Split, settle and split again until there are `n_components`; the last ones are left to EM.

    When doubling would overshoot, the components with the largest weight times variance are split.

    Parameters
    ----------
    frames : Frames
    n_components : int
    floor : ndarray, shape (d,)
    """
    mixture = single_gaussian(frames.standardisation, floor)
    while mixture.n_components < n_components:
        before = mixture.n_components
        n_split = min(before, n_components - before)
        # the most frames times the widest spread; stable order, so that ties do not depend on the sort
        spread = (mixture.variances / frames.standardisation.scale**2).sum(axis=1)
        chosen = np.sort(np.argsort(-mixture.weights * spread, kind="stable")[:n_split])
        mixture = _split(mixture, chosen)
        if mixture.n_components == n_components:
            break  # EM goes on from here
        for _ in range(_ITERATIONS_A_LEVEL):
            mixture, _report = maximum_likelihood_update(accumulate(mixture, frames), floor)
        if mixture.n_components <= before:
            break  # duplicate frames: there is nothing left to tell apart
    return mixture


def _split(mixture: GaussianMixture, chosen: NDArray[np.intp]) -> GaussianMixture:
    """Replace each chosen component by two of half its weight, apart along its deviations."""
    step = _SPLIT_DEVIATIONS * np.sqrt(mixture.variances[chosen])
    weights, means = mixture.weights.copy(), mixture.means.copy()
    weights[chosen] *= 0.5
    means[chosen] += step
    return GaussianMixture.trusted(
        np.concatenate([weights, weights[chosen]]),
        np.concatenate([means, mixture.means[chosen] - step]),
        np.concatenate([mixture.variances, mixture.variances[chosen]]),
    )


def initialise_by_kmeans(
    frames: Frames, n_components: int, floor: NDArray[Any], generator: np.random.Generator
) -> GaussianMixture:
    """Cluster, and start each component from its cluster.

    Parameters
    ----------
    frames : Frames
    n_components : int
    floor : ndarray, shape (d,)
    generator : numpy.random.Generator
        Draws the seeds.
    """
    d = frames.X.shape[1]
    centres = _seed(frames, n_components, generator)
    for _ in range(_KMEANS_ITERATIONS):
        statistics = _assign(frames, centres)
        filled = statistics.zeroth > 0
        means = (statistics.first[filled] / statistics.zeroth[filled, None]).astype(frames.dtype)
        settled = means.shape == centres.shape and np.array_equal(means, centres)
        centres = means
        if settled:
            break
    statistics = _assign(frames, centres)
    c, s = frames.standardisation.centre, frames.standardisation.scale
    unit_floor = np.broadcast_to(np.asarray(floor) / s**2, (d,))
    mixture, _report = maximum_likelihood_update(statistics, unit_floor)
    return GaussianMixture(mixture.weights, mixture.means * s + c, mixture.variances * s**2)


def _seed(frames: Frames, n_components: int, generator: np.random.Generator) -> NDArray[Any]:
    """k-means++: each further seed is a frame drawn with probability proportional to its squared distance."""
    n, d = frames.X.shape
    points = np.concatenate([frames.tile(part)[:d].T for part in tiles(n, d)])
    chosen = [int(generator.integers(n))]
    nearest = np.square(points - points[chosen[0]]).sum(axis=1, dtype=np.float64)
    while len(chosen) < n_components and nearest.sum() > 0:
        cumulative = np.cumsum(nearest)
        drawn = int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"))
        chosen.append(min(drawn, n - 1))
        distance = np.square(points - points[chosen[-1]]).sum(axis=1, dtype=np.float64)
        np.minimum(nearest, distance, out=nearest)
    return np.asarray(points[chosen])


def _assign(frames: Frames, centres: NDArray[Any]) -> SufficientStatistics:
    """Give each frame to its nearest centre: hard statistics, in standardised units."""
    d = centres.shape[1]
    k = len(centres)
    # the smallest ½|c|² − x·c is the nearest centre
    matrix = np.concatenate([-centres, 0.5 * np.square(centres).sum(axis=1, keepdims=True)], axis=1)
    sums = np.zeros((k, n_rows(d)))
    for part in tiles(len(frames), max(k, n_rows(d))):
        tile = frames.tile(part)  # (n_rows(d), n)
        scores = matrix[:, :d] @ tile[:d] + matrix[:, d:]
        member = np.zeros(scores.shape, dtype=tile.dtype)
        member[scores.argmin(axis=0), np.arange(scores.shape[1])] = 1
        sums += member @ tile.T
    return SufficientStatistics(len(frames), 0.0, sums[:, 2 * d], sums[:, :d], sums[:, d : 2 * d])
