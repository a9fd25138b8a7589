"""The model and its density: scipy, scikit-learn, the integral and Bayes' rule are the oracles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
import sklearn.mixture
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerid.mixtures import (
    GaussianMixture,
    component_log_densities,
    density,
    frame_log_likelihoods,
    responsibilities,
)

SHAPES = [(1, 1), (1, 5), (3, 1), (4, 3), (16, 40), (64, 2)]  # K, d


def a_mixture(k: int, d: int, seed: int, *, offset: float = 0.0, scale: float = 1.0) -> GaussianMixture:
    rng = np.random.default_rng(seed)
    means = offset + scale * rng.normal(0, 2, (k, d))
    return GaussianMixture(rng.dirichlet(np.full(k, 3.0)), means, scale**2 * rng.uniform(0.1, 2.0, (k, d)))


def some_frames(mixture: GaussianMixture, n: int, seed: int) -> NDArray[np.float64]:
    """Frames of the mixture, and some far from it."""
    rng = np.random.default_rng(seed)
    k = rng.choice(mixture.n_components, n, p=mixture.weights)
    spread = np.where(rng.random((n, 1)) < 0.1, 5.0, 1.0)
    return mixture.means[k] + spread * np.sqrt(mixture.variances[k]) * rng.standard_normal((n, mixture.n_features))


def by_scipy(mixture: GaussianMixture, X: NDArray[np.float64]) -> NDArray[np.float64]:
    """log π_k N(x_n; k), shape (n, K)."""
    columns = [
        np.log(weight) + scipy.stats.multivariate_normal(mean, np.diag(variance)).logpdf(X)
        for weight, mean, variance in zip(mixture.weights, mixture.means, mixture.variances, strict=True)
    ]
    return np.stack([np.reshape(column, len(X)) for column in columns], axis=1)


def in_scikit_learn(mixture: GaussianMixture) -> sklearn.mixture.GaussianMixture:
    model = sklearn.mixture.GaussianMixture(mixture.n_components, covariance_type="diag")
    model.weights_, model.means_ = mixture.weights, mixture.means
    model.covariances_, model.precisions_cholesky_ = mixture.variances, 1 / np.sqrt(mixture.variances)
    return model


# Oracles


@pytest.mark.parametrize(("k", "d"), SHAPES)
@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (100.0, 1.0), (-1e5, 1e3), (0.0, 1e-4)])
def test_densities_equal_scipys_and_scikit_learns(k: int, d: int, offset: float, scale: float) -> None:
    mixture = a_mixture(k, d, 1, offset=offset, scale=scale)
    X = some_frames(mixture, 200, 2)
    joint = by_scipy(mixture, X)
    model = in_scikit_learn(mixture)
    np.testing.assert_allclose(component_log_densities(mixture, X), joint, rtol=1e-9, atol=1e-9)
    likelihood = scipy.special.logsumexp(joint, axis=1)
    np.testing.assert_allclose(frame_log_likelihoods(mixture, X), likelihood, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(frame_log_likelihoods(mixture, X), model.score_samples(X), rtol=1e-8, atol=1e-8)
    shares = responsibilities(mixture, X)
    np.testing.assert_allclose(shares, scipy.special.softmax(joint, axis=1), rtol=0, atol=1e-9)
    np.testing.assert_allclose(shares, model.predict_proba(X), rtol=0, atol=1e-8)


@pytest.mark.parametrize(("k", "d"), SHAPES)
@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("given_as", [np.float32, np.float64])
def test_float32_is_exact_to_a_ten_thousandth(k: int, d: int, offset: float, given_as: Any) -> None:
    mixture = a_mixture(k, d, 3, offset=offset)
    X = some_frames(mixture, 200, 4).astype(given_as)
    joint = by_scipy(mixture, X.astype(np.float64))
    likelihood = frame_log_likelihoods(mixture, X, dtype=np.float32)
    assert likelihood.dtype == np.float32
    expected = scipy.special.logsumexp(joint, axis=1)
    np.testing.assert_allclose(likelihood, expected, rtol=1e-5, atol=1e-4)
    shares = responsibilities(mixture, X, dtype=np.float32)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares, scipy.special.softmax(joint, axis=1), rtol=0, atol=3e-4)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=0, atol=1e-6)


def test_a_single_univariate_gaussian_is_the_bell_curve() -> None:
    mixture = GaussianMixture([1.0], [[3.0]], [[4.0]])
    X = np.linspace(-10, 20, 301)[:, None]
    expected = scipy.stats.norm(3.0, 2.0).logpdf(X[:, 0])
    np.testing.assert_allclose(frame_log_likelihoods(mixture, X), expected, rtol=1e-12)
    np.testing.assert_array_equal(responsibilities(mixture, X), np.ones((301, 1)))
    assert frame_log_likelihoods(mixture, np.array([[3.0]]))[0] == pytest.approx(
        -0.5 * np.log(2 * np.pi * 4), rel=1e-14
    )


@pytest.mark.parametrize("k", [1, 2, 7])
def test_the_density_integrates_to_one(k: int) -> None:
    mixture = a_mixture(k, 1, 5)
    x = np.linspace(-40, 40, 40001)
    density_ = np.exp(frame_log_likelihoods(mixture, x[:, None]))
    assert scipy.integrate.simpson(density_, x=x) == pytest.approx(1.0, abs=1e-9)
    mean = scipy.integrate.simpson(x * density_, x=x)
    assert mean == pytest.approx(float(mixture.weights @ mixture.means[:, 0]), abs=1e-8)


def test_responsibilities_by_hand() -> None:
    """Two unit Gaussians at 0 and 2, weights 1/4 and 3/4: in the middle the priors decide; at 0, Bayes' rule."""
    mixture = GaussianMixture([0.25, 0.75], [[0.0], [2.0]], [[1.0], [1.0]])
    shares = responsibilities(mixture, np.array([[1.0], [0.0]]))
    np.testing.assert_allclose(shares[0], [0.25, 0.75], rtol=1e-12)
    at_zero = 0.25 / (0.25 + 0.75 * np.exp(-2.0))
    np.testing.assert_allclose(shares[1], [at_zero, 1 - at_zero], rtol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 9), d=st.integers(1, 5), far=st.sampled_from([1.0, 1e3, 1e6]))
@settings(max_examples=60, deadline=None)
def test_rows_of_responsibilities_sum_to_one_also_far_away(seed: int, k: int, d: int, far: float) -> None:
    mixture = a_mixture(k, d, seed)
    X = far * np.random.default_rng(seed + 1).standard_normal((20, d))
    shares = responsibilities(mixture, X)
    assert shares.shape == (20, k)
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    assert np.isfinite(frame_log_likelihoods(mixture, X)).all()


# Shapes and types


def test_no_frames_and_one_frame() -> None:
    mixture = a_mixture(3, 2, 6)
    assert frame_log_likelihoods(mixture, np.zeros((0, 2))).shape == (0,)
    assert responsibilities(mixture, np.zeros((0, 2))).shape == (0, 3)
    assert component_log_densities(mixture, np.zeros((1, 2))).shape == (1, 3)


def test_whole_numbers_and_lists_are_frames_too() -> None:
    mixture = a_mixture(3, 2, 7)
    whole = np.array([[1, 2], [3, 4]])
    expected = frame_log_likelihoods(mixture, whole.astype(float))
    np.testing.assert_array_equal(frame_log_likelihoods(mixture, whole), expected)
    np.testing.assert_array_equal(frame_log_likelihoods(mixture, whole.tolist()), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(3,), (3, 3), (3, 1), (2, 3, 2), ()])
@pytest.mark.parametrize("function", [component_log_densities, frame_log_likelihoods, responsibilities])
def test_frames_of_another_shape_are_refused(function: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected frames of shape \(n, 2\), got"):
        function(a_mixture(3, 2, 8), np.zeros(shape))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_tiles_give_the_same(monkeypatch: pytest.MonkeyPatch, dtype: Any) -> None:
    mixture = a_mixture(5, 3, 9)
    X = some_frames(mixture, 1000, 10)
    functions = (component_log_densities, frame_log_likelihoods, responsibilities)
    whole = [function(mixture, X, dtype=dtype) for function in functions]
    monkeypatch.setattr(density, "_TILE_BYTES", 1)  # 64 frames, the least there is
    assert len(list(density.tiles(1000, 7))) == 16
    for function, expected in zip(functions, whole, strict=True):
        tolerance = 1e-12 if dtype == np.float64 else 1e-4
        np.testing.assert_allclose(function(mixture, X, dtype=dtype), expected, rtol=tolerance, atol=tolerance)


@given(n=st.integers(0, 5000), rows=st.integers(1, 100000), itemsize=st.sampled_from([4, 8]))
def test_tiles_cover_every_frame_once(n: int, rows: int, itemsize: int) -> None:
    covered = [i for part in density.tiles(n, rows, itemsize=itemsize) for i in range(part.start, part.stop)]
    assert covered == list(range(n))


# The model


def test_a_mixture_is_frozen_and_has_its_own_arrays() -> None:
    weights, means, variances = np.array([0.5, 0.5]), np.zeros((2, 3)), np.ones((2, 3))
    mixture = GaussianMixture(weights, means, variances)
    means[0, 0] = 9.0
    assert mixture.means[0, 0] == 0.0
    for array in (mixture.weights, mixture.means, mixture.variances):
        assert array.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    with pytest.raises(AttributeError):
        mixture.weights = weights  # type: ignore[misc]
    assert (mixture.n_components, mixture.n_features, mixture.n_parameters) == (2, 3, 1 + 6 + 6)
    assert repr(mixture) == "GaussianMixture(n_components=2, n_features=3)"


def test_mixtures_are_equal_by_value() -> None:
    mixture = a_mixture(3, 2, 11)
    assert mixture == GaussianMixture(mixture.weights, mixture.means, mixture.variances)
    assert mixture != GaussianMixture(mixture.weights, mixture.means + 1e-12, mixture.variances)
    assert mixture != a_mixture(2, 2, 11)
    assert mixture != "a mixture"
    with pytest.raises(TypeError, match="unhashable"):
        hash(mixture)


def test_weights_are_scaled_to_sum_to_one_exactly() -> None:
    mixture = GaussianMixture(np.float32([0.1, 0.2, 0.7]), np.zeros((3, 1)), np.ones((3, 1)))
    assert mixture.weights.sum() == pytest.approx(1.0, abs=1e-15)
    nearly = GaussianMixture([0.5, 0.500009], np.zeros((2, 1)), np.ones((2, 1)))
    assert nearly.weights.sum() == pytest.approx(1.0, abs=1e-15)


REFUSED: dict[str, tuple[Any, Any, Any, str]] = {
    "weights short of 1": ([0.5, 0.49998], np.zeros((2, 1)), np.ones((2, 1)), "sum to 1, got 0.99998"),
    "weights above 1": ([0.6, 0.6], np.zeros((2, 1)), np.ones((2, 1)), "sum to 1, got 1.2"),
    "a negative weight": ([1.5, -0.5], np.zeros((2, 1)), np.ones((2, 1)), "positive"),
    "a weight of 0": ([1.0, 0.0], np.zeros((2, 1)), np.ones((2, 1)), "positive"),
    "a weight that is NaN": ([1.0, np.nan], np.zeros((2, 1)), np.ones((2, 1)), "finite"),
    "a variance of 0": ([0.5, 0.5], np.zeros((2, 1)), [[1.0], [0.0]], "positive"),
    "a negative variance": ([0.5, 0.5], np.zeros((2, 1)), [[1.0], [-1.0]], "positive"),
    "an infinite variance": ([0.5, 0.5], np.zeros((2, 1)), [[1.0], [np.inf]], "finite"),
    "a mean that is NaN": ([0.5, 0.5], [[0.0], [np.nan]], np.ones((2, 1)), "finite"),
    "too few weights": ([1.0], np.zeros((2, 1)), np.ones((2, 1)), "expected weights"),
    "means without features": ([0.5, 0.5], [0.0, 1.0], [1.0, 1.0], "expected weights"),
    "variances of another shape": ([0.5, 0.5], np.zeros((2, 2)), np.ones((2, 1)), "expected weights"),
    "full covariances": ([1.0], np.zeros((1, 2)), np.eye(2)[None], "expected weights"),
    "no components": ([], np.zeros((0, 2)), np.zeros((0, 2)), "expected weights"),
    "no features": ([1.0], np.zeros((1, 0)), np.zeros((1, 0)), "expected weights"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_mixture_that_is_none_is_refused(what: str) -> None:
    weights, means, variances, message = REFUSED[what]
    with pytest.raises(ValueError, match=message):
        GaussianMixture(weights, means, variances)
