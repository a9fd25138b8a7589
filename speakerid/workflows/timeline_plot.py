"""A picture of a timeline: the recording, a lane for each voice, and the curves that the lanes come from.

Colours are Okabe and Ito's (2008), which colour-blind people tell apart, but they are never all: every lane has its name,
the lanes beyond the sixth are hatched, and curves have the dashes of :mod:`speakerid.evaluation.report.pictures`.

The same timeline gives the same bytes with the same matplotlib and fonts.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from numpy.typing import NDArray

from speakerid.audio.paths import shown
from speakerid.evaluation.report.pictures import DASHES, own_settings
from speakerid.workflows.outputs import check_output, whole_file
from speakerid.workflows.timeline import Segment, Timeline
from speakerid.workflows.timeline_audio import AudioSummary
from speakerid.workflows.timeline_formats import lanes, recording_name
from speakerid.workflows.timeline_words import clock, spoken, tick_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PLOT_ENDINGS", "plot_timeline"]

PLOT_ENDINGS = (".png", ".svg")

INK, MUTED, RULE, WAVE = "#1b2127", "#55606b", "#dde2e6", "#7a8894"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")
_OF_STATUS = {"unknown": ("#c6cdd3", "///", MUTED), "undecided": ("#e9edf0", "....", MUTED)}

# inches
_WIDTH, _LEFT, _RIGHT = 12.0, 2.1, 1.15
_AUDIO, _LANE, _CURVES, _ROW, _GAP, _TOP, _BOTTOM = 1.15, 0.3, 1.7, 0.26, 0.16, 0.62, 0.55
_DPI = 120
_TOGETHER = 5  # more curves than this have rows of their own
_LONGEST_NAME = 40
_POINTS = 1500
_DYNAMIC_DB = 70.0
# for names that DejaVu Sans has no letters for, where one of them is installed
_MORE_FONTS = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic", "Noto Sans Devanagari",
    "Arial Unicode MS",
)  # fmt: skip


def plot_timeline(
    timeline: Timeline,
    path: str | os.PathLike[str],
    *,
    audio: AudioSummary | None = None,
    background: Literal["waveform", "spectrogram"] = "waveform",
    title: str | None = None,
) -> None:
    """Draw a timeline into a file.

    Parameters
    ----------
    timeline : Timeline
        With `windows`, the log-likelihood ratios of the speakers who appear are drawn too.
    path : path-like
        Ends in ``.png`` or ``.svg``.
    audio : AudioSummary, optional
        Of the same recording; without it the picture begins with the lanes. The time axis is the file's, of which a stretch
        begins where `audio` says.
    background : {"waveform", "spectrogram"}
        What is drawn of `audio`; a spectrogram must be in it.
    title : str, optional
        The recording's name if None.

    Raises
    ------
    UsageError
        The path cannot be written or ends otherwise.
    ValueError
        A spectrogram is wanted and `audio` has none.
    OSError
        The file cannot be written.
    """
    name = os.fspath(path)
    check_output(name, PLOT_ENDINGS)
    kind = "svg" if name.lower().endswith(".svg") else "png"
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type") if kind == "svg" else ("Software",))
    data = io.BytesIO()
    with own_settings(), warnings.catch_warnings():
        # a letter that no font has is drawn as a box; an SVG's viewer may know it
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure = _draw(timeline, audio, background, title)
        figure.savefig(data, format=kind, dpi=_DPI, metadata=metadata)
    with whole_file(name) as file:
        cast("io.TextIOWrapper", file).buffer.write(data.getvalue())


def _draw(timeline: Timeline, audio: AudioSummary | None, background: str, title: str | None) -> Figure:
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    if background == "spectrogram" and audio is not None and audio.spectrogram is None:
        raise ValueError("the summary has no spectrogram; make it with spectrogram=True")
    rows = lanes(timeline)
    if not all(label.isascii() for label, _status, _segments in rows) or not timeline.path.isascii():
        rcParams["font.family"] = ["DejaVu Sans", *_MORE_FONTS]
    named = [label for label, status, _segments in rows if status == "identified" and label in timeline.speakers]
    curves = timeline.windows if named else None
    row_by_row = len(named) > _TOGETHER
    heights = [_AUDIO] if audio is not None else []
    heights += [_LANE * max(len(rows), 1) + 0.12]
    if curves is not None:
        heights += [_ROW * len(named) if row_by_row else _CURVES]
    total = _TOP + sum(heights) + _GAP * (len(heights) - 1) + _BOTTOM
    figure = Figure(figsize=(_WIDTH, total), facecolor="#ffffff")
    panels, top = [], total - _TOP
    for height in heights:
        box = (_LEFT / _WIDTH, (top - height) / total, (_WIDTH - _LEFT - _RIGHT) / _WIDTH, height / total)
        panels.append(figure.add_axes(box))
        top -= height + _GAP
    begin = audio.begins_at if audio is not None else 0.0
    end = _end(timeline, audio, begin)
    for axes in panels:
        _plain(axes, begin, end)
    rest = list(panels)
    if audio is not None:
        _draw_audio(rest.pop(0), audio, background)
    _draw_lanes(rest.pop(0), rows, timeline, end - begin)
    if curves is not None:
        columns = [timeline.speakers.index(name) for name in named]
        x, y = _thinned(curves.centres, curves.ratios[:, columns])
        (_draw_rows if row_by_row else _draw_together)(rest.pop(0), x, y, named)
    _time_axis(panels, begin, end)
    _head(figure, timeline, title, total)
    return figure


def _end(timeline: Timeline, audio: AudioSummary | None, begin: float) -> float:
    """Where the time axis ends, seconds; after its beginning."""
    lengths = (timeline.duration_seconds or 0.0, audio.duration_seconds if audio else 0.0)
    end = max(begin + max(lengths), *(each.end for each in timeline.segments[-1:]), begin)
    return end if end > begin else begin + 1.0


def _plain(axes: Axes, begin: float, end: float) -> None:
    axes.set_xlim(begin, end)
    axes.tick_params(length=0, labelsize=9, colors=MUTED)
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis="x", color=RULE, lw=0.8)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_color(RULE)


def _draw_audio(axes: Axes, audio: AudioSummary, background: str) -> None:
    if background == "spectrogram" and audio.spectrogram is not None:
        loudest = float(audio.spectrogram.max())
        begin, limits = audio.begins_at, axes.get_xlim()
        end = begin + audio.spectrogram.shape[1] * audio.spectrum_seconds
        axes.imshow(
            audio.spectrogram, origin="lower", aspect="auto", interpolation="nearest", cmap="magma",
            vmin=loudest - _DYNAMIC_DB, vmax=loudest, extent=(begin, end, 0, audio.highest_hz / 1000), zorder=1,
        )  # fmt: skip
        axes.set_ylim(0, audio.highest_hz / 1000)
        axes.set_xlim(limits)
        axes.grid(visible=False)
        axes.set_ylabel("kHz", color=MUTED, fontsize=9)
        return
    x = audio.begins_at + (np.arange(len(audio.envelope)) + 0.5) * audio.column_seconds
    axes.fill_between(x, audio.envelope[:, 0], audio.envelope[:, 1], color=WAVE, lw=0.4)
    peak = float(np.abs(audio.envelope).max(initial=0.0))
    axes.set_ylim(*(1.05 * max(peak, 0.01) * np.array([-1, 1])))
    axes.set_yticks([])


def _draw_lanes(
    axes: Axes, rows: Sequence[tuple[str, str, Sequence[Segment]]], timeline: Timeline, length: float
) -> None:
    axes.set_ylim(max(len(rows), 1) - 0.3, -0.7)
    axes.set_yticks([])
    if not rows:
        text = shown(timeline.message or "Nobody speaks.")
        axes.text(
            0.5, 0.5, text if len(text) < 110 else f"{text[:109]}…", transform=axes.transAxes, ha="center", va="center",
            color=MUTED, fontsize=10, style="italic", parse_math=False,
        )  # fmt: skip
    for number, (label, status, segments) in enumerate(rows):
        # a short segment of a long recording must be seen
        spans = [(each.start, max(each.seconds, length / _POINTS)) for each in segments]
        facecolor, hatch, edgecolor = _bar(number, status)
        axes.broken_barh(spans, (number - 0.34, 0.68), lw=0, facecolor=facecolor)
        # of a short one the hatch would leave nothing
        wide = [span for span in spans if span[1] > 8 * length / _POINTS]
        if wide and hatch:
            bar = (number - 0.34, 0.68)
            axes.broken_barh(wide, bar, lw=0, facecolor="none", hatch=hatch, edgecolor=edgecolor)
        _beside(axes, -0.008, number, _cut(label, _LEFT - 0.25), status, "right", INK)
        told = spoken(sum(each.seconds for each in segments))
        _beside(axes, 1.008, number, told, "identified", "left", MUTED)
        if number:
            axes.axhline(number - 0.5, color=RULE, lw=0.6)


def _bar(number: int, status: str) -> tuple[str, str, str]:
    """Colour, hatch and the hatch's colour."""
    if status in _OF_STATUS:
        return _OF_STATUS[status]
    return COLOURS[number % len(COLOURS)], HATCHES[number // len(COLOURS) % len(HATCHES)], "#ffffff"


def _beside(axes: Axes, x: float, y: float, text: str, status: str, side: str, colour: str) -> None:
    axes.text(
        x, y, text, transform=axes.get_yaxis_transform(), ha=side, va="center", color=colour, fontsize=9.5,
        style="normal" if status == "identified" else "italic", parse_math=False, clip_on=False,
    )  # fmt: skip


def _cut(label: str, width: float, size: float = 9.5) -> str:
    """Text that is at most so many inches wide."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size)
    text = shown(label)[:_LONGEST_NAME]
    cut = text != shown(label)
    while text:
        told = f"{text}…" if cut else text
        if text_to_path.get_text_width_height_descent(told, font, ismath=False)[0] <= 72 * width:
            return told
        text, cut = text[:-1], True
    return "…"


def _thinned(x: NDArray[np.float64], y: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of so many windows that a line of them can be drawn; nan where none of them has speech."""
    each = -(-len(x) // _POINTS) or 1
    missing = -len(x) % each
    x = np.pad(x, (0, missing), constant_values=np.nan).reshape(-1, each)
    values = np.pad(y.astype(np.float64), ((0, missing), (0, 0)), constant_values=np.nan).reshape(len(x), each, -1)
    counts = np.isfinite(values).sum(axis=1)
    sums = np.where(np.isfinite(values), values, 0.0).sum(axis=1)
    return np.nanmean(x, axis=1), np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _limits(y: NDArray[np.float64]) -> tuple[float, float]:
    """Of the curves, with the zero line; what is rarely reached is cut off."""
    finite = y[np.isfinite(y)]
    if not len(finite):
        return -1.0, 1.0
    low, high = np.quantile(finite, (0.005, 0.995))
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    margin = 0.08 * (high - low) or 1.0
    return low - margin, high + margin


def _draw_together(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], named: Sequence[str]) -> None:
    axes.axhline(0, color=INK, lw=0.9)
    for number in range(len(named)):
        dashes = DASHES[number % len(DASHES)]
        axes.plot(x, y[:, number], color=COLOURS[number % len(COLOURS)], lw=1.4, ls=(0, dashes) if dashes else "-")
    axes.set_ylim(*_limits(y))
    axes.set_ylabel("LLR, nats a frame", color=MUTED, fontsize=9)
    # lines of their own colour and dashes stand at the end for those who cannot tell colours
    for number, name in enumerate(named):
        dashes = DASHES[number % len(DASHES)]
        place = 1 - (number + 0.5) / max(len(named), _TOGETHER)
        axes.plot(
            [1.006, 1.042], [place, place], transform=axes.transAxes, color=COLOURS[number % len(COLOURS)], lw=1.8,
            ls=(0, dashes) if dashes else "-", clip_on=False,
        )  # fmt: skip
        axes.text(
            1.048, place, _cut(name, _RIGHT - 0.5, 8.5), transform=axes.transAxes, va="center", fontsize=8.5,
            color=MUTED, parse_math=False,
        )  # fmt: skip


def _draw_rows(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], named: Sequence[str]) -> None:
    """Each curve on a line of its own, filled above zero in its colour and below in grey."""
    low, high = _limits(y)
    axes.set_ylim(len(named), 0)
    axes.set_yticks([])
    height = 0.92 / (high - low)
    for number, name in enumerate(named):
        zero = number + 0.96 + low * height
        curve = np.clip(y[:, number], low, high)
        above, below = (zero - height * part for part in (np.maximum(curve, 0), np.minimum(curve, 0)))
        axes.fill_between(x, zero, below, color="#c6cdd3", lw=0)
        axes.fill_between(x, zero, above, color=COLOURS[number % len(COLOURS)], lw=0)
        axes.axhline(zero, color=MUTED, lw=0.6)
        _beside(axes, -0.008, number + 0.5, _cut(name, _LEFT - 0.25), "identified", "right", INK)
    told = f"LLR from\n{low:.1f} to {high:.1f}\nnats a frame".replace("-", "−")
    axes.text(1.008, 0.0, told, transform=axes.transAxes, va="bottom", fontsize=8.5, color=MUTED)


def _time_axis(panels: Sequence[Axes], begin: float, end: float) -> None:
    step = tick_step(end - begin, 12)
    ticks = step * np.arange(np.ceil(begin / step - 1e-6), np.floor(end / step + 1e-6) + 1)
    for axes in panels:
        axes.set_xticks(ticks)
        axes.tick_params(axis="x", labelbottom=False)
    last = panels[-1]
    last.tick_params(axis="x", labelbottom=True)
    last.set_xticklabels([clock(float(tick), end, step) for tick in ticks])
    last.set_xlabel("h:mm:ss" if end >= 3600 else "m:ss" if end >= 60 else "seconds", color=MUTED, fontsize=9)


def _head(figure: Figure, timeline: Timeline, title: str | None, total: float) -> None:
    text = shown(title if title is not None else recording_name(timeline))
    figure.text(
        _LEFT / _WIDTH, 1 - 0.2 / total, text if len(text) <= 90 else f"{text[:89]}…", fontsize=13, color=INK, va="top",
        weight="bold", parse_math=False,
    )  # fmt: skip
    if timeline.duration_seconds is not None and timeline.speech_seconds is not None:
        told = f"{spoken(timeline.duration_seconds)}, of which {spoken(timeline.speech_seconds)} speech"
        figure.text(1 - 0.1 / _WIDTH, 1 - 0.24 / total, told, fontsize=9.5, color=MUTED, va="top", ha="right")
