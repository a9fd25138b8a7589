"""EM: against equations written out here, against scikit-learn, and by what must always hold."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.mixture
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerid.config import TrainingConfig
from speakerid.errors import SpeakerIdError, TrainingError
from speakerid.mixtures import (
    GaussianMixture,
    SufficientStatistics,
    accumulate,
    density,
    frame_log_likelihoods,
    initialise_by_kmeans,
    initialise_by_splitting,
    maximum_likelihood_update,
    responsibilities,
    single_gaussian,
    statistics,
    train,
    train_each,
    variance_floor,
)
from speakerid.mixtures.statistics import Frames

Array = NDArray[Any]
NEVER = 1e-12  # a floor that touches nothing


def clusters(n: int, d: int, k: int, seed: int, *, distance: float = 4.0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, distance, (k, d))
    return centres[rng.integers(0, k, n)] + rng.normal(0, 1, (n, d)) * rng.uniform(0.5, 2, d)


def a_start(X: Array, k: int, seed: int) -> GaussianMixture:
    """Frames as means, the global variance for each component."""
    rng = np.random.default_rng(seed)
    means = X[rng.choice(len(X), k, replace=False)]
    return GaussianMixture(np.full(k, 1 / k), means, np.tile(X.var(axis=0), (k, 1)))


def written_out_densities(mixture: GaussianMixture, X: Array) -> NDArray[np.float64]:
    X = np.asarray(X, dtype=np.float64)
    return np.stack(
        [
            np.log(pi) + scipy.stats.norm(mu, np.sqrt(variance)).logpdf(X).sum(axis=1)
            for pi, mu, variance in zip(mixture.weights, mixture.means, mixture.variances, strict=True)
        ],
        axis=1,
    )


def written_out_likelihood(mixture: GaussianMixture, X: Array) -> float:
    return float(scipy.special.logsumexp(written_out_densities(mixture, X), axis=1).mean())


def written_out_step(mixture: GaussianMixture, X: Array) -> GaussianMixture:
    """Bishop 2006, eq. 9.23-9.26 for diagonal covariances."""
    X = np.asarray(X, dtype=np.float64)
    r = scipy.special.softmax(written_out_densities(mixture, X), axis=1)  # 9.23
    N = r.sum(axis=0)
    means = np.stack([(r[:, k, None] * X).sum(axis=0) / N[k] for k in range(len(N))])  # 9.24
    variances = np.stack([(r[:, k, None] * (X - means[k]) ** 2).sum(axis=0) / N[k] for k in range(len(N))])  # 9.25
    return GaussianMixture(N / len(X), means, variances)  # 9.26


def assert_close(one: GaussianMixture, other: GaussianMixture, tolerance: float) -> None:
    """Equal to `tolerance`, means measured in deviations."""
    np.testing.assert_allclose(one.weights, other.weights, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose((one.means - other.means) / np.sqrt(other.variances), 0, atol=tolerance)
    np.testing.assert_allclose(one.variances, other.variances, rtol=tolerance)


# Statistics


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 2e-5)])
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_statistics_are_sums_over_responsibilities(dtype: Any, tolerance: float, offset: float) -> None:
    X = clusters(400, 3, 4, 1) + offset
    mixture = a_start(X, 4, 2)
    found = accumulate(mixture, X, dtype=dtype)
    r = responsibilities(mixture, X)
    assert found.n_frames == 400
    assert found.log_likelihood == pytest.approx(400 * written_out_likelihood(mixture, X), rel=tolerance)
    assert found.mean_log_likelihood == pytest.approx(found.log_likelihood / 400, rel=1e-14)
    np.testing.assert_allclose(found.zeroth, r.sum(axis=0), rtol=10 * tolerance)
    np.testing.assert_allclose(found.first - offset * found.zeroth[:, None], r.T @ (X - offset), atol=4000 * tolerance)
    np.testing.assert_allclose(found.second, r.T @ X**2, rtol=10 * tolerance)
    for array in (found.zeroth, found.first, found.second):
        assert array.dtype == np.float64


@given(cut=st.integers(0, 300), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_statistics_of_the_parts_add_up_to_those_of_the_whole(cut: int, seed: int) -> None:
    X = clusters(300, 2, 3, seed)
    mixture = a_start(X, 3, seed)
    whole = accumulate(mixture, X, dtype=np.float64)
    parts = accumulate(mixture, X[:cut], dtype=np.float64) + accumulate(mixture, X[cut:], dtype=np.float64)
    assert parts.n_frames == whole.n_frames
    assert parts.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(parts.zeroth, whole.zeroth, rtol=1e-11)
    np.testing.assert_allclose(parts.first, whole.first, rtol=1e-11, atol=1e-9)
    np.testing.assert_allclose(parts.second, whole.second, rtol=1e-11, atol=1e-9)
    floor = np.full(2, NEVER)
    assert_close(maximum_likelihood_update(parts, floor)[0], maximum_likelihood_update(whole, floor)[0], 1e-9)


def test_statistics_of_different_shapes_do_not_add() -> None:
    X = clusters(50, 2, 2, 3)
    with pytest.raises(ValueError, match="different shapes"):
        accumulate(a_start(X, 2, 1), X) + accumulate(a_start(X, 3, 1), X)


def test_no_frames_give_empty_statistics() -> None:
    found = accumulate(a_start(clusters(50, 2, 2, 3), 2, 1), np.zeros((0, 2)))
    assert (found.n_frames, found.log_likelihood, found.mean_log_likelihood) == (0, 0.0, 0.0)
    np.testing.assert_array_equal(found.zeroth, 0.0)


# One step


@pytest.mark.parametrize(("k", "d"), [(1, 1), (1, 4), (3, 1), (5, 3), (8, 20)])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_one_iteration_is_bishops(k: int, d: int, offset: float) -> None:
    X = clusters(500, d, k, 4) + offset
    start = a_start(X, k, 5)
    expected = written_out_step(start, X)
    config = TrainingConfig(iterations=1, tolerance=0, variance_floor=NEVER)
    for dtype, tolerance in ((np.float64, 1e-8), (np.float32, 2e-4)):
        mixture, record = train(X, config, start=start, dtype=dtype)
        assert_close(mixture, expected, tolerance)
        expected_history = [written_out_likelihood(start, X), written_out_likelihood(expected, X)]
        np.testing.assert_allclose(record.log_likelihoods, expected_history, rtol=tolerance)


def test_the_update_reads_statistics_alone() -> None:
    """N = (1, 3), F = (2, 9), S = (8, 33): means 2 and 3, variances 4 and 2."""
    given_ = SufficientStatistics(4, -8.0, np.array([1.0, 3.0]), np.array([[2.0], [9.0]]), np.array([[8.0], [33.0]]))
    mixture, report = maximum_likelihood_update(given_, 0.1)
    np.testing.assert_allclose(mixture.weights, [0.25, 0.75])
    np.testing.assert_allclose(mixture.means, [[2.0], [3.0]])
    np.testing.assert_allclose(mixture.variances, [[4.0], [2.0]])
    assert (report.floored, report.removed) == (0, ())
    mixture, report = maximum_likelihood_update(given_, np.array([3.0]))
    np.testing.assert_allclose(mixture.variances, [[4.0], [3.0]])
    assert (report.floored, report.removed) == (1, ())


def test_a_component_without_frames_is_removed_and_reported() -> None:
    zeroth = np.array([1.0, 0.0, 3.0, 1e-9])
    first, second = zeroth[:, None] * 2.0, zeroth[:, None] * 5.0
    mixture, report = maximum_likelihood_update(SufficientStatistics(4, 0.0, zeroth, first, second), 0.1)
    assert report.removed == (1, 3)
    np.testing.assert_allclose(mixture.weights, [0.25, 0.75])
    np.testing.assert_allclose(mixture.means, [[2.0], [2.0]])


def test_statistics_without_frames_have_no_mixture() -> None:
    empty = SufficientStatistics(0, 0.0, np.zeros(2), np.zeros((2, 1)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="without frames"):
        maximum_likelihood_update(empty, 0.1)


# scikit-learn


@pytest.mark.parametrize(("k", "d", "n"), [(1, 3, 100), (3, 1, 300), (4, 5, 600), (16, 10, 2000)])
@pytest.mark.parametrize("iterations", [1, 5, 20])
def test_em_is_scikit_learns_from_the_same_start(k: int, d: int, n: int, iterations: int) -> None:
    X = clusters(n, d, k, 6, distance=2.0)
    start = a_start(X, k, 7)
    oracle = sklearn.mixture.GaussianMixture(
        k, covariance_type="diag", weights_init=start.weights, means_init=start.means, tol=0.0, reg_covar=0.0,
        precisions_init=1 / start.variances, max_iter=iterations, random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        oracle.fit(X)
    config = TrainingConfig(iterations=iterations, tolerance=0, variance_floor=NEVER)
    mixture, record = train(X, config, start=start, dtype=np.float64)
    if len(record.log_likelihoods) == iterations + 1:  # it stops early only where rounding is all that is left
        assert_close(mixture, GaussianMixture(oracle.weights_, oracle.means_, oracle.covariances_), 1e-7)
    else:
        assert k == 1 or record.log_likelihoods[-1] - record.log_likelihoods[-2] < 1e-12
    assert record.log_likelihoods[-1] == pytest.approx(oracle.score(X), rel=1e-10)
    assert frame_log_likelihoods(mixture, X).mean() == pytest.approx(oracle.score(X), rel=1e-10)
    single, _record = train(X, config, start=start)
    assert frame_log_likelihoods(single, X).mean() == pytest.approx(oracle.score(X), rel=1e-6)


# What always holds


@st.composite
def awkward_frames(draw: st.DrawFn) -> NDArray[np.float64]:
    """Few or many frames; clusters; offsets of 100 deviations; duplicates; columns that never move; any scale."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
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
    return X * draw(st.sampled_from([1e-3, 1.0, 1e3]))


TRAININGS = st.builds(
    TrainingConfig,
    components=st.sampled_from([1, 2, 3, 8, 16]),
    minimum_frames_per_component=st.sampled_from([1, 8]),
    initialisation=st.sampled_from(["splitting", "kmeans"]),
    seed=st.integers(0, 100),
)


@given(X=awkward_frames(), config=TRAININGS)
@settings(max_examples=150, deadline=None)
def test_the_likelihood_never_falls_and_the_record_is_the_models(
    X: NDArray[np.float64], config: TrainingConfig
) -> None:
    frames = X.astype(np.float32)  # what the front end gives
    mixture, record = train(frames, config)
    history = record.log_likelihoods
    assert all(later >= earlier for earlier, later in itertools.pairwise(history))
    assert history[-1] == pytest.approx(frame_log_likelihoods(mixture, frames).mean(), rel=1e-4, abs=1e-3)
    assert history[-1] == pytest.approx(written_out_likelihood(mixture, frames), rel=1e-4, abs=1e-3)
    assert len(history) <= config.iterations + 1
    assert record.n_frames == len(X)
    assert record.components_asked == config.components
    assert record.components == mixture.n_components <= config.components
    assert mixture.n_features == X.shape[1]
    # the floor is relative to the global variance; a feature that never moves has the floor's share of 1
    spread = frames.astype(np.float64).var(axis=0)
    floor = config.variance_floor * np.where(np.ptp(frames, axis=0) > 0, spread, 1.0)
    assert (mixture.variances >= floor * (1 - 1e-9)).all()
    assert record.floored == np.count_nonzero(mixture.variances <= floor * (1 + 1e-9))


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 6), d=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_step_by_step_the_written_out_likelihood_never_falls(seed: int, k: int, d: int) -> None:
    X = clusters(60, d, 3, seed)
    floor = variance_floor(X.std(axis=0), 0.05)
    mixture = a_start(X, k, seed)
    level = written_out_likelihood(mixture, X)
    for _ in range(10):
        mixture, _report = maximum_likelihood_update(accumulate(mixture, X, dtype=np.float64), floor)
        risen = written_out_likelihood(mixture, X)
        assert risen >= level - 1e-11 * max(abs(level), 1)
        level = risen


@pytest.mark.parametrize("value", [0.1, -7.3])
def test_a_float64_feature_that_never_moves(value: float) -> None:
    X = clusters(2000, 2, 3, 8)
    X[:, 0] = value
    mixture, record = train(X, TrainingConfig(components=3, initialisation="kmeans"))
    np.testing.assert_allclose(mixture.means[:, 0], value, rtol=1e-9)
    np.testing.assert_allclose(mixture.variances[:, 0], 0.1, rtol=1e-6)
    assert record.floored >= 3


def test_a_feature_that_moves_in_its_last_bit_alone() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = clusters(500, 3, 2, seed).astype(np.float32)
        X[:, 0] = np.float32(-145.6) + np.spacing(np.float32(145.6)) * rng.integers(0, 2, 500)
        mixture, _record = train(X, TrainingConfig(components=4))
        np.testing.assert_allclose(mixture.means[:, 0], -145.6, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("relative", [0.05, 1e-4, 1e-6])
def test_small_floors_and_duplicate_frames(relative: float, dtype: Any) -> None:
    """Digital silence is the same frame over and over: its component shrinks to the floor."""
    for seed in range(120):
        rng = np.random.default_rng(seed)
        X = clusters(int(rng.choice([20, 100])), 4, 3, seed)
        X[: len(X) // 2] = X[0]
        config = TrainingConfig(components=8, variance_floor=relative, minimum_frames_per_component=1)
        _mixture, record = train(X.astype(np.float32), config, dtype=dtype)
        assert record.floored > 0


def test_one_component_is_the_closed_form() -> None:
    X = clusters(500, 4, 3, 9).astype(np.float32)
    mixture, record = train(X, TrainingConfig(components=1))
    assert record.converged
    np.testing.assert_array_equal(mixture.weights, [1.0])
    np.testing.assert_allclose(mixture.means[0], X.mean(axis=0, dtype=np.float64), rtol=0, atol=1e-5)
    np.testing.assert_allclose(mixture.variances[0], X.var(axis=0, dtype=np.float64), rtol=1e-5)
    # log-likelihood of a Gaussian at its maximum: -d/2 (log 2π + 1) - ½ Σ log σ²
    expected = -2 * (np.log(2 * np.pi) + 1) - 0.5 * np.log(X.var(axis=0, dtype=np.float64)).sum()
    assert record.log_likelihoods[-1] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("initialisation", ["splitting", "kmeans"])
def test_scaled_and_moved_frames_give_the_scaled_and_moved_model(initialisation: Any) -> None:
    X = clusters(600, 3, 4, 10)
    a, b = np.array([1e-3, 7.0, 250.0]), np.array([0.02, -30.0, 9000.0])
    config = TrainingConfig(components=6, initialisation=initialisation, variance_floor=0.2, tolerance=0)
    plain, record = train(X, config, dtype=np.float64)
    moved, moved_record = train(a * X + b, config, dtype=np.float64)
    assert_close(moved, GaussianMixture(plain.weights, a * plain.means + b, a**2 * plain.variances), 1e-5)
    assert record.floored == moved_record.floored > 0
    np.testing.assert_allclose(
        np.array(moved_record.log_likelihoods[:5]) + np.log(a).sum(), record.log_likelihoods[:5], rtol=1e-8
    )


@pytest.mark.parametrize("relative", [0.01, 0.2, 1.0])
def test_variances_keep_their_floor(relative: float) -> None:
    X = clusters(300, 2, 6, 11, distance=30.0)
    mixture, record = train(X, TrainingConfig(components=6, variance_floor=relative))
    floor = relative * X.var(axis=0)
    assert (mixture.variances >= floor * (1 - 1e-12)).all()
    assert record.floored == np.count_nonzero(mixture.variances < floor * (1 + 1e-9))
    if relative == 1.0:
        assert record.floored > 0


def test_the_floor_is_a_share_of_the_global_variance() -> None:
    np.testing.assert_allclose(variance_floor(np.array([1.0, 10.0]), 0.05), [0.05, 5.0])


# Small, empty and broken input


@pytest.mark.parametrize(
    ("n", "expected"), [(1, 1), (7, 1), (15, 1), (16, 2), (50, 6), (127, 15), (128, 16), (500, 16)]
)
def test_too_few_frames_give_fewer_components_and_say_so(n: int, expected: int) -> None:
    mixture, record = train(clusters(n, 2, 3, 12), TrainingConfig(components=16, minimum_frames_per_component=8))
    assert mixture.n_components == record.components == expected
    assert (record.components_asked, record.n_frames) == (16, n)


def test_a_component_that_loses_its_frames_is_removed_and_counted() -> None:
    X = clusters(200, 2, 1, 13)
    start = GaussianMixture([0.5, 0.5], [X.mean(axis=0), X.mean(axis=0) + 1e4], np.ones((2, 2)))
    mixture, record = train(X, start=start)
    assert (record.removed, record.components, record.components_asked) == (1, 1, 2)
    np.testing.assert_allclose(mixture.means[0], X.mean(axis=0), atol=1e-4)


@pytest.mark.parametrize("initialisation", ["splitting", "kmeans"])
def test_equal_frames(initialisation: Any) -> None:
    X = np.full((100, 2), 3.5)
    mixture, record = train(X, TrainingConfig(components=4, initialisation=initialisation))
    assert record.components == mixture.n_components
    np.testing.assert_allclose(mixture.means, 3.5, rtol=1e-6)
    np.testing.assert_allclose(mixture.variances, 0.1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("frame", [0, 777, 99999])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_frame_that_is_not_finite_is_named(value: float, frame: int, dtype: Any) -> None:
    X = np.zeros((100000, 3), dtype=dtype)
    X[frame, 1] = X[-1, 2] = value
    with pytest.raises(TrainingError, match=rf"frame {frame} has a value that is not finite"):
        train(X)


@pytest.mark.parametrize("shape", [(0,), (5,), (0, 3), (5, 0), (2, 3, 4), ()])
def test_frames_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TrainingError, match=r"expected frames of shape \(n, d\), got") as caught:
        train(np.zeros(shape))
    assert isinstance(caught.value, SpeakerIdError)


def test_whole_numbers_are_frames_too() -> None:
    X = np.random.default_rng(14).integers(-50, 50, (200, 2))
    assert train(X)[0] == train(X.astype(np.float64))[0]


def test_no_iterations_leave_the_start() -> None:
    X = clusters(300, 2, 3, 15)
    start = a_start(X, 3, 1)
    mixture, record = train(X, TrainingConfig(iterations=0), start=start)
    assert_close(mixture, start, 1e-12)
    assert (len(record.log_likelihoods), record.converged, record.removed) == (1, False, 0)


def test_a_start_below_the_floor_is_raised_to_it() -> None:
    X = clusters(300, 2, 3, 16)
    start = GaussianMixture([1.0], X.mean(axis=0)[None], [[1e-9, 1e-9]])
    mixture, record = train(X, TrainingConfig(iterations=0, variance_floor=0.1), start=start)
    np.testing.assert_allclose(mixture.variances[0], 0.1 * X.var(axis=0), rtol=1e-9)
    assert record.floored == 2


def test_a_given_start_wins_over_the_configs() -> None:
    X = clusters(400, 2, 3, 17)
    start = a_start(X, 3, 2)
    _mixture, record = train(X, TrainingConfig(components=16), start=start)
    assert record.components_asked == record.components == 3
    assert record.log_likelihoods[0] == pytest.approx(written_out_likelihood(start, X), rel=1e-6)


def test_the_tolerance_stops_and_says_converged() -> None:
    X = clusters(500, 2, 3, 18)
    long = train(X, TrainingConfig(components=3, iterations=200, tolerance=0), dtype=np.float64)[1]
    short = train(X, TrainingConfig(components=3, iterations=200, tolerance=1e-3), dtype=np.float64)[1]
    assert short.converged
    assert short.log_likelihoods == long.log_likelihoods[: len(short.log_likelihoods)]
    rises = np.diff(short.log_likelihoods)
    assert rises[-1] < 1e-3
    assert (rises[:-1] >= 1e-3).all()
    cut = train(X, TrainingConfig(components=3, iterations=1, tolerance=0), dtype=np.float64)[1]
    assert not cut.converged


# Starts


@pytest.mark.parametrize("initialisation", ["splitting", "kmeans"])
def test_training_is_deterministic(initialisation: Any) -> None:
    X = clusters(700, 3, 5, 19).astype(np.float32)
    config = TrainingConfig(components=6, initialisation=initialisation, seed=5)
    one, other = train(X, config), train(X.copy(), config)
    assert one == other


def test_the_seed_is_kmeans_alone() -> None:
    X = clusters(700, 3, 5, 20)
    for initialisation, equal in (("splitting", True), ("kmeans", False)):
        models = [train(X, TrainingConfig(components=6, initialisation=initialisation, seed=s))[0] for s in (1, 2)]  # type: ignore[arg-type]
        assert (models[0] == models[1]) is equal


@pytest.mark.parametrize(("initialisation", "k"), [("splitting", 2), ("splitting", 4), ("kmeans", 3), ("kmeans", 4)])
def test_a_known_mixture_is_recovered(initialisation: Any, k: int) -> None:
    rng = np.random.default_rng(21)
    weights = np.array([0.1, 0.2, 0.3, 0.4])[-k:] / sum([0.1, 0.2, 0.3, 0.4][-k:])
    means = np.array([[-9.0, -8.0], [-10.0, 8.0], [9.0, 9.0], [10.0, -8.0]])[-k:]
    truth = GaussianMixture(weights, means, np.array([[1.0, 2.0], [3.0, 1.0], [2.0, 2.0], [1.0, 1.0]])[-k:])
    which = rng.choice(k, 6000, p=truth.weights)
    X = truth.means[which] + np.sqrt(truth.variances[which]) * rng.standard_normal((6000, 2))
    config = TrainingConfig(components=k, initialisation=initialisation, iterations=100, variance_floor=0.001, seed=3)
    mixture, record = train(X, config)
    order = np.argsort(mixture.weights)
    np.testing.assert_allclose(mixture.weights[order], truth.weights, atol=0.02)
    np.testing.assert_allclose(mixture.means[order], truth.means, atol=0.15)
    np.testing.assert_allclose(mixture.variances[order], truth.variances, rtol=0.12)
    assert record.log_likelihoods[-1] >= written_out_likelihood(truth, X) - 1e-4


@pytest.mark.parametrize("k", [1, 2, 3, 5, 8, 13])
def test_both_starts_have_as_many_components_as_asked(k: int) -> None:
    X = clusters(400, 3, 5, 22)
    frames = Frames(X)
    floor = variance_floor(frames.standardisation.scale, 0.05)
    split = initialise_by_splitting(frames, k, floor)
    means = initialise_by_kmeans(frames, k, floor, np.random.default_rng(1))
    for mixture in (split, means):
        assert mixture.n_components == k
        assert (mixture.variances >= floor * (1 - 1e-6)).all()
        assert written_out_likelihood(mixture, X) >= written_out_likelihood(split, X) - 3
    if k > 1:
        one = single_gaussian(frames.standardisation, floor)
        assert written_out_likelihood(split, X) > written_out_likelihood(one, X)
        assert written_out_likelihood(means, X) > written_out_likelihood(one, X)


def test_kmeans_starts_from_the_clusters_themselves() -> None:
    rng = np.random.default_rng(23)
    which = rng.permutation(np.repeat([0, 1, 2], [50, 100, 150]))
    X = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 80.0]])[which] + rng.normal(0, 1, (300, 2))
    mixture = initialise_by_kmeans(Frames(X), 3, np.full(2, NEVER), np.random.default_rng(2))
    order = np.argsort(mixture.weights)
    np.testing.assert_allclose(mixture.weights[order], [1 / 6, 1 / 3, 1 / 2], rtol=1e-6)
    for k, component in enumerate(order):
        np.testing.assert_allclose(mixture.means[component], X[which == k].mean(axis=0), atol=1e-3)
        np.testing.assert_allclose(mixture.variances[component], X[which == k].var(axis=0), rtol=1e-2)


# Tiles


@pytest.mark.parametrize("initialisation", ["splitting", "kmeans"])
@pytest.mark.parametrize("given_as", [np.float32, np.float64])
def test_small_tiles_and_no_cache_give_the_same(
    monkeypatch: pytest.MonkeyPatch, initialisation: Any, given_as: Any
) -> None:
    X = clusters(3000, 4, 5, 24).astype(given_as)
    config = TrainingConfig(components=5, initialisation=initialisation, iterations=5, tolerance=0)
    whole, record = train(X, config, dtype=np.float64)
    monkeypatch.setattr(statistics, "_CACHE_BYTES", 0)
    uncached = train(X, config, dtype=np.float64)[0]
    assert uncached == whole  # the same tiles, computed anew: not a bit differs
    monkeypatch.setattr(density, "_TILE_BYTES", 1 << 12)
    tiled, tiled_record = train(X, config, dtype=np.float64)
    assert_close(tiled, whole, 1e-7)
    for one, other in zip(tiled_record.log_likelihoods, record.log_likelihoods, strict=False):
        assert one == pytest.approx(other, rel=1e-10)
    assert tiled_record.log_likelihoods[-1] == pytest.approx(record.log_likelihoods[-1], rel=1e-10)
    assert_close(train(X, config)[0], whole, 1e-2)


# Side by side


@pytest.mark.parametrize("initialisation", ["splitting", "kmeans"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_side_by_side_is_one_by_one_bit_for_bit(initialisation: Any, dtype: Any) -> None:
    """Different lengths, few frames, equal frames, and one that cannot be trained: none changes another."""
    matrices = [clusters(n, 5, 4, seed).astype(np.float32) for seed, n in enumerate([700, 3000, 40, 9, 701, 1400])]
    matrices.append(np.full((300, 5), 2.5, dtype=np.float32))
    broken = matrices[1].copy()
    broken[17, 2] = np.nan
    matrices.insert(3, broken)
    config = TrainingConfig(components=16, initialisation=initialisation, iterations=7)
    together = train_each(matrices, config, dtype=dtype)
    for X, result in zip(matrices, together, strict=True):
        if isinstance(result, TrainingError):
            assert X is broken
            assert "frame 17" in str(result)
            continue
        assert result == train(X, config, dtype=dtype)
    assert sum(isinstance(result, TrainingError) for result in together) == 1
    reverse = train_each(matrices[::-1], config, dtype=dtype)[::-1]
    assert [r for r in reverse if not isinstance(r, TrainingError)] == [
        r for r in together if not isinstance(r, TrainingError)
    ]


def test_nothing_to_train_is_nothing() -> None:
    assert train_each([], TrainingConfig()) == []


def test_a_start_of_another_width_is_refused() -> None:
    with pytest.raises(TrainingError, match="a start of 2 features for frames of 3"):
        train(clusters(50, 3, 2, 0), start=a_start(clusters(50, 2, 2, 0), 2, 0))
