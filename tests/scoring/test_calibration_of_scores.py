"""Calibration against what its docstring says, scikit-learn's logistic regression, and scores whose ratio is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from speakerid.scoring import Calibration, CalibrationData, expected_ratios, fit_calibration, posteriors
from speakerid.workflows.shipped import shipped_calibration

BLANK = ((0.5, 0.0),)
SHIPPED = shipped_calibration()

some_ratios = st.lists(st.floats(-20, 20), min_size=1, max_size=7).map(np.array)
rates = st.floats(0, 1, exclude_min=True, exclude_max=True)


def only(place: int, kind: str = "several") -> Calibration:
    """A calibration that gives one of its terms."""
    weights = {"several": np.zeros(13), "single": np.zeros(4)}
    weights[kind][place] = 1.0
    return Calibration(tuple(weights["several"]), tuple(weights["single"]), BLANK, BLANK)


def terms_by_hand(ratios: NDArray[np.float64], seconds: float, expected: NDArray[np.float64]) -> list[list[float]]:
    """What the docstring of the module says, speaker by speaker; the last speakers may be -inf."""
    there = [i for i in range(len(ratios)) if np.isfinite(ratios[i])]
    n, log_t = len(there), math.log(min(max(seconds, 0.2), 8.0))
    tau = [max(float(value), 0.5) for value in expected]
    typical = sum(tau[i] for i in there) / n
    rows = []
    for s in there:
        others = [float(ratios[i]) for i in there if i != s]
        mean = sum(others) / len(others)
        squares = sum((value - mean) ** 2 for value in others)
        sigma = math.sqrt((20 * (typical / 4) ** 2 + squares) / (20 + len(others) - 1))
        margin, distance = (ratios[s] - max(others)) / sigma, (ratios[s] - mean) / sigma
        fit = ratios[s] / tau[s]
        parts = [max(margin, 0), min(margin, 0), distance, fit / math.sqrt(n), fit]
        rows.append([*parts, *(part * log_t for part in parts), log_t, math.log(n), 1.0])
    return rows


def a_corpus(seed: int, n: int = 120, n_speakers: int = 6) -> CalibrationData:
    """Questions asked of one speaker up to all."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(-1, n_speakers, n)
    truth[rng.random(n) < 0.4] = -1
    ratios = rng.normal(0.0, 1.0, (n, n_speakers))
    ratios[truth >= 0, truth[truth >= 0]] += 1.5
    for row in range(n):
        absent = rng.permutation(n_speakers)[: rng.integers(0, n_speakers)]
        ratios[row, absent[absent != truth[row]]] = -np.inf
    expected = rng.uniform(0.2, 4.0, (n, n_speakers))
    return CalibrationData(ratios, rng.uniform(0.1, 12.0, n), expected, truth, 40)


# the terms


@pytest.mark.parametrize("place", range(13))
def test_the_terms_are_what_is_written(place: int) -> None:
    data = a_corpus(1, 30)
    found = only(place).ratios(data.ratios[:1], data.seconds[:1], data.expected[0])
    assert found.shape == (1, 6)
    n_asked = 0
    for ratios, seconds, expected in zip(data.ratios, data.seconds, data.expected, strict=True):
        there = np.isfinite(ratios)
        if there.sum() < 2:
            continue
        n_asked += 1
        found = only(place).ratios(ratios[None], np.array([seconds]), expected)[0]
        by_hand = [row[place] for row in terms_by_hand(ratios, seconds, expected)]
        np.testing.assert_allclose(found[there], by_hand, rtol=1e-9, atol=1e-12)
        assert np.isneginf(found[~there]).all()
    assert n_asked > 10


def test_who_is_asked_alone_is_not_compared() -> None:
    ratios = np.array([[1.0, -np.inf, -np.inf], [1.0, 0.5, 2.0]])
    for alone, rows in ((False, [0]), (True, [0, 1])):
        found = [
            only(place, "single").ratios(ratios, np.array([2.0, 3.0]), np.array([2.0, 4.0, 0.1]), alone=alone)
            for place in range(4)
        ]
        for row in rows:
            there = np.isfinite(ratios[row])
            fit = (ratios[row] / np.array([2.0, 4.0, 0.5]))[there]
            log_t = math.log([2.0, 3.0][row])
            for place, value in enumerate((fit, fit * log_t, np.full(len(fit), log_t), np.ones(len(fit)))):
                np.testing.assert_allclose(found[place][row][there], value, rtol=1e-12)
    assert (only(3, "single").ratios(ratios, np.array([2.0, 3.0]), np.ones(3))[1] == 0).all()


@given(ratios=some_ratios, seconds=st.floats(0, 100), seed=st.integers(0, 99))
def test_the_order_of_the_speakers_does_not_matter(ratios: NDArray[np.float64], seconds: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    order, expected = rng.permutation(len(ratios)), rng.uniform(-1, 6, len(ratios))
    one = SHIPPED.ratios(ratios[None], np.array([seconds]), expected)[0]
    other = SHIPPED.ratios(ratios[order][None], np.array([seconds]), expected[order])[0]
    np.testing.assert_allclose(other, one[order], rtol=1e-9, atol=1e-9)


@given(ratios=some_ratios, n_absent=st.integers(1, 4), alone=st.booleans())
def test_who_is_not_compared_is_as_if_not_there(ratios: NDArray[np.float64], n_absent: int, alone: bool) -> None:
    with_absent = np.append(ratios, np.full(n_absent, -np.inf))
    expected = np.linspace(0.5, 5, len(with_absent))
    found = SHIPPED.ratios(with_absent[None], np.array([3.0]), expected, alone=alone)[0]
    assert np.isneginf(found[len(ratios) :]).all()
    without = SHIPPED.ratios(ratios[None], np.array([3.0]), expected[: len(ratios)], alone=alone)[0]
    np.testing.assert_allclose(found[: len(ratios)], without, rtol=1e-9, atol=1e-9)


@given(ratios=some_ratios, more=st.floats(0.01, 10), seconds=st.floats(0.05, 60), place=st.integers(0, 6))
def test_with_the_shipped_one_a_better_fit_is_more_evidence(
    ratios: NDArray[np.float64], more: float, seconds: float, place: int
) -> None:
    place %= len(ratios)
    expected = np.full(len(ratios), 3.0)
    before = SHIPPED.ratios(ratios[None], np.array([seconds]), expected)[0, place]
    ratios = ratios.copy()
    ratios[place] += more
    assert SHIPPED.ratios(ratios[None], np.array([seconds]), expected)[0, place] > before


def test_nobody_to_compare_is_nobody() -> None:
    found = SHIPPED.ratios(np.full((2, 3), -np.inf), np.array([1.0, 2.0]), np.ones(3))
    assert np.isneginf(found).all()
    speakers, nobody = posteriors(found)
    assert (speakers == 0).all()
    np.testing.assert_allclose(nobody, 1.0)


def test_equal_ratios_are_equal_evidence() -> None:
    found = SHIPPED.ratios(np.full((1, 4), 1.5), np.array([2.0]), np.full(4, 3.0))[0]
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, found[0])


# the fit


@pytest.mark.parametrize("strength", [1e-3, 0.05])
@pytest.mark.parametrize("toward", [None, SHIPPED], ids=["from nothing", "drawn to the shipped one"])
def test_the_weights_are_scikit_learns(strength: float, toward: Calibration | None) -> None:
    corpora = [a_corpus(1), a_corpus(2, 60, 4)]
    fitted = fit_calibration(corpora, toward=toward, strength=strength)
    X, y, weights = [], [], []
    for data in corpora:
        rows, targets, asked = [], [], []
        for ratios, seconds, expected, truth in zip(data.ratios, data.seconds, data.expected, data.truth, strict=True):
            there = np.flatnonzero(np.isfinite(ratios))
            if len(there) > 1:
                rows += terms_by_hand(ratios, seconds, expected)
                targets += (there == truth).tolist()
                asked += [1 / len(there)] * len(there)
        target = np.array(targets)
        weight = np.where(target, 1.0, asked)
        weight[target] *= 0.5 / weight[target].sum()
        weight[~target] *= 0.5 / weight[~target].sum()
        X.append(rows)
        y.append(target)
        weights.append(weight / len(corpora))
    terms, target, weight = np.concatenate(X), np.concatenate(y), np.concatenate(weights)
    spread = np.sqrt(np.average((terms - np.average(terms, axis=0, weights=weight)) ** 2, axis=0, weights=weight))
    spread[-1] = 1.0  # the constant
    start = np.zeros(13) if toward is None else np.array(toward.several)
    if toward is None:
        model = LogisticRegression(C=1 / strength, fit_intercept=False, tol=1e-12, solver="newton-cholesky")
        model.fit(terms / spread, target, sample_weight=weight)
        np.testing.assert_allclose(fitted.several, model.coef_[0] / spread, rtol=1e-4, atol=1e-5)

    # the least cost: its derivative is 0, by differences
    def cost(beta: NDArray[np.float64]) -> float:
        z = np.where(target, 1, -1) * (terms @ beta)
        return float(weight @ np.logaddexp(0, -z) + strength / 2 * ((beta - start) * spread) ** 2 @ np.ones(13))

    best = np.array(fitted.several)
    for place in range(13):
        step = np.zeros(13)
        step[place] = 1e-4 / spread[place]
        assert cost(best) <= min(cost(best + step), cost(best - step)) + 1e-15


def test_a_known_ratio_is_found() -> None:
    """Fits of the own speaker about 1, of others about 0, both normal: the ratio is (r - 1/2) / s²."""
    rng = np.random.default_rng(3)
    n, s = 20_000, 0.4
    known = np.arange(n) % 2 == 0
    expected = rng.uniform(1.0, 4.0, (n, 1))
    fit = rng.normal(known, s)[:, None]
    truth = np.where(known, 0, -1)
    fitted = fit_calibration([CalibrationData(fit * expected, np.full(n, 2.0), expected, truth, n)], strength=1e-7)
    asked = np.linspace(-0.3, 1.3, 9)[:, None]
    found = fitted.ratios(asked * 2.5, np.full(9, 2.0), np.array([2.5]))
    np.testing.assert_allclose(found, (asked - 0.5) / s**2, atol=0.25)
    for rate, deviations in ((0.1, 1.2816), (0.01, 2.3263)):
        for threshold in (fitted.naming_threshold(rate), fitted.accepting_threshold(rate)):
            assert threshold == pytest.approx((deviations * s - 0.5) / s**2, abs=0.4)


def test_without_data_it_is_what_it_is_drawn_to() -> None:
    fitted = fit_calibration([a_corpus(5)], toward=SHIPPED, strength=1e9)
    np.testing.assert_allclose(fitted.several, SHIPPED.several, atol=1e-6)
    np.testing.assert_allclose(fitted.single, SHIPPED.single, atol=1e-6)


def test_the_shares_reach_their_thresholds() -> None:
    data = a_corpus(7, 4000)
    fitted = fit_calibration([data])
    stranger = data.truth < 0
    best, false = [], []
    for ratios, seconds, expected, truth in zip(data.ratios, data.seconds, data.expected, data.truth, strict=True):
        llr = fitted.ratios(ratios[None], np.array([seconds]), expected)[0]
        there = np.isfinite(llr)
        if truth < 0:
            best.append(llr.max() - math.log(there.sum()))
        there[truth] &= truth < 0
        false += llr[there].tolist()
    assert len(best) == stranger.sum()
    for rate, threshold in fitted.strangers:
        assert np.mean(np.array(best) >= threshold) == pytest.approx(rate, abs=1e-3)
    for rate, threshold in fitted.impostors:
        assert np.mean(np.array(false) >= threshold) == pytest.approx(rate, abs=1e-3)
    # 40 recordings know nothing of one in a hundred
    assert min(rate for rate, _threshold in fitted.strangers) == 0.05


@pytest.mark.parametrize(
    "spoil",
    [
        lambda truth: np.full_like(truth, -1),
        np.zeros_like,
    ],
    ids=["strangers only", "one speaker only"],
)
def test_one_kind_of_answer_is_too_little(spoil: Callable[[Any], Any]) -> None:
    data = a_corpus(1, n_speakers=1)
    with pytest.raises(ValueError, match=r"calibration needs|no strangers"):
        fit_calibration([CalibrationData(data.ratios, data.seconds, data.expected, spoil(data.truth), 5)])


def test_a_corpus_without_false_claims_is_no_division_by_zero() -> None:
    good, n = a_corpus(1), 10
    bad = CalibrationData(np.ones((n, 1)), np.ones(n), np.ones(1), np.zeros(n, dtype=np.intp), n)
    fitted = fit_calibration([good, bad])
    assert fitted.impostors
    assert fitted.strangers


# thresholds


@given(one=rates, other=rates)
def test_a_smaller_rate_needs_no_less(one: float, other: float) -> None:
    low, high = sorted((one, other))
    tables = [SHIPPED, Calibration((0.0,) * 13, (0.0,) * 4, ((0.3, -1.0),), ((0.5, 0.0), (0.1, 2.0)))]
    for calibration in tables:
        for threshold in (calibration.naming_threshold, calibration.accepting_threshold):
            assert math.isfinite(threshold(low))
            assert math.isfinite(threshold(high))
            assert threshold(low) >= threshold(high)


@pytest.mark.parametrize("rate", [5e-324, 1e-300, 1e-9, 0.9, math.nextafter(1, 0)])
def test_beyond_the_table_thresholds_are_finite(rate: float) -> None:
    assert math.isfinite(SHIPPED.naming_threshold(rate))
    table = dict(SHIPPED.strangers)
    assert (SHIPPED.naming_threshold(rate) > max(table.values())) == (rate < 0.5)


def test_in_the_table_thresholds_are_the_tables() -> None:
    for rate, threshold in SHIPPED.impostors:
        assert SHIPPED.accepting_threshold(rate) == pytest.approx(threshold, abs=1e-12)
    for rate, threshold in SHIPPED.strangers:
        assert SHIPPED.naming_threshold(rate) == pytest.approx(threshold, abs=1e-12)
        # no jump
        assert SHIPPED.naming_threshold(rate * (1 + 1e-9)) == pytest.approx(threshold, abs=1e-6)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 2.0, math.nan, math.inf])
def test_a_rate_is_between_0_and_1(rate: float) -> None:
    with pytest.raises(ValueError, match="false-accept rate"):
        SHIPPED.naming_threshold(rate)


# probabilities


@given(ratios=some_ratios, n_absent=st.integers(0, 3), prior=st.floats(0.001, 0.999))
def test_probabilities_are_bayes_rule(ratios: NDArray[np.float64], n_absent: int, prior: float) -> None:
    everybody = np.append(ratios, np.full(n_absent, -np.inf))
    speakers, nobody = posteriors(everybody[None], prior_unknown=prior)
    assert speakers.sum() + nobody.sum() == pytest.approx(1.0)
    assert (speakers[0, len(ratios) :] == 0).all()
    share = (1 - prior) / len(ratios)
    total = prior + sum(share * math.exp(value) for value in ratios)
    assert nobody[0] == pytest.approx(prior / total)
    np.testing.assert_allclose(speakers[0, : len(ratios)], share * np.exp(ratios) / total, rtol=1e-9)


def test_large_ratios_are_certain_and_no_overflow() -> None:
    speakers, nobody = posteriors(np.array([[1e6, -1e6]]))
    np.testing.assert_array_equal([*speakers[0], *nobody], [1.0, 0.0, 0.0])


@pytest.mark.parametrize("prior", [0.0, 1.0, -1.0, math.nan])
def test_a_prior_is_between_0_and_1(prior: float) -> None:
    with pytest.raises(ValueError, match="prior"):
        posteriors(np.zeros((1, 2)), prior_unknown=prior)


def test_who_has_nothing_held_out_is_typical() -> None:
    np.testing.assert_allclose(expected_ratios([2.0, None, 4.0]), [2.0, 3.0, 4.0])
    np.testing.assert_allclose(expected_ratios([None]), [3.0])
    # recordings that do not fit each other must not make every question a good one
    np.testing.assert_allclose(expected_ratios([2.0, -1.0, 0.1, 5.0]), [2.0, 3.0, 3.0, 5.0])
    np.testing.assert_allclose(expected_ratios([-1.0]), [3.0])


# as text


def test_it_comes_back_from_json() -> None:
    for calibration in (SHIPPED, fit_calibration([a_corpus(1)], about={"seed": 3})):
        again = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict())))
        assert again == calibration
        assert again.about == calibration.about


def changed(**values: Any) -> dict[str, Any]:
    return {**SHIPPED.to_dict(), **values}


def deep(levels: int) -> Any:
    value: Any = 0.5
    for _level in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "values",
    [
        None, 1, "calibration", [], [1, 2], {}, b"x",
        changed(format=2), changed(format=True), changed(format=None), changed(format="1"), changed(format="x" * 100_000),
        *[{k: v for k, v in SHIPPED.to_dict().items() if k != name} for name in SHIPPED.to_dict()],
        changed(several=[0.0] * 12), changed(several=[0.0] * 14), changed(single=[]), changed(single=None),
        changed(several="1" * 13), changed(several=["1"] * 13), changed(several=[True] * 13), changed(single=[None] * 4),
        changed(several={str(i): 0.0 for i in range(13)}), changed(single=dict.fromkeys("1234", 1.0)),
        changed(single=[math.nan, 0, 0, 0]), changed(single=[math.inf, 0, 0, 0]), changed(single=[1e7, 0, 0, 0]),
        changed(single=[10**400, 0, 0, 0]), changed(single=[[1.0]] * 4), changed(single=deep(500)),
        changed(strangers=[]), changed(strangers=None), changed(strangers=0.5), changed(strangers=[0.5]),
        changed(strangers=[[0.5]]), changed(strangers=[[0.5, 0.0, 1.0]]), changed(strangers=["12"]),
        changed(strangers={"12": 0}), changed(impostors=[["0.5", 1.0]]), changed(impostors=[[True, 1.0]]),
        changed(impostors=[[0.5, math.nan]]), changed(impostors=[[math.nan, 1.0]]),
        changed(impostors=[[0.5, 0.0], [math.nan, 1.0]]), changed(impostors=[[0.5, 0.0], [0.4, math.inf]]),
        changed(impostors=[[0.5, 0.0], [0.4, 1e7]]), changed(impostors=[[0.1, 0.0], [0.5, 1.0]]),
        changed(impostors=[[0.5, 1.0], [0.1, 0.0]]), changed(impostors=[[0.5, 0.0], [0.5, 1.0]]),
        changed(impostors=[[1.0, 0.0]]), changed(impostors=[[0.0, 0.0]]), changed(impostors=[[0.5, 10**400]]),
        changed(impostors=deep(500)), changed(about=None), changed(about=[["a", 1]]), changed(about="ab"),
    ],
)  # fmt: skip
def test_what_is_no_calibration_is_a_value_error_of_one_line(values: object) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is looked at
        Calibration.from_dict(values)
    message = str(caught.value)
    assert message.startswith("no calibration: ")
    assert len(message.splitlines()) == 1
    assert len(message) < 200


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=12,
    ),
    st.sampled_from(["format", "several", "single", "strangers", "impostors", "about"]),
)
def test_whatever_is_put_in_a_field_is_read_or_a_value_error(value: object, name: str) -> None:
    try:
        found = Calibration.from_dict(changed(**{name: value}))
    except ValueError:
        return
    assert found == SHIPPED or name in ("strangers", "impostors")
