"""``speakerid identify``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from speakerid.audio.paths import shown
from speakerid.cli.options import channel_option, common_options, format_option, read_config
from speakerid.cli.output import Progress, complain, note, note_ignored, print_csv, print_json, print_table

if TYPE_CHECKING:
    from speakerid.workflows.gather import Gathered
    from speakerid.workflows.identify import Identification

__all__ = ["identify"]

_CSV_FIELDS = (
    "path", "start", "end", "status", "decision", "reason", "margin", "best", "log_likelihood", "next",
    "next_log_likelihood", "speech_seconds", "duration_seconds", "message",
)  # fmt: skip


@click.command(
    short_help="Say who is speaking in recordings.",
    epilog="\b\nExample:  speakerid identify question.wav\n          sox in.aiff -t wav - | speakerid identify -",
)
@click.argument("audio", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Show the N best speakers of each recording.")
@click.option("--closed-set", is_flag=True, help="Always name the best speaker of a recording that has speech.")
@click.option(
    "--threshold", type=click.FloatRange(min=0), metavar="NATS",
    help='Say "unknown" unless the best speaker is this far ahead of the next, in nats a frame.',
)  # fmt: skip
@channel_option
@click.option("--raw", "raw_rate", type=click.IntRange(4000, 384000), metavar="RATE",
              help="Standard input is headerless PCM at this rate.")  # fmt: skip
@click.option("--raw-encoding", metavar="NAME",
              help="Its samples: u8, s8, s16le (the default), s16be, s24le, s32le, f32le, f64le, mulaw, alaw.")  # fmt: skip
@click.option("--raw-channels", type=click.IntRange(1, 64), metavar="N",
              help="Its channels; 1 if left out.")  # fmt: skip
@format_option("table", "json", "csv")
@common_options
def identify(
    audio: tuple[str, ...],
    top: int | None,
    closed_set: bool,
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
    """Say who is speaking in each recording.

    AUDIO is files, folders (searched in depth), "-" for standard input, or a manifest CSV, of which the rows with split =
    test or without a split are taken. Recordings without speech, or with too little, are "undecided" with a reason and get
    no name.
    """
    if closed_set and threshold is not None:
        raise click.UsageError("--closed-set names somebody always, --threshold does not: give one of them")
    if threshold is not None and not abs(threshold) < float("inf"):
        raise click.UsageError("--threshold needs a number of nats a frame, such as 2.5")
    if raw_rate is not None and "-" not in audio:
        raise click.UsageError("--raw describes standard input: name it as -")
    if raw_rate is None and (raw_encoding is not None or raw_channels is not None):
        raise click.UsageError("--raw-encoding and --raw-channels describe headerless PCM: give --raw RATE too")
    if audio.count("-") > 1:
        raise click.UsageError("standard input can be read once: name - once")
    from speakerid.workflows.gather import gather_for_identification
    from speakerid.workflows.identify import Identifier

    raw = None
    if raw_rate is not None:
        from speakerid.audio import RawFormat

        raw = RawFormat(raw_rate, raw_encoding or "s16le", raw_channels or 1)
    gathered = gather_for_identification(audio)
    identifier = Identifier.open(db, config=read_config(config_path))
    # a single recording is not worth the workers
    jobs = min(jobs, max(len(gathered.recordings), 1))
    answers = identifier.identify_all(gathered.recordings, threshold=threshold, channel=channel, raw=raw, jobs=jobs)
    with Progress(len(gathered.recordings), "identifying", quiet=quiet) as progress:
        counted = _counted(_unfound(gathered), answers, progress)
        tally = _print(counted, layout, top, progress)
    for message in tally.undecided:
        complain(message)
    for message in tally.doubtful:
        note(f"warning: {message}", quiet=quiet)
    note_ignored(len(gathered.ignored), quiet=quiet)
    if gathered.left_alone:
        note(f"{gathered.left_alone} rows with split = enroll were left alone", quiet=quiet)
    if threshold is None and not closed_set and tally.named and layout == "table":
        note("Without --threshold, strangers get the nearest name: a small margin is a doubtful name.", quiet=quiet)
    return 3 if tally.undecided else 0


@dataclass
class _Tally:
    """What was answered: how many names, and the messages of what is undecided or doubtful."""

    named: int = 0
    undecided: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)


def _unfound(gathered: Gathered) -> Iterator[Identification]:
    from speakerid.workflows.identify import Identification

    for path, message in gathered.problems:
        yield Identification(path, None, "undecided", "unreadable", message)


def _counted(
    unfound: Iterable[Identification], answers: Iterable[Identification], progress: Progress
) -> Iterator[Identification]:
    yield from unfound
    for done, answer in enumerate(answers, start=1):
        progress(done)
        yield answer


def _print(answers: Iterable[Identification], layout: str, top: int | None, progress: Progress) -> _Tally:
    """Print the answers as they come, or as a table when all are there."""
    tally = _Tally()

    def watched() -> Iterator[Identification]:
        for answer in answers:
            if answer.status == "undecided":
                tally.undecided.append(answer.message or answer.path)
            elif answer.message:
                tally.doubtful.append(answer.message)
            tally.named += answer.status == "identified"
            yield answer

    if layout == "json":
        for answer in watched():
            print_json(answer.to_dict(top=top))
    elif layout == "csv":
        print_csv(_CSV_FIELDS, map(_csv_row, watched()))
    else:
        columns = [("Recording", "left"), ("Speaker", "left"), ("Margin", "right"), ("Log-likelihood", "right"),
                   ("Speech s", "right")]  # fmt: skip
        rows = [row for answer in watched() for row in _table_rows(answer, top or 1)]
        progress.stop()
        if rows:
            print_table(columns, rows)
    return tally


def _csv_row(answer: Identification) -> list[object]:
    best, following = (*answer.scores[:2], None, None)[:2]
    return [
        answer.path, answer.start, answer.end, answer.status, answer.decision, answer.reason, answer.margin,
        best and best.speaker, best and best.log_likelihood, following and following.speaker,
        following and following.log_likelihood, answer.speech_seconds, answer.duration_seconds, answer.message,
    ]  # fmt: skip


def _table_rows(answer: Identification, top: int) -> Iterator[list[str]]:
    label = shown(answer.path)
    if answer.start is not None or answer.end is not None:
        label += f" [{answer.start or 0:g}-{'' if answer.end is None else format(answer.end, 'g')} s]"
    speech = "" if answer.speech_seconds is None else f"{answer.speech_seconds:.1f}"
    margin = "" if answer.margin is None else f"{answer.margin:.2f}"
    if answer.status == "undecided":
        yield [label, f"undecided: {(answer.reason or '').replace('_', ' ')}", "", "", speech]
        return
    name = answer.decision or "unknown"
    if answer.status == "unknown":
        name = f"unknown (nearest: {answer.scores[0].speaker})"
    yield [label, name, margin, f"{answer.scores[0].log_likelihood:.2f}", speech]
    for place, score in enumerate(answer.scores[1:top], start=2):
        yield [f"  {place}.", score.speaker, "", f"{score.log_likelihood:.2f}", ""]
