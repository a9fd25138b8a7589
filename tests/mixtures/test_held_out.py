"""How well each recording fits the speaker that the others give: held out by hand, it is the same."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import norm

from speakerid.config import TrainingConfig
from speakerid.errors import TrainingError
from speakerid.mixtures import GaussianMixture, accumulate, adapt_each, maximum_a_posteriori_update

K, D = 6, 3
MAP = TrainingConfig(method="map", relevance_factor=4.0)

Recordings = list[NDArray[np.float64]]


@pytest.fixture(scope="module")
def world() -> GaussianMixture:
    rng = np.random.default_rng(0)
    return GaussianMixture(rng.dirichlet(np.full(K, 5.0)), rng.normal(0, 2, (K, D)), rng.uniform(0.3, 1.5, (K, D)))


def recordings(*lengths: int, seed: int = 1, own: float = 1.0) -> Recordings:
    rng = np.random.default_rng(seed)
    voice = own * rng.normal(0, 1, D)
    return [voice + rng.normal(0, 2, (length, D)) for length in lengths]


def mean_log_likelihood(mixture: GaussianMixture, frames: NDArray[np.float64]) -> float:
    """Straight from the formula."""
    each = norm.logpdf(frames[:, None], mixture.means, np.sqrt(mixture.covariances)).sum(axis=2)
    return float(logsumexp(each + np.log(mixture.weights), axis=1).mean())


def by_hand(world: GaussianMixture, learned: Recordings, asked: NDArray[np.float64], **adapted: bool) -> float:
    without = maximum_a_posteriori_update(
        world, accumulate(world, np.concatenate(learned), dtype=np.float64), 4.0, **adapted
    )
    return mean_log_likelihood(without, asked) - mean_log_likelihood(world, asked)


def adapt(speaker: object, world: GaussianMixture, config: TrainingConfig = MAP) -> object:
    (result,) = adapt_each([speaker], world, config)  # type: ignore[list-item]
    assert not isinstance(result, TrainingError), result
    return result


@pytest.mark.parametrize("n", [2, 3, 8])
def test_each_is_asked_of_the_others(world: GaussianMixture, n: int) -> None:
    spoken = recordings(*range(40, 40 + 13 * n, 13))
    _mixture, record = adapt(spoken, world)  # type: ignore[misc]
    expected = [by_hand(world, spoken[:i] + spoken[i + 1 :], spoken[i]) for i in range(n)]
    np.testing.assert_allclose(record.held_out, expected, atol=1e-5)
    lengths = [len(each) for each in spoken]
    assert record.expected_ratio == pytest.approx(np.average(expected, weights=lengths), abs=1e-5)


def test_with_the_same_sums_it_is_the_same_to_the_last_places(world: GaussianMixture) -> None:
    spoken = recordings(50, 70, 90)
    _mixture, record = adapt(spoken, world)  # type: ignore[misc]
    parts = [accumulate(world, each) for each in spoken]
    for i in range(3):
        total = parts[(i + 1) % 3] + parts[(i + 2) % 3]
        without = accumulate(maximum_a_posteriori_update(world, total, 4.0), spoken[i])
        gained = (without.log_likelihood - parts[i].log_likelihood) / len(spoken[i])
        assert record.held_out[i] == pytest.approx(gained, abs=1e-6)


def test_more_than_eight_are_held_out_in_eight_turns(world: GaussianMixture) -> None:
    spoken = recordings(*[30, 41, 52, 25, 64, 33, 48, 57, 29, 38, 45, 31, 36, 50, 27, 44, 39, 60, 35])
    _mixture, record = adapt(spoken, world)  # type: ignore[misc]
    assert len(record.held_out) == 19
    for i, found in enumerate(record.held_out):
        others = [each for j, each in enumerate(spoken) if j % 8 != i % 8]
        assert found == pytest.approx(by_hand(world, others, spoken[i]), abs=1e-5)


def test_a_single_one_is_held_out_by_quarters(world: GaussianMixture) -> None:
    (spoken,) = recordings(203)
    for given in ([spoken], spoken):
        _mixture, record = adapt(given, world)  # type: ignore[misc]
        quarters = np.array_split(spoken, 4)
        each = [by_hand(world, quarters[:i] + quarters[i + 1 :], quarters[i]) for i in range(4)]
        expected = np.average(each, weights=[len(quarter) for quarter in quarters])
        np.testing.assert_allclose(record.held_out, [expected], atol=1e-5)
        assert record.expected_ratio == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("n_frames", "known"), [(1, False), (39, False), (40, True)])
def test_a_single_one_too_short_to_be_quartered_has_no_answer(
    world: GaussianMixture, n_frames: int, known: bool
) -> None:
    mixture, record = adapt(recordings(n_frames), world)  # type: ignore[misc]
    assert (len(record.held_out) == 1) == known
    assert (record.expected_ratio is not None) == known
    assert np.isfinite(mixture.means).all()


def test_recordings_of_a_frame_are_recordings(world: GaussianMixture) -> None:
    spoken = recordings(1, 1, 200)
    _mixture, record = adapt(spoken, world)  # type: ignore[misc]
    expected = [by_hand(world, spoken[:i] + spoken[i + 1 :], spoken[i]) for i in range(3)]
    np.testing.assert_allclose(record.held_out, expected, atol=1e-5)


@pytest.mark.parametrize("adapted", ["means", "means_variances", "all"])
def test_together_or_apart_the_speaker_is_the_same(world: GaussianMixture, adapted: str) -> None:
    spoken = recordings(60, 80, 45)
    config = TrainingConfig(method="map", relevance_factor=4.0, adapted=adapted)  # type: ignore[arg-type]
    apart, record = adapt(spoken, world, config)  # type: ignore[misc]
    together, other = adapt(np.concatenate(spoken), world, config)  # type: ignore[misc]
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(apart, name), getattr(together, name), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(record.log_likelihoods, other.log_likelihoods, atol=1e-5)
    assert (len(record.held_out), len(other.held_out)) == (3, 1)
    what = {"variances": adapted != "means", "weights": adapted == "all"}
    if adapted == "means":
        assert record.held_out[0] == pytest.approx(by_hand(world, spoken[1:], spoken[0], **what), abs=1e-5)


def test_what_is_learned_from_fits_better_than_what_is_held_out(world: GaussianMixture) -> None:
    _mixture, record = adapt(recordings(60, 60, 60), world)  # type: ignore[misc]
    before, after = record.log_likelihoods
    assert after - before > record.expected_ratio > 0


def test_a_recording_of_somebody_else_stands_out(world: GaussianMixture) -> None:
    spoken = recordings(100, 100, 100, own=3) + recordings(100, seed=9, own=3)
    _mixture, record = adapt(spoken, world)  # type: ignore[misc]
    assert min(record.held_out[:3]) > record.held_out[3]


def test_the_numbers_do_not_depend_on_the_workers(world: GaussianMixture) -> None:
    speakers = [recordings(*range(20, 20 + 9 * n, 9), seed=n) for n in (1, 2, 5, 11, 3)]
    results = [adapt_each(speakers, world, MAP, jobs=jobs) for jobs in (1, 2, 3)]
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            assert not isinstance(one, TrainingError)
            assert not isinstance(other, TrainingError)
            assert one[1] == other[1]
            np.testing.assert_array_equal(one[0].means, other[0].means)


@pytest.mark.parametrize(
    "speaker",
    [
        [], [np.empty((0, D))], [np.ones((4, D)), np.empty((0, D))], [np.full((5, D), np.nan)], [np.ones((5, D + 1))],
        np.ones(7),
    ],
    ids=["none", "empty", "one empty", "not a number", "wide", "a vector"],
)  # fmt: skip
def test_what_cannot_be_used_is_an_error_beside_the_others(world: GaussianMixture, speaker: object) -> None:
    good = recordings(50, 50)
    found = adapt_each([good, speaker, good], world, MAP)  # type: ignore[list-item]
    assert isinstance(found[1], TrainingError)
    assert len(str(found[1]).splitlines()) == 1
    assert not isinstance(found[0], TrainingError)
    assert not isinstance(found[2], TrainingError)
