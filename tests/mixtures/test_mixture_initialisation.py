"""Starts: what each method promises, that its generator is all it draws from, and the starts that callers give."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from mixture_oracles import (
    NEVER,
    TYPES,
    a_start,
    assert_close,
    clusters,
    global_covariance,
    seeded,
    written_out_likelihood,
    written_out_update,
)

from speakerid.config import TrainingConfig
from speakerid.errors import TrainingError
from speakerid.mixtures import GaussianMixture, initialise, train
from speakerid.mixtures.initialisation import INITIALISATIONS

DRAWN = ("kmeans", "random")


def test_there_are_three_methods() -> None:
    assert INITIALISATIONS == ("splitting", "kmeans", "random")
    assert inspect.signature(initialise).parameters["method"].default in INITIALISATIONS


# All methods


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("method", INITIALISATIONS)
@pytest.mark.parametrize("k", [1, 2, 3, 5, 8, 13])
def test_starts_have_as_many_components_as_asked_and_fit_better_than_one(method: Any, k: int, kind: str) -> None:
    X = clusters(400, 3, 5, 22, correlated=True)
    mixture = initialise(X, k, method, covariance_type=kind, variance_floor=0.05, generator=seeded(1))
    assert mixture.n_components == k
    assert mixture.covariance_type.name == kind
    total = global_covariance(X, kind, k)
    if kind in ("diagonal", "spherical"):
        assert (mixture.covariances >= 0.05 * total * (1 - 1e-6)).all()
    else:
        pairs = zip(mixture.covariances.reshape(-1, 3, 3), total.reshape(-1, 3, 3), strict=False)
        assert all(scipy.linalg.eigh(one, other, eigvals_only=True)[0] >= 0.05 * (1 - 1e-6) for one, other in pairs)
    single = written_out_update(np.ones((400, 1)), X, kind)
    if k > 1 and method == "kmeans":
        assert written_out_likelihood(mixture, X) > written_out_likelihood(single, X)
    if k == 1:
        assert written_out_likelihood(mixture, X) <= written_out_likelihood(single, X) + 1e-9


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("method", ["splitting", "kmeans"])
def test_one_component_starts_as_the_gaussian_of_all_frames(method: Any, kind: str) -> None:
    X = clusters(400, 3, 5, 23, correlated=True) + 7.0
    mixture = initialise(X, 1, method, covariance_type=kind, dtype=np.float64)
    assert_close(mixture, written_out_update(np.ones((400, 1)), X, kind), 1e-9)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("method", INITIALISATIONS)
def test_equal_generators_give_equal_starts(method: Any, kind: str) -> None:
    X = clusters(700, 3, 5, 19).astype(np.float32)
    one, other = (initialise(X, 6, method, covariance_type=kind, generator=seeded(5)) for _ in range(2))
    assert one == other
    left_out = initialise(X, 6, method, covariance_type=kind)
    assert left_out == initialise(X.copy(), 6, method, covariance_type=kind, generator=seeded(0))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("method", DRAWN)
def test_other_generators_give_other_starts(method: Any, kind: str) -> None:
    X = clusters(700, 3, 5, 20)
    one, other = (initialise(X, 6, method, covariance_type=kind, generator=seeded(s)) for s in (1, 2))
    assert one != other


def test_a_generator_goes_on_where_it_was() -> None:
    X, generator = clusters(700, 3, 5, 20), seeded(3)
    assert initialise(X, 6, "random", generator=generator) != initialise(X, 6, "random", generator=generator)


def test_splitting_draws_nothing() -> None:
    X, generator = clusters(300, 3, 5, 20), seeded(3)
    initialise(X, 6, "splitting", generator=generator)
    assert generator.random() == seeded(3).random()


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("method", INITIALISATIONS)
@given(n_distinct=st.integers(1, 5), repeats=st.integers(1, 6), d=st.integers(1, 3), seed=st.integers(0, 10000))
@settings(max_examples=12, deadline=None)
def test_fewer_different_frames_than_components(
    method: Any, kind: str, n_distinct: int, repeats: int, d: int, seed: int
) -> None:
    rng = seeded(seed)
    X = np.repeat(rng.normal(3.0, 2.0, (n_distinct, d)), repeats, axis=0)
    mixture = initialise(X, 8, method, covariance_type=kind, generator=rng)
    assert 1 <= mixture.n_components <= 8
    assert np.isfinite(written_out_likelihood(mixture, X))
    if method != "splitting":  # the last split is left to EM
        assert mixture.n_components <= n_distinct
        assert (mixture.means >= X.min(axis=0) - 1e-4).all()
        assert (mixture.means <= X.max(axis=0) + 1e-4).all()


# Random frames


@pytest.mark.parametrize("kind", TYPES)
def test_random_means_are_different_frames(kind: str) -> None:
    X = np.repeat(clusters(40, 3, 4, 24, correlated=True), 3, axis=0)
    mixture = initialise(X, 30, "random", covariance_type=kind, generator=seeded(4), dtype=np.float64)
    distances = np.abs(mixture.means[:, None] - X).max(axis=2)
    np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-9)
    nearest = distances.argmin(axis=1)
    assert len(np.unique(X[nearest], axis=0)) == 30
    np.testing.assert_array_equal(mixture.weights, np.full(30, 1 / 30))
    expected = global_covariance(X, kind, 30)
    np.testing.assert_allclose(mixture.covariances, expected, rtol=1e-9, atol=1e-9)


def test_every_frame_can_be_drawn() -> None:
    X = np.arange(6.0)[:, None]
    generator = seeded(5)
    drawn = {round(float(initialise(X, 1, "random", generator=generator).means[0, 0]), 5) for _ in range(60)}
    assert drawn == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}


# k-means


@pytest.mark.parametrize("kind", TYPES)
def test_kmeans_starts_from_the_clusters_themselves(kind: str) -> None:
    rng = seeded(23)
    which = rng.permutation(np.repeat([0, 1, 2], [50, 100, 150]))
    X = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 80.0]])[which] + rng.normal(0, 1, (300, 2))
    mixture = initialise(X, 3, "kmeans", covariance_type=kind, variance_floor=NEVER, generator=seeded(2))
    expected = written_out_update(np.eye(3)[which], X, kind)
    order = np.argsort(mixture.weights)
    found = GaussianMixture(
        mixture.weights[order],
        mixture.means[order],
        mixture.covariance_type.select(mixture.covariances, order),
        kind,
    )
    assert_close(found, expected, 2e-2)
    np.testing.assert_allclose(found.weights, [1 / 6, 1 / 3, 1 / 2], rtol=1e-6)
    np.testing.assert_allclose(found.means, expected.means, atol=1e-3)


# Splitting


@pytest.mark.parametrize("kind", TYPES)
def test_splitting_finds_clusters_that_lie_along_the_deviations(kind: Any) -> None:
    rng = seeded(25)
    X = np.array([-30.0, 10.0])[rng.integers(0, 2, 800), None] + rng.normal(0, 1, (800, 1))
    config = TrainingConfig(components=2, variance_floor=1e-4, iterations=100, tolerance=1e-6, covariance=kind)
    mixture, _record = train(X, config)
    np.testing.assert_allclose(np.sort(mixture.means[:, 0]), [-30, 10], atol=0.2)


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_split_last_is_two_of_half_the_weight(kind: str) -> None:
    """From one Gaussian to two: its mean plus and minus a fifth of its deviations, its covariance for both."""
    X = clusters(500, 1, 2, 26)
    mixture = initialise(X, 2, "splitting", covariance_type=kind, dtype=np.float64)
    np.testing.assert_array_equal(mixture.weights, [0.5, 0.5])
    deviation = X.std()
    expected = np.sort(X.mean() + 0.2 * deviation * np.array([-1, 1]))
    np.testing.assert_allclose(np.sort(mixture.means[:, 0]), expected, rtol=1e-9)
    np.testing.assert_allclose(mixture.variances, deviation**2, rtol=1e-9)


# Training


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("initialisation", INITIALISATIONS)
def test_training_is_deterministic(initialisation: Any, kind: Any) -> None:
    X = clusters(700, 3, 5, 19).astype(np.float32)
    config = TrainingConfig(components=6, initialisation=initialisation, seed=5, covariance=kind)
    assert train(X, config) == train(X.copy(), config)


def test_the_seed_is_of_kmeans_and_random_alone() -> None:
    X = clusters(700, 3, 5, 20)
    for initialisation in INITIALISATIONS:
        models = [
            train(X, TrainingConfig(components=6, initialisation=initialisation, seed=s))[0]  # type: ignore[arg-type]
            for s in (1, 2)
        ]
        assert (models[0] == models[1]) is (initialisation not in DRAWN)


@pytest.mark.parametrize("initialisation", DRAWN)
def test_a_generator_wins_over_the_seed(initialisation: Any) -> None:
    X = clusters(700, 3, 5, 21)
    by_seed = train(X, TrainingConfig(components=6, initialisation=initialisation, seed=9))
    by_generator = train(X, TrainingConfig(components=6, initialisation=initialisation, seed=1), generator=seeded(9))
    assert by_seed == by_generator
    assert by_seed != train(X, TrainingConfig(components=6, initialisation=initialisation, seed=1))


@pytest.mark.parametrize("kind", TYPES)
def test_a_start_from_initialise_is_that_of_training(kind: Any) -> None:
    X = clusters(500, 3, 5, 27, correlated=True)
    for method in INITIALISATIONS:
        config = TrainingConfig(components=5, covariance=kind, initialisation=method, seed=4)  # type: ignore[arg-type]
        start = initialise(X, 5, method, covariance_type=kind, generator=seeded(4), dtype=np.float64)  # type: ignore[arg-type]
        given_, found = train(X, config, start=start, dtype=np.float64), train(X, config, dtype=np.float64)
        assert_close(given_[0], found[0], 1e-5)
        assert given_[1].log_likelihoods[0] == pytest.approx(found[1].log_likelihoods[0], rel=1e-10)


@pytest.mark.parametrize("kind", TYPES)
def test_a_given_start_wins_over_the_configs(kind: Any) -> None:
    X = clusters(400, 2, 3, 17)
    start = a_start(X, 3, 2, kind)
    _mixture, record = train(X, TrainingConfig(components=16, covariance=kind), start=start)
    assert record.components_asked == record.components == 3
    assert record.log_likelihoods[0] == pytest.approx(written_out_likelihood(start, X), rel=1e-6)


def test_a_start_of_another_width_is_refused() -> None:
    with pytest.raises(TrainingError, match="a start of 2 features for frames of 3"):
        train(clusters(50, 3, 2, 0), start=a_start(clusters(50, 2, 2, 0), 2, 0))


@pytest.mark.parametrize("kind", TYPES)
def test_a_start_of_another_type_is_refused(kind: Any) -> None:
    X = clusters(50, 2, 2, 0)
    for other in sorted(set(TYPES) - {kind}):
        with pytest.raises(TrainingError, match=f"a start with {other} covariances, where the settings say {kind}"):
            train(X, TrainingConfig(covariance=kind), start=a_start(X, 2, 0, other))


def test_a_start_is_not_written_to() -> None:
    X = clusters(100, 2, 2, 0)
    start = a_start(X, 2, 0)
    before = GaussianMixture(start.weights, start.means, start.covariances)
    train(X, start=start)
    assert start == before
