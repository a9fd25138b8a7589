"""The long tables of the page and its confusion matrix, as plain values for the template."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from speakerid.config import Config, to_dict
from speakerid.evaluation.outcome import UNKNOWN
from speakerid.evaluation.report.words import at, is_number, seconds, visible

__all__ = ["confusion", "recordings", "settings", "speakers", "timings", "undecided"]

#: Beyond, a matrix is drawn by the page's script instead of being a table.
LARGEST_TABLE = 30
# a page must open: what is cut off is said, and is in the JSON
_MOST_ROWS = 1000
# how long the recordings last, which is no time of work
_AUDIO = ("audio", "audio_seconds")
_PER_SPEAKER = ("speaker", "n_tests", "n_decided", "n_right", "recall", "precision", "enrolled_seconds")

Results = Mapping[str, Any]
Systems = Sequence[Results]


def rows_of(values: Any, key: str) -> list[Any]:
    """What is in a list of the results; none if it is missing."""
    found = at(values, key)
    return list(found) if isinstance(found, Sequence) and not isinstance(found, str) else []


def _whole_rows(values: Any, key: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a list of dictionaries, each with all columns, None where one is missing."""
    return [{column: at(row, column) for column in columns} for row in rows_of(values, key) if isinstance(row, Mapping)]


def confusion(system: Results) -> dict[str, Any] | None:
    """Matrix and worst pairs; None if nobody was identified.

    ``kind`` is `table` with ``columns`` and ``rows`` of cells, `drawn` with ``labels`` and ``cells`` (row, column, count)
    for the script, or None when the matrix is too large for either.
    """
    labels = [visible(label) for label in rows_of(at(system, "confusion"), "labels")]
    if not labels:
        return None
    n_speakers = at(system, "n_speakers") or len(labels)
    pairs = _whole_rows(system, "worst_pairs", ("speaker", "decision", "count", "share"))
    result: dict[str, Any] = {
        "kind": None,
        "n_labels": len(labels),
        "pairs": pairs,
        "cut": len(pairs) >= _MOST_ROWS,
        "with_unknown": UNKNOWN in labels[n_speakers:],
    }
    counts = rows_of(at(system, "confusion"), "counts")
    if len(counts) != len(labels) or not all(isinstance(row, list) and len(row) == len(labels) for row in counts):
        return result
    totals = [sum(row) for row in counts]
    # strangers and the undecided are rows and columns only where there are some
    columns = [j for j in range(len(labels)) if j < n_speakers or any(row[j] for row in counts)]
    rows = [i for i in range(len(labels)) if i < n_speakers or totals[i]]
    if len(labels) <= LARGEST_TABLE:
        result |= {
            "kind": "table",
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


def speakers(system: Results) -> dict[str, Any] | None:
    """How each speaker fares, those least often recognised first."""
    rows = _whole_rows(system, "per_speaker", _PER_SPEAKER)
    if not rows:
        return None
    rows.sort(key=lambda row: (row["recall"] is None, row["recall"] or 0.0))
    return {"rows": rows[:_MOST_ROWS], "n": len(rows)}


def recordings(system: Results, clips: Mapping[int, bytes]) -> dict[str, Any] | None:
    """The hardest recordings; None if the protocol has none that were identified."""
    trials = rows_of(system, "trials")
    numbers = [n for n in rows_of(system, "hardest") if isinstance(n, int) and 0 <= n < len(trials)]
    if not numbers:
        return None
    rows = [_recording(trials[n], clips.get(n)) for n in numbers]
    return {
        "rows": rows,
        "n_right": sum(row["right"] for row in rows),
        "with_clips": any(row["clip"] for row in rows),
        "n": len(rows),
    }


def _recording(trial: Results, clip: bytes | None) -> dict[str, Any]:
    known = bool(at(trial, "known"))
    score = at(trial, "own_score") if known else at(trial, "score")
    return {
        "path": at(trial, "path") or "",
        "stretch": _stretch(trial),
        "speaker": at(trial, "speaker"),
        "kind": "enrolled" if known else "left out" if at(trial, "left_out") else "stranger",
        "status": at(trial, "status") or "",
        "decision": at(trial, "decision"),
        "right": bool(at(trial, "right")),
        "best": _whole_rows(trial, "best", ("speaker", "log_likelihood")),
        "own": at(trial, "own_log_likelihood"),
        "rank": at(trial, "rank"),
        "score": score,
        "seconds": at(trial, "speech_seconds"),
        "clip": _clip(clip) if clip else None,
    }


def _stretch(trial: Results) -> str | None:
    start, end = at(trial, "start"), at(trial, "end")
    if not is_number(start) and not is_number(end):
        return None
    first = f"{start:g}" if is_number(start) else "0"
    return f"{first}–{end:g} s" if is_number(end) else f"from {first} s"


def _clip(clip: bytes) -> str:
    kinds = {b"fLaC": "flac", b"RIFF": "wav", b"OggS": "ogg", b"ID3": "mpeg"}
    kind = next((kind for start, kind in kinds.items() if clip.startswith(start)), "mpeg")
    return f"data:audio/{kind};base64,{base64.b64encode(clip).decode()}"


def undecided(system: Results, clips: Mapping[int, bytes]) -> dict[str, Any] | None:
    """Recordings that could not be judged, each once; None if all could."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for number, trial in enumerate(rows_of(system, "trials")):
        if at(trial, "status") != "undecided" or at(trial, "left_out"):
            continue
        key = (at(trial, "path"), at(trial, "start"), at(trial, "end"))
        clip = clips.get(number)
        found.setdefault(
            key,
            {
                "path": at(trial, "path") or "",
                "stretch": _stretch(trial),
                "speaker": at(trial, "speaker"),
                "reason": at(trial, "reason") or "",
                "message": _without_path(trial),
                "clip": _clip(clip) if clip else None,
            },
        )
    counts = at(system, "undecided") or {}
    if not found and not counts:
        return None
    rows = [*found.values()]
    return {
        "rows": rows[:_MOST_ROWS],
        "n": max(len(rows), sum(n for n in counts.values() if is_number(n))),
        "reasons": sorted((counts or Counter(row["reason"] for row in rows)).items()),
        "with_clips": any(row["clip"] for row in rows),
    }


def _without_path(trial: Results) -> str:
    """The sentence, without the path that stands beside it."""
    message = at(trial, "message") or ""
    return str(message).removeprefix(f"{at(trial, 'path')}: ")


def problems(systems: Systems) -> list[dict[str, Any]]:
    """Recordings that could not be used in enrolment by one system or more, and what the protocol passed over."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    passed_over = rows_of(at(systems[0], "protocol"), "passed_over")
    for each in [problem for system in systems for problem in rows_of(system, "problems")] + passed_over:
        path, message = str(at(each, "path") or ""), _without_path(each)
        found.setdefault(
            (path, message), {"path": path, "reason": at(each, "reason") or "not read", "message": message}
        )
    return [*found.values()]


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
