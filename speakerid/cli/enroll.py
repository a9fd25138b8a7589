"""``speakerid enroll``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

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
    from speakerid.workflows.enroll import EnrolledSpeaker, EnrollmentReport
    from speakerid.workflows.gather import Gathered

__all__ = ["enroll", "print_enrollment"]

_FIELDS = (
    "speaker", "new", "added", "already_enrolled", "recordings", "speech_seconds", "components", "log_likelihood",
)  # fmt: skip


def _components(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | Literal["auto"] | None:
    return None if text is None else parse_components(text)


@click.command(
    short_help="Add speakers, or recordings to speakers.",
    epilog="\b\nExample:  speakerid enroll voices/\n          with voices/alice/*.wav, voices/bob/*.mp3, ...",
)
@click.argument("recordings", nargs=-1, required=True, type=click.Path())
@click.option("--speaker", metavar="NAME", help="Enrol the audio files or folders given under this one name.")
@click.option("--replace", is_flag=True, help="Forget what these speakers had before.")
@click.option("--components", callback=_components, metavar="K|auto",
              help="Gaussians a speaker; auto chooses for each, by the Bayesian information criterion.")  # fmt: skip
@channel_option
@format_option("table", "json", "csv")
@common_options
def enroll(
    recordings: tuple[str, ...],
    speaker: str | None,
    replace: bool,
    components: int | Literal["auto"] | None,
    channel: int | None,
    layout: str,
    db: str,
    config_path: str | None,
    jobs: int,
    quiet: bool,
) -> int:
    """Add speakers, or recordings to speakers who are enrolled.

    RECORDINGS is a folder with one sub-folder a speaker (searched in depth), or a manifest CSV (path,speaker,...), or turns
    in RTTM whose audio lies beside them (the stretches of one voice are taken), or, with --speaker, audio files and folders.
    Adding recordings later gives the same result as enrolling all at once. A recording that is enrolled already changes
    nothing.
    """
    from speakerid.workflows.enroll import enroll_gathered
    from speakerid.workflows.gather import gather_for_enrollment

    config = read_config(config_path)
    gathered = gather_for_enrollment(recordings, speaker=speaker)
    with Progress(len(gathered.recordings), "enrolling", quiet=quiet) as progress:
        report = enroll_gathered(
            db,
            gathered,
            speaker=speaker,
            config=config,
            replace=replace,
            components=components,
            channel=channel,
            jobs=jobs,
            progress=progress,
        )
    print_enrollment(report, layout, db=db, jobs=jobs, quiet=quiet, gathered=gathered)
    n_problems = len(report.problems)
    if n_problems:
        word = "input" if n_problems == 1 else "inputs"
        complain(
            f"{n_problems} {word} could not be used; {'the others were' if report.speakers else 'nothing changed'}"
        )
    return 3 if n_problems else 0


def print_enrollment(
    report: EnrollmentReport, layout: str, *, db: str, jobs: int, quiet: bool, gathered: Gathered | None = None
) -> None:
    """Print what was enrolled, and tell what was not and what it is good for."""
    _print(report, layout)
    for problem in report.problems:
        complain(problem.message)
    _tell(report, 0 if gathered is None else gathered.left_alone, quiet=quiet)
    if gathered is not None:
        _tell_left_out(gathered, quiet=quiet)
    if not quiet:
        _advise(report, db, jobs)


def _values(speaker: EnrolledSpeaker) -> tuple[str, bool, int, int, int, float, int, float]:
    return (
        speaker.name,
        speaker.new,
        speaker.added,
        speaker.already,
        speaker.n_recordings,
        round(speaker.speech_seconds, 3),
        speaker.components,
        round(speaker.log_likelihood, 6),
    )


def _print(report: EnrollmentReport, layout: str) -> None:
    if layout == "json":
        for speaker in report.speakers:
            print_json(dict(zip(_FIELDS, _values(speaker), strict=True)))
        for problem in report.problems:
            print_json({"path": problem.path, "reason": problem.reason, "message": problem.message})
    elif layout == "csv":
        print_csv(_FIELDS, map(_values, report.speakers))
    elif report.speakers:
        columns = [("Speaker", "left"), ("", "left"), ("Added", "right"), ("Recordings", "right"),
                   ("Speech s", "right"), ("Components", "right")]  # fmt: skip
        print_table(columns, map(_row, report.speakers))


def _row(speaker: EnrolledSpeaker) -> list[str]:
    state = "replaced" if speaker.replaced else "new" if speaker.new else "extended" if speaker.added else "unchanged"
    components = str(speaker.components)
    if speaker.components < speaker.components_asked and not speaker.chosen:
        components += f" of {speaker.components_asked}"
    return [
        speaker.name, state, str(speaker.added), str(speaker.n_recordings), f"{speaker.speech_seconds:.1f}", components,
    ]  # fmt: skip


def _tell(report: EnrollmentReport, n_left_alone: int, *, quiet: bool) -> None:
    already = sum(speaker.already for speaker in report.speakers)
    if already:
        were, them = ("recording was", "it") if already == 1 else ("recordings were", "them")
        note(f"{already} {were} enrolled already: nothing was changed for {them}", quiet=quiet)
    note_left_alone(n_left_alone, "test", quiet=quiet)
    note_ignored(len(report.ignored), quiet=quiet)
    chosen = Counter(speaker.components for speaker in report.speakers if speaker.chosen)
    if chosen:
        numbers = ", ".join(f"{k} for {n}" for k, n in sorted(chosen.items()))
        note(
            f"components chosen by BIC, and for how many speakers: {numbers} (speakers show NAME has the values)",
            quiet=quiet,
        )
    for speaker in report.speakers:
        if speaker.name.casefold() in ("unknown", "undecided"):
            note(
                f"warning: a speaker called {speaker.name}: strangers are called that, too, and RTTM and subtitles will not "
                "tell them apart; better rename: speakerid speakers rename",
                quiet=quiet,
            )
        if speaker.components < speaker.components_asked and not speaker.chosen:
            note(
                f"{speaker.name}: {speaker.speech_seconds:.1f} s of speech train {speaker.components} components "
                f"instead of {speaker.components_asked}",
                quiet=quiet,
            )


def _tell_left_out(gathered: Gathered, *, quiet: bool) -> None:
    """Say what of the turns in RTTM is not enrolled."""
    short, overlaps = gathered.too_short, gathered.overlapping
    parts = [f"{overlaps:,} stretch{'' if overlaps == 1 else 'es'} where voices overlap"] if overlaps else []
    if short:
        parts.append(f"{short:,} stretch{'' if short == 1 else 'es'} of less than 0.25 s")
    if parts:
        note(f"left out of the turns: {', and '.join(parts)}", quiet=quiet)


def _advise(report: EnrollmentReport, db: str, jobs: int) -> None:
    """Say what the new recordings themselves show: too little speech, wrong folders, speakers who sound alike."""
    from speakerid.errors import SpeakerIdError
    from speakerid.workflows.advice import advise
    from speakerid.workflows.advice_sentences import sentences

    names = [speaker.name for speaker in report.speakers if speaker.added]
    if not names:
        return
    try:
        lines = sentences(advise(db, names, jobs=jobs))
    except SpeakerIdError as error:
        # all is enrolled; but another process may have removed a speaker since, or somebody else's model be damaged
        lines = [f"no advice on these speakers: {error}"]
    for line in lines:
        note(line, quiet=False)
