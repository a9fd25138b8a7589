"""What the page says: results → plain values for the template.

Every part is None or empty where the results have nothing for it; the template says why, or leaves it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from speakerid.evaluation.report import recordings, tables
from speakerid.evaluation.report.headlines import comparison, headlines, verdict
from speakerid.evaluation.report.pictures import DASHES, MARKS, N_STYLES, own_settings
from speakerid.evaluation.report.plates import plates
from speakerid.evaluation.report.words import at, count, is_number, rows_of, visible

__all__ = ["contents"]

Results = Mapping[str, Any]


def contents(results: Results, clips: Mapping[int, bytes]) -> dict[str, Any]:
    """Values for the template, by name."""
    others = [each for each in rows_of(results, "other_systems") if isinstance(each, Mapping)]
    systems = [results, *others]
    names = [_name(system, number) for number, system in enumerate(systems)]
    folder = recordings.common_folder(results)
    undecided, problems = recordings.undecided(systems, clips, folder)
    hardest = recordings.hardest(results, clips, folder)
    rows = [row for part in (hardest, undecided) if part for row in part["rows"]] + problems
    shortened = any(row["short"] != row["path"] for row in rows)
    with own_settings():
        drawn = plates(systems, names)
    return {
        "title": at(results, "protocol", "name") or "speakerid",
        "names": names,
        "styles": [_style(index) for index in range(len(systems))],
        "facts": _facts(results),
        "protocol": _protocol(results, folder if shortened else None),
        "listed": _listed(results),
        "scores": tables.scores(systems, names),
        "created": at(results, "created"),
        "command": at(results, "command"),
        "verdict": verdict(results),
        "headlines": headlines(results),
        "comparison": comparison(systems, rows_of(results, "differences")) if others else None,
        "plates": drawn,
        "absent": _absent(results),
        "confusions": [tables.confusion(system) for system in systems],
        "speakers": [tables.speakers(system) for system in systems],
        "strangers_named": [tables.strangers(system) for system in systems],
        "hardest": hardest,
        "undecided": undecided,
        "problems": problems,
        "settings": tables.settings(systems),
        "timings": tables.timings(systems),
        "versions": [*(at(results, "versions") or {}).items()],
        "replicates": at(results, "intervals", "replicates"),
        "undefined": [*(at(results, "intervals", "undefined") or {}).items()],
    }


def _name(system: Results, number: int) -> str:
    return visible(at(system, "system") or f"system {number + 1}")


def _style(index: int) -> dict[str, Any]:
    """How a system's line looks in a legend."""
    return {
        "colour": f"var(--system-{index % N_STYLES})",
        "dashes": " ".join(f"{2 * d:g}" for d in DASHES[index % N_STYLES]) or None,
        "mark": MARKS[index % N_STYLES][1],
    }


def _listed(results: Results) -> bool:
    return bool(at(results, "protocol", "kind") == "verification")


def _facts(results: Results) -> list[tuple[str, str]]:
    """Sizes of the protocol: label and value; zero is said of what a reader looks for."""
    listed = _listed(results)
    n_undecided = sum(n for n in (at(results, "undecided") or {}).values() if is_number(n))
    facts: Sequence[tuple[str, Any]] = (
        ("models" if listed else "speakers enrolled", at(results, "n_speakers")),
        ("recordings enrolled", at(results, "protocol", "enrolled_recordings")),
        ("recordings tested", at(results, "n_tests")),
        ("of enrolled speakers", None if listed else at(results, "n_known")),
        ("of strangers", None if listed else at(results, "n_strangers")),
        ("trials listed", len(rows_of(results, "trials")) if listed else None),
        ("rounds", n if is_number(n := at(results, "protocol", "rounds")) and n > 1 else None),
        ("undecided", n_undecided),
    )
    return [(label, count(value)) for label, value in facts if is_number(value)]


def _protocol(results: Results, folder: str | None) -> dict[str, Any]:
    protocol = at(results, "protocol") or {}
    how = str(at(protocol, "how") or "")
    return {
        "how": how[:1].upper() + how[1:],
        "source": at(protocol, "source"),
        "digest": at(protocol, "digest"),
        "folder": folder,
        "leave_one_out": bool(at(protocol, "leave_one_out")),
        "notes": rows_of(protocol, "notes"),
    }


def _absent(results: Results) -> dict[str, str | None]:
    """Why a part is missing, in a sentence; None if it is there."""
    listed = _listed(results)
    identification = strangers = verification = None
    if at(results, "top1") is None:
        identification = (
            "The protocol is a list of trials, each asking whether a recording is of the speaker of one model. Nobody was"
            " named, so there is no top-1 accuracy, no CMC curve and no confusion matrix."
            if listed
            else "No recording of an enrolled speaker was tested, so there is no accuracy to report."
        )
    if at(results, "open_set") is None and not listed:
        strangers = (
            "No stranger was tested: every recording is of an enrolled speaker. How well the system tells that somebody is"
            " not enrolled was not measured."
            if not at(results, "n_strangers")
            else "How well the system tells strangers from enrolled speakers needs recordings of both."
        )
    if at(results, "verification") is None:
        verification = (
            "Verification needs trials of the right speaker and of wrong ones, and one of them is missing, so there is no"
            " equal error rate, detection cost or Cllr."
        )
    return {"identification": identification, "strangers": strangers, "verification": verification}
