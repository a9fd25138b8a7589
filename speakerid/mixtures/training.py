"""Frames in, mixture out: :func:`train`, and :func:`train_each` for several at a time."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from speakerid.config import TrainingConfig
from speakerid.errors import TrainingError
from speakerid.mixtures.covariances import covariance_type
from speakerid.mixtures.criteria import bic_of
from speakerid.mixtures.design import n_rows
from speakerid.mixtures.em import Training, TrainingRecord, expectation_maximisation
from speakerid.mixtures.frames import Frames, checked_training_frames
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.statistics import threads_worth
from speakerid.parallel import one_blas_thread, worker_threads

__all__ = ["train", "train_each"]

Trained = tuple[GaussianMixture, TrainingRecord]
# so many mixtures share the calls between the matrix products; more gain nothing and fall out of the processor's cache
_SIDE_BY_SIDE, _FEWEST_SIDE_BY_SIDE = 32, 8
# K is chosen among powers of two: so many at least, then until so many in a row were worse
_WORSE_IN_A_ROW = 2
_TRIED_AT_LEAST = 16
_MOST_COMPONENTS = 1024
# what the work is reckoned with while K is to be chosen
_GUESSED_COMPONENTS = 32


def train(
    X: NDArray[Any],
    config: TrainingConfig | None = None,
    *,
    start: GaussianMixture | None = None,
    generator: np.random.Generator | None = None,
    dtype: DTypeLike = np.float32,
    jobs: int | None = None,
) -> Trained:
    """Train a mixture by EM.

    With fewer than ``minimum_frames_per_component`` frames a component, fewer components are trained; features that never
    move get the floor's share of unit variance; components that lose their frames (duplicates of others) are removed. All
    of it is in the record.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        Frames.
    config : TrainingConfig, optional
        The defaults if left out.
    start : GaussianMixture, optional
        Where to start, instead of the config's initialisation and number of components.
    generator : numpy.random.Generator, optional
        What the initialisation draws from; left out, one with the config's seed. When K is chosen, every K draws the
        same.
    dtype : numpy dtype
        float32 (default) or float64, of the products; sums are always float64.
    jobs : int, optional
        Threads; as many as pay if left out. The result does not depend on it.

    Returns
    -------
    mixture : GaussianMixture
    record : TrainingRecord

    Raises
    ------
    TrainingError
        Frames that are not finite or not (n, d), a start that does not fit, or a log-likelihood that fell.
    """
    (result,) = train_each([X], config, starts=[start], generators=[generator], dtype=dtype, jobs=jobs)
    if isinstance(result, TrainingError):
        raise result
    return result


def train_each(
    matrices: Sequence[NDArray[Any]],
    config: TrainingConfig | None = None,
    *,
    starts: Sequence[GaussianMixture | None] | None = None,
    generators: Sequence[np.random.Generator | None] | None = None,
    dtype: DTypeLike = np.float32,
    jobs: int | None = None,
) -> list[Trained | TrainingError]:
    """Train several mixtures, each on its own frames: the results of :func:`train`, bit for bit, in less time.

    Parameters
    ----------
    matrices : sequence of ndarray, shape (n_i, d)
        With the same number of features.
    config, dtype, jobs
        As in :func:`train`.
    starts, generators : sequence, optional
        As many as matrices, each as in :func:`train`.

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
    if not isinstance(config, TrainingConfig):
        raise TypeError(f"config: expected a TrainingConfig, such as TrainingConfig(components=8), got {config!r}")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype = {dtype}: expected float32 or float64")
    n = len(matrices)
    results: dict[int, Trained | TrainingError] = {}
    usable: dict[int, Item] = {}
    for i, (X, start, draw) in enumerate(zip(matrices, starts or [None] * n, generators or [None] * n, strict=True)):
        try:
            usable[i] = checked_training_frames(X), start, draw
        except TrainingError as error:
            results[i] = error
    widths = {X.shape[1] for X, _start, _draw in usable.values()}
    if len(widths) > 1:
        raise ValueError(f"frames with different numbers of features cannot be trained together: {sorted(widths)}")
    n_frames = sum(len(X) for X, _start, _draw in usable.values())
    most = max((_size(config, start) for _X, start, _draw in usable.values()), default=1)
    rows = n_rows(covariance_type(config.covariance), max(widths, default=1))
    threads = threads_worth(n_frames, most, rows, jobs)
    # of like length together: their tiles are stacked
    order = sorted(usable, key=lambda i: len(usable[i][0]))
    side = min(max(len(order) // (4 * threads), _FEWEST_SIDE_BY_SIDE), _SIDE_BY_SIDE)
    groups = [order[i : i + side] for i in range(0, len(order), side)]
    # threads take whole groups where there are enough of them, else they share the frames of one
    outer = threads if len(groups) >= 2 * threads else 1
    with one_blas_thread(), worker_threads(outer) as run_groups, worker_threads(threads if outer == 1 else 1) as run:
        trained = run_groups(lambda g: _train_group([usable[i] for i in g], config, np.dtype(dtype), run), groups)
        for group, done in zip(groups, trained, strict=True):
            results.update(zip(group, done, strict=True))
    return [results[i] for i in range(n)]


def _size(config: TrainingConfig, start: GaussianMixture | None) -> int:
    if start is not None:
        return start.n_components
    return config.components if isinstance(config.components, int) else _GUESSED_COMPONENTS


Item = tuple[NDArray[Any], GaussianMixture | None, np.random.Generator | None]


def _train_group(
    items: Sequence[Item], config: TrainingConfig, dtype: np.dtype[Any], run: Any
) -> list[Trained | TrainingError]:
    frames = {
        i: Frames.of(X, config.covariance, n_components=_size(config, start), dtype=dtype, run=run)
        for i, (X, start, _generator) in enumerate(items)
    }
    results: dict[int, Trained | TrainingError] = {}
    Frames.keep(list(frames.values()), run)
    if config.components == "auto":
        chosen = [i for i in frames if items[i][1] is None]
        results.update(_choose(chosen, frames, items, config, run))
        frames = {i: f for i, f in frames.items() if i not in chosen}
    results.update(_train({i: (f, _size(config, items[i][1])) for i, f in frames.items()}, items, config, run))
    return [results[i] for i in range(len(items))]


def _train(
    jobs: dict[int, tuple[Frames, int]], items: Mapping[int, Item] | Sequence[Item], config: TrainingConfig, run: Any
) -> dict[int, Trained | TrainingError]:
    """Train some, each with its K."""
    results: dict[int, Trained | TrainingError] = {}
    trainings: dict[int, Training] = {}
    for i, (frames, k) in jobs.items():
        _X, start, generator = items[i]
        try:
            trainings[i] = Training(frames, config, k, start, generator)
        except TrainingError as error:
            results[i] = error
    expectation_maximisation(list(trainings.values()), config, run)
    for i, training in trainings.items():
        results[i] = training.error or (training.result, training.record())
    return results


def _choose(
    chosen: Sequence[int], frames: dict[int, Frames], items: Sequence[Item], config: TrainingConfig, run: Any
) -> dict[int, Trained | TrainingError]:
    """Train K = 1, 2, 4, ... and keep the smallest BIC; a search ends when it has risen twice in a row."""
    best: dict[int, Trained | TrainingError] = {}
    considered: dict[int, list[tuple[int, float]]] = {i: [] for i in chosen}
    searching = list(chosen)
    size = 1
    while searching and size <= _MOST_COMPONENTS:
        # every K draws the same numbers, so that it is the mixture that this K would give alone
        drawn = {i: (items[i][0], None, copy.deepcopy(items[i][2])) for i in searching}
        for i, result in _train({i: (frames[i], size) for i in searching}, drawn, config, run).items():
            if isinstance(result, TrainingError):
                best.setdefault(i, result)
                searching.remove(i)
                continue
            mixture, record = result
            n = record.n_frames
            considered[i].append(
                (mixture.n_components, bic_of(n * record.log_likelihoods[-1], mixture.n_parameters, n))
            )
            lowest = min(value for _k, value in considered[i])
            if considered[i][-1][1] <= lowest:
                best[i] = result
            recent = [value for _k, value in considered[i]][-_WORSE_IN_A_ROW:]
            # fewer components than asked for: more cannot be had either
            if mixture.n_components < size or (size >= _TRIED_AT_LEAST and min(recent) > lowest):
                searching.remove(i)
        searching = [i for i in searching if 2 * size <= len(frames[i]) // config.minimum_frames_per_component]
        size *= 2
    return {i: _with_search(result, considered[i]) for i, result in best.items()}


def _with_search(result: Trained | TrainingError, considered: list[tuple[int, float]]) -> Trained | TrainingError:
    if isinstance(result, TrainingError):
        return result
    mixture, record = result
    return mixture, dataclasses.replace(record, considered=tuple(considered))
