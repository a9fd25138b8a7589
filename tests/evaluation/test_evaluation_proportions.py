"""Proportions, Wilson's interval, McNemar's test and accuracy by a covariate: scipy's figures and examples by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from speakerid.evaluation import (
    SECONDS_EDGES,
    McNemar,
    Proportion,
    accuracy_by_bins,
    accuracy_by_value,
    mcnemar_test,
    quantile_edges,
    wilson_interval,
)

INF = math.inf

# Proportions


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (7, 20), (999, 1000), (123456, 1000000)])
def test_wilson_is_scipys(right: int, n: int, level: float) -> None:
    expected = scipy.stats.binomtest(right, n).proportion_ci(level, method="wilson")
    assert wilson_interval(right, n, level) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-12)
    assert Proportion(right, n).interval(level) == wilson_interval(right, n, level)


def test_wilson_by_hand() -> None:
    """Ends p at which the number of right tests is exactly z standard deviations from its mean."""
    z = 1.959963984540054
    for p in wilson_interval(8, 10):
        assert abs(8 - 10 * p) == pytest.approx(z * math.sqrt(10 * p * (1 - p)), rel=1e-9)


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.01, 0.999))
def test_wilson_holds_the_share_and_mirrors(right: int, wrong: int, level: float) -> None:
    n = right + wrong
    low, high = wilson_interval(right, n, level)
    assert 0 <= low <= high <= 1
    if n:
        assert low - 1e-12 <= right / n <= high + 1e-12
    assert wilson_interval(wrong, n, level) == pytest.approx((1 - high, 1 - low), abs=1e-12)
    assert (low == 0) == (right == 0)
    assert (high == 1) == (wrong == 0)


def test_none_and_all_have_an_exact_end() -> None:
    assert {wilson_interval(0, n)[0] for n in range(1, 300)} == {0.0}
    assert {wilson_interval(n, n)[1] for n in range(1, 300)} == {1.0}


def test_nothing_of_nothing() -> None:
    assert math.isnan(Proportion(0, 0).value)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert Proportion(3, 4).value == 0.75


def test_proportions_are_checked() -> None:
    for right, n in [(-1, 3), (4, 3), (0, -1)]:
        with pytest.raises(ValueError, match="no proportion"):
            Proportion(right, n)
    for level in (0.0, 1.0, 95.0, math.nan):
        with pytest.raises(ValueError, match="level"):
            wilson_interval(1, 2, level)


# McNemar


@pytest.mark.parametrize("only_first", range(8))
@pytest.mark.parametrize("only_second", [0, 1, 3, 7, 40])
def test_mcnemar_is_scipys_binomial(only_first: int, only_second: int) -> None:
    first = np.repeat([True, True, False, False], [30, only_first, only_second, 5])
    second = np.repeat([True, False, True, False], [30, only_first, only_second, 5])
    found = mcnemar_test(first, second)
    n = only_first + only_second
    expected = scipy.stats.binomtest(only_first, n).pvalue if n else 1.0
    assert found == McNemar(only_first, only_second, pytest.approx(expected, rel=1e-10))
    assert mcnemar_test(second, first).p_value == found.p_value


def test_mcnemar_by_hand_and_at_size() -> None:
    assert mcnemar_test([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]).p_value == 2 / 2**5
    assert mcnemar_test([], []) == McNemar(0, 0, 1.0)
    first, second = np.arange(20_000) < 10_400, np.arange(20_000) >= 10_400
    expected = scipy.stats.binomtest(9_600, 20_000).pvalue
    assert mcnemar_test(first, second).p_value == pytest.approx(expected, rel=1e-8)
    with pytest.raises(ValueError, match="shape"):
        mcnemar_test([1, 0], [1])


# Accuracy by a covariate


def test_bins_by_hand() -> None:
    bins = accuracy_by_bins([0.0, 0.9, 1.0, 4.0, 7.0, 7.0], [0, 1, 1, 1, 0, 1], [0, 1, 2, 3, 7])
    assert [(each.low, each.high, each.mean) for each in bins] == [(0, 1, 0.45), (1, 2, 1), (3, 7, 6)]
    assert [each.proportion for each in bins] == [Proportion(1, 2), Proportion(1, 1), Proportion(2, 3)]
    assert [each.interval for each in bins] == [wilson_interval(1, 2), wilson_interval(1, 1), wilson_interval(2, 3)]
    assert accuracy_by_bins([1.0], [1], [0, 2], level=0.5)[0].interval == wilson_interval(1, 1, 0.5)


def test_values_by_hand() -> None:
    bins = accuracy_by_value([50, 10, 10, 50, 50], [1, 1, 1, 0, 0])
    assert [(each.low, each.high, each.mean) for each in bins] == [(10, 10, 10), (50, 50, 50)]
    assert [each.proportion for each in bins] == [Proportion(2, 2), Proportion(1, 3)]


@given(st.lists(st.tuples(st.floats(0, 1000), st.booleans()), max_size=60), st.integers(1, 8))
def test_no_test_is_lost(tests: list[tuple[float, bool]], n_bins: int) -> None:
    seconds, right = [s for s, _r in tests], [r for _s, r in tests]
    edges = [SECONDS_EDGES, quantile_edges(seconds, n_bins)] if tests else [SECONDS_EDGES]
    for bins in (*(accuracy_by_bins(seconds, right, each) for each in edges), accuracy_by_value(seconds, right)):
        assert sum(each.proportion.n for each in bins) == len(tests)
        assert sum(each.proportion.right for each in bins) == sum(right)
        for each in bins:
            assert each.low <= each.mean * (1 + 1e-12)
            assert each.mean <= each.high * (1 + 1e-12)
            inside = [r for s, r in tests if each.low <= s < each.high or s == each.high == bins[-1].high]
            assert each.proportion == Proportion(sum(inside), len(inside)) or each.low == each.high


def test_quantile_edges_by_hand() -> None:
    np.testing.assert_allclose(quantile_edges([5, 1, 3, 2, 4], 2), [1, 3, 5])
    np.testing.assert_allclose(quantile_edges([1, 1, 1, 9], 2), [1, 9])
    edges = quantile_edges([7.0, 7.0], 3)
    assert accuracy_by_bins([7.0, 7.0], [1, 0], edges)[0].proportion == Proportion(1, 2)
    counts = [
        each.proportion.n for each in accuracy_by_bins(np.arange(100), np.ones(100), quantile_edges(np.arange(100), 4))
    ]
    assert counts == [25, 25, 25, 25]


@pytest.mark.parametrize(
    ("covariate", "right", "edges", "message"),
    [
        ([1.0, 9.0, 8.0], [1, 1, 0], [0, 5], "2 tests are outside 0..5, such as 9"),
        ([1.0, -1.0], [1, 1], SECONDS_EDGES, "outside 0..inf"),
        ([1.0, math.nan], [1, 1], [0, 5], "finite"),
        ([1.0, INF], [1, 1], SECONDS_EDGES, "finite"),
        ([1.0], [1, 0], [0, 5], "shape"),
        ([1.0], [0.5], [0, 5], "true or false"),
        ([1.0], [1], [0, 5, 5], "rising edges"),
        ([1.0], [1], [0], "rising edges"),
        ([1.0], [1], [0, math.nan], "rising edges"),
    ],
)
def test_bins_are_checked(covariate: Any, right: Any, edges: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        accuracy_by_bins(covariate, right, edges)


def test_quantile_edges_are_checked() -> None:
    for values, n_bins in [([], 2), ([1.0], 0), ([math.nan], 2), ([[1.0]], 2)]:
        with pytest.raises(ValueError, match="one or more"):
            quantile_edges(values, n_bins)
