"""Who speaks when, on the command line: ``identify --timeline``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from speakerid.audio.paths import STDIN, shown
from speakerid.cli.follow import print_heading
from speakerid.cli.output import Progress, answered, complain, note, percent, print_csv_rows, print_json, print_table

if TYPE_CHECKING:
    from speakerid.audio import RawFormat, Recording
    from speakerid.workflows.gather import Gathered
    from speakerid.workflows.identify import Identifier
    from speakerid.workflows.timeline import Segment, Timeline

__all__ = [
    "ONE_RECORDING",
    "TIMELINE_LAYOUTS",
    "TimelineOptions",
    "follow_stdin",
    "print_timelines",
    "timeline_options",
]

TIMELINE_LAYOUTS = ("rttm", "audacity", "vtt", "srt")
"""What only a timeline can be written as."""
ONE_RECORDING = ("audacity", "vtt", "srt")
"""Layouts that do not name their recording."""
_LONGEST_SECONDS = 3600.0


def timeline_options(command: Any) -> Any:
    """--timeline and what belongs to it."""
    options = [
        click.option("--timeline", is_flag=True, help="Tell who speaks when."),
        click.option("--window", type=float, metavar="SECONDS",
                     help="Sum the scores over windows of this length; 1.5 if left out."),
        click.option("--hop", type=float, metavar="SECONDS",
                     help="Distance of the windows, to which boundaries are rounded; 0.1 if left out."),
        click.option("--follow", is_flag=True, help="Answer while standard input still comes."),
        click.option("--plot", "plot_path", type=click.Path(), metavar="FILE.png|svg", help="Draw the timeline there."),
        click.option("--spectrogram", is_flag=True, help="With --plot: a spectrogram in place of the waveform."),
        click.option("--report", "report_path", type=click.Path(), metavar="FILE.html",
                     help="Write a page with a player there, for any browser."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True)
class TimelineOptions:
    """What was asked for beside the names."""

    window: float | None
    hop: float | None
    follow: bool
    plot_path: str | None
    spectrogram: bool
    report_path: str | None

    def check(self, *, timeline: bool, audio: Sequence[str], layout: str, top: int | None) -> None:
        """Refuse options that do not go together.

        Raises
        ------
        click.UsageError
        """
        given = {
            "--window": self.window is not None, "--hop": self.hop is not None, "--follow": self.follow,
            "--plot": self.plot_path is not None, "--report": self.report_path is not None,
            f"--format {layout}": layout in TIMELINE_LAYOUTS,
        }  # fmt: skip
        if not timeline:
            for name, there in given.items():
                if there:
                    raise click.UsageError(f"{name} is for timelines: say --timeline too")
        for name, value in (("--window", self.window), ("--hop", self.hop)):
            if value is not None and not 0 < value <= _LONGEST_SECONDS:
                raise click.UsageError(
                    f"{name} needs a number of seconds above 0 and of {_LONGEST_SECONDS:g} at most, such as 1.5"
                )
        if timeline and top is not None:
            raise click.UsageError("--top ranks the speakers of a recording; a timeline has one name a segment")
        if self.spectrogram and self.plot_path is None:
            raise click.UsageError("--spectrogram says what --plot FILE draws: give that too")
        if self.follow and list(audio) != [STDIN]:
            raise click.UsageError("--follow reads standard input: name it as - and nothing else")
        if self.follow and (self.plot_path is not None or self.report_path is not None or layout in ("vtt", "srt")):
            raise click.UsageError("a picture, a page and subtitles need the whole recording: leave --follow out")
        if STDIN in audio and self.report_path is not None:
            raise click.UsageError("--report reads the recording again for the page: give a file in place of -")


def print_timelines(
    gathered: Gathered,
    identifier: Identifier,
    options: TimelineOptions,
    layout: str,
    *,
    rule: dict[str, Any],
    channel: int | None,
    raw: RawFormat | None,
    jobs: int,
    quiet: bool,
) -> int:
    """Make and print the timelines of recordings; give the exit status."""
    recordings = gathered.recordings
    n_asked = len(recordings) + len(gathered.problems)
    alone = [name for name, wanted in (("--plot", options.plot_path), ("--report", options.report_path)) if wanted]
    alone += [f"--format {layout}"] if layout in ONE_RECORDING else []
    if alone and n_asked != 1:
        raise click.UsageError(f"{alone[0]} is for one recording, and there are {n_asked}")
    _check_pictures(options, recordings)
    if layout == "rttm":
        _check_file_ids(recordings)
    status = 3 if gathered.problems else 0
    print_heading(layout)
    rows: list[list[str]] = []
    many = n_asked > 1
    for timeline in _unfound(gathered):
        rows += _print_one(timeline, layout, many=many)
        complain(timeline.message or timeline.path)
    for recording in recordings:
        timeline = _made(identifier, recording, options, rule=rule, channel=channel, raw=raw, jobs=jobs, quiet=quiet)
        rows += _print_one(timeline, layout, many=many)
        _pictures(timeline, recording, options, channel=channel, quiet=quiet)
        if timeline.failed:
            status = 3
            complain(timeline.message or timeline.path)
        elif timeline.message:
            note(f"warning: {timeline.message}", quiet=quiet)
    if layout == "table" and rows:
        columns = [("Recording", "left")] if many else []
        print_table(
            [*columns, ("Start", "right"), ("End", "right"), ("Speaker", "left"), ("Probability", "right"),
             ("LLR", "right"), ("Speech s", "right")],
            rows,
        )  # fmt: skip
    return status


def _check_pictures(options: TimelineOptions, recordings: Sequence[Recording]) -> None:
    """Refuse places that nothing can be written to, and the recording itself, before the work begins."""
    from speakerid.workflows.outputs import check_output, refuse_inputs
    from speakerid.workflows.timeline_page import PAGE_ENDINGS
    from speakerid.workflows.timeline_plot import PLOT_ENDINGS

    for path, endings in ((options.plot_path, PLOT_ENDINGS), (options.report_path, PAGE_ENDINGS)):
        if path is not None:
            check_output(path, endings)
    refuse_inputs([options.plot_path, options.report_path], [recording.path for recording in recordings])


def _check_file_ids(recordings: Sequence[Recording]) -> None:
    """Refuse two recordings that RTTM would call the same."""
    from speakerid.workflows.timeline_formats import file_id

    paths: dict[str, str] = {}
    for recording in recordings:
        other = paths.setdefault(file_id(recording.path), recording.path)
        if other != recording.path:
            name = shown(file_id(recording.path))
            raise click.UsageError(
                f"RTTM calls both {shown(other)} and {shown(recording.path)} {name}: ask for them one by one, or rename one"
            )


def _made(
    identifier: Identifier,
    recording: Recording,
    options: TimelineOptions,
    *,
    rule: dict[str, Any],
    channel: int | None,
    raw: RawFormat | None,
    jobs: int,
    quiet: bool,
) -> Timeline:
    from speakerid.cli.follow import summary

    bars: list[Progress] = []

    def tell(seconds: float, expected: float | None) -> None:
        if not bars and expected:
            bars.append(Progress(round(expected), f"seconds of {shown(recording.label)}", quiet=quiet))
        for bar in bars:
            bar(min(round(seconds), round(expected or seconds)))

    try:
        timeline = identifier.timeline(
            recording, window=options.window, hop=options.hop, channel=channel, raw=raw, jobs=jobs, progress=tell,
            keep_windows=options.plot_path is not None or options.report_path is not None, **rule,
        )  # fmt: skip
    finally:
        for bar in bars:
            bar.stop()
    if timeline.duration_seconds is not None and not timeline.failed:
        note(f"{shown(recording.label)}: {summary(timeline, timeline.duration_seconds)}", quiet=quiet)
    return timeline


def _unfound(gathered: Gathered) -> list[Timeline]:
    from speakerid.workflows.timeline import Timeline

    return [Timeline(path, "undecided", None, "unreadable", message, None, None) for path, message in gathered.problems]


def _print_one(timeline: Timeline, layout: str, *, many: bool) -> list[list[str]]:
    """Print a timeline, or give the rows of its table."""
    from speakerid.workflows import timeline_formats as formats

    if layout == "table":
        label = [shown(timeline.path)] if many else []
        if not timeline.segments and not timeline.failed:
            return []
        if timeline.failed and not timeline.segments:
            return [[*label, "", "", answered(timeline.status, None, None, timeline.reason), "", "", ""]]
        return [[*label, *segment_row(segment)] for segment in timeline.segments]
    if layout == "json":
        print_json(timeline.to_dict())
    elif layout == "csv":
        print_csv_rows(formats.csv_rows(timeline))
    else:
        write = {
            "rttm": formats.to_rttm, "audacity": formats.to_audacity, "vtt": formats.to_webvtt, "srt": formats.to_srt
        }[layout]  # fmt: skip
        click.echo(write(timeline), nl=False)
    return []


def segment_row(segment: Segment) -> list[str]:
    """Write a segment as the cells of a table."""
    from speakerid.workflows.timeline_words import clock

    return [
        clock(segment.start, step=0.1),
        clock(segment.end, step=0.1),
        answered(segment.status, segment.decision, segment.nearest, segment.reason),
        "" if segment.probability is None else percent(segment.probability),
        "" if segment.llr is None else f"{segment.llr:.1f}",
        f"{segment.speech_seconds:.1f}",
    ]


def _pictures(
    timeline: Timeline, recording: Recording, options: TimelineOptions, *, channel: int | None, quiet: bool
) -> None:
    """Write the picture and the page."""
    written = []
    if options.plot_path is not None:
        from speakerid.workflows.timeline_audio import summarise_audio
        from speakerid.workflows.timeline_plot import plot_timeline

        audio = None
        if timeline.duration_seconds is not None and recording.path != STDIN and not timeline.failed:
            audio = summarise_audio(recording, channel=channel, spectrogram=options.spectrogram)
        background: Any = "spectrogram" if options.spectrogram and audio is not None else "waveform"
        plot_timeline(timeline, options.plot_path, audio=audio, background=background)
        written.append(options.plot_path)
    if options.report_path is not None:
        from speakerid.workflows.timeline_page import write_page

        write_page(timeline, options.report_path, source=None if timeline.failed else recording, channel=channel)
        written.append(options.report_path)
    if written:
        note(f"written: {', '.join(map(shown, written))}", quiet=quiet)


def follow_stdin(
    identifier: Identifier,
    options: TimelineOptions,
    layout: str,
    *,
    rule: dict[str, Any],
    channel: int | None,
    raw: RawFormat | None,
    quiet: bool,
) -> int:
    """Answer while standard input comes; give the exit status."""
    from speakerid.audio.live import open_live
    from speakerid.cli.follow import Listening, follow, summary
    from speakerid.errors import RecordingError

    engine = identifier.timeline_stream(label=shown(STDIN), path=STDIN, window=options.window, hop=options.hop, **rule)
    if sys.stdin is None:
        raise RecordingError(f"{shown(STDIN)}: standard input is closed", reason="unreadable")
    stream = open_live(
        sys.stdin.buffer, raw=raw, sample_rate=identifier.front_end.sample_rate, channel=channel, label=shown(STDIN)
    )
    with Listening() as listening, stream:
        note(
            f"answers come some seconds after the words, {engine.longest_delay_seconds:.0f} s at the latest",
            quiet=quiet,
        )
        timeline = follow(
            stream, engine, layout, listening=listening, path=STDIN,
            finish=lambda: engine.finish(source_rate=stream.source_rate, clipped_fraction=stream.clipped_fraction),
        )  # fmt: skip
    note(summary(timeline, stream.seconds), quiet=quiet)
    if listening.fault is not None:
        complain(str(listening.fault))
        return 3
    if timeline.failed:
        complain(timeline.message or shown(STDIN))
        return 3
    if timeline.message:
        note(f"warning: {timeline.message}", quiet=quiet)
    return 0
