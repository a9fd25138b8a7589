"""``speakerid demo``: the whole job on the sample recordings, command by command."""

from __future__ import annotations

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


@click.command(epilog="Example:  speakerid demo")
@common_options
def demo(db: str, config_path: str | None, jobs: int, quiet: bool) -> int:  # noqa: ARG001
    """Enrol ten sample voices and identify recordings of them, of strangers and of silence.

    The voices are synthetic. Every command is shown before it runs, to be repeated on your own folders. The demo keeps
    its database in a temporary folder: yours is not touched.
    """
    folder = sample_folder()
    with tempfile.TemporaryDirectory(prefix="speakerid-demo-") as temporary:
        store = str(Path(temporary) / "demo.db")
        options = ["--db", store, "--jobs", str(jobs), *(["--config", config_path] if config_path else [])]
        test = folder / "test"
        strangers = sorted(str(path) for path in test.glob("stranger-*"))
        known = sorted(str(p) for p in test.iterdir() if str(p) not in strangers and p.stem != "silence")
        steps = [
            ("1. Enrol: one sub-folder a speaker.", ["enroll", str(folder / "enroll")]),
            ("2. Who is speaking? These sentences were not enrolled.", ["identify", *known]),
            ("3. Strangers: with a threshold on the margin they are unknown.",
             ["identify", "--threshold", "6", *strangers]),
            ("4. Silence gets no name, and the exit status says so (3).", ["identify", str(test / "silence.flac")]),
            ("5. For programs: one JSON object a line.",
             ["identify", "--format", "json", "--top", "2", known[0]]),
            ("6. Who is enrolled?", ["speakers", "list"]),
        ]  # fmt: skip
        for title, arguments in steps:
            _step(title, arguments, options, folder)
    click.echo("\nNow with your own recordings:  speakerid enroll FOLDER   then   speakerid identify FILE")
    return 0


def _step(title: str, arguments: list[str], options: list[str], folder: Path) -> None:
    from speakerid.cli.main import cli

    click.secho(f"\n{title}", bold=True)
    typed = _abbreviated(arguments, folder)
    click.secho(f"$ speakerid {shlex.join(typed)}".replace("'*'", "*"), fg="cyan")
    status = cli.main([*arguments, *options], prog_name="speakerid", standalone_mode=False)
    if status:
        click.echo(f"(exit status {status})")


def _abbreviated(arguments: list[str], folder: Path) -> list[str]:
    """Show paths from the sample folder on, and many files as the first few."""
    short = [a.replace(str(folder), "sample") if a.startswith(str(folder)) else a for a in arguments]
    files = [a for a in short if a.startswith("sample/test/")]
    if len(files) > 3:
        keep = set(files[:2])
        short = [a for a in short if a not in files or a in keep] + ["..."]
    return short
