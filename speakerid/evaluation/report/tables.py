"""The long tables of the page and its confusion matrix, as plain values for the template; of recordings: ``recordings``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from speakerid.config import Config, to_dict
from speakerid.evaluation.outcome import UNKNOWN
from speakerid.evaluation.report.words import at, digits_of, is_number, rows_of, seconds, visible, whole_rows

__all__ = ["confusion", "scores", "settings", "speakers", "strangers", "timings"]

#: Beyond, a matrix is drawn by the page's script instead of being a table.
LARGEST_TABLE = 30
# a page must open: what is cut off is said, and is in the JSON
_MOST_ROWS = 1000
_MOST_STRANGERS = 50
# how long the recordings last, which is no time of work
_AUDIO = ("audio", "audio_seconds")
_PER_SPEAKER = ("speaker", "n_tests", "n_decided", "n_right", "recall", "precision", "enrolled_seconds")

Results = Mapping[str, Any]
Systems = Sequence[Results]


def confusion(system: Results) -> dict[str, Any] | None:
    """Matrix and worst pairs; None if nobody was identified.

    ``kind`` is `table` with ``columns`` and ``rows`` of cells, `drawn` with ``labels`` and ``cells`` (row, column, count)
    for the script, or None when the matrix is too large for either.
    """
    labels = [visible(label) for label in rows_of(at(system, "confusion"), "labels")]
    if not labels:
        return None
    n_speakers = at(system, "n_speakers") or len(labels)
    pairs = whole_rows(system, "worst_pairs", ("speaker", "decision", "count", "share"))
    result: dict[str, Any] = {
        "kind": None,
        "n_labels": len(labels),
        "pairs": pairs,
        "digits": digits_of(*(each["share"] for each in pairs)),
        "cut": len(pairs) >= _MOST_ROWS,
        "unknown_row": None,
        "unknown_column": None,
    }
    counts = rows_of(at(system, "confusion"), "counts")
    if len(counts) != len(labels) or not all(isinstance(row, list) and len(row) == len(labels) for row in counts):
        return result
    totals = [sum(row) for row in counts]
    # strangers and the undecided are rows and columns only where there are some
    columns = [j for j in range(len(labels)) if j < n_speakers or any(row[j] for row in counts)]
    rows = [i for i in range(len(labels)) if i < n_speakers or totals[i]]
    # in brackets where a speaker has that name
    unknown = next((i for i in range(n_speakers, len(labels)) if labels[i].strip("()") == UNKNOWN), None)
    if unknown is not None:
        result["unknown_row"] = labels[unknown] if totals[unknown] else None
        result["unknown_column"] = labels[unknown] if unknown in columns else None
    if len(labels) <= LARGEST_TABLE:
        result |= {
            "kind": "table",
            "dense": _is_wide([labels[j] for j in columns]),
            "columns": [labels[j] for j in columns],
            "rows": [
                {
                    "label": labels[i],
                    "n": totals[i],
                    "cells": [
                        {
                            "n": counts[i][j],
                            "right": i == j,
                            "share": counts[i][j] / totals[i] if totals[i] else 0.0,
                            "column": labels[j],
                        }
                        for j in columns
                    ],
                }
                for i in rows
            ],
        }
        return result
    result |= {
        "kind": "drawn",
        "island": {
            "labels": labels,
            "n_speakers": n_speakers,
            "rows": rows,
            "columns": columns,
            "totals": totals,
            "cells": [[i, j, n] for i, row in enumerate(counts) for j, n in enumerate(row) if n],
        },
    }
    return result


def _is_wide(columns: Sequence[str]) -> bool:
    """Whether headings side by side would be wider than a page, by a rough measure of their letters, in rem."""
    across = sum(min(0.9 + 0.47 * len(label), 8.0) for label in columns)
    return across + min(1.5 + 0.47 * max(map(len, columns), default=0), 14.0) + 6.0 > 72.0


def speakers(system: Results) -> dict[str, Any] | None:
    """How each speaker fares, those least often recognised first."""
    rows = whole_rows(system, "per_speaker", _PER_SPEAKER)
    if not rows:
        return None
    rows.sort(key=lambda row: (row["recall"] is None, row["recall"] or 0.0))
    shown = rows[:_MOST_ROWS]
    digits = {key: digits_of(*(row[key] for row in shown)) for key in ("recall", "precision")}
    return {"rows": shown, "n": len(rows), "digits": digits}


def strangers(system: Results) -> list[dict[str, Any]]:
    """Whom strangers are taken for, most often first: those of the protocol, and speakers who were left out."""
    found = []
    for left_out in (False, True):
        asked = [
            trial
            for trial in rows_of(system, "trials")
            if at(trial, "known") is False and bool(at(trial, "left_out")) is left_out
        ]
        totals = Counter(str(at(trial, "speaker")) for trial in asked)
        named = Counter(
            (str(at(trial, "speaker")), str(at(trial, "decision")))
            for trial in asked
            if at(trial, "decision") is not None
        )
        # strangers without names are one row of the confusion matrix, which says the same
        if not named or (not left_out and totals.keys() == {UNKNOWN}):
            continue
        ordered = sorted(named.items(), key=lambda each: (-each[1], each[0]))
        rows = [
            {"speaker": stranger, "decision": decision, "count": n, "share": n / totals[stranger]}
            for (stranger, decision), n in ordered[:_MOST_STRANGERS]
        ]
        found.append(
            {
                "left_out": left_out,
                "rows": rows,
                "digits": digits_of(*(row["share"] for row in rows)),
                "n": len(ordered),
                "n_asked": len(asked),
                "n_named": named.total(),
                "threshold": is_number(at(system, "threshold")),
            }
        )
    return found


def scores(systems: Systems, names: Sequence[str]) -> list[tuple[str, str | None]]:
    """How detection scores are made, each rule once: a clause, and whose it is where systems differ."""
    rules: dict[str, list[str]] = {}
    for system, name in zip(systems, names, strict=True):
        if rule := at(system, "score"):
            rules.setdefault(str(rule), []).append(name)
    return [(rule, ", ".join(whose) if len(rules) > 1 else None) for rule, whose in rules.items()]


def settings(systems: Systems) -> dict[str, Any] | None:
    """All settings by table, with the defaults; which differ from them or between systems. None without any."""
    configs = [_flat(at(system, "config")) for system in systems]
    if not any(configs):
        return None
    defaults = _flat(to_dict(Config()))
    rows = []
    for place in dict.fromkeys(place for each in configs for place in each):
        values = [_toml(each[place]) if place in each else None for each in configs]
        default = _toml(defaults[place]) if place in defaults else None
        rows.append(
            {
                "table": ".".join(place[:-1]),
                "key": place[-1],
                "default": default,
                "values": [{"text": value, "changed": value != default} for value in values],
                "changed": any(value != default for value in values),
            }
        )
    return {"rows": rows, "changed": [row for row in rows if row["changed"]]}


def _flat(values: Any, place: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(values, Mapping):
        return {place: values} if place else {}
    return {key: value for name, each in values.items() for key, value in _flat(each, (*place, str(name))).items()}


def _toml(value: Any) -> str:
    """As TOML writes it: JSON is the same for the values of a setting."""
    return json.dumps(value, ensure_ascii=False) if value is not None else "–"


def timings(systems: Systems) -> dict[str, Any] | None:
    """Seconds by stage and how many times faster than the recordings last; None if nothing was timed."""
    timed = [at(system, "timings") or {} for system in systems]
    stages = [stage for stage in dict.fromkeys(_names(timed)) if stage not in _AUDIO]
    if not stages:
        return None
    rows = [(stage, [each.get(stage) for each in timed]) for stage in stages]
    rows.append(("all", [sum(each[s] for s in stages if is_number(each.get(s))) for each in timed]))
    audio = [next((each[name] for name in _AUDIO if is_number(each.get(name))), None) for each in timed]
    return {
        "audio": [seconds(each) for each in audio if is_number(each)][:1],
        "rows": [
            {
                "stage": stage,
                "values": [
                    {"seconds": value, "times": _times(value, length)}
                    for value, length in zip(values, audio, strict=True)
                ],
            }
            for stage, values in rows
        ],
    }


def _names(timed: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    return (name for each in timed for name, value in each.items() if is_number(value))


def _times(value: Any, audio: Any) -> str | None:
    if not is_number(value) or not is_number(audio) or value <= 0 or audio <= 0:
        return None
    ratio = audio / value
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"
