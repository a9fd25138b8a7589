"""``speakerid evaluate``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from speakerid.cli.evaluate_timelines import check_timeline_options, score_timelines, timeline_options
from speakerid.cli.evaluation_figures import every_system, explain, print_figures, print_figures_as_json
from speakerid.cli.options import (
    channel_option,
    common_options_with_configs,
    false_accept_option,
    format_option,
    read_config,
)
from speakerid.cli.output import Progress, complain, note, note_ignored

if TYPE_CHECKING:
    from speakerid.workflows.cache import FeatureCache
    from speakerid.workflows.evaluate import System, SystemResult
    from speakerid.workflows.protocols import Protocol
    from speakerid.workflows.score_book import ScoreBooks

__all__ = ["evaluate"]

_INTERRUPTED = 130


@click.command(
    short_help="Measure how well speakers are told apart.",
    epilog=(
        "\b\nExample:  speakerid evaluate voices/ --report voices.html"
        "\n          speakerid evaluate protocol.csv --json results.json --scores scores.csv"
        "\n          speakerid evaluate voices/ --folds 4 --config a.toml --config b.toml"
        "\n          speakerid evaluate voices/ --degrade noise:10 --degrade telephone+noise:20"
        "\n          speakerid evaluate protocol.csv --timelines truth.rttm --collar 0.25"
    ),
)
@click.argument("data", type=click.Path())
@click.option(
    "--json", "json_path", type=click.Path(), metavar="FILE.json", help="Write all figures and answers there."
)
@click.option("--scores", "scores_path", type=click.Path(), metavar="FILE.csv[.gz]", help="Write every score there.")
@click.option(
    "--report", "report_path", type=click.Path(), metavar="FILE.html", help="Write a page there, for any browser."
)
@click.option("--embed-audio", is_flag=True, help="Put the beginnings of the hardest recordings into the page.")
@click.option("--test-fraction", type=float, metavar="SHARE",
              help="Hold out this share of each speaker's recordings; 0.25 if left out.")  # fmt: skip
@click.option("--folds", type=int, metavar="K", help="Cross-validate: hold out each of K parts in turn.")
@click.option("--leave-one-speaker-out", is_flag=True,
              help="Ask every recording once more as a stranger's, with its own speaker not enrolled.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
              help="Of the split, of the resampling for the intervals, and of what --degrade draws.")  # fmt: skip
@click.option("--layout", "corpus_layout", metavar="NAME", default="auto", show_default=True,
              help="How the folder is laid out: librispeech, voxceleb, timit, voxforge, folders.")  # fmt: skip
@click.option("--enroll", "enroll_data", type=click.Path(), metavar="DATA",
              help="For a trial list: the folder or manifest that its models are learned from; for turns in RTTM: what was "
                   "enrolled when they were found.")  # fmt: skip
@click.option("--root", type=click.Path(), metavar="FOLDER", help="For a trial list: what its paths are relative to.")
@false_accept_option
@click.option("--threshold", type=click.FloatRange(min=0), metavar="NATS",
              help='Say "unknown" as identify --threshold does, and count that.')  # fmt: skip
@click.option("--degrade", "degrade", multiple=True, metavar="SPEC",
              help="Ask the recordings degraded as well: noise:10, telephone, reverb, room, band:100-3000, gain:12, "
                   "codec:opus, clip:12, or several joined with +. Repeatable.")  # fmt: skip
@timeline_options
@click.option("--resume", is_flag=True, help="Go on with this evaluation where it was stopped.")
@click.option("--no-cache", is_flag=True, help="Neither use features of earlier runs nor keep any.")
@channel_option
@format_option("table", "json")
@common_options_with_configs
def evaluate(
    data: str,
    json_path: str | None,
    scores_path: str | None,
    report_path: str | None,
    embed_audio: bool,
    test_fraction: float | None,
    folds: int | None,
    leave_one_speaker_out: bool,
    seed: int,
    corpus_layout: str,
    enroll_data: str | None,
    root: str | None,
    false_accept_rate: float | None,
    threshold: float | None,
    degrade: tuple[str, ...],
    truth: str | None,
    collar: float | None,
    skip_overlap: bool,
    uem: str | None,
    rttm: str | None,
    resume: bool,
    no_cache: bool,
    channel: int | None,
    layout: str,
    db: str,  # noqa: ARG001 - an evaluation trains its own speakers
    config_paths: tuple[str, ...],
    jobs: int,
    quiet: bool,
) -> int:
    """Enrol and ask labelled recordings, and report the figures with their intervals.

    DATA is a folder with one sub-folder a speaker (or LibriSpeech, VoxCeleb, TIMIT, VoxForge), a manifest CSV, or a list of
    verification trials. What has no split = enroll and test is split here, recording, session and copies of the same audio
    on one side. The store is not used: the speakers are trained for the occasion.

    Several --config are several systems: they are asked the same, and their differences are tested. So is every --degrade:
    what is asked is degraded, never what is enrolled.

    With --timelines it is measured who speaks when: in the test recordings of DATA, asked whole, or in the turns of an RTTM
    that any program made. The file's name without ending is its file id.
    """
    from speakerid.workflows.cache import FeatureCache, default_cache_limit
    from speakerid.workflows.evaluate import degraded_systems
    from speakerid.workflows.outputs import refuse_inputs
    from speakerid.workflows.score_book import books_beside

    check_timeline_options(
        data,
        truth,
        of_timelines={
            "--collar": collar is not None, "--skip-overlap": skip_overlap, "--uem": uem is not None,
            "--rttm": rttm is not None,
        },
        of_others={
            "--scores": scores_path is not None, "--report": report_path is not None, "--embed-audio": embed_audio,
            "--test-fraction": test_fraction is not None, "--folds": folds is not None,
            "--leave-one-speaker-out": leave_one_speaker_out, "--enroll": enroll_data is not None,
            "--root": root is not None, "--degrade": bool(degrade), "--resume": resume,
        },
        of_recordings={
            "--config": bool(config_paths), "--threshold": threshold is not None,
            "--false-accept-rate": false_accept_rate is not None, "--layout": corpus_layout != "auto",
            "--channel": channel is not None, "--rttm": rttm is not None, "--no-cache": no_cache,
        },
    )  # fmt: skip
    if embed_audio and report_path is None:
        raise click.UsageError("--embed-audio puts recordings into the page: give --report FILE.html too")
    if resume and no_cache:
        raise click.UsageError("--no-cache keeps nothing to go on with: leave --resume or --no-cache out")
    if threshold is not None and false_accept_rate is not None:
        raise click.UsageError("--threshold and --false-accept-rate are two rules: give one of them")
    if threshold is not None and not threshold < float("inf"):
        raise click.UsageError("--threshold needs a number of nats a frame, such as 2.5")
    if not data:
        raise click.UsageError("DATA is empty: give a folder of speaker folders, a manifest or a trial list")
    if truth is not None:
        return score_timelines(
            data, truth, _systems(config_paths), collar=collar, skip_overlap=skip_overlap, uem=uem, enroll=enroll_data,
            rttm_path=rttm, json_path=json_path, threshold=threshold, false_accept_rate=false_accept_rate,
            corpus_layout=corpus_layout, seed=seed, cache=not no_cache, channel=channel, config_paths=config_paths,
            layout=layout, jobs=jobs, quiet=quiet,
        )  # fmt: skip
    outputs = _checked_outputs(json_path, scores_path, report_path)
    refuse_inputs(outputs, [data, *config_paths, *([enroll_data] if enroll_data else [])])
    systems = degraded_systems(_systems(config_paths), degrade, seed=seed)
    refuse_inputs(outputs, [path for each in systems if each.degradation for path in each.degradation.paths])
    if resume and default_cache_limit() == 0:
        raise click.UsageError("SPEAKERID_CACHE_LIMIT is 0, which keeps nothing to go on with: leave --resume out")
    stopped = "stopped"
    with FeatureCache.temporary() if no_cache else FeatureCache.from_environment() as cache:
        books = books_beside(cache)

        def count(done: int, steps: int) -> None:
            nonlocal stopped
            stopped = f"stopped at {100 * done // max(steps, 1)} %"

        try:
            protocol = _read(
                data, systems, cache, channel=channel, jobs=jobs, quiet=quiet, layout=corpus_layout,
                test_fraction=test_fraction, folds=folds, leave_one_speaker_out=leave_one_speaker_out, seed=seed,
                enroll=enroll_data, root=root,
            )  # fmt: skip
            read = [r.path for each in protocol.rounds for r in (*each.enroll, *each.tests)]
            refuse_inputs(outputs, [*read, *(system.config.world.file for system in systems)])
            _introduce(protocol, quiet=quiet)
            results = _run(
                protocol, systems, cache, channel=channel, threshold=threshold,
                false_accept_rate=false_accept_rate, books=books, jobs=jobs, quiet=quiet, count=count,
            )  # fmt: skip
            if resume:
                _tell_of_resumption(protocol, len(systems), books, quiet=quiet)
            return _report(
                protocol, results, cache, books, seed=seed, channel=channel, json_path=json_path, scores_path=scores_path,
                report_path=report_path, embed_audio=embed_audio, layout=layout, quiet=quiet,
            )  # fmt: skip
        except KeyboardInterrupt:
            _say_how_to_go_on(stopped, kept=books is not None and books.trouble is None and cache.trouble is None)
            return _INTERRUPTED


def _checked_outputs(json_path: str | None, scores_path: str | None, report_path: str | None) -> list[str]:
    from speakerid.workflows.outputs import check_output

    given = [path for path in (json_path, scores_path, report_path) if path is not None]
    if len({str(Path(path).absolute()) for path in given}) < len(given):
        raise click.UsageError("--json, --scores and --report need files of their own")
    check_output(json_path, (".json",))
    check_output(scores_path, (".csv", ".csv.gz"))
    check_output(report_path, (".html", ".htm"))
    return given


def _systems(config_paths: tuple[str, ...]) -> list[System]:
    """A system a config, named after its file; the defaults without one."""
    from speakerid.config import Config
    from speakerid.workflows.evaluate import System

    if not config_paths:
        return [System("default", Config())]
    names = [Path(path).stem for path in config_paths]
    if len(set(names)) < len(names):
        names = list(config_paths)
    if len(set(names)) < len(names):
        raise click.UsageError("the same --config twice: give each once")
    systems = [System(name, read_config(path) or Config()) for name, path in zip(names, config_paths, strict=True)]
    for system in systems:
        _ = system.world  # one that is not there is told before any work
    return systems


def _read(
    data: str,
    systems: Sequence[System],
    cache: FeatureCache,
    *,
    channel: int | None,
    jobs: int,
    quiet: bool,
    **options: Any,
) -> Protocol:
    from speakerid.audio import Recording
    from speakerid.workflows.evaluate import content_hashes
    from speakerid.workflows.protocols import read_protocol

    def hashes(recordings: Sequence[Recording]) -> Sequence[Any]:
        with Progress(len(recordings), "analysing", quiet=quiet) as progress:
            return content_hashes(recordings, systems[0].config, cache, channel=channel, jobs=jobs, progress=progress)

    return read_protocol(data, content_hashes=hashes, **options)


def _introduce(protocol: Protocol, *, quiet: bool) -> None:
    note(f"{protocol.name}: {protocol.how}", quiet=quiet)
    for _path, message in protocol.problems:
        complain(message)
    note_ignored(len(protocol.ignored), quiet=quiet)
    for text in protocol.notes:
        note(text, quiet=quiet)


def _run(
    protocol: Protocol,
    systems: Sequence[System],
    cache: FeatureCache,
    *,
    channel: int | None,
    threshold: float | None,
    false_accept_rate: float | None,
    books: ScoreBooks | None,
    jobs: int,
    quiet: bool,
    count: Callable[[int, int], None],
) -> list[SystemResult]:
    """Answers of every system; `count` is told how many recordings are done, and of how many."""
    from speakerid.workflows.evaluate import evaluate_system, steps_of

    steps = steps_of(protocol)
    results: list[SystemResult] = []
    with Progress(steps * len(systems), "evaluating", quiet=quiet) as progress:

        def advance(of_this: int) -> None:
            done = len(results) * steps + of_this
            count(done, steps * len(systems))
            progress(done)

        for system in systems:
            result = evaluate_system(
                protocol,
                system,
                cache,
                channel=channel,
                threshold=threshold,
                false_accept_rate=false_accept_rate,
                books=books,
                jobs=jobs,
                progress=advance,
            )
            results.append(result)
    return results


def _tell_of_resumption(protocol: Protocol, n_systems: int, books: ScoreBooks | None, *, quiet: bool) -> None:
    asked = sum(len(each.tests) for each in protocol.rounds) * n_systems
    found = books.found if books is not None else 0
    note(f"resumed: {found} of {asked} recordings asked had been scored before", quiet=quiet)


def _say_how_to_go_on(stopped: str, *, kept: bool) -> None:
    if not kept:
        complain(f"{stopped}; nothing is kept")
        return
    name, *arguments = [argument for argument in sys.argv[1:] if argument != "--resume"]
    complain(f"{stopped}; what is done is kept; go on with: {shlex.join(['speakerid', name, '--resume', *arguments])}")


def _report(
    protocol: Protocol,
    results: Sequence[SystemResult],
    cache: FeatureCache,
    books: ScoreBooks | None,
    *,
    seed: int,
    channel: int | None,
    json_path: str | None,
    scores_path: str | None,
    report_path: str | None,
    embed_audio: bool,
    layout: str,
    quiet: bool,
) -> int:
    from speakerid.workflows.results import clips_of, document, save_json, save_scores, save_text

    problems = dict.fromkeys(problem.message for result in results for problem in result.problems)
    notes = []
    repeated = results[0].repeated
    if repeated and protocol.trials is None:
        have = "1 recording asked has" if repeated == 1 else f"{repeated} recordings asked have"
        notes.append(f"{have} the same audio as an enrolled one: the figures flatter")
    for text in notes:
        note(f"warning: {text}", quiet=quiet)
    values = document(protocol, results, seed=seed, command=shlex.join(["speakerid", *sys.argv[1:]]), notes=notes)
    trials = [trial for system in every_system(values) for trial in system["trials"]]
    undecided = dict.fromkeys(trial["message"] for trial in trials if trial["reason"] is not None)
    for message in problems | undecided:
        complain(message)
    # before the answers are printed: whoever reads those may stop reading
    if json_path is not None:
        save_json(json_path, values)
    if scores_path is not None:
        save_scores(scores_path, results)
    if report_path is not None:
        from speakerid.evaluation.report import render_report

        clips = clips_of(values, channel=channel) if embed_audio else None
        save_text(report_path, render_report(values, clips=clips))
    written = [path for path in (json_path, scores_path, report_path) if path is not None]
    if layout == "json":
        print_figures_as_json(values)
    else:
        print_figures(values)
        explain(values, quiet=quiet)
    if written:
        note(f"written: {', '.join(written)}", quiet=quiet)
    if books is not None and books.trouble is not None and cache.trouble is None:
        note(f"warning: {books.trouble}", quiet=quiet)
    _tell_of_cache(cache, quiet=quiet)
    return 3 if problems or undecided or protocol.problems else 0


def _tell_of_cache(cache: FeatureCache, *, quiet: bool) -> None:
    from speakerid.workflows.sizes import format_size

    if cache.trouble is not None:
        note(f"warning: {cache.trouble}", quiet=quiet)
        return
    if cache.n_asked:
        now, before = cache.n_computed, cache.n_asked - cache.n_computed
        damaged = f", {cache.damaged} damaged" if cache.damaged else ""
        text = f"Features: {now:,} computed now, {before:,} from the cache{damaged}"
        if not cache.is_temporary:
            size, limit = format_size(cache.usage().bytes), format_size(cache.limit_bytes)
            text += f", which has {size} of {limit} at most (speakerid cache show)"
        note(f"{text}.", quiet=quiet)
