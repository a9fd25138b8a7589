"""Ranks, CMC, confusion: by hand, against scikit-learn, and by what must not change them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from speakerid.evaluation import (
    ConfusedPair,
    Confusion,
    EmptySideError,
    SpeakerFigures,
    cmc_curve,
    confusion_matrix,
    decisions,
    expected_accuracy_by_size,
    ranks,
    top_k_accuracy,
)

INF = math.inf


@st.composite
def scored_tests(draw: Any, *, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    n_tests, n_speakers = draw(st.integers(1, 12)), draw(st.integers(1, 7))
    values = st.integers(-3, 3).map(float) | st.just(-INF) if ties else st.floats(-1e6, 1e6)
    scores = draw(hnp.arrays(np.float64, (n_tests, n_speakers), elements=values))
    return scores, draw(hnp.arrays(np.intp, n_tests, elements=st.integers(0, n_speakers - 1)))


# Ranks


def test_ranks_by_hand() -> None:
    scores = [[3, 1, 2], [3, 1, 2], [3, 1, 2], [5, 5, 1], [5, 5, 5], [-INF, -INF, 0], [-INF, -INF, -INF], [INF, 0, INF]]
    truth = [0, 1, 2, 1, 0, 0, 2, 0]
    assert ranks(scores, truth).tolist() == [1, 3, 2, 2, 3, 3, 3, 2]
    assert decisions(scores, truth).tolist() == [0, 0, 0, 0, 1, 2, 0, 2]


def test_a_single_speaker_is_always_right() -> None:
    assert ranks([[-5.0], [-INF]], [0, 0]).tolist() == [1, 1]
    assert decisions([[-5.0], [-INF]], [0, 0]).tolist() == [0, 0]


def test_a_system_that_cannot_tell_is_never_right() -> None:
    for value in (0.0, INF, -INF):
        scores = np.full((4, 4), value)
        assert ranks(scores, [0, 1, 2, 3]).tolist() == [4] * 4
        assert (decisions(scores, [0, 1, 2, 3]) != [0, 1, 2, 3]).all()


@given(scored_tests())
def test_ranks_and_decisions_written_out(tests: tuple[np.ndarray, np.ndarray]) -> None:
    scores, truth = tests
    found, decided = ranks(scores, truth), decisions(scores, truth)
    for row, true, rank, name in zip(scores.tolist(), truth.tolist(), found, decided.tolist(), strict=True):
        others = [score for speaker, score in enumerate(row) if speaker != true]
        assert rank == 1 + sum(score >= row[true] for score in others)
        assert row[name] == max(row)
        assert (name == true) == (rank == 1)


@given(scored_tests())
def test_ranks_know_only_the_order(tests: tuple[np.ndarray, np.ndarray]) -> None:
    scores, truth = tests
    np.testing.assert_array_equal(ranks(np.arctan(scores) * 3 - 100, truth), ranks(scores, truth))


@given(scored_tests(), st.randoms(use_true_random=False))
def test_ranks_do_not_know_the_order_of_speakers(tests: tuple[np.ndarray, np.ndarray], random: Any) -> None:
    scores, truth = tests
    order = list(range(scores.shape[1]))
    random.shuffle(order)
    np.testing.assert_array_equal(ranks(scores[:, order], np.argsort(order)[truth]), ranks(scores, truth))


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        ([[1.0, math.nan]], [0], "1 of 2 scores are NaN"),
        ([1.0, 2.0], [0], "2 dimension"),
        ([[1.0, 2.0]], [2], "expected 0..1"),
        ([[1.0, 2.0]], [-1], "expected 0..1"),
        ([[1.0, 2.0]], [0.0], "whole numbers"),
        ([[1.0, 2.0]], [0, 1], "shape"),
    ],
)
def test_wrong_input_is_refused(scores: Any, truth: Any, message: str) -> None:
    for function in (ranks, decisions):
        with pytest.raises(ValueError, match=message):
            function(scores, truth)


# Top k and CMC


def test_top_k_is_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    scores, truth = rng.normal(size=(300, 9)), rng.integers(0, 9, 300)
    scores[np.arange(300), truth] += 1
    found = ranks(scores, truth)
    curve = cmc_curve(found, 9)
    for k in range(1, 9):
        expected = sklearn.metrics.top_k_accuracy_score(truth, scores, k=k, labels=np.arange(9))
        assert top_k_accuracy(found, k).value == pytest.approx(expected, rel=1e-12)
        assert curve[k - 1] == pytest.approx(expected, rel=1e-12)
    assert top_k_accuracy(found, 9).right == top_k_accuracy(found, 100).right == 300


def test_cmc_by_hand() -> None:
    np.testing.assert_allclose(cmc_curve([1, 1, 2, 4], 4), [0.5, 0.75, 0.75, 1.0], rtol=1e-15)
    np.testing.assert_allclose(cmc_curve([1, 1, 2, 4], 4, [0, 1, 3, 0]), [0.25, 1.0, 1.0, 1.0], rtol=1e-15)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=60), st.integers(0, 5))
def test_cmc_never_falls_and_ends_at_one(places: list[int], more: int) -> None:
    n_speakers = max(places) + more
    curve = cmc_curve(places, n_speakers)
    assert curve.shape == (n_speakers,)
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] == 1.0
    assert curve[0] >= 0
    twice = cmc_curve(places * 2, n_speakers)
    np.testing.assert_allclose(twice, cmc_curve(places, n_speakers, np.full(len(places), 2.0)), rtol=1e-13)


def test_no_tests_have_no_cmc() -> None:
    with pytest.raises(EmptySideError, match="no tests"):
        cmc_curve(np.zeros(0, dtype=int), 3)
    with pytest.raises(EmptySideError, match="no tests"):
        cmc_curve([1, 2], 3, [0, 0])
    with pytest.raises(ValueError, match=r"ranks: expected 1\.\.3, got 1\.\.4"):
        cmc_curve([1, 4], 3)
    with pytest.raises(ValueError, match="weights"):
        cmc_curve([1, 2], 3, [1, -1])
    with pytest.raises(ValueError, match="k must be"):
        top_k_accuracy([1, 2], 0)


# Fewer speakers


def test_fewer_speakers_are_all_subsets() -> None:
    """The mean accuracy over every subset that has the true speaker, counted one by one."""
    rng = np.random.default_rng(2)
    n_speakers = 6
    scores, truth = rng.integers(0, 9, (25, n_speakers)).astype(float), rng.integers(0, n_speakers, 25)
    expected = []
    for m in range(1, n_speakers + 1):
        right = []
        for row, true in zip(scores, truth.tolist(), strict=True):
            others = [speaker for speaker in range(n_speakers) if speaker != true]
            right += [all(row[o] < row[true] for o in chosen) for chosen in itertools.combinations(others, m - 1)]
        expected.append(np.mean(right))
    found = expected_accuracy_by_size(ranks(scores, truth), n_speakers, range(1, n_speakers + 1))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=30))
def test_accuracy_falls_with_the_number_of_speakers(places: list[int]) -> None:
    curve = expected_accuracy_by_size(places, 300, np.arange(1, 301))
    assert curve[0] == pytest.approx(1.0, rel=1e-12)
    assert (np.diff(curve) <= 1e-12).all()
    assert curve[-1] == pytest.approx(places.count(1) / len(places), abs=1e-12)


def test_sizes_are_checked() -> None:
    for size in (0, 5):
        with pytest.raises(ValueError, match=r"sizes: expected 1\.\.4"):
            expected_accuracy_by_size([1, 2], 4, [size])


# Confusion


def test_confusion_is_scikit_learns() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 5, 200)
    decided = np.where(rng.random(200) < 0.6, truth, rng.integers(0, 5, 200))
    found = confusion_matrix(truth, decided, list("abcde"))
    np.testing.assert_array_equal(found.counts, sklearn.metrics.confusion_matrix(truth, decided))
    precision, recall, _f, support = sklearn.metrics.precision_recall_fscore_support(truth, decided)
    figures = found.per_speaker()
    np.testing.assert_allclose([each.precision for each in figures], precision, rtol=1e-14)
    np.testing.assert_allclose([each.recall for each in figures], recall, rtol=1e-14)
    assert [each.n_tests for each in figures] == support.tolist()


def a_confusion() -> Confusion:
    return confusion_matrix([0, 0, 0, 0, 1, 1, 3, 3], [0, 1, 1, 3, 1, 0, 0, 0], ["ann", "bob", "cid", "unknown"])


def test_figures_by_hand_and_none_for_nothing() -> None:
    ann, bob, cid, unknown = a_confusion().per_speaker()
    assert ann == SpeakerFigures("ann", n_tests=4, n_decided=4, n_right=1, recall=0.25, precision=0.25)
    assert bob == SpeakerFigures("bob", n_tests=2, n_decided=3, n_right=1, recall=0.5, precision=1 / 3)
    assert cid == SpeakerFigures("cid", n_tests=0, n_decided=0, n_right=0, recall=None, precision=None)
    assert unknown == SpeakerFigures("unknown", n_tests=2, n_decided=1, n_right=0, recall=0.0, precision=0.0)


def test_worst_pairs_by_hand() -> None:
    assert a_confusion().worst_pairs() == (
        ConfusedPair("unknown", "ann", 2, 1.0),
        ConfusedPair("ann", "bob", 2, 0.5),
        ConfusedPair("bob", "ann", 1, 0.5),
        ConfusedPair("ann", "unknown", 1, 0.25),
    )
    assert a_confusion().worst_pairs(1) == (ConfusedPair("unknown", "ann", 2, 1.0),)
    assert confusion_matrix([0, 1], [0, 1], ["a", "b"]).worst_pairs() == ()


def test_equal_pairs_are_in_the_order_of_labels() -> None:
    pairs = confusion_matrix([2, 1, 0, 0], [0, 0, 2, 1], ["a", "b", "c"]).worst_pairs()
    assert [(pair.truth, pair.decided) for pair in pairs] == [("b", "a"), ("c", "a"), ("a", "b"), ("a", "c")]


def test_confusions_are_checked() -> None:
    with pytest.raises(ValueError, match="twice"):
        confusion_matrix([0], [0], ["a", "a"])
    with pytest.raises(ValueError, match=r"decisions: expected 0\.\.1"):
        confusion_matrix([0], [2], ["a", "b"])
    with pytest.raises(ValueError, match="shape"):
        confusion_matrix([0, 1], [0], ["a", "b"])
    assert confusion_matrix([], [], ["a"]).counts.tolist() == [[0]]
