"""The figures at the top of the page, each with its interval and what it means, and how several systems compare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from speakerid.evaluation.report.words import (
    FIGURES,
    MISSING,
    Figure,
    at,
    count,
    digits_of,
    is_number,
    number,
    pair,
    percent,
    rate,
)

__all__ = ["Headline", "comparison", "headlines", "verdict"]

Results = Mapping[str, Any]
# below, a difference would be as large in one of twenty comparisons of equal systems
_NOTABLE = 0.05
# among fewer, most are among the first five by chance
_LEAST_FOR_TOP5 = 11


@dataclass(frozen=True)
class Headline:
    """A figure in large type.

    Attributes
    ----------
    label, term : str
        In plain words, and as the field calls it.
    value : str
    interval : str or None
        95 %.
    meaning : str
        One sentence for those who do not know the term.
    small : list of str
        What else belongs to it.
    """

    label: str
    term: str
    value: str
    interval: str | None
    meaning: str
    small: list[str] = field(default_factory=list)


def verdict(results: Results) -> str | None:
    """The result in a sentence; None if there is nothing to say it with."""
    top1, n_known, n = at(results, "top1"), at(results, "n_known"), at(results, "n_speakers")
    if is_number(top1) and is_number(n_known) and is_number(n):
        right = round(top1 * n_known)
        if n == 1:
            return f"One speaker is enrolled, of whom {count(n_known)} recordings were tested."
        of = f"{count(right)} of {count(n_known)} recordings of enrolled speakers"
        return f"{of} fit the right one of {count(n)} speakers best."
    eer = at(results, "verification", "eer")
    if is_number(eer):
        digits = digits_of(eer, at(results, "verification", "eer_ci95"))
        return (
            f"Asked whether a recording is of the speaker it is claimed to be, the system is wrong in"
            f" {percent(eer, digits)} of the trials when both kinds of error are made equally often."
        )
    return None


def headlines(results: Results) -> list[Headline]:
    """Those figures that there are."""
    tiles = (_top1, _top5, _open_set, _named_at_false_alarms, _in_use, _eer, _min_dcf, _cllr)
    return [tile for tile in (each(results) for each in tiles) if tile is not None]


def _top1(results: Results) -> Headline | None:
    if not is_number(value := at(results, "top1")):
        return None
    n, n_known = at(results, "n_speakers"), at(results, "n_known")
    meaning = "Share of the enrolled speakers' recordings that fit their own speaker best."
    if is_number(n) and n > 1:
        meaning += f" Guessing would give {percent(1 / n)}."
    small = []
    ends, resampled = at(results, "top1_ci95"), at(results, "top1_ci95_bootstrap")
    digits = digits_of(value, ends, resampled)
    if again := pair(resampled, digits):
        small.append(f"Resampling speakers and recordings: {again}")
    if is_number(n_known):
        small.append(f"{count(round(value * n_known))} of {count(n_known)} recordings")
    return Headline(
        "Right speaker first", "top-1 accuracy", percent(value, digits), pair(ends, digits), meaning, small
    )  # fmt: skip


def _top5(results: Results) -> Headline | None:
    if not is_number(value := at(results, "top5")) or _few(results):
        return None
    return _of_rate(
        "Right speaker among the first five", "top-5 accuracy", value, at(results, "top5_ci95"),
        "How often a person who looks at the five best suggestions finds the right one.",
    )  # fmt: skip


def _few(results: Results) -> bool:
    return (at(results, "n_speakers") or 0) < _LEAST_FOR_TOP5


def _of_rate(label: str, term: str, value: Any, ends: Any, meaning: str, small: Sequence[str] = ()) -> Headline:
    digits = digits_of(value, ends)
    return Headline(label, term, percent(value, digits), pair(ends, digits), meaning, [*small])


def _open_set(results: Results) -> Headline | None:
    if not is_number(value := at(results, "open_set", "eer")):
        return None
    ends = at(results, "open_set", "eer_ci95")
    text = rate(value, digits_of(value, ends)) if value else "none"
    return _of_rate(
        "Stranger or enrolled?", "open-set equal error rate", value, ends,
        f"With the threshold where both errors are equal, of 100 strangers {text} get a name, and of 100 recordings"
        f" of enrolled speakers {text} are turned away.",
    )  # fmt: skip


def _named_at_false_alarms(results: Results) -> Headline | None:
    open_set = at(results, "open_set")
    if not is_number(value := at(open_set, "dir_at_far_1pct")):
        return None
    ends = at(open_set, "dir_at_far_1pct_ci95")
    others = {far: at(open_set, f"dir_at_far_{far}pct") for far in (5, 10)}
    digits = digits_of(value, ends, [*others.values()])
    small = [f"When {far} of 100 may: {percent(each, digits)}" for far, each in others.items() if is_number(each)]
    n = at(results, "n_strangers")
    if is_number(n) and 0 < n < 100:
        small.append(f"With {count(n)} strangers 1 of 100 is less than one of them, so none may")
    return Headline(
        "Named rightly, strangers kept out", "detection and identification rate at 1 % false alarms",
        percent(value, digits), pair(ends, digits),
        "Enrolled speakers' recordings that get the right name when only 1 of 100 strangers may get one.", small,
    )  # fmt: skip


def _in_use(results: Results) -> Headline | None:
    open_set = at(results, "open_set")
    named, refused = at(open_set, "strangers_named"), at(results, "known_refused")
    threshold = f"at the threshold in use, {number(at(results, 'threshold'))}"
    if not is_number(named):
        return _refused_only(results, threshold) if is_number(refused) else None
    small = []
    if is_number(refused):
        ends = at(results, "known_refused_ci95")
        digits = digits_of(refused, ends)
        interval = pair(ends, digits)
        small.append(
            f"Enrolled speakers turned away: {percent(refused, digits)}" + (f" ({interval})" if interval else "")
        )
    return _of_rate(
        "Strangers who were given a name", threshold, named, at(open_set, "strangers_named_ci95"),
        "What the threshold that was set does: lower it and more strangers get a name, raise it and more enrolled speakers"
        " are turned away.", small,
    )  # fmt: skip


def _refused_only(results: Results, threshold: str) -> Headline:
    return _of_rate(
        "Enrolled speakers turned away", threshold, at(results, "known_refused"), at(results, "known_refused_ci95"),
        "Enrolled speakers' recordings that get no name because they score below the threshold that was set, or could not be"
        " judged. How many strangers it keeps out was not measured.",
    )  # fmt: skip


def _eer(results: Results) -> Headline | None:
    verification = at(results, "verification")
    if not is_number(value := at(verification, "eer")):
        return None
    small = []
    if is_number(targets := at(verification, "n_targets")) and is_number(others := at(verification, "n_nontargets")):
        small.append(f"{count(targets)} true and {count(others)} false claims")
    if is_number(threshold := at(verification, "eer_threshold")):
        small.append(f"Threshold {number(threshold)}")
    ends = at(verification, "eer_ci95")
    text = rate(value, digits_of(value, ends)) if value else "none"
    return _of_rate(
        "Is this that speaker?", "equal error rate, EER", value, ends,
        f"With the threshold where both errors are equal, of 100 true claims {text} are refused, and of 100 false"
        f" claims {text} are believed.", small,
    )  # fmt: skip


def _min_dcf(results: Results) -> Headline | None:
    verification = at(results, "verification")
    if not is_number(value := at(verification, "min_dcf")):
        return None
    small = []
    if is_number(actual := at(verification, "act_dcf")):
        small.append(f"At the threshold that the scores ask for, taken as likelihood ratios: {number(actual)}")
    if is_number(older := at(verification, "min_dcf_sre2008")):
        small.append(f"With the costs of NIST SRE 2008: {number(older)}")
    costs = at(verification, "min_dcf_costs") or ()
    shares = " or ".join(f"{100 * each:g}" for each in (at(cost, "p_target") for cost in costs) if is_number(each))
    rare = f", where {shares} of 100 claims are true" if shares else ""
    return Headline(
        "Cost of errors when few claims are true", "minimum detection cost, minDCF, NIST SRE 2016", number(value),
        pair(at(verification, "min_dcf_ci95"), is_rate=False),
        f"The best that any threshold does{rare}: 0 is perfect, 1 is no better than not listening.", small,
    )  # fmt: skip


def _cllr(results: Results) -> Headline | None:
    verification = at(results, "verification")
    if not is_number(value := at(verification, "cllr")):
        return None
    small = []
    if is_number(least := at(verification, "min_cllr")):
        ends = pair(at(verification, "min_cllr_ci95"), is_rate=False)
        small.append(f"Minimum, with perfect calibration: {number(least)} bits" + (f" ({ends})" if ends else ""))
    if is_number(error := at(verification, "reliability", "expected_calibration_error")):
        small.append(f"Expected calibration error: {percent(error)}")
    return Headline(
        "How far the scores can be believed", "log-likelihood-ratio cost, Cllr, bits", number(value),
        pair(at(verification, "cllr_ci95"), is_rate=False),
        "What it costs to take the scores at their word: 0 is perfect, 1 is what a score that says nothing costs, and more"
        " misleads.", small,
    )  # fmt: skip


def comparison(systems: Sequence[Results], differences: Sequence[Any]) -> dict[str, Any]:
    """Figures by system, each with its interval, and the paired difference from the first."""
    by_number = {
        number: difference for number, difference in enumerate(differences, 1) if isinstance(difference, Mapping)
    }
    replicates = at(systems[0], "intervals", "replicates")
    rows: list[dict[str, Any]] = []
    for figure in FIGURES:
        if figure.key == "top5" and _few(systems[0]):
            continue
        values = [at(system, *figure.place) for system in systems]
        if not any(map(is_number, values)):
            continue
        intervals = [at(system, *figure.interval) for system in systems]
        compared = [at(by_number.get(number), "figures", figure.key) for number in range(len(systems))]
        digits = digits_of(values, *intervals)
        # a difference must not be rounded to none
        if any(is_number(d := at(each, "difference")) and 0 < abs(d) < 0.0005 for each in compared):
            digits = 2
        rows.append(
            {
                "label": figure.label,
                "better": "higher" if figure.more_is_better else "lower",
                "cells": [
                    {
                        "value": percent(value, digits) if figure.is_rate else number(value),
                        "interval": pair(interval, digits, is_rate=figure.is_rate),
                        "difference": _difference(difference, figure, digits, replicates),
                        "counts": _counts(at(by_number.get(n), "mcnemar")) if figure.key == "top1" else None,
                    }
                    for n, (value, interval, difference) in enumerate(zip(values, intervals, compared, strict=True))
                ],
            }
        )
    return {"rows": rows, "with_mcnemar": any(cell["counts"] for row in rows for cell in row["cells"])}


def _difference(values: Any, figure: Figure, digits: int, replicates: Any) -> dict[str, Any] | None:
    difference = at(values, "difference")
    if not is_number(difference):
        return None
    p, test = at(values, "p_value"), at(values, "test")
    text = (
        f"{rate(difference, digits, signed=True)} points"
        if figure.is_rate
        else ("+" if difference > 0 else "") + number(difference)
    )
    notable = is_number(p) and p < _NOTABLE and difference != 0
    return {
        "text": text,
        "interval": pair(at(values, "ci95"), digits, is_rate=figure.is_rate, signed=True),
        "p": _p_value(p, replicates if test != "McNemar" else None),
        "verdict": ("better" if (difference > 0) == figure.more_is_better else "worse") if notable else None,
    }


def _counts(test: Any) -> dict[str, str] | None:
    """How many recordings only one of two systems has right."""
    here, there = at(test, "only_system"), at(test, "only_baseline")
    return {"here": count(here), "there": count(there)} if is_number(here) and is_number(there) else None


def _p_value(p: Any, replicates: Any) -> str:
    """A bootstrap's can be no smaller than 2 of its replicates and one; then that is all it says."""
    if not is_number(p):
        return f"p: {MISSING}"
    if p < 0.001:
        return "p < 0.001"
    if is_number(replicates) and p <= 1.01 * (least := 2 / (replicates + 1)):
        return f"p ≤ {math.ceil(1000 * least) / 1000:g}"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
