"""What is written down of a system: the keys, and the figures behind them by independent computations."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from outcomes import made_up_outcome, relative
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from speakerid.evaluation.figures import Figures
from speakerid.evaluation.outcome import Listed, Outcome
from speakerid.evaluation.summary import compare_systems, finite, summarise

KINDS: dict[str, dict[str, Any]] = {
    "closed": {"n_speakers": 6, "tests_each": 8},
    "open": {"n_speakers": 6, "tests_each": 8, "strangers": 10, "undecided": 3, "threshold": 0.5},
    "left out": {"n_speakers": 5, "tests_each": 4, "left_out": True, "undecided": 1},
    "listed": {"n_speakers": 5, "tests_each": 8, "listed": True, "undecided": 2},
    "one speaker": {"n_speakers": 1, "tests_each": 5},
    "strangers only": {"n_speakers": 3, "tests_each": 0, "strangers": 7},
}


def summary_of(outcome: Outcome, *, replicates: int = 30) -> dict[str, Any]:
    return summarise(outcome, Figures(outcome, n_replicates=replicates))


def numbers_of(value: Any, where: str = "") -> list[tuple[str, float]]:
    """Every number with the path of keys to it."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in numbers_of(item, f"{where}.{key}")]
    if isinstance(value, list):
        return [found for item in value for found in numbers_of(item, where)]
    return [(where, value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_json_without_loss_and_rates_are_rates(kind: str) -> None:
    summary = summary_of(made_up_outcome(seed=4, **KINDS[kind]))
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    rates = ("top1", "top5", "cmc", "eer", "recall", "precision", "share", "accuracy", "false_alarm", "miss", "min_cllr",
             "dir_at_far_1pct", "dir_at_far_5pct", "dir_at_far_10pct", "strangers_named", "known_refused", "min_dcf",
             "prior", "expected_calibration_error", "p_value")  # fmt: skip
    rates += (*(f"{rate}_ci95" for rate in rates), "ci95")
    of_rates = [(where, n) for where, n in numbers_of(summary) if where.rpartition(".")[2] in rates]
    assert of_rates
    assert [found for found in of_rates if not 0 <= found[1] <= 1] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_the_contract_is_there(kind: str) -> None:
    summary = summary_of(made_up_outcome(seed=4, **KINDS[kind]))
    expected = {"n_speakers", "n_tests", "top1", "top1_ci95", "top5", "cmc", "confusion", "open_set", "verification",
                "by_duration", "trials"}  # fmt: skip
    assert expected <= set(summary)
    assert isinstance(summary["by_duration"], list)
    known = kind not in ("listed", "strangers only")
    assert (summary["top1"] is not None, summary["cmc"] is not None, summary["top1_ci95"] is not None) == (known,) * 3
    assert (summary["open_set"] is not None) == (kind in ("open", "left out"))
    assert (summary["verification"] is not None) == (kind not in ("one speaker", "strangers only"))
    assert (summary["confusion"] is not None) == (kind != "listed")


def test_counts_and_proportions() -> None:
    outcome = made_up_outcome(seed=4, n_speakers=6, tests_each=8, strangers=10, undecided=3, quality=1.5)
    summary = summary_of(outcome)
    known = [i for i in range(58) if i < 48]
    right = sum(
        outcome.rows[i].reason is None
        and outcome.speakers[int(outcome.log_likelihoods[i].argmax())] == outcome.rows[i].speaker
        for i in known
    )
    interval = binomtest(right, 48).proportion_ci(method="wilson")
    assert (summary["n_speakers"], summary["n_tests"], summary["n_known"], summary["n_strangers"]) == (6, 58, 48, 10)
    assert summary["undecided"] == {"too_short": 3}
    assert summary["top1"] == round(right / 48, 6)
    assert summary["top1_ci95"] == pytest.approx([interval.low, interval.high], abs=1e-6)
    assert summary["cmc"][0] == summary["top1"] < summary["cmc"][4] == summary["top5"]
    assert summary["top5"] <= summary["cmc"][5] == round(45 / 48, 6), "three were not judged, and are never found"
    assert len(summary["cmc"]) == 6


def test_the_confusion_is_that_of_scikit_learn() -> None:
    outcome = made_up_outcome(seed=4, n_speakers=6, tests_each=8, strangers=10, undecided=3, quality=1.5, threshold=0.3)
    summary = summary_of(outcome)
    truth = [row.speaker for row in outcome.rows]
    best, margin = outcome.log_likelihoods.argmax(axis=1), outcome.scores.max(axis=1)
    decided = [
        "undecided" if row.reason else outcome.speakers[best[i]] if margin[i] >= 0.3 else "unknown"
        for i, row in enumerate(outcome.rows)
    ]
    labels = [*outcome.speakers, "unknown", "undecided"]
    assert summary["confusion"]["labels"] == labels
    assert summary["confusion"]["counts"] == confusion_matrix(truth, decided, labels=labels).tolist()
    each = {row["speaker"]: row for row in summary["per_speaker"]}
    assert list(each) == list(outcome.speakers)
    names = list(outcome.speakers)
    for key, score in (("recall", recall_score), ("precision", precision_score)):
        expected = score(truth, decided, labels=names, average=None, zero_division=np.nan)
        assert [each[name][key] for name in names] == [finite(value) for value in expected]
    pairs = Counter((t, d) for t, d in zip(truth, decided, strict=True) if t != d)
    found = {(pair["speaker"], pair["decision"]): pair["count"] for pair in summary["worst_pairs"]}
    assert found == pairs
    counts = [pair["count"] for pair in summary["worst_pairs"]]
    assert counts == sorted(counts, reverse=True)


def test_with_a_threshold_strangers_named_and_known_refused_are_counted() -> None:
    outcome = made_up_outcome(seed=4, n_speakers=6, tests_each=8, strangers=10, undecided=3, threshold=0.5)
    margin = outcome.scores.max(axis=1)
    named, refused = int((margin[48:] >= 0.5).sum()), int((margin[:48] < 0.5).sum())
    found = summary_of(outcome)["open_set"]
    assert found["threshold"] == 0.5
    assert (found["strangers_named"], found["known_refused"]) == (named / 10, round(refused / 48, 6))
    interval = binomtest(named, 10).proportion_ci(method="wilson")
    assert found["strangers_named_ci95"] == pytest.approx([interval.low, interval.high], abs=1e-6)
    assert refused >= 3, "what could not be judged is refused"
    assert "strangers_named" not in summary_of(dataclasses.replace(outcome, threshold=None))["open_set"]


def test_thresholds_keep_their_promise() -> None:
    outcome = made_up_outcome(seed=4, n_speakers=6, tests_each=8, strangers=40, quality=2.0)
    found = summary_of(outcome)["open_set"]
    strangers = outcome.scores.max(axis=1)[48:]
    for percent in (1, 5, 10):
        threshold = found[f"threshold_at_far_{percent}pct"]
        # the threshold is written with six digits
        assert (strangers >= threshold + 1e-6).mean() <= percent / 100


def test_labels_that_are_speakers_names_stay_apart() -> None:
    outcome = made_up_outcome(seed=4, n_speakers=3, tests_each=9, strangers=4, undecided=1)
    rename = {"speaker 000": "unknown", "speaker 001": "undecided", "unknown": "(unknown)"}
    rows = tuple(dataclasses.replace(r, speaker=rename.get(r.speaker or "", r.speaker)) for r in outcome.rows)
    outcome = dataclasses.replace(outcome, speakers=("unknown", "undecided", "speaker 002"), rows=rows)
    summary = summary_of(outcome)
    assert summary["confusion"]["labels"] == ["unknown", "undecided", "speaker 002", "(unknown)", "(undecided)"]
    assert (summary["n_known"], summary["n_strangers"]) == (27, 4)
    assert sum(map(sum, summary["confusion"]["counts"])) == 31


def test_what_was_not_judged_says_why() -> None:
    outcome = made_up_outcome(seed=4, n_speakers=6, tests_each=8, strangers=10, undecided=1)
    lost, *others = summary_of(outcome)["trials"]
    assert (lost["status"], lost["decision"], lost["right"], lost["reason"]) == ("undecided", None, False, "too_short")
    assert lost["message"]
    assert (lost["score"], lost["own_score"], lost["best"], lost["rank"]) == (None, None, [], None)
    assert all(trial["status"] == "identified" and trial["reason"] is None for trial in others)


def test_a_trial_holds_what_was_answered() -> None:
    outcome = made_up_outcome(seed=4, n_speakers=6, tests_each=8, strangers=10, quality=1.0, threshold=0.2)
    trials = summary_of(outcome)["trials"]
    assert len(trials) == 58
    assert {trial["status"] for trial in trials} == {"identified", "unknown"}
    for trial, row, scores in zip(trials, outcome.rows, outcome.log_likelihoods.astype(float), strict=True):
        order = np.argsort(-scores)
        margin = float(scores[order[0]] - scores[order[1]])
        assert trial["score"] == pytest.approx(margin, abs=1e-5)
        assert trial["decision"] == (outcome.speakers[order[0]] if margin >= 0.2 else None)
        assert trial["right"] == (trial["decision"] == (row.speaker if trial["known"] else None))
        assert [each["speaker"] for each in trial["best"]] == [outcome.speakers[i] for i in order[:2]]
        assert trial["best"][0]["log_likelihood"] == pytest.approx(float(scores[order[0]]), abs=1e-6)
        if trial["known"]:
            own = outcome.speakers.index(row.speaker or "")
            assert trial["rank"] == 1 + int((scores > scores[own]).sum())
            assert trial["own_log_likelihood"] == pytest.approx(float(scores[own]), abs=1e-6)
        else:
            assert (trial["rank"], trial["own_score"], trial["own_log_likelihood"]) == (None, None, None)


def test_bins_and_histograms_lose_nothing() -> None:
    outcome = made_up_outcome(seed=4, n_speakers=6, tests_each=30, strangers=50, undecided=3)
    summary = summary_of(outcome)
    assert sum(each["n"] for each in summary["by_duration"]) == 180
    assert sum(each["right"] for each in summary["by_duration"]) == round(summary["top1"] * 180)
    assert sum(each["n"] for each in summary["by_enrolment"]) == 180
    histogram = summary["verification"]["histogram"]
    assert len(histogram["edges"]) == len(histogram["targets"]) + 1 == len(histogram["nontargets"]) + 1
    # those of what could not be judged are −inf, and in the lowest bin
    assert sum(histogram["targets"]) == summary["verification"]["n_targets"] == 180
    assert sum(histogram["nontargets"]) == summary["verification"]["n_nontargets"] == 230 * 6 - 180
    assert sum(each["n"] for each in summary["verification"]["reliability"]["bins"]) == 230 * 6


def test_with_fewer_speakers_it_is_easier() -> None:
    sizes = summary_of(made_up_outcome(seed=4, n_speakers=12, tests_each=8, quality=1.0))["by_n_speakers"]
    assert [each["n"] for each in sizes] == [1, 2, 5, 10, 12]
    shares = [each["accuracy"] for each in sizes]
    assert shares[0] == 1
    assert shares == sorted(shares, reverse=True)


def test_the_hardest_are_the_worst_and_never_what_there_is_nothing_to_hear_of() -> None:
    outcome = made_up_outcome(seed=4, n_speakers=6, tests_each=30, quality=2.0, undecided=3)
    log_likelihoods = outcome.log_likelihoods.copy()
    log_likelihoods[:, 1] = -np.inf  # a speaker whose enrolment failed: thirty recordings, and twice as many left out
    left = log_likelihoods.copy()
    left[np.arange(180), np.arange(180) // 30] = -np.inf
    rows = outcome.rows + tuple(dataclasses.replace(row, left_out=True) for row in outcome.rows)
    both = np.concatenate([log_likelihoods, left])
    outcome = dataclasses.replace(outcome, rows=rows, log_likelihoods=both, scores=relative(both))
    hardest = summary_of(outcome)["hardest"]
    assert len(hardest) == 20
    assert all(outcome.rows[i].reason is None for i in hardest)
    failed = [i for i in hardest if not outcome.rows[i].left_out and outcome.rows[i].speaker == "speaker 001"]
    assert failed == []
    # alone: the known recordings, those first that are farthest behind
    closed = made_up_outcome(seed=4, n_speakers=6, tests_each=30, quality=2.0)
    own = [closed.scores[i, i // 30] for i in range(180)]
    assert summary_of(closed)["hardest"] == np.argsort(own, kind="stable")[:20].tolist()


def test_hard_strangers_are_those_with_the_surest_wrong_names() -> None:
    outcome = made_up_outcome(seed=4, n_speakers=3, tests_each=3, strangers=11, quality=2.0)
    hardest = summary_of(outcome)["hardest"]
    assert sorted(hardest) == list(range(20))
    margins = outcome.scores.max(axis=1)
    strangers = [i for i in hardest if i >= 9]
    assert strangers == sorted(strangers, key=lambda i: -margins[i])
    known = [i for i in hardest if i < 9]
    assert known == sorted(known, key=lambda i: outcome.scores[i, i // 3])
    assert hardest not in (known + strangers, strangers + known), "the two are in one order"


def test_a_list_of_trials_is_written_trial_by_trial() -> None:
    outcome = made_up_outcome(seed=4, **KINDS["listed"])
    summary = summary_of(outcome)
    assert outcome.listed is not None
    assert (summary["top1"], summary["confusion"], summary["open_set"]) == (None, None, None)
    assert len(summary["trials"]) == len(outcome.listed.row)
    for trial, row, column, target in zip(
        summary["trials"], outcome.listed.row, outcome.listed.column, outcome.listed.target, strict=True
    ):
        assert (trial["path"], trial["model"]) == (outcome.rows[row].path, outcome.speakers[column])
        assert trial["target"] is bool(target)
        assert trial["score"] == finite(outcome.scores[row, column])
    assert {trial["status"] for trial in summary["trials"]} == {"scored", "undecided"}
    assert summary["verification"]["n_targets"] == int(outcome.listed.target.sum())


def test_undefined_replicates_are_counted() -> None:
    outcome = made_up_outcome(seed=4, n_speakers=2, tests_each=1, listed=True)
    two = Listed(np.array([0, 1]), np.array([0, 0]), np.array([True, False]))
    outcome = dataclasses.replace(outcome, listed=two)
    undefined = summary_of(outcome, replicates=200)["intervals"]["undefined"]
    assert set(undefined) == {"eer", "min_dcf", "cllr", "min_cllr"}
    assert all(0 < count < 200 for count in undefined.values())
    assert summary_of(made_up_outcome(seed=4))["intervals"] == {"level": 0.95, "replicates": 30, "undefined": {}}


def test_systems_are_compared_by_mcnemar_and_by_pairs() -> None:
    worse, better = (made_up_outcome(seed=s, quality=q, strangers=8) for s, q in ((5, 0.5), (6, 3.0)))
    figures = [Figures(outcome, n_replicates=100) for outcome in (worse, better)]
    [found] = compare_systems(("a", worse, figures[0]), [("b", better, figures[1])])
    right = [outcome.log_likelihoods[:60].argmax(axis=1) == np.repeat(range(6), 10) for outcome in (worse, better)]
    only_b, only_a = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
    expected = binomtest(min(only_a, only_b), only_a + only_b).pvalue
    assert (found["system"], found["baseline"]) == ("b", "a")
    assert found["mcnemar"]["only_system"] == only_b
    assert found["mcnemar"]["only_baseline"] == only_a
    assert found["mcnemar"]["p_value"] == pytest.approx(expected, abs=1e-6)
    top1 = found["figures"]["top1"]
    assert top1["difference"] == pytest.approx((only_b - only_a) / 60, abs=1e-6)
    assert 0 < top1["ci95"][0] < top1["difference"] < top1["ci95"][1]
    assert top1["p_value"] < 0.05
    assert set(found["figures"]) >= {"eer", "min_dcf", "cllr", "open_eer"}


def test_a_comparison_without_known_recordings_has_no_mcnemar() -> None:
    listed = made_up_outcome(seed=4, listed=True)
    figures = Figures(listed, n_replicates=20)
    [found] = compare_systems(("a", listed, figures), [("b", listed, figures)])
    assert found["mcnemar"] is None
    assert set(found["figures"]) == {"eer", "min_dcf", "cllr", "min_cllr"}
    assert found["figures"]["eer"]["difference"] == 0


@pytest.mark.parametrize(
    ("value", "expected"), [(math.inf, None), (math.nan, None), (None, None), (0.12345678, 0.123457)]
)
def test_what_json_cannot_hold_is_none(value: float | None, expected: float | None) -> None:
    assert finite(value) == expected


def test_the_hardest_are_near_the_other_side_also_when_all_is_right() -> None:
    outcome = made_up_outcome(seed=4, n_speakers=4, tests_each=5, strangers=8, quality=40.0)
    hardest = summary_of(outcome)["hardest"]
    acceptance = outcome.scores.max(axis=1)
    known, strangers = list(range(20)), list(range(20, 28))
    first = {min(known, key=lambda i: acceptance[i]), max(strangers, key=lambda i: acceptance[i])}
    assert set(hardest[:2]) == first


def test_with_a_threshold_refusals_are_counted_without_strangers_too() -> None:
    outcome = made_up_outcome(seed=4, n_speakers=4, tests_each=5, quality=2.0, threshold=1.5)
    summary = summary_of(outcome)
    assert summary["open_set"] is None
    assert summary["known_refused"] == round(float((outcome.scores.max(axis=1) < 1.5).mean()), 6) > 0
    assert "known_refused" not in summary_of(dataclasses.replace(outcome, threshold=None))
