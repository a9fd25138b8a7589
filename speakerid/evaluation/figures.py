"""The headline figures of an outcome, with their replicates.

All figures of a replicate are computed on the same resampled recordings (:mod:`speakerid.evaluation.resampling`: speakers,
and recordings within them). Two outcomes of the same tests with the same seed have the same replicates drawn, so the
difference of two systems is the difference of their replicates (:func:`differences`).

Where nothing went wrong every replicate is alike, and its interval would have no width. A rate of 0 or 1 then has Wilson's
interval of as many of its kind, the smaller of its two groups of recordings; a cost has none (NaN).

===================  ===================================================================================================
figure               what
===================  ===================================================================================================
top1, top5           known recordings whose speaker is first, among the first five (:mod:`~speakerid.evaluation.closed_set`)
open_eer             EER of telling known recordings from strangers' (:mod:`~speakerid.evaluation.open_set`)
dir_at_far_1pct, …   detection and identification rate where 1 %, 5 %, 10 % of strangers get a name
eer                  of the verification trials (:mod:`~speakerid.evaluation.detection`)
min_dcf              minimum detection cost, parameters of NIST SRE 2016
cllr, min_cllr       bits; a trial of a recording that could not be judged has a ratio of 0
                     (:mod:`~speakerid.evaluation.calibration`)
===================  ===================================================================================================
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from speakerid.evaluation.calibration import cllr, minimum_cllr
from speakerid.evaluation.checks import EmptySideError
from speakerid.evaluation.detection import equal_error_rate, minimum_dcf
from speakerid.evaluation.open_set import OpenSetCurve, OpenSetTrials
from speakerid.evaluation.outcome import Outcome
from speakerid.evaluation.proportions import Proportion
from speakerid.evaluation.replicates import CountedTrials
from speakerid.evaluation.resampling import Bootstrap, Difference, resampling_weights
from speakerid.evaluation.roc import Roc

__all__ = ["FALSE_ALARM_RATES", "FIGURES", "Figures", "differences"]

FIGURES = (
    "top1", "top5", "open_eer", "dir_at_far_1pct", "dir_at_far_5pct", "dir_at_far_10pct", "eer", "min_dcf", "cllr",
    "min_cllr",
)  # fmt: skip
FALSE_ALARM_RATES = (0.01, 0.05, 0.10)
_RATES = tuple(name for name in FIGURES if name not in ("min_dcf", "cllr", "min_cllr"))
# 80 MB of weights at a time
_BATCH_VALUES = 10_000_000

Weights = NDArray[np.float64]


class Figures:
    """Figures of an outcome.

    Parameters
    ----------
    outcome : Outcome
    seed : int
        Of the resampling.
    n_replicates : int

    Attributes
    ----------
    estimates : dict of str to float
        NaN where a figure is of nothing.
    intervals : dict of str to (float, float)
        95 %, percentiles of the replicates; NaN likewise, and see the module.
    bootstrap : Bootstrap
        The same, of an array of figures in the order of `FIGURES`.
    """

    def __init__(self, outcome: Outcome, *, seed: int = 0, n_replicates: int = 1000) -> None:
        self.clusters = outcome.clusters
        estimate = np.array([*_identification(outcome), *_open_set(outcome), *_verification(outcome)])
        rng = np.random.default_rng(seed)
        drawn = resampling_weights(outcome.clusters, rng, n_replicates, strata=_strata(outcome))
        replicates = [_replicates(outcome, weights) for weights in _batches(drawn, outcome.n_tests)]
        self.bootstrap = Bootstrap(estimate, np.concatenate(replicates))
        low, high = self.bootstrap.interval()
        self.estimates = dict(zip(FIGURES, estimate.tolist(), strict=True))
        ends = zip(low.tolist(), high.tolist(), strict=True)
        self.intervals: dict[str, tuple[float, float]] = dict(zip(FIGURES, ends, strict=True))
        for name, (one, other) in self.intervals.items():
            if one == other:
                self.intervals[name] = _when_all_are_alike(outcome, name, one)

    @property
    def n_replicates(self) -> int:
        """How many samples were drawn."""
        return len(self.bootstrap.replicates)


def _when_all_are_alike(outcome: Outcome, name: str, value: float) -> tuple[float, float]:
    """Interval of a figure that no resampling can move, because nothing, or everything, went wrong."""
    n = {
        "top1": len(outcome.known),
        "top5": len(outcome.known),
        "eer": min(
            len(set(outcome.trials.row[side].tolist())) for side in (outcome.trials.target, ~outcome.trials.target)
        ),
    }.get(name, min(len(outcome.known), len(outcome.strangers)))
    if name in _RATES and value in (0.0, 1.0) and n:
        return Proportion(round(value * n), n).interval()
    return math.nan, math.nan


def differences(first: Figures, second: Figures) -> dict[str, Difference]:
    """Figures of the first system less those of the second, by name.

    Raises
    ------
    ValueError
        They are not of the same tests with the same seed and number of replicates.
    """
    if first.clusters != second.clusters or first.n_replicates != second.n_replicates:
        raise ValueError("differences need figures of the same tests with the same replicates")
    a, b = first.bootstrap, second.bootstrap
    return {
        name: Difference(a.estimate[i] - b.estimate[i], a.replicates[:, i] - b.replicates[:, i])
        for i, name in enumerate(FIGURES)
    }


def _identification(outcome: Outcome) -> list[float]:
    return [float(np.mean(_among(outcome, k))) if len(outcome.known) else np.nan for k in (1, 5)]


def _among(outcome: Outcome, k: int) -> NDArray[np.bool_]:
    """Known rows whose speaker is among the k best, (n_known,); never those without a score."""
    return np.asarray(outcome.ranks <= min(k, len(outcome.speakers)))


def _open_set(outcome: Outcome) -> list[float]:
    known, strangers = outcome.known, outcome.strangers
    if not len(known) or not len(strangers):
        return [np.nan] * (1 + len(FALSE_ALARM_RATES))
    trials = OpenSetTrials(outcome.acceptance[known], outcome.ranks == 1, outcome.acceptance[strangers])
    return _of_curve(trials.curve())


def _of_curve(curve: OpenSetCurve) -> list[float]:
    return [curve.equal_error_rate, *(curve.identified_at(rate) for rate in FALSE_ALARM_RATES)]


def _verification(outcome: Outcome) -> list[float]:
    try:
        roc = outcome.detection.roc()
    except EmptySideError:
        return [np.nan] * 4
    return [*_of_roc(roc), cllr(outcome.ratios), minimum_cllr(roc, unjudged_below=True)]


def _of_roc(roc: Roc) -> list[float]:
    return [equal_error_rate(roc), minimum_dcf(roc)]


def _batches(drawn: Iterable[Weights], n_tests: int) -> Iterator[Weights]:
    """Weights of many replicates, (n, n_tests), a few million numbers at a time."""
    drawn = iter(drawn)
    while batch := list(itertools.islice(drawn, max(_BATCH_VALUES // n_tests, 1))):
        yield np.array(batch)


def _replicates(outcome: Outcome, weights: Weights) -> NDArray[np.float64]:
    """Figures of each replicate: weights (n_replicates, n_tests) -> (n_replicates, n_figures)."""
    result = np.full((len(weights), len(FIGURES)), np.nan)
    known, strangers, tests = outcome.known, outcome.strangers, outcome.test_of_row
    if len(known):
        of_known = weights[:, tests[known]]
        with np.errstate(invalid="ignore"):
            result[:, 0] = of_known @ _among(outcome, 1) / of_known.sum(axis=1)
            result[:, 1] = of_known @ _among(outcome, 5) / of_known.sum(axis=1)
    if len(known) and len(strangers):
        rows = np.concatenate([known, strangers])
        right = np.concatenate([outcome.ranks == 1, np.zeros(len(strangers), dtype=np.bool_)])
        counted = CountedTrials(
            tests[rows], outcome.acceptance[rows], outcome.truth[rows] >= 0, also=right, n_tests=outcome.n_tests
        )
        for replicate, curve in enumerate(counted.rates(weights)):
            if curve is not None:
                result[replicate, 2 : 3 + len(FALSE_ALARM_RATES)] = _of_curve(OpenSetCurve(*curve))
    trials = outcome.trials
    if trials.target.any() and not trials.target.all():
        detection = outcome.detection
        counted = CountedTrials(tests[trials.row], detection.scores, detection.is_target, n_tests=outcome.n_tests)
        for replicate, curve in enumerate(counted.rates(weights)):
            if curve is not None:
                result[replicate, [-4, -3, -1]] = [*_of_roc(curve[0]), minimum_cllr(curve[0], unjudged_below=True)]
        result[:, -2] = _cllr_of_each(outcome, weights)
    return result


def _cllr_of_each(outcome: Outcome, weights: Weights) -> NDArray[np.float64]:
    """Cllr of each replicate, (n_replicates,): the costs of a recording's trials are summed once."""
    ratios, tests = outcome.ratios, outcome.test_of_row[outcome.trials.row]
    cllr_of = np.zeros(len(weights))
    for side, sign in ((ratios.is_target, -1.0), (~ratios.is_target, 1.0)):
        cost = np.bincount(tests[side], np.logaddexp(0.0, sign * ratios.scores[side]), minlength=outcome.n_tests)
        number = np.bincount(tests[side], minlength=outcome.n_tests)
        with np.errstate(invalid="ignore", divide="ignore"):
            cllr_of += weights @ cost / (weights @ number)
    return cllr_of / (2 * math.log(2))


def _strata(outcome: Outcome) -> NDArray[np.bool_] | None:
    """Keep the numbers of known speakers and of strangers, unless a speaker is both."""
    known = np.zeros(outcome.n_tests, dtype=np.bool_)
    known[outcome.test_of_row[outcome.known]] = True
    sides: dict[str, bool] = {}
    for cluster, side in zip(outcome.clusters, known.tolist(), strict=True):
        if sides.setdefault(cluster, side) != side:
            return None
    return known
