"""From scores to a decision."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerid.scoring import Decision, Rule, decide

ALWAYS = Rule("always")

SCORES = st.lists(st.floats(-200, 50, width=32), min_size=1, max_size=20).map(np.array)


def test_the_best_score_wins_with_its_lead_as_margin() -> None:
    decision = decide(np.array([-61.5, -60.25, -70.0]), ALWAYS)
    assert decision == Decision("identified", 1, 1.25, (1, 0, 2))


def test_equal_scores_keep_their_order() -> None:
    decision = decide(np.array([-3.0, -1.0, -3.0, -1.0, -1.0]), ALWAYS)
    assert decision == Decision("identified", 1, 0.0, (1, 3, 4, 0, 2))


def test_many_equal_scores_keep_their_order_too() -> None:
    scores = np.random.default_rng(1).integers(0, 3, 200).astype(np.float64)
    expected = [i for value in (2, 1, 0) for i in range(200) if scores[i] == value]
    assert list(decide(scores, ALWAYS).ranking) == expected


@pytest.mark.parametrize(("threshold", "status"), [(0.0, "identified"), (1.25, "identified"), (1.26, "unknown")])
def test_a_margin_below_the_threshold_gets_no_name(threshold: float, status: str) -> None:
    decision = decide(np.array([-61.5, -60.25, -70.0]), Rule("margin", threshold))
    assert decision.status == status
    assert (decision.speaker, decision.margin, decision.ranking) == (1, 1.25, (1, 0, 2))  # said also when refused


def test_a_tie_is_refused_by_any_positive_threshold() -> None:
    assert decide(np.array([-1.0, -1.0]), Rule("margin", 1e-9)).status == "unknown"
    assert decide(np.array([-1.0, -1.0]), Rule("margin", 0.0)).status == "identified"


def test_a_single_speaker_has_no_margin() -> None:
    assert decide(np.array([-61.5]), ALWAYS) == Decision("identified", 0, None, (0,))
    assert decide(np.array([-61.5]), Rule("margin", 100.0)).margin is None


@given(SCORES)
def test_the_ranking_is_a_permutation_from_best_to_worst(scores: np.ndarray) -> None:
    decision = decide(scores, ALWAYS)
    assert sorted(decision.ranking) == list(range(len(scores)))
    assert decision.speaker == decision.ranking[0]
    for first, second in zip(decision.ranking, decision.ranking[1:], strict=False):
        assert scores[first] > scores[second] or (scores[first] == scores[second] and first < second)
    assert all(type(speaker) is int for speaker in decision.ranking)
    if len(scores) > 1:
        best, next_best = np.sort(scores)[::-1][:2]
        assert decision.margin == best - next_best


@given(SCORES, st.sampled_from([-64.0, 0.5, 32.0]))
def test_a_constant_on_all_scores_changes_nothing(scores: np.ndarray, constant: float) -> None:
    exact = np.round(scores)
    assert decide(exact, Rule("margin", 2.0)) == decide(exact + constant, Rule("margin", 2.0))


def test_a_decision_is_frozen_and_the_scores_are_left_alone() -> None:
    scores = np.array([-2.0, -1.0])
    decision = decide(scores, ALWAYS)
    np.testing.assert_array_equal(scores, [-2.0, -1.0])
    with pytest.raises(dataclasses.FrozenInstanceError):
        decision.speaker = 0  # type: ignore[misc]
