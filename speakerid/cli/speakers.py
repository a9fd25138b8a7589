"""``speakerid speakers``: look after the store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from speakerid._version import __version__
from speakerid.cli.options import common_options, format_option, read_config
from speakerid.cli.output import complain, note, print_csv, print_json, print_table

if TYPE_CHECKING:
    from speakerid.store import Store
    from speakerid.workflows.advice import RecordingAdvice

__all__ = ["speakers"]

_LIST_FIELDS = ("speaker", "recordings", "seconds", "speech_seconds", "components", "created", "changed")


@click.group()
def speakers() -> None:
    """List, show, rename, remove, export and import enrolled speakers."""


def _open(db: str, config_path: str | None) -> Store:
    from speakerid.store import Store
    from speakerid.workflows.learning import world_of

    config = read_config(config_path)
    store = Store(db)
    try:
        if config is not None:
            store.require(config.front_end, config.training, whose=str(config_path))
            store.require_world(world_of(config), whose=str(config_path))
    except BaseException:
        store.close()
        raise
    return store


def _when(time: str) -> str:
    """An ISO time to the minute, UTC, for people."""
    return time[:16].replace("T", " ")


def _count(names: Sequence[str]) -> str:
    return "1 speaker" if len(names) == 1 else f"{len(names)} speakers"


def _enrolled(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete the names of the speakers in the store."""
    from speakerid.errors import SpeakerIdError
    from speakerid.store import Store

    try:
        with Store(context.params.get("db") or os.environ.get("SPEAKERID_DB") or "speakers.db") as store:
            return [name for name in store.names() if name.startswith(incomplete)]
    except SpeakerIdError:
        return []


@speakers.command("list", epilog="Example:  speakerid speakers list --format csv")
@format_option("table", "json", "csv")
@common_options
def list_speakers(layout: str, db: str, config_path: str | None, jobs: int, quiet: bool) -> None:  # noqa: ARG001
    """List the enrolled speakers."""
    with _open(db, config_path) as store:
        rows = store.speakers()
    values = [
        (r.name, r.n_recordings, round(r.seconds, 3), round(r.speech_seconds, 3), r.n_components, r.created, r.changed)
        for r in rows
    ]
    if layout == "json":
        for row in values:
            print_json(dict(zip(_LIST_FIELDS, row, strict=True)))
    elif layout == "csv":
        print_csv(_LIST_FIELDS, values)
    elif values:
        columns = [("Speaker", "left"), ("Recordings", "right"), ("Speech s", "right"), ("Components", "right"),
                   ("Changed", "left")]  # fmt: skip
        print_table(columns, ([v[0], str(v[1]), f"{v[3]:.1f}", str(v[4]), _when(v[6])] for v in values))
    else:
        note("nobody is enrolled", quiet=quiet)


@speakers.command(epilog="Example:  speakerid speakers show alice")
@click.argument("name", shell_complete=_enrolled)
@format_option("table", "json")
@common_options
def show(name: str, layout: str, db: str, config_path: str | None, jobs: int, quiet: bool) -> None:  # noqa: ARG001
    """Show one speaker: recordings and how well they fit, model, and the nearest other speakers.

    Fit is how well a recording fits the speaker's other recordings, 100 % being typical of them and 0 % no better than
    anybody's.
    """
    from speakerid.errors import SpeakerIdError
    from speakerid.workflows.advice import advise, amount_of
    from speakerid.workflows.advice_sentences import sentences

    with _open(db, config_path) as store, store.reading():
        speaker = store.speaker(name)
        recordings = store.recordings(speaker.name)
        _mixture, record = store.model(speaker.name)
        adapted = store.training.method == "map"
    advice, lines = None, []
    try:
        report = advise(db, [speaker.name], neighbours=True, jobs=jobs)
        (advice,), lines = report.speakers, sentences(report)
    except SpeakerIdError as error:
        # somebody else's model may be damaged, or the speaker be gone since: what was read is shown all the same
        complain(f"{speaker.name} was not compared with others: {error}")
    fits = {} if advice is None else {recording.content_hash: recording for recording in advice.recordings}
    if layout == "json":
        print_json(
            {
                "speaker": speaker.name,
                "created": speaker.created,
                "changed": speaker.changed,
                "seconds": round(speaker.seconds, 3),
                "speech_seconds": round(speaker.speech_seconds, 3),
                "components": speaker.n_components,
                "recordings": [asdict(r) | _fit_fields(fits.get(r.content_hash)) for r in recordings],
                "training": record,
                "amount": amount_of(speaker.speech_seconds),
                "neighbours": [_rounded(asdict(neighbour)) for neighbour in advice.neighbours] if advice else None,
                "advice": lines,
            }
        )
        return
    history = record["log_likelihoods"]
    click.echo(
        f"{speaker.name}: {speaker.n_recordings} recordings, {speaker.seconds:.1f} s, of which "
        f"{speaker.speech_seconds:.1f} s speech; enrolled {_when(speaker.created)}, changed {_when(speaker.changed)}"
    )
    if adapted:
        click.echo(
            f"model: {speaker.n_components} components, adapted from the world model: log-likelihood "
            f"{history[0]:.3f} -> {history[-1]:.3f} nats a frame"
        )
    else:
        click.echo(
            f"model: {speaker.n_components} components, log-likelihood {history[0]:.3f} -> {history[-1]:.3f} nats a "
            f"frame in {len(history) - 1} EM iterations{', converged' if record.get('converged') else ''}"
        )
    if record.get("considered"):
        tried = "; ".join(f"K = {k}: {bic:,.0f}" for k, bic in record["considered"])
        click.echo(f"components chosen by BIC, the smallest is best: {tried}")
    if advice is not None and advice.neighbours:
        nearest = ", ".join(f"{n.speaker} {_share(n.fit)}" for n in advice.neighbours)
        click.echo(f"nearest other speakers, and how well {speaker.name}'s recordings fit them: {nearest}")
    columns = [("Recording", "left"), ("Seconds", "right"), ("Speech s", "right"), ("Fit", "right"), ("Next best", "left"),
               ("Enrolled", "left"), ("Content hash", "left")]  # fmt: skip
    rows = sorted(recordings, key=lambda r: r.source)
    print_table(
        columns,
        (
            [r.source, f"{r.seconds:.1f}", f"{r.speech_seconds:.1f}", *_fit_cells(fits.get(r.content_hash)),
             _when(r.enrolled), r.content_hash[:12]]
            for r in rows
        ),
    )  # fmt: skip
    for line in lines:
        click.echo(line)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in values.items()}


def _fit_fields(recording: RecordingAdvice | None) -> dict[str, Any]:
    """What `show` says of a recording in JSON; nothing is known of one that came in between."""
    if recording is None:
        return {"fit": None, "nearest": None, "nearest_fit": None, "finding": None}
    values = _rounded(asdict(recording))
    return {key: values[key] for key in ("fit", "nearest", "nearest_fit", "finding")}


def _fit_cells(recording: RecordingAdvice | None) -> tuple[str, str]:
    if recording is None:
        return "-", "-"
    next_best = "-" if recording.nearest is None else f"{recording.nearest} {_share(recording.nearest_fit)}"
    return _share(recording.fit), next_best


@speakers.command(epilog='Example:  speakerid speakers rename bob "Bob Smith"')
@click.argument("old", shell_complete=_enrolled)
@click.argument("new")
@common_options
def rename(old: str, new: str, db: str, config_path: str | None, jobs: int, quiet: bool) -> None:  # noqa: ARG001
    """Give a speaker another name."""
    with _open(db, config_path) as store:
        store.rename(old, new)
    note(f"{old} is now {new}", quiet=quiet)


@speakers.command(epilog="Example:  speakerid speakers remove bob")
@click.argument("names", nargs=-1, required=True, shell_complete=_enrolled)
@common_options
def remove(names: tuple[str, ...], db: str, config_path: str | None, jobs: int, quiet: bool) -> None:  # noqa: ARG001
    """Remove speakers with their recordings and models."""
    with _open(db, config_path) as store:
        store.remove(list(dict.fromkeys(names)))
    note(f"removed: {', '.join(dict.fromkeys(names))}", quiet=quiet)


@speakers.command(
    short_help="Write speakers to a new store.", epilog="Example:  speakerid speakers export alice bob --output team.db"
)
@click.argument("names", nargs=-1, shell_complete=_enrolled)
@click.option(
    "--output", "-o", required=True, type=click.Path(), metavar="FILE", help="The file to write; it must not exist."
)
@common_options
def export(
    names: tuple[str, ...], output: str, db: str, config_path: str | None, jobs: int, quiet: bool  # noqa: ARG001
) -> None:  # fmt: skip
    """Write speakers to a new store; all of them when no name is given."""
    from speakerid.store import export_speakers, normal_name

    with _open(db, config_path) as store:
        chosen = list(dict.fromkeys(map(normal_name, names))) or store.names()
        export_speakers(store, chosen, output, version=__version__)
        _tell_of_calibration(store, output, quiet=quiet)
    note(f"{_count(chosen)} written to {output}", quiet=quiet)


def _tell_of_calibration(store: Store, other: str, *, quiet: bool) -> None:
    """Say that a calibration is of a store's own speakers together, and stays with them."""
    if store.calibration is not None:
        note(f"the calibration of {store.path} is not copied; fit {other} its own: speakerid calibrate", quiet=quiet)


@speakers.command(
    "import", short_help="Take speakers from another store.", epilog="Example:  speakerid speakers import team.db"
)
@click.argument("file", type=click.Path())
@click.argument("names", nargs=-1)
@click.option("--replace", is_flag=True, help="Replace speakers of the same name.")
@common_options
def import_speakers(
    file: str,
    names: tuple[str, ...],
    replace: bool,
    db: str,
    config_path: str | None,
    jobs: int,  # noqa: ARG001
    quiet: bool,
) -> None:
    """Take speakers from FILE, another store; all of them when no name is given."""
    from pathlib import Path

    from speakerid.store import Store, export_speakers, normal_name

    with _open(file, config_path) as source:
        chosen = list(dict.fromkeys(map(normal_name, names))) or source.names()
        if Path(db).exists():
            with Store(db) as target:
                target.copy_from(source, chosen, replace=replace)
        else:
            export_speakers(source, chosen, db, version=__version__)  # written whole, or not at all
    note(f"{_count(chosen)} taken from {file}", quiet=quiet)
