"""Open-set identification: by hand, every threshold tried, and what ties it to closed-set accuracy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from speakerid.evaluation import (
    DetectionTrials,
    EmptySideError,
    OpenSetTrials,
    equal_error_rate,
    ranks,
    top_k_accuracy,
)

INF = math.inf
SCORES = st.integers(-4, 4).map(float) | st.sampled_from([INF, -INF])
KNOWN = st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=20)
STRANGERS = st.lists(SCORES, min_size=1, max_size=20)


def of(known: list[tuple[float, bool]], strangers: list[float]) -> OpenSetTrials:
    return OpenSetTrials([score for score, _right in known], [right for _score, right in known], strangers)


def test_rates_by_hand() -> None:
    trials = OpenSetTrials([5.0, 4.0, 3.0, 2.0], [True, False, True, True], [4.5, 3.0, 1.0, 0.0])
    curve = trials.curve()
    assert curve.roc.thresholds.tolist() == [0, 1, 2, 3, 4, 4.5, 5, INF]
    assert curve.roc.false_alarm.tolist() == [1, 0.75, 0.5, 0.5, 0.25, 0.25, 0, 0]
    assert curve.roc.miss.tolist() == [0, 0, 0, 0.25, 0.5, 0.75, 0.75, 1]
    assert curve.identified.tolist() == [0.75, 0.75, 0.75, 0.5, 0.25, 0.25, 0.25, 0]
    assert [curve.threshold_at(rate) for rate in (1.0, 0.5, 0.49, 0.25, 0.05, 0.0)] == [0, 2, 4, 4, 5, 5]
    assert [curve.identified_at(rate) for rate in (1.0, 0.5, 0.25, 0.01)] == [0.75, 0.75, 0.25, 0.25]
    assert [curve.missed_at(rate) for rate in (1.0, 0.5, 0.25, 0.01)] == [0, 0, 0.5, 0.75]
    # misses go from 1/4 to 1/2 and false alarms from 1/2 to 1/4 between thresholds 3 and 4
    assert curve.equal_error_rate == pytest.approx(0.375, rel=1e-14)


def test_of_scores_takes_the_largest_and_ties_are_wrong() -> None:
    trials = OpenSetTrials.of_scores([[1.0, 9.0], [8.0, 2.0], [7.0, 7.0]], [1, 1, 0], [[0.0, 3.0], [5.0, 4.0]])
    assert trials.detection.targets.tolist() == [9, 8, 7]
    assert trials.detection.nontargets.tolist() == [3, 5]
    assert trials.right.tolist() == [True, False, False]
    assert (trials.n_known, trials.n_strangers) == (3, 2)
    assert trials.curve().identified_at(0.0) == pytest.approx(1 / 3, rel=1e-15)


@given(KNOWN, STRANGERS, st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.25, 1 / 3, 0.5, 0.9, 1.0]))
def test_rates_are_the_best_of_all_thresholds(
    known: list[tuple[float, bool]], strangers: list[float], rate: float
) -> None:
    """The best rate that any threshold gives without more false alarms than asked."""
    scores = [score for score, _right in known]
    right = np.array([right for _score, right in known])
    candidates = np.array(sorted({-INF, *scores, *strangers, *np.nextafter([*scores, *strangers], INF).tolist()}))
    alarms = np.array([np.mean(np.greater_equal(strangers, t)) for t in candidates])
    identified = np.array([np.mean(np.greater_equal(scores, t) & right) for t in candidates])
    allowed = alarms <= rate
    curve = of(known, strangers).curve()
    best = identified[allowed].max() if allowed.any() else 0.0
    assert curve.identified_at(rate) == pytest.approx(best, abs=1e-14)
    threshold = curve.threshold_at(rate)
    if threshold < INF:
        assert np.mean(np.greater_equal(strangers, threshold)) <= rate
        assert np.mean(np.greater_equal(scores, threshold) & right) == pytest.approx(best, abs=1e-14)
        assert np.mean(np.less(scores, threshold)) == pytest.approx(curve.missed_at(rate), abs=1e-14)


@given(KNOWN, STRANGERS)
def test_identification_needs_detection(known: list[tuple[float, bool]], strangers: list[float]) -> None:
    curve = of(known, strangers).curve()
    assert (np.diff(curve.identified) <= 0).all()
    assert (curve.identified <= 1 - curve.roc.miss + 1e-14).all()
    assert curve.identified[0] == pytest.approx(np.mean([right for _score, right in known]), abs=1e-14)
    assert curve.identified[-1] == 0
    roc = DetectionTrials.of([score for score, _right in known], strangers).roc()
    assert curve.equal_error_rate == equal_error_rate(roc)


def test_at_full_false_alarms_it_is_the_closed_set() -> None:
    rng = np.random.default_rng(1)
    known, truth, strangers = rng.normal(size=(80, 6)), rng.integers(0, 6, 80), rng.normal(size=(50, 6))
    known[np.arange(80), truth] += 1
    curve = OpenSetTrials.of_scores(known, truth, strangers).curve()
    assert curve.identified_at(1.0) == top_k_accuracy(ranks(known, truth)).value
    assert curve.threshold_at(1.0) == min(known.max(axis=1).min(), strangers.max(axis=1).min())


def test_gaussians_have_the_closed_form() -> None:
    """One enrolled speaker: a known test is N(3, 1), a stranger N(0, 1); at 1 % the threshold is the 99 % quantile."""
    places = scipy.stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)[:, None]
    curve = OpenSetTrials.of_scores(places + 3, np.zeros(20_000, dtype=int), places).curve()
    for rate in (0.01, 0.05):
        threshold = scipy.stats.norm.isf(rate)
        assert curve.threshold_at(rate) == pytest.approx(threshold, abs=2e-3)
        assert curve.identified_at(rate) == pytest.approx(scipy.stats.norm.sf(threshold - 3), abs=1e-3)
    assert curve.equal_error_rate == pytest.approx(scipy.stats.norm.cdf(-1.5), abs=1e-3)


def test_a_rate_is_kept_whatever_its_rounding() -> None:
    """k of 100 strangers is a rate of k/100, however that was computed."""
    trials = OpenSetTrials(np.arange(100) + 0.5, np.ones(100), np.arange(100))
    curve = trials.curve()
    for k in range(100):
        for rate in (k / 100, k * 0.01, 1 - (100 - k) / 100):
            assert curve.missed_at(max(rate, 0.0)) == pytest.approx((99 - k) / 100 + 0.0, abs=1e-12)


def test_weights_are_copies() -> None:
    rng = np.random.default_rng(2)
    known, right, strangers = rng.integers(0, 9, 30), rng.random(30) < 0.7, rng.integers(-4, 6, 20)
    of_known, of_strangers = rng.integers(0, 4, 30), rng.integers(0, 4, 20)
    weighted = OpenSetTrials(known, right, strangers).curve(of_known, of_strangers)
    copied = OpenSetTrials(
        np.repeat(known, of_known), np.repeat(right, of_known), np.repeat(strangers, of_strangers)
    ).curve()
    for rate in (0.0, 0.05, 0.2, 0.7, 1.0):
        assert weighted.identified_at(rate) == pytest.approx(copied.identified_at(rate), rel=1e-13)
        assert weighted.missed_at(rate) == pytest.approx(copied.missed_at(rate), rel=1e-13)
    assert weighted.equal_error_rate == pytest.approx(copied.equal_error_rate, rel=1e-13)


@pytest.mark.parametrize(
    ("known", "truth", "strangers", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0, dtype=int), [[1.0, 2.0]], "no target trials"),
        ([[1.0, 2.0]], [0], np.zeros((0, 2)), "no non-target trials"),
        ([[1.0, 2.0]], [0], [[1.0]], "the same speakers"),
        (np.zeros((1, 0)), [0], np.zeros((1, 0)), "one or more"),
        ([[1.0, 2.0]], [2], [[1.0, 2.0]], "true speakers"),
        ([[1.0, math.nan]], [0], [[1.0, 2.0]], "NaN"),
    ],
)
def test_wrong_input_is_refused(known: Any, truth: Any, strangers: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OpenSetTrials.of_scores(known, truth, strangers)


def test_rates_and_weights_are_checked() -> None:
    trials = OpenSetTrials([1.0], [True], [0.0])
    for rate in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="false-alarm rate"):
            trials.curve().identified_at(rate)
    with pytest.raises(EmptySideError, match="no weight"):
        trials.curve([0.0])
    with pytest.raises(EmptySideError, match="no weight"):
        trials.curve(None, [0.0])
