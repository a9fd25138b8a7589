"""``speakerid evaluate --timelines``: who speaks when against the truth, printed and written down."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from speakerid.audio.paths import shown
from speakerid.cli.evaluation_figures import every_system
from speakerid.cli.output import Progress, complain, note, print_json, print_table

if TYPE_CHECKING:
    from speakerid.workflows.evaluate import System
    from speakerid.workflows.timeline_evaluation import TimelineEvaluation

__all__ = ["check_timeline_options", "score_timelines", "timeline_options"]

_INTERRUPTED = 130
# with more systems the table of figures would be wider than a terminal
_MOST_COLUMNS = 3
_MOST_CONFUSIONS = 5

Command = TypeVar("Command", bound=Callable[..., Any])


def timeline_options(command: Command) -> Command:
    """--timelines, --collar, --skip-overlap, --uem and --rttm."""
    options = [
        click.option("--timelines", "truth", type=click.Path(), metavar="TRUTH.rttm",
                     help="Score who speaks when, against these turns: DATA's test recordings, or the turns of an RTTM."),
        click.option("--collar", type=click.FloatRange(min=0), metavar="SECONDS",
                     help="For timelines: do not score so much on each side of the truth's boundaries; 0 if left out."),
        click.option("--skip-overlap", is_flag=True, help="For timelines: do not score where several speak at once."),
        click.option("--uem", type=click.Path(), metavar="FILE.uem", help="For timelines: score these stretches only."),
        click.option("--rttm", type=click.Path(), metavar="FILE.rttm", help="For timelines: write what was found there."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def check_timeline_options(
    data: str,
    truth: str | None,
    *,
    of_timelines: Mapping[str, bool],
    of_others: Mapping[str, bool],
    of_recordings: Mapping[str, bool],
) -> None:
    """Refuse options that have no use in what was asked for.

    Parameters
    ----------
    data, truth : str
    of_timelines, of_others, of_recordings : mapping of str to bool
        By option, whether it was given: those that need --timelines, those that it has no use for, and those that turns
        have no use for, of which no timelines are made.

    Raises
    ------
    click.UsageError
    """
    turns = data.lower().endswith(".rttm")
    if truth is None:
        for name in _given(of_timelines):
            raise click.UsageError(f"{name} is for timelines: give --timelines TRUTH.rttm too")
        if turns:
            raise click.UsageError(f"{shown(data)}: turns are compared with the truth: give --timelines TRUTH.rttm too")
        return
    for name in _given(of_others):
        if turns and name == "--enroll":
            continue  # who was enrolled when they were found
        raise click.UsageError(f"{name} has no use for timelines: leave it or --timelines out")
    if turns:
        for name in _given(of_recordings):
            raise click.UsageError(
                f"{shown(data)}: {name} changes nothing in turns that are there already; leave it out"
            )


def _given(options: Mapping[str, bool]) -> list[str]:
    return [name for name, given in options.items() if given]


def score_timelines(
    data: str,
    truth: str,
    systems: Sequence[System],
    *,
    collar: float | None,
    skip_overlap: bool,
    uem: str | None,
    enroll: str | None,
    rttm_path: str | None,
    json_path: str | None,
    threshold: float | None,
    false_accept_rate: float | None,
    corpus_layout: str,
    seed: int,
    cache: bool,
    channel: int | None,
    config_paths: Sequence[str],
    layout: str,
    jobs: int,
    quiet: bool,
) -> int:
    """Score timelines, print and write down what is wrong in them, and return the exit status."""
    from speakerid.workflows.outputs import check_output, refuse_inputs
    from speakerid.workflows.timeline_evaluation import carry_out
    from speakerid.workflows.timeline_plan import enrolled_names, plan_timelines

    if collar is not None and not collar < float("inf"):
        raise click.UsageError("--collar needs a number of seconds, such as 0.25")
    if rttm_path is not None and len(systems) > 1:
        raise click.UsageError("--rttm has room for the timelines of one system: give one --config")
    check_output(json_path, (".json",))
    check_output(rttm_path, (".rttm",))
    outputs = [path for path in (json_path, rttm_path) if path is not None]
    # before a list is read that may be long to read
    refuse_inputs(outputs, [data, truth, *config_paths, *([uem] if uem else [])])
    try:
        plan = plan_timelines(
            data, truth, uem=uem, known=None if enroll is None else enrolled_names(enroll), config=systems[0].config,
            layout=corpus_layout, channel=channel, seed=seed, cache=cache, jobs=jobs,
        )  # fmt: skip
        refuse_inputs(outputs, [*plan.paths, *(system.config.world.file for system in systems)])
        note(plan.how, quiet=quiet)
        for _path, message in plan.problems:
            complain(message)
        for text in plan.notes:
            note(text, quiet=quiet)
        with Progress(plan.steps * len(systems), "evaluating", quiet=quiet) as progress:
            evaluation = carry_out(
                plan, config=None if plan.found is not None else {system.name: system.config for system in systems},
                collar=collar or 0.0, skip_overlap=skip_overlap, threshold=threshold,
                false_accept_rate=false_accept_rate, channel=channel, seed=seed, jobs=jobs, progress=progress,
            )  # fmt: skip
        return _report(evaluation, json_path=json_path, rttm_path=rttm_path, layout=layout, quiet=quiet)
    except KeyboardInterrupt:
        complain("stopped; nothing is kept")
        return _INTERRUPTED


def _report(
    evaluation: TimelineEvaluation, *, json_path: str | None, rttm_path: str | None, layout: str, quiet: bool
) -> int:
    from speakerid.workflows.results import save_json, save_text
    from speakerid.workflows.timeline_formats import to_rttm

    problems = dict.fromkeys(problem.message for system in evaluation.systems for problem in system.problems)
    for message in problems:
        complain(message)
    for message in dict.fromkeys(message for system in evaluation.systems for message in system.warnings):
        note(f"warning: {message}", quiet=quiet)
    values = evaluation.to_dict(command=shlex.join(["speakerid", *sys.argv[1:]]))
    # before the answers are printed: whoever reads those may stop reading
    if json_path is not None:
        save_json(json_path, values)
    if rttm_path is not None:
        save_text(rttm_path, "".join(map(to_rttm, evaluation.systems[0].timelines)))
    if layout == "json":
        for system in every_system(values):
            print_json({key: system[key] for key in ("system", "timelines", "times_real_time")})
    else:
        _print(every_system(values))
        _explain(values, quiet=quiet)
    written = [path for path in (json_path, rttm_path) if path is not None]
    if written:
        note(f"written: {', '.join(written)}", quiet=quiet)
    return 3 if problems or evaluation.plan.problems else 0


def _print(systems: Sequence[Mapping[str, Any]]) -> None:
    _print_recordings(systems)
    click.echo()
    _print_figures(systems)
    _print_confusions(systems)


def _print_recordings(systems: Sequence[Mapping[str, Any]]) -> None:
    """A row for each recording, and one for all; of several systems one below the other."""
    columns = [("Recording", "left"), ("System", "left"), ("Speech s", "right"), ("Missed s", "right"),
               ("False alarm s", "right"), ("Confusion s", "right"), ("IER %", "right"), ("DER %", "right"),
               ("Errors in overlap", "right")]  # fmt: skip
    found = [system["timelines"] for system in systems]
    rows = []
    for number, recording in enumerate(found[0]["recordings"]):
        for system, figures in zip(systems, found, strict=True):
            each = figures["recordings"][number]
            rows.append([recording["recording"], system["system"], *_seconds(each, each)])
    for system, figures in zip(systems, found, strict=True):
        rows.append(["all together", system["system"], *_seconds(figures["all"], figures)])
    if len(systems) == 1:
        del columns[1]
        rows = [[first, *rest] for first, _system, *rest in rows]
    print_table(columns, rows)


def _seconds(errors: Mapping[str, Any], rates: Mapping[str, Any]) -> list[str]:
    total, wrong = errors["speech_seconds"], sum(errors[kind] for kind in ("missed", "false_alarm", "confusion"))
    kinds = [_part(errors[kind], total) for kind in ("missed", "false_alarm", "confusion")]
    return [f"{total:.1f}", *kinds, _percent(rates["ier"]), _percent(rates["der"]), _share(errors, wrong)]


def _part(seconds: float, total: float) -> str:
    return f"{seconds:.1f} ({100 * seconds / total:.1f} %)" if total > 0 else f"{seconds:.1f}"


def _share(errors: Mapping[str, Any], wrong: float) -> str:
    return f"{100 * errors['errors_in_overlap'] / wrong:.1f} %" if wrong > 0 else "-"


def _print_figures(systems: Sequence[Mapping[str, Any]]) -> None:
    """A row for each figure and a column for each system; of many systems, a row for each."""
    labels = ["IER % (95 % interval)", "DER % (95 % interval)", "Least with one voice at a time %",
              "Boundaries: median error s", "Boundaries within 0.3 s %", "Times real time"]  # fmt: skip
    columns = [_figures(system) for system in systems]
    if all(column[-1] == "-" for column in columns):  # of turns that were there already
        labels, columns = labels[:-1], [column[:-1] for column in columns]
    names = [system["system"] for system in systems]
    if len(systems) > _MOST_COLUMNS:
        rows = [[name, *column] for name, column in zip(names, columns, strict=True)]
        print_table([("System", "left"), *((label, "right") for label in labels)], rows)
        return
    headings = names if len(systems) > 1 else ["Value"]
    rows = [[label, *cells] for label, *cells in zip(labels, *columns, strict=True)]
    print_table([("Figure", "left"), *((heading, "right") for heading in headings)], rows)


def _figures(system: Mapping[str, Any]) -> list[str]:
    found, speed = system["timelines"], system["times_real_time"]
    boundaries = found["boundaries"]
    median = boundaries["median"]
    if median is None:
        median = "-" if not boundaries["n"] else "above 2"
    else:
        median = f"{median:.2f}"
    return [
        _percent(found["ier"], found["ier_ci95"]),
        _percent(found["der"], found["der_ci95"]),
        _percent(found["floor_from_overlap"]),
        median,
        _percent(boundaries["share_within_0.3_s"]),
        "-" if speed is None else f"{speed:.0f}",
    ]


def _percent(rate: float | None, interval: Sequence[float] | None = None) -> str:
    if rate is None:
        return "-"
    ends = "" if interval is None else f" ({100 * interval[0]:.1f}-{100 * interval[1]:.1f})"
    return f"{100 * rate:.1f}{ends}"


def _print_confusions(systems: Sequence[Mapping[str, Any]]) -> None:
    """Who was taken for whom, the longest first."""
    rows = [
        [system["system"], each["reference"], each["found"], f"{each['seconds']:.1f}"]
        for system in systems
        for each in system["timelines"]["confusions"][:_MOST_CONFUSIONS]
    ]
    if not rows:
        return
    columns = [("System", "left"), ("Speaker", "left"), ("Taken for", "left"), ("Seconds", "right")]
    if len(systems) == 1:
        columns, rows = columns[1:], [row[1:] for row in rows]
    click.echo()
    print_table(columns, rows)


def _explain(values: Mapping[str, Any], *, quiet: bool) -> None:
    about = values["timelines"]
    note(
        "Seconds of speech of the truth, in which two at once count twice. IER: names; DER: labels as they fit best in each "
        "recording.",
        quiet=quiet,
    )
    left_out = []
    if about["collar"]:
        left_out.append(f"{about['collar']:g} s on each side of the truth's boundaries")
    if about["skip_overlap"]:
        left_out.append("where several speak at once")
    if about["uem"]:
        left_out.append(f"what is not in {about['uem']}")
    if left_out:
        note(f"Not scored: {', '.join(left_out)}.", quiet=quiet)
    note(
        "Intervals: resampled stretches of 10 s; they hold for these voices in these rooms, not for others.",
        quiet=quiet,
    )
    if any(len(system["timelines"]["confusions"]) > _MOST_CONFUSIONS for system in every_system(values)):
        note("Of the confusions the longest are shown; --json writes all.", quiet=quiet)
