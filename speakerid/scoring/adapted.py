"""Many speakers that were adapted from one world model, scored by the components that matter in each frame.

An adapted mixture has the components of its world, a little moved. So the C components that answer best for a frame in the
world model are those that matter for the speakers too (Reynolds, Quatieri and Dunn 2000, section 3.5): the world is scored
in full, and every speaker in C components a frame. With w_k = log π_k N(x; world) the log-likelihood ratio of a frame is

    log Σ_{k ∈ C} exp(w_k + δ_sk(x)) − log Σ_{k ∈ C} exp(w_k),

where δ_sk, by how much component k fits x better in speaker s than in the world, is linear in [x, 1] when only means are
adapted, and in [x, 1, x²] otherwise. Frames are grouped by component, so that δ_sk of all speakers is one small matrix
product for each component and no frame meets a component it has nothing to do with.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.mixtures import GaussianMixture
from speakerid.mixtures.design import LN2, LOG2E, coefficients, design, standardisation_of, standardised
from speakerid.mixtures.standardisation import Standardisation
from speakerid.parallel import effective_jobs, one_blas_thread, worker_threads
from speakerid.scoring.compensation import Compensated

__all__ = ["AdaptedStack"]

# frames in a tile: some for each component, and the speakers' sums of it stay in a few megabytes
_MOST_FRAMES, _LEAST_FRAMES, _SUMS = 4096, 256, 1 << 21
# values that are still in the cache when they are read again
_TOGETHER = 1 << 21
# beyond 2^±100 a component has won or lost, and float32 would overflow
_LARGEST_SHIFT = 100.0
_WORTH_A_THREAD = 1 << 20
# of what tells a speaker from the world: less is nearly all noise
_LEAST_LEFT = 0.05
# components by which that is told
_TELLING = 128


class _Shifts:
    """δ of all components: (K, rows, n_speakers), float32."""

    def __init__(self, table: NDArray[np.float32]) -> None:
        self.table = table

    def of(self, components: NDArray[np.intp]) -> list[NDArray[np.float32]]:
        """(rows, n_speakers) of each of some components."""
        return [self.table[component] for component in components.tolist()]


class _MovedShifts:
    """δ in another environment, worked out for the components that are asked for.

    In standardised units and base 2 the linear rows are log2 e · δ / σ², so those become Σ'⁻¹ J Σ times what they are, and
    the constant one −(δ'ᵀ Σ'⁻¹ μ' + ½ δ'ᵀ Σ'⁻¹ δ').
    """

    def __init__(self, stack: AdaptedStack, environment: Compensated, unit: GaussianMixture) -> None:
        assert isinstance(stack._shifts, _Shifts)
        self._before, self._n_features, self._jacobians = stack._shifts.table, stack.n_features, environment.jacobians
        scale = stack._scale
        self._means, self._variances = unit.means.astype(np.float32), unit.variances.astype(np.float32)
        # J takes features to features, and its standardised one is between their scales
        self._into = (scale * stack._unit.variances).astype(np.float32)
        self._out = (1.0 / (scale * unit.variances)).astype(np.float32)
        self._known: dict[int, NDArray[np.float32]] = {}

    def of(self, components: NDArray[np.intp]) -> list[NDArray[np.float32]]:
        new = components[[k not in self._known for k in components.tolist()]]
        if len(new):
            moved = self._moved(new)
            self._known.update(zip(new.tolist(), moved, strict=True))
        return [self._known[k] for k in components.tolist()]

    def _moved(self, components: NDArray[np.intp]) -> NDArray[np.float32]:
        before = self._before[components]
        n, _rows, n_speakers = before.shape
        # (n, i, j), from (n, n, K) as they are in memory
        jacobians = np.ascontiguousarray(self._jacobians.transpose(1, 2, 0)[:, :, components].transpose(2, 0, 1))
        n_static = jacobians.shape[1]
        n_parts = self._n_features // n_static
        # statics and their derivatives side by side: small products cost more by their number than by their size
        beside = before[:, : self._n_features] * self._into[components, :, None]
        beside = beside.reshape(n, n_parts, n_static, n_speakers).transpose(0, 2, 1, 3).reshape(n, n_static, -1)
        moved = (jacobians @ beside).reshape(n, n_static, n_parts, n_speakers).transpose(0, 2, 1, 3)
        after = np.empty_like(before)
        linear = after[:, : self._n_features]
        np.multiply(moved.reshape(n, self._n_features, n_speakers), self._out[components, :, None], out=linear)
        half = linear * (np.float32(0.5 / LOG2E) * self._variances[components, :, None])
        half += self._means[components, :, None]
        after[:, self._n_features] = -np.einsum("kds,kds->ks", half, linear)
        return after


class AdaptedStack:
    """Speakers stacked for scoring against their world model.

    Parameters
    ----------
    world : GaussianMixture
        K diagonal Gaussians.
    mixtures : sequence of GaussianMixture
        Adapted from it: component k of each is component k of the world, moved.
    top : int
        C, components that count in a frame; all K if there are no more.

    Raises
    ------
    ValueError
        There is no mixture, one is of another shape than the world, or `top` is below 1.
    """

    def __init__(self, world: GaussianMixture, mixtures: Sequence[GaussianMixture], *, top: int = 10) -> None:
        if not mixtures:
            raise ValueError("nothing to score against: no mixtures")
        if top < 1:
            raise ValueError(f"top = {top}: expected 1 or more")
        shapes = {(m.covariance_type.name, *m.means.shape) for m in (world, *mixtures)}
        if shapes != {("diagonal", *world.means.shape)}:
            raise ValueError(
                f"expected diagonal mixtures of the world's shape {world.means.shape}, got {sorted(shapes)}"
            )
        self.n_features, self.n_components, self.n_speakers = world.n_features, world.n_components, len(mixtures)
        self.top = min(top, self.n_components)
        self._kind, self._standardisation = world.covariance_type, standardisation_of(world)
        self._unit = standardised(world, self._standardisation)
        own = self._coefficients(self._unit)
        self._world = own.astype(np.float32)
        only_means = all(np.array_equal(m.covariances, world.covariances) for m in mixtures)
        #: whether :meth:`within` can be used
        self.only_means = only_means
        self._left: NDArray[np.float32] | None = None
        self._rows = self.n_features + 1 if only_means else own.shape[1]
        shifts = np.empty((self.n_components, self._rows, self.n_speakers), dtype=np.float32)
        for speaker, mixture in enumerate(mixtures):
            unit = standardised(mixture, self._standardisation)
            shifts[:, :, speaker] = (self._coefficients(unit) - own)[:, : self._rows]
        self._shifts: _Shifts | _MovedShifts = _Shifts(shifts)

    def within(self, environment: Compensated) -> AdaptedStack:
        """Return the same speakers in the environment that the world model was put into; only where means alone differ.

        A move δ of a speaker's means becomes J δ. Ratios are divided by what is left (:attr:`left`) of
        Σ_k π_k δ_kᵀ Σ_k⁻¹ δ_k, over the components that hold most of it: to second order, what a speaker's own frames are
        expected to reach is half of that. So a speaker's own ratio is expected to be what it is without noise; there is
        more chance in it.
        """
        if not self.only_means:
            raise ValueError("speakers with variances of their own cannot be put into another environment")
        moved = copy.copy(self)
        moved._unit = standardised(environment.world, self._standardisation)
        moved._world = self._coefficients(moved._unit).astype(np.float32)
        moved._shifts = _MovedShifts(self, environment, moved._unit)
        telling, before = self._telling
        linear = np.stack(moved._shifts.of(telling))[:, : self.n_features]
        weights = (moved._unit.variances * moved._unit.weights[:, None])[telling].astype(np.float32)
        after = weights.ravel() @ np.square(linear, out=linear).reshape(weights.size, -1)
        left = np.divide(after, before, out=np.ones_like(before), where=before > 0)
        moved._left = np.maximum(left, _LEAST_LEFT).astype(np.float32)
        return moved

    @property
    def left(self) -> NDArray[np.float32]:
        """What ratios were divided by, (n_speakers,); 1 where nothing was made up for."""
        return np.ones(self.n_speakers, dtype=np.float32) if self._left is None else self._left

    @cached_property
    def _telling(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Components that say most of who speaks, of all speakers together, and what they hold of each: (n,), (n, S)."""
        assert isinstance(self._shifts, _Shifts)
        weights = (self._unit.variances * self._unit.weights[:, None]).astype(np.float32)
        of_each = np.empty((self.n_components, self.n_speakers))
        for component, weight in enumerate(weights):
            of_each[component] = weight @ np.square(self._shifts.table[component, : self.n_features])
        shares = of_each / np.maximum(of_each.sum(axis=0), np.finfo(np.float64).tiny)
        chosen = np.sort(np.argsort(-shares.sum(axis=1), kind="stable")[:_TELLING])
        return chosen, of_each[chosen].sum(axis=0)

    @property
    def _scale(self) -> NDArray[np.float64]:
        assert isinstance(self._standardisation, Standardisation)
        return self._standardisation.scale

    def _coefficients(self, unit: GaussianMixture) -> NDArray[np.float64]:
        """(K, rows) of a mixture of standardised frames."""
        log_scale = self._standardisation.log_scale
        return coefficients(self._kind, unit.weights, unit.means, unit.covariances, log_scale)

    def _tiles(self, n_frames: int) -> Iterator[slice]:
        step = int(np.clip(_SUMS // self.n_speakers, _LEAST_FRAMES, _MOST_FRAMES))
        return (slice(first, min(first + step, n_frames)) for first in range(0, n_frames, step))

    def frame_ratios(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """Log-likelihood ratios of frames, nats: (n, d) -> (n, n_speakers)."""
        X = self._checked(X)
        with one_blas_thread():
            parts = [self._ratios(X[part])[0] for part in self._tiles(len(X))]
        return np.concatenate(parts) * np.float32(LN2) if parts else np.empty((0, self.n_speakers), np.float32)

    def mean_ratios(self, X: NDArray[Any], *, jobs: int | None = 1) -> tuple[NDArray[np.float64], float]:
        """Mean log-likelihood ratios of a recording, and the world's mean log-likelihood, nats a frame.

        Parameters
        ----------
        X : ndarray, shape (n, d)
        jobs : int, optional
            Threads; None takes as many as pay. The result does not depend on it.

        Returns
        -------
        ratios : ndarray, shape (n_speakers,)
        world : float

        Raises
        ------
        ValueError
            There are no frames, or they are of another width.
        """
        X = self._checked(X)
        if len(X) == 0:
            raise ValueError("no frames to score")
        ratios, world = self.block_ratios(X, np.zeros(1, dtype=np.intp), jobs=jobs)
        return ratios[0] / len(X), float(world[0]) / len(X)

    def block_ratios(
        self, X: NDArray[Any], starts: NDArray[np.integer], *, jobs: int | None = 1
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums of log-likelihood ratios over blocks of frames, and of the world's log-likelihoods, nats.

        They add: the sums of a window are those of its blocks, and all blocks together give :meth:`mean_ratios`. Memory
        grows with the blocks, not with the frames.

        Parameters
        ----------
        X : ndarray, shape (n, d)
        starts : ndarray of int, shape (n_blocks,)
            First frame of each block, which ends where the next one starts; the first is 0, and none is less than the one
            before. A block without frames, as where a clock goes on and nobody speaks, has sums of 0.
        jobs : int, optional
            Threads; None takes as many as pay. The result does not depend on it.

        Returns
        -------
        ratios : ndarray, shape (n_blocks, n_speakers)
        world : ndarray, shape (n_blocks,)

        Raises
        ------
        ValueError
            The starts are no such numbers, or the frames are of another width.
        """
        X = self._checked(X)
        starts = np.asarray(starts)
        if starts.ndim != 1 or not len(starts) or starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] > len(X):
            raise ValueError(f"expected starts of blocks that rise from 0 to at most {len(X)}")
        threads = max(min(effective_jobs(jobs), len(X) * self.n_components // _WORTH_A_THREAD), 1)
        totals, of_world = np.zeros((len(starts), self.n_speakers)), np.zeros(len(starts))

        def sums(part: slice) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
            ratios, world = self._ratios(X[part])
            blocks = np.searchsorted(starts, np.arange(part.start, part.stop), side="right") - 1
            first = np.flatnonzero(np.diff(blocks, prepend=-1))  # of each block, within the tile
            return (
                blocks[first],
                np.add.reduceat(ratios, first, axis=0, dtype=np.float64),
                np.add.reduceat(world, first, dtype=np.float64),
            )

        with one_blas_thread(), worker_threads(threads) as run:
            for blocks, ratios, world in run(sums, self._tiles(len(X))):
                totals[blocks] += ratios
                of_world[blocks] += world
        return totals * LN2, of_world * LN2

    def _checked(self, X: NDArray[Any]) -> NDArray[Any]:
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise ValueError(f"expected frames of shape (n, {self.n_features}), got {X.shape}")
        return X

    def _ratios(self, X: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Ratios of a tile (n, n_speakers) and the world's log-likelihoods (n,), both in log2 units."""
        matrix = design(X, self._kind, self._standardisation)  # (rows, n)
        logits = self._world @ matrix  # (K, n)
        # the C-th best component of each frame; sorting is along the contiguous axis
        worst = np.partition(np.ascontiguousarray(logits.T), self.n_components - self.top, axis=1)
        worst = worst[:, self.n_components - self.top]
        peak = logits.max(axis=0)
        components, places = np.nonzero(logits >= worst)  # in the order of the components
        weights = logits[components, places] - peak[places]
        sums = self._sums(matrix[: self._rows].T, components, places, weights)
        np.maximum(sums, np.finfo(np.float32).tiny, out=sums)
        logits -= peak
        np.maximum(logits, np.float32(-_LARGEST_SHIFT), out=logits)
        np.exp2(logits, out=logits)
        everything = logits.sum(axis=0)
        np.exp2(weights, out=weights)
        of_chosen = np.bincount(places, weights, minlength=len(X)).astype(np.float32)
        ratios = np.log2(sums) - np.log2(of_chosen)[:, None]
        if self._left is not None:
            ratios /= self._left
        return ratios, peak + np.log2(everything)

    def _sums(
        self,
        frames: NDArray[np.float32],
        components: NDArray[np.intp],
        places: NDArray[np.intp],
        weights: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Σ_{k ∈ C} 2^(w_k + δ_sk) of every frame: (n, n_speakers); the pairs are in the order of the components."""
        paired = frames[places]  # (pairs, rows of δ)
        used, starts = np.unique(components, return_index=True)
        ends = np.append(starts[1:], len(places))
        groups = list(zip(self._shifts.of(used), starts.tolist(), ends.tolist(), strict=True))
        if len(places) * self.n_speakers > _TOGETHER:
            sums = np.zeros((len(frames), self.n_speakers), dtype=np.float32)
            for shifts, first, last in groups:
                sums[places[first:last]] += _powers(paired[first:last] @ shifts, weights[first:last])
            return sums
        # of a short recording the calls would cost more than the work: one for all pairs
        shifted = np.empty((len(places), self.n_speakers), dtype=np.float32)
        for shifts, first, last in groups:
            np.matmul(paired[first:last], shifts, out=shifted[first:last])
        shifted = _powers(shifted, weights)
        # every frame has C pairs or, where components tie, more
        order = np.argsort(places, kind="stable")
        firsts = np.concatenate([[0], np.cumsum(np.bincount(places, minlength=len(frames)))[:-1]])
        return np.asarray(np.add.reduceat(shifted[order], firsts, axis=0))


def _powers(shifted: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """2^(w + δ) of pairs (n, n_speakers), in place."""
    np.clip(shifted, -_LARGEST_SHIFT, _LARGEST_SHIFT, out=shifted)
    shifted += weights[:, None]
    return np.exp2(shifted, out=shifted)
