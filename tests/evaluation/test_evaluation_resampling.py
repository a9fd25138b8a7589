"""The bootstrap: what is drawn, its variance in closed form, its coverage on simulated speakers, and paired systems."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from speakerid.evaluation import (
    Bootstrap,
    DetectionTrials,
    Difference,
    EmptySideError,
    OpenSetTrials,
    bootstrap,
    equal_error_rate,
    minimum_cllr,
    paired_bootstrap,
    resampling_weights,
)
from speakerid.evaluation.resampling import Statistic


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def mean_of(values: Any) -> Statistic:
    values = np.asarray(values, dtype=np.float64)
    return lambda weights: weights @ values / weights.sum()


# What is drawn


@given(
    speakers=st.lists(st.integers(0, 6), min_size=1, max_size=30),
    recordings=st.booleans(),
    stratified=st.booleans(),
    seed=st.integers(0, 99),
)
def test_weights_are_draws(speakers: list[int], recordings: bool, stratified: bool, seed: int) -> None:
    of = np.array(speakers)
    strata = of % 2 if stratified else None
    names, size = np.unique(of, return_counts=True)
    for weights in resampling_weights(speakers, seeded(seed), 3, recordings=recordings, strata=strata):
        assert weights.shape == of.shape
        totals = np.array([weights[of == name].sum() for name in names])
        times = totals / size
        np.testing.assert_array_equal(times, times.round())  # a drawn speaker gives as many recordings as it has
        assert times.sum() == len(names)
        for odd in (0, 1) if stratified else ():
            assert times[names % 2 == odd].sum() == (names % 2 == odd).sum()
        if not recordings:
            np.testing.assert_array_equal(weights, times[np.searchsorted(names, of)])


def test_all_draws_of_two_speakers_have_their_probability() -> None:
    drawn = np.array(list(resampling_weights(["a", "b"], seeded(1), 8000)))
    rows, counts = np.unique(drawn, axis=0, return_counts=True)
    assert rows.tolist() == [[0, 2], [1, 1], [2, 0]]
    assert scipy.stats.chisquare(counts, [2000, 4000, 2000]).pvalue > 0.01


def test_recordings_of_one_speaker_are_drawn_evenly() -> None:
    """With a single speaker it is the ordinary bootstrap: multinomial weights."""
    drawn = np.array(list(resampling_weights([3, 3, 3], seeded(2), 27_000)))
    rows, counts = np.unique(drawn, axis=0, return_counts=True)
    expected = [27_000 * scipy.stats.multinomial.pmf(row, 3, [1 / 3] * 3) for row in rows]
    assert len(rows) == 10
    assert scipy.stats.chisquare(counts, expected).pvalue > 0.01


def test_the_same_generator_gives_the_same_replicates() -> None:
    speakers = list("aabbbc")
    first, second = (bootstrap(mean_of(range(6)), speakers, seeded(3), n_replicates=20) for _ in range(2))
    np.testing.assert_array_equal(first.replicates, second.replicates)
    # names say who is who, and nothing else
    renamed = bootstrap(mean_of(range(6)), [10, 10, 20, 20, 20, 30], seeded(3), n_replicates=20)
    np.testing.assert_array_equal(first.replicates, renamed.replicates)


@pytest.mark.parametrize("recordings", [False, True])
def test_the_variance_is_that_of_the_theory(recordings: bool) -> None:
    """S speakers of n recordings each: Σ(ȳ_s − ȳ)²/S², and for drawn recordings Σ σ_s²/(n S²) more."""
    values = seeded(4).normal(0, 1, (8, 5)) + seeded(5).normal(0, 1, (8, 1))
    result = bootstrap(
        mean_of(values.ravel()), np.repeat(np.arange(8), 5), seeded(6), n_replicates=20_000, recordings=recordings
    )
    expected = values.mean(axis=1).var() / 8 + recordings * values.var(axis=1).mean() / (5 * 8)
    assert result.replicates.var() == pytest.approx(expected, rel=0.04)
    assert result.replicates.mean() == pytest.approx(values.mean(), abs=4 * math.sqrt(expected / 20_000))
    assert result.estimate == pytest.approx(values.mean(), rel=1e-12)


# Intervals


def test_intervals_are_quantiles() -> None:
    replicates = seeded(7).normal(size=(501, 2, 3))
    result = Bootstrap(np.zeros((2, 3)), replicates)
    for level in (0.5, 0.95):
        low, high = result.interval(level)
        np.testing.assert_allclose(low, np.quantile(replicates, (1 - level) / 2, axis=0), rtol=1e-12)
        np.testing.assert_allclose(high, np.quantile(replicates, (1 + level) / 2, axis=0), rtol=1e-12)
    for level in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match="level"):
            result.interval(level)


def test_infinite_and_undefined_replicates() -> None:
    replicates = np.array([[1.0, math.nan, math.nan], [math.inf, 2.0, math.nan], [math.inf, 4.0, math.nan]])
    low, high = Bootstrap(np.zeros(3), replicates).interval(0.5)
    assert low[0] == math.inf  # half way from 1 to infinity
    assert high[0] == math.inf
    assert (low[1], high[1]) == (2.5, 3.5)
    assert np.isnan([low[2], high[2]]).all()
    assert Bootstrap(np.zeros(3), replicates).undefined.tolist() == [0, 1, 3]


def test_replicates_without_a_side_are_undefined_and_counted() -> None:
    trials = DetectionTrials([1.0, 0.0, 2.0], [1, 0, 1])
    result = bootstrap(lambda w: equal_error_rate(trials.roc(w)), [0, 1, 2], seeded(8), n_replicates=400)
    # no non-target: (2/3)³; no target: (1/3)³
    assert result.undefined == pytest.approx(400 * 9 / 27, abs=40)
    low, high = result.interval()
    assert (low, high) == (0.0, 0.0)
    kept = bootstrap(
        lambda w: equal_error_rate(trials.roc(w)), [0, 1, 2], seeded(8), n_replicates=50, strata=["t", "n", "t"]
    )
    assert kept.undefined == 0


def test_a_statistic_undefined_as_it_is_raises() -> None:
    trials = OpenSetTrials([1.0], [True], [0.0])
    with pytest.raises(EmptySideError):
        bootstrap(lambda w: trials.curve(w * 0).equal_error_rate, [0], seeded(9))


def test_several_figures_share_their_replicates() -> None:
    rng = seeded(10)
    trials = DetectionTrials(rng.normal(size=60) + np.tile([0, 1], 30), np.tile([0, 1], 30))
    speakers = np.repeat(np.arange(12), 5)

    def both(weights: np.ndarray) -> list[float]:
        roc = trials.roc(weights)
        return [equal_error_rate(roc), minimum_cllr(roc)]

    result = bootstrap(both, speakers, seeded(11), n_replicates=30)
    alone = bootstrap(lambda w: minimum_cllr(trials.roc(w)), speakers, seeded(11), n_replicates=30)
    assert result.replicates.shape == (30, 2)
    np.testing.assert_array_equal(result.replicates[:, 1], alone.replicates)
    low, high = result.interval()
    assert (low <= result.estimate).all()
    assert (result.estimate <= high).all()


def simulated_speakers(rng: np.random.Generator, n_speakers: int, n_recordings: int) -> np.ndarray:
    """Right or wrong, (n_speakers, n_recordings); speakers differ, on average 0.8 are right."""
    return rng.random((n_speakers, n_recordings)) < rng.beta(4, 1, (n_speakers, 1))


def test_intervals_hold_what_they_promise() -> None:
    """Of 95 % intervals over 30 simulated speakers about 95 % hold the truth; those blind to speakers hold far fewer."""
    rng, n_speakers, n_recordings, n_tries = seeded(12), 30, 20, 200
    speakers = np.repeat(np.arange(n_speakers), n_recordings)
    held = np.zeros(2)
    for _ in range(n_tries):
        statistic = mean_of(simulated_speakers(rng, n_speakers, n_recordings).ravel())
        for i, of in enumerate((speakers, np.arange(len(speakers)))):
            low, high = bootstrap(statistic, of, rng, n_replicates=200).interval()
            held[i] += low <= 0.8 <= high
    assert 0.90 <= held[0] / n_tries <= 0.99
    assert held[1] / n_tries < 0.80


# Two systems


def test_equal_systems_do_not_differ() -> None:
    statistic = mean_of([1, 0, 1, 1])
    result = paired_bootstrap(statistic, statistic, [0, 0, 1, 1], seeded(13), n_replicates=99)
    assert isinstance(result, Difference)
    assert result.estimate == 0
    assert (result.replicates == 0).all()
    assert result.p_value == 1.0


def test_the_difference_is_on_the_same_draws() -> None:
    """A system that is better by 0.1 on every recording is better by 0.1 on every replicate."""
    values, speakers = seeded(14).normal(size=40), np.repeat(np.arange(8), 5)
    result = paired_bootstrap(mean_of(values + 0.1), mean_of(values), speakers, seeded(15), n_replicates=199)
    np.testing.assert_allclose(result.replicates, 0.1, rtol=1e-9)
    assert result.p_value == pytest.approx(2 / 200, rel=1e-12)
    turned = paired_bootstrap(mean_of(values), mean_of(values + 0.1), speakers, seeded(15), n_replicates=199)
    np.testing.assert_allclose(turned.replicates, -0.1, rtol=1e-9)
    assert turned.p_value == result.p_value


def test_p_values_by_hand() -> None:
    result = Difference(np.zeros(3), np.array([[1, -1, math.nan], [2, -2, math.nan], [0, 3, math.nan], [4, 4, 4]]))
    # far side of 0: one of four; two of four; none of one
    assert result.p_value.tolist() == [2 * 2 / 5, 1.0, 1.0]
    assert np.isnan(Difference(np.zeros(()), np.full(3, math.nan)).p_value)


def test_p_values_of_equally_good_systems_are_seldom_small() -> None:
    rng, small = seeded(16), 0
    speakers = np.repeat(np.arange(30), 8)
    for _ in range(150):
        easy = rng.beta(4, 1, (30, 1))
        first, second = (mean_of((rng.random((30, 8)) < easy).ravel()) for _ in range(2))
        small += bool(paired_bootstrap(first, second, speakers, rng, n_replicates=150).p_value < 0.05)
    assert small <= 0.10 * 150


# Checks


@pytest.mark.parametrize(
    ("speakers", "changes", "message"),
    [
        ([], {}, "no recordings"),
        (["a"], {"n_replicates": 0}, "n_replicates"),
        (["a", "a"], {"strata": [0, 1]}, "two strata"),
        (["a", "b"], {"strata": [0]}, "strata: expected shape"),
    ],
)
def test_wrong_input_is_refused(speakers: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap(lambda w: w.sum(), speakers, seeded(0), **changes)
