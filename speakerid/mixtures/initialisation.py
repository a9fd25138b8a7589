"""Where EM starts.

*Binary splitting* (Linde, Buzo and Gray 1980): one Gaussian, then every component is split along its deviations and a few
EM iterations settle them, until there are K. Deterministic, cheap, and on speech as good a start as the best of the others;
few clouds far apart, side by side across its direction, it may fail to tell apart.

*k-means* with k-means++ seeds (Arthur and Vassilvitskii 2007); the clusters' weights, means and covariances start the
mixture.

*Random frames*: K different frames as means, the covariance of all frames for each, equal weights.

All of them work in units in which the frames have variance one (for tied and full types: covariance I).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from speakerid.mixtures.covariances import CovarianceType
from speakerid.mixtures.design import complete_design, to_original
from speakerid.mixtures.frames import Frames, checked_training_frames
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.maximum_likelihood import update_each
from speakerid.mixtures.statistics import SufficientStatistics, accumulate_each
from speakerid.parallel import Map, one_blas_thread

__all__ = ["INITIALISATIONS", "initialise", "initialise_each", "split_components"]

INITIALISATIONS = ("splitting", "kmeans", "random")
Initialisation = Literal["splitting", "kmeans", "random"]

_SPLIT_DEVIATIONS = 0.2
_ITERATIONS_A_LEVEL = 3
_KMEANS_ITERATIONS = 20


def initialise(
    X: NDArray[Any],
    n_components: int,
    method: Initialisation = "splitting",
    *,
    covariance_type: str | CovarianceType = "diagonal",
    variance_floor: float = 0.1,
    generator: np.random.Generator | None = None,
    dtype: DTypeLike = np.float32,
) -> GaussianMixture:
    """Return a mixture to start EM from.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    n_components : int
        "kmeans" and "random" return fewer when there are not as many different frames.
    method : {"splitting", "kmeans", "random"}
    covariance_type : str or CovarianceType
    variance_floor : float
        Relative to the variance of the frames.
    generator : numpy.random.Generator, optional
        What "kmeans" and "random" draw from; left out, one with seed 0.
    dtype : numpy dtype
        Of the products.

    Raises
    ------
    TrainingError
        The frames are not finite numbers of shape (n, d).
    ValueError
        There is no such method or covariance type, or `n_components` is below 1.
    """
    if method not in INITIALISATIONS or n_components < 1:
        raise ValueError(
            f"expected one of {', '.join(INITIALISATIONS)} and a component at least, got {method!r}, {n_components}"
        )
    frames = Frames.of(checked_training_frames(X), covariance_type, n_components=n_components, dtype=dtype)
    Frames.keep([frames])
    draw = generator or np.random.default_rng(0)
    with one_blas_thread():
        (unit,) = initialise_each([frames], [n_components], method, variance_floor, [draw])
    return to_original(unit, frames.standardisation)


def initialise_each(
    frames: Sequence[Frames],
    n_components: Sequence[int],
    method: Initialisation,
    floor: float,
    generators: Sequence[np.random.Generator],
    run: Map = map,
) -> list[GaussianMixture]:
    """Initialise several mixtures, each on its own frames and in their standardised units."""
    if method == "splitting":
        return _split_each(frames, n_components, floor, run)
    function = {"kmeans": _kmeans, "random": _random_frames}[method]
    return [function(f, k, floor, g) for f, k, g in zip(frames, n_components, generators, strict=True)]


def _single(frames: Frames, floor: float) -> GaussianMixture:
    """One Gaussian with the mean and covariance of all frames."""
    kind, d = frames.covariance_type, frames.n_features
    unit = np.ones(kind.shape(1, d)) if not kind.uses_products else np.eye(d).reshape(kind.shape(1, d))
    return GaussianMixture.trusted(np.ones(1), np.zeros((1, d)), np.maximum(floor, 1.0) * unit, kind)


def _split_each(frames: Sequence[Frames], n_components: Sequence[int], floor: float, run: Map) -> list[GaussianMixture]:
    """Split, settle and split again until each has its number; the last ones are left to EM.

    When doubling would overshoot, the components with the largest weight times variance are split.
    """
    result = [_single(f, floor) for f in frames]
    growing = [i for i in range(len(result)) if n_components[i] > 1]
    while growing:
        before = {i: result[i].n_components for i in growing}
        for i in growing:
            result[i] = split_components(result[i], n_components[i])
        # those that have their number are left to EM
        growing = [i for i in growing if result[i].n_components < n_components[i]]
        for _ in range(_ITERATIONS_A_LEVEL):
            if not growing:
                break
            statistics = accumulate_each([result[i] for i in growing], [frames[i] for i in growing], run)
            updated = update_each(statistics, floor, frames[0].covariance_type)
            for i, (mixture, _report) in zip(growing, updated, strict=True):
                result[i] = mixture
        # duplicate frames: when the halves are lost again there is nothing left to tell apart
        growing = [i for i in growing if result[i].n_components > before[i]]
    return result


def split_components(mixture: GaussianMixture, n_components: int) -> GaussianMixture:
    """Split all components, or as many as lead to `n_components`: those of the largest weight times variance."""
    n_split = min(mixture.n_components, n_components - mixture.n_components)
    spread = mixture.weights * mixture.variances.sum(axis=1)
    # stable order, so that ties do not depend on the sort
    return _split(mixture, np.sort(np.argsort(-spread, kind="stable")[:n_split]))


def _split(mixture: GaussianMixture, chosen: NDArray[np.intp]) -> GaussianMixture:
    """Replace each chosen component by two of half its weight, apart along its deviations."""
    kind = mixture.covariance_type
    step = _SPLIT_DEVIATIONS * np.sqrt(mixture.variances[chosen])
    weights, means = mixture.weights.copy(), mixture.means.copy()
    weights[chosen] *= 0.5
    means[chosen] += step
    order = np.concatenate([np.arange(mixture.n_components), chosen])
    return GaussianMixture.trusted(
        np.concatenate([weights, weights[chosen]]),
        np.concatenate([means, mixture.means[chosen] - step]),
        kind.select(mixture.covariances, order),
        kind,
    )


def _points(frames: Frames) -> NDArray[Any]:
    """Standardised frames, (n, d)."""
    d, step = frames.n_features, 64
    parts = [frames.units(slice(i, min(i + step, frames.n_tiles))) for i in range(0, frames.n_tiles, step)]
    points = np.concatenate([part[:, :d].swapaxes(1, 2).reshape(-1, d) for part in parts])
    return np.asarray(points[: len(frames)])


def _random_frames(frames: Frames, n_components: int, floor: float, generator: np.random.Generator) -> GaussianMixture:
    single, kind = _single(frames, floor), frames.covariance_type
    _values, first = np.unique(frames.X, axis=0, return_index=True)
    distinct = np.sort(first)
    k = min(n_components, len(distinct))
    means = _points(frames)[np.sort(generator.choice(distinct, k, replace=False))].astype(np.float64)
    covariances = kind.select(single.covariances, np.zeros(k, dtype=np.intp)).copy()
    return GaussianMixture.trusted(np.full(k, 1.0 / k), means, covariances, kind)


def _kmeans(frames: Frames, n_components: int, floor: float, generator: np.random.Generator) -> GaussianMixture:
    """Cluster, and start each component from its cluster."""
    centres = _seed(_points(frames), n_components, generator)
    for _ in range(_KMEANS_ITERATIONS):
        statistics = _assign(frames, centres)
        filled = statistics.zeroth > 0
        means = (statistics.first[filled] / statistics.zeroth[filled, None]).astype(frames.dtype)
        settled = means.shape == centres.shape and np.array_equal(means, centres)
        centres = means
        if settled:
            break
    ((mixture, _report),) = update_each([_assign(frames, centres)], floor, frames.covariance_type)
    return mixture


def _seed(points: NDArray[Any], n_components: int, generator: np.random.Generator) -> NDArray[Any]:
    """Greedy k-means++ seeds.

    Each further seed is a frame drawn with probability proportional to its squared distance from the seeds before; of a few
    drawn, the one that leaves the smallest sum of distances (Arthur and Vassilvitskii 2007, section 5).
    """
    n = len(points)
    sizes = np.square(points).sum(axis=1)
    n_candidates = 2 + int(np.log(n_components))
    chosen = [int(generator.integers(n))]
    nearest = _distances(points, sizes, chosen)[0].astype(np.float64)
    while len(chosen) < n_components and nearest.sum() > 0:
        cumulative = np.cumsum(nearest)
        drawn = np.searchsorted(cumulative, generator.random(n_candidates) * cumulative[-1], side="right")
        candidates = np.minimum(drawn, n - 1).tolist()
        left = np.minimum(_distances(points, sizes, candidates), nearest)
        best = int(left.sum(axis=1, dtype=np.float64).argmin())
        chosen.append(candidates[best])
        nearest = left[best]
    return np.asarray(points[chosen])


def _distances(points: NDArray[Any], sizes: NDArray[Any], chosen: Sequence[int]) -> NDArray[Any]:
    """Squared distances of all points from some of them: (len(chosen), n)."""
    both = sizes[chosen][:, None] + sizes
    squares = both - 2 * (points[chosen] @ points.T)
    # what multiplying out leaves between equal points is no distance
    squares[squares < 16 * np.finfo(points.dtype).eps * both] = 0.0
    return np.asarray(squares)


def _assign(frames: Frames, centres: NDArray[Any]) -> SufficientStatistics:
    """Give each frame to its nearest centre: statistics with responsibilities of 0 and 1, in standardised units."""
    kind, (k, d) = frames.covariance_type, centres.shape
    # the smallest ½|c|² − x·c is the nearest centre
    matrix = np.concatenate([-centres, 0.5 * np.square(centres).sum(axis=1, keepdims=True)], axis=1)
    sums = np.zeros((k, frames.n_rows))
    numbers = np.arange(k)[:, None]
    tile = np.empty((frames.n_rows, frames.tile_size), dtype=frames.dtype)
    for number in range(frames.n_tiles):
        tile[: d + 1] = frames.units(slice(number, number + 1))[0]
        complete_design(kind, d, tile)
        nearest = (matrix @ tile[: d + 1]).argmin(axis=0)
        sums += (nearest == numbers).astype(tile.dtype) @ tile.T
    products = frames.products if kind.shared else None
    second = kind.second_moments(sums[:, d + 1 : d + 1 + kind.n_quadratic(d)], products)
    return SufficientStatistics(len(frames), 0.0, sums[:, d], sums[:, :d], second, kind)
