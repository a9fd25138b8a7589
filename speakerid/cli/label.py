"""``speakerid label``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from speakerid.audio.paths import shown
from speakerid.cli.options import (
    channel_option,
    check_rule,
    common_options,
    false_accept_option,
    format_option,
    read_config,
)
from speakerid.cli.output import Progress, answered, note, percent, print_json, print_table

if TYPE_CHECKING:
    from speakerid.workflows.label import LabelAnswer, Labelling

__all__ = ["label"]

_WHY = {
    "overlap": "others speak in all of its speech",
    "no_speech": "no speech found",
    "too_short": "too little speech",
    "band": "nothing in the upper band, and the speakers are enrolled with it",
    "beyond_end": "only after the end of the recording",
}


@click.command(
    short_help="Give the labels of a diarizer names.",
    epilog="\b\nExample:  speakerid label meeting.wav meeting.rttm --output named.rttm",
)
@click.argument("audio", type=click.Path(allow_dash=True))
@click.argument("turns", type=click.Path(), metavar="FILE.rttm")
@click.option("--recording", metavar="ID", help="What FILE.rttm calls the recording; left out, the audio file's name.")
@click.option("--output", type=click.Path(), metavar="FILE.rttm", help="Write the turns there.")
@click.option("--repeat-names", is_flag=True, help="Give a name to several labels, if it fits them.")
@click.option("--closed-set", is_flag=True, help="Name every label that has speech, while there are names.")
@false_accept_option
@click.option(
    "--threshold", type=click.FloatRange(min=0), metavar="NATS",
    help="Decide by the margin instead: no name unless it is this far ahead of the next, in nats a frame.",
)  # fmt: skip
@channel_option
@format_option("rttm", "table", "json")
@common_options
def label(
    audio: str,
    turns: str,
    recording: str | None,
    output: str | None,
    repeat_names: bool,
    closed_set: bool,
    false_accept_rate: float | None,
    threshold: float | None,
    channel: int | None,
    layout: str,
    db: str,
    config_path: str | None,
    jobs: int,
    quiet: bool,
) -> int:
    """Replace the labels of a diarizer, such as SPEAKER_00, by the names of enrolled speakers.

    FILE.rttm says who speaks when in AUDIO, as any diarizer writes it. All speech of a label is judged together, without
    what others say at the same time. A name is given to one label only. Labels of nobody who is enrolled stay as they are.
    """
    check_rule(closed_set=closed_set, threshold=threshold, false_accept_rate=false_accept_rate)
    from speakerid.audio import Recording
    from speakerid.audio.rttm import is_rttm, read_rttm
    from speakerid.workflows.identify import Identifier
    from speakerid.workflows.label import label_turns, turns_of
    from speakerid.workflows.outputs import check_output, refuse_inputs, whole_file

    if is_rttm(audio) and not is_rttm(turns):
        raise click.UsageError(f"give the recording first and then its turns: speakerid label {turns} {audio}")
    check_output(output, [".rttm"])
    refuse_inputs([output], [audio, turns])
    chosen, differs = turns_of(read_rttm(turns), audio, rttm=turns, recording=recording)
    identifier = Identifier.open(db, config=read_config(config_path))
    with Progress(round(max(turn.end for turn in chosen)), f"seconds of {shown(audio)}", quiet=quiet) as progress:
        labelling = label_turns(
            identifier, Recording(audio), chosen, threshold=threshold, false_accept_rate=false_accept_rate,
            closed_set=closed_set, repeat_names=repeat_names, channel=channel, jobs=jobs,
            progress=lambda seconds, _expected: progress(round(seconds)),
        )  # fmt: skip
    if output is not None:
        with whole_file(output) as file:
            file.write(labelling.to_rttm())
    _print(labelling, layout, written=output is not None)
    if differs is not None:
        note(differs, quiet=quiet)
    for answer in labelling.labels:
        note(_story(answer, labelling), quiet=quiet)
    for warning in labelling.warnings:
        note(f"warning: {warning}", quiet=quiet)
    if identifier.calibration is None and threshold is None and not closed_set and labelling.names:
        note("Without --threshold, strangers get the nearest name that is left.", quiet=quiet)
    return 0


def _print(labelling: Labelling, layout: str, *, written: bool) -> None:
    """Print the answer; RTTM that is in a file is not printed too."""
    if layout == "json":
        print_json(labelling.to_dict())
    elif layout == "table":
        columns = [("Label", "left"), ("Speaker", "left"), ("Probability", "right"), ("LLR", "right"),
                   ("Speech s", "right"), ("Overlap s", "right")]  # fmt: skip
        print_table(columns, map(_row, labelling.labels))
    elif not written:
        click.echo(labelling.to_rttm(), nl=False)


def _row(answer: LabelAnswer) -> list[str]:
    return [
        answer.label,
        answered(answer.status, answer.decision, answer.nearest, answer.reason),
        "" if answer.probability is None else percent(answer.probability),
        "" if answer.llr is None else f"{answer.llr:.1f}",
        f"{answer.speech_seconds:.1f}",
        f"{answer.overlap_seconds:.1f}",
    ]


def _story(answer: LabelAnswer, labelling: Labelling) -> str:
    """What became of a label, as a sentence."""
    ratio = "" if answer.llr is None else f", LLR {answer.llr:.1f}"
    if answer.decision is not None:
        return f"{answer.label}: {answer.decision} ({answer.speech_seconds:.1f} s of speech{ratio})"
    stays = f"stays {answer.label}"
    if answer.status == "undecided":
        seconds = f" ({answer.speech_seconds:.2f} s)" if answer.reason == "too_short" else ""
        return f"{stays}: {_WHY.get(answer.reason or '', answer.reason or '')}{seconds}"
    if answer.reason == "name_taken":
        owner = next((label for label, name in labelling.names.items() if name == answer.nearest), None)
        whose = f", whose name {owner} has" if owner is not None else ""
        fits = f"fits {answer.nearest}" + (f" ({ratio[2:]})" if ratio else "")
        return f"{stays}: {fits}{whose}; --repeat-names gives a name to several labels"
    return f"{stays}: nobody enrolled (nearest: {answer.nearest}{ratio})"
