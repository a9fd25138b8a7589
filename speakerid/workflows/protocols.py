"""Protocols: what an evaluation enrols, and what it asks.

=========================================== ====================================================================
data                                        protocol
=========================================== ====================================================================
a folder of speaker folders, or a corpus    each speaker's recordings are split (:mod:`speakerid.workflows.splits`)
a manifest whose rows have no split         the same
a manifest with ``test`` rows               its own: enrolled is what is marked ``enroll`` or not marked
any other file                              a trial list (:mod:`speakerid.workflows.trial_lists`)
=========================================== ====================================================================

A protocol is checked whole before any work starts: all rows are read, names are names, files are there, and nothing is
enrolled and asked, or asked twice. An error names the file and the row.

A protocol has rounds, each with models of its own: one, or with folds one a fold. The *digest* is of all that is enrolled
and asked, so two people with the same digest ran the same. It knows paths and not what is in the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from speakerid.audio import AUDIO_EXTENSIONS, Recording, discover_layout, is_manifest, read_manifest
from speakerid.audio.paths import STDIN, shown
from speakerid.audio.recordings import kind_of
from speakerid.errors import ManifestError, RecordingError, UsageError
from speakerid.workflows.analysis import located
from speakerid.workflows.protocol_checks import (
    check_asked_once,
    check_not_enrolled_and_asked,
    check_sessions,
    counted,
    look_up_files,
    with_normal_names,
    without_repeats,
    written,
)
from speakerid.workflows.splits import Grouped, Piece, deal_folds, group_recordings, hold_out
from speakerid.workflows.trial_lists import ListedTrial, read_trial_list

__all__ = ["DEFAULT_TEST_FRACTION", "ContentHashes", "ListedTrial", "Protocol", "Round", "read_protocol"]

DEFAULT_TEST_FRACTION = 0.25
_MOST_FOLDS = 1000

ContentHashes = Callable[[Sequence[Recording]], Sequence[str | RecordingError | None]]
"""Gives for each recording the hash of its audio; for one that cannot be read the error, or None."""

_KINDS = "a folder of speaker folders, a manifest or a trial list"


@dataclass(frozen=True)
class Round:
    """Speakers enrolled together, and the recordings asked of them.

    Attributes
    ----------
    enroll : tuple of Recording
        `speaker` is the speaker or model, in its normal form.
    tests : tuple of Recording
        `speaker` is the truth; None in trial lists.
    """

    enroll: tuple[Recording, ...]
    tests: tuple[Recording, ...]


@dataclass(frozen=True)
class Protocol:
    """A checked plan of what to enrol and what to ask.

    Attributes
    ----------
    name : str
        Of the file without its ending, or of the folder.
    source : str
        The path as given.
    rounds : tuple of Round
    models : tuple of str
        All that are enrolled in any round, sorted.
    trials : tuple of ListedTrial or None
        What is asked of the tests of the only round; None is every test against every model.
    leave_one_out : bool
        Every test is also asked with its own speaker left out, as a stranger.
    how : str
        A sentence for people.
    digest : str
        SHA-256 of all rows, in hexadecimal.
    problems : tuple of (str, str)
        Path and message of recordings that were passed over.
    ignored : tuple of str
        Files in the folder that are not audio by their names.
    notes : tuple of str
        What one should know who reads the figures.
    """

    name: str
    source: str
    rounds: tuple[Round, ...]
    models: tuple[str, ...]
    trials: tuple[ListedTrial, ...] | None
    leave_one_out: bool
    how: str
    digest: str
    problems: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Options:
    """What was asked for besides the data; an option that the data have no use for is refused."""

    layout: str
    test_fraction: float | None
    folds: int | None
    leave_one_speaker_out: bool
    seed: int
    enroll: str | None
    root: str | None

    def check(self) -> None:
        if self.test_fraction is not None and not 0 < self.test_fraction < 1:
            raise UsageError(f"--test-fraction is {self.test_fraction:g}; it must be between 0 and 1, as 0.25")
        if self.folds is not None and not 2 <= self.folds <= _MOST_FOLDS:
            raise UsageError(f"--folds is {self.folds}; it must be from 2 to {_MOST_FOLDS}")
        if self.folds is not None and self.test_fraction is not None:
            raise UsageError("--folds and --test-fraction are two ways to split; give one of them")
        if self.seed < 0:
            raise UsageError(f"--seed is {self.seed}; it must be 0 or more")

    def refuse(self, data: str, why: str, *names: str) -> None:
        given = {
            "--layout": self.layout != "auto",
            "--test-fraction": self.test_fraction is not None,
            "--folds": self.folds is not None,
            "--leave-one-speaker-out": self.leave_one_speaker_out,
            "--enroll": self.enroll is not None,
            "--root": self.root is not None,
        }
        for name in names:
            if given[name]:
                raise UsageError(f"{shown(data)}: {why}; leave {name} out")


def read_protocol(
    data: str,
    *,
    content_hashes: ContentHashes,
    layout: str = "auto",
    test_fraction: float | None = None,
    folds: int | None = None,
    leave_one_speaker_out: bool = False,
    seed: int = 0,
    enroll: str | None = None,
    root: str | None = None,
) -> Protocol:
    """Find out what to enrol and what to ask, and check all of it.

    Parameters
    ----------
    data : str
        A folder of speaker folders, a manifest or a trial list.
    content_hashes : callable
        Called once, with all recordings, and only if there is something to split. What cannot be read is left out.
    layout : str
        Of a folder: one of :data:`speakerid.audio.LAYOUTS`, or ``auto`` to recognise it.
    test_fraction : float, optional
        Share of each speaker's recordings to hold out, 0..1; 0.25 if neither this nor `folds` is given.
    folds : int, optional
        Split into so many parts instead, and ask each of the models of the others.
    leave_one_speaker_out : bool
        Ask every test once more with its own speaker left out.
    seed : int
        Of the split.
    enroll : str, optional
        What the models of a trial list are learned from: a manifest or a folder of speaker folders.
    root : str, optional
        What the paths of a trial list are relative to.

    Raises
    ------
    UsageError
        The request is wrong: an option without a use or out of range, no such data, nothing that could be asked.
    ManifestError
        A row is wrong; the message names file and row.
    """
    options = _Options(layout, test_fraction, folds, leave_one_speaker_out, seed, enroll, root)
    options.check()
    if _is_folder(data):
        options.refuse(data, "a folder of speakers enrols its own recordings", "--enroll", "--root")
        protocol = _from_folder(data, options, content_hashes)
    elif is_manifest(data):
        options.refuse(data, "a manifest names its recordings itself", "--layout", "--enroll", "--root")
        protocol = _from_manifest(data, options, content_hashes)
    elif Path(data).suffix[1:].casefold() in AUDIO_EXTENSIONS:
        raise UsageError(f"{shown(data)}: a recording; give {_KINDS}")
    else:
        why = "a trial list says itself what is asked"
        options.refuse(data, why, "--test-fraction", "--folds", "--leave-one-speaker-out")
        protocol = _from_trial_list(data, options)
    if leave_one_speaker_out:
        asked = {test.speaker for one in protocol.rounds for test in one.tests}.intersection(protocol.models)
        if len(asked) < 2:
            raise UsageError(
                f"{shown(data)}: to leave one speaker out takes two who are enrolled and asked, but there is {len(asked)}; "
                "add recordings or drop --leave-one-speaker-out"
            )
    return protocol


def _is_folder(data: str) -> bool:
    if data == STDIN:
        raise UsageError(f"standard input cannot be evaluated; give {_KINDS}")
    try:
        mode = Path(data).stat().st_mode
    except FileNotFoundError as error:
        raise UsageError(f"{shown(data)}: no such file or folder; give {_KINDS}") from error
    except OSError as error:
        raise UsageError(f"{shown(data)}: cannot be read ({(error.strerror or str(error)).lower()})") from error
    except ValueError as error:  # a null byte
        raise UsageError(f"{shown(data)}: not a possible path") from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise UsageError(f"{shown(data)}: {kind_of(mode)}, not a file; give {_KINDS}")
    return stat.S_ISDIR(mode)


def _from_folder(data: str, options: _Options, content_hashes: ContentHashes) -> Protocol:
    found = discover_layout(data, options.layout)
    recordings = with_normal_names(found.recordings)
    return _split(data, data, recordings, options, content_hashes, problems=found.problems, ignored=found.ignored)


def _from_manifest(data: str, options: _Options, content_hashes: ContentHashes) -> Protocol:
    folder = os.fspath(Path(data).parent)
    rows = with_normal_names(read_manifest(data))
    if not rows:
        raise ManifestError(f"{shown(data)}: no rows but the header; add recordings")
    if all(row.split is None for row in rows):
        return _split(data, folder, rows, options, content_hashes)
    why = "it says itself what is asked, in its column split"
    options.refuse(data, why, "--test-fraction", "--folds")
    tests = [row for row in rows if row.split == "test"]
    enroll = [row for row in rows if row.split != "test"]
    if not tests:
        raise ManifestError(
            f"{shown(data)}: no rows to ask; mark some as test, or remove the column split to have the recordings split"
        )
    if not enroll:
        raise ManifestError(f"{shown(data)}: no rows to enrol; add some whose split is enroll or empty")
    files = look_up_files(rows, advice="paths are relative to the manifest's folder")
    check_asked_once(tests, files)
    enroll, repeats = without_repeats(enroll, files)
    check_sessions(enroll, tests)
    check_not_enrolled_and_asked(enroll, tests, files)
    notes = [f"{counted(repeats, 'row enrols', 'rows enrol')} what another one does: counted once"] * bool(repeats)
    models = tuple(sorted({row.speaker or "" for row in enroll}))
    strangers = sum(row.speaker not in models for row in tests)
    rounds = (Round(tuple(enroll), tuple(tests)),)
    return Protocol(
        name=_name(data),
        source=data,
        rounds=rounds,
        models=models,
        trials=None,
        leave_one_out=options.leave_one_speaker_out,
        how=f"as the protocol says: {counted(len(enroll), 'recording')} of {counted(len(models), 'speaker')} enrolled, "
        f"{len(tests)} asked, {strangers or 'none'} of them of strangers",
        digest=_digest(rounds, None, folder, folder, leave_one_out=options.leave_one_speaker_out),
        notes=(*notes, *_notes_of_models(models)),
    )


def _from_trial_list(data: str, options: _Options) -> Protocol:
    found = read_trial_list(data, enroll=options.enroll, root=options.root, layout=options.layout)
    rounds = (Round(found.enroll, found.tests),)
    targets = sum(trial.target for trial in found.trials)
    return Protocol(
        name=_name(data),
        source=data,
        rounds=rounds,
        models=found.models,
        trials=found.trials,
        leave_one_out=False,
        how=f"{counted(len(found.trials), 'trial')}, {targets} of them targets, of {counted(len(found.models), 'model')} "
        f"and {counted(len(found.tests), 'recording')}",
        digest=_digest(rounds, found.trials, found.enroll_folder, found.tests_folder, leave_one_out=False),
        problems=found.problems,
        ignored=found.ignored,
        notes=found.notes,
    )


def _split(
    data: str,
    folder: str,
    recordings: Sequence[Recording],
    options: _Options,
    content_hashes: ContentHashes,
    *,
    problems: tuple[tuple[str, str], ...] = (),
    ignored: tuple[str, ...] = (),
) -> Protocol:
    files = look_up_files(recordings, advice=f"paths are relative to {shown(folder)}")
    pieces, unreadable = [], []
    for recording, found in zip(recordings, content_hashes(recordings), strict=True):
        if isinstance(found, str):
            pieces.append(Piece(recording, found, files[recording.path], written(recording.path, folder)))
        else:
            message = f"{recording.label}: cannot be read" if found is None else str(found)
            unreadable.append((recording.path, located(recording, message)))
    if not pieces:
        raise UsageError(f"{shown(data)}: no recording can be used; the first problem is {unreadable[0][1]}")
    grouped = group_recordings(pieces)
    if options.folds is None:
        fraction = DEFAULT_TEST_FRACTION if options.test_fraction is None else options.test_fraction
        asked_in = hold_out(grouped, fraction, seed=options.seed)
    else:
        asked_in = deal_folds(grouped, options.folds, seed=options.seed)
    rounds = _rounds(grouped, asked_in)
    if not rounds:
        raise UsageError(
            f"{shown(data)}: nothing can be held out; at least one speaker must have two recordings or sessions with "
            "different audio"
        )
    models = tuple(grouped.groups)
    return Protocol(
        name=_name(data),
        source=data,
        rounds=rounds,
        models=models,
        trials=None,
        leave_one_out=options.leave_one_speaker_out,
        how=_how(grouped, rounds, options),
        digest=_digest(rounds, None, folder, folder, leave_one_out=options.leave_one_speaker_out),
        problems=(*problems, *unreadable, *grouped.problems),
        ignored=ignored,
        notes=(*_notes(grouped, rounds, options), *_notes_of_models(models)),
    )


def _rounds(grouped: Grouped, asked_in: Sequence[int | None]) -> tuple[Round, ...]:
    """Give the rounds that ask something; what is not asked in a round is enrolled there."""
    pairs = list(zip(grouped.recordings, asked_in, strict=True))
    return tuple(
        Round(
            enroll=tuple(recording for recording, asked in pairs if asked != number),
            tests=tuple(recording for recording, asked in pairs if asked == number),
        )
        for number in sorted({asked for asked in asked_in if asked is not None})
    )


def _how(grouped: Grouped, rounds: Sequence[Round], options: _Options) -> str:
    asked = sum(len(one.tests) for one in rounds)
    all_of_them = f"{counted(len(grouped.recordings), 'recording')} of {counted(len(grouped.groups), 'speaker')}"
    whole = ", sessions whole" if any(recording.session for recording in grouped.recordings) else ""
    if options.folds is None:
        return f"{asked} of {all_of_them} held out{whole}, seed {options.seed}"
    rounds_text = counted(len(rounds), "round")
    return f"{asked} of {all_of_them} asked once each, in {rounds_text} of {options.folds} folds{whole}, seed {options.seed}"


def _notes(grouped: Grouped, rounds: Sequence[Round], options: _Options) -> Iterator[str]:
    single = sum(len(groups) == 1 for groups in grouped.groups.values())
    if single:
        has = (
            "has a single recording or session and is" if single == 1 else "have a single recording or session and are"
        )
        yield f"{counted(single, 'speaker')} {has} enrolled only"
    if grouped.copies:
        have = "recording has" if grouped.copies == 1 else "recordings have"
        yield f"{grouped.copies} {have} the same audio as another one of the speaker: counted once"
    if options.folds is not None and len(rounds) < options.folds:
        yield f"{counted(options.folds - len(rounds), 'fold is', 'folds are')} empty: no speaker has recordings for more"


def _notes_of_models(models: Sequence[str]) -> Iterator[str]:
    if len(models) == 1:
        yield "only one speaker is enrolled, so there is nobody to confuse them with"


def _digest(
    rounds: Sequence[Round],
    trials: Sequence[ListedTrial] | None,
    enroll_folder: str,
    tests_folder: str,
    *,
    leave_one_out: bool,
) -> str:
    # a line of JSON a row, so that no two protocols have the same text
    digest = hashlib.sha256()

    def add(*row: object) -> None:
        digest.update(json.dumps(row).encode("ascii") + b"\n")

    add("speakerid protocol", 1, leave_one_out)
    for number, one in enumerate(rounds):
        for side, recordings, folder in (("enroll", one.enroll, enroll_folder), ("test", one.tests, tests_folder)):
            for recording in recordings:
                path = written(recording.path, folder)
                add(number, side, recording.speaker, path, recording.start, recording.end)
    for trial in trials or ():
        add("trial", trial.model, trial.test, trial.target)
    return digest.hexdigest()


def _name(data: str) -> str:
    path = Path(data)
    if path.is_dir():
        return path.name or path.resolve().name or data
    name = path.name[:-3] if path.name.casefold().endswith(".gz") else path.name
    return Path(name).stem or data
