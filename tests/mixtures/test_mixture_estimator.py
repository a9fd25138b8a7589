"""The habits of scikit-learn: its own checks, its own mixture as the oracle, conversions bit for bit, and sampling."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import BayesianGaussianMixture
from sklearn.mixture import GaussianMixture as TheirMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from speakerid.mixtures import (
    GaussianMixture,
    MixtureEstimator,
    frame_log_likelihoods,
    from_scikit_learn,
    sample,
    to_scikit_learn,
    train,
)

THEIR_NAMES = {"diagonal": "diag", "spherical": "spherical", "tied": "tied", "full": "full"}
types = pytest.mark.parametrize("kind", THEIR_NAMES)

# Checks of scikit-learn that do not apply, and why. An entry whose check passes fails the test.
DO_NOT_APPLY: dict[str, str] = {}
# Checks that scikit-learn itself leaves out where something is missing.
MAY_BE_SKIPPED: set[str] = set()

RUN_CHECKS = """
import importlib, json, sys, warnings
from sklearn.utils.estimator_checks import check_estimator
module, name, parameters, expected = sys.argv[1:]
estimator = getattr(importlib.import_module(module), name)(**json.loads(parameters))
warnings.filterwarnings("error", module="speakerid")
warnings.filterwarnings("ignore", message="Estimator .* does not inherit from")
results = check_estimator(estimator, on_skip=None, on_fail=None, expected_failed_checks=json.loads(expected))
print(json.dumps([(r["check_name"], r["status"], r["expected_to_fail"], repr(r["exception"])) for r in results]))
"""


@pytest.mark.parametrize(
    "parameters",
    [{"n_components": 2}, {"n_components": "auto"}, {"covariance_type": "full"}, {"covariance_type": "tied"}],
    ids=str,
)
def test_the_checks_of_scikit_learn(python: Callable[..., Any], parameters: dict[str, Any]) -> None:
    outcome = python(
        RUN_CHECKS,
        "speakerid.mixtures",
        "MixtureEstimator",
        json.dumps(parameters),
        json.dumps(DO_NOT_APPLY),
        # without it scikit-learn leaves out the check of array_api input
        env={"SCIPY_ARRAY_API": "1"},
    )
    assert outcome.status == 0, outcome.err
    results = json.loads(outcome.out)
    assert len(results) > 30
    assert [r for r in results if r[1] == "failed"] == []
    assert [r for r in results if r[1] == "passed" and r[2]] == [], "listed as not applying, but it passes"
    assert {r[0] for r in results if r[1] == "skipped"} <= MAY_BE_SKIPPED


def blobs(n: int = 600, d: int = 3, seed: int = 5) -> np.ndarray:
    """Three clouds that overlap, of different sizes and directions, away from the origin."""
    draw = np.random.default_rng(seed)
    mixing = draw.normal(size=(3, d, d)) + 1.5 * np.eye(d)
    centres = draw.normal(scale=3.0, size=(3, d)) + 20.0
    owners = draw.choice(3, size=n, p=[0.5, 0.3, 0.2])
    return np.einsum("nij,nj->ni", mixing[owners], draw.normal(size=(n, d))) + centres[owners]


def a_start(X: np.ndarray, kind: str, k: int = 3) -> GaussianMixture:
    start, _record = train(X, MixtureEstimator(k, covariance_type=kind, max_iter=1)._config(), dtype=np.float64)
    return start


def theirs_from(start: GaussianMixture, iterations: int) -> TheirMixture:
    model = to_scikit_learn(start)
    return TheirMixture(
        n_components=start.n_components,
        covariance_type=model.covariance_type,
        tol=0.0,
        reg_covar=0.0,
        max_iter=iterations,
        init_params="random_from_data",
        weights_init=model.weights_,
        means_init=model.means_,
        precisions_init=model.precisions_,
        random_state=0,
    )


@types
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_same_start_leads_where_scikit_learn_goes(kind: str) -> None:
    X, new = blobs(), blobs(seed=6)
    start = a_start(X, kind)
    theirs = theirs_from(start, 12).fit(X)
    ours = MixtureEstimator(
        3, covariance_type=THEIR_NAMES[kind], initialisation=start, max_iter=12, tol=0, variance_floor=1e-9
    ).fit(X)
    assert ours.n_iter_ == theirs.n_iter_ == 12
    # it has gone somewhere
    assert not np.allclose(start.means, ours.means_, rtol=1e-3)
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-8)
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-8)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-7, atol=1e-8)
    for frames in (X, new):
        np.testing.assert_allclose(ours.score_samples(frames), theirs.score_samples(frames), rtol=1e-8)
        np.testing.assert_allclose(ours.predict_proba(frames), theirs.predict_proba(frames), atol=1e-8)
        np.testing.assert_array_equal(ours.predict(frames), theirs.predict(frames))
        for criterion in ("bic", "aic", "score"):
            assert getattr(ours, criterion)(frames) == pytest.approx(getattr(theirs, criterion)(frames), rel=1e-8)
    # theirs is of the last E-step, ours of the model
    assert ours.lower_bound_ == pytest.approx(theirs.score(X), rel=1e-8)
    assert ours.record_.log_likelihoods[-2] == pytest.approx(theirs.lower_bound_, rel=1e-8)


@types
def test_float32_is_near(kind: str) -> None:
    X = blobs()
    double, single = (MixtureEstimator(3, covariance_type=kind, dtype=dtype).fit(X) for dtype in ("float64", "float32"))
    assert single.score(X) == pytest.approx(double.score(X), abs=1e-3)
    assert single.score_samples(X).dtype == np.float32


@types
def test_the_attributes_are_those_of_the_mixture(kind: str) -> None:
    X = blobs()
    estimator = MixtureEstimator(3, covariance_type=kind)
    assert estimator.fit(X) is estimator
    assert estimator.weights_ is estimator.mixture_.weights
    assert estimator.means_ is estimator.mixture_.means
    assert estimator.covariances_ is estimator.mixture_.covariances
    assert estimator.mixture_.covariance_type.name == kind
    assert estimator.n_features_in_ == 3
    assert estimator.converged_ is True
    assert estimator.n_iter_ == len(estimator.record_.log_likelihoods) - 1
    assert estimator.lower_bound_ == pytest.approx(estimator.score(X), rel=1e-12)
    np.testing.assert_array_equal(estimator.fit_predict(X), estimator.predict(X))
    np.testing.assert_allclose(estimator.predict_proba(X).sum(axis=1), 1.0, rtol=1e-12)
    stopped = MixtureEstimator(3, covariance_type=kind, max_iter=1, tol=0).fit(X)
    assert (stopped.converged_, stopped.n_iter_) == (False, 1)


def test_auto_takes_the_smallest_bic_of_the_powers_of_two() -> None:
    draw = np.random.default_rng(3)
    X = draw.normal(size=(800, 2)) + np.array([[0, 0], [9, 1], [18, 2], [27, 3]])[draw.integers(4, size=800)]
    chosen = MixtureEstimator("auto").fit(X)
    assert chosen.mixture_.n_components == 4
    sizes = [k for k, _bic in chosen.record_.considered]
    by_hand = {k: MixtureEstimator(k).fit(X).bic(X) for k in sizes}
    assert min(by_hand, key=by_hand.__getitem__) == 4
    assert dict(chosen.record_.considered) == pytest.approx(by_hand, rel=1e-9)


def test_random_states() -> None:
    X = blobs()

    def means(random_state: Any) -> np.ndarray:
        return MixtureEstimator(3, initialisation="random", max_iter=2, random_state=random_state).fit(X).means_

    np.testing.assert_array_equal(means(None), means(0))
    np.testing.assert_array_equal(means(np.int64(7)), means(np.random.default_rng(7)))
    np.testing.assert_array_equal(means(np.random.RandomState(7)), means(np.random.RandomState(7)))
    assert not np.array_equal(means(0), means(1))
    legacy = np.random.RandomState(7)
    assert not np.array_equal(means(legacy), means(legacy))


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"n_components": 0}, "n_components = 0: expected at least 1"),
        ({"n_components": 2.0}, "n_components = 2.0: expected a whole number"),
        ({"n_components": "many"}, 'n_components = "many": expected a whole number or "auto"'),
        ({"covariance_type": "round"}, 'covariance_type = "round": expected one of "diagonal"'),
        ({"initialisation": "luck"}, 'initialisation = "luck": expected one of "splitting"'),
        ({"max_iter": -1}, "max_iter = -1: expected at least 0"),
        ({"tol": -0.5}, "tol = -0.5: expected at least 0"),
        ({"variance_floor": 0}, "variance_floor = 0.0: expected above 0"),
        ({"random_state": "dice"}, "random_state = 'dice'"),
        ({"random_state": -1}, "random_state = -1"),
        ({"dtype": "float16"}, "dtype = 'float16'"),
        ({"n_jobs": 0}, "n_jobs = 0"),
        ({"n_components": 41}, "n_components = 41, n_samples = 40"),
    ],
)
def test_a_wrong_parameter_is_named_in_fit(parameters: dict[str, Any], complaint: str) -> None:
    estimator = MixtureEstimator().set_params(**parameters)
    with pytest.raises(ValueError, match="^(Expected n_samples|" + complaint.split(" ", 1)[0] + ")") as error:
        estimator.fit(blobs(40))
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("start", "complaint"),
    [
        (GaussianMixture([0.5, 0.5], np.eye(2, 3), np.ones((2, 3))), "2 components, but 1"),
        (GaussianMixture([1.0], np.zeros((1, 3)), [1.0], "spherical"), "spherical covariances, but diagonal"),
        (GaussianMixture([1.0], np.zeros((1, 2)), np.ones((1, 2))), "2 features, but 3"),
    ],
)
def test_a_start_that_does_not_fit(start: GaussianMixture, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        MixtureEstimator(initialisation=start).fit(blobs(40))


def test_bad_frames_are_refused_as_scikit_learn_refuses_them() -> None:
    X = blobs(40)
    fitted = MixtureEstimator().fit(X)
    hole = X.copy()
    hole[3, 1] = np.nan
    for method in (fitted.fit, fitted.predict, fitted.predict_proba, fitted.score_samples, fitted.score, fitted.bic):
        with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
            method(X[:, 0])
        with pytest.raises(ValueError, match="Input X contains NaN"):
            method(hole)
        with pytest.raises(ValueError, match="infinity"):
            method(np.where(np.isnan(hole), np.inf, hole))
    with pytest.raises(ValueError, match="X has 2 features, but MixtureEstimator is expecting 3 features as input"):
        fitted.predict(X[:, :2])


def test_before_fit() -> None:
    estimator = MixtureEstimator()
    calls: list[Callable[[], Any]] = [
        estimator.sample,
        *(lambda name=name: getattr(estimator, name)(blobs(9)) for name in ("predict", "score", "bic", "aic")),
    ]
    for call in calls:
        with pytest.raises(NotFittedError, match="this MixtureEstimator is not fitted yet"):
            call()


def test_without_scikit_learn_there_is_an_error_of_our_own(python: Callable[..., Any]) -> None:
    code = (
        "import sys\n"
        "sys.modules['sklearn'] = None\n"
        "from speakerid.mixtures import MixtureEstimator, to_scikit_learn\n"
        "estimator = MixtureEstimator(2)\n"
        "try: estimator.predict([[1.0]])\n"
        "except (ValueError, AttributeError) as error: print([c.__name__ for c in type(error).__mro__][:3])\n"
        "estimator.fit([[0.0], [0.1], [5.0], [5.1]])\n"
        "print(sorted(estimator.predict([[0.0], [5.0]]).tolist()), estimator)\n"
        "try: to_scikit_learn(estimator.mixture_)\n"
        "except ImportError as error: print(error)\n"
    )
    outcome = python(code)
    assert outcome.err == ""
    assert outcome.out.splitlines() == [
        "['NotFittedError', 'ValueError', 'AttributeError']",
        "[0, 1] MixtureEstimator(n_components=2)",
        "converting mixtures needs scikit-learn: pip install scikit-learn",
    ]


def test_scikit_learn_stays_out_of_the_import_path(
    python: Callable[..., Any], enrolled: Path, known_files: list[str]
) -> None:
    told = "print([m for m in sys.modules if m.split('.')[0] == 'sklearn'])"
    assert python(f"import sys, speakerid.mixtures, speakerid.workflows.classifier; {told}").out == "[]\n"
    # a whole identification by the command line
    code = f"import atexit, sys; atexit.register(lambda: {told}); from speakerid.cli import main; main()"
    outcome = python(code, "identify", known_files[0], "--db", enrolled, "--quiet")
    assert outcome.out.splitlines()[-1] == "[]"


def test_parameters_are_stored_unchanged_and_cloned() -> None:
    start = a_start(blobs(), "full")
    estimator = MixtureEstimator(3, covariance_type="full", initialisation=start, random_state=4)
    assert estimator.get_params()["initialisation"] is start
    twin = clone(estimator)
    assert twin is not estimator
    assert {k: v for k, v in twin.get_params().items() if k != "initialisation"} == {
        k: v for k, v in estimator.get_params().items() if k != "initialisation"
    }
    # the copied start is as good as the original
    assert twin.fit(blobs()).mixture_ == estimator.fit(blobs()).mixture_
    with pytest.raises(ValueError, match="invalid parameter 'components' of MixtureEstimator; known: n_components"):
        estimator.set_params(tol=0.5, components=3)
    assert estimator.tol == 1e-3
    assert repr(MixtureEstimator()) == "MixtureEstimator()"
    assert (
        repr(MixtureEstimator(4, covariance_type="diag")) == "MixtureEstimator(n_components=4, covariance_type='diag')"
    )


@types
def test_copies_answer_alike(kind: str) -> None:
    X = blobs()
    fitted = MixtureEstimator(3, covariance_type=kind).fit(X)
    for twin in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(twin.score_samples(X), fitted.score_samples(X))
        np.testing.assert_array_equal(twin.sample(5)[0], fitted.sample(5)[0])


def test_in_a_pipeline_and_a_search() -> None:
    X = blobs()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), MixtureEstimator()),
        {
            "mixtureestimator__n_components": np.array([1, 3]),
            "mixtureestimator__covariance_type": ["spherical", "full"],
        },
        cv=3,
    ).fit(X)
    # three clouds with directions
    assert search.best_params_ == {
        "mixtureestimator__covariance_type": "full",
        "mixtureestimator__n_components": 3,
    }
    assert search.predict(X).shape == (len(X),)


# conversions ----------------------------------------------------------------------------------------------------------


def assert_same_bits(model: TheirMixture, mixture: GaussianMixture) -> None:
    for theirs, ours in (
        (model.weights_, mixture.weights),
        (model.means_, mixture.means),
        (model.covariances_, mixture.covariances),
    ):
        assert theirs.dtype == ours.dtype == np.float64
        assert theirs.tobytes() == ours.tobytes()


@types
def test_from_scikit_learn_and_back(kind: str) -> None:
    X = blobs()
    theirs = TheirMixture(3, covariance_type=THEIR_NAMES[kind], random_state=0, tol=1e-2).fit(X)
    mixture = from_scikit_learn(theirs)
    assert mixture.covariance_type.name == kind
    assert_same_bits(theirs, mixture)
    np.testing.assert_allclose(frame_log_likelihoods(mixture, X), theirs.score_samples(X), rtol=1e-9)
    back = to_scikit_learn(mixture)
    assert_same_bits(back, mixture)
    assert back.covariance_type == theirs.covariance_type
    assert (back.n_features_in_, back.n_components, back.converged_) == (3, 3, True)
    np.testing.assert_allclose(back.precisions_cholesky_, theirs.precisions_cholesky_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(back.precisions_, theirs.precisions_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(back.score_samples(X), theirs.score_samples(X), rtol=1e-12)
    np.testing.assert_array_equal(back.predict(X), theirs.predict(X))
    assert back.bic(X) == pytest.approx(theirs.bic(X), rel=1e-12)
    assert back.sample(4)[0].shape == (4, 3)


@types
def test_to_scikit_learn_and_back(kind: str) -> None:
    X = blobs()
    ours = MixtureEstimator(3, covariance_type=kind).fit(X)
    model = to_scikit_learn(ours.mixture_, ours.record_)
    assert_same_bits(model, ours.mixture_)
    assert from_scikit_learn(model) == ours.mixture_
    assert (model.converged_, model.n_iter_, model.lower_bound_) == (True, ours.n_iter_, ours.lower_bound_)
    np.testing.assert_allclose(model.score_samples(X), ours.score_samples(X), rtol=1e-9)
    np.testing.assert_allclose(model.predict_proba(X), ours.predict_proba(X), atol=1e-9)
    assert model.aic(X) == pytest.approx(ours.aic(X), rel=1e-9)
    # a copy: theirs may be changed
    model.means_[0] = 0.0
    assert from_scikit_learn(model) != ours.mixture_


def test_a_converted_model_can_go_on_training() -> None:
    X = blobs()
    mixture = MixtureEstimator(3, covariance_type="full", max_iter=1).fit(X).mixture_
    model = to_scikit_learn(mixture).set_params(warm_start=True, max_iter=1, tol=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(X)
    assert model.score(X) > frame_log_likelihoods(mixture, X).mean()


def test_what_cannot_be_converted() -> None:
    X = blobs(60)
    with pytest.raises(ValueError, match="has not been fitted"):
        from_scikit_learn(TheirMixture())
    with pytest.raises(TypeError, match=r"expected a sklearn\.mixture\.GaussianMixture, got BayesianGaussianMixture"):
        from_scikit_learn(BayesianGaussianMixture(max_iter=500, random_state=0).fit(X))
    with pytest.raises(TypeError, match="got MixtureEstimator"):
        from_scikit_learn(MixtureEstimator().fit(X))


def test_conversion_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.mixture", None)
    with pytest.raises(ImportError, match="converting mixtures needs scikit-learn: pip install"):
        from_scikit_learn(object())


# sampling -------------------------------------------------------------------------------------------------------------


@types
def test_samples_have_the_moments_of_their_components(kind: str) -> None:
    mixture = from_scikit_learn(TheirMixture(3, covariance_type=THEIR_NAMES[kind], random_state=0).fit(blobs()))
    n = 200_000
    X, components = sample(mixture, n, np.random.default_rng(0))
    assert X.shape == (n, 3)
    assert X.dtype == np.float64
    assert components.shape == (n,)
    matrices = mixture.covariance_type.matrices(mixture.covariances, 3, 3)
    for k in range(3):
        mine = X[components == k]
        # five standard errors
        assert len(mine) / n == pytest.approx(mixture.weights[k], abs=5 * 0.5 / np.sqrt(n))
        deviations = np.sqrt(np.diagonal(matrices[k]))
        error = 5 / np.sqrt(len(mine))
        assert (np.abs(mine.mean(axis=0) - mixture.means[k]) < error * deviations).all()
        difference = np.abs(np.cov(mine.T) - matrices[k])
        assert (difference < np.sqrt(2) * error * np.outer(deviations, deviations)).all()
    # in no order
    assert (np.diff(components) < 0).any()


def test_samples_depend_on_the_generator_alone() -> None:
    mixture = MixtureEstimator(2, covariance_type="full").fit(blobs()).mixture_
    one, again, other = (sample(mixture, 50, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(one[1], again[1])
    assert not np.array_equal(one[0], other[0])
    nothing, nobody = sample(mixture, 0, np.random.default_rng(1))
    assert nothing.shape == (0, 3)
    assert nobody.shape == (0,)
    with pytest.raises(ValueError, match="cannot draw -1 frames"):
        sample(mixture, -1, np.random.default_rng(1))


def test_the_estimator_samples() -> None:
    estimator = MixtureEstimator(2, random_state=3).fit(blobs())
    X, y = estimator.sample(20)
    np.testing.assert_array_equal(X, sample(estimator.mixture_, 20, np.random.default_rng(3))[0])
    np.testing.assert_array_equal(estimator.sample(20)[1], y)
    estimator.set_params(random_state=np.random.default_rng(3))
    assert not np.array_equal(estimator.sample(20)[0], estimator.sample(20)[0])
    with pytest.raises(ValueError, match="at least one sample"):
        estimator.sample(0)
