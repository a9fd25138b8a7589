"""Headline figures and their intervals, against scikit-learn, loops, and the exact bootstrap of every trial."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from outcomes import made_up_outcome, relative
from scipy.optimize import brentq
from sklearn.metrics import roc_curve, top_k_accuracy_score

from speakerid.evaluation import bootstrap, paired_bootstrap
from speakerid.evaluation.calibration import cllr, minimum_cllr
from speakerid.evaluation.checks import EmptySideError
from speakerid.evaluation.detection import equal_error_rate, minimum_dcf
from speakerid.evaluation.figures import FALSE_ALARM_RATES, FIGURES, Figures, differences
from speakerid.evaluation.open_set import OpenSetTrials
from speakerid.evaluation.outcome import Listed, Outcome, Row
from speakerid.evaluation.replicates import CountedTrials
from speakerid.evaluation.trials import DetectionTrials

CASES = {
    "closed": {"n_speakers": 5, "tests_each": 6, "quality": 1.5},
    "strangers": {"n_speakers": 5, "tests_each": 6, "strangers": 9, "quality": 2.0},
    "undecided": {"n_speakers": 5, "tests_each": 8, "strangers": 12, "quality": 2.0, "undecided": 3},
    "left out": {"n_speakers": 4, "tests_each": 6, "quality": 2.0, "left_out": True},
    "listed": {"n_speakers": 5, "tests_each": 6, "quality": 1.5, "listed": True, "undecided": 1},
}


def ranks_by_loop(outcome: Outcome) -> dict[int, int]:
    """Place of the own speaker by row; of equal scores the last place."""
    found = {}
    for number, row in enumerate(outcome.rows):
        if row.speaker in outcome.speakers and not row.left_out:
            scores = outcome.log_likelihoods[number]
            own = scores[outcome.speakers.index(row.speaker)]
            found[number] = sum(bool(score >= own) for score in scores)
    return found


def weighted(figure: Callable[[], float]) -> float:
    try:
        return figure()
    except EmptySideError:
        return math.nan


def exact_statistic(outcome: Outcome) -> Callable[[np.ndarray], np.ndarray]:
    """All figures from weights of the recordings, from every trial, with nothing counted in bins."""
    tests = np.array([row.test for row in outcome.rows])
    by_row = ranks_by_loop(outcome)
    known = np.array(list(by_row), dtype=int)
    places = np.array([by_row[i] for i in known])
    strangers = np.array([i for i in range(len(tests)) if i not in by_row and outcome.listed is None], dtype=int)
    best = outcome.scores.max(axis=1)
    if outcome.listed is not None:
        pairs = list(zip(outcome.listed.row, outcome.listed.column, outcome.listed.target, strict=True))
    else:
        pairs = [
            (i, j, row.speaker == name)
            for i, row in enumerate(outcome.rows)
            if not row.left_out
            for j, name in enumerate(outcome.speakers)
        ]
    row, column, target = map(np.array, zip(*pairs, strict=True))
    scores = outcome.scores[row, column]
    detection = DetectionTrials(scores, target)
    ratios = DetectionTrials(np.where(np.isfinite(scores), scores, 0.0), target)
    open_set = OpenSetTrials(best[known], places == 1, best[strangers]) if len(known) and len(strangers) else None

    def statistic(weights: np.ndarray) -> np.ndarray:
        result = np.full(len(FIGURES), np.nan)
        of_known = weights[tests[known]]
        if of_known.sum() > 0:
            found = np.isfinite(outcome.log_likelihoods[known].max(axis=1))  # what has no score is never found
            result[:2] = [of_known @ ((places <= k) & found) / of_known.sum() for k in (1, 5)]
        if open_set is not None and of_known.sum() > 0 and weights[tests[strangers]].sum() > 0:
            curve = open_set.curve(of_known, weights[tests[strangers]])
            result[2:6] = [curve.equal_error_rate, *map(curve.identified_at, FALSE_ALARM_RATES)]
        of_trials = weights[tests[row]]
        if of_trials[target].sum() > 0 and of_trials[~target].sum() > 0:
            roc = detection.roc(of_trials)
            result[6:8] = equal_error_rate(roc), minimum_dcf(roc)
            result[8:] = cllr(ratios, of_trials), minimum_cllr(roc, unjudged_below=True)
        return result

    return statistic


def strata(outcome: Outcome) -> np.ndarray | None:
    """Enrolled people and strangers; with speakers left out everybody is the former."""
    known = {row.test: False for row in outcome.rows}
    for number in ranks_by_loop(outcome):
        known[outcome.rows[number].test] = True
    return np.array([known[test] for test in range(len(known))])


@pytest.mark.parametrize("case", CASES)
def test_intervals_are_those_of_the_exact_bootstrap(case: str) -> None:
    outcome = made_up_outcome(seed=11, **CASES[case])
    found = Figures(outcome, seed=5, n_replicates=150).bootstrap
    expected = bootstrap(
        exact_statistic(outcome), outcome.clusters, np.random.default_rng(5), n_replicates=150, strata=strata(outcome)
    )
    np.testing.assert_allclose(found.estimate, expected.estimate, atol=1e-12)
    np.testing.assert_allclose(found.replicates, expected.replicates, atol=1e-9)
    assert np.isfinite(found.replicates).any(), "nothing was compared"
    np.testing.assert_allclose(found.interval(), expected.interval(), atol=1e-9)


def test_replicates_are_drawn_a_few_at_a_time_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = made_up_outcome(seed=3, **CASES["undecided"])
    whole = Figures(outcome, seed=1, n_replicates=40)
    monkeypatch.setattr("speakerid.evaluation.figures._BATCH_VALUES", 7 * outcome.n_tests)
    parts = Figures(outcome, seed=1, n_replicates=40)
    np.testing.assert_allclose(parts.bootstrap.replicates, whole.bootstrap.replicates, rtol=0, atol=1e-12)


def test_many_recordings_are_counted_block_by_block_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = made_up_outcome(seed=3, **CASES["strangers"])
    whole = Figures(outcome, seed=1, n_replicates=40)
    monkeypatch.setattr("speakerid.evaluation.replicates._TESTS_A_BLOCK", 7)
    parts = Figures(outcome, seed=1, n_replicates=40)
    np.testing.assert_allclose(parts.bootstrap.replicates, whole.bootstrap.replicates, rtol=0, atol=1e-12)


def test_of_many_scores_the_replicates_are_near_the_exact_ones() -> None:
    outcome = made_up_outcome(seed=8, n_speakers=20, tests_each=40, strangers=300, quality=2.0)
    assert len(np.unique(outcome.scores)) > 10_000
    found = Figures(outcome, seed=2, n_replicates=60)
    expected = bootstrap(
        exact_statistic(outcome), outcome.clusters, np.random.default_rng(2), n_replicates=60, strata=strata(outcome)
    )
    error = np.abs(found.bootstrap.replicates - expected.replicates)
    tolerance = dict.fromkeys(FIGURES, 1e-9)  # exact: top1, top5, Cllr, and the 1,100 acceptance scores are all kept
    tolerance |= {"eer": 1e-3, "min_dcf": 5e-3, "min_cllr": 1e-3}
    worst = dict(zip(FIGURES, error.max(axis=0), strict=True))
    assert {name: value for name, value in worst.items() if value > tolerance[name]} == {}
    low, high = expected.interval()
    for i, name in enumerate(FIGURES):
        assert found.intervals[name] == pytest.approx((low[i], high[i]), abs=tolerance[name])
        assert high[i] - low[i] > 10 * tolerance[name], "the interval would not show the difference"


def test_the_thresholds_are_true_points_of_the_curve() -> None:
    rng = np.random.default_rng(4)
    tests, target = np.arange(6000) % 300, rng.random(6000) < 0.3
    scores = rng.normal(0, 1, 6000) + 2 * target
    weights = rng.integers(0, 3, (3, 300)).astype(float)
    counted = CountedTrials(tests, scores, target, n_tests=300)
    assert 1000 < len(counted.thresholds) < 4200
    for each, curve in zip(weights, counted.rates(weights), strict=True):
        assert curve is not None
        roc = curve[0]
        of_trials = each[tests]
        for threshold, miss, false_alarm in list(zip(roc.thresholds, roc.miss, roc.false_alarm, strict=True))[::97]:
            yes = scores >= threshold
            assert miss == pytest.approx(of_trials[target & ~yes].sum() / of_trials[target].sum(), abs=1e-12)
            assert false_alarm == pytest.approx(of_trials[~target & yes].sum() / of_trials[~target].sum(), abs=1e-12)
        assert (roc.miss[0], roc.false_alarm[0], roc.miss[-1], roc.false_alarm[-1]) == (0, 1, 1, 0)
        assert np.diff(roc.miss).max() < 0.01


def test_a_replicate_without_targets_is_undefined_and_counted() -> None:
    # two recordings of two unnamed people; either may be drawn twice
    rows = (Row(0, "a.wav"), Row(1, "b.wav"))
    listed = Listed(np.array([0, 1]), np.array([0, 0]), np.array([True, False]))
    scores = np.array([[1.0], [0.0]])
    outcome = Outcome(("m",), rows, scores, scores, np.ones((1, 1), bool), np.ones((1, 1)), listed=listed)
    figures = Figures(outcome, seed=0, n_replicates=200)
    undefined = dict(zip(FIGURES, figures.bootstrap.undefined.tolist(), strict=True))
    assert 60 < undefined["eer"] < 140
    assert undefined["cllr"] == undefined["eer"]
    assert figures.intervals["eer"] == pytest.approx((0.0, 0.793451), abs=1e-6), "Wilson's of 0 of 1"
    assert math.isnan(figures.estimates["top1"])
    assert undefined["top1"] == 200


def test_accuracies_are_those_of_scikit_learn() -> None:
    outcome = made_up_outcome(seed=2, n_speakers=9, tests_each=20, quality=1.0)
    truth = [outcome.speakers.index(row.speaker or "") for row in outcome.rows]
    figures = Figures(outcome, n_replicates=2).estimates
    for k in (1, 5):
        expected = top_k_accuracy_score(truth, outcome.log_likelihoods, k=k, labels=range(9))
        assert figures[f"top{k}"] == pytest.approx(expected, abs=1e-12)
    assert 0.2 < figures["top1"] < figures["top5"] < 1


def test_equal_error_rates_are_those_of_scikit_learn() -> None:
    outcome = made_up_outcome(seed=6, n_speakers=8, tests_each=25, strangers=80, quality=1.5)
    figures = Figures(outcome, n_replicates=2).estimates

    def eer(truth: np.ndarray, scores: np.ndarray) -> float:
        false_alarm, hit, _thresholds = roc_curve(truth, scores, drop_intermediate=False)
        return brentq(lambda x: 1 - x - np.interp(x, false_alarm, hit), 0, 1)

    target = np.array([[row.speaker == name for name in outcome.speakers] for row in outcome.rows])
    assert figures["eer"] == pytest.approx(eer(target.ravel(), outcome.scores.ravel()), abs=0.002)
    assert figures["open_eer"] == pytest.approx(eer(target.any(axis=1), outcome.scores.max(axis=1)), abs=0.01)
    assert figures["eer"] > 0.05


def test_rates_with_strangers_by_a_loop() -> None:
    outcome = made_up_outcome(seed=9, n_speakers=6, tests_each=15, strangers=40, quality=2.0)
    best = outcome.scores.max(axis=1)
    named = outcome.log_likelihoods.argmax(axis=1)
    known = [i for i, row in enumerate(outcome.rows) if row.speaker in outcome.speakers]
    strangers = [i for i, row in enumerate(outcome.rows) if row.speaker == "unknown"]
    figures = Figures(outcome, n_replicates=2).estimates
    for rate, key in zip(FALSE_ALARM_RATES, ("dir_at_far_1pct", "dir_at_far_5pct", "dir_at_far_10pct"), strict=True):
        allowed = [t for t in sorted(best) if sum(best[i] >= t for i in strangers) <= rate * len(strangers)]
        right = sum(best[i] >= allowed[0] and outcome.speakers[named[i]] == outcome.rows[i].speaker for i in known)
        assert figures[key] == pytest.approx(right / len(known), abs=1e-12)


def test_a_system_that_always_says_the_same_has_a_cllr_of_one_bit() -> None:
    outcome = made_up_outcome(seed=1, n_speakers=4, tests_each=5)
    flat = dataclasses.replace(outcome, scores=np.zeros((20, 4)), log_likelihoods=np.full((20, 4), -50.0))
    figures = Figures(flat, n_replicates=5)
    for name, value in {"top1": 0.0, "top5": 1.0, "eer": 0.5, "min_dcf": 1.0, "cllr": 1.0, "min_cllr": 1.0}.items():
        assert figures.estimates[name] == pytest.approx(value, abs=1e-12)
        assert np.allclose(figures.bootstrap.replicates[:, FIGURES.index(name)], value, atol=1e-12)


def test_where_nothing_went_wrong_a_rate_has_an_interval_and_a_cost_has_none() -> None:
    outcome = made_up_outcome(seed=2, n_speakers=4, tests_each=10, strangers=30, quality=50.0)
    figures = Figures(outcome, n_replicates=20)
    assert figures.intervals["top1"] == pytest.approx((0.912386, 1.0), abs=1e-3)  # 40 of 40
    assert figures.intervals["eer"] == pytest.approx((0.0, 0.087619), abs=1e-3)  # 0 of 40 recordings
    assert figures.intervals["open_eer"] == pytest.approx((0.0, 0.113513), abs=1e-3)  # 0 of 30, the smaller group
    assert figures.intervals["dir_at_far_1pct"] == pytest.approx((0.886487, 1.0), abs=1e-3)
    for name in ("min_dcf", "min_cllr"):
        assert figures.estimates[name] == 0
        assert all(map(math.isnan, figures.intervals[name]))


def test_what_could_not_be_judged_is_wrong_or_rejected() -> None:
    good = made_up_outcome(seed=5, n_speakers=4, tests_each=10, strangers=10, quality=30.0)
    lost = [0, 1, 2, 3, 45]  # four recordings of the first speaker, and one stranger's
    rows = tuple(dataclasses.replace(r, reason="no_speech") if i in lost else r for i, r in enumerate(good.rows))
    log_likelihoods = good.log_likelihoods.copy()
    log_likelihoods[lost] = -np.inf
    outcome = dataclasses.replace(good, rows=rows, log_likelihoods=log_likelihoods, scores=relative(log_likelihoods))
    assert Figures(good, n_replicates=2).estimates["top1"] == 1
    figures = Figures(outcome, n_replicates=2).estimates
    assert figures["top1"] == pytest.approx(36 / 40)
    assert figures["top5"] == pytest.approx(36 / 40), "what was not judged is not among the five, though there are four"
    assert figures["dir_at_far_10pct"] == pytest.approx(36 / 40)
    assert not outcome.right[:4].any()
    assert outcome.right[4:40].all()
    assert outcome.right[45], "no name for a stranger is right"
    assert not np.delete(outcome.right[40:], 5).any(), "all others are named, without a threshold"
    assert (outcome.named[lost] == -1).all()


def test_a_speaker_whose_enrolment_failed_is_known_and_wrong() -> None:
    good = made_up_outcome(seed=5, n_speakers=4, tests_each=10, strangers=5, quality=30.0)
    log_likelihoods = good.log_likelihoods.copy()
    log_likelihoods[:, 1] = -np.inf
    outcome = dataclasses.replace(good, log_likelihoods=log_likelihoods, scores=relative(log_likelihoods))
    assert len(outcome.known) == 40
    assert (outcome.truth[10:20] == 1).all()
    assert (outcome.named[10:20] != 1).all()
    assert (outcome.ranks[10:20] == 5).all(), "behind all four"
    assert not outcome.right[10:20].any()
    assert Figures(outcome, n_replicates=2).estimates["top1"] == pytest.approx(30 / 40)


def test_a_tie_is_decided_against_the_system() -> None:
    good = made_up_outcome(seed=5, n_speakers=3, tests_each=2, quality=30.0)
    log_likelihoods = np.full((6, 3), -50.0)
    outcome = dataclasses.replace(good, log_likelihoods=log_likelihoods, scores=relative(log_likelihoods))
    assert not outcome.right.any()
    assert (outcome.ranks == 3).all()
    assert (outcome.named >= 0).all()


def test_rows_with_the_own_speaker_left_out_are_strangers_and_no_trials() -> None:
    outcome = made_up_outcome(seed=7, n_speakers=4, tests_each=5, left_out=True)
    assert outcome.n_tests == 20
    assert outcome.known.tolist() == list(range(20))
    assert outcome.strangers.tolist() == list(range(20, 40))
    assert len(outcome.trials.row) == 20 * 4
    assert outcome.trials.row.max() < 20


def test_trials_are_of_those_enrolled_in_the_round() -> None:
    outcome = made_up_outcome(seed=7, n_speakers=3, tests_each=2)
    rows = tuple(dataclasses.replace(row, round=row.test % 2) for row in outcome.rows)
    enrolled = np.array([[True, True, False], [True, True, True]])
    outcome = dataclasses.replace(outcome, rows=rows, enrolled=enrolled, enrolled_seconds=np.ones((2, 3)))
    assert len(outcome.trials.row) == 3 * 2 + 3 * 3
    # the third speaker's recordings are tests 4 and 5: in round 0 nobody has enrolled that voice
    assert outcome.truth.tolist() == [0, 0, 1, 1, -1, 2]
    assert int(outcome.trials.target.sum()) == 5


def test_the_threshold_is_the_least_score_with_a_name() -> None:
    outcome = made_up_outcome(seed=12, n_speakers=4, tests_each=5, strangers=10)
    at = float(np.sort(outcome.acceptance)[9])
    outcome = dataclasses.replace(outcome, threshold=at)
    assert int((outcome.named < 0).sum()) == 9
    assert dataclasses.replace(outcome, threshold=None).named.min() >= 0


def test_recordings_of_one_person_are_one_cluster() -> None:
    outcome = made_up_outcome(seed=12, n_speakers=2, tests_each=3, strangers=2)
    assert len(set(outcome.clusters)) == 2 + 2
    assert len(outcome.clusters) == 8
    # a stranger with a name is one person; and so is somebody enrolled as "unknown"
    rows = tuple(dataclasses.replace(row, speaker="Eve") if row.speaker == "unknown" else row for row in outcome.rows)
    assert len(set(dataclasses.replace(outcome, rows=rows).clusters)) == 3
    assert len(set(dataclasses.replace(outcome, speakers=("speaker 000", "unknown")).clusters)) == 3


def test_differences_are_those_of_the_paired_bootstrap() -> None:
    options = {"n_speakers": 5, "tests_each": 8, "strangers": 10}
    better, worse = (made_up_outcome(seed=s, quality=q, **options) for s, q in ((21, 2.5), (22, 1.0)))
    found = differences(Figures(better, seed=3, n_replicates=120), Figures(worse, seed=3, n_replicates=120))
    expected = paired_bootstrap(
        exact_statistic(better), exact_statistic(worse), better.clusters, np.random.default_rng(3), n_replicates=120,
        strata=strata(better),
    )  # fmt: skip
    low, high = expected.interval()
    assert list(found) == list(FIGURES)
    for i, name in enumerate(FIGURES):
        assert float(found[name].estimate) == pytest.approx(float(expected.estimate[i]), abs=1e-12)
        ends = [float(end) for end in found[name].interval()]
        assert ends == pytest.approx([low[i], high[i]], abs=1e-9)
        assert float(found[name].p_value) == pytest.approx(float(expected.p_value[i]), abs=1e-12)
    assert float(found["top1"].p_value) < 0.05 < float(found["top1"].estimate)


def test_no_difference_from_itself() -> None:
    figures = Figures(made_up_outcome(seed=1, strangers=5), seed=3, n_replicates=50)
    for difference in differences(figures, figures).values():
        assert float(difference.estimate) == 0
        assert float(difference.p_value) == 1


@pytest.mark.parametrize("other", [{"seed": 1, "tests_each": 11}, {"seed": 1, "n_speakers": 5}])
def test_differences_of_other_tests_are_refused(other: dict[str, int]) -> None:
    first, second = (Figures(made_up_outcome(**each), n_replicates=5) for each in ({"seed": 1}, other))
    with pytest.raises(ValueError, match="same tests"):
        differences(first, second)


def test_the_same_seed_gives_the_same_intervals() -> None:
    outcome = made_up_outcome(seed=1, quality=1.5)
    first, again, other = (Figures(outcome, seed=seed, n_replicates=50).intervals for seed in (4, 4, 5))
    assert first["eer"] == again["eer"] != other["eer"]
