"""Small, empty, broken and degenerate frames: a finite model and an honest record, or an error that says what is wrong."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixture_oracles import (
    TYPES,
    a_start,
    assert_close,
    clusters,
    matrices_of,
    seeded,
    written_out_likelihood,
    written_out_update,
)

from speakerid.config import TrainingConfig
from speakerid.errors import SpeakerIdError, TrainingError
from speakerid.mixtures import GaussianMixture, TrainingRecord, frame_log_likelihoods, responsibilities, train

INITIALISATIONS = ("splitting", "kmeans", "random")


def assert_sound(mixture: GaussianMixture, record: TrainingRecord, X: Any) -> None:
    """Finite, positive (definite), and of use."""
    assert np.isfinite(record.log_likelihoods).all()
    for array in (mixture.weights, mixture.means, mixture.covariances):
        assert np.isfinite(array).all()
    assert record.components == mixture.n_components
    GaussianMixture(mixture.weights, mixture.means, mixture.covariances, mixture.covariance_type)
    assert np.isfinite(frame_log_likelihoods(mixture, X)).all()
    np.testing.assert_allclose(responsibilities(mixture, X).sum(axis=1), 1.0, atol=1e-12)


# Too few


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    ("n", "expected"), [(1, 1), (7, 1), (15, 1), (16, 2), (50, 6), (127, 15), (128, 16), (500, 16)]
)
def test_too_few_frames_give_fewer_components_and_say_so(kind: Any, n: int, expected: int) -> None:
    config = TrainingConfig(components=16, minimum_frames_per_component=8, covariance=kind)
    mixture, record = train(clusters(n, 2, 3, 12), config)
    assert mixture.n_components == record.components == expected
    assert (record.components_asked, record.n_frames) == (16, n)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("initialisation", INITIALISATIONS)
def test_fewer_frames_than_components(kind: Any, initialisation: Any) -> None:
    X = clusters(5, 3, 5, 13)
    config = TrainingConfig(
        components=16, minimum_frames_per_component=1, covariance=kind, initialisation=initialisation
    )
    mixture, record = train(X, config)
    assert_sound(mixture, record, X)
    assert record.components_asked == 16
    assert 1 <= record.components <= 5


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("initialisation", INITIALISATIONS)
@pytest.mark.parametrize("d", [1, 3])
def test_a_single_frame(kind: Any, initialisation: Any, d: int) -> None:
    X = np.full((1, d), 7.0)
    mixture, record = train(X, TrainingConfig(covariance=kind, initialisation=initialisation, variance_floor=0.1))
    assert_sound(mixture, record, X)
    np.testing.assert_allclose(mixture.means, X, rtol=1e-12)
    np.testing.assert_allclose(matrices_of(mixture)[0], 0.1 * np.eye(d), rtol=1e-12)
    assert (record.components, record.constant, record.n_frames) == (1, d, 1)


@pytest.mark.parametrize("kind", TYPES)
def test_a_component_that_loses_its_frames_is_removed_and_counted(kind: Any) -> None:
    X = clusters(200, 2, 1, 13)
    unit = {"diagonal": np.ones((2, 2)), "spherical": np.ones(2), "tied": np.eye(2), "full": np.stack([np.eye(2)] * 2)}
    start = GaussianMixture([0.5, 0.5], [X.mean(axis=0), X.mean(axis=0) + 1e4], unit[kind], kind)
    mixture, record = train(X, TrainingConfig(covariance=kind), start=start)
    assert (record.removed, record.components, record.components_asked) == (1, 1, 2)
    assert_close(mixture, written_out_update(np.ones((200, 1)), X, kind), 1e-4)


# All the same, or nearly


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("initialisation", INITIALISATIONS)
@pytest.mark.parametrize("value", [0.0, 3.5, -1e6])
def test_equal_frames(kind: Any, initialisation: Any, value: float) -> None:
    X = np.full((100, 2), value)
    config = TrainingConfig(components=4, initialisation=initialisation, covariance=kind)
    mixture, record = train(X, config)
    assert_sound(mixture, record, X)
    assert record.constant == 2
    np.testing.assert_allclose(mixture.means, value, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(mixture.variances, 0.1)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("value", [0.1, -7.3])
@pytest.mark.parametrize("initialisation", INITIALISATIONS)
def test_a_feature_that_never_moves(kind: Any, value: float, initialisation: Any) -> None:
    X = clusters(2000, 3, 3, 8, correlated=True)
    X[:, 0] = value
    config = TrainingConfig(components=3, initialisation=initialisation, covariance=kind)
    mixture, record = train(X, config)
    assert record.constant == 1
    np.testing.assert_allclose(mixture.means[:, 0], value, rtol=1e-6)
    if kind != "spherical":
        np.testing.assert_allclose(mixture.variances[:, 0], 0.1, rtol=1e-6)
        np.testing.assert_allclose(matrices_of(mixture)[:, 0, 1:], 0, atol=1e-6)
        assert record.floored >= (1 if kind == "tied" else 3)
    assert_sound(mixture, record, X)


def test_a_feature_that_never_moves_leaves_the_others_alone() -> None:
    X = clusters(500, 3, 3, 9, correlated=True)
    still = np.insert(X, 1, 4.25, axis=1)
    for kind in ("diagonal", "tied", "full"):
        config = TrainingConfig(covariance=kind, iterations=5, tolerance=0, variance_floor=0.01)  # type: ignore[arg-type]
        plain, _record = train(X, config, start=a_start(X, 3, 1, kind), dtype=np.float64)
        start = a_start(X, 3, 1, kind)
        covariances = np.zeros((*start.covariances.shape[:-1], 4))
        if kind == "diagonal":
            covariances[:] = np.insert(start.covariances, 1, 1.0, axis=1)
        else:
            wide = np.insert(np.insert(start.covariances, 1, 0.0, axis=-1), 1, 0.0, axis=-2)
            wide[..., 1, 1] = 1.0
            covariances = wide
        wider = GaussianMixture(start.weights, np.insert(start.means, 1, 4.25, axis=1), covariances, kind)
        mixture, record = train(still, config, start=wider, dtype=np.float64)
        assert record.constant == 1
        np.testing.assert_allclose(mixture.weights, plain.weights, rtol=1e-8)
        np.testing.assert_allclose(np.delete(mixture.means, 1, axis=1), plain.means, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", TYPES)
def test_a_feature_that_moves_in_its_last_bit_alone(kind: Any) -> None:
    for seed in range(5):
        rng = seeded(seed)
        X = clusters(500, 3, 2, seed).astype(np.float32)
        X[:, 0] = np.float32(-145.6) + np.spacing(np.float32(145.6)) * rng.integers(0, 2, 500)
        mixture, record = train(X, TrainingConfig(components=4, covariance=kind))
        np.testing.assert_allclose(mixture.means[:, 0], -145.6, rtol=1e-6)
        assert record.constant == 1


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("relative", [0.05, 1e-4, 1e-6])
def test_small_floors_and_duplicate_frames(relative: float, dtype: Any, kind: Any) -> None:
    """Digital silence is the same frame over and over: its component shrinks to the floor."""
    for seed in range(12):
        rng = seeded(seed)
        X = clusters(int(rng.choice([20, 100])), 4, 3, seed)
        X[: len(X) // 2] = X[0]
        config = TrainingConfig(components=8, variance_floor=relative, minimum_frames_per_component=1, covariance=kind)
        mixture, record = train(X.astype(np.float32), config, dtype=dtype)
        assert_sound(mixture, record, X.astype(np.float32))
        if kind in ("diagonal", "spherical"):
            assert record.floored > 0


COLLINEAR: dict[str, Any] = {
    "two features the same": lambda X, rng: np.column_stack([X, X[:, 0]]),
    "one the negative of another": lambda X, rng: np.column_stack([X, 10 - X[:, 1]]),
    "one the sum of all": lambda X, rng: np.column_stack([X, X.sum(axis=1)]),
    "all on one line": lambda X, rng: X[:, :1] * np.array([1.0, -2.0, 1e-3, 1e4]) + 3.0,
    "nearly the same": lambda X, rng: np.column_stack([X, X[:, 0] + 1e-9 * rng.standard_normal(len(X))]),
    "nearly the same, a little less": lambda X, rng: np.column_stack([X, X[:, 0] + 1e-4 * rng.standard_normal(len(X))]),
    "the same, and a feature that never moves": lambda X, rng: np.column_stack([X, X[:, 0], np.full(len(X), 5.0)]),
    "more features than frames": lambda X, rng: (X @ rng.normal(0, 1, (3, 12)) + rng.normal(0, 1, (len(X), 12)))[:10],
}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("what", COLLINEAR)
@pytest.mark.parametrize(("given_as", "floor"), [(np.float32, 0.1), (np.float64, 1e-3)])
def test_features_that_depend_on_each_other(kind: Any, what: str, given_as: Any, floor: float) -> None:
    rng = seeded(30)
    X = COLLINEAR[what](clusters(400, 3, 3, 31, correlated=True), rng).astype(given_as)
    for initialisation in INITIALISATIONS:
        for dtype in (np.float32, np.float64):
            config = TrainingConfig(components=4, covariance=kind, initialisation=initialisation, variance_floor=floor)  # type: ignore[arg-type]
            mixture, record = train(X, config, dtype=dtype)
            assert_sound(mixture, record, X)
            exact = written_out_likelihood(mixture, X)
            assert record.log_likelihoods[-1] == pytest.approx(exact, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("initialisation", INITIALISATIONS)
@pytest.mark.parametrize("given_as", [np.float32, np.float64])
@pytest.mark.parametrize("scales", [(1e-8, 1.0, 1e8), (1e8, 1e8, 1e8), (1e-8, 1e-8, 1e-8), (1e-15, 1e15, 1.0)])
def test_features_of_very_different_scale(kind: Any, initialisation: Any, given_as: Any, scales: Any) -> None:
    X = (clusters(600, 3, 3, 32, correlated=True) * scales).astype(given_as)
    mixture, record = train(X, TrainingConfig(components=4, covariance=kind, initialisation=initialisation))
    assert_sound(mixture, record, X)
    assert record.constant == 0
    assert (np.abs(mixture.means) <= np.abs(X).max(axis=0) * 1.001).all()
    assert record.log_likelihoods[-1] == pytest.approx(written_out_likelihood(mixture, X), rel=1e-5, abs=1e-3)


@given(
    kind=st.sampled_from(TYPES),
    seed=st.integers(0, 10000),
    exponents=st.lists(st.integers(-12, 12), min_size=1, max_size=4),
    n=st.sampled_from([3, 30, 300]),
    repeats=st.sampled_from([1, 3]),
    copies=st.integers(0, 2),
)
@settings(max_examples=100, deadline=None)
def test_whatever_the_scales_copies_and_duplicates_the_model_is_sound(
    kind: Any, seed: int, exponents: list[int], n: int, repeats: int, copies: int
) -> None:
    X = clusters(n, len(exponents), 3, seed, correlated=True) * 10.0 ** np.array(exponents)
    X = np.repeat(np.concatenate([X, X[:, :copies]], axis=1), repeats, axis=0)
    config = TrainingConfig(components=4, covariance=kind, minimum_frames_per_component=1)
    mixture, record = train(X, config)
    assert_sound(mixture, record, X)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    ("value", "given_as"), [(1e160, np.float64), (1e-200, np.float64), (1e30, np.float32), (1e-40, np.float32)]
)
def test_numbers_near_the_end_of_their_range_give_a_model_or_blame_the_frames(
    kind: Any, value: float, given_as: Any
) -> None:
    X = (clusters(100, 2, 2, 33) * value).astype(given_as)
    try:
        mixture, record = train(X, TrainingConfig(components=2, covariance=kind))
    except TrainingError as error:
        assert re.search("not finite|too large", str(error))  # noqa: PT017 - a model is as good an answer
    else:
        assert_sound(mixture, record, X)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("far", [1e8, 1e20, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_start_far_from_the_frames_gives_a_model_or_an_error(kind: Any, far: float, dtype: Any) -> None:
    X = clusters(200, 2, 1, 34)
    start = a_start(X, 2, 1, kind)
    lost = GaussianMixture(start.weights, start.means + np.array([[0.0], [far]]), start.covariances, kind)
    try:
        mixture, record = train(X, TrainingConfig(covariance=kind), start=lost, dtype=dtype)
    except TrainingError:
        return
    assert_sound(mixture, record, X)
    assert (record.removed, record.components) == (1, 1)


# Broken


@pytest.mark.parametrize("kind", ["diagonal", "full"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("frame", [0, 777, 499999])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_frame_that_is_not_finite_is_named(value: float, frame: int, dtype: Any, kind: Any) -> None:
    X = np.zeros((500000, 3), dtype=dtype)
    X[frame, 1] = X[-1, 2] = value
    with pytest.raises(TrainingError, match=rf"frame {frame} has a value that is not finite"):
        train(X, TrainingConfig(covariance=kind))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("shape", [(0,), (5,), (0, 3), (5, 0), (2, 3, 4), ()])
def test_frames_of_another_shape_are_refused(kind: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(TrainingError, match=r"expected frames of shape \(n, d\), got") as caught:
        train(np.zeros(shape), TrainingConfig(covariance=kind))
    assert isinstance(caught.value, SpeakerIdError)


def test_whole_numbers_are_frames_too() -> None:
    X = seeded(14).integers(-50, 50, (200, 2))
    assert train(X)[0] == train(X.astype(np.float64))[0]
    assert train(X.tolist())[0] == train(X.astype(np.float64))[0]  # type: ignore[arg-type]
