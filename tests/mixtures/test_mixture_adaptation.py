"""MAP adaptation against the paper's equations, written down once more with nothing but loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerid.config import TrainingConfig
from speakerid.errors import TrainingError
from speakerid.mixtures import (
    GaussianMixture,
    Part,
    SufficientStatistics,
    TrainingRecord,
    accumulate,
    adapt_each,
    frame_log_likelihoods,
    maximum_a_posteriori_update,
    maximum_likelihood_update,
)

# far enough from the origin, and wide enough, that mean and mean² cannot be taken for each other
WORLD = GaussianMixture([0.5, 0.3, 0.2], [[4.0, -3.0], [6.0, 2.0], [0.5, 7.0]], [[2.0, 1.5], [1.0, 3.0], [0.7, 0.9]])


def speaker(n: int = 60, seed: int = 1) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    return np.concatenate([generator.normal([5.0, -2.0], 0.8, (n, 2)), generator.normal([1.0, 6.0], 0.5, (n // 2, 2))])


def density(x: NDArray[np.float64], mean: NDArray[np.float64], variance: NDArray[np.float64]) -> float:
    exponent = sum((x[i] - mean[i]) ** 2 / variance[i] for i in range(len(x)))
    return math.exp(-0.5 * exponent) / math.sqrt(math.prod(2 * math.pi * v for v in variance))


def by_the_paper(
    world: GaussianMixture, frames: NDArray[np.float64], r: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Reynolds, Quatieri and Dunn 2000, eq. 7-14: weights, means, variances."""
    k_all, d_all, big_t = world.n_components, world.n_features, len(frames)
    n = [0.0] * k_all
    e_x = np.zeros((k_all, d_all))
    e_xx = np.zeros((k_all, d_all))
    for x in frames:
        joint = [world.weights[k] * density(x, world.means[k], world.covariances[k]) for k in range(k_all)]
        for k in range(k_all):
            posterior = joint[k] / sum(joint)  # 7
            n[k] += posterior  # 8
            e_x[k] += posterior * x
            e_xx[k] += posterior * x * x
    weights, means, variances = np.zeros(k_all), np.zeros((k_all, d_all)), np.zeros((k_all, d_all))
    for k in range(k_all):
        alpha = n[k] / (n[k] + r)  # 14
        weights[k] = alpha * n[k] / big_t + (1 - alpha) * world.weights[k]
        for i in range(d_all):
            means[k, i] = alpha * e_x[k, i] / n[k] + (1 - alpha) * world.means[k, i]  # 12
            variances[k, i] = (
                alpha * e_xx[k, i] / n[k]
                + (1 - alpha) * (world.covariances[k, i] + world.means[k, i] ** 2)
                - means[k, i] ** 2
            )  # 13
    return weights / weights.sum(), means, variances  # 11


def statistics(frames: NDArray[np.float64], world: GaussianMixture = WORLD) -> SufficientStatistics:
    return accumulate(world, frames, dtype=np.float64)


def assert_close(mixture: GaussianMixture, weights: object, means: object, variances: object) -> None:
    np.testing.assert_allclose(mixture.weights, weights, rtol=1e-9)
    np.testing.assert_allclose(mixture.means, means, rtol=1e-9)
    np.testing.assert_allclose(mixture.covariances, variances, rtol=1e-8)


@pytest.mark.parametrize("r", [0.5, 16.0, 200.0])
def test_all_of_it_as_the_paper_says(r: float) -> None:
    adapted = maximum_a_posteriori_update(WORLD, statistics(speaker()), r, weights=True, variances=True)
    weights, means, variances = by_the_paper(WORLD, speaker(), r)
    assert_close(adapted, weights, means, variances)
    # what the equation with mean in the place of mean² would give is far off, so this test tells the two apart
    stats = statistics(speaker())
    alpha = (stats.zeroth / (stats.zeroth + r))[:, None]
    wrong = alpha * stats.second / stats.zeroth[:, None] + (1 - alpha) * (WORLD.covariances + WORLD.means) - means**2
    assert np.abs(wrong - variances).min() > 1e-3


def test_values_worked_out_by_hand() -> None:
    # one component, so every frame is its own: N = 4, E(x) = 5, E(x²) = 27, r = 12: α = 1/4
    world = GaussianMixture([1.0], [[1.0]], [[2.0]])
    adapted = maximum_a_posteriori_update(
        world, statistics(np.array([[4.0], [4.0], [5.0], [7.0]]), world), 12.0, weights=True, variances=True
    )
    # 5/4 + 3/4 = 2; E(x²) = 26.5: 26.5/4 + 3/4·(2 + 1) − 4 = 4.875
    assert_close(adapted, [1.0], [[2.0]], [[4.875]])


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("means", [False, True])
def test_what_is_not_adapted_is_the_worlds_to_the_last_bit(weights: bool, means: bool) -> None:
    adapted = maximum_a_posteriori_update(WORLD, statistics(speaker()), weights=weights, means=means)
    assert np.array_equal(adapted.weights, WORLD.weights) == (not weights)
    assert np.array_equal(adapted.means, WORLD.means) == (not means)
    assert np.array_equal(adapted.covariances, WORLD.covariances)


def test_means_alone_are_the_default() -> None:
    adapted = maximum_a_posteriori_update(WORLD, statistics(speaker()))
    _weights, means, _variances = by_the_paper(WORLD, speaker(), 16.0)
    assert_close(adapted, WORLD.weights, means, WORLD.covariances)


def test_variances_without_means_are_second_moments_about_the_worlds() -> None:
    adapted = maximum_a_posteriori_update(WORLD, statistics(speaker()), 5.0, means=False, variances=True)
    stats = statistics(speaker())
    for k in range(3):
        posterior = [
            WORLD.weights[k]
            * density(x, WORLD.means[k], WORLD.covariances[k])
            / sum(WORLD.weights[j] * density(x, WORLD.means[j], WORLD.covariances[j]) for j in range(3))
            for x in speaker()
        ]
        about = sum(p * (x - WORLD.means[k]) ** 2 for p, x in zip(posterior, speaker(), strict=True)) / sum(posterior)
        alpha = stats.zeroth[k] / (stats.zeroth[k] + 5.0)
        expected = alpha * about + (1 - alpha) * WORLD.covariances[k]
        np.testing.assert_allclose(adapted.covariances[k], expected, rtol=1e-8)


def test_no_relevance_is_maximum_likelihood() -> None:
    stats = statistics(speaker())
    likeliest, _report = maximum_likelihood_update(stats, 1e-9)
    for r in (0.0, 1e-300):
        adapted = maximum_a_posteriori_update(WORLD, stats, r, weights=True, variances=True)
        assert_close(adapted, likeliest.weights, likeliest.means, likeliest.covariances)


def test_boundless_relevance_is_the_world() -> None:
    adapted = maximum_a_posteriori_update(WORLD, statistics(speaker()), 1e15, weights=True, variances=True)
    assert_close(adapted, WORLD.weights, WORLD.means, WORLD.covariances)


@pytest.mark.parametrize("r", [0.0, 16.0])
def test_without_frames_it_is_the_world(r: float) -> None:
    nothing = SufficientStatistics(0, 0.0, np.zeros(3), np.zeros((3, 2)), np.zeros((3, 2)))
    assert maximum_a_posteriori_update(WORLD, nothing, r, weights=True, variances=True) == WORLD


@pytest.mark.parametrize("r", [0.0, 16.0])
def test_a_component_without_frames_stays_where_it_is(r: float) -> None:
    stats = SufficientStatistics(
        10, 0.0, np.array([10.0, 0, 0]), np.array([[40.0, 20], [0, 0], [0, 0]]), np.array([[180.0, 50], [0, 0], [0, 0]])
    )
    adapted = maximum_a_posteriori_update(WORLD, stats, r, variances=True)
    assert np.array_equal(adapted.means[1:], WORLD.means[1:])
    assert np.array_equal(adapted.covariances[1:], WORLD.covariances[1:])
    assert not np.array_equal(adapted.means[0], WORLD.means[0])


def test_half_of_the_way_with_r_frames() -> None:
    world = GaussianMixture([1.0], [[0.0, 2.0]], [[1.0, 1.0]])
    adapted = maximum_a_posteriori_update(world, statistics(np.tile([4.0, 4.0], (16, 1)), world), 16.0)
    np.testing.assert_allclose(adapted.means, [[2.0, 3.0]], rtol=1e-12)


@pytest.mark.parametrize("parts", [2, 5])
def test_statistics_of_recordings_add(parts: int) -> None:
    frames = speaker(200)
    total = statistics(np.array_split(frames, parts)[0])
    for part in np.array_split(frames, parts)[1:]:
        total = total + statistics(part)
    at_once = maximum_a_posteriori_update(WORLD, statistics(frames), 16.0, weights=True, variances=True)
    added = maximum_a_posteriori_update(WORLD, total, 16.0, weights=True, variances=True)
    assert_close(added, at_once.weights, at_once.means, at_once.covariances)


def test_one_frame_leaves_a_variance() -> None:
    adapted = maximum_a_posteriori_update(WORLD, statistics(np.array([[4.5, -2.5]])), 0.0, variances=True)
    assert (adapted.covariances > 0).all()
    np.testing.assert_allclose(adapted.means[0], [4.5, -2.5], rtol=1e-6)


def test_the_floor_holds_but_never_raises_the_worlds_own() -> None:
    frames = np.tile([4.0, -3.0], (1000, 1))
    floor = np.array([0.8, 0.8])
    adapted = maximum_a_posteriori_update(WORLD, statistics(frames), 16.0, variances=True, floor=floor)
    np.testing.assert_array_equal(adapted.covariances[0], [0.8, 0.8])
    assert adapted.covariances[2, 0] == WORLD.covariances[2, 0] == 0.7  # below the floor, and no frame has come
    lower = maximum_a_posteriori_update(WORLD, statistics(frames), 16.0, variances=True, floor=0.01)
    assert (lower.covariances[0] < 0.1).all()
    assert (lower.covariances[0] > 0.01).all()


@given(st.integers(0, 10_000), st.integers(1, 40), st.floats(0.0, 1e6), st.booleans(), st.booleans(), st.booleans())
def test_it_is_always_a_mixture(seed: int, n: int, r: float, weights: bool, means: bool, variances: bool) -> None:
    generator = np.random.default_rng(seed)
    k, d = int(generator.integers(1, 6)), int(generator.integers(1, 4))
    spread = 10.0 ** generator.integers(-2, 3)
    world = GaussianMixture(
        generator.dirichlet(np.full(k, 0.5)) * (1 - 1e-6) + 1e-6 / k,
        generator.normal(0, spread, (k, d)),
        np.exp(generator.normal(0, 2, (k, d))),
    )
    frames = generator.normal(generator.normal(0, spread, d), np.exp(generator.normal(0, 1)), (n, d))
    adapted = maximum_a_posteriori_update(
        world, statistics(frames, world), r, weights=weights, means=means, variances=variances
    )
    assert adapted.weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert (adapted.weights > 0).all()
    assert (adapted.covariances > 0).all()
    # a mean lies between the world's and the frames
    low, high = np.minimum(world.means, frames.min(axis=0)), np.maximum(world.means, frames.max(axis=0))
    slack = 1e-6 * (np.abs(low) + np.abs(high) + spread)
    assert (adapted.means >= low - slack).all()
    assert (adapted.means <= high + slack).all()


@pytest.mark.parametrize("r", [-1.0, math.nan, math.inf])
def test_a_relevance_that_is_none(r: float) -> None:
    with pytest.raises(ValueError, match="relevance factor"):
        maximum_a_posteriori_update(WORLD, statistics(speaker()), r)


def test_what_does_not_fit_is_refused() -> None:
    full = GaussianMixture([1.0], [[0.0, 0.0]], [np.eye(2)], "full")
    with pytest.raises(ValueError, match="adaptation is of diagonal mixtures, got one with full"):
        maximum_a_posteriori_update(full, statistics(speaker()))
    other = GaussianMixture([1.0], [[0.0, 0.0]], [[1.0, 1.0]])
    with pytest.raises(ValueError, match=r"expected statistics under the world model, shape \(3, 2\), got \(1, 2\)"):
        maximum_a_posteriori_update(WORLD, statistics(speaker(), other))
    with pytest.raises(ValueError, match="expected statistics under the world model"):
        maximum_a_posteriori_update(other, accumulate(full, speaker()))


# several speakers


def adapting(**values: object) -> TrainingConfig:
    return TrainingConfig(method="map", **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("adapted", ["means", "means_variances", "all"])
def test_each_as_alone(adapted: str) -> None:
    config = adapting(adapted=adapted, relevance_factor=4.0, variance_floor=1e-4)
    ((mixture, record),) = adapt_each([speaker()], WORLD, config, jobs=1)
    weights, means, variances = by_the_paper(WORLD, speaker(), 4.0)
    np.testing.assert_allclose(mixture.means, means, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mixture.weights, weights if adapted == "all" else WORLD.weights, rtol=1e-5)
    np.testing.assert_allclose(mixture.covariances, WORLD.covariances if adapted == "means" else variances, rtol=1e-4)
    assert (record.components, record.components_asked, record.n_frames) == (3, 3, 90)
    assert record.log_likelihoods[0] == pytest.approx(accumulate(WORLD, speaker()).mean_log_likelihood)
    assert record.log_likelihoods[1] == pytest.approx(accumulate(mixture, speaker()).mean_log_likelihood)
    assert record.log_likelihoods[1] > record.log_likelihoods[0]


def test_the_floor_is_a_share_of_the_worlds_spread() -> None:
    config = adapting(adapted="means_variances", relevance_factor=0.5, variance_floor=0.05)
    ((mixture, _record),) = adapt_each([np.tile([4.0, -3.0], (5000, 1))], WORLD, config, jobs=1)
    mean = sum(WORLD.weights[k] * WORLD.means[k] for k in range(3))
    spread = sum(WORLD.weights[k] * (WORLD.covariances[k] + (WORLD.means[k] - mean) ** 2) for k in range(3))
    np.testing.assert_allclose(mixture.covariances[0], 0.05 * spread, rtol=1e-9)


def test_jobs_and_neighbours_do_not_matter() -> None:
    matrices = [speaker(n, seed).astype(np.float32) for seed, n in enumerate((3, 400, 50, 2500, 7, 90))]
    config = adapting(adapted="all")
    alone = [adapt_each([X], WORLD, config, jobs=1)[0] for X in matrices]
    for jobs in (1, 2, 3, 16, None):
        for (one, one_record), (other, other_record) in zip(
            alone, adapt_each(matrices, WORLD, config, jobs=jobs), strict=True
        ):
            assert one == other
            assert one_record == other_record
    assert adapt_each([], WORLD, config) == []


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.array([[1.0, math.nan]]), "frame 0 has a value that is not finite"),
        (np.array([[1.0, 2.0], [math.inf, 2.0]]), "frame 1 has a value that is not finite"),
        (np.zeros((0, 2)), "expected frames of shape"),
        (np.zeros((4, 3)), r"cannot adapt the world model: expected frames of shape \(n, 2\), got \(4, 3\)"),
    ],
)
def test_frames_that_cannot_be_used_are_one_speakers_error(jobs: int, frames: object, message: str) -> None:
    config = adapting()
    first, second, third = adapt_each([speaker(), frames, speaker()], WORLD, config, jobs=jobs)  # type: ignore[list-item]
    assert isinstance(second, TrainingError)
    with pytest.raises(TrainingError, match=message):
        raise second
    assert not isinstance(first, TrainingError)
    assert not isinstance(third, TrainingError)
    assert first[0] == third[0]


@pytest.mark.parametrize("kind", ["full", "tied", "spherical"])
def test_a_world_of_another_covariance_is_an_error(kind: str) -> None:
    covariances = {"full": [np.eye(2)], "tied": np.eye(2), "spherical": [1.0]}[kind]
    (result,) = adapt_each([speaker()], GaussianMixture([1.0], [[0.0, 0.0]], covariances, kind), adapting())
    assert isinstance(result, TrainingError)
    assert f"adaptation is of diagonal mixtures, got one with {kind} covariances" in str(result)


def adapted_alone(
    recordings: list[NDArray[np.float64]], world: GaussianMixture, config: TrainingConfig, parts: tuple[Part, ...] = ()
) -> tuple[GaussianMixture, TrainingRecord]:
    (result,) = adapt_each([recordings], world, config, parts=parts, jobs=1)
    assert not isinstance(result, TrainingError)
    return result


def moved(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    return frames + 1.0


@pytest.mark.parametrize("adapted", ["means", "all"])
def test_parts_are_adapted_by_themselves_and_put_together(adapted: str) -> None:
    other = GaussianMixture(WORLD.weights[::-1], WORLD.means[::-1] + 0.5, 1.5 * WORLD.covariances)
    k = WORLD.n_components
    joined = GaussianMixture(
        np.concatenate([WORLD.weights, 3 * other.weights]) / 4,
        np.concatenate([WORLD.means, other.means]),
        np.concatenate([WORLD.covariances, other.covariances]),
    )
    frames, config = speaker(), adapting(adapted=adapted, relevance_factor=4.0, variance_floor=1e-9)
    mixture, record = adapted_alone([frames], joined, config, (Part(k), Part(k, moved)))
    first, _record = adapted_alone([frames], WORLD, config)
    second, _record = adapted_alone([frames, moved(frames)], other, config)
    np.testing.assert_allclose(mixture.means, np.concatenate([first.means, second.means]), rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        mixture.covariances, np.concatenate([first.covariances, second.covariances]), rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(
        mixture.weights, np.concatenate([first.weights, 3 * second.weights]) / 4, rtol=0, atol=1e-6
    )
    likelihoods = [frame_log_likelihoods(each, frames).mean() for each in (joined, mixture)]
    assert record.log_likelihoods == pytest.approx(likelihoods, abs=1e-5)


def test_what_is_held_out_is_held_out_of_the_copies_too() -> None:
    recordings = [speaker(40, seed) for seed in (1, 2)]
    parts = (Part(1), Part(WORLD.n_components - 1, moved))
    _mixture, record = adapted_alone(recordings, WORLD, adapting(), parts)
    for i in range(2):
        without, _record = adapted_alone([recordings[1 - i]], WORLD, adapting(), parts)
        gained = frame_log_likelihoods(without, recordings[i]) - frame_log_likelihoods(WORLD, recordings[i])
        assert record.held_out is not None
        assert record.held_out[i] == pytest.approx(gained.mean(), abs=1e-5)


def test_parts_are_all_components_of_the_world() -> None:
    with pytest.raises(ValueError, match="parts of"):
        adapt_each([speaker()], WORLD, adapting(), parts=[Part(1)])
