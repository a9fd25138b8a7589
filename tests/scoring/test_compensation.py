"""A world model in the noise and the band of a recording: against its limits, finite differences and drawn frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerid.mixtures import GaussianMixture
from speakerid.scoring import AdaptedStack, MixtureStack, compensated

BANDS, N_STATIC = 8, 6
FLOOR = 1e-4
Floats = NDArray[np.float64]


def cosines(n_static: int = N_STATIC) -> Floats:
    """(BANDS, n_static), orthonormal, by scipy."""
    return np.asarray(scipy.fft.dct(np.eye(BANDS), type=2, norm="ortho", axis=1)[:, :n_static])


def world(rng: np.random.Generator, *, k: int = 5, n_static: int = N_STATIC, spread: float = 0.3) -> GaussianMixture:
    """Static features and one order of derivatives; mean energies 20 dB above the floor and more."""
    logs = rng.uniform(np.log(100 * FLOOR), 0.0, (k, BANDS))
    means = np.concatenate([logs @ cosines(n_static), rng.normal(0, 0.1, (k, n_static))], axis=1)
    return GaussianMixture(rng.dirichlet(np.full(k, 5.0)), means, spread**2 * rng.uniform(0.5, 2, means.shape))


def environment(n_static: int = N_STATIC, **changes: Any) -> dict[str, Any]:
    forth = cosines(n_static)
    return {
        "back": np.linalg.pinv(forth), "forth": forth, "floor": FLOOR, "noise_variance": np.full(2 * n_static, 0.04),
        "noise": np.zeros(BANDS), "gain": 0.0, "missing": np.zeros(BANDS, dtype=np.bool_), "level": np.zeros(BANDS),
    } | changes  # fmt: skip


def test_without_a_disturbance_nothing_changes() -> None:
    given_world = world(np.random.default_rng(1))
    found = compensated(given_world, **environment())
    np.testing.assert_allclose(found.world.means, given_world.means, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.world.variances, given_world.variances, rtol=1e-5)
    np.testing.assert_allclose(found.jacobians, np.broadcast_to(np.eye(N_STATIC), found.jacobians.shape), atol=1e-6)


def test_far_below_the_noise_only_the_noise_is_left() -> None:
    noise = np.geomspace(1e5, 1e7, BANDS)
    found = compensated(world(np.random.default_rng(2)), **environment(noise=noise))
    np.testing.assert_allclose(found.world.means[:, :N_STATIC] @ np.eye(N_STATIC),
                               np.broadcast_to(np.log(noise) @ cosines(), (5, N_STATIC)), atol=2.5)  # fmt: skip
    np.testing.assert_allclose(found.world.means[:, N_STATIC:], 0.0, atol=1e-4)
    np.testing.assert_allclose(found.world.variances, 0.04, rtol=1e-3)
    assert np.abs(found.jacobians).max() < 1e-4


def test_a_missing_band_says_nothing_and_has_the_level_that_was_heard() -> None:
    n_static = BANDS  # all cepstra: bands and cepstra are the same
    given_world = world(np.random.default_rng(3), n_static=n_static)
    missing = np.arange(BANDS) >= 6
    level = np.full(BANDS, -9.0)
    found = compensated(given_world, **environment(n_static, missing=missing, level=level))
    logs, before = (
        found.world.means[:, :n_static] @ cosines(n_static).T,
        given_world.means[:, :n_static] @ cosines(n_static).T,
    )
    np.testing.assert_allclose(logs[:, missing], -9.0, atol=1e-9)
    np.testing.assert_allclose(logs[:, ~missing], before[:, ~missing], atol=1e-9)
    in_bands = cosines(n_static) @ found.jacobians @ cosines(n_static).T
    np.testing.assert_allclose(in_bands, np.broadcast_to(np.diag(~missing * 1.0), in_bands.shape), atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(-1, 1))
@settings(max_examples=30, deadline=None)
def test_j_is_the_slope_of_the_means(seed: int, gain: float) -> None:
    rng = np.random.default_rng(seed)
    first = world(rng, k=1)
    step = rng.normal(0, 1e-5, N_STATIC)
    moved = first.means.copy()
    moved[0, :N_STATIC] += step
    second = GaussianMixture(first.weights, moved, first.variances)
    options = environment(noise=rng.uniform(0, 0.1, BANDS), gain=gain)
    one, other = compensated(first, **options), compensated(second, **options)
    change = (other.world.means - one.world.means)[0, :N_STATIC]
    np.testing.assert_allclose(change, one.jacobians[0] @ step, rtol=0, atol=2e-8)


def test_frames_that_are_drawn_and_disturbed_have_these_means_and_variances() -> None:
    rng = np.random.default_rng(4)
    n_static = BANDS
    given_world = world(rng, k=1, n_static=n_static, spread=0.05)
    noise = rng.uniform(0.001, 0.1, BANDS)
    cepstra = rng.normal(
        given_world.means[0, :n_static], np.sqrt(given_world.variances[0, :n_static]), (200_000, n_static)
    )
    heard = np.log(np.exp(cepstra @ cosines(n_static).T) + noise) @ cosines(n_static)
    found = compensated(given_world, **environment(n_static, noise=noise, noise_variance=np.zeros(2 * n_static)))
    np.testing.assert_allclose(found.world.means[0, :n_static], heard.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(found.world.variances[0, :n_static], heard.var(axis=0), rtol=0.05)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.3])
def test_speakers_within_an_environment_are_their_compensated_mixtures(noise: float) -> None:
    rng = np.random.default_rng(5)
    given_world = world(rng)
    moves = rng.normal(0, 0.3, (7, *given_world.means.shape))
    speakers = [GaussianMixture(given_world.weights, given_world.means + move, given_world.variances) for move in moves]
    found = compensated(given_world, **environment(noise=np.full(BANDS, noise)))
    stack = AdaptedStack(given_world, speakers, top=99)
    frames = rng.normal(found.world.means[0], np.sqrt(found.world.variances[0]), (300, 2 * N_STATIC))
    ratios, of_world = stack.within(found).mean_ratios(frames)
    turned = np.concatenate(
        [
            np.einsum("kij,skj->ski", found.jacobians, moves[:, :, part])
            for part in (slice(0, N_STATIC), slice(N_STATIC, None))
        ],
        axis=2,
    )
    written_out = [
        GaussianMixture(given_world.weights, found.world.means + move, found.world.variances) for move in turned
    ]
    expected = MixtureStack([*written_out, found.world]).mean_log_likelihoods(frames)
    # relative to what is left of how far each speaker is from the world model
    far = np.einsum("k,skd,kd->s", given_world.weights, moves**2, 1 / given_world.variances)
    left = np.einsum("k,skd,kd->s", given_world.weights, turned**2, 1 / found.world.variances) / far
    np.testing.assert_allclose(ratios * left, expected[:-1] - expected[-1], rtol=0, atol=2e-4)
    assert of_world == pytest.approx(expected[-1], abs=2e-4)
    again, _world = stack.mean_ratios(frames)  # the stack itself is as it was
    np.testing.assert_array_equal(again, AdaptedStack(given_world, speakers, top=99).mean_ratios(frames)[0])


def test_speakers_with_variances_of_their_own_stay_where_they_are() -> None:
    given_world = world(np.random.default_rng(6))
    speaker = GaussianMixture(given_world.weights, given_world.means, 2 * given_world.variances)
    with pytest.raises(ValueError, match="variances of their own"):
        AdaptedStack(given_world, [speaker]).within(compensated(given_world, **environment()))
