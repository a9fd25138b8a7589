"""The page's tables of recordings: the hardest, those that could not be judged, and those that were not used.

Paths are shown without the folder that all recordings are in.
"""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from speakerid.evaluation.report.words import at, is_number, rows_of, whole_rows

__all__ = ["common_folder", "hardest", "undecided"]

# a page must open: what is cut off is said, and is in the JSON
_MOST_ROWS = 1000

Results = Mapping[str, Any]
Systems = Sequence[Results]


def common_folder(results: Results) -> str:
    """The longest folder that all recordings asked are in, with the separator at its end; empty if there is none."""
    paths = {str(at(trial, "path") or "") for trial in rows_of(results, "trials")}
    first = os.path.commonprefix([*paths])  # noqa: RUF071 - character by character, and then to a separator of any system
    end = 1 + max(first.rfind("/"), first.rfind("\\"))
    return first[:end] if end > 1 else ""  # a lone separator is no folder to leave out


def hardest(system: Results, clips: Mapping[int, bytes], folder: str) -> dict[str, Any] | None:
    """The hardest recordings; None if the protocol has none that were identified."""
    trials = rows_of(system, "trials")
    numbers = [n for n in rows_of(system, "hardest") if isinstance(n, int) and 0 <= n < len(trials)]
    if not numbers:
        return None
    rows = [_recording(trials[n], clips.get(n), folder) for n in numbers]
    wrong = [trial for trial in trials if at(trial, "right") is False]
    n_known = sum(bool(at(trial, "known")) for trial in wrong)
    return {
        "rows": rows,
        "n_right": sum(row["right"] for row in rows),
        "n_answers": len(trials),
        "n_wrong": len(wrong),
        "n_wrong_known": n_known,
        "n_wrong_strangers": len(wrong) - n_known,
        "names_everybody": not is_number(at(system, "threshold")),
        "with_clips": any(row["clip"] for row in rows),
        "n": len(rows),
    }


def _recording(trial: Results, clip: bytes | None, folder: str) -> dict[str, Any]:
    known = bool(at(trial, "known"))
    score = at(trial, "own_score") if known else at(trial, "score")
    return {
        **_named(trial, folder),
        "speaker": at(trial, "speaker"),
        "kind": "enrolled" if known else "left out" if at(trial, "left_out") else "stranger",
        "status": at(trial, "status") or "",
        "decision": at(trial, "decision"),
        "right": bool(at(trial, "right")),
        "best": whole_rows(trial, "best", ("speaker", "log_likelihood")),
        "own": at(trial, "own_log_likelihood"),
        "rank": at(trial, "rank"),
        "score": score,
        "seconds": at(trial, "speech_seconds"),
        "clip": _clip(clip) if clip else None,
    }


def _named(trial: Results, folder: str) -> dict[str, Any]:
    path = str(at(trial, "path") or "")
    return {"path": path, "short": path.removeprefix(folder) or path, "stretch": _stretch(trial)}


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


def undecided(
    systems: Systems, clips: Mapping[int, bytes], folder: str
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Recordings that the first system could not judge, and those not used for anything else, each once.

    Returns
    -------
    undecided : dict or None
        None if all could be judged.
    problems : list of dict
        Recordings that could not be used in enrolment by one system or more, and what the protocol passed over; none that
        are undecided with the same message, which say it themselves.
    """
    problems = _problems(systems, folder)
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for number, trial in enumerate(rows_of(systems[0], "trials")):
        if at(trial, "status") != "undecided" or at(trial, "left_out"):
            continue
        key = (at(trial, "path"), at(trial, "start"), at(trial, "end"))
        clip, message = clips.get(number), _without_path(trial)
        row = {
            **_named(trial, folder),
            "speaker": at(trial, "speaker"),
            "reason": at(trial, "reason") or "",
            "message": message,
            "unused": (str(at(trial, "path") or ""), message) in problems,
            "clip": _clip(clip) if clip else None,
        }
        found.setdefault(key, row)
    rows = [*found.values()]
    for row in rows:
        problems.pop((row["path"], row["message"]), None)
    counts = at(systems[0], "undecided") or {}
    if not found and not counts:
        return None, [*problems.values()]
    told = {
        "rows": rows[:_MOST_ROWS],
        "n": max(len(rows), sum(n for n in counts.values() if is_number(n))),
        "reasons": sorted((counts or Counter(row["reason"] for row in rows)).items()),
        "with_speakers": any(row["speaker"] is not None for row in rows),
    }
    return told, [*problems.values()]


def _without_path(trial: Results) -> str:
    """The sentence, without the path that stands beside it."""
    message = at(trial, "message") or ""
    return str(message).removeprefix(f"{at(trial, 'path')}: ")


def _problems(systems: Systems, folder: str) -> dict[tuple[str, str], dict[str, Any]]:
    """By path and message."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    passed_over = rows_of(at(systems[0], "protocol"), "passed_over")
    for each in [problem for system in systems for problem in rows_of(system, "problems")] + passed_over:
        row = _named(each, folder) | {"reason": at(each, "reason") or "not read", "message": _without_path(each)}
        found.setdefault((row["path"], row["message"]), row)
    return found
