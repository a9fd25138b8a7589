"""Trial lists of verification: the models to enrol, the recordings to ask, and which is asked of which.

- VoxCeleb style: a model is the recording that comes first in a trial, named by its path as the list writes it.
- NIST style: a model is a name, and who it is stands in another manifest or folder. Models without a trial are left out.

A model may be asked about a recording that another model was learned from, but not about one of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from speakerid.audio import Recording, Trial, discover_layout, is_manifest, read_manifest, read_trials
from speakerid.audio.paths import shown
from speakerid.errors import ManifestError, SpeakerNameError, UsageError
from speakerid.store import normal_name
from speakerid.workflows.protocol_checks import (
    File,
    counted,
    look_up_files,
    with_normal_names,
    without_repeats,
    written,
)

__all__ = ["ListedTrial", "TrialList", "read_trial_list"]


@dataclass(frozen=True, slots=True)
class ListedTrial:
    """A question, is this that model's voice, and its answer.

    Attributes
    ----------
    model : int
        Index of the models, in the order of their names.
    test : int
        Index of the tests.
    target : bool
        The answer.
    """

    model: int
    test: int
    target: bool


@dataclass(frozen=True)
class TrialList:
    """A trial list, and what its models are learned from.

    Attributes
    ----------
    enroll : tuple of Recording
        `speaker` is the model's name.
    tests : tuple of Recording
        Each recording once, in the order in which trials ask for them; without speakers.
    models : tuple of str
        Sorted.
    trials : tuple of ListedTrial
    enroll_folder, tests_folder : str
        What the paths are relative to.
    problems, ignored : tuple
        What was passed over in a folder to enrol, as in :class:`speakerid.audio.Discovery`.
    notes : tuple of str
    """

    enroll: tuple[Recording, ...]
    tests: tuple[Recording, ...]
    models: tuple[str, ...]
    trials: tuple[ListedTrial, ...]
    enroll_folder: str
    tests_folder: str
    problems: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Enrolment:
    recordings: list[Recording]
    folder: str
    problems: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()


def read_trial_list(
    path: str, *, enroll: str | None = None, root: str | None = None, layout: str = "auto"
) -> TrialList:
    """Read a trial list whole, and check it.

    Parameters
    ----------
    path : str
    enroll : str, optional
        For NIST style: a manifest, of whose rows those to enrol are taken, or a folder of speaker folders.
    root : str, optional
        The folder that paths in the list are relative to; the list's own if None.
    layout : str
        Of the folder to enrol.

    Raises
    ------
    UsageError
        `enroll` is missing, or there is nothing for it to do.
    ManifestError
        A row is wrong, contradicts another, or names a model that is not enrolled; a file is missing; or there are no
        targets or no non-targets.
    """
    folder = os.fspath(Path(path).parent) if root is None else root
    trials, repeats = _distinct(_with_normal_models(read_trials(path, root=root)))
    _require_both_answers(path, trials)
    by_path = trials[0].model_is_path
    if by_path and enroll is not None:
        raise UsageError(
            f"{shown(path)}: its models are the recordings that it names; leave --enroll {shown(enroll)} out"
        )
    if by_path and layout != "auto":
        raise UsageError(f"{shown(path)}: a trial list has no layout; leave --layout out")
    if not by_path and enroll is None:
        raise UsageError(
            f"{shown(path)}: its models are names, as {shown(trials[0].model)} in row {_row(trials[0])}; say whose "
            "recordings they are learned from with --enroll FILE.csv or --enroll FOLDER"
        )
    names = {trial.model: written(trial.model, folder) if by_path else trial.model for trial in trials}
    notes = [f"{counted(repeats, 'trial is a repeat', 'trials are repeats')} of another one: counted once"] * bool(
        repeats
    )
    if enroll is None:
        first = {trial.model: trial for trial in reversed(trials)}
        enrolment = _Enrolment([Recording(p, speaker=names[p], origin=first[p].origin) for p in names], folder)
    else:
        enrolment = _enrolment(enroll, layout)
        unused = {one.speaker for one in enrolment.recordings}.difference(names.values())
        _require_enrolled(trials, names, enrolment.recordings, enroll)
        if unused:
            notes.append(f"{counted(len(unused), 'speaker')} of {shown(enroll)} without a trial: not enrolled")
    used = set(names.values())
    learned = [one for one in enrolment.recordings if one.speaker in used]
    segments = {trial.segment: trial for trial in reversed(trials)}
    order = dict.fromkeys(trial.segment for trial in trials)
    tests = tuple(Recording(segment, origin=segments[segment].origin) for segment in order)
    files = look_up_files(
        [*tests, *learned] if enroll is None else tests,
        advice=f"paths are relative to {shown(folder)}; --root FOLDER says to what else",
    )
    if enroll is not None:
        files |= look_up_files(learned, advice=f"paths are relative to {shown(enrolment.folder)}")
    learned, again = without_repeats(learned, files, shared=True)
    if again:
        notes.append(f"{counted(again, 'row enrols', 'rows enrol')} a recording of that speaker again: counted once")
    _require_others_recordings(trials, names, learned, files)
    models = tuple(sorted(used))
    column = {name: number for number, name in enumerate(models)}
    row = {segment: number for number, segment in enumerate(order)}
    return TrialList(
        enroll=tuple(learned),
        tests=tests,
        models=models,
        trials=tuple(ListedTrial(column[names[one.model]], row[one.segment], one.target) for one in trials),
        enroll_folder=enrolment.folder,
        tests_folder=folder,
        problems=enrolment.problems,
        ignored=enrolment.ignored,
        notes=tuple(notes),
    )


def _distinct(trials: Iterable[Trial]) -> tuple[list[Trial], int]:
    """Leave out repeats, and count them; refuse contradictions."""
    first: dict[tuple[str, str], Trial] = {}
    repeats = 0
    for trial in trials:
        other = first.setdefault((trial.model, trial.segment), trial)
        if other is trial:
            continue
        if other.target != trial.target:
            answers = [_answer(one.target, trial) for one in (trial, other)]
            raise ManifestError(
                f"{trial.origin}: {shown(trial.model)} and {shown(trial.segment)} are {answers[0]} here and {answers[1]} "
                f"in row {_row(other)}; remove one"
            )
        repeats += 1
    return list(first.values()), repeats


def _answer(target: bool, trial: Trial) -> str:
    return str(int(target)) if trial.model_is_path else "target" if target else "nontarget"


def _require_both_answers(path: str, trials: Sequence[Trial]) -> None:
    for target in (True, False):
        if not any(trial.target is target for trial in trials):
            raise ManifestError(
                f"{shown(path)}: {counted(len(trials), 'trial')}, and not one is {_answer(target, trials[0])}: there is no "
                "equal error rate without; add some"
            )


def _with_normal_models(trials: Iterable[Trial]) -> Iterator[Trial]:
    names: dict[str, str] = {}
    for trial in trials:
        if trial.model_is_path:
            yield trial
            continue
        if trial.model not in names:
            try:
                names[trial.model] = normal_name(trial.model)
            except SpeakerNameError as error:
                raise ManifestError(f"{trial.origin}: {error}") from error
        yield replace(trial, model=names[trial.model])


def _enrolment(enroll: str, layout: str) -> _Enrolment:
    if Path(enroll).is_dir():
        found = discover_layout(enroll, layout)
        return _Enrolment(with_normal_names(found.recordings), enroll, found.problems, found.ignored)
    if not is_manifest(enroll):
        what = "a manifest, which ends in .csv, or a folder of speaker folders"
        raise UsageError(f"--enroll {shown(enroll)}: neither {what}; give one of them")
    if layout != "auto":
        raise UsageError(f"--enroll {shown(enroll)}: a manifest has no layout; leave --layout out")
    rows = [one for one in read_manifest(enroll) if one.split != "test"]
    if not rows:
        raise ManifestError(f"{shown(enroll)}: no rows to enrol; add some whose split is enroll or empty")
    return _Enrolment(with_normal_names(rows), os.fspath(Path(enroll).parent))


def _require_enrolled(
    trials: Sequence[Trial], names: Mapping[str, str], enrolled: Sequence[Recording], enroll: str
) -> None:
    known = {one.speaker for one in enrolled}
    missing = [trial for trial in trials if names[trial.model] not in known]
    if missing:
        others = len({names[trial.model] for trial in missing}) - 1
        more = f", and {counted(others, 'more model is', 'more models are')} not either" if others else ""
        raise ManifestError(
            f"{missing[0].origin}: {shown(missing[0].model)} is not enrolled in {shown(enroll)}{more}; add recordings there "
            "or remove the trials"
        )


def _require_others_recordings(
    trials: Sequence[Trial], names: Mapping[str, str], enroll: Sequence[Recording], files: Mapping[str, File]
) -> None:
    learned: dict[tuple[str | None, File], Recording] = {}
    for recording in enroll:
        learned.setdefault((recording.speaker, files[recording.path]), recording)
    for trial in trials:
        recording_learned = learned.get((names[trial.model], files[trial.segment]))
        if recording_learned is not None:
            source = "" if trial.model_is_path else f" in {recording_learned.origin or shown(recording_learned.path)}"
            raise ManifestError(
                f"{trial.origin}: {shown(names[trial.model])} is asked about {shown(trial.segment)}, which it is learned "
                f"from{source}; remove the trial"
            )


def _row(trial: Trial) -> str:
    return trial.origin.rpartition("row ")[2]
