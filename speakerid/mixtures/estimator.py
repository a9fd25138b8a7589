"""A mixture with the habits of scikit-learn, without scikit-learn.

:class:`MixtureEstimator` has the methods and attributes of ``sklearn.mixture.GaussianMixture`` and works where estimators
of scikit-learn do (pipelines, cross-validation, searches over parameters); the mathematics is :func:`train` and the
densities of this package. scikit-learn is never imported here but by ``__sklearn_tags__``, which only scikit-learn calls.

The habits themselves, as :class:`Parameterised` and the functions below it, serve other estimators too.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import operator
import sys
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from speakerid.config import TrainingConfig
from speakerid.errors import ConfigError
from speakerid.mixtures.covariances import covariance_type as covariance_type_of
from speakerid.mixtures.criteria import aic, bic
from speakerid.mixtures.density import component_log_densities, frame_log_likelihoods, responsibilities
from speakerid.mixtures.em import TrainingRecord
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.sampling import sample
from speakerid.mixtures.training import train
from speakerid.parallel import effective_jobs

__all__ = [
    "MixtureEstimator",
    "NotFittedError",
    "Parameterised",
    "checked_features",
    "jobs_of",
    "scikit_learns",
    "training_config",
]

Array = NDArray[Any]
Float64 = NDArray[np.float64]


class NotFittedError(ValueError, AttributeError):
    """A method that needs a fitted estimator was called before ``fit``.

    Where scikit-learn is loaded, its ``sklearn.exceptions.NotFittedError`` is raised instead; both are a ValueError and an
    AttributeError.
    """


class Parameterised:
    """The parameters of the constructor, as scikit-learn reads and sets them: stored unchanged, checked in ``fit``."""

    n_features_in_: int

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        return {parameter.name: parameter.default for parameter in parameters}

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - no parameter is an estimator itself
        """Return the constructor's parameters by name; `deep` is there for scikit-learn."""
        return {name: getattr(self, name) for name in self._defaults()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        Raises
        ------
        ValueError
            There is no such parameter; none is set.
        """
        known = self._defaults()
        for name in params:
            if name not in known:
                raise ValueError(f"invalid parameter {name!r} of {type(self).__name__}; known: {', '.join(known)}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        changed = [
            f"{name}={getattr(self, name)!r}"
            for name, default in self._defaults().items()
            if repr(getattr(self, name)) != repr(default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _require_fitted(self) -> None:
        if not hasattr(self, "n_features_in_"):
            error = scikit_learns("NotFittedError", NotFittedError)
            raise error(f"this {type(self).__name__} is not fitted yet: call its fit first")


def scikit_learns(name: str, ours: type[Any]) -> type[Any]:
    """Return the class of that name in ``sklearn.exceptions`` where scikit-learn is loaded, else `ours`."""
    found: type[Any] = getattr(sys.modules.get("sklearn.exceptions"), name, ours)
    return found


def checked_features(X: Any, name: str, n_features: int | None = None, *, where: str = "") -> Array:
    """Return features as (n, d) floats, with the complaints that users of scikit-learn know.

    Parameters
    ----------
    X : array_like, shape (n, d)
    name : str
        Of the estimator, for messages.
    n_features : int, optional
        The d that is expected.
    where : str
        What X is, for messages: ``"recording 3: "``.

    Returns
    -------
    X : ndarray, shape (n, d), float32 or float64
        Not a copy if it need not be.

    Raises
    ------
    ValueError
        Not two-dimensional, empty, complex, not finite, or not of `n_features`.
    TypeError
        A sparse matrix, or values that are no numbers.
    """
    if hasattr(X, "toarray") or hasattr(X, "todense"):
        raise TypeError(f"{where}sparse data is not supported by {name}: use X.toarray()")
    X = np.asarray(X)
    if X.dtype.kind == "c":
        raise ValueError(f"{where}Complex data not supported by {name}")
    result: Array = X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)
    if result.ndim != 2:
        raise ValueError(
            f"{where}Expected 2D array, got {result.ndim}D array of shape {result.shape} instead. Reshape your data with "
            "X.reshape(-1, 1) if it has a single feature, X.reshape(1, -1) if it is a single sample"
        )
    for count, what in zip(result.shape, ("sample(s)", "feature(s)"), strict=True):
        if count == 0:
            raise ValueError(
                f"{where}Found array with 0 {what} (shape={result.shape}) while a minimum of 1 is required by {name}."
            )
    if n_features is not None and result.shape[1] != n_features:
        raise ValueError(
            f"{where}X has {result.shape[1]} features, but {name} is expecting {n_features} features as input"
        )
    if not np.isfinite(result).all():
        what = "NaN" if np.isnan(result).any() else f"infinity or a value too large for {result.dtype}"
        raise ValueError(f"{where}Input X contains {what}; {name} needs finite values")
    return result


def jobs_of(n_jobs: object) -> int | None:
    """From scikit-learn's number of jobs to ours: −1 are all cores, −2 all but one; None stays None.

    Raises
    ------
    ValueError
        Zero, or no whole number.
    """
    if n_jobs is None:
        return None
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int | np.integer) or n_jobs == 0:
        raise ValueError(f"n_jobs = {n_jobs!r}: expected None or a whole number other than 0")
    return int(n_jobs) if n_jobs > 0 else max(effective_jobs(None) + 1 + int(n_jobs), 1)


def training_config(values: Mapping[str, object], *, names: Mapping[str, str] | None = None) -> TrainingConfig:
    """Build a config from an estimator's parameters; `names` says what the estimator calls a setting.

    Raises
    ------
    ValueError
        A value of the wrong type or out of its range.
    """
    try:
        # numpy's numbers come from grids of parameters
        return TrainingConfig(**{k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()})  # type: ignore[arg-type]
    except ConfigError as error:
        message = str(error).removeprefix("[training] ")
        setting = message.split(" ", 1)[0]
        raise ValueError(message.replace(setting, (names or {}).get(setting, setting), 1)) from None


_NAMES = {
    "components": "n_components",
    "covariance": "covariance_type",
    "iterations": "max_iter",
    "tolerance": "tol",
}


class MixtureEstimator(Parameterised):
    """A Gaussian mixture, trained by EM, with the habits of ``sklearn.mixture.GaussianMixture``.

    Parameters
    ----------
    n_components : int or "auto"
        K; "auto" chooses among the powers of two by BIC.
    covariance_type : {"diagonal", "spherical", "tied", "full"}
        Shape of Σ_k; "diag" is understood too.
    initialisation : {"kmeans", "splitting", "random"} or GaussianMixture
        Where EM starts; a mixture must be of `n_components` and `covariance_type`.
    n_init : int
        How many starts; the mixture of largest likelihood is kept. For "kmeans" and "random", whose starts differ.
    max_iter : int
        EM iterations at most.
    tol : float
        EM stops when the mean log-likelihood rises by less than this, nats a frame.
    variance_floor : float
        Floor of a variance (an eigenvalue of a tied or full covariance), relative to that of all frames, above 0. It takes
        the place of scikit-learn's ``reg_covar``, which is added and does not know the features' scale.
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        What k-means, random frames and :meth:`sample` draw from. None is the seed 0: the same result in every run.
    dtype : {"float64", "float32"}
        Of the products; float32 is quicker. Sums are always float64.
    n_jobs : int, optional
        Threads: as many as pay if None, all cores if −1. The result does not depend on it.

    Attributes
    ----------
    mixture_ : GaussianMixture
        The model; the package's functions take it.
    record_ : TrainingRecord
        How the training went: every log-likelihood, what was floored, what was removed, the BIC of each K considered.
    weights_ : ndarray, shape (K,)
        π_k.
    means_ : ndarray, shape (K, d)
        μ_k.
    covariances_ : ndarray
        Σ_k: (K, d), (K,), (d, d) or (K, d, d), as `covariance_type` says.
    converged_ : bool
        EM stopped by `tol`, not by `max_iter`.
    n_iter_ : int
        EM iterations.
    lower_bound_ : float
        Mean log-likelihood of the frames under the model, nats a frame.
    n_features_in_ : int
        d.

    Notes
    -----
    K is less than `n_components` when there are fewer different frames than that; ``record_`` says so. The arrays are
    read-only.
    """

    mixture_: GaussianMixture
    record_: TrainingRecord
    weights_: Float64
    means_: Float64
    covariances_: Float64
    converged_: bool
    n_iter_: int
    lower_bound_: float

    def __init__(
        self,
        n_components: int | Literal["auto"] = 1,
        *,
        covariance_type: str = "diagonal",
        initialisation: str | GaussianMixture = "kmeans",
        n_init: int = 1,
        max_iter: int = 100,
        tol: float = 1e-3,
        variance_floor: float = 1e-3,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
        dtype: str = "float64",
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.initialisation = initialisation
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.variance_floor = variance_floor
        self.random_state = random_state
        self.dtype = dtype
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002 - scikit-learn passes labels to everything
        """Train by EM: responsibilities (Bishop 2006, eq. 9.23), then means, covariances and weights (9.24-9.26).

        Parameters
        ----------
        X : array_like, shape (n, d)
            Frames.
        y : ignored

        Returns
        -------
        self : MixtureEstimator

        Raises
        ------
        ValueError
            A parameter is wrong, or X is not two-dimensional, not finite, or has fewer frames than components.
        TypeError
            A sparse matrix, or values that are no numbers.
        TrainingError
            The log-likelihood is not finite: X is of extraordinary size.
        """
        config = self._config()
        dtype, jobs, generator = self._dtype(), jobs_of(self.n_jobs), _generator(self.random_state)
        X = checked_features(X, type(self).__name__)
        if isinstance(config.components, int) and len(X) < config.components:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {config.components}, n_samples = {len(X)}"
            )
        start = self._start(config, X.shape[1])
        # a generator for each start: "auto" draws the same for every K
        draws = [generator] if self._n_starts() == 1 else generator.spawn(self._n_starts())
        trained = [train(X, config, start=start, generator=draw, dtype=dtype, jobs=jobs) for draw in draws]
        mixture, record = max(trained, key=lambda result: result[1].log_likelihoods[-1])
        self.mixture_, self.record_ = mixture, record
        self.weights_, self.means_, self.covariances_ = mixture.weights, mixture.means, mixture.covariances
        self.converged_ = record.converged
        # an iteration that did not raise the likelihood was done, but is not in the history
        self.n_iter_ = max(len(record.log_likelihoods) - 1, min(config.iterations, 1))
        self.lower_bound_ = record.log_likelihoods[-1]
        self.n_features_in_ = mixture.n_features
        return self

    def _config(self) -> TrainingConfig:
        try:
            covariance = covariance_type_of(self.covariance_type).name
        except ValueError:
            covariance = self.covariance_type  # refused with the other settings
        values = {
            "components": self.n_components,
            "covariance": covariance,
            "iterations": self.max_iter,
            "tolerance": self.tol,
            "variance_floor": self.variance_floor,
            # as many components as were asked for, however few frames they get
            "minimum_frames_per_component": 1,
        }
        if not isinstance(self.initialisation, GaussianMixture):
            values["initialisation"] = self.initialisation
        return training_config(values, names=_NAMES)

    def _n_starts(self) -> int:
        with contextlib.suppress(TypeError):
            if operator.index(self.n_init) >= 1:
                return operator.index(self.n_init)
        raise ValueError(f"n_init = {self.n_init!r}: expected a whole number, at least 1")

    def _dtype(self) -> DTypeLike:
        if not isinstance(self.dtype, str) or self.dtype not in ("float32", "float64"):
            raise ValueError(f'dtype = {self.dtype!r}: expected one of "float64", "float32"')
        return np.dtype(self.dtype)

    def _start(self, config: TrainingConfig, n_features: int) -> GaussianMixture | None:
        given = self.initialisation
        if not isinstance(given, GaussianMixture):
            return None
        # a copy made by scikit-learn's clone has a covariance type of its own
        start = GaussianMixture(given.weights, given.means, given.covariances, given.covariance_type.name)
        for what, theirs, ours in (
            ("components", start.n_components, config.components),
            ("covariances", start.covariance_type.name, config.covariance),
            ("features", start.n_features, n_features),
        ):
            if theirs != ours:
                raise ValueError(f"initialisation: the mixture has {theirs} {what}, but {ours} are to be trained")
        return start

    def _frames(self, X: ArrayLike) -> Array:
        self._require_fitted()
        return checked_features(X, type(self).__name__, self.n_features_in_)

    def score_samples(self, X: ArrayLike) -> Array:
        """Return log p(x_n) (Bishop 2006, eq. 9.7), nats: (n, d) -> (n,)."""
        frames = self._frames(X)
        return frame_log_likelihoods(self.mixture_, frames, dtype=self._dtype())

    def score(self, X: ArrayLike, y: object = None) -> float:  # noqa: ARG002 - as in fit
        """Return the mean log-likelihood of frames (n, d), nats a frame."""
        return float(self.score_samples(X).mean(dtype=np.float64))

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """Return the component with the largest responsibility: (n, d) -> (n,)."""
        frames = self._frames(X)
        densities = component_log_densities(self.mixture_, frames, dtype=self._dtype())
        return np.asarray(densities.argmax(axis=1))

    def predict_proba(self, X: ArrayLike) -> Array:
        """Return the responsibilities r_nk (Bishop 2006, eq. 9.23): (n, d) -> (n, K), rows sum to 1."""
        frames = self._frames(X)
        return responsibilities(self.mixture_, frames, dtype=self._dtype())

    def fit_predict(self, X: ArrayLike, y: object = None) -> NDArray[np.intp]:
        """Train on frames (n, d) and return their components (n,)."""
        return self.fit(X, y).predict(X)

    def bic(self, X: ArrayLike) -> float:
        """Return the Bayesian information criterion on frames (n, d); the smallest is best."""
        frames = self._frames(X)
        return bic(self.mixture_, frames)

    def aic(self, X: ArrayLike) -> float:
        """Return the Akaike information criterion on frames (n, d); the smallest is best."""
        frames = self._frames(X)
        return aic(self.mixture_, frames)

    def sample(self, n_samples: int = 1) -> tuple[Float64, NDArray[np.intp]]:
        """Draw frames from the mixture.

        Parameters
        ----------
        n_samples : int
            At least 1.

        Returns
        -------
        X : ndarray, shape (n_samples, d)
        y : ndarray of int, shape (n_samples,)
            Their components. An int (or None) as `random_state` gives the same ones in every call; a generator goes on.
        """
        self._require_fitted()
        if n_samples < 1:
            raise ValueError(f"n_samples = {n_samples}: at least one sample must be drawn")
        return sample(self.mixture_, int(n_samples), _generator(self.random_state))

    def __sklearn_tags__(self) -> Any:
        """Say to scikit-learn what this is."""
        utils = importlib.import_module("sklearn.utils")
        return utils.Tags(
            estimator_type="density_estimator",
            target_tags=utils.TargetTags(required=False),
            input_tags=utils.InputTags(),
        )


def _generator(random_state: object) -> np.random.Generator:
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(1 << 32, size=4, dtype=np.uint32))
    if random_state is None:
        return np.random.default_rng(0)
    if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer) or random_state < 0:
        raise ValueError(
            f"random_state = {random_state!r}: expected None, a whole number of at least 0, or a generator of numpy"
        )
    return np.random.default_rng(int(random_state))
