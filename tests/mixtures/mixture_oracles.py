"""What the tests of mixtures compare with: densities and EM written out from the book, scipy's and scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
import scipy.special
import scipy.stats
import sklearn.mixture
from numpy.typing import NDArray

from speakerid.mixtures import GaussianMixture

Array = NDArray[Any]
Float64 = NDArray[np.float64]

TYPES = ("diagonal", "spherical", "tied", "full")
IN_SCIKIT_LEARN = {"diagonal": "diag", "spherical": "spherical", "tied": "tied", "full": "full"}
NEVER = 1e-12  # a floor that touches nothing


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


# Models and frames


def some_covariances(kind: str, k: int, d: int, rng: np.random.Generator) -> Float64:
    """Covariances of about 1, in the shape of their type; features are correlated where the type lets them."""
    if kind == "diagonal":
        return rng.uniform(0.1, 2.0, (k, d))
    if kind == "spherical":
        return rng.uniform(0.1, 2.0, k)
    factors = rng.normal(0, 0.5, (k, d, d)) / np.sqrt(d)
    full = factors @ factors.swapaxes(1, 2) + rng.uniform(0.2, 1.0, (k, d, 1)) * np.eye(d)
    return full[0] if kind == "tied" else full


def a_mixture(
    k: int, d: int, seed: int, kind: str = "diagonal", *, offset: float = 0.0, scale: float = 1.0
) -> GaussianMixture:
    rng = seeded(seed)
    means = offset + scale * rng.normal(0, 2, (k, d))
    return GaussianMixture(rng.dirichlet(np.full(k, 3.0)), means, scale**2 * some_covariances(kind, k, d, rng), kind)


def matrices_of(mixture: GaussianMixture) -> Float64:
    """Σ_k, (K, d, d), whatever the type."""
    k, d = mixture.means.shape
    sigma = mixture.covariances
    each = {
        "diagonal": lambda i: np.diag(sigma[i]),
        "spherical": lambda i: float(sigma[i]) * np.eye(d),
        "tied": lambda _: sigma,
        "full": lambda i: sigma[i],
    }[mixture.covariance_type.name]
    return np.stack([each(i) for i in range(k)])


def some_frames(mixture: GaussianMixture, n: int, seed: int) -> Float64:
    """Frames of the mixture, and some far from it."""
    rng = seeded(seed)
    k = rng.choice(mixture.n_components, n, p=mixture.weights)
    spread = np.where(rng.random((n, 1)) < 0.1, 5.0, 1.0)
    factors = np.linalg.cholesky(matrices_of(mixture))
    return np.asarray(
        mixture.means[k] + spread * (factors[k] @ rng.standard_normal((n, mixture.n_features, 1)))[..., 0]
    )


def clusters(n: int, d: int, k: int, seed: int, *, distance: float = 4.0, correlated: bool = False) -> Float64:
    rng = seeded(seed)
    centres = rng.normal(0, distance, (k, d))
    noise = rng.normal(0, 1, (n, d)) * rng.uniform(0.5, 2, d)
    which = rng.integers(0, k, n)
    if correlated:
        noise = noise @ (np.eye(d) + rng.normal(0, 0.5, (d, d)) / np.sqrt(d))
    return np.asarray(centres[which] + noise)


def global_covariance(X: Array, kind: str, k: int) -> Float64:
    """The covariance of all frames, in the shape of the type, for each component."""
    X = np.asarray(X, dtype=np.float64)
    matrix = np.cov(X, rowvar=False, bias=True).reshape(X.shape[1], X.shape[1])
    return {
        "diagonal": np.tile(X.var(axis=0), (k, 1)),
        "spherical": np.full(k, X.var(axis=0).mean()),
        "tied": matrix,
        "full": np.tile(matrix, (k, 1, 1)),
    }[kind]


def a_start(X: Array, k: int, seed: int, kind: str = "diagonal") -> GaussianMixture:
    """Frames as means, the covariance of all frames for each component."""
    means = X[seeded(seed).choice(len(X), k, replace=False)]
    return GaussianMixture(np.full(k, 1 / k), means, global_covariance(X, kind, k), kind)


# Densities


def by_scipy(mixture: GaussianMixture, X: Array) -> Float64:
    """log π_k N(x_n; k), (n, K)."""
    columns = [
        np.log(weight) + scipy.stats.multivariate_normal(mean, matrix).logpdf(X)
        for weight, mean, matrix in zip(mixture.weights, mixture.means, matrices_of(mixture), strict=True)
    ]
    return np.stack([np.reshape(column, len(X)) for column in columns], axis=1)


def written_out_densities(mixture: GaussianMixture, X: Array) -> Float64:
    """log π_k N(x_n; k), (n, K), not multiplied out; features may have very different scales."""
    X = np.asarray(X, dtype=np.float64)
    columns = []
    for weight, mean, matrix in zip(mixture.weights, mixture.means, matrices_of(mixture), strict=True):
        deviation = np.sqrt(np.diag(matrix))
        factor = np.linalg.cholesky(matrix / np.outer(deviation, deviation))
        z = scipy.linalg.solve_triangular(factor, ((X - mean) / deviation).T, lower=True)
        size = len(mean) * np.log(2 * np.pi) + 2 * np.log(np.diag(factor) * deviation).sum()
        columns.append(np.log(weight) - 0.5 * (size + (z**2).sum(axis=0)))
    return np.stack(columns, axis=1)


def written_out_likelihood(mixture: GaussianMixture, X: Array) -> float:
    """Nats a frame."""
    return float(scipy.special.logsumexp(written_out_densities(mixture, X), axis=1).mean())


def in_scikit_learn(mixture: GaussianMixture) -> sklearn.mixture.GaussianMixture:
    kind = mixture.covariance_type.name
    model = sklearn.mixture.GaussianMixture(mixture.n_components, covariance_type=IN_SCIKIT_LEARN[kind])
    model.weights_, model.means_, model.covariances_ = mixture.weights, mixture.means, mixture.covariances
    if kind in ("diagonal", "spherical"):
        model.precisions_cholesky_ = 1 / np.sqrt(mixture.covariances)
    else:
        model.precisions_cholesky_ = np.linalg.inv(np.linalg.cholesky(mixture.covariances)).swapaxes(-1, -2)
    return model


# EM


def written_out_update(r: Array, X: Array, kind: str) -> GaussianMixture:
    """Bishop 2006, eq. 9.24-9.26, and what becomes of 9.25 when covariances are diagonal, spherical or tied."""
    X = np.asarray(X, dtype=np.float64)
    n, d = X.shape
    N = r.sum(axis=0)
    means = np.stack([(r[:, k, None] * X).sum(axis=0) / N[k] for k in range(len(N))])  # 9.24
    scatter = np.stack([(r[:, k, None] * (X - means[k])).T @ (X - means[k]) for k in range(len(N))])
    covariances = {
        "diagonal": lambda: np.stack([np.diag(scatter[k]) / N[k] for k in range(len(N))]),
        "spherical": lambda: np.array([np.trace(scatter[k]) / (N[k] * d) for k in range(len(N))]),
        "tied": lambda: scatter.sum(axis=0) / n,
        "full": lambda: scatter / N[:, None, None],  # 9.25
    }[kind]()
    return GaussianMixture(N / n, means, covariances, kind)  # 9.26


def written_out_step(mixture: GaussianMixture, X: Array) -> GaussianMixture:
    """One iteration of EM."""
    r = scipy.special.softmax(written_out_densities(mixture, X), axis=1)  # 9.23
    return written_out_update(r, X, mixture.covariance_type.name)


def assert_close(one: GaussianMixture, other: GaussianMixture, tolerance: float) -> None:
    """Equal to `tolerance`, means and covariances measured in deviations."""
    assert one.covariance_type is other.covariance_type
    assert one.covariances.shape == other.covariances.shape
    np.testing.assert_allclose(one.weights, other.weights, rtol=tolerance, atol=tolerance)
    deviations = np.sqrt(np.diagonal(matrices_of(other), axis1=1, axis2=2))
    np.testing.assert_allclose((one.means - other.means) / deviations, 0, atol=tolerance)
    products = deviations[:, :, None] * deviations[:, None, :]
    np.testing.assert_allclose((matrices_of(one) - matrices_of(other)) / products, 0, atol=tolerance)
