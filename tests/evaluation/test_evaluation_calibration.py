"""Cllr, its minimum, PAV ratios and the reliability diagram: by hand, by integrals, against scikit-learn's isotonic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import sklearn.calibration
import sklearn.isotonic
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from speakerid.evaluation import (
    DetectionTrials,
    EmptySideError,
    cllr,
    expected_calibration_error,
    minimum_cllr,
    optimal_llrs,
    posterior,
    quantile_edges,
    reliability_curve,
)

INF = math.inf
LOG2 = math.log(2)
SIDE = st.lists(st.integers(-6, 6).map(float) | st.sampled_from([INF, -INF]), min_size=1, max_size=25)


def gaussian_ratios(d: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of log-likelihood ratios that are what they say: N(d²/2, d²) of targets, N(−d²/2, d²) of the others."""
    places = scipy.stats.norm.ppf((np.arange(n) + 0.5) / n)
    return d * places + d * d / 2, d * places - d * d / 2


def isotonic_ratios(trials: DetectionTrials, weights: Any = None) -> np.ndarray:
    """PAV by scikit-learn."""
    finite = np.searchsorted(np.unique(trials.scores), trials.scores).astype(float)  # it takes no infinities
    model = sklearn.isotonic.IsotonicRegression(y_min=0, y_max=1)
    p = model.fit_transform(finite, trials.is_target.astype(float), sample_weight=weights)
    w = np.ones(len(trials)) if weights is None else np.asarray(weights)
    prior = math.log(w[trials.is_target].sum() / w[~trials.is_target].sum())
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log1p(-p) - prior


# Cllr


def test_cllr_by_hand() -> None:
    assert cllr(DetectionTrials.of([0.0], [0.0, 0.0])) == pytest.approx(1.0, rel=1e-15)
    assert cllr(DetectionTrials.of([INF], [-INF])) == 0.0
    assert cllr(DetectionTrials.of([-INF], [-INF])) == INF
    assert cllr(DetectionTrials.of([math.log(3)], [-math.log(7), 0.0])) == pytest.approx(
        (math.log2(4 / 3) + (math.log2(8 / 7) + 1) / 2) / 2, rel=1e-14
    )
    assert cllr(DetectionTrials.of([5000.0], [5000.0])) == pytest.approx(2500 / LOG2, rel=1e-12)
    trials = DetectionTrials.of([1.0, -INF], [0.0])
    assert cllr(trials, [2, 0, 1]) == pytest.approx(cllr(DetectionTrials.of([1.0], [0.0])), rel=1e-14)


def test_cllr_is_scikit_learns_log_loss_of_equal_sides() -> None:
    rng = np.random.default_rng(1)
    targets, nontargets = rng.normal(1, 2, 50), rng.normal(-1, 2, 50)
    trials = DetectionTrials.of(targets, nontargets)
    loss = sklearn.metrics.log_loss(trials.is_target, posterior(trials.scores))
    assert cllr(trials) == pytest.approx(loss / LOG2, rel=1e-9)


@pytest.mark.parametrize("d", [0.5, 1.0, 2.0, 3.0])
def test_cllr_of_calibrated_gaussians_is_the_integral(d: float) -> None:
    """And calibrated ratios have nothing to gain."""
    density = scipy.stats.norm(d * d / 2, d).pdf
    integral, _error = scipy.integrate.quad(
        lambda x: density(x) * np.logaddexp(0, -x), d * d / 2 - 12 * d, 12 * d + d * d
    )
    trials = DetectionTrials.of(*gaussian_ratios(d, 20_000))
    assert cllr(trials) == pytest.approx(integral / LOG2, rel=1e-3)
    assert minimum_cllr(trials.roc()) == pytest.approx(integral / LOG2, rel=3e-3)
    off = DetectionTrials(3 * trials.scores + 1, trials.is_target)
    assert cllr(off) > cllr(trials) * 1.05
    assert minimum_cllr(off.roc()) == pytest.approx(minimum_cllr(trials.roc()), rel=1e-12)


# Minimum Cllr and PAV


def test_minimum_cllr_by_hand() -> None:
    assert minimum_cllr(DetectionTrials.of([2.0, 3.0], [0.0, 1.0]).roc()) == 0.0
    assert minimum_cllr(DetectionTrials.of([0.0, 1.0], [2.0, 3.0]).roc()) == pytest.approx(1.0, rel=1e-14)
    assert minimum_cllr(DetectionTrials.of([1.0], [1.0]).roc()) == pytest.approx(1.0, rel=1e-14)
    # n t n t: the middle two are one block of ratio 1; each side has half its trials there, at one bit
    assert minimum_cllr(DetectionTrials.of([1.0, 3.0], [0.0, 2.0]).roc()) == pytest.approx(0.5, rel=1e-14)


def test_ratios_by_hand() -> None:
    trials = DetectionTrials([0.0, 1.0, 2.0, 3.0, 4.0], [0, 1, 0, 0, 1])
    # blocks n | t n n | t; prior odds 2/3, so the middle ratio is (1/2) / (2/3)
    middle = math.log(3 / 4)
    np.testing.assert_allclose(optimal_llrs(trials), [-INF, middle, middle, middle, INF], rtol=1e-13)
    # with a target and a non-target beyond each end: n t n | t n n | n t t
    laplace = optimal_llrs(trials, ends="laplace")
    np.testing.assert_allclose(laplace, np.log([1.5 / 2, 1.5 / 2, 1.5 / 2, 1.5 / 2, 1.5 * 2]), rtol=1e-13)


@given(SIDE, SIDE)
def test_ratios_are_scikit_learns_isotonic(targets: list[float], nontargets: list[float]) -> None:
    trials = DetectionTrials.of(targets, nontargets)
    expected = isotonic_ratios(trials)
    np.testing.assert_allclose(optimal_llrs(trials), expected, rtol=1e-9, atol=1e-9)
    best = cllr(DetectionTrials(expected, trials.is_target))
    assert minimum_cllr(trials.roc()) == pytest.approx(best, abs=1e-9)


@given(SIDE, SIDE, st.integers(0, 1000))
def test_weighted_ratios_are_scikit_learns_isotonic(targets: list[float], nontargets: list[float], seed: int) -> None:
    trials = DetectionTrials.of(targets, nontargets)
    weights = np.random.default_rng(seed).integers(1, 5, len(trials))
    np.testing.assert_allclose(optimal_llrs(trials, weights), isotonic_ratios(trials, weights), rtol=1e-9, atol=1e-9)


@given(SIDE, SIDE, st.integers(0, 1000))
def test_a_trial_of_no_weight_changes_nothing(targets: list[float], nontargets: list[float], seed: int) -> None:
    trials = DetectionTrials.of([*targets, 0.5], [*nontargets, 0.5])
    weights = np.random.default_rng(seed).integers(0, 3, len(trials))
    weights[[0, -1]] = 1
    copied = DetectionTrials(np.repeat(trials.scores, weights), np.repeat(trials.is_target, weights))
    assert minimum_cllr(trials.roc(weights)) == pytest.approx(minimum_cllr(copied.roc()), abs=1e-12)
    for ends in ("infinite", "laplace"):
        llrs = optimal_llrs(trials, weights, ends=ends)  # type: ignore[arg-type]
        assert not np.isnan(llrs).any()
        expected = optimal_llrs(copied, ends=ends)  # type: ignore[arg-type]
        np.testing.assert_allclose(np.repeat(llrs, weights), expected, rtol=1e-9, atol=1e-12)


def test_a_trial_of_no_weight_gets_the_ratio_next_to_it() -> None:
    trials = DetectionTrials([0.0, 1.0, 2.0, 3.0, 4.0], [1, 0, 0, 1, 0])
    assert optimal_llrs(trials, [0, 1, 0, 1, 0]).tolist() == [-INF, -INF, -INF, INF, INF]


@given(SIDE, SIDE)
def test_ratios_with_laplaces_rule_are_those_of_more_trials(targets: list[float], nontargets: list[float]) -> None:
    """PAV on the labels 1, 0, ..., 1, 0, as in the toolkit, each end with its own two."""
    trials = DetectionTrials.of(targets, nontargets)
    places = np.searchsorted(np.unique(trials.scores), trials.scores).astype(float)
    last = places.max() + 1
    x = np.concatenate([[-2, -1], places, [last, last + 1]])
    y = np.concatenate([[1, 0], trials.is_target, [1, 0]]).astype(float)
    p = sklearn.isotonic.IsotonicRegression().fit_transform(x, y)[2:-2]
    expected = np.log(p / (1 - p)) - math.log(len(targets) / len(nontargets))
    found = optimal_llrs(trials, ends="laplace")
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert np.isfinite(found).all()


@given(SIDE, SIDE)
def test_minimum_cllr_is_least_and_knows_only_the_order(targets: list[float], nontargets: list[float]) -> None:
    trials = DetectionTrials.of(targets, nontargets)
    least = minimum_cllr(trials.roc())
    assert 0 <= least <= 1 + 1e-14
    assert least <= cllr(trials) + 1e-12
    assert minimum_cllr(DetectionTrials.of(np.arctan(targets), np.arctan(nontargets)).roc()) == least
    mirrored = DetectionTrials.of(np.negative(nontargets), np.negative(targets))
    assert minimum_cllr(mirrored.roc()) == pytest.approx(least, abs=1e-12)
    assert cllr(mirrored) == pytest.approx(cllr(trials), rel=1e-12)


@given(SIDE, SIDE)
def test_ratios_never_fall_and_are_their_own_ratios(targets: list[float], nontargets: list[float]) -> None:
    trials = DetectionTrials.of(targets, nontargets)
    llrs = optimal_llrs(trials)
    ordered = llrs[np.argsort(trials.scores, kind="stable")]
    assert (ordered[1:] >= ordered[:-1]).all()
    again = optimal_llrs(DetectionTrials(llrs, trials.is_target))
    np.testing.assert_allclose(again, llrs, rtol=1e-9, atol=1e-12)


def test_cllr_needs_two_sides() -> None:
    trials = DetectionTrials.of([1.0], [0.0])
    for figure in (cllr, optimal_llrs):
        with pytest.raises(EmptySideError, match="non-target"):
            figure(trials, [1, 0])


# Reliability


def test_reliability_by_hand() -> None:
    bins = reliability_curve([0.0, 0.05, 0.1, 0.95, 1.0, 1.0], [0, 1, 0, 1, 1, 0])
    assert [(each.low, each.high) for each in bins] == [(0.0, 0.1), (0.1, 0.2), (0.9, 1.0)]
    assert [(each.proportion.right, each.proportion.n) for each in bins] == [(1, 2), (0, 1), (2, 3)]
    assert [each.mean for each in bins] == pytest.approx([0.025, 0.1, 2.95 / 3], rel=1e-14)
    expected = (2 * 0.475 + 1 * 0.1 + 3 * (2.95 / 3 - 2 / 3)) / 6
    assert expected_calibration_error(bins) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_reliability_is_scikit_learns(strategy: Any) -> None:
    rng = np.random.default_rng(2)
    p = rng.beta(0.5, 0.7, 500)
    outcomes = rng.random(500) < p
    share, mean = sklearn.calibration.calibration_curve(outcomes, p, n_bins=10, strategy=strategy)
    bins = reliability_curve(p, outcomes, np.linspace(0, 1, 11) if strategy == "uniform" else quantile_edges(p, 10))
    np.testing.assert_allclose([each.proportion.value for each in bins], share, rtol=1e-12)
    np.testing.assert_allclose([each.mean for each in bins], mean, rtol=1e-12)
    assert sum(each.interval[0] <= each.mean <= each.interval[1] for each in bins) >= len(bins) - 2
    assert expected_calibration_error(bins) < 0.06


def test_calibrated_ratios_are_on_the_diagonal() -> None:
    trials = DetectionTrials.of(*gaussian_ratios(2.0, 5000))
    bins = reliability_curve(posterior(trials.scores), trials.is_target)
    assert expected_calibration_error(bins) < 1e-3
    assert len(bins) == 10


def test_posteriors() -> None:
    assert posterior([0.0, INF, -INF]).tolist() == [0.5, 1.0, 0.0]
    assert posterior(math.log(99), 0.01) == pytest.approx(0.5, rel=1e-12)
    for prior in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="prior"):
            posterior([0.0], prior)


def test_probabilities_are_checked() -> None:
    for p in (-0.01, 1.01, math.nan, INF):
        with pytest.raises(ValueError, match="probabilities"):
            reliability_curve([0.5, p], [1, 0])
    with pytest.raises(EmptySideError, match="no tests"):
        expected_calibration_error(reliability_curve([], []))


def test_what_could_not_be_judged_costs_a_bit_and_leaves_the_rest_as_it_is() -> None:
    rng = np.random.default_rng(3)
    targets, nontargets = rng.normal(1, 1, 60), rng.normal(-1, 1, 200)
    judged = minimum_cllr(DetectionTrials.of(targets, nontargets).roc())
    lost_targets, lost_nontargets = 20, 100
    with_lost = DetectionTrials.of(
        np.r_[targets, np.full(lost_targets, -np.inf)], np.r_[nontargets, np.full(lost_nontargets, -np.inf)]
    )
    found = minimum_cllr(with_lost.roc(), unjudged_below=True)
    # by brute force: the best ratio of each trial that was judged, by pool-adjacent-violators, and 0 for the others
    llrs = optimal_llrs(DetectionTrials.of(targets, nontargets)) + np.log((60 / 80) / (200 / 300))
    costs = np.logaddexp(0, -llrs[:60]).sum() / 80 + np.logaddexp(0, llrs[60:]).sum() / 300
    lost = (lost_targets / 80 + lost_nontargets / 300) * np.log(2)
    assert found == pytest.approx((costs + lost) / (2 * np.log(2)), abs=1e-12)
    assert found > judged
    nothing = DetectionTrials.of(np.full(3, -np.inf), np.full(5, -np.inf)).roc()
    assert minimum_cllr(nothing, unjudged_below=True) == pytest.approx(1.0, abs=1e-12)
