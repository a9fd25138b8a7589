"""The pictures with all that stands around them: title, what is to be seen, legend, and the numbers they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from speakerid.evaluation.report import pictures
from speakerid.evaluation.report.words import MISSING, at, count, digits_of, is_number, pair, percent

__all__ = ["plates"]

Results = Mapping[str, Any]
Plate = dict[str, Any]
_RANKS = tuple(m * 10**e for e in range(7) for m in (1, 2, 3, 5))


def plates(systems: Sequence[Results], names: Sequence[str]) -> dict[str, list[Plate]]:
    """Pictures of each part of the page, all systems in one where that can be read."""
    return {
        "identification": _only(_cmc(systems), *_by_seconds(systems), _by_size(systems)),
        "strangers": _only(_det_of_strangers(systems), *_histograms(systems, names, "open_set")),
        "verification": _only(_det(systems), _reliability(systems), *_histograms(systems, names, "verification")),
    }


def _only(*found: Plate | None) -> list[Plate]:
    return [plate for plate in found if plate is not None]


def _plate(
    name: str,
    title: str,
    svg: str,
    caption: str,
    *,
    notes: Sequence[str | None] = (),
    head: Sequence[str] = (),
    rows: Sequence[Sequence[Any]] = (),
    legend: str = "systems",
) -> Plate:
    """A picture; `notes` stand beside the systems' names in its legend, one each."""
    caption = caption.replace(" %", "\N{NARROW NO-BREAK SPACE}%")
    return {
        "name": name, "title": title, "svg": svg, "caption": caption, "legend": legend, "notes": notes,
        "head": head, "rows": rows,
    }  # fmt: skip


def _lists(systems: Sequence[Results], *place: str) -> list[list[Any]]:
    found = [at(system, *place) for system in systems]
    return [[*each] if isinstance(each, Sequence) and not isinstance(each, str) else [] for each in found]


def _cmc(systems: Sequence[Results]) -> Plate | None:
    curves = _lists(systems, "cmc")
    longest = max(map(len, curves), default=0)
    if longest < 2:
        return None
    ranks = sorted({rank for rank in _RANKS if rank < longest} | {longest})
    shares = [[_get(curve, rank - 1) for curve in curves] for rank in ranks]
    digits = digits_of(*shares)
    return _plate(
        "cmc",
        "Place of the right speaker",
        pictures.draw_cmc("cmc", "CMC curve: share of recordings whose speaker is among the first so many", curves),
        "Cumulative match characteristic (CMC): how often the right speaker is among the best 1, 2, 3 … suggestions.",
        head=["speakers looked at"],
        rows=[
            [count(rank), *(_cell(percent(each, digits)) for each in row)]
            for rank, row in zip(ranks, shares, strict=True)
        ],
    )


def _get(values: Sequence[Any], place: int) -> Any:
    return values[place] if place < len(values) else None


def _by_seconds(systems: Sequence[Results]) -> list[Plate]:
    return _only(
        _bins(
            systems,
            "by_duration",
            "Accuracy by length of the test",
            "seconds of speech asked, and number of recordings",
            "Accuracy against seconds of speech that were asked, with 95 % intervals.",
        ),
        _bins(
            systems,
            "by_enrolment",
            "Accuracy by length of enrolment",
            "seconds of speech enrolled, and number of recordings",
            "Accuracy against seconds of speech that the speaker was learnt from, with 95 % intervals.",
        ),
    )


def _bins(systems: Sequence[Results], key: str, title: str, x: str, caption: str) -> Plate | None:
    bins = [[b for b in each if is_number(at(b, "low"))] for each in _lists(systems, key)]
    if not any(bins):
        return None
    lows = sorted({b["low"]: b for each in bins for b in each}.items())
    by_low = [{b["low"]: b for b in each} for each in bins]
    digits = _digits(bins)
    rows = [[_range(b), *(_share(each.get(low), digits) for each in by_low)] for low, b in lows]
    svg = pictures.draw_bins(key.replace("_", "-"), caption, bins, x=x)
    return _plate(key.replace("_", "-"), title, svg, caption, head=["seconds"], rows=rows)


def _range(each: Results, unit: str = "") -> str:
    low, high = each["low"], at(each, "high")
    return f"{low:g} to {high:g}{unit}" if is_number(high) else f"{low:g}{unit} or more"


def _cell(value: str, interval: str | None = None) -> dict[str, str | None]:
    return {"value": value, "interval": interval}


def _digits(bins: Sequence[Sequence[Results]]) -> int:
    return digits_of(*((at(b, "share"), at(b, "ci95")) for each in bins for b in each))


def _share(each: Results | None, digits: int) -> dict[str, str | None]:
    if each is None or not is_number(at(each, "share")):
        return _cell(MISSING)
    so_many = f"{count(at(each, 'right'))} of {count(at(each, 'n'))}: {percent(each['share'], digits)}"
    return _cell(so_many, pair(at(each, "ci95"), digits))


def _by_size(systems: Sequence[Results]) -> Plate | None:
    curves = _lists(systems, "by_n_speakers")
    sizes = sorted({at(row, "n") for curve in curves for row in curve if is_number(at(row, "n"))})
    if len(sizes) < 2:
        return None
    by_size = [{at(row, "n"): at(row, "accuracy") for row in curve} for curve in curves]
    digits = digits_of(*([*each.values()] for each in by_size))
    caption = "Accuracy to expect if only so many of these speakers were enrolled, drawn at random."
    return _plate(
        "by-size",
        "Accuracy by number of speakers",
        pictures.draw_by_size("by-size", caption, curves),
        caption,
        head=["speakers enrolled"],
        rows=[[count(n), *(_cell(percent(each.get(n), digits)) for each in by_size)] for n in sizes],
    )


def _det(systems: Sequence[Results]) -> Plate | None:
    first = at(systems[0], "verification")
    return _det_of(
        systems, "verification", "det", "Misses against false alarms",
        "Detection error trade-off (DET) of “is this that speaker?”: each point of a line is a threshold; lower left is"
        " better. The mark is where both errors are equal.",
        n_miss=at(first, "n_targets"), n_false=at(first, "n_nontargets"),
        x="false claims believed, %", y="true claims refused, %",
    )  # fmt: skip


def _det_of_strangers(systems: Sequence[Results]) -> Plate | None:
    return _det_of(
        systems, "open_set", "det-strangers", "Strangers named against speakers turned away",
        "Detection error trade-off (DET) of “is this anybody enrolled?”: each point of a line is a threshold; lower left is"
        " better. The mark is where both errors are equal.",
        n_miss=at(systems[0], "n_known"), n_false=at(systems[0], "n_strangers"),
        x="strangers given a name, %", y="enrolled speakers turned away, %",
    )  # fmt: skip


def _det_of(
    systems: Sequence[Results],
    part: str,
    name: str,
    title: str,
    caption: str,
    *,
    n_miss: Any,
    n_false: Any,
    x: str,
    y: str,
) -> Plate | None:
    parts = [at(system, part) for system in systems]
    if not any(at(each, "det", "false_alarm") and at(each, "det", "miss") for each in parts):
        return None
    eers = [at(each, "eer") for each in parts]
    if eers[0] == 0:
        caption += " There is a threshold without an error, so the line keeps to the edges."
    svg = pictures.draw_det(name, caption, parts, n_miss=n_miss, n_false=n_false, x=x, y=y)
    digits = digits_of(*eers) if len(systems) > 1 else digits_of(eers[0], at(parts[0], "eer_ci95"))
    notes = [f"EER {percent(eer, digits)}" if is_number(eer) else None for eer in eers]
    return _plate(name, title, svg, caption, notes=notes)


def _reliability(systems: Sequence[Results]) -> Plate | None:
    bins = [
        [b for b in each if is_number(at(b, "low"))] for each in _lists(systems, "verification", "reliability", "bins")
    ]
    if not any(bins):
        return None
    errors = [at(system, "verification", "reliability", "expected_calibration_error") for system in systems]
    prior = at(systems[0], "verification", "reliability", "prior")
    caption = (
        "Reliability: of the claims that a score calls true with 80 %, 80 of 100 should be true, on the dotted line."
        " Below the line the scores promise too much."
    )
    if is_number(prior):
        caption += f" Prior: {percent(prior)}, the share of true claims."
    lows = sorted({b["low"]: b for each in bins for b in each}.items())
    by_low = [{b["low"]: b for b in each} for each in bins]
    digits = _digits(bins)
    return _plate(
        "reliability",
        "Do the scores mean what they say?",
        pictures.draw_reliability("reliability", caption, bins),
        caption,
        notes=[f"mean distance {percent(error, digits_of(*errors))}" if is_number(error) else None for error in errors],
        head=["probability said, %"],
        rows=[
            [
                _range({"low": 100 * low, "high": 100 * (at(b, "high") or 1)}),
                *(_share(each.get(low), digits) for each in by_low),
            ]
            for low, b in lows
        ],
    )


def _histograms(systems: Sequence[Results], names: Sequence[str], part: str) -> list[Plate]:
    """One for each system: the scores of several do not share an axis."""
    found = []
    for index, (system, system_name) in enumerate(zip(systems, names, strict=True)):
        histogram = at(system, part, "histogram")
        if not _whole(histogram):
            continue
        name = f"scores-{part.replace('_', '-')}-{index}"
        strangers = part == "open_set"
        groups = ("strangers", "enrolled speakers") if strangers else ("false claims", "true claims")
        caption = (
            f"Scores of {groups[1]} and of {groups[0]}, each as shares of its own group: the less they overlap, the better."
            " The outermost bars hold all that lies beyond."
        )
        svg = pictures.draw_histogram(name, caption, histogram, _thresholds(at(system, part), strangers=strangers))
        title = "Scores of speakers and of strangers" if strangers else "Scores of true and of false claims"
        if len(systems) > 1:
            title += f": {system_name}"
        counts = [sum(histogram[key]) for key in ("nontargets", "targets")]
        plate = _plate(name, title, svg, caption, legend="groups")
        plate["notes"] = [f"{group} ({count(n)})" for group, n in zip(groups, counts, strict=True)]
        found.append(plate)
    return found


def _whole(histogram: Any) -> bool:
    edges, *sides = (at(histogram, key) or () for key in ("edges", "targets", "nontargets"))
    return (
        len(edges) > 1
        and all(map(is_number, edges))
        and all(len(side) == len(edges) - 1 and all(map(is_number, side)) for side in sides)
    )


def _thresholds(values: Any, *, strangers: bool) -> list[tuple[float, str]]:
    wanted = (
        (("threshold", "in use"), ("threshold_at_far_1pct", "1 % of strangers"))
        if strangers
        else (("eer_threshold", "equal errors"),)
    )
    return [(float(at(values, key)), what) for key, what in wanted if is_number(at(values, key))]
