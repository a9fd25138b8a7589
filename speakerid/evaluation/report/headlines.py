"""The figures at the top of the page, each with its interval and what it means, and how several systems compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from speakerid.evaluation.report.words import (
    FIGURES,
    MISSING,
    Figure,
    at,
    count,
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
        return (
            f"Asked whether a recording is of the speaker it is claimed to be, the system is wrong in {percent(eer)} of"
            " the trials when both kinds of error are made equally often."
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
    if again := pair(at(results, "top1_ci95_bootstrap")):
        small.append(f"Resampling speakers and recordings: {again}")
    if is_number(n_known):
        small.append(f"{count(round(value * n_known))} of {count(n_known)} recordings")
    return Headline(
        "Right speaker first", "top-1 accuracy", percent(value), pair(at(results, "top1_ci95")), meaning, small
    )


def _top5(results: Results) -> Headline | None:
    # among five or fewer everybody is among the first five
    if not is_number(value := at(results, "top5")) or (at(results, "n_speakers") or 0) <= 5:
        return None
    return Headline(
        "Right speaker among the first five", "top-5 accuracy", percent(value), pair(at(results, "top5_ci95")),
        "How often a person who looks at the five best suggestions finds the right one.",
    )  # fmt: skip


def _open_set(results: Results) -> Headline | None:
    if not is_number(value := at(results, "open_set", "eer")):
        return None
    return Headline(
        "Stranger or enrolled?", "open-set equal error rate", percent(value), pair(at(results, "open_set", "eer_ci95")),
        f"With the threshold where both errors are equal, of 100 strangers {rate(value)} get a name, and of 100 recordings"
        f" of enrolled speakers {rate(value)} are turned away.",
    )  # fmt: skip


def _named_at_false_alarms(results: Results) -> Headline | None:
    open_set = at(results, "open_set")
    if not is_number(value := at(open_set, "dir_at_far_1pct")):
        return None
    small = [
        f"When {far} of 100 may: {percent(at(open_set, f'dir_at_far_{far}pct'))}"
        for far in (5, 10)
        if is_number(at(open_set, f"dir_at_far_{far}pct"))
    ]
    n = at(results, "n_strangers")
    if is_number(n) and 0 < n < 100:
        small.append(f"With {count(n)} strangers 1 of 100 is less than one of them, so none may")
    return Headline(
        "Named rightly, strangers kept out", "detection and identification rate at 1 % false alarms", percent(value),
        pair(at(open_set, "dir_at_far_1pct_ci95")),
        "Enrolled speakers' recordings that get the right name when only 1 of 100 strangers may get one.", small,
    )  # fmt: skip


def _in_use(results: Results) -> Headline | None:
    open_set = at(results, "open_set")
    if not is_number(named := at(open_set, "strangers_named")):
        return None
    small = []
    if is_number(refused := at(open_set, "known_refused")):
        ends = pair(at(open_set, "known_refused_ci95"))
        small.append(f"Enrolled speakers turned away: {percent(refused)}" + (f" ({ends})" if ends else ""))
    return Headline(
        "Strangers who were given a name", f"at the threshold in use, {number(at(open_set, 'threshold'))}",
        percent(named), pair(at(open_set, "strangers_named_ci95")),
        "What the threshold that was set does: lower it and more strangers get a name, raise it and more enrolled speakers"
        " are turned away.", small,
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
    return Headline(
        "Is this that speaker?", "equal error rate, EER", percent(value), pair(at(verification, "eer_ci95")),
        f"With the threshold where both errors are equal, of 100 true claims {rate(value)} are refused, and of 100 false"
        f" claims {rate(value)} are believed.", small,
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
    rows = []
    for figure in FIGURES:
        values = [at(system, *figure.place) for system in systems]
        if not any(map(is_number, values)):
            continue
        rows.append(
            {
                "label": figure.label,
                "better": "higher" if figure.more_is_better else "lower",
                "cells": [
                    {
                        "value": _written(value, figure),
                        "interval": pair(at(system, *figure.interval), is_rate=figure.is_rate),
                        "difference": _difference(at(by_number.get(number), "figures", figure.key), figure),
                    }
                    for number, (system, value) in enumerate(zip(systems, values, strict=True))
                ],
            }
        )
    tests = [at(by_number.get(number), "mcnemar") for number in range(len(systems))]
    return {"rows": rows, "mcnemar": [_mcnemar(test) for test in tests] if any(tests) else []}


def _written(value: Any, figure: Figure) -> str:
    return percent(value) if figure.is_rate else number(value)


def _difference(values: Any, figure: Figure) -> dict[str, Any] | None:
    difference = at(values, "difference")
    if not is_number(difference):
        return None
    p = at(values, "p_value")
    text = (
        f"{rate(difference, signed=True)} points"
        if figure.is_rate
        else ("+" if difference > 0 else "") + number(difference)
    )
    notable = is_number(p) and p < _NOTABLE and difference != 0
    return {
        "text": text,
        "interval": pair(at(values, "ci95"), is_rate=figure.is_rate, signed=True),
        "p": _p_value(p),
        "verdict": ("better" if (difference > 0) == figure.more_is_better else "worse") if notable else None,
    }


def _mcnemar(test: Any) -> dict[str, str] | None:
    if not isinstance(test, Mapping):
        return None
    return {
        "only_system": count(at(test, "only_system")),
        "only_baseline": count(at(test, "only_baseline")),
        "p": _p_value(at(test, "p_value")),
    }


def _p_value(p: Any) -> str:
    if not is_number(p):
        return MISSING
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
