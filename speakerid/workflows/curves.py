"""The curves of a tuning, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speakerid.errors import UsageError
from speakerid.workflows.tune import TuneRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PICTURES", "draw_curves"]

PICTURES = (".png", ".svg", ".pdf")


def draw_curves(rows: Sequence[TuneRow], chosen: TuneRow, path: str | Path, *, test_seconds: float) -> None:
    """Draw criteria, log-likelihoods and accuracy over the number of components, and mark what was chosen.

    Raises
    ------
    UsageError
        The file's name does not say which kind of picture it is.
    OSError
        It cannot be written.
    """
    if Path(path).suffix.lower() not in PICTURES:
        raise UsageError(f"{path}: a picture is a {', '.join(PICTURES)} file")
    import logging

    # what it tells about its own caches is not the user's business
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # the same rows give the same bytes
    with mpl.rc_context({"svg.hashsalt": "speakerid", "svg.fonttype": "none"}):
        groups = _groups(rows)
        figure = Figure(figsize=(12, 4.4 + 0.2 * len(groups)), layout="constrained")
        criteria, likelihood, accuracy = figure.subplots(1, 3)
        for number, (label, fixed, auto) in enumerate(groups):
            colour = f"C{number}"
            prefix = f"{label}: " if label else ""
            sizes = [r.components for r in fixed]
            frames = "o-" if len(fixed) > 1 else "o"
            criteria.plot(sizes, [r.bic for r in fixed], frames, color=colour, label=f"{prefix}BIC; held out; accuracy")
            criteria.plot(
                sizes, [r.aic for r in fixed], "s--", color=colour, mfc="white", label=f"{prefix}AIC; trained on"
            )
            held, errors = [r.held_out for r in fixed], [r.held_out_error for r in fixed]
            likelihood.errorbar(sizes, held, errors, fmt=frames, color=colour, capsize=3)
            trained = [r.log_likelihood for r in fixed]
            likelihood.plot(sizes, trained, "s--", color=colour, mfc="white")
            share, spread = [100 * r.accuracy for r in fixed], [100 * r.accuracy_error for r in fixed]
            accuracy.errorbar(sizes, share, spread, fmt=frames, color=colour, capsize=3)
            for row in auto:
                star: dict[str, Any] = {"marker": "*", "color": colour, "ms": 12, "mec": "black"}
                criteria.plot([row.components], [row.bic], **star)
                likelihood.plot([row.components], [row.held_out], **star)
                star["label"] = f"{prefix}K by BIC for each speaker, at the mean K"
                accuracy.plot([row.components], [100 * row.accuracy], **star)
        for axes, title, unit in (
            (criteria, "BIC and AIC (smallest is best)", "summed over the speakers"),
            (likelihood, "Log-likelihood, trained on and held out", "nats a frame"),
            (accuracy, f"Held-out windows of {test_seconds:g} s identified", "%"),
        ):
            _finish(axes, title, unit)
        accuracy.set_ylim(top=min(accuracy.get_ylim()[1], 101))
        ring = {"marker": "o", "ms": 16, "mfc": "none", "mec": "0.4", "linestyle": "none"}
        criteria.plot([chosen.components], [chosen.bic], **ring)
        likelihood.plot([chosen.components], [chosen.held_out], **ring)
        accuracy.plot([chosen.components], [100 * chosen.accuracy], **ring, label="chosen")
        figure.legend(loc="outside lower center", ncols=2, fontsize="small")
        kind = Path(path).suffix.lower()[1:]
        figure.savefig(path, metadata={"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind))


def _groups(rows: Sequence[TuneRow]) -> list[tuple[str, list[TuneRow], list[TuneRow]]]:
    """Rows by the settings that were varied: label, those with one K for all in order of K, those with K by BIC."""
    result = []
    for label in dict.fromkeys(r.candidate.label for r in rows):
        group = [r for r in rows if r.candidate.label == label]
        fixed = sorted((r for r in group if r.candidate.components != "auto"), key=lambda r: r.components)
        result.append((label, fixed, [r for r in group if r.candidate.components == "auto"]))
    return result


def _finish(axes: Axes, title: str, unit: str) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(_plain)
    axes.set(title=title, xlabel="components K", ylabel=unit)
    axes.grid(alpha=0.3)


def _plain(value: float, _position: Any) -> str:
    return f"{value:g}"
