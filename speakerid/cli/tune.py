"""``speakerid tune``."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from speakerid.cli.options import channel_option, common_options, format_option, parse_components, read_config
from speakerid.cli.output import (
    Progress,
    complain,
    note,
    note_ignored,
    note_left_alone,
    print_csv,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from speakerid.config import Config, FrontEndConfig
    from speakerid.workflows.material import Material
    from speakerid.workflows.tune import Candidate, TuneRow

__all__ = ["tune"]

_COMPONENTS = "1,2,4,8,16,32,64,auto"
_CRITERIA = ("accuracy", "held-out", "bic", "aic")


def _components(_context: click.Context, _parameter: click.Parameter, text: str) -> list[int | str]:
    return list(dict.fromkeys(parse_components(part) for part in text.split(",")))


def _tried(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, list[str]]:
    varied: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        listed = [value.strip() for value in values.split(",") if value.strip()]
        if not equals or not name.strip() or not listed:
            raise click.BadParameter(f"{text!r}: expected SETTING=VALUE,VALUE,...")
        varied.setdefault(name.strip(), []).extend(listed)
    return {name: list(dict.fromkeys(values)) for name, values in varied.items()}


def _finite(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter("expected a number of seconds")
    return value


@click.command(
    short_help="Choose the number of components.",
    epilog="\b\nExample:  speakerid tune voices/ --output tuned.toml --plot curves.svg\n"
    "          speakerid enroll voices/ --config tuned.toml",
)
@click.argument("data", nargs=-1, type=click.Path())
@click.option("--components", "sizes", default=_COMPONENTS, show_default=True, callback=_components, metavar="K,K,...",
              help="What to try; auto chooses K for each speaker by BIC.")  # fmt: skip
@click.option("--try", "varied", multiple=True, callback=_tried, metavar="SETTING=VALUE,...",
              help="Try other settings as well, in every combination: --try covariance=diagonal,full.")  # fmt: skip
@click.option("--choose", "criterion", type=click.Choice(_CRITERIA), default="accuracy", show_default=True,
              help="What decides.")  # fmt: skip
@click.option("--per-speaker", is_flag=True, help="Tell as well which K each criterion would choose for each speaker.")
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Of the cross-validation.")
@click.option("--test-seconds", type=click.FloatRange(min=0.1, max=3600), default=2.0, callback=_finite, show_default=True,
              help="Held-out recordings are asked in windows of so much speech.")  # fmt: skip
@click.option("--output", "-o", type=click.Path(), default="tuned.toml", show_default=True, metavar="FILE.toml",
              help="The config file to write.")  # fmt: skip
@click.option("--plot", type=click.Path(), metavar="FILE.png|svg|pdf", help="Draw the curves.")
@click.option("--force", is_flag=True, help="Write over files that exist.")
@channel_option
@format_option("table", "json", "csv")
@common_options
def tune(
    data: tuple[str, ...],
    sizes: list[int | str],
    varied: dict[str, list[str]],
    criterion: str,
    per_speaker: bool,
    folds: int,
    test_seconds: float,
    output: str,
    plot: str | None,
    force: bool,
    channel: int | None,
    layout: str,
    db: str,
    config_path: str | None,
    jobs: int,
    quiet: bool,
) -> int:
    """Choose the number of components, K, by the recordings in DATA, and write a config for enroll --config.

    DATA is a folder with one sub-folder a speaker, or a manifest CSV; left out, the recordings that are enrolled in the
    store. Each K is judged by BIC and AIC, by the log-likelihood of held-out recordings and by how many windows of them are
    identified.
    """
    from speakerid.workflows.curves import PICTURES, draw_curves
    from speakerid.workflows.tune import best_row, candidates, compare, too_large

    files = _outputs(output, plot, force=force, suffixes=PICTURES)
    if channel is not None and not data:
        raise click.UsageError("--channel is for recordings; the store keeps none: give DATA")
    tried = candidates(_base(config_path, db, stored=not data), sizes, varied)
    if criterion != "accuracy" and len({candidate.config.front_end for candidate in tried}) > 1:
        raise click.UsageError(f"--choose {criterion} cannot compare front ends, whose features are other quantities")
    materials = _materials(data, tried, db=db, folds=folds, channel=channel, jobs=jobs, quiet=quiet)
    if not next(iter(materials.values())).pieces:
        complain("no recording can be used: there is nothing to tune with")
        return 3
    left_out = too_large(tried, materials)
    if left_out:
        numbers = ", ".join(str(k) for k in dict.fromkeys(c.components for c in left_out))
        note(f"no speaker has enough speech for {numbers} components: left out", quiet=quiet)
    tried = [candidate for candidate in tried if candidate not in left_out]
    if not tried:
        raise click.UsageError("nothing is left to try: give smaller numbers of --components")
    with Progress(len(tried), "tuning", quiet=quiet) as progress:
        rows = compare(tried, materials, test_seconds=test_seconds, jobs=jobs, progress=progress)
    chosen, why = best_row(rows, criterion)
    # before anything is printed: the reader of a pipe may go away
    _write_config(files[0], chosen.candidate.config, why)
    if plot:
        draw_curves(rows, chosen, files[-1], test_seconds=test_seconds)
    _print(rows, chosen, layout, per_speaker=per_speaker)
    _explain(rows, chosen, why, test_seconds=test_seconds, quiet=quiet)
    written = " and ".join(map(str, [output, *([plot] if plot else [])]))
    # a store keeps its settings: with new ones everybody is enrolled into a new one
    elsewhere = " --db NEW.db" if Path(db).exists() else ""
    source = shlex.join(data) if data else "FOLDER"
    note(f"{written} written; now: speakerid enroll {source} --config {output}{elsewhere}", quiet=quiet)
    return 3 if any(material.problems for material in materials.values()) else 0


def _outputs(output: str, plot: str | None, *, force: bool, suffixes: Sequence[str]) -> list[Path]:
    """The files to write, links followed; what cannot be written is refused before the work, not after it."""
    if plot is not None and Path(plot).suffix.lower() not in suffixes:
        raise click.UsageError(f"{plot}: a picture is a {', '.join(suffixes)} file")
    files = []
    for name in [output, *([] if plot is None else [plot])]:
        if name in ("", "-"):
            raise click.UsageError(f"{name!r} is no name of a file: give one")
        file = Path(name).resolve()
        if file.exists() and not file.is_file():
            raise click.UsageError(f"{name} is not a file: give another name")
        if file.exists() and not force:
            raise click.UsageError(f"{name} exists: give --force to write over it, or another name")
        if not file.parent.is_dir():
            raise click.UsageError(f"{name}: there is no such folder")
        if not os.access(file if file.exists() else file.parent, os.W_OK):
            raise click.UsageError(f"{name}: it cannot be written there")
        if file in files:
            raise click.UsageError(f"{name}: the config and the picture cannot be the same file")
        files.append(file)
    return files


def _base(config_path: str | None, db: str, *, stored: bool) -> Config:
    from speakerid.config import Config
    from speakerid.store import Store

    config = read_config(config_path)
    if not stored:
        return config or Config()
    if not Path(db).exists():
        raise click.UsageError(f"give DATA, a folder of speaker folders; there is no store at {db} to tune with")
    with Store(db) as store:
        if config is not None:
            # the training may differ: that is what is tried
            store.require(config.front_end, store.training, whose=str(config_path))
        return config or Config(front_end=store.front_end, training=store.training)


def _materials(
    data: tuple[str, ...],
    tried: Sequence[Candidate],
    *,
    db: str,
    folds: int,
    channel: int | None,
    jobs: int,
    quiet: bool,
) -> dict[FrontEndConfig, Material]:
    """Features for every front end that is to be tried."""
    from speakerid.workflows.enroll import Problem
    from speakerid.workflows.gather import gather_for_enrollment
    from speakerid.workflows.material import material_from_recordings, material_from_store

    configs = {candidate.config.front_end: candidate.config for candidate in tried}
    if not data:
        material = material_from_store(db, folds=folds)
        if set(configs) != {material.front_end}:
            raise click.UsageError("a store keeps features, not audio: to try other front ends give DATA")
        _tell(material, folds, quiet=quiet)
        return {material.front_end: material}
    gathered = gather_for_enrollment(data)
    note_ignored(len(gathered.ignored), quiet=quiet)
    note_left_alone(gathered.left_alone, "test", quiet=quiet)
    materials = {}
    for front_end, config in configs.items():
        with Progress(len(gathered.recordings), "analysing", quiet=quiet) as progress:
            materials[front_end] = material_from_recordings(
                gathered.recordings, config, folds=folds, channel=channel, jobs=jobs, progress=progress
            )
    first = next(iter(materials.values()))
    first.problems[:0] = [Problem(path, "unreadable", message) for path, message in gathered.problems]
    # other front ends find the same trouble: it is told once
    for message in dict.fromkeys(p.message for material in materials.values() for p in material.problems):
        complain(message)
    _tell(first, folds, quiet=quiet)
    return materials


def _tell(material: Material, folds: int, *, quiet: bool) -> None:
    if material.duplicates:
        have = "1 recording has" if material.duplicates == 1 else f"{material.duplicates} recordings have"
        note(f"{have} the same audio as another one: counted once", quiet=quiet)
    if material.cut:
        note(f"{_who(material.cut)}: one recording only, held out in {folds} stretches of it", quiet=quiet)
    if material.not_asked:
        note(f"{_who(material.not_asked)}: one session only, nothing can be held out", quiet=quiet)


def _who(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} speakers"


_FIELDS = (
    "settings", "components", "mean_components", "log_likelihood", "bic", "aic", "held_out", "held_out_error",
    "right", "asked", "accuracy", "accuracy_error", "chosen",
)  # fmt: skip


def _values(row: TuneRow, chosen: TuneRow) -> tuple[Any, ...]:
    return (
        row.candidate.label,
        row.candidate.components,
        round(row.components, 3),
        round(row.log_likelihood, 6),
        round(row.bic, 3),
        round(row.aic, 3),
        round(row.held_out, 6),
        round(row.held_out_error, 6),
        row.right,
        row.asked,
        round(row.accuracy, 6),
        round(row.accuracy_error, 6),
        row is chosen,
    )


def _print(rows: Sequence[TuneRow], chosen: TuneRow, layout: str, *, per_speaker: bool) -> None:
    from speakerid.workflows.tune import speaker_choices

    names = list(rows[0].speakers) if per_speaker else []
    choices = {name: speaker_choices(rows, chosen, name) for name in names}
    if layout == "json":
        for row in rows:
            print_json(dict(zip(_FIELDS, _values(row, chosen), strict=True)))
        for name in names:
            print_json({"speaker": name, **choices[name]})
        return
    if layout == "csv" and per_speaker:
        print_csv(("speaker", "bic", "aic", "held_out"), [(name, *choices[name].values()) for name in names])
        return
    if layout == "csv":
        print_csv(_FIELDS, [_values(row, chosen) for row in rows])
        return
    _print_table(rows, chosen)
    if names:
        columns = [("Speaker", "left"), ("K by BIC", "right"), ("K by AIC", "right"), ("K by held-out", "right")]
        print_table(columns, ([n, *("-" if k is None else str(k) for k in choices[n].values())] for n in names))


def _print_table(rows: Sequence[TuneRow], chosen: TuneRow) -> None:
    from speakerid.workflows.tune import behind

    best = _best(rows)
    settings = any(row.candidate.label for row in rows)
    columns = [("K", "right"), ("BIC", "right"), ("AIC", "right"), ("Trained on", "right"), ("Held out", "right"),
               ("behind", "right"), ("Accuracy %", "right"), ("behind", "right"), ("Best by", "left")]  # fmt: skip
    table = []
    for row in rows:
        k = f"auto ({row.components:.1f})" if row.candidate.components == "auto" else str(row.candidate.components)
        gaps = ["-", "-"]
        for place, (criterion, scale, digits) in enumerate((("held-out", 1, 2), ("accuracy", 100, 1))):
            if criterion in best and row not in best[criterion]:
                difference, error = behind(row, best[criterion][0], criterion)
                gaps[place] = f"{scale * difference:.{digits}f} ± {scale * error:.{digits}f}"
        marks = [criterion for criterion, winners in best.items() if row in winners and len(winners) < len(rows)]
        cells = [
            k, f"{row.bic:,.0f}", f"{row.aic:,.0f}", f"{row.log_likelihood:.2f}", f"{row.held_out:.2f}", gaps[0],
            f"{100 * row.accuracy:.1f}", gaps[1], ", ".join(marks) + (" <- chosen" if row is chosen else ""),
        ]  # fmt: skip
        table.append(([row.candidate.label or "-"] if settings else []) + cells)
    print_table(([("Settings", "left")] if settings else []) + columns, table)


def _best(rows: Sequence[TuneRow]) -> dict[str, list[TuneRow]]:
    """The rows that are best by each criterion; several where they are equal."""
    from speakerid.workflows.tune import comparable

    values: dict[str, Callable[[TuneRow], float]] = {"accuracy": lambda r: r.accuracy}
    if comparable(rows):
        values |= {"held-out": lambda r: r.held_out, "bic": lambda r: -r.bic, "aic": lambda r: -r.aic}
    return {name: [r for r in rows if value(r) == max(map(value, rows))] for name, value in values.items()}


def _explain(rows: Sequence[TuneRow], chosen: TuneRow, why: str, *, test_seconds: float, quiet: bool) -> None:
    note(
        "BIC and AIC, summed over the speakers: the smallest is best. Trained on, held out: nats a frame of the recordings "
        f"trained on, and of others. Accuracy: of {chosen.asked} windows of about {test_seconds:g} s of those. "
        "Behind: how far from the best, ± the standard error of that difference.",
        quiet=quiet,
    )
    if len(rows[0].speakers) < 2:
        note("One speaker only: everything is identified, so accuracy tells nothing.", quiet=quiet)
    elif all(row.right == row.asked for row in rows):
        note(
            f"All windows were identified: shorter ones tell more, such as --test-seconds {test_seconds / 4:g}.",
            quiet=quiet,
        )
    label = f"{chosen.candidate.label}, " if chosen.candidate.label else ""
    note(f"Chosen: {label}{_components_in_words(chosen)}: {why}.", quiet=quiet)
    tried = [row.candidate.components for row in rows if isinstance(row.candidate.components, int)]
    if len(tried) > 1 and chosen.candidate.components == max(tried):
        note(f"{max(tried)} is the largest number that was tried: larger ones may be better.", quiet=quiet)


def _components_in_words(row: TuneRow) -> str:
    k = row.candidate.components
    return "K by BIC for each speaker" if k == "auto" else f"{k} component{'' if k == 1 else 's'}"


def _write_config(path: Path, config: Config, why: str) -> None:
    """Write beside it and rename: a file is whole or not there."""
    from speakerid.config import to_toml

    temporary = Path(f"{path}.{os.getpid()}.partial")
    try:
        temporary.write_text(f"# Written by speakerid tune: {why}.\n\n{to_toml(config)}", encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
