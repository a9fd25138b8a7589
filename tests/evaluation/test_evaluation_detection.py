"""ROC, DET, EER and detection cost: by hand, closed forms for Gaussian scores, scikit-learn, and every threshold tried."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from speakerid.evaluation import (
    NIST_SRE_2008,
    NIST_SRE_2010,
    NIST_SRE_2016,
    VOXSRC,
    DetectionCost,
    DetectionTrials,
    EmptySideError,
    actual_dcf,
    equal_error_rate,
    equal_error_threshold,
    minimum_dcf,
    probit,
)

INF = math.inf
SCORES = st.integers(-6, 6).map(float) | st.sampled_from([INF, -INF])
SIDE = st.lists(SCORES, min_size=1, max_size=25)
COSTS = [NIST_SRE_2008, NIST_SRE_2010, VOXSRC, DetectionCost(0.5), DetectionCost(0.9, 2.0, 3.0)]


def gaussian_scores(distance: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of N(distance, 1) and N(0, 1): samples without sampling error."""
    places = scipy.stats.norm.ppf((np.arange(n) + 0.5) / n)
    return places + distance, places


def rates_at(targets: Any, nontargets: Any, threshold: float) -> tuple[float, float]:
    """Misses and false alarms written out."""
    return float(np.mean(np.less(targets, threshold))), float(np.mean(np.greater_equal(nontargets, threshold)))


# Points


def test_points_by_hand() -> None:
    roc = DetectionTrials.of([1.0, 3.0, 3.0, 4.0], [0.0, 1.0]).roc()
    assert roc.thresholds.tolist() == [0, 1, 3, 4, INF]
    assert roc.miss.tolist() == [0, 0, 0.25, 0.75, 1]
    assert roc.false_alarm.tolist() == [1, 0.5, 0, 0, 0]
    assert len(roc) == 5


def test_points_are_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    scores, is_target = rng.normal(size=400).round(1), rng.random(400) < 0.3
    weights = rng.random(400)
    for sample_weight in (None, weights):
        false_alarm, hit, thresholds = sklearn.metrics.roc_curve(
            is_target, scores, sample_weight=sample_weight, drop_intermediate=False
        )
        roc = DetectionTrials(scores, is_target).roc(sample_weight)
        np.testing.assert_array_equal(roc.thresholds[::-1], thresholds)
        np.testing.assert_allclose(roc.false_alarm[::-1], false_alarm, atol=1e-13)
        np.testing.assert_allclose(1 - roc.miss[::-1], hit, atol=1e-13)


@given(SIDE, SIDE)
def test_points_are_the_rates_at_their_thresholds(targets: list[float], nontargets: list[float]) -> None:
    roc = DetectionTrials.of(targets, nontargets).roc()
    for threshold, miss, false_alarm in zip(roc.thresholds[:-1], roc.miss, roc.false_alarm, strict=False):
        assert (miss, false_alarm) == pytest.approx(rates_at(targets, nontargets, threshold), abs=1e-15)
    assert (roc.miss[0], roc.false_alarm[0], roc.miss[-1], roc.false_alarm[-1]) == (0, 1, 1, 0)
    assert (np.diff(roc.miss) >= 0).all()
    assert (np.diff(roc.false_alarm) <= 0).all()


def test_a_weight_is_so_many_trials() -> None:
    rng = np.random.default_rng(2)
    scores, is_target = rng.integers(0, 12, 60).astype(float), np.arange(60) % 3 == 0
    weights = rng.integers(0, 4, 60)
    weighted = DetectionTrials(scores, is_target).roc(weights)
    copied = DetectionTrials(np.repeat(scores, weights), np.repeat(is_target, weights)).roc()
    for figure in (equal_error_rate, minimum_dcf):
        assert figure(weighted) == pytest.approx(figure(copied), rel=1e-14)
    short = weighted.corners()
    np.testing.assert_allclose(short.miss, copied.corners().miss, rtol=1e-14)
    np.testing.assert_allclose(short.false_alarm, copied.corners().false_alarm, rtol=1e-14)


def test_det_axes_are_probits() -> None:
    roc = DetectionTrials.of(*gaussian_scores(2.0, 4000)).roc()
    x, y = roc.probits
    assert (x[0], y[0], x[-1], y[-1]) == (INF, -INF, -INF, INF)
    inside = np.isfinite(x) & np.isfinite(y)
    np.testing.assert_allclose(x[inside] + y[inside], -2.0, atol=0.25)  # a straight line for Gaussian scores
    middle = inside & (np.abs(x + 1) < 1)
    np.testing.assert_allclose(x[middle] + y[middle], -2.0, atol=0.01)
    assert probit(scipy.stats.norm.cdf(1.25)) == pytest.approx(1.25, rel=1e-12)
    assert probit([0.5]).tolist() == [0.0]


@given(SIDE, SIDE)
def test_corners_are_the_same_curve(targets: list[float], nontargets: list[float]) -> None:
    roc = DetectionTrials.of(targets, nontargets).roc()
    short = roc.corners()
    assert set(zip(short.miss, short.false_alarm, strict=True)) <= set(zip(roc.miss, roc.false_alarm, strict=True))
    assert equal_error_rate(short) == pytest.approx(equal_error_rate(roc), abs=1e-15)
    assert minimum_dcf(short) == minimum_dcf(roc)
    # the area under a polyline does not change by points on its straight pieces
    areas = [np.trapezoid(curve.miss[::-1], curve.false_alarm[::-1]) for curve in (short, roc)]
    assert areas[0] == pytest.approx(areas[1], abs=1e-14)
    steps = np.sign([np.diff(short.miss), -np.diff(short.false_alarm)])
    assert (steps.sum(axis=0) > 0).all()
    straight = (steps[:, 1:] == steps[:, :-1]).all(axis=0) & (steps[:, 1:].sum(axis=0) == 1)
    assert not straight.any()


def test_a_thinned_curve_looks_the_same() -> None:
    rng = np.random.default_rng(3)
    roc = DetectionTrials.of(rng.normal(2, 1, 20_000), rng.normal(0, 1, 60_000)).roc()
    thin = roc.thinned()
    assert 100 < len(thin) < 2000
    assert (thin.miss[0], thin.false_alarm[0], thin.miss[-1], thin.false_alarm[-1]) == (0, 1, 1, 0)
    at = np.interp(-thin.thresholds[-2::-1], -roc.thresholds[-2::-1], roc.miss[-2::-1])
    np.testing.assert_allclose(at, thin.miss[-2::-1], rtol=1e-12)
    assert equal_error_rate(thin) == pytest.approx(equal_error_rate(roc), rel=0.02)
    tiny = DetectionTrials.of([1.0], [0.0]).roc().thinned()
    assert (tiny.miss.tolist(), tiny.false_alarm.tolist()) == ([0, 0, 1], [1, 0, 0])


# Hull


@given(SIDE, SIDE)
def test_the_hull_is_convex_and_touches_from_below(targets: list[float], nontargets: list[float]) -> None:
    roc = DetectionTrials.of(targets, nontargets).roc()
    hull = roc.hull()
    assert set(zip(hull.miss, hull.false_alarm, strict=True)) <= set(zip(roc.miss, roc.false_alarm, strict=True))
    assert (hull.miss[0], hull.false_alarm[0], hull.miss[-1], hull.false_alarm[-1]) == (0, 1, 1, 0)
    run, rise = -np.diff(hull.false_alarm), np.diff(hull.miss)
    assert (rise[1:] * run[:-1] >= rise[:-1] * run[1:] - 1e-15).all()
    # all points are on or above each of its lines
    for i in range(len(run)):
        above = (roc.miss - hull.miss[i]) * run[i] - (hull.false_alarm[i] - roc.false_alarm) * rise[i]
        assert (above >= -1e-14).all()


# Equal error rate


@pytest.mark.parametrize(
    ("targets", "nontargets", "rate"),
    [
        ([2.0, 3.0], [0.0, 1.0], 0.0),
        ([0.0, 1.0], [2.0, 3.0], 1.0),
        ([1.0], [1.0], 0.5),
        ([INF], [-INF], 0.0),
        ([INF, INF], [INF, INF], 0.5),
        ([1.0, 2.0, 4.0, 5.0], [0.0, 1.5, 2.5, 3.0], 0.5),
        ([1.0, 3.0, 4.0, 5.0], [0.0, 0.5, 0.7, 2.0], 0.25),
        ([1.0, 3.0, 4.0], [0.0, 0.5, 0.7, 2.0], 0.25),  # between misses 0 and 1/3, alarms 1/4
        ([0.5, 3.0, 4.0, 5.0], [0.0, 1.0, 2.0], 0.25),  # between alarms 1/3 and 0, misses 1/4
        ([1.0, 1.0, 2.0], [0.0, 1.0], 2 / 7),  # from misses 0, alarms 1/2 to 2/3, 0: 2/3 s = 1/2 (1 - s), s = 3/7
    ],
)
def test_equal_error_rate_by_hand(targets: list[float], nontargets: list[float], rate: float) -> None:
    assert equal_error_rate(DetectionTrials.of(targets, nontargets).roc()) == pytest.approx(rate, abs=1e-15)


@pytest.mark.parametrize("distance", [0.0, 0.5, 1.0, 2.0, 4.0])
def test_equal_error_rate_of_gaussians(distance: float) -> None:
    """Φ(−d′/2), and the threshold is half way."""
    roc = DetectionTrials.of(*gaussian_scores(distance, 20_000)).roc()
    expected = scipy.stats.norm.cdf(-distance / 2)
    assert equal_error_rate(roc) == pytest.approx(expected, abs=1e-4)
    assert equal_error_rate(roc, hull=True) == pytest.approx(expected, abs=2e-4)
    assert equal_error_threshold(roc) == pytest.approx(distance / 2, abs=2e-3)


def test_equal_error_rate_is_the_crossing_of_scikit_learns_curve() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        is_target = rng.random(150) < 0.4
        scores = (rng.normal(size=150) + is_target).round(1)
        false_alarm, hit, _t = sklearn.metrics.roc_curve(is_target, scores, drop_intermediate=False)
        # place by place along the curve, so that vertical stretches are no trouble
        places = np.arange(len(hit), dtype=float)
        excess = false_alarm - (1 - hit)
        crossing = scipy.optimize.brentq(np.interp, 0, places[-1], args=(places, excess), xtol=1e-13)
        expected = np.interp(crossing, places, false_alarm)
        assert equal_error_rate(DetectionTrials(scores, is_target).roc()) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    ("targets", "nontargets", "threshold"),
    [
        ([2.0, 3.0], [0.0, 1.0], 2.0),  # no errors there
        ([1.0, 2.0, 4.0, 5.0], [0.0, 1.5, 2.5, 3.0], 2.5),  # as many misses as false alarms: the lowest such
        ([1.0, 3.0, 4.0], [0.0, 0.5, 0.7, 2.0], 2.0),  # misses 1/3, false alarms 1/4; at 1 they are 0 and 1/4
        ([1.0], [1.0], INF),
    ],
)
def test_equal_error_threshold_by_hand(targets: list[float], nontargets: list[float], threshold: float) -> None:
    assert equal_error_threshold(DetectionTrials.of(targets, nontargets).roc()) == threshold


@given(SIDE, SIDE)
def test_the_hull_is_never_worse(targets: list[float], nontargets: list[float]) -> None:
    roc = DetectionTrials.of(targets, nontargets).roc()
    assert equal_error_rate(roc, hull=True) <= min(equal_error_rate(roc), 0.5) + 1e-14
    # the largest over priors of the least Bayes error (Brümmer and de Villiers 2011)
    priors = np.linspace(0, 1, 2001)[:, None]
    errors = (priors * roc.miss + (1 - priors) * roc.false_alarm).min(axis=1)
    assert equal_error_rate(roc, hull=True) == pytest.approx(errors.max(), abs=1e-3)


@given(SIDE, SIDE)
def test_monotone_maps_change_nothing(targets: list[float], nontargets: list[float]) -> None:
    trials, mapped = (
        DetectionTrials.of(targets, nontargets),
        DetectionTrials.of(np.arctan(targets), np.arctan(nontargets)),
    )
    for hull in (False, True):
        assert equal_error_rate(mapped.roc(), hull=hull) == equal_error_rate(trials.roc(), hull=hull)
    for cost in COSTS:
        assert minimum_dcf(mapped.roc(), cost) == minimum_dcf(trials.roc(), cost)


@given(SIDE, SIDE)
def test_swapping_sides_mirrors(targets: list[float], nontargets: list[float]) -> None:
    roc = DetectionTrials.of(targets, nontargets).roc()
    mirrored = DetectionTrials.of(np.negative(nontargets), np.negative(targets)).roc()
    turned = DetectionTrials.of(nontargets, targets).roc()
    assert equal_error_rate(mirrored) == pytest.approx(equal_error_rate(roc), abs=1e-14)
    assert equal_error_rate(mirrored, hull=True) == pytest.approx(equal_error_rate(roc, hull=True), abs=1e-14)
    assert equal_error_rate(turned) == pytest.approx(1 - equal_error_rate(roc), abs=1e-14)
    there, back = DetectionCost(0.2, 3.0, 2.0), DetectionCost(0.8, 2.0, 3.0)
    assert minimum_dcf(mirrored, back) == pytest.approx(minimum_dcf(roc, there), abs=1e-14)


# Detection cost


def test_parameters_are_those_of_the_plans() -> None:
    assert (NIST_SRE_2008.p_target, NIST_SRE_2008.c_miss, NIST_SRE_2008.c_fa) == (0.01, 10, 1)
    assert (NIST_SRE_2010.p_target, NIST_SRE_2010.c_miss, NIST_SRE_2010.c_fa) == (0.001, 1, 1)
    assert [cost.p_target for cost in NIST_SRE_2016] == [0.01, 0.005]
    assert VOXSRC.p_target == 0.05
    assert NIST_SRE_2016[0].bayes_threshold == pytest.approx(math.log(99), rel=1e-14)
    assert NIST_SRE_2008.bayes_threshold == pytest.approx(math.log(9.9), rel=1e-14)


def test_detection_cost_by_hand() -> None:
    trials = DetectionTrials.of([1.0, 2.0, 3.0, 9.0], [0.0, 0.0, 0.0, 0.0, 2.5])
    cost = DetectionCost(0.01, 10.0, 1.0)  # (0.1 P_miss + 0.99 P_fa) / 0.1
    assert minimum_dcf(trials.roc(), cost) == pytest.approx(0.5, rel=1e-14)  # at 3: two of four missed, no false alarm
    assert actual_dcf(trials, cost) == pytest.approx(0.5 + 1.98, rel=1e-14)  # log 9.9 = 2.29: 2.5 is accepted too
    assert actual_dcf(trials, cost, threshold=3.0) == pytest.approx(0.5, rel=1e-14)
    assert actual_dcf(trials, cost, threshold=INF) == 1.0
    assert actual_dcf(trials, cost, threshold=-INF) == pytest.approx(9.9, rel=1e-14)
    assert actual_dcf(trials, cost, threshold=2.5, weights=[1, 1, 1, 1, 1, 1, 1, 1, 0]) == pytest.approx(0.5)
    both = (cost, DetectionCost(0.5))
    assert minimum_dcf(trials.roc(), both) == pytest.approx((0.5 + 0.2) / 2, rel=1e-14)


@given(SIDE, SIDE)
def test_minimum_cost_is_that_of_the_best_of_all_thresholds(targets: list[float], nontargets: list[float]) -> None:
    trials = DetectionTrials.of(targets, nontargets)
    candidates = sorted({*targets, *nontargets, -INF, *np.nextafter([*targets, *nontargets], INF).tolist()})
    rates = [rates_at(targets, nontargets, threshold) for threshold in candidates] + [(1.0, 0.0)]
    for cost in COSTS:
        trivial = min(cost.c_miss * cost.p_target, cost.c_fa * (1 - cost.p_target))
        costs = [cost.c_miss * cost.p_target * m + cost.c_fa * (1 - cost.p_target) * f for m, f in rates]
        least = minimum_dcf(trials.roc(), cost)
        assert least == pytest.approx(min(costs) / trivial, rel=1e-12, abs=1e-15)
        assert 0 <= least <= 1 + 1e-15
        assert least <= actual_dcf(trials, cost) + 1e-15
        for threshold in (-1.0, 0.5, 2.0):
            miss, false_alarm = rates_at(targets, nontargets, threshold)
            expected = cost.c_miss * cost.p_target * miss + cost.c_fa * (1 - cost.p_target) * false_alarm
            assert actual_dcf(trials, cost, threshold=threshold) == pytest.approx(expected / trivial, rel=1e-12)


@pytest.mark.parametrize("p_target", [0.01, 0.05, 0.5])
def test_cost_of_gaussians(p_target: float) -> None:
    """Ratios of N(d²/2, d²) and N(−d²/2, d²) are what they say, so the actual cost is the least, in closed form."""
    d, cost = 2.5, DetectionCost(p_target)
    places = scipy.stats.norm.ppf((np.arange(40_000) + 0.5) / 40_000)
    trials = DetectionTrials.of(d * places + d * d / 2, d * places - d * d / 2)
    t = cost.bayes_threshold
    miss, false_alarm = scipy.stats.norm.cdf(t / d - d / 2), scipy.stats.norm.sf(t / d + d / 2)
    expected = (p_target * miss + (1 - p_target) * false_alarm) / min(p_target, 1 - p_target)
    assert actual_dcf(trials, cost) == pytest.approx(expected, rel=2e-3)
    assert minimum_dcf(trials.roc(), cost) == pytest.approx(expected, rel=2e-3)


# Trials


def test_trials_of_a_matrix() -> None:
    trials = DetectionTrials.of_matrix([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [1, 0, -1])
    assert trials.scores.tolist() == [1, 2, 3, 4, 5, 6]
    assert trials.is_target.tolist() == [False, True, True, False, False, False]
    assert trials.targets.tolist() == [2, 3]
    assert trials.nontargets.tolist() == [1, 4, 5, 6]
    assert len(trials) == 6
    for truth in ([1, 0, 2], [1, 0, -2], [1, 0]):
        with pytest.raises(ValueError, match=r"expected 3 numbers in -1\.\.1"):
            DetectionTrials.of_matrix([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], truth)


@pytest.mark.parametrize(
    ("targets", "nontargets", "message"),
    [
        ([], [1.0], "no target trials"),
        ([1.0], [], "no non-target trials"),
        ([], [], "no target trials among 0"),
        ([math.nan], [1.0], "target scores: 1 of 1 scores are NaN"),
        ([1.0], [[1.0]], "1 dimension"),
    ],
)
def test_trials_are_checked(targets: Any, nontargets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DetectionTrials.of(targets, nontargets)


def test_weights_and_costs_are_checked() -> None:
    trials = DetectionTrials.of([1.0, 2.0], [0.0])
    with pytest.raises(EmptySideError, match="no weight on non-target trials"):
        trials.roc([1, 1, 0])
    with pytest.raises(EmptySideError, match="no weight on target trials"):
        actual_dcf(trials, weights=[0, 0, 1])
    for weights in ([1, 1], [1, -1, 1], [1, math.nan, 1], [1, INF, 1]):
        with pytest.raises(ValueError, match="weights"):
            trials.roc(weights)
    with pytest.raises(ValueError, match="threshold is NaN"):
        actual_dcf(trials, threshold=math.nan)
    with pytest.raises(ValueError, match="true or false"):
        DetectionTrials([1.0, 2.0], [0, 2])
    for values in ((0.0, 1, 1), (1.0, 1, 1), (0.5, 0, 1), (0.5, 1, -1), (0.5, INF, 1), (math.nan, 1, 1)):
        with pytest.raises(ValueError, match="p_target"):
            DetectionCost(*values)
