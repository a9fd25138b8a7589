"""Scores relative to the best of the others, against a loop and against the decision that `identify` takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerid.scoring import Rule, decide, relative_scores

VALUES = st.sampled_from([-np.inf, -61.25, -50.0, -49.5, -3.0, 0.0, 2.5])


def by_loop(rows: np.ndarray) -> np.ndarray:
    result = rows.copy()
    for i, row in enumerate(rows):
        for j, own in enumerate(row):
            others = [value for k, value in enumerate(row) if k != j and value > -np.inf]
            if own > -np.inf and others:
                result[i, j] = own - max(others)
    return result


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(VALUES, min_size=n, max_size=n), min_size=1, max_size=6)))
def test_as_a_loop_over_the_definition(rows: list[list[float]]) -> None:
    log_likelihoods = np.array(rows)
    np.testing.assert_array_equal(relative_scores(log_likelihoods), by_loop(log_likelihoods))


def test_the_largest_is_the_margin_of_the_decision_to_the_last_bit() -> None:
    log_likelihoods = np.random.default_rng(1).normal(-60, 3, (500, 7))
    scores = relative_scores(log_likelihoods)
    for row, found in zip(log_likelihoods, scores, strict=True):
        decision = decide(row, Rule("always"))
        assert found.argmax() == decision.speaker
        assert found.max() == decision.margin
        assert np.sum(found > 0) == 1


def test_equal_best_speakers_have_a_score_of_zero() -> None:
    np.testing.assert_array_equal(relative_scores(np.array([[-5.0, -5.0, -7.0]])), [[0.0, 0.0, -2.0]])


@pytest.mark.parametrize("row", [[-4.5], [-4.5, -np.inf], [-np.inf, -4.5, -np.inf]])
def test_the_only_speaker_keeps_the_log_likelihood(row: list[float]) -> None:
    np.testing.assert_array_equal(relative_scores(np.array([row])), [row])


def test_who_is_not_compared_stays_out_and_changes_nothing_for_the_others() -> None:
    log_likelihoods = np.random.default_rng(2).normal(-60, 3, (50, 5))
    without = log_likelihoods.copy()
    without[:, 2] = -np.inf
    scores = relative_scores(without)
    assert np.isneginf(scores[:, 2]).all()
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(scores[:, others], relative_scores(log_likelihoods[:, others]))


def test_what_is_given_is_not_changed() -> None:
    given_rows = np.array([[-1.0, -2.0], [-np.inf, -np.inf]])
    before = given_rows.copy()
    np.testing.assert_array_equal(relative_scores(given_rows), [[1.0, -1.0], [-np.inf, -np.inf]])
    np.testing.assert_array_equal(given_rows, before)
