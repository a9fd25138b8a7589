"""What is compared with what when timelines are scored: read and checked whole before any work starts.

- A recording is known by its file's name without folder and ending, the file id of the RTTM.
- Names are compared as RTTM writes them: "Mary Ann" is ``Mary_Ann``.
- *Known* are the speakers for whom the answer "unknown" is wrong: all that the protocol enrols, also who could not be
  enrolled. Of turns that are there already known is who is named in them anywhere, because they do not tell who else was
  enrolled: a speaker whom the system never named counts as right where it said "unknown", which flatters a system that
  names few, unless it is told who was enrolled. If nothing in them is "unknown", all are known.
- Without a UEM everything in the turns is scored. With one, only the recordings in it, and only its stretches; a recording
  in it without turns in the truth is one in which nobody speaks.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath

from speakerid.audio import Recording
from speakerid.audio.paths import shown
from speakerid.audio.rttm import SpeakerTurn, is_rttm, read_rttm, read_uem, rttm_line
from speakerid.config import Config
from speakerid.errors import UsageError
from speakerid.evaluation.timelines import Turn
from speakerid.workflows.gather import gather_for_enrollment
from speakerid.workflows.protocol_checks import counted

__all__ = ["UNKNOWN", "Stretches", "TimelinePlan", "enrolled_names", "labels_of", "plan_timelines", "rttm_name"]

UNKNOWN, _UNDECIDED = "unknown", "undecided"
_NAMED_AT_MOST = 5

Stretches = tuple[tuple[float, float], ...]
"""Start and end in seconds."""


@dataclass(frozen=True, eq=False)
class TimelinePlan:
    """What is enrolled, asked and compared, all of it read and checked.

    Attributes
    ----------
    data, truth : str
        Paths as given.
    uem : str or None
    reference : dict of str to tuple of Turn
        By recording.
    stretches : dict of str to tuple of (float, float)
        The evaluated ones by recording; empty without a UEM.
    enroll : tuple of Recording
        None of them if the turns are there already.
    asked : dict of str to Recording
        Whole files, by recording.
    found : dict of str to tuple of Turn, or None
        The turns that are there already.
    known : frozenset of str
        Speakers for whom "unknown" is wrong, as RTTM writes them.
    how : str
        A sentence for people.
    notes : tuple of str
        What one should know who reads the figures.
    problems : tuple of (str, str)
        Path and message of recordings that were passed over.
    """

    data: str
    truth: str
    uem: str | None
    reference: Mapping[str, tuple[Turn, ...]]
    stretches: Mapping[str, Stretches]
    enroll: tuple[Recording, ...]
    asked: Mapping[str, Recording]
    found: Mapping[str, tuple[Turn, ...]] | None
    known: frozenset[str]
    how: str
    notes: tuple[str, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()

    @property
    def steps(self) -> int:
        """Recordings to be worked on for one system, enrolled and asked."""
        return len(self.enroll) + len(self.asked)

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file that is read."""
        audio = (recording.path for recording in (*self.enroll, *self.asked.values()))
        return tuple(dict.fromkeys([self.data, self.truth, *([self.uem] if self.uem else []), *audio]))


def plan_timelines(
    data: str | os.PathLike[str],
    truth: str | os.PathLike[str],
    *,
    uem: str | os.PathLike[str] | None = None,
    known: Collection[str] | None = None,
    config: Config | None = None,
    layout: str = "auto",
    channel: int | None = None,
    seed: int = 0,
    cache: bool = True,
    jobs: int | None = None,
) -> TimelinePlan:
    """Read what is to be compared, and check it before any work starts.

    Parameters
    ----------
    config : Config, optional
        By whose features copies are recognised in a folder of speaker folders.
    data, truth, uem, known, layout, channel, seed, cache, jobs
        As in :func:`speakerid.workflows.timeline_evaluation.evaluate_timelines`.

    Raises
    ------
    UsageError, ManifestError
        The request is wrong, a recording is without truth; or a row of a file is wrong.
    """
    data, truth = os.fspath(data), os.fspath(truth)
    uem = None if uem is None else os.fspath(uem)
    reference = _read_turns(truth)
    stretches = {} if uem is None else {rttm_name(name): found for name, found in read_uem(uem).items()}
    if is_rttm(data):
        return _plan_of_turns(data, truth, uem, reference, stretches, known)
    if known is not None:
        raise UsageError(f"{shown(data)}: known is who it enrols; leave known out")
    return _plan_of_recordings(
        data, truth, uem, reference, stretches, config or Config(),
        layout=layout, channel=channel, seed=seed, cache=cache, jobs=jobs,
    )  # fmt: skip


def _plan_of_turns(
    data: str,
    truth: str,
    uem: str | None,
    reference: dict[str, tuple[Turn, ...]],
    stretches: dict[str, Stretches],
    known: Collection[str] | None,
) -> TimelinePlan:
    found = _read_turns(data)
    without_truth = [name for name in found if name not in reference]
    if uem is None and without_truth:
        raise UsageError(
            f"{shown(truth)}: no turns of {_listed(without_truth)}, which {shown(data)} has; remove them there, or give a "
            "UEM that names what is scored"
        )
    every = dict.fromkeys([*reference, *found])
    chosen = _chosen(every, reference, stretches, uem)
    notes = _notes_of_uem(every, chosen, uem)
    missing = [name for name, turns in chosen.items() if turns and name not in found]
    if missing:
        notes.append(f"warning: {shown(data)} has no turns of {_listed(missing)}: all their speech is missed")
    labels = labels_of(found) - {UNKNOWN, _UNDECIDED}
    speakers = labels_of(chosen) - {UNKNOWN, _UNDECIDED}
    if known is not None:
        names, why = {*map(rttm_name, known)}, "not enrolled"
    else:
        names, why = labels, f"named nowhere in {shown(data)} and taken for not enrolled (--enroll tells who was)"
        if UNKNOWN not in labels_of(found):
            names = labels | speakers
    notes += _note_of_strangers(speakers - names, why)
    if not speakers & labels:
        notes.append(
            f"warning: no label of {shown(data)} is a name of the truth: the identification error rate says nothing, look "
            "at the diarization error rate"
        )
    return TimelinePlan(
        data, truth, uem, chosen, stretches, (), {}, found, frozenset(names),
        f"{counted(len(chosen), 'recording')}, turns of {shown(data)}", tuple(notes),
    )  # fmt: skip


def _plan_of_recordings(
    data: str,
    truth: str,
    uem: str | None,
    reference: dict[str, tuple[Turn, ...]],
    stretches: dict[str, Stretches],
    config: Config,
    *,
    layout: str,
    channel: int | None,
    seed: int,
    cache: bool,
    jobs: int | None,
) -> TimelinePlan:
    from speakerid.workflows.cache import FeatureCache
    from speakerid.workflows.evaluate import content_hashes
    from speakerid.workflows.protocols import read_protocol

    with FeatureCache.from_environment() if cache else FeatureCache.temporary() as features:
        hashes = partial(content_hashes, config=config, cache=features, channel=channel, jobs=jobs)
        protocol = read_protocol(data, content_hashes=hashes, layout=layout, seed=seed)
    if protocol.trials is not None:
        raise UsageError(f"{shown(data)}: a list of trials asks for no timelines; give a manifest, a folder or turns")
    [one] = protocol.rounds
    asked = _asked(one.tests)
    without_truth = [each.path for name, each in asked.items() if name not in reference]
    if uem is None and without_truth:
        more = f", nor of {counted(len(without_truth) - 1, 'more recording')}" if len(without_truth) > 1 else ""
        raise UsageError(
            f"{shown(truth)}: no turns of {shown(without_truth[0])}{more}; a file's name without ending is its file id. Add "
            "them, or name it in a UEM if nobody speaks in it"
        )
    chosen = _chosen(asked, reference, stretches, uem)
    notes = [*protocol.notes, *_notes_of_uem(asked, chosen, uem)]
    known = _known(protocol.models, data)
    notes += _note_of_strangers(labels_of(chosen) - known, "not enrolled")
    enrolled = {os.path.realpath(recording.path) for recording in one.enroll}
    both = [name for name in chosen if os.path.realpath(asked[name].path) in enrolled]
    if both:
        notes.append(f"warning: parts of {_listed(both)} are enrolled: the figures flatter")
    speakers, files = counted(len(protocol.models), "speaker"), counted(len(chosen), "recording")
    return TimelinePlan(
        data, truth, uem, chosen, stretches, one.enroll, {name: asked[name] for name in chosen}, None, known,
        f"{counted(len(one.enroll), 'recording')} of {speakers} enrolled, timelines of {files}",
        tuple(notes), protocol.problems,
    )  # fmt: skip


def enrolled_names(data: str | os.PathLike[str]) -> frozenset[str]:
    """Speakers of a folder or a manifest that are enrolled from it.

    Raises
    ------
    UsageError
        It cannot be enrolled from.
    """
    found = gather_for_enrollment([os.fspath(data)])
    return frozenset(recording.speaker for recording in found.recordings if recording.speaker)


def _asked(tests: Iterable[Recording]) -> dict[str, Recording]:
    """Each file once and whole, by the name it has in RTTM."""
    asked: dict[str, Recording] = {}
    for test in tests:
        name = rttm_name(PurePath(test.path).stem)
        other = asked.setdefault(name, Recording(test.path, origin=test.origin))
        if other.path != test.path and os.path.realpath(other.path) != os.path.realpath(test.path):
            raise UsageError(
                f"{shown(other.path)} and {shown(test.path)} are both {shown(name)} in the truth, which knows recordings by "
                "their file's name without ending; rename one"
            )
    return asked


def _known(models: Iterable[str], data: str) -> frozenset[str]:
    """Names as RTTM has them; two must not become one, nor one an answer that is no name."""
    known: dict[str, str] = {}
    for name in models:
        other = known.setdefault(rttm_name(name), name)
        if other != name:
            raise UsageError(f"{shown(data)}: {other!r} and {name!r} are the same in RTTM; rename one of the speakers")
    for word in (UNKNOWN, _UNDECIDED):
        if word in known:
            raise UsageError(f'{shown(data)}: a speaker is called "{word}", as an answer without a name; rename it')
    return frozenset(known)


def _chosen(
    names: Iterable[str], reference: Mapping[str, tuple[Turn, ...]], stretches: Mapping[str, Stretches], uem: str | None
) -> dict[str, tuple[Turn, ...]]:
    """Turns of the recordings that are scored: with a UEM those in it."""
    chosen = {name: reference.get(name, ()) for name in names if uem is None or name in stretches}
    if uem is not None and not chosen:
        raise UsageError(
            f"{shown(uem)}: none of its recordings is there to be scored, {_listed([*stretches])}; a file's name without "
            "ending is its file id"
        )
    return chosen


def _notes_of_uem(every: Iterable[str], chosen: Collection[str], uem: str | None) -> list[str]:
    left = [name for name in every if name not in chosen]
    return [f"not in {shown(uem)} and not scored: {_listed(left)}"] if uem is not None and left else []


def _note_of_strangers(strangers: Collection[str], why: str) -> list[str]:
    return [f'{why}, so that "{UNKNOWN}" is right: {_listed(sorted(strangers))}'] if strangers else []


def _read_turns(path: str) -> dict[str, tuple[Turn, ...]]:
    turns: dict[str, tuple[Turn, ...]] = {}
    for name, found in read_rttm(path).items():
        own = tuple((rttm_name(turn.label), turn.start, turn.end) for turn in found)
        turns[rttm_name(name)] = turns.get(rttm_name(name), ()) + own
    return turns


def rttm_name(name: str) -> str:
    """Give a name as a field of RTTM has it, and in the form in which a store has names."""
    return rttm_line(SpeakerTurn("-", unicodedata.normalize("NFC", name), 0.0, 0.0)).split(" ")[7]


def labels_of(turns: Mapping[str, Sequence[Turn]]) -> set[str]:
    """Everybody who has a turn in any recording."""
    return {label for own in turns.values() for label, _start, _end in own}


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return f"{', '.join(map(shown, names[:_NAMED_AT_MOST]))}{more}"
