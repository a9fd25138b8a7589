"""Where EM starts.

*Binary splitting* (Linde, Buzo and Gray 1980): one Gaussian, then every component is split along its deviations and a few
EM iterations settle them, until there are K. Deterministic, cheap, and as good a start as the best of the others.

*k-means* with k-means++ seeds (Arthur and Vassilvitskii 2007), on frames scaled to unit variance; the clusters' weights,
means and variances start the mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures.density import Standardisation, n_rows, tiles
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.maximum_likelihood import maximum_likelihood_update, update_each
from speakerid.mixtures.statistics import Frames, SufficientStatistics, accumulate_each

__all__ = ["initialise_by_kmeans", "initialise_by_splitting", "single_gaussian", "split_each"]

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
    standardisation = frames.standardisation
    start = standardisation.standardised(single_gaussian(standardisation, floor))
    unit_floor = np.broadcast_to(np.asarray(floor) / standardisation.scale**2, standardisation.scale.shape)
    (mixture,) = split_each([start], [frames], [n_components], [unit_floor])
    return standardisation.original(mixture)


def split_each(
    mixtures: Sequence[GaussianMixture],
    frames: Sequence[Frames],
    n_components: Sequence[int],
    floors: Sequence[NDArray[Any]],
) -> list[GaussianMixture]:
    """Split several mixtures, each on its own frames and in their standardised units, to their own numbers."""
    result = list(mixtures)
    growing = [i for i, mixture in enumerate(result) if mixture.n_components < n_components[i]]
    while growing:
        before = {i: result[i].n_components for i in growing}
        for i in growing:
            result[i] = _split_widest(result[i], n_components[i])
        # those that have their number are left to EM
        growing = [i for i in growing if result[i].n_components < n_components[i]]
        for _ in range(_ITERATIONS_A_LEVEL):
            statistics = accumulate_each([result[i] for i in growing], [frames[i] for i in growing])
            updated = update_each(statistics, [floors[i] for i in growing])
            for i, (mixture, _report) in zip(growing, updated, strict=True):
                result[i] = mixture
        # duplicate frames: when the halves are lost again there is nothing left to tell apart
        growing = [i for i in growing if result[i].n_components > before[i]]
    return result


def _split_widest(mixture: GaussianMixture, n_components: int) -> GaussianMixture:
    """Split all components, or as many as lead to `n_components`: those of the largest weight times variance."""
    n_split = min(mixture.n_components, n_components - mixture.n_components)
    spread = mixture.weights * mixture.variances.sum(axis=1)
    # stable order, so that ties do not depend on the sort
    return _split(mixture, np.sort(np.argsort(-spread, kind="stable")[:n_split]))


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
    unit_floor = np.broadcast_to(np.asarray(floor) / frames.standardisation.scale**2, (d,))
    mixture, _report = maximum_likelihood_update(statistics, unit_floor)
    return frames.standardisation.original(mixture)


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
