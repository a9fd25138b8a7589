"""Names for the labels of a diarizer: SPEAKER_00 becomes who it is, by all speech of each label.

A diarizer says where the same voice speaks again, not whose voice it is. All speech of a label is judged as one recording:
where it speaks alone, because two voices at once are like neither; a label that never does stays as it is, but in a closed
set. Then names are given to labels so that the evidence beyond what a name needs is largest in all, each name to one label
at most: diarizers take two voices for one less often than one voice for two people who sound alike would be named twice.

The assignment is the linear one of a matrix of labels and speakers (Kuhn, "The Hungarian method for the assignment
problem", Naval Research Logistics Quarterly 2, 1955, 83-97); a label may stay without a name at the price of 0.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from speakerid.audio import RawFormat
from speakerid.audio.paths import shown
from speakerid.audio.rttm import SpeakerTurn, rttm_line
from speakerid.errors import RecordingError, UsageError
from speakerid.frontend.stream import FeatureStream
from speakerid.parallel import effective_jobs, one_blas_thread
from speakerid.scoring import Rule, posteriors, relative_scores
from speakerid.workflows.analysis import Source, located, open_source
from speakerid.workflows.gather import names_in_rttm
from speakerid.workflows.identify import Identifier, where_of
from speakerid.workflows.label_speech import LabelSpeech, SpeechSums

__all__ = ["LabelAnswer", "Labelling", "label_turns", "turns_of"]

Floats = NDArray[np.float64]

# a diarizer's last frame may reach beyond the end
_BEYOND_SECONDS = 0.1
_LISTED = 8


@dataclass(frozen=True)
class LabelAnswer:
    """Whose voice a label is.

    Attributes
    ----------
    label : str
        The diarizer's.
    decision : str or None
        A name only when `status` is "identified".
    status : {"identified", "unknown", "undecided"}
    reason : str or None
        For "undecided" why: too_short, no_speech, overlap (others speak at the same time in all of its speech), band,
        beyond_end; in a closed set beside the name. For "unknown" name_taken if it would have been named, and another label
        has that name.
    llr : float or None
        Calibrated log-likelihood ratio of the decision or, without one, of the nearest; None without a calibration.
    probability : float or None
        Of the answer, for the label apart from all others: that it is the named speaker or, for "unknown", nobody enrolled;
        None without a calibration.
    nearest : str or None
        The best speaker, who may have another label.
    speech_seconds : float
        That it was judged by.
    overlap_seconds : float
        Its speech where others speak at the same time.
    """

    label: str
    decision: str | None
    status: Literal["identified", "unknown", "undecided"]
    reason: str | None
    llr: float | None
    probability: float | None
    nearest: str | None
    speech_seconds: float
    overlap_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of the JSON format: seconds with three decimals, the rest with six."""
        return {
            "label": self.label,
            "decision": self.decision,
            "status": self.status,
            "reason": self.reason,
            "llr": None if self.llr is None else round(self.llr, 6),
            "probability": None if self.probability is None else round(self.probability, 6),
            "nearest": self.nearest,
            "speech_seconds": round(self.speech_seconds, 3),
            "overlap_seconds": round(self.overlap_seconds, 3),
        }


@dataclass(frozen=True)
class Labelling:
    """The turns of a recording, and whose they are.

    Attributes
    ----------
    path : str
    recording : str
        What the list of turns calls it.
    duration_seconds : float
    labels : tuple of LabelAnswer
        In the order in which they speak first.
    turns : tuple of SpeakerTurn
        As they were given.
    warnings : tuple of str
        What is doubtful, one line each.
    """

    path: str
    recording: str
    duration_seconds: float
    labels: tuple[LabelAnswer, ...]
    turns: tuple[SpeakerTurn, ...]
    warnings: tuple[str, ...] = ()

    @property
    def names(self) -> dict[str, str]:
        """Speakers by label, of the labels that are named."""
        return {each.label: each.decision for each in self.labels if each.decision is not None}

    def to_rttm(self) -> str:
        """Write the turns with the names; labels that are nobody's stay.

        Returns
        -------
        str
            Lines that end in a newline. See :func:`~speakerid.audio.rttm.rttm_line` for what becomes of blanks in names.
        """
        names = self.names
        turns = (
            SpeakerTurn(turn.recording, names.get(turn.label, turn.label), turn.start, turn.end) for turn in self.turns
        )
        return "".join(f"{rttm_line(turn)}\n" for turn in turns)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of the JSON format."""
        names = self.names
        return {
            "path": self.path,
            "recording": self.recording,
            "labels": [each.to_dict() for each in self.labels],
            "segments": [
                {
                    "start": round(turn.start, 3), "end": round(turn.end, 3), "label": turn.label,
                    "decision": names.get(turn.label),
                }
                for turn in self.turns
            ],
            "warnings": list(self.warnings),
        }  # fmt: skip


def turns_of(
    turns: Mapping[str, tuple[SpeakerTurn, ...]], path: str, *, rttm: str, recording: str | None = None
) -> tuple[tuple[SpeakerTurn, ...], str | None]:
    """Choose the turns of one recording from a list.

    Parameters
    ----------
    turns : mapping of str to tuple of SpeakerTurn
        As :func:`speakerid.audio.rttm.read_rttm` gives them.
    path : str
        The audio, whose name without folder and ending is looked for. A list with one recording alone is taken for this
        one's, whatever it is called.
    rttm : str
        The list's name, for messages.
    recording : str, optional
        What the list calls it.

    Returns
    -------
    turns : tuple of SpeakerTurn
    note : str or None
        That the names differ.

    Raises
    ------
    UsageError
        The list has no such recording, or several and none of that name, or the recording has no turns.
    """
    note = None
    if recording is not None:
        if recording not in turns:
            raise UsageError(f"{shown(rttm)}: no recording {recording!r}; it has {_listed(turns)}")
        chosen = recording
    else:
        found = [name for name in names_in_rttm(path) if name in turns]
        if not found and len(turns) > 1:
            raise UsageError(
                f"{shown(rttm)}: no recording {names_in_rttm(path)[0]!r}; say which one with --recording: {_listed(turns)}"
            )
        chosen = found[0] if found else next(iter(turns))
        if not found:
            note = f"{shown(rttm)} calls its only recording {shown(chosen)}: taken for {shown(path)}"
    if not turns[chosen]:
        raise UsageError(f"{shown(rttm)}: no turn of {shown(chosen)} is longer than 0 s: nobody speaks")
    return turns[chosen], note


def label_turns(
    identifier: Identifier,
    source: Source,
    turns: Iterable[SpeakerTurn],
    *,
    threshold: float | None = None,
    false_accept_rate: float | None = None,
    closed_set: bool = False,
    repeat_names: bool = False,
    channel: int | None = None,
    raw: RawFormat | None = None,
    stdin: BinaryIO | None = None,
    progress: Callable[[float, float | None], object] | None = None,
    jobs: int | None = None,
) -> Labelling:
    """Find out whose voices the labels of a diarizer are.

    Memory does not grow with the recording, but for the turns.

    Parameters
    ----------
    identifier : Identifier
    source : Recording or Waveform
        The audio of the turns.
    turns : iterable of SpeakerTurn
        Of this recording alone. Seconds of the file, also where `source` is a stretch of it.
    threshold, false_accept_rate, closed_set
        As :meth:`Identifier.identify`: what a label needs to get a name. In a closed set every label with enough speech has
        one, while there are names.
    repeat_names : bool
        A name may be given to several labels.
    channel, raw, stdin
        As in :func:`speakerid.audio.open_samples`.
    progress : callable, optional
        Called with the seconds that are done and those of the whole recording, None if it does not say.
    jobs : int, optional
        Threads; None takes all processor cores. The answer does not depend on it.

    Returns
    -------
    labelling : Labelling

    Raises
    ------
    RecordingError
        The audio cannot be used.
    UsageError
        There are no turns, they are of several recordings, or all lie beyond the end; or as :meth:`Identifier.identify`.
    """
    rule = identifier.rule(threshold, false_accept_rate, closed_set=closed_set)
    given = tuple(sorted(turns, key=lambda turn: turn.start))
    if len({turn.recording for turn in given}) != 1:
        raise UsageError(f"turns of {len({turn.recording for turn in given})} recordings; give those of one")
    where = where_of(source)
    begins_at = where["start"] or 0.0
    speech = LabelSpeech(identifier, given, begins_at, effective_jobs(jobs))
    features = FeatureStream(identifier.front_end)
    try:
        with (
            one_blas_thread(),
            open_source(
                source, identifier.front_end.sample_rate, channel=channel, raw=raw, stdin=stdin, hashed=False
            ) as samples,
        ):
            for block in samples:
                speech.take(features.push(block))
                if progress is not None:
                    progress(samples.seconds, samples.expected_seconds)
            end = begins_at + samples.seconds
            beyond = _beyond(given, end, source.label)
            speech.take(features.finish())
            sums = speech.finish()
            warning = identifier.warning(
                source.label, source_rate=samples.source_rate, clipped_fraction=samples.clipped_fraction,
                lacks_band=speech.lacks_band, full_band=speech.full_band,
            )  # fmt: skip
    except RecordingError as error:
        raise RecordingError(located(source, str(error)), reason=error.reason) from error
    within = {turn.label for turn in given if turn.start < end}
    labels = _answers(identifier, sums, rule, within, repeat=repeat_names)
    warnings = [*([warning] if warning else []), *beyond, *_doubts(labels), *_clashes(labels, identifier.speakers)]
    return Labelling(where["path"], given[0].recording, samples.seconds, labels, given, tuple(warnings))


def _listed(names: Iterable[str]) -> str:
    several = [shown(name) for name in names]
    more = f" and {len(several) - _LISTED} more" if len(several) > _LISTED else ""
    return ", ".join(several[:_LISTED]) + more


def _beyond(turns: Sequence[SpeakerTurn], end: float, label: str) -> list[str]:
    """Say how many turns do not lie within the recording; refuse them if none does."""
    outside = sum(turn.start >= end for turn in turns)
    if outside == len(turns):
        raise UsageError(f"{label}: ends at {end:.1f} s, before the first turn: the turns are of another recording")
    across = sum(turn.end > end + _BEYOND_SECONDS for turn in turns)
    if not across:
        return []
    wholly = f", {outside} of them begin after it" if outside else ""
    return [
        f"{label}: {across} of {len(turns)} turns end after the recording does, at {end:.1f} s{wholly}: "
        "are they of this recording?"
    ]


def _answers(
    identifier: Identifier, sums: Sequence[SpeechSums], rule: Rule, within: set[str], *, repeat: bool
) -> tuple[LabelAnswer, ...]:
    refusals = [_refusal(each, identifier.decision.minimum_speech_seconds, within) for each in sums]
    doubtful = ("band", "overlap") if rule.kind == "closed_set" else ()
    judged = [i for i, why in enumerate(refusals) if why is None or why in doubtful]
    n_frames = np.array([sums[i].frames for i in judged], dtype=np.float64)
    ratios = np.array([sums[i].ratios for i in judged]).reshape(len(judged), len(identifier.speakers))
    mean = ratios / n_frames[:, None]
    scores = _scores(identifier, mean, np.array([sums[i].seconds for i in judged]), rule)
    gains = _gains(mean, n_frames, scores, rule)
    optional = rule.kind in ("evidence", "margin")
    given = _assigned(gains, optional=optional, repeat=repeat)
    rows = {i: row for row, i in enumerate(judged)}
    answers = []
    for i, (each, why) in enumerate(zip(sums, refusals, strict=True)):
        row = rows.get(i)
        if row is None:
            answers.append(
                LabelAnswer(each.label, None, "undecided", why, None, None, None, each.seconds, each.overlap_seconds)
            )
            continue
        speaker, best = given[row], int(scores.order[row].argmax())
        reason = why
        if speaker is None and (not optional or gains[row].max() >= 0):
            reason = "name_taken"
        name, llr, probability = None, None, None
        if speaker is not None:
            name = identifier.speakers[speaker]
        if scores.ratios is not None and scores.speakers is not None and scores.nobody is not None:
            llr = float(scores.ratios[row, best if speaker is None else speaker])
            probability = float(scores.nobody[row] if speaker is None else scores.speakers[row, speaker])
        status: Literal["identified", "unknown"] = "unknown" if name is None else "identified"
        nearest = identifier.speakers[best]
        answers.append(
            LabelAnswer(each.label, name, status, reason, llr, probability, nearest, each.seconds, each.overlap_seconds)
        )
    return tuple(answers)


def _refusal(sums: SpeechSums, least: float, within: set[str]) -> str | None:
    """Say why a label cannot be judged."""
    if sums.frames == 0:
        return "no_speech" if sums.label in within else "beyond_end"
    if sums.seconds < least:
        return "too_short"
    if sums.overlapped:  # two voices at once are like neither: of such labels of meetings none was named rightly
        return "overlap"
    return "band" if 2 * sums.refused > sums.frames else None


@dataclass(frozen=True, eq=False)
class _Scores:
    """Of the labels that are judged, (n_labels, n_speakers): what ranks speakers and, if calibrated, the evidence."""

    order: Floats
    ratios: Floats | None = None
    speakers: Floats | None = None
    nobody: Floats | None = None


def _scores(identifier: Identifier, mean: Floats, seconds: Floats, rule: Rule) -> _Scores:
    if identifier.calibration is None or not len(mean):
        return _Scores(mean)
    ratios = identifier.calibration.ratios(mean, seconds, identifier.expected)
    return _Scores(mean if rule.kind == "margin" else ratios, ratios, *posteriors(ratios))


def _gains(mean: Floats, frames: Floats, scores: _Scores, rule: Rule) -> Floats:
    """By how much each name is earned, nats of the whole label, (n_labels, n_speakers); at least 0 if it may be given."""
    gains: Floats
    if rule.kind == "margin":
        gains = (relative_scores(mean) - rule.threshold) * frames[:, None] if len(mean) else mean
    elif scores.ratios is None:
        # all speakers together stand for anybody: a label without a name is that
        gains = (mean - mean.mean(axis=1, keepdims=True)) * frames[:, None]
    else:
        gains = scores.ratios - (np.log(mean.shape[1]) + rule.threshold if rule.kind == "evidence" else 0.0)
    return gains


def _assigned(gains: Floats, *, optional: bool, repeat: bool) -> list[int | None]:
    """Give every label a speaker or, where that is `optional`, nobody, so that the sum of the gains is largest."""
    given: list[int | None] = [None] * len(gains)
    if not len(gains):
        return given
    chosen: Iterable[tuple[int, int]]
    if repeat:
        chosen = enumerate(gains.argmax(axis=1).tolist())
    else:
        from scipy.optimize import linear_sum_assignment

        # to have no name is worth 0, as a name that is not earned
        values = np.maximum(gains, 0.0) if optional else gains
        wanted = np.flatnonzero((gains >= 0).any(axis=0)) if optional else np.arange(gains.shape[1])
        rows, columns = linear_sum_assignment(values[:, wanted], maximize=True)
        chosen = zip(rows.tolist(), wanted[columns].tolist(), strict=True)
    for row, speaker in chosen:
        if not optional or gains[row, speaker] >= 0:
            given[row] = speaker
    return given


def _doubts(labels: Sequence[LabelAnswer]) -> list[str]:
    doubts = []
    for each in labels:
        if each.reason == "overlap" and each.decision is not None:
            doubts.append(
                f"{shown(each.label)}: others speak in all of its speech, and it was judged by that: doubtful"
            )
        elif each.reason == "band" and each.decision is not None:
            doubts.append(
                f"{shown(each.label)}: nothing in the upper band, and the speakers are enrolled with it: doubtful"
            )
    return doubts


def _clashes(labels: Sequence[LabelAnswer], speakers: Sequence[str]) -> list[str]:
    """Find labels that read like the name of somebody else."""
    known = {written: name for name in speakers for written in (_written(name), name)}
    owners = {each.decision: each.label for each in labels if each.decision is not None}
    clashes = []
    for each in labels:
        name = known.get(unicodedata.normalize("NFC", each.label))
        if name is None or each.decision == name:
            continue
        label = shown(each.label)
        if each.decision is not None:
            clashes.append(f"{label}: is the name of an enrolled speaker, and this voice is {shown(each.decision)}'s")
        elif name in owners:
            clashes.append(
                f"{label}: keeps its label and was not found to be {shown(name)}, as {shown(owners[name])} was: both are "
                "called so now"
            )
        else:
            clashes.append(
                f"{label}: keeps its label, the name of an enrolled speaker, but was not found to be that one"
            )
    return clashes


def _written(name: str) -> str:
    """A name as a field of RTTM."""
    return rttm_line(SpeakerTurn("x", name, 0.0, 0.0)).split()[7]
