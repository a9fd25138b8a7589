"""From an outcome to the figures that are written down: plain dictionaries, lists and numbers, ready for JSON.

The keys are those of the JSON format of ``speakerid evaluate``; what cannot be computed is None, and so is an infinite
number. Rates are 0..1, log-likelihoods and scores nats a frame, Cllr bits. Intervals are 95 %: ``…_ci95`` of an accuracy is
Wilson's, which takes recordings for independent; all others, and ``…_ci95_bootstrap``, are by resampling speakers and
recordings.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.evaluation.closed_set import cmc_curve, expected_accuracy_by_size, top_k_accuracy
from speakerid.evaluation.confusion import Confusion, confusion_matrix
from speakerid.evaluation.curves import Bin, accuracy_by_bins
from speakerid.evaluation.detection import NIST_SRE_2008, NIST_SRE_2016, actual_dcf, equal_error_threshold, minimum_dcf
from speakerid.evaluation.figures import FALSE_ALARM_RATES, FIGURES, Figures, differences
from speakerid.evaluation.open_set import OpenSetTrials
from speakerid.evaluation.outcome import UNKNOWN, Outcome, Row
from speakerid.evaluation.proportions import Proportion
from speakerid.evaluation.reliability import expected_calibration_error, posterior, reliability_curve
from speakerid.evaluation.roc import Roc
from speakerid.evaluation.significance import mcnemar_test
from speakerid.evaluation.trials import DetectionTrials

__all__ = ["compare_systems", "finite", "summarise"]

UNDECIDED = "undecided"
# beyond, the full matrix is no longer a thing to read: the pairs that were confused say the same
_LARGEST_CONFUSION = 2000
_WORST_PAIRS = 1000
_HISTOGRAM_BINS = 40
_SIZES = tuple(m * 10**e for e in range(7) for m in (1, 2, 5))


def summarise(outcome: Outcome, figures: Figures) -> dict[str, Any]:
    """Everything that is reported of one system.

    Parameters
    ----------
    outcome : Outcome
    figures : Figures
        Of that outcome.

    Returns
    -------
    summary : dict
        See the module.
    """
    known, strangers = outcome.known, outcome.strangers
    summary: dict[str, Any] = {
        "n_speakers": len(outcome.speakers),
        "n_tests": outcome.n_tests,
        "n_known": len(known),
        "n_strangers": len(strangers),
        "undecided": dict(Counter(row.reason for row in _first_rows(outcome) if row.reason is not None)),
        "top1": None,
        "top1_ci95": None,
        "top1_ci95_bootstrap": None,
        "top5": None,
        "top5_ci95": None,
        "cmc": None,
    }
    if len(known):
        for k in (1, 5):
            share = top_k_accuracy(outcome.ranks, min(k, len(outcome.speakers)))
            summary[f"top{k}"], summary[f"top{k}_ci95"] = finite(share.value), _pair(share.interval())
        summary["top1_ci95_bootstrap"] = _pair(figures.intervals["top1"])
        found, scored = outcome.ranks[outcome.ranks <= len(outcome.speakers)], len(outcome.ranks)
        summary["cmc"] = [0.0] * len(outcome.speakers)
        if len(found):
            summary["cmc"] = _numbers(cmc_curve(found, len(outcome.speakers)) * (len(found) / scored))
    if outcome.threshold is not None:
        named = outcome.named[known]
        summary |= {"threshold": outcome.threshold} | _share("known_refused", named < 0)
        summary |= _share("known_misnamed", (named >= 0) & (named != outcome.truth[known]))
    summary |= _confusions(outcome) if outcome.listed is None else {"confusion": None, "per_speaker": []}
    summary["open_set"] = _open_set(outcome, figures)
    summary["verification"] = _verification(outcome, figures)
    summary |= _by_covariates(outcome)
    summary["hardest"] = _hardest(outcome)
    summary["trials"] = (
        _listed(outcome) if outcome.listed is not None else [*map(_Trials(outcome), range(len(outcome.rows)))]
    )
    summary["intervals"] = {
        "level": 0.95,
        "replicates": figures.n_replicates,
        "undefined": {
            name: int(undefined)
            for name, undefined in zip(FIGURES, figures.bootstrap.undefined, strict=True)
            if 0 < undefined < figures.n_replicates
        },
    }
    return summary


def compare_systems(
    first: tuple[str, Outcome, Figures], others: Sequence[tuple[str, Outcome, Figures]]
) -> list[dict[str, Any]]:
    """Paired differences of systems that were asked the same, each less the first.

    Parameters
    ----------
    first : (str, Outcome, Figures)
        Name, answers and figures of the system that the others are compared with.
    others : sequence of the same

    Returns
    -------
    comparisons : list of dict
        For each other system ``system``, ``baseline``, ``mcnemar`` (None without known recordings) and ``figures``:
        for each figure that both have, ``difference`` and ``ci95`` by paired bootstrap, ``p_value`` and the ``test`` it is
        of: McNemar's for top1, else by paired bootstrap.
    """
    result = []
    name, outcome, figures = first
    for other_name, other, other_figures in others:
        mcnemar = None
        if len(outcome.known):
            test = mcnemar_test(other.ranks == 1, outcome.ranks == 1)
            mcnemar = {
                "only_system": test.only_first,
                "only_baseline": test.only_second,
                "p_value": _p_value(test.p_value),
            }
        rows = {}
        for figure, difference in differences(other_figures, figures).items():
            if not np.isfinite(difference.estimate):
                continue
            low, high = difference.interval()
            rows[figure] = {
                "difference": finite(float(difference.estimate)),
                "ci95": _pair((float(low), float(high))),
                "p_value": _p_value(float(difference.p_value)),
                "test": "paired bootstrap",
            }
        if mcnemar is not None and "top1" in rows:
            rows["top1"] |= {"p_value": mcnemar["p_value"], "test": "McNemar"}
        result.append({"system": other_name, "baseline": name, "mcnemar": mcnemar, "figures": rows})
    return result


def finite(value: float | None) -> float | None:
    """A number for JSON, six digits after the point; None for what is infinite or not a number."""
    return round(float(value), 6) if value is not None and math.isfinite(value) else None


def _p_value(value: float) -> float | None:
    """Three digits, however small: a p value is not 0."""
    return float(f"{value:.3g}") if math.isfinite(value) else None


def _numbers(values: Iterable[float]) -> list[float | None]:
    return [finite(value) for value in values]


def _pair(ends: tuple[float, float]) -> list[float | None] | None:
    return _numbers(ends) if all(map(math.isfinite, ends)) else None


def _share(key: str, flags: NDArray[np.bool_]) -> dict[str, Any]:
    """How many of them are, with Wilson's interval; None of nothing."""
    share = Proportion(int(flags.sum()), len(flags))
    return {key: finite(share.value), f"{key}_ci95": _pair(share.interval()) if len(flags) else None}


def _first_rows(outcome: Outcome) -> Iterable[Row]:
    return {row.test: row for row in reversed(outcome.rows)}.values()


def _confusions(outcome: Outcome) -> dict[str, Any]:
    """Who was taken for whom, over the rows with everybody enrolled."""
    rows = np.array([not row.left_out for row in outcome.rows], dtype=np.bool_)
    truth, named, judged = outcome.truth[rows], outcome.named[rows], outcome.judged[rows]
    labels = list(outcome.speakers)
    nobody = undecided = len(labels)
    if (truth < 0).any() or (judged & (named < 0)).any():
        labels.append(_free_label(UNKNOWN, labels))
        undecided += 1
    if not judged.all():
        labels.append(_free_label(UNDECIDED, labels))
    decided = np.where(judged, np.where(named < 0, nobody, named), undecided)
    confusion = confusion_matrix(np.where(truth < 0, nobody, truth), decided, labels)
    seconds = _mean_enrolled_seconds(outcome)
    counts = confusion.counts.tolist() if len(labels) <= _LARGEST_CONFUSION else None
    return {
        "confusion": {"labels": labels, "counts": counts},
        "worst_pairs": [
            {"speaker": pair.truth, "decision": pair.decided, "count": pair.count, "share": finite(pair.share)}
            for pair in confusion.worst_pairs(_WORST_PAIRS)
        ],
        "per_speaker": _per_speaker(confusion, seconds),
    }


def _per_speaker(confusion: Confusion, seconds: Sequence[float]) -> list[dict[str, Any]]:
    return [
        {
            "speaker": each.label,
            "n_tests": each.n_tests,
            "n_decided": each.n_decided,
            "n_right": each.n_right,
            "recall": finite(each.recall),
            "precision": finite(each.precision),
            "enrolled_seconds": finite(enrolled),
        }
        for each, enrolled in zip(confusion.per_speaker(), seconds, strict=False)
    ]


def _free_label(label: str, taken: Sequence[str]) -> str:
    while label in taken:
        label = f"({label})"
    return label


def _mean_enrolled_seconds(outcome: Outcome) -> list[float]:
    """Of each speaker, over the rounds that enrol it."""
    rounds = np.maximum(outcome.enrolled.sum(axis=0), 1)
    return list(map(float, (outcome.enrolled_seconds * outcome.enrolled).sum(axis=0) / rounds))


def _open_set(outcome: Outcome, figures: Figures) -> dict[str, Any] | None:
    known, strangers = outcome.known, outcome.strangers
    if not len(known) or not len(strangers):
        return None
    trials = OpenSetTrials(outcome.acceptance[known], outcome.ranks == 1, outcome.acceptance[strangers])
    curve = trials.curve()
    result: dict[str, Any] = {
        "eer": finite(figures.estimates["open_eer"]),
        "eer_ci95": _pair(figures.intervals["open_eer"]),
    }
    for rate in FALSE_ALARM_RATES:
        key = f"dir_at_far_{round(100 * rate)}pct"
        result[key], result[f"{key}_ci95"] = finite(figures.estimates[key]), _pair(figures.intervals[key])
        result[f"threshold_at_far_{round(100 * rate)}pct"] = finite(curve.threshold_at(rate))
    if outcome.threshold is not None:
        result |= {"threshold": outcome.threshold} | _share("strangers_named", outcome.named[strangers] >= 0)
        result |= _share("known_refused", outcome.named[known] < 0)
    result["det"] = _det(curve.roc)
    result["histogram"] = _histogram(trials.detection)
    return result


def _verification(outcome: Outcome, figures: Figures) -> dict[str, Any] | None:
    if math.isnan(figures.estimates["eer"]):
        return None
    trials = outcome.detection
    roc = trials.roc()
    prior = float(trials.is_target.mean())
    bins = reliability_curve(posterior(outcome.ratios.scores, prior), trials.is_target)
    return {
        "n_targets": len(trials.targets),
        "n_nontargets": len(trials.nontargets),
        "eer": finite(figures.estimates["eer"]),
        "eer_ci95": _pair(figures.intervals["eer"]),
        "eer_threshold": finite(equal_error_threshold(roc)),
        "min_dcf": finite(figures.estimates["min_dcf"]),
        "min_dcf_ci95": _pair(figures.intervals["min_dcf"]),
        "min_dcf_costs": [{"p_target": c.p_target, "c_miss": c.c_miss, "c_fa": c.c_fa} for c in NIST_SRE_2016],
        "min_dcf_sre2008": finite(minimum_dcf(roc, NIST_SRE_2008)),
        "act_dcf": finite(actual_dcf(trials)),
        "cllr": finite(figures.estimates["cllr"]),
        "cllr_ci95": _pair(figures.intervals["cllr"]),
        "min_cllr": finite(figures.estimates["min_cllr"]),
        "min_cllr_ci95": _pair(figures.intervals["min_cllr"]),
        "det": _det(roc),
        "histogram": _histogram(trials),
        "reliability": {
            "prior": finite(prior),
            "expected_calibration_error": finite(expected_calibration_error(bins)),
            "bins": [*map(_bin, bins)],
        },
    }


def _det(roc: Roc) -> dict[str, Any]:
    """Points of the DET and ROC curves, as many as a picture shows."""
    points = roc.thinned()
    return {
        "false_alarm": _numbers(points.false_alarm),
        "miss": _numbers(points.miss),
        "threshold": _numbers(points.thresholds),
    }


def _histogram(trials: DetectionTrials) -> dict[str, Any]:
    """Counts of both sides over the middle 99.8 % of the scores; what lies beyond is counted in the outer bins."""
    values = trials.scores[np.isfinite(trials.scores)]
    low, high = (0.0, 1.0) if not len(values) else np.quantile(values, (0.001, 0.999)).tolist()
    edges = np.linspace(low, high if high > low else low + 1.0, _HISTOGRAM_BINS + 1)

    def counts(side: NDArray[np.float64]) -> list[int]:
        return list(map(int, np.histogram(np.clip(side, edges[0], edges[-1]), edges)[0]))

    return {"edges": _numbers(edges), "targets": counts(trials.targets), "nontargets": counts(trials.nontargets)}


def _by_covariates(outcome: Outcome) -> dict[str, Any]:
    """Accuracy by seconds of speech asked and enrolled, and by how many speakers are enrolled."""
    known, right = outcome.known, outcome.ranks == 1
    result: dict[str, Any] = {"by_duration": [], "by_enrolment": [], "by_n_speakers": []}
    if not len(known):
        return result
    rows = [outcome.rows[i] for i in known]
    asked = np.array([np.nan if row.speech_seconds is None else row.speech_seconds for row in rows])
    read = ~np.isnan(asked)  # of what could not be read nobody knows how long it was
    result["by_duration"] = [*map(_bin, accuracy_by_bins(asked[read], right[read]))] if read.any() else []
    enrolled = outcome.enrolled_seconds[[row.round for row in rows], outcome.truth[known]]
    result["by_enrolment"] = [*map(_bin, accuracy_by_bins(enrolled, right))]
    n = len(outcome.speakers)
    sizes = sorted({size for size in _SIZES if size < n} | {n})
    found = outcome.ranks[outcome.ranks <= n]
    if not len(found):
        return result
    expected = expected_accuracy_by_size(found, n, sizes) * (len(found) / len(outcome.ranks))
    result["by_n_speakers"] = [{"n": m, "accuracy": finite(share)} for m, share in zip(sizes, expected, strict=True)]
    return result


def _bin(each: Bin) -> dict[str, Any]:
    return {
        "low": finite(each.low),
        "high": finite(each.high),
        "mean": finite(each.mean),
        "n": each.proportion.n,
        "right": each.proportion.right,
        "share": finite(each.proportion.value),
        "ci95": _pair(each.interval),
    }


def _hardest(outcome: Outcome, most: int = 20) -> list[int]:
    """Numbers of the rows answered worst, worst first.

    A known recording is hard when its own speaker is far behind the best, or little ahead; a stranger's when somebody is
    far ahead. Both are measured by the detection score, against the middle between the two groups.
    """
    if outcome.listed is not None:
        return []
    own = np.full(len(outcome.rows), np.inf)
    known = outcome.known
    own[known] = outcome.scores[known, outcome.truth[known]]
    strangers = outcome.strangers
    own[strangers] = -outcome.acceptance[strangers]
    own[~outcome.judged | np.isneginf(own)] = np.inf  # there is nothing to hear: not judged, or the speaker not learned
    if len(strangers) and len(known):
        middle = _middle(outcome.acceptance[known], outcome.acceptance[strangers])
        own[known] -= middle
        own[strangers] += middle
    order = np.argsort(own, kind="stable")[:most]
    return [int(i) for i in order if np.isfinite(own[i])]


def _middle(known: NDArray[np.float64], strangers: NDArray[np.float64]) -> float:
    """Between the scores where errors are equal: that threshold is one of them, the other is the next one below."""
    threshold = equal_error_threshold(DetectionTrials.of(known, strangers).roc())
    below = strangers[strangers < threshold].max(initial=-np.inf)
    ends = [end for end in (threshold, below) if math.isfinite(end)]
    return sum(ends) / len(ends) if ends else 0.0


class _Trials:
    """The rows as they are written down."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        ranks = zip(outcome.known.tolist(), outcome.ranks.tolist(), strict=True)
        self._rank = {number: rank for number, rank in ranks if rank <= len(outcome.speakers)}

    def __call__(self, number: int) -> dict[str, Any]:
        outcome, row = self._outcome, self._outcome.rows[number]
        judged = bool(outcome.judged[number])
        named = int(outcome.named[number])
        truth = int(outcome.truth[number])
        decision = outcome.speakers[named] if named >= 0 else None
        return {
            "path": row.path,
            "start": row.start,
            "end": row.end,
            "speaker": row.speaker,
            "known": truth >= 0,
            "round": row.round,
            "left_out": row.left_out,
            "status": UNDECIDED if not judged else "identified" if decision is not None else UNKNOWN,
            "decision": decision,
            "right": bool(outcome.right[number]),
            "rank": self._rank.get(number),
            "score": finite(outcome.acceptance[number]),
            "own_score": finite(outcome.scores[number, truth]) if truth >= 0 else None,
            "own_log_likelihood": finite(outcome.log_likelihoods[number, truth]) if truth >= 0 else None,
            "best": _best_two(outcome, number) if judged else [],
            "speech_seconds": finite(row.speech_seconds),
            "duration_seconds": finite(row.duration_seconds),
            "reason": row.reason,
            "message": row.message,
        }


def _best_two(outcome: Outcome, number: int) -> list[dict[str, Any]]:
    values = outcome.log_likelihoods[number]
    order = np.argsort(-outcome.ranking[number], kind="stable")[:2]
    return [
        {"speaker": outcome.speakers[i], "log_likelihood": finite(values[i])} for i in order if np.isfinite(values[i])
    ]


def _listed(outcome: Outcome) -> list[dict[str, Any]]:
    trials = outcome.trials
    return [
        {
            "model": outcome.speakers[column],
            "path": outcome.rows[row].path,
            "target": target,
            "score": finite(outcome.scores[row, column]),
            "log_likelihood": finite(outcome.log_likelihoods[row, column]),
            "status": "scored" if outcome.judged[row] else UNDECIDED,
            "reason": outcome.rows[row].reason,
            "message": outcome.rows[row].message,
        }
        for row, column, target in zip(trials.row.tolist(), trials.column.tolist(), trials.target.tolist(), strict=True)
    ]
