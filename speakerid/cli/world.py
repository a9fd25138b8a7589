"""``speakerid world``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from speakerid.cli.options import channel_option, common_options, format_option, read_config
from speakerid.cli.output import Progress, complain, note, note_ignored, print_json, print_table

if TYPE_CHECKING:
    from speakerid.workflows.world import WorldReport

__all__ = ["world"]

_INTERRUPTED = 130


@click.group()
def world() -> None:
    """Train and describe world models: what people sound like who are nobody in particular.

    A world model (universal background model) is a mixture of many people's speech. Speakers are adapted from it
    ([training] method = "map"), and scores are told against it.
    """


@world.command(
    short_help="Train a world model.",
    epilog="Example:  speakerid world train recordings/ --components 256 --output world.gmm",
)
@click.argument("recordings", nargs=-1, required=True, type=click.Path())
@click.option("--output", "-o", type=click.Path(), required=True, metavar="FILE", help="Where to write the model.")
@click.option("--components", type=click.IntRange(1, 65536), default=256, show_default=True, metavar="K",
              help="Gaussians of the mixture.")  # fmt: skip
@click.option("--iterations", type=click.IntRange(1, 10000), default=20, show_default=True, metavar="N",
              help="Of EM, at most.")  # fmt: skip
@click.option("--licence", "--license", default="", metavar="TEXT",
              help="Whose recordings they are and under which licence; kept in the model.")  # fmt: skip
@click.option("--degrade", "degradations", multiple=True, metavar="HOW",
              help="Learn every recording in this condition as well, as evaluate --degrade; again for more.")  # fmt: skip
@click.option("--work-folder", type=click.Path(), metavar="FOLDER",
              help="For the frames, 58 MB an hour of speech, and what is done so far; FILE.work if left out.")  # fmt: skip
@click.option("--force", is_flag=True, help="Write over a world model that is there.")
@channel_option
@common_options
def train(
    recordings: tuple[str, ...],
    output: str,
    components: int,
    iterations: int,
    licence: str,
    degradations: tuple[str, ...],
    work_folder: str | None,
    force: bool,
    channel: int | None,
    db: str,  # noqa: ARG001
    config_path: str | None,
    jobs: int,
    quiet: bool,
) -> int:
    """Train a world model from any amount of audio.

    RECORDINGS is files, folders (searched in depth) and manifests; who speaks does not matter. Many people, a minute of
    each, are better than much of a few. A training that was stopped goes on where it was when it is called again.
    """
    from speakerid.config import Config
    from speakerid.workflows.world import gather_for_world, kept_in

    config = read_config(config_path) or Config()
    gathered = gather_for_world(recordings)
    for _path, message in gathered.problems:
        complain(message)
    note_ignored(len(gathered.ignored), quiet=quiet)
    try:
        inputs = [*recordings, *([config_path] if config_path else [])]
        report = _train(
            gathered.recordings, config, output=output, components=components, iterations=iterations, licence=licence,
            degradations=degradations, work_folder=work_folder, inputs=inputs, replace=force, channel=channel, jobs=jobs,
            quiet=quiet,
        )  # fmt: skip
    except KeyboardInterrupt:
        folder = kept_in(output, work_folder)
        kept = "nothing is kept" if folder is None else f"what is done is kept in {folder}; the same command goes on"
        complain(f"stopped; {kept}")
        return _INTERRUPTED
    for problem in report.problems:
        complain(problem.message)
    if report.resumed:
        note("went on with an earlier run", quiet=quiet)
    if report.duplicates:
        note(f"{report.duplicates} recordings have the same audio as another one: used once", quiet=quiet)
    if report.world.mixture.n_components < components:
        note(f"{components} components were asked for; more would have been copies of others", quiet=quiet)
    about = report.world.about
    click.echo(
        f"{output}: {report.world.mixture.n_components} components from {about['recordings']} recordings, "
        f"{about['speech_seconds'] / 60:.1f} minutes of speech, {about['log_likelihood']:.2f} nats a frame"
    )
    return 3 if report.problems or gathered.problems else 0


def _train(recordings: list[Any], config: Any, *, iterations: int, quiet: bool, **options: Any) -> WorldReport:
    """Train with progress bars."""
    from speakerid.workflows.world import train_world

    total = len(recordings) * (1 + len(options["degradations"]))
    with (
        Progress(total, "analysing", quiet=quiet) as analysed,
        Progress(iterations, "training", quiet=quiet) as trained,
    ):

        def advance(done: int) -> None:
            analysed(done)
            if done == total:
                analysed.stop()

        return train_world(
            recordings,
            config,
            iterations=iterations,
            analysed=advance,
            trained=lambda _components, done: trained(done),
            **options,
        )


@world.command(
    short_help="Join world models to one.",
    epilog="Example:  speakerid world join quiet.gmm rooms.gmm --output world.gmm",
)
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option("--output", "-o", type=click.Path(), required=True, metavar="FILE", help="Where to write the model.")
@click.option("--force", is_flag=True, help="Write over a world model that is there.")
@common_options
def join(
    files: tuple[str, ...],
    output: str,
    force: bool,
    db: str,  # noqa: ARG001
    config_path: str | None,
    jobs: int,  # noqa: ARG001
    quiet: bool,  # noqa: ARG001
) -> None:
    """Join world models of the same features to one, of which each is a part.

    Speakers adapt each part by itself, and in every frame those components answer that fit. A part that was trained with
    --degrade room or reverb adapts to every recording also as it would sound in a room, so that enrolled voices are known
    in rooms as well.
    """
    from speakerid.workflows.world import join_worlds

    read_config(config_path)
    joined = join_worlds(files, output=output, replace=force)
    click.echo(
        f"{output}: {joined.mixture.n_components} components in {len(joined.parts)} parts: {joined.about['joined']}"
    )


@world.command(short_help="Describe a world model.", epilog="Example:  speakerid world show world.gmm")
@click.argument("file", type=click.Path())
@format_option("table", "json")
@common_options
def show(file: str, layout: str, db: str, config_path: str | None, jobs: int, quiet: bool) -> None:  # noqa: ARG001
    """Describe a world model: its size, what it was trained on, its front end."""
    from speakerid.config import FrontEndConfig, differences, to_dict
    from speakerid.store import read_world

    read_config(config_path)
    found = read_world(file)
    if layout == "json":
        print_json(
            {
                **found.about,
                "file": file,
                "components": found.mixture.n_components,
                "features": found.mixture.n_features,
                "digest": found.digest,
                "front_end": to_dict(found.front_end),
            }
        )
        return
    rows = [
        ["components", str(found.mixture.n_components)],
        ["features", str(found.mixture.n_features)],
        *([name.replace("_", " "), str(value)] for name, value in found.about.items() if value != ""),
        ["digest", found.digest],
        ["front end", "; ".join(differences(found.front_end, FrontEndConfig())) or "the defaults"],
    ]
    print_table([("World model", "left"), (file, "left")], rows)
