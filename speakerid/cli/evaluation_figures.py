"""The figures of an evaluation on the terminal: a table or JSON lines, and what they mean in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from speakerid.cli.output import counted, note, print_json, print_table

__all__ = ["every_system", "explain", "print_figures", "print_figures_as_json"]


def every_system(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The figures of the first system and of the others."""
    return [values, *values["other_systems"]]


_HEADLINES = (
    "system", "degradation", "n_speakers", "n_tests", "n_known", "n_strangers", "undecided", "top1", "top1_ci95",
    "top1_ci95_bootstrap", "top5",
)  # fmt: skip
_CURVES = ("det", "histogram", "reliability")


def print_figures_as_json(values: Mapping[str, Any]) -> None:
    """One line a system: the figures, without curves and trials, and how it differs from the first."""
    for system, difference in zip(every_system(values), [None, *values["differences"]], strict=True):
        line = {key: system[key] for key in _HEADLINES}
        for part in ("open_set", "verification"):
            figures = system[part]
            line[part] = None if figures is None else {k: v for k, v in figures.items() if k not in _CURVES}
        print_json({"protocol": values["protocol"]["name"], **line, "difference": difference})


# label, where, key, interval, percent
_ROWS = (
    ("Top-1 %", None, "top1", "top1_ci95", True),
    ("Top-5 %", None, "top5", "top5_ci95", True),
    ("Strangers: EER %", "open_set", "eer", "eer_ci95", True),
    ("Strangers: DIR % at 1 % false alarms", "open_set", "dir_at_far_1pct", "dir_at_far_1pct_ci95", True),
    ("Strangers given a name %", "open_set", "strangers_named", "strangers_named_ci95", True),
    ("Enrolled refused %", None, "known_refused", "known_refused_ci95", True),
    ("Verification: EER %", "verification", "eer", "eer_ci95", True),
    ("Verification: minDCF", "verification", "min_dcf", "min_dcf_ci95", False),
    ("Verification: Cllr bits", "verification", "cllr", "cllr_ci95", False),
    ("Verification: minimum Cllr bits", "verification", "min_cllr", "min_cllr_ci95", False),
)


# with more systems the table would be wider than a terminal
_MOST_COLUMNS = 3


def print_figures(values: Mapping[str, Any]) -> None:
    """A table with a row for each figure and columns for each system; of many systems, a row for each."""
    systems = every_system(values)
    if len(systems) > _MOST_COLUMNS:
        _print_rows(values, systems)
        return
    table = []
    for label, part, key, interval, percent in _ROWS:
        places = [system if part is None else system[part] for system in systems]
        if all(place is None or place.get(key) is None for place in places):
            continue
        row = [label]
        for number, place in enumerate(places):
            row += [_figure(place, key, percent=percent), _interval(place, interval, percent=percent)]
            if number:
                row.append(_difference(values["differences"][number - 1], part, key))
        table.append(row)
    columns = [("Figure", "left")]
    for number, system in enumerate(systems):
        columns += [(system["system"] if len(systems) > 1 else "Value", "right"), ("95 % interval", "left")]
        if number:
            columns.append(("p", "right"))
    print_table(columns, table)


def _print_rows(values: Mapping[str, Any], systems: Sequence[Mapping[str, Any]]) -> None:
    """A row for each system, with the figures that most is said about."""
    figures = [
        (heading, part, key)
        for heading, part, key in (
            ("Top-1 %", None, "top1"),
            ("Misnamed %", None, "known_misnamed"),
            ("Refused %", None, "known_refused"),
            ("Strangers EER %", "open_set", "eer"),
            ("named %", "open_set", "strangers_named"),
            ("Verification EER %", "verification", "eer"),
        )
        if any(_place(system, part).get(key) is not None for system in systems)
    ]
    columns = [("System", "left")]
    for heading, _part, _key in figures:
        columns += [(heading, "right"), ("95 % interval", "left"), ("p", "right")][: 3 if heading == "Top-1 %" else 1]
    columns.append(("Undecided", "right"))
    table = []
    for number, system in enumerate(systems):
        row = [system["system"]]
        for heading, part, key in figures:
            row.append(_figure(_place(system, part), key, percent=True))
            if heading == "Top-1 %":
                row.append(_interval(system, "top1_ci95", percent=True))
                row.append(_difference(values["differences"][number - 1], part, key) if number else "")
        table.append([*row, str(sum(system["undecided"].values()))])
    print_table(columns, table)


def _place(system: Mapping[str, Any], part: str | None) -> Mapping[str, Any]:
    return system if part is None else system[part] or {}


def _figure(place: Mapping[str, Any] | None, key: str, *, percent: bool) -> str:
    value = None if place is None else place.get(key)
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if percent else f"{value:.3f}"


def _interval(place: Mapping[str, Any] | None, key: str, *, percent: bool) -> str:
    ends = None if place is None else place.get(key)
    if ends is None:
        return ""
    return "-".join(f"{100 * end:.1f}" if percent else f"{end:.3f}" for end in ends)


def _difference(difference: Mapping[str, Any], part: str | None, key: str) -> str:
    """The p value of a figure against the first system's."""
    name = "open_eer" if (part, key) == ("open_set", "eer") else key
    if name == "top1" and difference["mcnemar"] is not None:
        return _p_value(difference["mcnemar"]["p_value"])
    found = difference["figures"].get(name)
    return "" if found is None else _p_value(found["p_value"])


def _p_value(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.2g}"


def explain(values: Mapping[str, Any], *, quiet: bool) -> None:
    """Say how many were asked, what the scores and intervals are, and who was confused most."""
    whose = "speakers" if values["protocol"]["kind"] == "identification" else "models"
    note(
        f"{counted(values['n_tests'], 'recording')} asked of {counted(values['n_speakers'], whose[:-1])}.", quiet=quiet
    )
    if values["n_known"] and values["n_strangers"]:
        known, strangers = values["n_known"], values["n_strangers"]
        note(f"{known} of the questions are about somebody enrolled, {strangers} about a stranger.", quiet=quiet)
    for rule in dict.fromkeys(system["score"] for system in every_system(values)):
        note(f"Score of a trial: {rule}.", quiet=quiet)
    if sum(values["undecided"].values()):
        why = ", ".join(f"{n} {reason}" for reason, n in values["undecided"].items())
        note(f"No answer for {why}: wrong for somebody enrolled, a rejection in trials.", quiet=quiet)
    if values["top1_ci95_bootstrap"] is not None:
        low, high = values["top1_ci95_bootstrap"]
        resampled = (
            "" if values["top1"] == 1 else f" (resampled speakers and recordings: {100 * low:.1f}-{100 * high:.1f})"
        )
        note(f"Interval of top-1 and top-5: Wilson's{resampled}.", quiet=quiet)
    note("Other intervals: resampled speakers and recordings; where nothing went wrong, Wilson's or none.", quiet=quiet)
    if values["differences"]:
        note(f"p: against {values['system']}; of top-1 by McNemar's test, else by paired bootstrap.", quiet=quiet)
    names = {each["speaker"] for each in values["per_speaker"][: values["n_speakers"]]}
    pairs = [p for p in values.get("worst_pairs") or [] if {p["speaker"], p["decision"]} <= names and p["count"] > 1]
    if pairs:
        worst = "; ".join(f"{p['speaker']} taken for {p['decision']} ({p['count']})" for p in pairs[:3])
        note(f"Most confused: {worst}.", quiet=quiet)
