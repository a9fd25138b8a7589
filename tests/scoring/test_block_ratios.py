"""Sums of log-likelihood ratios over blocks of frames."""

from __future__ import annotations

import numpy as np
import pytest

from speakerid.mixtures import GaussianMixture
from speakerid.scoring import AdaptedStack

K, D, SPEAKERS = 8, 6, 5


@pytest.fixture(scope="module")
def stack() -> AdaptedStack:
    rng = np.random.default_rng(3)
    means, variances = rng.normal(0, 3, (K, D)), rng.uniform(0.5, 2, (K, D))
    weights = np.full(K, 1 / K)
    world = GaussianMixture(weights, means, variances)
    moved = [GaussianMixture(weights, means + rng.normal(0, 0.5, (K, D)), variances) for _ in range(SPEAKERS)]
    return AdaptedStack(world, moved, top=3)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    # more than a tile of the scoring, so that blocks lie across tiles
    return np.random.default_rng(4).normal(0, 3, (9001, D)).astype(np.float32)


@pytest.mark.parametrize("size", [1, 50, 4096, 20_000])
def test_blocks_are_sums_of_frames(stack: AdaptedStack, frames: np.ndarray, size: int) -> None:
    starts = np.arange(0, len(frames), size)
    sums, world = stack.block_ratios(frames, starts)
    each = stack.frame_ratios(frames).astype(np.float64)
    assert sums.shape == (len(starts), SPEAKERS)
    assert world.shape == (len(starts),)
    np.testing.assert_allclose(sums, np.add.reduceat(each, starts), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("size", [50, 777])
def test_all_blocks_together_are_the_recording(stack: AdaptedStack, frames: np.ndarray, size: int) -> None:
    sums, world = stack.block_ratios(frames, np.arange(0, len(frames), size))
    ratios, of_world = stack.mean_ratios(frames)
    np.testing.assert_allclose(sums.sum(axis=0) / len(frames), ratios, rtol=1e-10)
    assert world.sum() / len(frames) == pytest.approx(of_world, rel=1e-10)


def test_a_window_is_the_sum_of_its_blocks(stack: AdaptedStack, frames: np.ndarray) -> None:
    sums, world = stack.block_ratios(frames, np.arange(0, len(frames), 100))
    ratios, of_world = stack.mean_ratios(frames[300:800])
    np.testing.assert_allclose(sums[3:8].sum(axis=0) / 500, ratios, rtol=1e-4, atol=1e-5)
    assert world[3:8].sum() / 500 == pytest.approx(of_world, rel=1e-5)


def test_a_block_without_frames_has_sums_of_zero(stack: AdaptedStack, frames: np.ndarray) -> None:
    starts = np.array([0, 0, 10, 10, 10, 4096, len(frames), len(frames)])
    sums, world = stack.block_ratios(frames, starts)
    empty = [0, 2, 3, 6, 7]
    assert not sums[empty].any()
    assert not world[empty].any()
    full, _world = stack.block_ratios(frames, np.array([0, 10, 4096]))
    np.testing.assert_array_equal(sums[[1, 4, 5]], full)


def test_blocks_do_not_depend_on_the_threads(stack: AdaptedStack) -> None:
    frames = np.random.default_rng(5).normal(0, 3, (300_000, D)).astype(np.float32)
    starts = np.arange(0, len(frames), 5000)
    one, several = (stack.block_ratios(frames, starts, jobs=jobs) for jobs in (1, 2))
    for first, second in zip(one, several, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("starts", [[], [1], [0, 5, 4], [0, 9002], [[0]]])
def test_starts_that_are_none_are_refused(stack: AdaptedStack, frames: np.ndarray, starts: list[int]) -> None:
    with pytest.raises(ValueError, match="starts of blocks"):
        stack.block_ratios(frames, np.array(starts, dtype=int))
