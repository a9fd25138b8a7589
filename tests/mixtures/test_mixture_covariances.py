"""The four covariance types: parameters and updates by hand, closed forms, and sums over responsibilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from mixture_oracles import (
    NEVER,
    TYPES,
    a_mixture,
    a_start,
    assert_close,
    clusters,
    matrices_of,
    seeded,
    some_frames,
    written_out_densities,
    written_out_likelihood,
    written_out_update,
)

from speakerid.config import TrainingConfig
from speakerid.mixtures import (
    COVARIANCE_TYPES,
    GaussianMixture,
    SufficientStatistics,
    accumulate,
    frame_log_likelihoods,
    maximum_likelihood_update,
    responsibilities,
    statistics,
    train,
)

# Parameters


def test_there_are_four_types() -> None:
    assert tuple(COVARIANCE_TYPES) == TYPES
    assert [kind.name for kind in COVARIANCE_TYPES.values()] == list(TYPES)


@pytest.mark.parametrize(
    ("kind", "k", "d", "expected"),
    [
        # weights + means + covariances
        ("diagonal", 2, 3, 1 + 6 + 6),
        ("spherical", 2, 3, 1 + 6 + 2),
        ("tied", 2, 3, 1 + 6 + 6),
        ("full", 2, 3, 1 + 6 + 12),
        ("diagonal", 16, 39, 15 + 624 + 624),
        ("spherical", 16, 39, 15 + 624 + 16),
        ("tied", 16, 39, 15 + 624 + 780),
        ("full", 16, 39, 15 + 624 + 12480),
        *((kind, 1, 1, 2) for kind in TYPES),
        ("tied", 5, 1, 4 + 5 + 1),
        ("full", 5, 1, 4 + 5 + 5),
    ],
)
def test_parameters_are_counted_by_hand(kind: str, k: int, d: int, expected: int) -> None:
    assert a_mixture(k, d, 1, kind).n_parameters == expected


# Statistics


def written_out_second(r: Any, X: Any, kind: str) -> Any:
    return {
        "diagonal": lambda: r.T @ X**2,
        "spherical": lambda: r.T @ (X**2).sum(axis=1),
        "tied": lambda: X.T @ X,
        "full": lambda: np.einsum("nk,ni,nj->kij", r, X, X),
    }[kind]()


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 2e-5)])
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_statistics_are_sums_over_responsibilities(kind: str, dtype: Any, tolerance: float, offset: float) -> None:
    X = clusters(400, 3, 4, 1, correlated=True) + offset
    mixture = a_start(X, 4, 2, kind)
    found = accumulate(mixture, X, dtype=dtype)
    r = responsibilities(mixture, X)
    assert found.n_frames == 400
    assert found.log_likelihood == pytest.approx(400 * written_out_likelihood(mixture, X), rel=tolerance)
    assert found.mean_log_likelihood == pytest.approx(found.log_likelihood / 400, rel=1e-14)
    np.testing.assert_allclose(found.zeroth, r.sum(axis=0), rtol=10 * tolerance)
    np.testing.assert_allclose(found.first - offset * found.zeroth[:, None], r.T @ (X - offset), atol=4000 * tolerance)
    expected = written_out_second(r, X, kind)
    assert found.second.shape == expected.shape
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found.second, expected, rtol=10 * tolerance, atol=10 * tolerance * scale)
    for array in (found.zeroth, found.first, found.second):
        assert array.dtype == np.float64


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("offset", [0.0, -1e4])
def test_statistics_of_the_models_own_type_give_its_update(kind: str, offset: float) -> None:
    X = clusters(500, 4, 3, 2, correlated=True) + offset
    mixture = a_start(X, 3, 3, kind)
    updated, report = maximum_likelihood_update(accumulate(mixture, X, dtype=np.float64), NEVER)
    assert_close(updated, written_out_update(responsibilities(mixture, X), X, kind), 1e-6 if offset else 1e-9)
    assert (report.floored, report.removed) == (0, ())


@given(kind=st.sampled_from(TYPES), cut=st.integers(0, 300), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_statistics_of_the_parts_add_up_to_those_of_the_whole(kind: str, cut: int, seed: int) -> None:
    X = clusters(300, 2, 3, seed)
    mixture = a_start(X, 3, seed, kind)
    whole = accumulate(mixture, X, dtype=np.float64)
    parts = accumulate(mixture, X[:cut], dtype=np.float64) + accumulate(mixture, X[cut:], dtype=np.float64)
    assert parts.n_frames == whole.n_frames
    assert parts.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(parts.zeroth, whole.zeroth, rtol=1e-11)
    np.testing.assert_allclose(parts.first, whole.first, rtol=1e-11, atol=1e-9)
    np.testing.assert_allclose(parts.second, whole.second, rtol=1e-11, atol=1e-9)
    updates = [maximum_likelihood_update(s, NEVER)[0] for s in (parts, whole)]
    assert_close(*updates, 1e-9)


@pytest.mark.parametrize("kind", TYPES)
def test_statistics_of_different_shapes_do_not_add(kind: str) -> None:
    X = clusters(50, 2, 2, 3)
    with pytest.raises(ValueError, match="different shapes"):
        accumulate(a_start(X, 2, 1, kind), X) + accumulate(a_start(X, 3, 1, kind), X)


def test_statistics_of_different_types_do_not_add() -> None:
    X = clusters(50, 2, 2, 3)  # K = d: the arrays of tied and diagonal statistics have the same shapes
    for one in TYPES:
        for other in set(TYPES) - {one}:
            with pytest.raises(ValueError, match="different shapes"):
                accumulate(a_start(X, 2, 1, one), X) + accumulate(a_start(X, 2, 1, other), X)


@pytest.mark.parametrize("kind", TYPES)
def test_no_frames_give_empty_statistics(kind: str) -> None:
    mixture = a_start(clusters(50, 2, 2, 3), 2, 1, kind)
    found = accumulate(mixture, np.zeros((0, 2)))
    assert (found.n_frames, found.log_likelihood, found.mean_log_likelihood) == (0, 0.0, 0.0)
    for array in (found.zeroth, found.first, found.second):
        np.testing.assert_array_equal(array, 0.0)
    some = accumulate(mixture, clusters(20, 2, 2, 4))
    np.testing.assert_array_equal((some + found).second, some.second)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_statistics_do_not_depend_on_the_threads(monkeypatch: pytest.MonkeyPatch, kind: str, dtype: Any) -> None:
    X = clusters(9000, 4, 5, 5).astype(np.float32)
    mixture = a_start(X, 8, 6, kind)
    expected = accumulate(mixture, X, dtype=dtype, jobs=1)
    monkeypatch.setattr(statistics, "_WORTH_A_THREAD", 1)
    monkeypatch.setattr(statistics, "_PACK_VALUES", 1 << 14)
    for jobs in (1, 2, 3):
        found = accumulate(mixture, X, dtype=dtype, jobs=jobs)
        assert found.log_likelihood == expected.log_likelihood
        for name in ("zeroth", "first", "second"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("shape", [(3,), (3, 3), (3, 1), (2, 3, 2)])
def test_frames_of_another_shape_have_no_statistics(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected frames of shape \(n, 2\), got"):
        accumulate(a_mixture(3, 2, 8), np.zeros(shape))


# The update, by hand


def test_a_diagonal_update_by_hand() -> None:
    """N = (1, 3), F = (2, 9), S = (8, 33): means 2 and 3, variances 4 and 2."""
    given_ = SufficientStatistics(4, -8.0, np.array([1.0, 3.0]), np.array([[2.0], [9.0]]), np.array([[8.0], [33.0]]))
    mixture, report = maximum_likelihood_update(given_, 0.1)
    np.testing.assert_allclose(mixture.weights, [0.25, 0.75])
    np.testing.assert_allclose(mixture.means, [[2.0], [3.0]])
    np.testing.assert_allclose(mixture.covariances, [[4.0], [2.0]])
    assert (report.floored, report.removed) == (0, ())
    mixture, report = maximum_likelihood_update(given_, np.array([3.0]))
    np.testing.assert_allclose(mixture.covariances, [[4.0], [3.0]])
    assert (report.floored, report.removed) == (1, ())


def test_a_floor_of_each_feature() -> None:
    given_ = SufficientStatistics(2, 0.0, np.array([2.0]), np.zeros((1, 2)), np.array([[2.0, 8.0]]))
    mixture, report = maximum_likelihood_update(given_, np.array([0.5, 5.0]))
    np.testing.assert_allclose(mixture.covariances, [[1.0, 5.0]])
    assert report.floored == 1


def test_a_spherical_update_by_hand() -> None:
    """N = (2, 2), F = ((2, 0), (0, 4)), Σ r |x|² = (6, 28): variances (6/2 - 1)/2 = 1 and (28/2 - 4)/2 = 5."""
    given_ = SufficientStatistics(
        4,
        0.0,
        np.array([2.0, 2.0]),
        np.array([[2.0, 0.0], [0.0, 4.0]]),
        np.array([6.0, 28.0]),
        COVARIANCE_TYPES["spherical"],
    )
    mixture, report = maximum_likelihood_update(given_, 0.1)
    np.testing.assert_allclose(mixture.means, [[1.0, 0.0], [0.0, 2.0]])
    np.testing.assert_allclose(mixture.covariances, [1.0, 5.0])
    assert report.floored == 0
    mixture, report = maximum_likelihood_update(given_, 3.0)
    np.testing.assert_allclose(mixture.covariances, [3.0, 5.0])
    assert report.floored == 1


def test_a_full_update_by_hand() -> None:
    """Frames (±2, ±2) on the diagonal and (±1, ∓1) across it: eigenvalues 4 and 1, the floor lifts the second to 2."""
    X = np.array([[2.0, 2.0], [-2.0, -2.0], [1.0, -1.0], [-1.0, 1.0]])
    given_ = SufficientStatistics(4, 0.0, np.array([4.0]), np.zeros((1, 2)), (X.T @ X)[None], COVARIANCE_TYPES["full"])
    mixture, report = maximum_likelihood_update(given_, 0.5)
    np.testing.assert_allclose(mixture.covariances, [[[2.5, 1.5], [1.5, 2.5]]])
    assert report.floored == 0
    mixture, report = maximum_likelihood_update(given_, 2.0)
    np.testing.assert_allclose(mixture.covariances, [[[3.0, 1.0], [1.0, 3.0]]])
    assert report.floored == 1
    mixture, report = maximum_likelihood_update(given_, 7.0)
    np.testing.assert_allclose(mixture.covariances, [[[7.0, 0.0], [0.0, 7.0]]], atol=1e-12)
    assert report.floored == 2


def test_a_tied_update_by_hand() -> None:
    """Two components at (3, 0) and (-3, 0); around them the frames lie as in the test of the full type."""
    around = np.array([[2.0, 2.0], [-2.0, -2.0], [1.0, -1.0], [-1.0, 1.0]])
    X = np.concatenate([around + np.array([3.0, 0.0]), around - np.array([3.0, 0.0])])
    given_ = SufficientStatistics(
        8, 0.0, np.array([4.0, 4.0]), np.array([[12.0, 0.0], [-12.0, 0.0]]), X.T @ X, COVARIANCE_TYPES["tied"]
    )
    mixture, report = maximum_likelihood_update(given_, 0.5)
    np.testing.assert_allclose(mixture.means, [[3.0, 0.0], [-3.0, 0.0]])
    np.testing.assert_allclose(mixture.covariances, [[2.5, 1.5], [1.5, 2.5]])
    assert report.floored == 0
    mixture, report = maximum_likelihood_update(given_, 2.0)
    np.testing.assert_allclose(mixture.covariances, [[3.0, 1.0], [1.0, 3.0]])
    assert report.floored == 1


@given(kind=st.sampled_from(TYPES), k=st.integers(1, 5), d=st.integers(1, 5), seed=st.integers(0, 10000))
@settings(max_examples=60, deadline=None)
def test_the_update_reads_statistics_alone(kind: str, k: int, d: int, seed: int) -> None:
    """With responsibilities that no model gave."""
    rng = seeded(seed)
    X = rng.normal(1.0, 2.0, (80, d))
    r = rng.dirichlet(np.full(k, 0.7), 80)
    given_ = SufficientStatistics(
        80, 0.0, r.sum(axis=0), r.T @ X, written_out_second(r, X, kind), COVARIANCE_TYPES[kind]
    )
    mixture, _report = maximum_likelihood_update(given_, NEVER)
    assert_close(mixture, written_out_update(r, X, kind), 1e-9)


@pytest.mark.parametrize("kind", TYPES)
def test_a_component_without_frames_is_removed_and_reported(kind: str) -> None:
    rng = seeded(1)
    X = rng.normal(0, 1, (200, 2))
    r = np.zeros((200, 4))
    r[:50, 0], r[50:, 2] = 1.0, 1.0
    r[0, 3] = 1e-9
    given_ = SufficientStatistics(
        200, 0.0, r.sum(axis=0), r.T @ X, written_out_second(r, X, kind), COVARIANCE_TYPES[kind]
    )
    mixture, report = maximum_likelihood_update(given_, NEVER)
    assert report.removed == (1, 3)
    np.testing.assert_allclose(mixture.weights, [0.25, 0.75])
    assert_close(mixture, written_out_update(r[:, [0, 2]], X, kind), 1e-7)


@pytest.mark.parametrize("kind", TYPES)
def test_statistics_without_frames_have_no_mixture(kind: str) -> None:
    empty = accumulate(a_mixture(2, 2, 1, kind), np.zeros((0, 2)))
    with pytest.raises(ValueError, match="without frames"):
        maximum_likelihood_update(empty, 0.1)


# Closed forms


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_component_is_the_closed_form(kind: str, dtype: Any) -> None:
    """Mean and (co)variance of the frames, and log L / N = -½ (d log 2π + d + log |Σ|), which holds for every type."""
    X = clusters(500, 4, 3, 9, correlated=True).astype(np.float32)
    mixture, record = train(X, TrainingConfig(components=1, covariance=kind), dtype=dtype)  # type: ignore[arg-type]
    tolerance = 1e-5 if dtype == np.float32 else 1e-9
    assert record.converged
    expected = written_out_update(np.ones((500, 1)), X, kind)
    np.testing.assert_array_equal(mixture.weights, [1.0])
    assert_close(mixture, expected, tolerance)
    log_determinant = np.linalg.slogdet(matrices_of(expected)[0])[1]
    peak = -0.5 * (4 * np.log(2 * np.pi) + 4 + log_determinant)
    assert record.log_likelihoods[-1] == pytest.approx(peak, rel=1e-6)
    assert frame_log_likelihoods(mixture, X).mean() == pytest.approx(peak, rel=1e-9)


def test_one_component_of_the_tied_type_is_that_of_the_full() -> None:
    X = clusters(300, 3, 2, 10, correlated=True)
    tied, full = (
        train(X, TrainingConfig(components=1, covariance=kind), dtype=np.float64)[0]  # type: ignore[arg-type]
        for kind in ("tied", "full")
    )
    np.testing.assert_allclose(tied.covariances, full.covariances[0], rtol=1e-10)
    np.testing.assert_allclose(frame_log_likelihoods(tied, X), frame_log_likelihoods(full, X), rtol=1e-10)


@pytest.mark.parametrize("initialisation", ["splitting", "kmeans", "random"])
@pytest.mark.parametrize("variance_floor", [1e-6, 0.1, 0.5])
def test_of_one_feature_diagonal_spherical_and_full_are_the_same(initialisation: Any, variance_floor: float) -> None:
    X = clusters(600, 1, 4, 11) + 50.0
    results = [
        train(
            X,
            TrainingConfig(
                components=5,
                covariance=kind,  # type: ignore[arg-type]
                initialisation=initialisation,
                variance_floor=variance_floor,
                tolerance=0,
            ),
            dtype=np.float64,
        )
        for kind in ("diagonal", "spherical", "full")
    ]
    (diagonal, one), *others = results
    for other, record in others:
        np.testing.assert_allclose(other.weights, diagonal.weights, rtol=1e-6)
        np.testing.assert_allclose(other.means, diagonal.means, rtol=1e-6)
        np.testing.assert_allclose(other.covariances.ravel(), diagonal.covariances.ravel(), rtol=1e-6)
        assert record.floored == one.floored
        assert record.log_likelihoods[-1] == pytest.approx(one.log_likelihoods[-1], rel=1e-9)


def test_the_richer_type_never_fits_worse() -> None:
    """From the same start one step of the full type is at least as likely as that of the others; so is diagonal to sphere.

    At the same responsibilities: each update maximises the same function over a larger set.
    """
    X = clusters(400, 3, 3, 12, correlated=True)
    mixture = a_start(X, 3, 13, "full")
    r = responsibilities(mixture, X)

    def expected(kind: str) -> float:
        r_and_x = SufficientStatistics(
            400, 0.0, r.sum(axis=0), r.T @ X, written_out_second(r, X, kind), COVARIANCE_TYPES[kind]
        )
        updated, _report = maximum_likelihood_update(r_and_x, NEVER)
        return float((r * written_out_densities(updated, X)).sum())

    value = {kind: expected(kind) for kind in TYPES}
    assert value["full"] > value["diagonal"] > value["spherical"]
    assert value["full"] > value["tied"]


# The floor


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("relative", [0.01, 0.2, 1.0])
def test_covariances_keep_their_floor(kind: str, relative: float) -> None:
    """Eigenvalues in the units of the frames' own (co)variance are at least the relative floor; those at it are counted."""
    X = clusters(400, 3, 5, 11, distance=10.0, correlated=True) * [1e-3, 1.0, 50.0] + [1.0, 0.0, 1e4]
    config = TrainingConfig(components=5, covariance=kind, variance_floor=relative)  # type: ignore[arg-type]
    mixture, record = train(X, config, dtype=np.float64)
    total = np.cov(X, rowvar=False, bias=True)
    if kind == "diagonal":
        shares = mixture.covariances / X.var(axis=0)
    elif kind == "spherical":
        shares = mixture.covariances / X.var(axis=0).mean()
    else:
        matrices = mixture.covariances[None] if kind == "tied" else mixture.covariances
        shares = np.stack([scipy.linalg.eigh(matrix, total, eigvals_only=True) for matrix in matrices])
    assert (shares >= relative * (1 - 1e-9)).all()
    assert record.floored == np.count_nonzero(shares < relative * (1 + 1e-8))
    if relative == 1.0:
        assert record.floored > 0


@pytest.mark.parametrize("kind", TYPES)
def test_a_binding_floor_by_hand(kind: str) -> None:
    """Frames at ±1, twice each, and two components; variance 1 in all, 0 in each: the floor 0.25 is all that is left."""
    X = np.array([[-1.0], [-1.0], [1.0], [1.0]])
    start = GaussianMixture(
        [0.5, 0.5],
        [[-1.0], [1.0]],
        np.full({"diagonal": (2, 1), "spherical": (2,), "tied": (1, 1), "full": (2, 1, 1)}[kind], 0.25),
        kind,
    )
    config = TrainingConfig(
        covariance=kind,  # type: ignore[arg-type]
        variance_floor=0.25,
        minimum_frames_per_component=1,
        iterations=200,
        tolerance=0,
    )
    mixture, record = train(X, config, start=start, dtype=np.float64)
    # The mean m solves m = tanh(m / σ²), the responsibilities being logistic in 2 m x / σ², with σ² = max(1 - m², 1/4).
    # 1 - m² = 0.0013 at σ² = 1/4, so the floor holds.
    m = scipy.optimize.brentq(lambda x: x - np.tanh(4 * x), 0.5, 1.5, xtol=1e-14)
    np.testing.assert_allclose(mixture.weights, [0.5, 0.5], rtol=1e-9)
    np.testing.assert_allclose(mixture.means, [[-m], [m]], rtol=1e-9)
    np.testing.assert_allclose(mixture.covariances, 0.25, rtol=1e-12)
    assert record.floored == (1 if kind == "tied" else 2)
    half = 0.5 * scipy.stats.norm([m, -m], 0.5).pdf(1.0).sum()
    assert record.log_likelihoods[-1] == pytest.approx(np.log(half), rel=1e-10)


@pytest.mark.parametrize("kind", TYPES)
def test_a_start_below_the_floor_is_raised_to_it(kind: str) -> None:
    X = clusters(300, 2, 3, 16)
    shape = {"diagonal": (1, 2), "spherical": (1,), "tied": None, "full": None}[kind]
    tiny = 1e-9 * (np.ones(shape) if shape else np.eye(2) if kind == "tied" else np.eye(2)[None])
    start = GaussianMixture([1.0], X.mean(axis=0)[None], tiny, kind)
    config = TrainingConfig(iterations=0, variance_floor=0.1, covariance=kind)  # type: ignore[arg-type]
    mixture, record = train(X, config, start=start)
    total = written_out_update(np.ones((300, 1)), X, kind)
    assert_close(mixture, GaussianMixture([1.0], total.means, 0.1 * total.covariances, kind), 1e-8)
    assert record.floored == (1 if kind == "spherical" else 2)


@given(
    kind=st.sampled_from(TYPES),
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(1, 6),
    d=st.integers(1, 4),
    floor=st.sampled_from([1e-3, 0.05, 0.5, 2.0]),
)
@settings(max_examples=30, deadline=None)
def test_step_by_step_the_written_out_likelihood_never_falls(
    kind: str, seed: int, k: int, d: int, floor: float
) -> None:
    X = clusters(60, d, 3, seed, correlated=True)
    mixture = a_start(X, k, seed, kind)
    low = floor * (X.var(axis=0) if kind == "diagonal" else X.var(axis=0).mean())
    # from a model that keeps the floor: EM with a floor climbs among those that do
    mixture, _report = maximum_likelihood_update(accumulate(mixture, X, dtype=np.float64), low)
    level = written_out_likelihood(mixture, X)
    for _ in range(5):
        mixture, _report = maximum_likelihood_update(accumulate(mixture, X, dtype=np.float64), low)
        risen = written_out_likelihood(mixture, X)
        assert risen >= level - 1e-11 * max(abs(level), 1)
        level = risen


@given(kind=st.sampled_from(TYPES), d=st.integers(1, 5), seed=st.integers(0, 10000), share=st.floats(0.05, 3.0))
@settings(max_examples=60, deadline=None)
def test_no_other_covariance_above_the_floor_is_more_likely(kind: str, d: int, seed: int, share: float) -> None:
    """A closed form against a search: small steps away from it, back above the floor, never gain."""
    rng = seeded(seed)
    X = rng.normal(0, 1, (40, d)) @ rng.normal(0, 1, (d, d))
    X -= X.mean(axis=0)
    floor = share * float(np.median(np.linalg.eigvalsh(X.T @ X / 40)))
    r = np.ones((40, 1))
    given_ = SufficientStatistics(
        40, 0.0, np.array([40.0]), np.zeros((1, d)), written_out_second(r, X, kind), COVARIANCE_TYPES[kind]
    )
    best, _report = maximum_likelihood_update(given_, floor)
    level = written_out_likelihood(best, X)
    for _ in range(8):
        step = rng.normal(0, 0.1, best.covariances.shape) * floor
        if kind in ("tied", "full"):
            step = step + step.swapaxes(-1, -2)
            values, vectors = np.linalg.eigh(best.covariances + step)
            other = (vectors * np.maximum(values, floor)[..., None, :]) @ vectors.swapaxes(-1, -2)
            other = 0.5 * (other + other.swapaxes(-1, -2))
        else:
            other = np.maximum(best.covariances + step, floor)
        moved = GaussianMixture([1.0], best.means, other, kind)
        assert written_out_likelihood(moved, X) <= level + 1e-12 * max(abs(level), 1)


@pytest.mark.parametrize("kind", TYPES)
def test_frames_of_a_model_give_it_back(kind: str) -> None:
    truth = a_mixture(1, 3, 31, kind, offset=-20.0)
    X = truth.means + seeded(32).standard_normal((20000, 3)) @ np.linalg.cholesky(matrices_of(truth)[0]).T
    mixture, _record = train(X, TrainingConfig(components=1, covariance=kind))  # type: ignore[arg-type]
    assert_close(mixture, truth, 0.04)
    assert some_frames(mixture, 5, 1).shape == (5, 3)
