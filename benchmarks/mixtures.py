"""Mixtures against scikit-learn: the same frames, the same start, the same number of iterations, no stopping.

Frames are drawn from a mixture of 64 Gaussians in 39 dimensions. scikit-learn gets them in float64, which is what it is
usually given; ours in float32. The share of the machine's limit is the time that the multiply-adds of the E-step and the
statistics, 2 (2d + 1) a frame and component, and one exp2 would take at the rates measured on this machine, over the time
taken.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from benchmarks import machine
from benchmarks.timing import interleaved_medians
from speakerid.config import TrainingConfig
from speakerid.mixtures import GaussianMixture, frame_log_likelihoods, train, train_each
from speakerid.mixtures.covariances import covariance_type
from speakerid.scoring import MixtureStack

Work = dict[str, Callable[[], object]]
D = 39
FLOOR = 1e-9
SCIKIT_LEARN = {"diagonal": "diag", "spherical": "spherical", "tied": "tied", "full": "full"}


def some_frames(n: int, seed: int, *, clusters: int = 64) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    centres, spread = rng.normal(0, 1.5, (clusters, D)), rng.uniform(0.5, 1.5, (clusters, D))
    which = rng.integers(0, clusters, n)
    return centres[which] + spread[which] * rng.standard_normal((n, D))


def a_start(X: np.ndarray[Any, Any], k: int, kind: str = "diagonal") -> GaussianMixture:
    """The first frames as means, the variance of all for each component."""
    variance = X.var(axis=0, dtype=np.float64)
    covariances = {
        "diagonal": np.tile(variance, (k, 1)),
        "spherical": np.full(k, variance.mean()),
        "tied": np.diag(variance),
        "full": np.tile(np.diag(variance), (k, 1, 1)),
    }
    return GaussianMixture(np.full(k, 1 / k), X[:k], covariances[kind], kind)


def by_scikit_learn(X: np.ndarray[Any, Any], start: GaussianMixture, iterations: int) -> Any:
    from sklearn.mixture import GaussianMixture as Other

    kind = start.covariance_type.name
    precisions = np.linalg.inv(start.covariances) if kind in ("tied", "full") else 1 / start.covariances
    model = Other(
        start.n_components, covariance_type=SCIKIT_LEARN[kind], max_iter=iterations, tol=0, reg_covar=FLOOR,
        init_params="random_from_data", random_state=0,
        weights_init=start.weights, means_init=start.means, precisions_init=precisions,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it did not converge: with tol = 0 that is so
        return model.fit(X)


def _config(k: int, iterations: int, kind: str = "diagonal") -> TrainingConfig:
    return TrainingConfig(
        components=k, covariance=kind, iterations=iterations, tolerance=0, variance_floor=FLOOR,
        minimum_frames_per_component=1,
    )  # type: ignore[arg-type] # fmt: skip


def _threads(n: int, function: Callable[[], object]) -> Callable[[], object]:
    def limited() -> object:
        with threadpool_limits(n):
            return function()

    return limited


def _least(limit: machine.Limit, n_frames: int, k: int, iterations: int, kind: str = "diagonal") -> float:
    """Seconds on one thread; the last E-step gives the likelihood of the result."""
    values = n_frames * k * (iterations + 1)
    return limit.seconds(2 * (D + 1 + covariance_type(kind).n_quadratic(D)) * values, values)


def em(limit: machine.Limit, jobs: int) -> str:
    """One mixture, diagonal."""
    lines = [
        "| EM, diagonal | threads | scikit-learn | speakerid | × | of the machine's limit |",
        "|---|---|---|---|---|---|",
    ]
    agreement = []
    for n, k, iterations, rounds in (
        (50_000, 16, 10, 5),
        (50_000, 64, 10, 5),
        (50_000, 512, 10, 3),
        (1_000_000, 64, 3, 3),
    ):
        X = some_frames(n, 1)
        small, start = X.astype(np.float32), a_start(X, k)
        config = _config(k, iterations)
        work: Work = {}
        for t in dict.fromkeys((1, jobs)):
            work[f"other {t}"] = _threads(t, lambda X=X, s=start, i=iterations: by_scikit_learn(X, s, i))
            work[f"ours {t}"] = lambda X=small, s=start, c=config, t=t: train(X, c, start=s, jobs=t)
        times = interleaved_medians(work, rounds=rounds, warm=n < 1_000_000)
        for t in dict.fromkeys((1, jobs)):
            other, ours = times[f"other {t}"], times[f"ours {t}"]
            share = _least(limit, n, k, iterations) / t / ours
            lines.append(
                f"| {n:,} frames, K = {k}, {iterations} iterations | {t} | {other:.2f} s | {ours:.3f} s "
                f"| {other / ours:.1f} | {100 * share:.0f} % |"
            )
        if n == 50_000:
            agreement.append(f"K = {k}: {_agreement(X, small, start, config)}")
    return (
        "\n".join(lines)
        + "\n\nMean log-likelihood after it, relative difference to scikit-learn's: "
        + "; ".join(agreement)
        + "."
    )


def _agreement(X: Any, small: Any, start: GaussianMixture, config: TrainingConfig) -> str:
    expected = by_scikit_learn(X, start, config.iterations).score(X)
    double = train(X, config, start=start, dtype=np.float64)[1].log_likelihoods[-1]
    single = train(small, config, start=start)[1].log_likelihoods[-1]
    return f"{abs(double / expected - 1):.0e} in float64, {abs(single / expected - 1):.0e} in float32"


def covariances(limit: machine.Limit, jobs: int) -> str:
    """The other covariance types."""
    n, k, iterations = 50_000, 16, 10
    X = some_frames(n, 2)
    small = X.astype(np.float32)
    work: Work = {}
    for kind in ("spherical", "tied", "full"):
        start, config = a_start(X, k, kind), _config(k, iterations, kind)
        for t in dict.fromkeys((1, jobs)):
            work[f"other {kind} {t}"] = _threads(t, lambda s=start: by_scikit_learn(X, s, iterations))
            work[f"ours {kind} {t}"] = lambda s=start, c=config, t=t: train(small, c, start=s, jobs=t)
    times = interleaved_medians(work, rounds=3)
    lines = [
        f"| EM, {n:,} frames, K = {k}, {iterations} iterations | threads | scikit-learn | speakerid | × "
        "| of the machine's limit |",
        "|---|---|---|---|---|---|",
    ]
    for kind in ("spherical", "tied", "full"):
        for t in dict.fromkeys((1, jobs)):
            other, ours = times[f"other {kind} {t}"], times[f"ours {kind} {t}"]
            share = _least(limit, n, k, iterations, kind) / t / ours
            lines.append(f"| {kind} | {t} | {other:.2f} s | {ours:.3f} s | {other / ours:.1f} | {100 * share:.0f} % |")
    return "\n".join(lines)


def speakers(limit: machine.Limit, jobs: int) -> str:
    """Many small mixtures."""
    n_speakers, k, iterations = 251, 32, 10
    lengths = np.random.default_rng(3).integers(1300, 1500, n_speakers)
    doubles = [some_frames(int(n), i, clusters=16) for i, n in enumerate(lengths)]
    singles = [X.astype(np.float32) for X in doubles]
    starts = [a_start(X, k) for X in doubles]
    config = _config(k, iterations)
    with Parallel(n_jobs=jobs) as pool:
        pool(delayed(by_scikit_learn)(X, s, 1) for X, s in zip(doubles[:8], starts[:8], strict=True))
        work: Work = {
            "scikit-learn in a loop": _threads(
                1, lambda: [by_scikit_learn(X, s, iterations) for X, s in zip(doubles, starts, strict=True)]
            ),
            f"scikit-learn, {jobs} warm processes": lambda: pool(
                delayed(by_scikit_learn)(X, s, iterations) for X, s in zip(doubles, starts, strict=True)
            ),
        }
        for t in dict.fromkeys((1, jobs)):
            work[f"speakerid, {t} thread{'s' * (t > 1)}"] = lambda t=t: train_each(
                singles, config, starts=starts, jobs=t
            )
        times = interleaved_medians(work, rounds=3)
    loop, processes = (times[name] for name in list(times)[:2])
    least = _least(limit, int(lengths.sum()), k, iterations)
    lines = [
        f"| {n_speakers} speakers × K = {k} × {iterations} iterations | time | × the loop | × the processes "
        "| of the machine's limit |",
        "|---|---|---|---|---|",
    ]
    for name, t in times.items():
        share = "" if "scikit" in name else f"{100 * least / (jobs if str(jobs) in name else 1) / t:.0f} %"
        lines.append(f"| {name} | {t:.2f} s | {loop / t:.1f} | {processes / t:.1f} | {share} |")
    return "\n".join(lines)


def scoring(limit: machine.Limit, jobs: int) -> str:
    """One recording of 30 s against many speakers."""
    n_speakers, k, n = 1000, 32, 3000
    rng = np.random.default_rng(4)
    mixtures = [
        GaussianMixture(rng.dirichlet(np.full(k, 5.0)), rng.normal(0, 1.5, (k, D)), rng.uniform(0.3, 2, (k, D)))
        for _ in range(n_speakers)
    ]
    others = [_as_scikit_learn(m) for m in mixtures]
    X = some_frames(n, 5)
    small, stack = X.astype(np.float32), MixtureStack(mixtures)
    work: Work = {}
    for t in dict.fromkeys((1, jobs)):
        work[f"a loop of score_samples, {t}"] = _threads(t, lambda: [m.score_samples(X).mean() for m in others])
        work[f"MixtureStack, {t}"] = lambda t=t: stack.mean_log_likelihoods(small, jobs=t)
    times = interleaved_medians(work, rounds=3)
    values = n * n_speakers * k
    least = limit.seconds((2 * D + 1) * values, values)
    expected = np.array([frame_log_likelihoods(m, X).mean() for m in mixtures[:50]])
    error = np.abs(stack.mean_log_likelihoods(small)[:50] - expected).max()
    lines = [
        f"| {n // 100} s against {n_speakers:,} speakers, K = {k} | threads | scikit-learn | speakerid | × "
        "| of the machine's limit |",
        "|---|---|---|---|---|---|",
    ]
    for t in dict.fromkeys((1, jobs)):
        other, ours = times[f"a loop of score_samples, {t}"], times[f"MixtureStack, {t}"]
        lines.append(f"| | {t} | {other:.2f} s | {ours:.2f} s | {other / ours:.1f} | {100 * least / t / ours:.0f} % |")
    return "\n".join(lines) + f"\n\nLargest error of a score: {error:.0e} nats a frame."


def _as_scikit_learn(mixture: GaussianMixture) -> Any:
    from sklearn.mixture import GaussianMixture as Other

    model = Other(mixture.n_components, covariance_type="diag")
    model.weights_, model.means_, model.covariances_ = mixture.weights, mixture.means, mixture.variances
    model.precisions_cholesky_ = 1 / np.sqrt(mixture.variances)
    return model


def settings(jobs: int) -> str:
    """The defaults against every setting of BLAS threads and of our own."""
    X = some_frames(50_000, 1).astype(np.float32)
    start, config = a_start(X, 64), _config(64, 10)
    choices: Sequence[int | None] = [*dict.fromkeys((1, jobs, 2 * jobs)), None]
    work: Work = {
        f"{blas} | {'default' if own is None else own}": _threads(
            blas, lambda own=own: train(X, config, start=start, jobs=own)
        )
        for blas in dict.fromkeys((1, jobs, 2 * jobs))
        for own in choices
    }
    times = interleaved_medians(work, rounds=5)
    best = min(times.values())
    lines = ["| BLAS threads | jobs | time | × the best |", "|---|---|---|---|"]
    lines += [f"| {name} | {1000 * t:.0f} ms | {t / best:.2f} |" for name, t in times.items()]
    return "\n".join(lines)


_MEMORY = """
import resource, sys
from benchmarks import mixtures
X = mixtures.some_frames(1_000_000, 1)
start = mixtures.a_start(X[:100_000], 64)
if sys.argv[1] == "ours":
    X = X.astype("float32")
    mixtures.train(X[:10_000], mixtures._config(64, 1), start=start)
else:
    mixtures.by_scikit_learn(X[:10_000], start, 1)
def now():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
open("/proc/self/clear_refs", "w").write("5")
before = now()
if sys.argv[1] == "ours":
    mixtures.train(X, mixtures._config(64, 2), start=start)
else:
    mixtures.by_scikit_learn(X, start, 2)
with open("/proc/self/status") as file:
    peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
print((peak - before) / 1024)
"""


def memory() -> str:
    """Peak memory beyond the frames, of a process of its own (Linux)."""

    def extra(which: str) -> float:
        done = subprocess.run(
            [sys.executable, "-c", _MEMORY, which], check=True, capture_output=True, text=True, env=os.environ
        )
        return float(done.stdout)

    return (
        "Memory beyond the frames themselves, EM of 1,000,000 frames, K = 64: "
        f"speakerid {extra('ours'):.0f} MB, scikit-learn {extra('other'):,.0f} MB."
    )


def section() -> str:
    """All of it."""
    limit, jobs = machine.measure(), len(os.sched_getaffinity(0))
    rates = (
        f"Limit of this machine, one thread: {limit.flops / 1e9:.0f} GFLOP/s in a matrix product of float32, "
        f"{limit.exponentials / 1e9:.1f} Gexp2/s; EM of diagonal mixtures at that rate: "
        f"{1e-6 / limit.seconds(2 * (2 * D + 1), 1):.0f} million frame · components a second."
    )
    parts = (
        em(limit, jobs),
        memory(),
        covariances(limit, jobs),
        speakers(limit, jobs),
        scoring(limit, jobs),
        "The default against other settings of threads, 50,000 frames, K = 64, 10 iterations:\n\n" + settings(jobs),
    )
    return "\n\n".join((rates, *parts))


if __name__ == "__main__":
    print(section())
