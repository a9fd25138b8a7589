"""The model and its density: scipy, scikit-learn, the integral and Bayes' rule are the oracles."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from mixture_oracles import (
    TYPES,
    a_mixture,
    by_scipy,
    in_scikit_learn,
    matrices_of,
    some_frames,
    written_out_densities,
)

from speakerid.mixtures import (
    GaussianMixture,
    component_log_densities,
    design,
    frame_log_likelihoods,
    responsibilities,
)

SHAPES = [(1, 1), (1, 5), (3, 1), (4, 3), (16, 40), (64, 2)]  # K, d


# Oracles


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("k", "d"), SHAPES)
@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (100.0, 1.0), (-1e5, 1e3), (0.0, 1e-4)])
def test_densities_equal_scipys_and_scikit_learns(kind: str, k: int, d: int, offset: float, scale: float) -> None:
    mixture = a_mixture(k, d, 1, kind, offset=offset, scale=scale)
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


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("k", "d"), SHAPES)
@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("given_as", [np.float32, np.float64])
def test_float32_is_exact_to_a_ten_thousandth(kind: str, k: int, d: int, offset: float, given_as: Any) -> None:
    mixture = a_mixture(k, d, 3, kind, offset=offset)
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


@pytest.mark.parametrize("kind", TYPES)
def test_a_single_univariate_gaussian_is_the_bell_curve(kind: str) -> None:
    covariance = {"diagonal": [[4.0]], "spherical": [4.0], "tied": [[4.0]], "full": [[[4.0]]]}[kind]
    mixture = GaussianMixture([1.0], [[3.0]], covariance, kind)
    X = np.linspace(-10, 20, 301)[:, None]
    expected = scipy.stats.norm(3.0, 2.0).logpdf(X[:, 0])
    np.testing.assert_allclose(frame_log_likelihoods(mixture, X), expected, rtol=1e-12)
    np.testing.assert_array_equal(responsibilities(mixture, X), np.ones((301, 1)))
    assert frame_log_likelihoods(mixture, np.array([[3.0]]))[0] == pytest.approx(
        -0.5 * np.log(2 * np.pi * 4), rel=1e-14
    )


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("k", [1, 2, 7])
def test_the_density_integrates_to_one(kind: str, k: int) -> None:
    mixture = a_mixture(k, 1, 5, kind)
    x = np.linspace(-40, 40, 40001)
    density_ = np.exp(frame_log_likelihoods(mixture, x[:, None]))
    assert scipy.integrate.simpson(density_, x=x) == pytest.approx(1.0, abs=1e-9)
    mean = scipy.integrate.simpson(x * density_, x=x)
    assert mean == pytest.approx(float(mixture.weights @ mixture.means[:, 0]), abs=1e-8)


@pytest.mark.parametrize("kind", TYPES)
def test_the_density_integrates_to_one_over_the_plane(kind: str) -> None:
    mixture = a_mixture(3, 2, 6, kind)
    x = np.linspace(-14, 14, 561)
    plane = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
    density = np.exp(frame_log_likelihoods(mixture, plane)).reshape(561, 561)
    assert scipy.integrate.simpson(scipy.integrate.simpson(density, x=x), x=x) == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize("kind", TYPES)
def test_responsibilities_by_hand(kind: str) -> None:
    """Two unit Gaussians at 0 and 2, weights 1/4 and 3/4: in the middle the priors decide; at 0, Bayes' rule."""
    unit = {"diagonal": (2, 1), "spherical": (2,), "tied": (1, 1), "full": (2, 1, 1)}[kind]
    mixture = GaussianMixture([0.25, 0.75], [[0.0], [2.0]], np.ones(unit), kind)
    shares = responsibilities(mixture, np.array([[1.0], [0.0]]))
    np.testing.assert_allclose(shares[0], [0.25, 0.75], rtol=1e-12)
    at_zero = 0.25 / (0.25 + 0.75 * np.exp(-2.0))
    np.testing.assert_allclose(shares[1], [at_zero, 1 - at_zero], rtol=1e-12)


@given(
    kind=st.sampled_from(TYPES),
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(1, 9),
    d=st.integers(1, 5),
    far=st.sampled_from([1.0, 1e3, 1e6]),
)
@settings(max_examples=100, deadline=None)
def test_rows_of_responsibilities_sum_to_one_also_far_away(kind: str, seed: int, k: int, d: int, far: float) -> None:
    mixture = a_mixture(k, d, seed, kind)
    X = far * np.random.default_rng(seed + 1).standard_normal((20, d))
    shares = responsibilities(mixture, X)
    assert shares.shape == (20, k)
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    assert np.isfinite(frame_log_likelihoods(mixture, X)).all()


@pytest.mark.parametrize("kind", ["tied", "full"])
def test_features_that_nearly_copy_each_other(kind: str) -> None:
    """A correlation of 1 - 1e-6: a precision of half a million, and densities still as if not multiplied out."""
    matrix = np.array([[1.0, 1 - 1e-6, 0.3], [1 - 1e-6, 1.0, 0.3], [0.3, 0.3, 2.0]])
    covariances = matrix if kind == "tied" else np.stack([matrix, 2 * matrix])
    mixture = GaussianMixture([0.4, 0.6], [[0.0, 0.0, 0.0], [1.0, 1.0, -2.0]], covariances, kind)
    X = some_frames(mixture, 300, 12)
    np.testing.assert_allclose(
        component_log_densities(mixture, X), written_out_densities(mixture, X), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("kind", TYPES)
def test_features_of_very_different_scale(kind: str) -> None:
    scale = np.ones(3) if kind == "spherical" else np.array([1e-8, 1.0, 1e8])
    plain = a_mixture(4, 3, 13, kind)
    covariances = {
        "diagonal": lambda c: c * scale**2,
        "spherical": lambda c: c,
        "tied": lambda c: c * np.outer(scale, scale),
        "full": lambda c: c * np.outer(scale, scale),
    }[kind](plain.covariances)
    scaled = GaussianMixture(plain.weights, plain.means * scale, covariances, kind)
    X = some_frames(plain, 200, 14)
    expected = frame_log_likelihoods(plain, X) - np.log(scale).sum()
    np.testing.assert_allclose(frame_log_likelihoods(scaled, X * scale), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(responsibilities(scaled, X * scale), responsibilities(plain, X), atol=1e-9)


@pytest.mark.parametrize("kind", TYPES)
def test_the_densities_of_the_components_add_up_to_the_likelihood(kind: str) -> None:
    mixture = a_mixture(5, 4, 15, kind)
    X = some_frames(mixture, 100, 16)
    joint = component_log_densities(mixture, X)
    likelihood = frame_log_likelihoods(mixture, X)
    np.testing.assert_allclose(scipy.special.logsumexp(joint, axis=1), likelihood, rtol=1e-12)
    np.testing.assert_allclose(np.exp(joint - likelihood[:, None]), responsibilities(mixture, X), atol=1e-11)


# Shapes and types


@pytest.mark.parametrize("kind", TYPES)
def test_no_frames_and_one_frame(kind: str) -> None:
    mixture = a_mixture(3, 2, 6, kind)
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


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_tiles_give_the_same(monkeypatch: pytest.MonkeyPatch, dtype: Any, kind: str) -> None:
    mixture = a_mixture(5, 3, 9, kind)
    X = some_frames(mixture, 1000, 10)
    functions = (component_log_densities, frame_log_likelihoods, responsibilities)
    whole = [function(mixture, X, dtype=dtype) for function in functions]
    monkeypatch.setattr(design, "_TILE_VALUES", 1)  # 64 frames, the least there is
    assert len(list(design.tiles(1000, 7))) == 16
    for function, expected in zip(functions, whole, strict=True):
        tolerance = 1e-12 if dtype == np.float64 else 1e-4
        np.testing.assert_allclose(function(mixture, X, dtype=dtype), expected, rtol=tolerance, atol=tolerance)


@given(n=st.integers(0, 5000), rows=st.integers(1, 100000))
def test_tiles_cover_every_frame_once(n: int, rows: int) -> None:
    covered = [i for part in design.tiles(n, rows) for i in range(part.start, part.stop)]
    assert covered == list(range(n))


# The model


@pytest.mark.parametrize("kind", TYPES)
def test_a_mixture_is_frozen_and_has_its_own_arrays(kind: str) -> None:
    given_ = a_mixture(2, 3, 20, kind)
    weights, means, covariances = given_.weights.copy(), given_.means.copy(), given_.covariances.copy()
    mixture = GaussianMixture(weights, means, covariances, kind)
    for array in (weights, means, covariances):
        array.flat[0] = 9.0
    assert mixture == given_
    for array in (mixture.weights, mixture.means, mixture.covariances):
        assert array.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            array.flat[0] = 1.0
    with pytest.raises(AttributeError):
        mixture.weights = weights  # type: ignore[misc]
    assert (mixture.n_components, mixture.n_features) == (2, 3)


def test_a_mixture_says_what_it_is() -> None:
    assert repr(a_mixture(2, 3, 1)) == "GaussianMixture(n_components=2, n_features=3)"
    assert repr(a_mixture(2, 3, 1, "full")) == "GaussianMixture(n_components=2, n_features=3, covariance_type='full')"
    assert repr(a_mixture(2, 3, 1, "tied").covariance_type) == "tied"


@pytest.mark.parametrize("kind", TYPES)
def test_variances_are_the_diagonals_whatever_the_type(kind: str) -> None:
    mixture = a_mixture(4, 3, 21, kind)
    np.testing.assert_array_equal(mixture.variances, np.diagonal(matrices_of(mixture), axis1=1, axis2=2))
    np.testing.assert_array_equal(
        mixture.covariance_type.matrices(mixture.covariances, *mixture.means.shape), matrices_of(mixture)
    )


@pytest.mark.parametrize("kind", TYPES)
def test_mixtures_are_equal_by_value(kind: str) -> None:
    mixture = a_mixture(3, 2, 11, kind)
    assert mixture == GaussianMixture(mixture.weights, mixture.means, mixture.covariances, kind)
    assert mixture != GaussianMixture(mixture.weights, mixture.means + 1e-12, mixture.covariances, kind)
    assert mixture != GaussianMixture(mixture.weights, mixture.means, mixture.covariances * (1 + 1e-15), kind)
    assert mixture != a_mixture(2, 2, 11, kind)
    assert mixture != "a mixture"
    with pytest.raises(TypeError, match="unhashable"):
        hash(mixture)


def test_mixtures_of_different_types_differ_even_with_the_same_arrays() -> None:
    arrays = np.array([0.5, 0.5]), np.zeros((2, 2)), np.eye(2) + 0.1
    assert GaussianMixture(*arrays, "diagonal") != GaussianMixture(*arrays, "tied")


@pytest.mark.parametrize("kind", TYPES)
def test_copies_and_pickles_are_equal_and_of_use(kind: str) -> None:
    mixture = a_mixture(3, 2, 11, kind)
    X = some_frames(mixture, 20, 1)
    for back in (copy.copy(mixture), copy.deepcopy(mixture), pickle.loads(pickle.dumps(mixture))):
        assert back == mixture
        np.testing.assert_array_equal(frame_log_likelihoods(back, X), frame_log_likelihoods(mixture, X))


def test_scikit_learns_name_is_understood() -> None:
    mixture = a_mixture(3, 2, 11)
    assert GaussianMixture(mixture.weights, mixture.means, mixture.covariances, "diag") == mixture


@pytest.mark.parametrize("name", ["diagonals", "FULL", "", None, ["full"]])
def test_an_unknown_type_is_refused_with_the_known_ones(name: Any) -> None:
    with pytest.raises(ValueError, match=r"unknown covariance type .*known: diagonal, spherical, tied, full"):
        GaussianMixture([1.0], [[0.0]], [[1.0]], name)


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


REFUSED_MATRICES: dict[str, tuple[Any, str]] = {
    "no symmetry": ([[1.0, 0.2], [0.1, 1.0]], "symmetric"),
    "a negative eigenvalue": ([[1.0, 2.0], [2.0, 1.0]], "positive definite"),
    "an eigenvalue of 0": ([[1.0, 1.0], [1.0, 1.0]], "positive definite"),
    "zeros": (np.zeros((2, 2)), "positive definite"),
    "a NaN": ([[1.0, np.nan], [np.nan, 1.0]], "finite"),
    "an infinite number": ([[np.inf, 0.0], [0.0, 1.0]], "finite"),
    "another width": (np.eye(3), "expected weights"),
    "a vector": ([1.0, 1.0], "expected weights"),
}


@pytest.mark.parametrize("kind", ["tied", "full"])
@pytest.mark.parametrize("what", REFUSED_MATRICES)
def test_a_matrix_that_is_no_covariance_is_refused(kind: str, what: str) -> None:
    matrix, message = REFUSED_MATRICES[what]
    covariances = matrix if kind == "tied" else [matrix, matrix]
    with pytest.raises(ValueError, match=message):
        GaussianMixture([0.5, 0.5], np.zeros((2, 2)), covariances, kind)


@pytest.mark.parametrize("variances", [[1.0, 0.0], [1.0, -1.0], [1.0, np.nan], [1.0], [[1.0, 1.0]] * 2])
def test_spherical_variances_that_are_none_are_refused(variances: Any) -> None:
    with pytest.raises(ValueError, match=r"positive|finite|expected weights"):
        GaussianMixture([0.5, 0.5], np.zeros((2, 2)), variances, "spherical")


@pytest.mark.parametrize(
    ("kind", "shape"), [("diagonal", r"K, d"), ("spherical", r"K,?"), ("tied", r"d, d"), ("full", r"K, d, d")]
)
def test_a_refusal_says_the_shape_that_was_expected(kind: str, shape: str) -> None:
    expected = rf"means \(K, d\), {kind} covariances \({shape}\), got \(1,\), \(1, 2\), \(7, 7\)"
    with pytest.raises(ValueError, match=expected):
        GaussianMixture([1.0], np.zeros((1, 2)), np.zeros((7, 7)), kind)
