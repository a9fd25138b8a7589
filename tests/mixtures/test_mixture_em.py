"""EM: against equations written out here, against scikit-learn, and by what must always hold."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.exceptions
import sklearn.mixture
from hypothesis import given, settings
from hypothesis import strategies as st
from mixture_oracles import (
    IN_SCIKIT_LEARN,
    NEVER,
    TYPES,
    Array,
    a_mixture,
    a_start,
    assert_close,
    clusters,
    matrices_of,
    seeded,
    some_frames,
    written_out_likelihood,
    written_out_step,
)
from numpy.typing import NDArray

from speakerid.config import TrainingConfig
from speakerid.errors import TrainingError
from speakerid.mixtures import GaussianMixture, em, frame_log_likelihoods, frames, statistics, train
from speakerid.mixtures.statistics import accumulate_each
from speakerid.parallel import one_blas_thread

# One step


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("k", "d"), [(1, 1), (1, 4), (3, 1), (5, 3), (8, 20)])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_one_iteration_is_bishops(kind: Any, k: int, d: int, offset: float) -> None:
    X = clusters(800, d, k, 4, correlated=True) + offset
    start = a_start(X, k, 5, kind)
    expected = written_out_step(start, X)
    config = TrainingConfig(iterations=1, tolerance=0, variance_floor=NEVER, covariance=kind)
    for dtype, tolerance in ((np.float64, 1e-8), (np.float32, 2e-4)):
        mixture, record = train(X, config, start=start, dtype=dtype)
        assert_close(mixture, expected, tolerance)
        expected_history = [written_out_likelihood(start, X), written_out_likelihood(expected, X)]
        np.testing.assert_allclose(record.log_likelihoods, expected_history, rtol=tolerance)


# scikit-learn


def by_scikit_learn(X: Array, start: GaussianMixture, iterations: int) -> sklearn.mixture.GaussianMixture:
    kind = start.covariance_type.name
    inverse = np.linalg.inv if kind in ("tied", "full") else np.reciprocal
    oracle = sklearn.mixture.GaussianMixture(
        start.n_components, covariance_type=IN_SCIKIT_LEARN[kind], weights_init=start.weights,
        means_init=start.means, precisions_init=inverse(start.covariances), tol=0.0, reg_covar=0.0,
        max_iter=iterations, random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings(), one_blas_thread():
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        return oracle.fit(X)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    ("k", "d", "n", "iterations"),
    [
        (1, 3, 100, 1), (1, 3, 100, 20), (3, 1, 300, 1), (3, 1, 300, 20), (4, 5, 600, 1), (4, 5, 600, 20),
        (8, 2, 900, 20), (16, 10, 1600, 1), (16, 10, 1600, 5), (16, 39, 1600, 3),
    ],
)  # fmt: skip
def test_em_is_scikit_learns_from_the_same_start(kind: Any, k: int, d: int, n: int, iterations: int) -> None:
    X = clusters(n, d, k, 6, distance=2.0, correlated=True)
    start = a_start(X, k, 7, kind)
    oracle = by_scikit_learn(X, start, iterations)
    config = TrainingConfig(iterations=iterations, tolerance=0, variance_floor=NEVER, covariance=kind)
    mixture, record = train(X, config, start=start, dtype=np.float64)
    if len(record.log_likelihoods) == iterations + 1:  # it stops early only where rounding is all that is left
        assert_close(mixture, GaussianMixture(oracle.weights_, oracle.means_, oracle.covariances_, kind), 1e-7)
    else:
        assert k == 1 or record.log_likelihoods[-1] - record.log_likelihoods[-2] < 1e-12
    assert record.log_likelihoods[-1] == pytest.approx(oracle.score(X), rel=1e-10)
    assert frame_log_likelihoods(mixture, X).mean() == pytest.approx(oracle.score(X), rel=1e-10)
    single, _record = train(X, config, start=start)
    assert frame_log_likelihoods(single, X).mean() == pytest.approx(oracle.score(X), rel=1e-6)


@pytest.mark.parametrize("kind", TYPES)
def test_at_the_end_the_likelihood_stands_still_for_scikit_learn_too(kind: Any) -> None:
    X = clusters(800, 3, 4, 8, correlated=True)
    config = TrainingConfig(components=4, iterations=2000, tolerance=1e-12, variance_floor=NEVER, covariance=kind)
    mixture, record = train(X, config, dtype=np.float64)
    assert record.converged
    assert by_scikit_learn(X, mixture, 1).score(X) == pytest.approx(record.log_likelihoods[-1], rel=1e-10)
    assert_close(written_out_step(mixture, X), mixture, 1e-3)


# What always holds


@st.composite
def awkward_frames(draw: st.DrawFn) -> NDArray[np.float64]:
    """Few or many; clusters; offsets of 100 deviations; duplicates; features that never move or copy another; any scale."""
    rng = seeded(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.sampled_from([1, 2, 3, 10, 40, 150, 400]))
    d = draw(st.integers(1, 6))
    X = rng.normal(0, draw(st.sampled_from([0.01, 0.1, 1.0])), (n, d))
    k = draw(st.integers(1, 5))
    X += rng.normal(0, draw(st.sampled_from([0.0, 1.0, 10.0])), (k, d))[rng.integers(0, k, n)]
    if draw(st.booleans()):
        X = X[rng.integers(0, max(n // 4, 1), n)]
    if draw(st.booleans()):
        X[: n // 2] = X[0]
    X += draw(st.sampled_from([0.0, 100.0]))
    if draw(st.booleans()):
        X[:, 0] = draw(st.sampled_from([0.0, 0.1, -7.3]))
    if draw(st.booleans()):
        X[:, -1] = draw(st.sampled_from([1.0, -0.5, 30.0])) * X[:, 0]
    return X * draw(st.sampled_from([1e-3, 1.0, 1e3]))


TRAININGS = st.builds(
    TrainingConfig,
    components=st.sampled_from([1, 2, 3, 8, 16]),
    covariance=st.sampled_from(TYPES),
    minimum_frames_per_component=st.sampled_from([1, 8]),
    initialisation=st.sampled_from(["splitting", "kmeans", "random"]),
    seed=st.integers(0, 100),
)


@given(X=awkward_frames(), config=TRAININGS)
@settings(max_examples=150, deadline=None)
def test_the_likelihood_never_falls_and_the_record_is_the_models(
    X: NDArray[np.float64], config: TrainingConfig
) -> None:
    X32 = X.astype(np.float32)  # what the front end gives
    mixture, record = train(X32, config)
    history = record.log_likelihoods
    assert all(later >= earlier for earlier, later in itertools.pairwise(history))
    assert history[-1] == pytest.approx(frame_log_likelihoods(mixture, X32).mean(), rel=1e-4, abs=1e-3)
    assert history[-1] == pytest.approx(written_out_likelihood(mixture, X32), rel=1e-4, abs=1e-3)
    assert len(history) <= config.iterations + 1
    assert record.n_frames == len(X)
    assert record.components_asked == config.components
    assert isinstance(config.components, int)
    assert record.components == mixture.n_components <= config.components
    assert mixture.n_features == X.shape[1]
    assert mixture.covariance_type.name == config.covariance
    # the floor is relative to the global variance; a feature that never moves has the floor's share of 1
    spread = np.where(np.ptp(X32, axis=0) > 0, X32.astype(np.float64).var(axis=0), 1.0)
    if config.covariance == "diagonal":
        floor = config.variance_floor * spread
        assert (mixture.covariances >= floor * (1 - 1e-9)).all()
        assert record.floored == np.count_nonzero(mixture.covariances <= floor * (1 + 1e-9))
    if config.covariance == "spherical":
        floor = config.variance_floor * spread.mean()
        assert (mixture.covariances >= floor * (1 - 1e-9)).all()
        assert record.floored == np.count_nonzero(mixture.covariances <= floor * (1 + 1e-9))


@given(
    kind=st.sampled_from(TYPES),
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(1, 8),
    d=st.integers(1, 5),
    floor=st.sampled_from([1e-4, 0.01, 0.3, 1.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=50, deadline=None)
def test_em_with_a_floor_never_falls(kind: Any, seed: int, k: int, d: int, floor: float, dtype: Any) -> None:
    X = clusters(200, d, 5, seed, distance=8.0, correlated=True)
    config = TrainingConfig(components=k, covariance=kind, variance_floor=floor, iterations=30, tolerance=0)
    mixture, record = train(X, config, dtype=dtype)
    assert all(later >= earlier for earlier, later in itertools.pairwise(record.log_likelihoods))
    tolerance = 1e-9 if dtype == np.float64 else 1e-5
    assert record.log_likelihoods[-1] == pytest.approx(written_out_likelihood(mixture, X), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("kind", TYPES)
def test_the_history_is_the_likelihood_of_each_iterations_model(kind: Any) -> None:
    X = clusters(400, 3, 4, 9, correlated=True)
    start = a_start(X, 4, 1, kind)
    whole = train(X, TrainingConfig(iterations=6, tolerance=0, covariance=kind), start=start, dtype=np.float64)[1]
    assert len(whole.log_likelihoods) == 7
    for iterations in range(7):
        config = TrainingConfig(iterations=iterations, tolerance=0, covariance=kind)
        mixture, record = train(X, config, start=start, dtype=np.float64)
        assert record.log_likelihoods == whole.log_likelihoods[: iterations + 1]
        assert written_out_likelihood(mixture, X) == pytest.approx(whole.log_likelihoods[iterations], rel=1e-11)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("initialisation", ["splitting", "kmeans", "random"])
def test_scaled_and_moved_frames_give_the_scaled_and_moved_model(initialisation: Any, kind: Any) -> None:
    X = clusters(600, 3, 4, 10, correlated=True)
    a, b = np.array([1e-3, 7.0, 250.0]), np.array([0.02, -30.0, 9000.0])
    if kind == "spherical":
        a = np.full(3, 250.0)  # a sphere must stay one
    config = TrainingConfig(
        components=6, initialisation=initialisation, variance_floor=0.2, tolerance=0, covariance=kind
    )
    plain, record = train(X, config, dtype=np.float64)
    moved, moved_record = train(a * X + b, config, dtype=np.float64)
    square = {"diagonal": a**2, "spherical": a[0] ** 2}.get(kind, np.outer(a, a))
    expected = GaussianMixture(plain.weights, a * plain.means + b, square * plain.covariances, kind)
    assert_close(moved, expected, 1e-5)
    assert record.floored == moved_record.floored
    np.testing.assert_allclose(
        np.array(moved_record.log_likelihoods[:5]) + np.log(a).sum(), record.log_likelihoods[:5], rtol=1e-8
    )


@pytest.mark.parametrize("kind", ["tied", "full"])
def test_turned_frames_give_the_turned_model(kind: Any) -> None:
    """Tied and full covariances, and their floor, know no preferred axes."""
    X = clusters(600, 3, 4, 11, correlated=True)
    A = seeded(12).normal(0, 1, (3, 3))
    start = a_start(X, 4, 13, kind)
    turned = GaussianMixture(start.weights, start.means @ A.T, A @ start.covariances @ A.T, kind)
    config = TrainingConfig(variance_floor=0.2, covariance=kind, iterations=10, tolerance=0)
    plain, record = train(X, config, start=start, dtype=np.float64)
    moved, moved_record = train(X @ A.T, config, start=turned, dtype=np.float64)
    assert_close(moved, GaussianMixture(plain.weights, plain.means @ A.T, A @ plain.covariances @ A.T, kind), 1e-6)
    assert moved_record.floored == record.floored > 0


@pytest.mark.parametrize(
    ("kind", "initialisation", "k", "seed"),
    [
        ("diagonal", "splitting", 2, 3), ("diagonal", "splitting", 4, 3),
        *((kind, "kmeans", 3, 3) for kind in TYPES), *((kind, "kmeans", 4, 5) for kind in TYPES),
        *((kind, "random", 2, 3) for kind in TYPES),
    ],
)  # fmt: skip
def test_a_known_mixture_is_recovered(initialisation: Any, k: int, kind: Any, seed: int) -> None:
    rng = seeded(21)
    weights = np.array([0.1, 0.2, 0.3, 0.4])[-k:] / sum([0.1, 0.2, 0.3, 0.4][-k:])
    means = np.array([[-9.0, -8.0], [-10.0, 8.0], [9.0, 9.0], [10.0, -8.0]])[-k:]
    diagonal = np.array([[1.0, 2.0], [3.0, 1.0], [2.0, 2.0], [1.0, 1.0]])[-k:]
    correlated = np.array([[1.5, 0.9], [0.9, 1.0]])
    signs = np.array([1.0, -1.0, 0.2, -0.5])[-k:, None, None]
    covariances = {
        "diagonal": diagonal,
        "spherical": diagonal.mean(axis=1),
        "tied": correlated,
        "full": np.where(np.eye(2) > 0, correlated, signs * correlated),
    }[kind]
    truth = GaussianMixture(weights, means, covariances, kind)
    which = rng.choice(k, 6000, p=truth.weights)
    factors = np.linalg.cholesky(matrices_of(truth))
    X = truth.means[which] + (factors[which] @ rng.standard_normal((6000, 2, 1)))[..., 0]
    config = TrainingConfig(
        components=k, initialisation=initialisation, iterations=100, variance_floor=0.001, seed=seed, covariance=kind
    )
    mixture, record = train(X, config)
    order = np.argsort(mixture.weights)
    mixture = GaussianMixture(
        mixture.weights[order], mixture.means[order], mixture.covariance_type.select(mixture.covariances, order), kind
    )
    np.testing.assert_allclose(mixture.weights, truth.weights, atol=0.02)
    np.testing.assert_allclose(mixture.means, truth.means, atol=0.15)
    np.testing.assert_allclose(mixture.covariances, truth.covariances, rtol=0.12, atol=0.12)
    assert record.log_likelihoods[-1] >= written_out_likelihood(truth, X) - 1e-4


# Where it stops


def test_no_iterations_leave_the_start() -> None:
    for kind in TYPES:
        X = clusters(300, 2, 3, 15)
        start = a_start(X, 3, 1, kind)
        mixture, record = train(X, TrainingConfig(iterations=0, covariance=kind), start=start)  # type: ignore[arg-type]
        assert_close(mixture, start, 1e-12)
        assert (len(record.log_likelihoods), record.converged, record.removed) == (1, False, 0)


@pytest.mark.parametrize("kind", TYPES)
def test_the_tolerance_stops_and_says_converged(kind: Any) -> None:
    X = clusters(500, 2, 3, 18)
    long, short, cut = (
        train(
            X,
            TrainingConfig(components=3, iterations=iterations, tolerance=tolerance, covariance=kind),
            start=a_start(X, 3, 2, kind),
            dtype=np.float64,
        )[1]
        for iterations, tolerance in ((200, 0), (200, 1e-3), (1, 0))
    )
    assert short.converged
    assert short.log_likelihoods == long.log_likelihoods[: len(short.log_likelihoods)]
    rises = np.diff(short.log_likelihoods)
    assert rises[-1] < 1e-3
    assert (rises[:-1] >= 1e-3).all()
    assert not cut.converged


def falling(amount: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the third E-step on, let the log-likelihood be lower by so many nats a frame."""
    steps = itertools.count()

    def e_step(*arguments: Any) -> Any:
        found = accumulate_each(*arguments)
        if next(steps) < 2:
            return found
        return [
            statistics.SufficientStatistics(
                s.n_frames, s.log_likelihood - amount * s.n_frames, s.zeroth, s.first, s.second
            )
            for s in found
        ]

    monkeypatch.setattr(em, "accumulate_each", e_step)


@pytest.mark.parametrize("kind", TYPES)
def test_a_fall_of_the_likelihood_is_an_error(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    X = clusters(400, 3, 3, 19)
    falling(0.5 + 1.0, monkeypatch)
    with pytest.raises(TrainingError, match=r"the log-likelihood fell by .* nats a frame in iteration 2 of EM"):
        train(X, TrainingConfig(covariance=kind), start=a_start(X, 3, 1, kind))


@pytest.mark.parametrize("kind", TYPES)
def test_a_fall_to_nowhere_is_an_error(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    X = clusters(400, 3, 3, 19)
    falling(math.nan, monkeypatch)
    with pytest.raises(TrainingError, match="the log-likelihood fell by nan"):
        train(X, TrainingConfig(covariance=kind), start=a_start(X, 3, 1, kind))


@pytest.mark.parametrize("kind", TYPES)
def test_a_fall_within_rounding_ends_with_the_model_before(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    X = clusters(400, 3, 3, 19)
    start = a_start(X, 3, 1, kind)
    once, twice = (train(X, TrainingConfig(covariance=kind, iterations=n, tolerance=0), start=start) for n in (1, 2))
    rise = twice[1].log_likelihoods[2] - twice[1].log_likelihoods[1]
    falling(rise + 1e-6, monkeypatch)
    mixture, record = train(X, TrainingConfig(covariance=kind, tolerance=0), start=start)
    assert record.converged
    assert record.log_likelihoods == once[1].log_likelihoods
    assert mixture == once[0] != twice[0]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_start_whose_likelihood_is_not_finite_is_an_error(
    monkeypatch: pytest.MonkeyPatch, kind: Any, value: float
) -> None:
    """And not the one about a fall."""
    X = clusters(400, 3, 3, 19)

    def e_step(*arguments: Any) -> Any:
        return [
            statistics.SufficientStatistics(s.n_frames, value, s.zeroth, s.first, s.second)
            for s in accumulate_each(*arguments)
        ]

    monkeypatch.setattr(em, "accumulate_each", e_step)
    with pytest.raises(TrainingError, match="the log-likelihood of the start is not finite"):
        train(X, TrainingConfig(covariance=kind), start=a_start(X, 3, 1, kind))


# Tiles


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("initialisation", ["splitting", "kmeans", "random"])
@pytest.mark.parametrize("given_as", [np.float32, np.float64])
def test_small_tiles_and_no_cache_give_the_same(
    monkeypatch: pytest.MonkeyPatch, initialisation: Any, given_as: Any, kind: Any
) -> None:
    X = clusters(3000, 4, 5, 24).astype(given_as)
    config = TrainingConfig(components=5, initialisation=initialisation, iterations=5, tolerance=0, covariance=kind)
    whole, record = train(X, config, dtype=np.float64)
    single = train(X, config)[0]
    monkeypatch.setattr(frames, "_CACHE_BYTES", 0)
    assert train(X, config, dtype=np.float64) == (whole, record)  # the same tiles, computed anew: not a bit differs
    assert train(X, config)[0] == single
    monkeypatch.setattr(statistics, "_PACK_VALUES", 1)
    assert train(X, config, dtype=np.float64) == (whole, record)  # nor when they are multiplied one by one
    monkeypatch.setattr(frames, "_TILE_OF_FEW", 64)
    tiled, tiled_record = train(X, config, dtype=np.float64)
    assert tiled != whole
    assert_close(tiled, whole, 1e-7)
    np.testing.assert_allclose(tiled_record.log_likelihoods, record.log_likelihoods, rtol=1e-10)
    assert_close(single, whole, 1e-2)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("n", [1, 31, 32, 33, 511, 512, 513, 8191, 8193])
def test_frames_that_do_not_fill_their_tiles_count_once(n: int, kind: Any) -> None:
    """The closed form of one Gaussian, for numbers of frames around the sizes of tiles."""
    X = some_frames(a_mixture(2, 3, 25, "full"), n, 26) + 5.0
    config = TrainingConfig(components=1, covariance=kind)
    mixture, record = train(X, config, dtype=np.float64)
    np.testing.assert_allclose(mixture.means[0], X.mean(axis=0), rtol=1e-10)
    assert record.n_frames == n
    assert record.log_likelihoods[-1] == pytest.approx(written_out_likelihood(mixture, X), rel=1e-10, abs=1e-10)
