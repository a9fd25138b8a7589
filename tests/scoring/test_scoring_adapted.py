"""Adapted speakers scored by their best components: all components give the ratios exactly, ten of many nearly."""

from __future__ import annotations

import numpy as np
import pytest

from speakerid.mixtures import GaussianMixture, accumulate, frame_log_likelihoods, maximum_a_posteriori_update
from speakerid.mixtures.sampling import sample
from speakerid.scoring import MixtureStack
from speakerid.scoring.adapted import AdaptedStack

K, D = 64, 12


def a_world(seed: int, k: int = K) -> GaussianMixture:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(k, 3.0))
    return GaussianMixture(weights, rng.normal(0, 2, (k, D)), rng.uniform(0.3, 1.5, (k, D)))


def adapted(world: GaussianMixture, n: int, *, variances: bool = False, weights: bool = False) -> list[GaussianMixture]:
    result = []
    for seed in range(n):
        rng = np.random.default_rng(100 + seed)
        voice = GaussianMixture(world.weights, world.means + rng.normal(0, 0.7, world.means.shape), world.covariances)
        frames = sample(voice, 1500, rng)[0]
        statistics = accumulate(world, frames)
        result.append(maximum_a_posteriori_update(world, statistics, 8.0, variances=variances, weights=weights))
    return result


def frames(world: GaussianMixture, n: int, seed: int) -> np.ndarray:
    return sample(world, n, np.random.default_rng(seed))[0].astype(np.float32)


@pytest.mark.parametrize(("variances", "weights"), [(False, False), (True, False), (True, True)])
def test_with_all_components_the_ratios_are_exact(variances: bool, weights: bool) -> None:
    world = a_world(0)
    speakers = adapted(world, 5, variances=variances, weights=weights)
    X = frames(world, 700, 1)
    found = AdaptedStack(world, speakers, top=K).frame_ratios(X)
    of_world = frame_log_likelihoods(world, X)
    for column, speaker in enumerate(speakers):
        np.testing.assert_allclose(found[:, column], frame_log_likelihoods(speaker, X) - of_world, atol=2e-3)


def test_ten_components_of_many_are_nearly_all() -> None:
    world = a_world(2, k=256)
    speakers = adapted(world, 8)
    X = frames(speakers[3], 1500, 3)
    ratios, of_world = AdaptedStack(world, speakers, top=10).mean_ratios(X)
    full = MixtureStack(speakers).mean_log_likelihoods(X) - MixtureStack([world]).mean_log_likelihoods(X)[0]
    assert np.abs(ratios - full).max() < 0.01
    assert ratios.argmax() == full.argmax() == 3
    assert of_world == pytest.approx(MixtureStack([world]).mean_log_likelihoods(X)[0], abs=1e-4)


def test_more_components_are_nearer() -> None:
    world = a_world(4, k=128)
    speakers = adapted(world, 4)
    X = frames(world, 800, 5)
    full = MixtureStack(speakers).mean_log_likelihoods(X) - MixtureStack([world]).mean_log_likelihoods(X)[0]
    errors = [np.abs(AdaptedStack(world, speakers, top=c).mean_ratios(X)[0] - full).mean() for c in (1, 3, 10, 30)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.01


def test_means_and_frames_agree_on_any_number_of_threads() -> None:
    world = a_world(6)
    stack = AdaptedStack(world, adapted(world, 3), top=8)
    X = frames(world, 9000, 7)  # several tiles
    ratios, of_world = stack.mean_ratios(X, jobs=1)
    np.testing.assert_allclose(ratios, stack.frame_ratios(X).mean(axis=0, dtype=np.float64), atol=1e-5)
    again, of_world_again = stack.mean_ratios(X, jobs=4)
    np.testing.assert_array_equal(again, ratios)
    assert of_world_again == of_world


def test_the_world_itself_is_no_better_than_the_world() -> None:
    world = a_world(8)
    ratios, _world = AdaptedStack(world, [world, world], top=5).mean_ratios(frames(world, 300, 9))
    np.testing.assert_allclose(ratios, 0.0, atol=1e-6)


def test_frames_far_from_everything_give_finite_ratios() -> None:
    world = a_world(10)
    X = np.full((20, D), 300.0, dtype=np.float32)
    assert np.isfinite(AdaptedStack(world, adapted(world, 3), top=4).frame_ratios(X)).all()


def test_what_does_not_fit_is_refused() -> None:
    world = a_world(11)
    (speaker,) = adapted(world, 1)
    with pytest.raises(ValueError, match="no mixtures"):
        AdaptedStack(world, [])
    with pytest.raises(ValueError, match="top = 0"):
        AdaptedStack(world, [speaker], top=0)
    with pytest.raises(ValueError, match="the world's shape"):
        AdaptedStack(world, [a_world(1, k=8)])
    stack = AdaptedStack(world, [speaker], top=1000)
    assert stack.top == K
    with pytest.raises(ValueError, match="expected frames of shape"):
        stack.mean_ratios(np.zeros((3, D + 1)))
    with pytest.raises(ValueError, match="no frames"):
        stack.mean_ratios(np.zeros((0, D)))
    assert stack.frame_ratios(np.zeros((0, D))).shape == (0, 1)
