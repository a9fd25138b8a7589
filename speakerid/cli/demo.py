"""``speakerid demo``: the whole job on the sample recordings, command by command."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path

import click

from speakerid.cli.options import common_options

__all__ = ["demo", "sample_folder"]


def sample_folder() -> Path:
    """Where the sample recordings are: in the installed package, or in the project's data/.

    Raises
    ------
    UsageError
        They were not installed.
    """
    from speakerid.errors import UsageError

    package = Path(__file__).resolve().parent.parent
    for folder in (package / "sample", package.parent / "data" / "sample"):
        if (folder / "enroll").is_dir():
            return folder
    raise UsageError("the sample recordings are not installed; run the demo from the project's folder")


@click.command(short_help="See the whole job on sample recordings.", epilog="Example:  speakerid demo")
@common_options
def demo(db: str, config_path: str | None, jobs: int, quiet: bool) -> int:  # noqa: ARG001
    """Enrol ten sample voices and identify recordings of them, of strangers and of silence.

    The voices are synthetic. Every command is shown before it runs. The store demo.db of the demo is in a temporary folder
    and is removed at the end: yours is not touched. Repeat the commands and it will be where you are.
    """
    folder = sample_folder()
    here = os.path.relpath(folder)
    place = str(folder) if here.startswith("..") else here
    with tempfile.TemporaryDirectory(prefix="speakerid-demo-") as temporary:
        options = ["--jobs", str(jobs), *(["--config", config_path] if config_path else [])]
        tests, alice = os.path.join(place, "test"), os.path.join(place, "test", "alice-1.flac")  # noqa: PTH118 - as typed
        steps = [
            ("1. Enrol: one sub-folder a speaker.", ["enroll", os.path.join(place, "enroll")]),  # noqa: PTH118
            ("2. Who is speaking? Ten voices with new sentences; strangers are unknown; silence gets no name, and the exit\n"
             "   status says so.",
             ["identify", tests]),
            ("3. How close are the others?", ["identify", "--top", "3", alice]),
            ("4. Is it Alice?", ["verify", "Alice", alice]),
            ("5. For programs: one JSON object a line.", ["identify", "--format", "json", "--top", "2", alice]),
            ("6. Who speaks when?", ["identify", "--timeline", os.path.join(place, "conversation.flac")]),  # noqa: PTH118
            ("7. Who is enrolled?", ["speakers", "list"]),
        ]  # fmt: skip
        for title, arguments in steps:
            _step(title, arguments, Path(temporary) / "demo.db", options)
    click.echo("\nNow with your own recordings:  speakerid enroll FOLDER   then   speakerid identify FILE")
    return 0


def _step(title: str, arguments: list[str], store: Path, options: list[str]) -> None:
    from speakerid.cli.main import cli

    click.secho(f"\n{title}", bold=True)
    click.secho(f"$ speakerid {shlex.join([*arguments, '--db', store.name])}", fg="cyan")
    status = cli.main([*arguments, "--db", str(store), *options], prog_name="speakerid", standalone_mode=False)
    if status:
        click.echo(f"(exit status {status})")
