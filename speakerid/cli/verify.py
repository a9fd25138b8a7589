"""``speakerid verify``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from speakerid.cli.options import (
    channel_option,
    common_options,
    false_accept_option,
    format_option,
    raw_format,
    raw_options,
    read_config,
)
from speakerid.cli.output import (
    Progress,
    complain,
    note,
    note_ignored,
    note_left_alone,
    percent,
    print_csv,
    print_json,
    print_table,
    recording_label,
)

if TYPE_CHECKING:
    from speakerid.workflows.verify import Verification

__all__ = ["verify"]

_CSV_FIELDS = (
    "path", "start", "end", "speaker", "status", "accepted", "reason", "llr", "probability", "threshold", "speech_seconds",
    "duration_seconds", "message",
)  # fmt: skip


@click.command(
    short_help="Is this that speaker?",
    epilog='\b\nExample:  speakerid verify Alice question.wav && echo "It is Alice."',
)
@click.argument("speaker")
@click.argument("audio", nargs=-1, required=True, type=click.Path(allow_dash=True))
@false_accept_option
@click.option("--threshold", type=float, metavar="LLR", help="Accept from this calibrated log-likelihood ratio on.")
@channel_option
@raw_options
@format_option("table", "json", "csv")
@common_options
def verify(
    speaker: str,
    audio: tuple[str, ...],
    false_accept_rate: float | None,
    threshold: float | None,
    channel: int | None,
    raw_rate: int | None,
    raw_encoding: str | None,
    raw_channels: int | None,
    layout: str,
    db: str,
    config_path: str | None,
    jobs: int,
    quiet: bool,
) -> int:
    """Say whether recordings are of the speaker that they are claimed to be of.

    AUDIO is files, folders (searched in depth), "-" for standard input, or a manifest CSV, as for identify. Exit status: 0
    all accepted; 1 at least one is not; 3 at least one could not be judged.
    """
    if threshold is not None and false_accept_rate is not None:
        raise click.UsageError("--threshold and --false-accept-rate are two rules: give one of them")
    raw = raw_format(audio, raw_rate, raw_encoding, raw_channels)
    from speakerid.store import normal_name
    from speakerid.workflows.gather import gather_for_identification
    from speakerid.workflows.identify import Identifier
    from speakerid.workflows.verify import Verification, verify_all

    identifier = Identifier.open(db, config=read_config(config_path))
    gathered = gather_for_identification(audio)
    name = normal_name(speaker)
    answers = verify_all(
        identifier, name, gathered.recordings, false_accept_rate=false_accept_rate, threshold=threshold, channel=channel,
        raw=raw, jobs=min(jobs, max(len(gathered.recordings), 1)),
    )  # fmt: skip
    undecided: list[str] = []
    doubtful: list[str] = []
    statuses: set[str] = set()

    def watched() -> Iterator[Verification]:
        for path, message in gathered.problems:
            undecided.append(message)
            yield Verification(path, name, None, None, None, answers.threshold, "undecided", "unreadable", message)
        for done, answer in enumerate(answers, start=1):
            progress(done)
            statuses.add(answer.status)
            if answer.status == "undecided":
                undecided.append(answer.message or answer.path)
            elif answer.message:
                doubtful.append(answer.message)
            yield answer

    with Progress(len(gathered.recordings), "verifying", quiet=quiet) as progress:
        _print(watched(), layout, progress)
    for message in undecided:
        complain(message)
    for message in doubtful:
        note(f"warning: {message}", quiet=quiet)
    note_ignored(len(gathered.ignored), quiet=quiet)
    note_left_alone(gathered.left_alone, "enroll", quiet=quiet)
    if undecided:
        return 3
    # nothing but acceptance may pass for one: scripts open doors by it
    return 0 if statuses == {"accepted"} else 1


def _print(answers: Iterator[Verification], layout: str, progress: Progress) -> None:
    """Print the answers as they come, or as a table when all are there."""
    if layout == "json":
        for answer in answers:
            print_json(answer.to_dict())
    elif layout == "csv":
        print_csv(_CSV_FIELDS, ([getattr(answer, field) for field in _CSV_FIELDS] for answer in answers))
    else:
        columns = [("Recording", "left"), ("Speaker", "left"), ("Answer", "left"), ("LLR", "right"),
                   ("Needed", "right"), ("Probability", "right"), ("Speech s", "right")]  # fmt: skip
        rows = list(map(_table_row, answers))
        progress.stop()
        print_table(columns, rows)


def _table_row(answer: Verification) -> list[str]:
    label = recording_label(answer.path, answer.start, answer.end)
    speech = "" if answer.speech_seconds is None else f"{answer.speech_seconds:.1f}"
    if answer.llr is None or answer.probability is None:
        reason = (answer.reason or "").replace("_", " ")
        return [label, answer.speaker, f"undecided: {reason}", "", f"{answer.threshold:.1f}", "", speech]
    yes = "yes" if answer.accepted else "no"
    return [
        label,
        answer.speaker,
        yes,
        f"{answer.llr:.1f}",
        f"{answer.threshold:.1f}",
        percent(answer.probability),
        speech,
    ]
