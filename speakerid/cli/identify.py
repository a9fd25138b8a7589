"""``speakerid identify``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from speakerid.cli.options import (
    channel_option,
    check_rule,
    common_options,
    false_accept_option,
    format_option,
    raw_format,
    raw_options,
    read_config,
)
from speakerid.cli.output import (
    Progress,
    answered,
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
from speakerid.cli.timeline import (
    TIMELINE_LAYOUTS,
    TimelineOptions,
    follow_stdin,
    print_timelines,
    timeline_options,
)

if TYPE_CHECKING:
    from speakerid.workflows.gather import Gathered
    from speakerid.workflows.identify import Identification

__all__ = ["identify"]

_CSV_FIELDS = (
    "path", "start", "end", "status", "decision", "reason", "margin", "best", "log_likelihood", "next",
    "next_log_likelihood", "speech_seconds", "duration_seconds", "message", "llr", "probability",
    "probability_unknown",
)  # fmt: skip


@click.command(
    short_help="Say who is speaking in recordings.",
    epilog="\b\nExample:  speakerid identify question.wav\n          sox in.aiff -t wav - | speakerid identify -"
    "\n          speakerid identify --timeline meeting.flac --report meeting.html",
)
@click.argument("audio", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Show the N best speakers of each recording.")
@click.option("--closed-set", is_flag=True, help="Always name the best speaker of a recording that has speech.")
@false_accept_option
@click.option(
    "--threshold", type=click.FloatRange(min=0), metavar="NATS",
    help='Decide by the margin instead: "unknown" unless the best is this far ahead of the next, in nats a frame.',
)  # fmt: skip
@timeline_options
@channel_option
@raw_options
@format_option("table", "json", "csv", *TIMELINE_LAYOUTS)
@common_options
def identify(
    audio: tuple[str, ...],
    top: int | None,
    closed_set: bool,
    false_accept_rate: float | None,
    threshold: float | None,
    timeline: bool,
    window: float | None,
    hop: float | None,
    follow: bool,
    plot_path: str | None,
    spectrogram: bool,
    report_path: str | None,
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
    test or without a split are taken. Recordings of nobody who is enrolled are "unknown". Recordings without speech, or with
    too little, are "undecided" with a reason and get no name.

    With --timeline: who speaks when, as a table, JSON, CSV, RTTM, labels for Audacity or subtitles, as a picture and as a
    page with a player. With --follow the answers come while standard input still does.
    """
    wanted = TimelineOptions(window, hop, follow, plot_path, spectrogram, report_path)
    wanted.check(timeline=timeline, audio=audio, layout=layout, top=top)
    check_rule(closed_set=closed_set, threshold=threshold, false_accept_rate=false_accept_rate)
    raw = raw_format(audio, raw_rate, raw_encoding, raw_channels)
    from speakerid.workflows.gather import gather_for_identification
    from speakerid.workflows.identify import Identifier

    rule: dict[str, Any] = {"threshold": threshold, "false_accept_rate": false_accept_rate, "closed_set": closed_set}
    if follow:
        identifier = Identifier.open(db, config=read_config(config_path))
        return follow_stdin(identifier, wanted, layout, rule=rule, channel=channel, raw=raw, quiet=quiet)
    gathered = gather_for_identification(audio)
    identifier = Identifier.open(db, config=read_config(config_path))
    if timeline:
        status = print_timelines(
            gathered, identifier, wanted, layout, rule=rule, channel=channel, raw=raw, jobs=jobs, quiet=quiet
        )
        note_ignored(len(gathered.ignored), quiet=quiet)
        note_left_alone(gathered.left_alone, "enroll", quiet=quiet)
        return status
    # a single recording is not worth the workers
    jobs = min(jobs, max(len(gathered.recordings), 1))
    answers = identifier.identify_all(
        gathered.recordings, channel=channel, raw=raw, jobs=jobs, **rule,
    )  # fmt: skip
    with Progress(len(gathered.recordings), "identifying", quiet=quiet) as progress:
        counted = _counted(_unfound(gathered), answers, progress)
        tally = _print(counted, layout, top, progress, calibrated=identifier.calibration is not None)
    for message in tally.undecided:
        complain(message)
    for message in tally.doubtful:
        note(f"warning: {message}", quiet=quiet)
    note_ignored(len(gathered.ignored), quiet=quiet)
    note_left_alone(gathered.left_alone, "enroll", quiet=quiet)
    if identifier.calibration is None and threshold is None and not closed_set and tally.named and layout == "table":
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


def _print(
    answers: Iterable[Identification], layout: str, top: int | None, progress: Progress, *, calibrated: bool
) -> _Tally:
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
        numbers = ("Probability", "LLR", "Margin") if calibrated else ("Margin", "Log-likelihood")
        columns = [("Recording", "left"), ("Speaker", "left"), *((name, "right") for name in (*numbers, "Speech s"))]
        rows = [row for answer in watched() for row in _table_rows(answer, top or 1, calibrated=calibrated)]
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
        best and best.llr, best and best.probability, answer.probability_unknown,
    ]  # fmt: skip


def _table_rows(answer: Identification, top: int, *, calibrated: bool) -> Iterator[list[str]]:
    label = recording_label(answer.path, answer.start, answer.end)
    speech = "" if answer.speech_seconds is None else f"{answer.speech_seconds:.1f}"
    if answer.status == "undecided":
        yield [label, answered(answer.status, None, None, answer.reason), *[""] * (3 if calibrated else 2), speech]
        return
    name = answered(answer.status, answer.decision, answer.scores[0].speaker, None)
    margin = "" if answer.margin is None else f"{answer.margin:.2f}"
    for place, score in enumerate(answer.scores[:top], start=1):
        numbers = [margin if place == 1 else "", f"{score.log_likelihood:.2f}"]
        if score.llr is not None and score.probability is not None:
            numbers = [percent(score.probability), f"{score.llr:.1f}", margin if place == 1 else ""]
        first = [label, name] if place == 1 else [f"  {place}.", score.speaker]
        yield [*first, *numbers, speech if place == 1 else ""]
