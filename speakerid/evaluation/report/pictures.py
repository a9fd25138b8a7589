"""The pictures of the page: matplotlib draws them, and they become inline SVG that follows the page's colours and font.

They are drawn in colours that stand for something (:data:`COLOURS`), which are then replaced by the page's variables, so
that light and dark are one picture. No text of the data is in a picture: names are in its legend, which is HTML. A length
of 1 is a pixel when a picture is shown at its own size, :data:`WIDTH` wide; it is legible at three quarters of that.
"""

from __future__ import annotations

import html
import io
import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerid.evaluation.report.words import at, is_number
from speakerid.evaluation.roc import probit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DASHES", "MARKS", "N_STYLES", "draw_bins", "draw_by_size", "draw_cmc", "draw_det", "draw_histogram",
           "draw_reliability", "own_settings"]  # fmt: skip

WIDTH, HEIGHT = 420, 300
N_STYLES = 6
DASHES: tuple[tuple[float, ...], ...] = ((), (6, 2), (2, 2), (8, 2, 2, 2), (4, 4), (1, 2))
#: As drawn, and as written in a legend.
MARKS = (("o", "●"), ("s", "■"), ("^", "▲"), ("D", "◆"), ("v", "▼"), ("P", "✚"))

COLOURS = {
    "#010203": "--ink",
    "#020304": "--muted",
    "#030405": "--rule",
    "#040506": "--surface",
    "#050607": "--target",
    "#060708": "--nontarget",
    **{f"#a0b0c{index}": f"--system-{index}" for index in range(N_STYLES)},
}
_OF = {name: placeholder for placeholder, name in COLOURS.items()}
INK, MUTED, RULE, SURFACE = _OF["--ink"], _OF["--muted"], _OF["--rule"], _OF["--surface"]
TARGET, NONTARGET = _OF["--target"], _OF["--nontarget"]

_SMALL, _SIZE = 12.0, 13.0
_RATES = (1e-5, 1e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99)

Results = Mapping[str, Any]


@contextmanager
def own_settings() -> Iterator[None]:
    """Draw as this module says, whatever the user's settings of matplotlib; the same figures give the same bytes."""
    # what it tells about its own caches is not the reader's business
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib.style as styles

    with styles.context(["default", {"svg.hashsalt": "speakerid", "svg.fonttype": "none"}]):
        yield


def draw_det(
    name: str, label: str, systems: Sequence[Results | None], *, n_miss: Any, n_false: Any, x: str, y: str
) -> str:
    """DET curves: miss against false alarms on probit axes, the point of equal errors marked.

    Parameters
    ----------
    name : str
        Unique in the document.
    label : str
        What the picture shows, for those who cannot see it.
    systems : sequence of dict or None
        Each with ``det`` and ``eer``.
    n_miss, n_false : int or None
        Trials of either side: how small a rate can be.
    x, y : str
        What false alarms and misses are here.
    """
    figure, axes = _axes(x, y, bottom=46)
    eers = [e for e in (at(each, "eer") for each in systems) if is_number(e)]
    high = 0.6 if max(eers, default=0) < 0.35 else 0.95
    limits = [(min(max(0.5 / n if n else 1e-3, 1e-5), 0.08), high) for n in (n_false, n_miss)]
    for axis, (low, top) in zip((axes.xaxis, axes.yaxis), limits, strict=True):
        ticks = [r for r in _RATES if low <= r <= top]
        # so many that their labels keep apart
        while len(ticks) > 7:
            ticks = ticks[::-1][::2][::-1]
        axis.set_ticks([*map(_probit, ticks)], [f"{100 * r:g}" for r in ticks])
    (x_low, x_high), (y_low, y_high) = limits
    axes.set_xlim(_probit(x_low), _probit(x_high))
    axes.set_ylim(_probit(y_low), _probit(y_high))
    equal = [_probit(r) for r in np.geomspace(max(x_low, y_low), high, 3)]
    axes.plot([equal[0], equal[-1]], [equal[0], equal[-1]], color=MUTED, lw=1, ls=(0, (1, 3)))
    for index, each in _styled(systems):
        false, miss = _both(at(each, "det", "false_alarm"), at(each, "det", "miss"))
        if not len(false):
            continue
        # a rate of 0 has no place on these axes: the line keeps to the edge; upwards it leaves the picture
        x_values, y_values = (probit(np.clip(v, low, 1 - 1e-9)) for v, low in ((false, x_low), (miss, y_low)))
        axes.plot(x_values, y_values, **_line(index))
        if is_number(eer := at(each, "eer")):
            point = _probit(min(max(eer, x_low), x_high)), _probit(min(max(eer, y_low), y_high))
            axes.plot(*([v] for v in point), **_mark(index, 8), clip_on=False)
    return _svg(figure, name, label)


def draw_cmc(name: str, label: str, systems: Sequence[Sequence[Any] | None]) -> str:
    """Share of tests whose speaker is among the first so many."""
    figure, axes = _axes("speakers looked at, from the best", "recordings with the right one among them, %")
    longest = max((len(each) for each in systems if each), default=1)
    lowest = 1.0
    for index, each in _styled(systems):
        ranks, shares = _both(range(1, len(each or ()) + 1), each)
        if not len(ranks):
            continue
        lowest = min(lowest, float(shares.min()))
        marks = _mark(index, 5) if longest <= 20 else {}
        axes.plot(ranks, 100 * shares, **{**marks, **_line(index)}, clip_on=False)
    _share_axis(axes, lowest)
    _count_axis(axes, longest)
    return _svg(figure, name, label)


def draw_by_size(name: str, label: str, systems: Sequence[Sequence[Results] | None]) -> str:
    """Accuracy against how many speakers are enrolled."""
    figure, axes = _axes("speakers enrolled", "right speaker first, %")
    lowest, largest = 1.0, 1
    for index, each in _styled(systems):
        sizes, shares = _both([at(row, "n") for row in each or ()], [at(row, "accuracy") for row in each or ()])
        if not len(sizes):
            continue
        lowest, largest = min(lowest, float(shares.min())), max(largest, int(sizes.max()))
        axes.plot(sizes, 100 * shares, **{**_mark(index, 5), **_line(index)}, clip_on=False)
    _share_axis(axes, lowest)
    _count_axis(axes, largest)
    return _svg(figure, name, label)


def draw_bins(name: str, label: str, systems: Sequence[Sequence[Results] | None], *, x: str) -> str:
    """Accuracy by bin of seconds, with Wilson's intervals; the numbers under the bins are the first system's tests."""
    figure, axes = _axes(x, "right speaker first, %", bottom=62)
    bins = {at(b, "low"): b for each in reversed(systems) for b in each or () if is_number(at(b, "low"))}
    places = {low: place for place, low in enumerate(sorted(bins))}
    lowest = 1.0
    for index, each in _styled(systems):
        dodge = (index - (len(systems) - 1) / 2) * min(0.2, 0.7 / len(systems))
        rows = [b for b in each or () if at(b, "low") in places and is_number(at(b, "share"))]
        if not rows:
            continue
        middle = np.array([places[b["low"]] for b in rows]) + dodge
        shares = np.array([float(b["share"]) for b in rows])
        axes.plot(middle, 100 * shares, **{**_line(index), "lw": 1.2})
        lowest = min(lowest, *(_intervals(axes, index, middle, shares, [at(b, "ci95") for b in rows])))
    _share_axis(axes, lowest)
    axes.set_xlim(-0.6, len(places) - 0.4)
    axes.set_xticks([*places.values()], [f"{_bin_name(bins[low])}\n{_short(at(bins[low], 'n'))}" for low in places])
    axes.tick_params(axis="x", length=0, labelsize=_SMALL if len(places) <= 7 else 10)
    return _svg(figure, name, label)


def draw_reliability(name: str, label: str, systems: Sequence[Sequence[Results] | None]) -> str:
    """What was said against what was true, and below on how many trials; intervals of the first system."""
    figure, axes = _axes("", "claims that were true, %", bottom=112, height=360)
    axes.plot([0, 100], [0, 100], color=MUTED, lw=1, ls=(0, (1, 3)))
    below = figure.add_axes((52 / WIDTH, 46 / 360, (WIDTH - 70) / WIDTH, 48 / 360))
    _plain(below)
    for index, each in _styled(systems):
        rows = [b for b in each or () if is_number(at(b, "mean")) and is_number(at(b, "share"))]
        if not rows:
            continue
        mean, shares = (np.array([float(b[key]) for b in rows]) for key in ("mean", "share"))
        axes.plot(100 * mean, 100 * shares, **{**_line(index), "lw": 1.2}, clip_on=False)
        intervals = [at(b, "ci95") if index == 0 else None for b in rows]
        _intervals(axes, index, 100 * mean, shares, intervals)
        if index == 0:
            n = np.array([float(at(b, "n") or 0) for b in rows])
            lows = np.array([100 * float(at(b, "low") or 0) for b in rows])
            below.bar(lows + 5, n, width=8.5, color=_colour(0), alpha=0.55, lw=0)
            below.set_yscale("log")
            below.set_ylim(0.7, max(10.0, 1.6 * float(n.max())))
            below.yaxis.set_minor_locator(_no_locator())
            tops = [10**e for e in range(0, 9, 2) if 10**e <= n.max()] or [1]
            below.set_yticks(tops, [*map(_short, tops)])
    for each_axes in (axes, below):
        each_axes.set_xlim(0, 100)
        each_axes.set_xticks([0, 20, 40, 60, 80, 100])
    axes.set_ylim(0, 100)
    axes.tick_params(labelbottom=False)
    below.set_xlabel("probability that the score stands for, %", color=MUTED, fontsize=_SMALL)
    below.text(0, 1.08, "trials", transform=below.transAxes, color=MUTED, fontsize=_SMALL)
    return _svg(figure, name, label)


def draw_histogram(name: str, label: str, histogram: Results, thresholds: Sequence[tuple[float, str]]) -> str:
    """Scores of two groups, each as shares of its own; thresholds as lines with what they are."""
    figure, axes = _axes("score, nats a frame", "share of its group, %")
    edges = np.array(histogram["edges"], dtype=np.float64)
    top = 0.0
    for key, colour in (("nontargets", NONTARGET), ("targets", TARGET)):
        counts = np.array(histogram[key], dtype=np.float64)
        shares = 100 * counts / max(counts.sum(), 1)
        top = max(top, float(shares.max()))
        axes.stairs(shares, edges, fill=True, color=colour, alpha=0.28, lw=0)
        axes.stairs(shares, edges, color=colour, lw=1.6)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, top * (1.06 + 0.12 * len(thresholds)) or 1)
    axes.locator_params(axis="both", nbins=6, steps=[1, 2, 5, 10])
    width = edges[-1] - edges[0]
    for number, (value, what) in enumerate(thresholds):
        if not edges[0] <= value <= edges[-1]:
            continue
        right = value > edges[0] + 0.6 * width
        axes.axvline(value, color=INK, lw=1.2, ls=(0, (4, 2)))
        axes.text(
            value + (-0.015 if right else 0.015) * width, 0.945 - 0.085 * number, what,
            transform=axes.get_xaxis_transform(), ha="right" if right else "left", color=INK, fontsize=_SMALL,
        )  # fmt: skip
    return _svg(figure, name, label)


def _axes(x: str, y: str, *, bottom: float = 46, top: float = 30, height: float = HEIGHT) -> tuple[Figure, Axes]:
    """Axes with their labels; the y axis's is above it, level, where it is easiest to read."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 72, height / 72), facecolor="none")
    left, right = 52, 18
    axes = figure.add_axes(
        (left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH, (height - bottom - top) / height)
    )
    _plain(axes)
    axes.set_xlabel(x, color=MUTED, fontsize=_SMALL, labelpad=5)
    figure.text(8 / WIDTH, 1 - 13 / height, y, color=MUTED, fontsize=_SMALL, va="center")
    return figure, axes


def _plain(axes: Axes) -> None:
    axes.set_facecolor("none")
    axes.grid(color=RULE, lw=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=RULE)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=_SIZE, length=0, pad=5)


def _share_axis(axes: Axes, lowest: float) -> None:
    """Percent from a little below the lowest value to all, at least ten of them."""
    step = 5 if lowest > 0.8 else 10
    low = max(0, min(90, step * math.floor((100 * lowest - 1) / step)))
    axes.set_ylim(low, 100.5 if low >= 50 else 101.5)
    ticks = [t for t in range(0, 101, 20 if low < 40 else 10 if low < 80 else 5 if low < 90 else 2) if t >= low]
    axes.set_yticks(ticks)


def _count_axis(axes: Axes, largest: int) -> None:
    """1 to the largest, in logarithmic steps when there are many."""
    if largest <= 20:
        axes.set_xlim(1 - 0.03 * max(largest - 1, 1), largest + 0.03 * max(largest - 1, 1))
        step = 1 if largest <= 10 else 2
        axes.set_xticks(range(1, largest + 1, step))
        return
    axes.set_xscale("log")
    axes.set_xlim(0.93, largest * 1.07)
    ticks = [m * 10**e for e in range(7) for m in (1, 2, 5) if m * 10**e < largest / 1.4] + [largest]
    while len(ticks) > 9:
        ticks = [1, *ticks[::-1][::2][::-1]] if ticks[::-1][::2][-1] != 1 else ticks[::-1][::2][::-1]
    axes.set_xticks(ticks, [*map(_short, ticks)])
    axes.xaxis.set_minor_locator(_no_locator())


def _no_locator() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _intervals(axes: Axes, index: int, x: Any, shares: Any, intervals: Sequence[Any]) -> list[float]:
    """Marks with intervals where there are some; the lowest ends."""
    ends = [
        (float(each[0]), float(each[1])) if each and all(map(is_number, each)) else (share, share)
        for each, share in zip(intervals, shares, strict=True)
    ]
    low, high = 100 * np.array(ends).T
    axes.vlines(x, low, high, color=_colour(index), lw=1.4, alpha=0.7)
    axes.plot(x, 100 * shares, **_mark(index, 6), ls="none", clip_on=False)
    return [float(end) for end, _ in ends]


def _styled(systems: Sequence[Any]) -> list[tuple[int, Any]]:
    """The first one last, on top of the others."""
    return [*enumerate(systems)][::-1]


def _colour(index: int) -> str:
    return _OF[f"--system-{index % N_STYLES}"]


def _line(index: int) -> dict[str, Any]:
    dashes = DASHES[index % N_STYLES]
    return {"color": _colour(index), "lw": 2.2 if index == 0 else 1.8, "ls": (0, dashes) if dashes else "-"}


def _mark(index: int, size: float) -> dict[str, Any]:
    return {"marker": MARKS[index % N_STYLES][0], "color": _colour(index), "ms": size, "mec": SURFACE, "mew": 1}


def _both(x: Any, y: Any) -> tuple[Any, Any]:
    """Arrays of what both have."""
    points = [(a, b) for a, b in zip(x or (), y or (), strict=False) if is_number(a) and is_number(b)]
    xs, ys = np.array(points, dtype=np.float64).reshape(-1, 2).T
    return xs, ys


def _probit(value: float) -> float:
    return float(probit(np.array([value]))[0])


def _bin_name(each: Results) -> str:
    low, high = each["low"], at(each, "high")
    return f"{low:g}–{high:g}" if is_number(high) else f"{low:g}+"


def _short(value: Any) -> str:
    if not is_number(value):
        return ""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= 10 * size or (value >= size and value % size == 0):
            return f"{value / size:.3g}{letter}"
    return f"{value:g}"


def _svg(figure: Figure, name: str, label: str) -> str:
    """The picture as it stands in the page: without prologue, with the page's colours and font, and ids of its own."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = file.getvalue()
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*</defs>", "", body).replace("xlink:href=", "href=")
    body = re.sub(r"font(-family)?: ?((?:[\d.]+px )?)[^;\"]*", _own_font, body)
    body = re.sub(r' transform="rotate\(-0 [^"]*"', "", body)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', body))
    body = re.sub(r' id="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", body)
    for placeholder, variable in COLOURS.items():
        body = body.replace(placeholder, f"var({variable})")
    body = re.sub(r"\s*\n\s*", "\n", body).strip()
    return f'<svg class="drawn" role="img" aria-label="{html.escape(label)}" {box[0]}>\n{body}\n</svg>'


def _own_font(match: re.Match[str]) -> str:
    return f"font-size: {match[2].strip()}" if match[2] else "font-family: inherit"
