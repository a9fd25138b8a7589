"""Identification: a recording against all enrolled speakers."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speakerid.audio import RawFormat, Recording
from speakerid.config import Config, DecisionConfig, FrontEndConfig, TimelineConfig
from speakerid.errors import RecordingError, StoreError, UsageError
from speakerid.frontend import Features, StaticFeatures, finish
from speakerid.frontend.bandwidth import is_narrow
from speakerid.frontend.environment import (
    Disturbance,
    Environment,
    MelBasis,
    disturbance,
    environment_of,
    mel_basis,
    typical_environment,
)
from speakerid.mixtures import GaussianMixture
from speakerid.parallel import effective_jobs, map_in_order, one_blas_thread
from speakerid.scoring import (
    AdaptedStack,
    Calibration,
    MixtureStack,
    Rule,
    Turn,
    compensated,
    decide,
    expected_ratios,
    posteriors,
    several_voices,
)
from speakerid.store import Store, World
from speakerid.workflows.analysis import Analysis, Source, analyse, as_source, located, require_speech
from speakerid.workflows.learning import world_of
from speakerid.workflows.shipped import shipped_calibration

if TYPE_CHECKING:
    from speakerid.workflows.timeline import Timeline
    from speakerid.workflows.timeline_stream import TimelineStream

__all__ = ["Evidence", "Identification", "Identifier", "Judged", "Score", "Unjudged", "where_of"]

# share of the samples from which known voices were measured to be refused much more often
_CLIPPED = 0.005
# speech in blocks of half a second, and longer ones in a very long recording
_BLOCK_SECONDS, _MOST_BLOCKS = 0.5, 2000
# an unknown voice that goes on for so long may be several
_LONG_SECONDS = 30.0
# stretches that a message lists for each voice
_LISTED = 3
# recordings of a store, one a speaker, that its band is judged by
_ASKED_FOR_BAND = 16
_LOOKED_AT = 4  # recordings of each
# of a rate: below it the upper band is not there
_LOWER_RATE = 0.75

Band = Literal["wide", "narrow", "mixed"]


@dataclass(frozen=True)
class Score:
    """How well a recording fits one speaker.

    Attributes
    ----------
    speaker : str
    log_likelihood : float
        Mean over the speech frames, nats a frame.
    ratio : float or None
        The same less the world model's, nats a frame; None without a world model.
    llr : float or None
        Calibrated log-likelihood ratio of the whole recording, "this is the speaker" against "somebody else", a natural
        logarithm; None without a calibration.
    probability : float or None
        That it is the speaker, among all enrolled ones and nobody enrolled; None without a calibration.
    """

    speaker: str
    log_likelihood: float
    ratio: float | None = None
    llr: float | None = None
    probability: float | None = None


@dataclass(frozen=True)
class Identification:
    """The answer for one recording.

    Attributes
    ----------
    path : str
    decision : str or None
        A name only when `status` is "identified".
    status : {"identified", "unknown", "undecided"}
    reason : str or None
        For "undecided", a word: unreadable, empty, truncated, no_speech, too_short, band, several_voices.
    message : str or None
        The reason as a sentence; for an answer, a warning if there is one.
    speech_seconds, duration_seconds : float or None
        None when the recording could not be read.
    margin : float or None
        Nats a frame that the best speaker is ahead of the others; below 0 where the likelihood alone would name another.
    probability_unknown : float or None
        That it is nobody enrolled; None without a calibration.
    scores : tuple of Score
        All enrolled speakers, best first.
    start, end : float or None
        The stretch of the file in seconds, when only a stretch was asked for.
    """

    path: str
    decision: str | None
    status: Literal["identified", "unknown", "undecided"]
    reason: str | None = None
    message: str | None = None
    speech_seconds: float | None = None
    duration_seconds: float | None = None
    margin: float | None = None
    probability_unknown: float | None = None
    scores: tuple[Score, ...] = ()
    start: float | None = None
    end: float | None = None

    def to_dict(self, *, top: int | None = None) -> dict[str, Any]:
        """Return the fields of the JSON format, numbers rounded; `top` limits the scores."""
        values = asdict(self)
        values["scores"] = [{key: _rounded(value) for key, value in score.items()} for score in values["scores"][:top]]
        if self.start is None and self.end is None:
            del values["start"], values["end"]
        return {key: value if key == "scores" else _rounded(value) for key, value in values.items()}


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the calibration makes of one recording's scores.

    Attributes
    ----------
    ratios, probabilities : ndarray, shape (n_speakers,)
        Calibrated log-likelihood ratios, and probabilities.
    probability_unknown : float
    """

    ratios: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    probability_unknown: float


@dataclass(frozen=True, eq=False)
class Judged:
    """A recording's scores.

    Attributes
    ----------
    log_likelihoods : ndarray, shape (n_speakers,)
        Nats a frame.
    of_world : float or None
        The world model's.
    evidence : Evidence or None
        None without a calibration.
    warning : str or None
        What makes an answer doubtful.
    speech_seconds, duration_seconds : float
    """

    log_likelihoods: NDArray[np.float64]
    of_world: float | None
    evidence: Evidence | None
    warning: str | None
    speech_seconds: float
    duration_seconds: float


@dataclass(frozen=True)
class Unjudged:
    """Why a recording cannot be judged: a word, a sentence, and the seconds that were found, if it could be read.

    `scored` has the scores that it was not to be judged by, if it came to any.
    """

    reason: str
    message: str
    speech_seconds: float | None
    duration_seconds: float | None
    scored: Judged | None = None


# column of the speaker or None, and seconds from and to
_Stretch = tuple[int | None, float, float]


class Heard(NamedTuple):
    """What frames of speech show of where they were recorded, beside where the speakers were.

    Attributes
    ----------
    stack : AdaptedStack or None
        The speakers as they sound there; None unless they were adapted.
    lacks_band : bool
        The upper band is not there, and all speakers are enrolled with it.
    full_band : bool
        It is there, and all are enrolled without.
    refused : bool
        It lacks, and is not made up for: wrong names were measured.
    """

    stack: AdaptedStack | None
    lacks_band: bool
    full_band: bool
    refused: bool


class _Scored(NamedTuple):
    """Mean log-likelihoods of the speakers and of the world model, where it was recorded, who speaks when if several do."""

    log_likelihoods: NDArray[np.float64]
    of_world: float | None
    heard: Heard
    stretches: tuple[_Stretch, ...] = ()


_NARROW = "nothing in the upper band, as on a telephone, and the speakers are enrolled with it"
_NARROW_REFUSED = (
    f"{_NARROW}; ask with a recording of the full band, or enrol recordings like this one as well, of every speaker"
)
_NARROW_DOUBTED = (
    f"{_NARROW}: scored by the bands that are there, and enrolled voices may come out as unknown; enrol recordings like "
    "this one as well, of every speaker"
)


def _on_the_clock(turns: Sequence[Turn], starts: NDArray[np.integer], features: Features) -> tuple[_Stretch, ...]:
    """Blocks of speech as seconds of the recording; what lies between two turns is halved."""
    times = features.times[features.speech]
    edges = [0.0]
    for turn in turns[1:]:
        at = starts[turn.first]
        edges.append(float(times[at - 1] + times[at]) / 2)
    edges.append(len(features) * features.frame_shift)
    return tuple((turn.speaker, edges[i], edges[i + 1]) for i, turn in enumerate(turns))


def _enrolled_band(store: Store) -> Band | None:
    """Which band the enrolled recordings have: by their rates, and by a look at some recordings of some speakers."""
    lowest, highest = store.source_rates()
    room = _LOWER_RATE * store.front_end.sample_rate
    if lowest < room:
        return "narrow" if highest < room else "mixed"
    names = store.names()
    chosen = names[:: -(-len(names) // _ASKED_FOR_BAND)]
    found = {
        is_narrow(static, store.front_end)
        for name in chosen
        for _hash, static in itertools.islice(store.static_features(name), _LOOKED_AT)
    }
    if None in found or not found:
        return None
    return "mixed" if len(found) > 1 else "narrow" if found.pop() else "wide"


def _enrolled_environment(records: Sequence[Mapping[str, Any] | None], basis: MelBasis | None) -> Environment | None:
    """Where the speakers were recorded; None if it is not known of all, as in a store of before."""
    if basis is None:
        return None
    found = [
        Environment(tuple(record["noise"]), tuple(record["level"]), record["narrow"])
        for record in records
        if record is not None and len(record["noise"]) == len(basis.forth)
    ]
    return typical_environment(found) if found and len(found) == len(records) else None


def where_of(source: Source) -> dict[str, Any]:
    """Path and stretch of what was asked."""
    if isinstance(source, Recording):
        return {"path": source.path, "start": source.start, "end": source.end}
    return {"path": source.label, "start": None, "end": None}


class Identifier:
    """Enrolled speakers, ready to be asked. Made from a store by :meth:`open`.

    Parameters
    ----------
    mixtures : mapping of str to GaussianMixture
        At least one speaker.
    front_end : FrontEndConfig
        The one that the mixtures were trained with.
    decision : DecisionConfig, optional
    timeline : TimelineConfig, optional
    world : World, optional
        With it every score has a log-likelihood ratio.
    top_components : int, optional
        The mixtures were adapted from the world, and are scored by so many of its components a frame. Left out: all
        components of all mixtures.
    calibration : Calibration, optional
        With it, and a world model, scores become calibrated ratios and probabilities, and strangers "unknown".
    expected : sequence of float or None, optional
        What each speaker's own recordings reach, for the calibration; see :mod:`speakerid.scoring.calibration`.
    lowest_source_rate : int
        Of the enrolled recordings, in Hz; 0 if it is not known. Recordings of a much lower rate get a warning.
    enrolled_band : {"wide", "narrow", "mixed"}, optional
        What the enrolled recordings are known to have. Where all have the upper band, recordings without it get a warning,
        or are "undecided" where the lack cannot be made up for (see `environments`); where none has it, recordings with it
        get a warning.
    environments : sequence of dict or None, optional
        Where each speaker was recorded (``environment`` in the training record). With it, speakers whose means alone were
        adapted are scored in the noise and the band of each recording; see :mod:`speakerid.scoring.compensation`.
    """

    def __init__(
        self,
        mixtures: Mapping[str, GaussianMixture],
        front_end: FrontEndConfig,
        decision: DecisionConfig | None = None,
        *,
        timeline: TimelineConfig | None = None,
        world: World | None = None,
        top_components: int | None = None,
        calibration: Calibration | None = None,
        expected: Sequence[float | None] | None = None,
        lowest_source_rate: int = 0,
        enrolled_band: Band | None = None,
        environments: Sequence[Mapping[str, Any] | None] | None = None,
    ) -> None:
        if not mixtures:
            raise UsageError("nobody is enrolled: enrol somebody first")
        self.mixtures: Mapping[str, GaussianMixture] = MappingProxyType(dict(mixtures))
        self.front_end = front_end
        self.decision = decision or DecisionConfig()
        self.timeline_settings = timeline or TimelineConfig()
        self._band_rate = min(lowest_source_rate, front_end.sample_rate)
        self._enrolled_band = enrolled_band
        self._names = tuple(self.mixtures)
        self.calibration = calibration if world is not None else None
        self.expected = expected_ratios([None] * len(self._names) if expected is None else expected)
        several = list(self.mixtures.values())
        self._adapted = self._world = self._environment = None
        if world is not None and top_components is not None:
            self._adapted = AdaptedStack(world.mixture, several, top=top_components)
            self._world_mixture = world.mixture
        else:
            self._stack = MixtureStack(several)
            self._world = None if world is None else MixtureStack([world.mixture])
        if self._adapted is not None and self._adapted.only_means:
            self._environment = _enrolled_environment(environments or (), mel_basis(front_end))

    @classmethod
    def open(cls, store_path: str | Path, *, config: Config | None = None) -> Identifier:
        """Read all speakers of a store.

        Parameters
        ----------
        store_path : path-like
        config : Config, optional
            Given and with other settings than the store's: refused.

        Raises
        ------
        StoreError
            There is no store, it cannot be used, or was made with other settings, or nobody is enrolled in it.
        """
        with Store(store_path) as store, store.reading():
            if config is not None:
                store.require(config.front_end, config.training, whose="the ones asked for")
                store.require_world(world_of(config), whose="the settings")
            mixtures = store.mixtures()
            if not mixtures:
                raise StoreError(f"{store.path}: nobody is enrolled; enrol somebody first: speakerid enroll FOLDER")
            rate = store.source_rates()[0]
            config = config or Config()
            adapted = store.training.method == "map"
            records = list(store.records().values())
            compensate = config.world.compensation == "environment"
            top = config.world.top_components if adapted else None
            return cls(
                mixtures,
                store.front_end,
                config.decision,
                timeline=config.timeline,
                world=store.world,
                top_components=top,
                calibration=(store.calibration or shipped_calibration()) if adapted else None,
                expected=[record.get("expected_ratio") for record in records],
                environments=[record.get("environment") for record in records] if compensate else None,
                lowest_source_rate=rate,
                enrolled_band=_enrolled_band(store),
            )

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names of the enrolled speakers."""
        return self._names

    def features(
        self, recording: Source | str | os.PathLike[str] | np.ndarray, *, sample_rate: int | None = None
    ) -> Features:
        """Features of a recording, as they are scored."""
        source = as_source(recording, sample_rate=sample_rate)
        with one_blas_thread():
            return finish(analyse(source, self.front_end).static, self.front_end)

    def log_likelihoods(self, analysis: Analysis, *, world: bool = False) -> NDArray[np.float64]:
        """Mean log-likelihoods over the speech frames of a recording, nats a frame, (n_speakers,) as in `speakers`.

        With `world` that of the world model follows.
        """
        scores, of_world, *_rest = self._scores(analysis)
        return np.append(scores, of_world) if world and of_world is not None else scores

    def _scores(self, analysis: Analysis) -> _Scored:
        """Score the speech frames of a recording against everybody."""
        features = finish(analysis.static, self.front_end)
        frames = features.speech_values
        heard = self.within(analysis.static)
        stack = heard.stack
        if stack is None:
            scores = self._stack.mean_log_likelihoods(frames)
            of_one = None if self._world is None else float(self._world.mean_log_likelihoods(frames)[0])
            return _Scored(scores, of_one, heard)
        block = max(round(_BLOCK_SECONDS / features.frame_shift), -(-len(frames) // _MOST_BLOCKS), 1)
        starts = np.arange(0, len(frames), block)
        ratios, of_world = stack.block_ratios(frames, starts)
        total = float(of_world.sum()) / len(frames)
        stretches: tuple[_Stretch, ...] = ()
        if self.calibration is not None:
            counts = np.diff(starts, append=len(frames))
            # a second alone: what noise takes from it must not be made up for, as then chance looks like another voice
            plain = ratios * stack.left
            turns = several_voices(plain, counts, features.frame_shift, self.calibration, self.expected)
            stretches = _on_the_clock(turns, starts, features)
        return _Scored(ratios.sum(axis=0) / len(frames) + total, total, heard, stretches)

    def within(self, static: StaticFeatures) -> Heard:
        """Look at where speech was recorded, and put adapted speakers there."""
        stack, disturbed = self._moved(static)
        band = self._enrolled_band
        narrow = is_narrow(static, self.front_end) if band in ("wide", "narrow") else None
        lacks = band == "wide" and bool(narrow)
        made_up_for = disturbed is not None and bool(disturbed.missing.any())
        return Heard(stack, lacks, band == "narrow" and narrow is False, lacks and not made_up_for)

    def _moved(self, static: StaticFeatures) -> tuple[AdaptedStack | None, Disturbance | None]:
        """Adapted speakers in the environment of some frames, and what there is to make up for."""
        basis = mel_basis(self.front_end)
        found = environment_of(static, self.front_end) if self._environment is not None else None
        if self._adapted is None or basis is None or found is None or self._environment is None:
            return self._adapted, None
        disturbed = disturbance(found, self._environment, self.front_end)
        if disturbed is None:
            return self._adapted, None
        world = compensated(
            self._world_mixture, back=basis.back, forth=basis.forth, floor=basis.floor,
            noise_variance=basis.noise_variance, noise=disturbed.noise, gain=disturbed.gain,
            missing=disturbed.missing, level=disturbed.level,
        )  # fmt: skip
        return self._adapted.within(world), disturbed

    def block_sums(
        self, frames: NDArray[np.float32], starts: NDArray[np.intp], stack: AdaptedStack | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums over blocks of frames, nats.

        Parameters
        ----------
        frames : ndarray, shape (n, n_features)
        starts : ndarray of int, shape (n_blocks,)
            As :meth:`AdaptedStack.block_ratios`.
        stack : AdaptedStack, optional
            From :meth:`within`.

        Returns
        -------
        ratios : ndarray, shape (n_blocks, n_speakers)
            Log-likelihood ratios to the world model; without one, log-likelihoods.
        world : ndarray, shape (n_blocks,)
            The world model's log-likelihoods; without one, 0.
        """
        if self._adapted is not None:
            return (stack or self._adapted).block_ratios(frames, starts)
        scores = self._stack.frame_log_likelihoods(frames).astype(np.float64)
        of_world = np.zeros(len(frames)) if self._world is None else self._world.frame_log_likelihoods(frames)[:, 0]
        # the sum of a block without frames is 0; reduceat would take the next frame for it
        edges = np.append(starts, len(frames))
        sums = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores - of_world[:, None], axis=0)])
        world = np.concatenate([[0.0], np.cumsum(of_world, dtype=np.float64)])
        return np.diff(sums[edges], axis=0), np.diff(world[edges])

    def identify(
        self,
        recording: Source | str | os.PathLike[str] | np.ndarray,
        *,
        sample_rate: int | None = None,
        threshold: float | None = None,
        false_accept_rate: float | None = None,
        closed_set: bool = False,
        channel: int | None = None,
        raw: RawFormat | None = None,
        stdin: BinaryIO | None = None,
    ) -> Identification:
        """Say who is speaking in one recording. A recording that cannot be judged is "undecided", not an exception.

        Parameters
        ----------
        recording : path, Recording, Waveform or ndarray
        sample_rate : int, optional
            Of an array, in Hz.
        threshold : float, optional
            The least margin, in nats a frame, that gets a name; below it the answer is "unknown". In place of the calibrated
            decision.
        false_accept_rate : float, optional
            In place of that of the settings: the share of strangers that may get a name.
        closed_set : bool
            Name the best speaker of a recording with enough speech always; what makes the name doubtful is in the message.
        channel, raw, stdin
            As in :func:`speakerid.audio.open_samples`.

        Raises
        ------
        UsageError
            A threshold with a single enrolled speaker, a false-accept rate without a calibration, two rules at once, or an
            array that cannot be samples.
        TypeError
            An array without `sample_rate`.
        """
        rule = self.rule(threshold, false_accept_rate, closed_set=closed_set)
        source = as_source(recording, sample_rate=sample_rate)
        with one_blas_thread():
            return self._identify(source, rule=rule, channel=channel, raw=raw, stdin=stdin)

    def timeline(
        self,
        recording: Source | str | os.PathLike[str] | np.ndarray,
        *,
        sample_rate: int | None = None,
        channel: int | None = None,
        raw: RawFormat | None = None,
        stdin: BinaryIO | None = None,
        progress: Callable[[float, float | None], object] | None = None,
        jobs: int | None = None,
        **options: Any,
    ) -> Timeline:
        """Say who speaks when in a recording of any length; memory does not grow with it, but for what `windows` keeps.

        Parameters
        ----------
        recording : path, Recording, Waveform or ndarray
        sample_rate : int, optional
            Of an array, in Hz.
        channel, raw, stdin
            As in :func:`speakerid.audio.open_samples`.
        progress : callable, optional
            Called with the seconds that are done and those of the whole recording, None if it does not say.
        jobs : int, optional
            Threads; None takes all processor cores. The answer does not depend on it.
        **options
            As :class:`~speakerid.workflows.timeline_stream.TimelineStream` has them: `window` and `hop` in seconds, a rule,
            `keep_windows`.

        Returns
        -------
        timeline : Timeline
            "undecided" if the recording cannot be read; what was read before a damage has its segments.

        Raises
        ------
        UsageError, TypeError
            As :meth:`identify`; a hop that is longer than the window.
        """
        from speakerid.workflows.timeline_file import timeline_of

        source = as_source(recording, sample_rate=sample_rate)
        return timeline_of(self, source, channel=channel, raw=raw, stdin=stdin, progress=progress, jobs=jobs, **options)

    def timeline_stream(self, **options: Any) -> TimelineStream:
        """Return what takes samples as they come and says who speaks.

        Parameters
        ----------
        **options
            As :class:`~speakerid.workflows.timeline_stream.TimelineStream` has them.
        """
        from speakerid.workflows.timeline_stream import TimelineStream

        return TimelineStream(self, **options)

    def identify_all(
        self,
        recordings: Iterable[Source],
        *,
        threshold: float | None = None,
        false_accept_rate: float | None = None,
        closed_set: bool = False,
        channel: int | None = None,
        raw: RawFormat | None = None,
        stdin: BinaryIO | None = None,
        jobs: int | None = None,
    ) -> Iterator[Identification]:
        """Return an iterator over the answers for many recordings, in order; BLAS has one thread until it ends.

        Raises
        ------
        UsageError
            As :meth:`identify`.
        """
        rule = self.rule(threshold, false_accept_rate, closed_set=closed_set)
        function = partial(self._identify, rule=rule, channel=channel, raw=raw, stdin=stdin)

        def answers() -> Iterator[Identification]:
            with one_blas_thread():
                yield from map_in_order(function, recordings, effective_jobs(jobs))

        return answers()

    def rule(self, threshold: float | None, false_accept_rate: float | None, *, closed_set: bool) -> Rule:
        """Return what decides between a name and "unknown"."""
        if (threshold is not None) + (false_accept_rate is not None) + closed_set > 1:
            raise UsageError("a threshold, a false-accept rate and a closed set are three rules: choose one")
        if threshold is not None:
            if len(self._names) < 2:
                raise UsageError("a threshold needs two enrolled speakers: it compares the best with the next")
            return Rule("margin", threshold)
        if closed_set:
            return Rule("closed_set")
        if self.calibration is None:
            if false_accept_rate is not None:
                raise UsageError(
                    "a false-accept rate needs calibrated scores, and these speakers have none: they were not adapted from "
                    'a world model ([training] method = "map", the default)'
                )
            return Rule("always")
        rate = self.decision.false_accept_rate if false_accept_rate is None else false_accept_rate
        if not 0 < rate < 1:
            raise UsageError(f"a false-accept rate of {rate:g}: expected a share between 0 and 1, such as 0.01")
        return Rule("evidence", self.calibration.naming_threshold(rate))

    def _identify(
        self,
        source: Source,
        *,
        rule: Rule,
        channel: int | None,
        raw: RawFormat | None,
        stdin: BinaryIO | None,
    ) -> Identification:
        answer = self.judge(source, channel=channel, raw=raw, stdin=stdin)
        unjudged = answer if isinstance(answer, Unjudged) else None
        judged = answer.scored if isinstance(answer, Unjudged) else answer
        doubt = None
        if unjudged is not None and judged is not None and rule.kind == "closed_set":
            doubt, unjudged = unjudged.message, None  # a name was asked for all the same
        found: dict[str, Any] = {
            "speech_seconds": answer.speech_seconds, "duration_seconds": answer.duration_seconds, **where_of(source)
        }  # fmt: skip
        if unjudged is not None:
            found |= {"decision": None, "status": "undecided", "reason": unjudged.reason, "message": unjudged.message}
        if judged is None:
            return Identification(**found)
        log_likelihoods, of_world, evidence = judged.log_likelihoods, judged.of_world, judged.evidence
        decision = decide(log_likelihoods, rule, ratios=None if evidence is None else evidence.ratios)
        if unjudged is None:
            name = self._names[decision.speaker] if decision.status == "identified" else None
            message = doubt or judged.warning
            if name is None and message is None and judged.speech_seconds >= _LONG_SECONDS:
                # of several enrolled voices together none need stand out
                message = f"{source.label}: if several people speak in it, ask who speaks when (identify --timeline)"
            found |= {"decision": name, "status": decision.status, "message": message}

        def score(i: int) -> Score:
            value = float(log_likelihoods[i])
            ratio = None if of_world is None else value - of_world
            if evidence is None:
                return Score(self._names[i], value, ratio)
            return Score(self._names[i], value, ratio, float(evidence.ratios[i]), float(evidence.probabilities[i]))

        return Identification(
            margin=decision.margin,
            probability_unknown=None if evidence is None else evidence.probability_unknown,
            scores=tuple(map(score, decision.ranking)),
            **found,
        )

    def judge(
        self,
        source: Source,
        *,
        channel: int | None = None,
        raw: RawFormat | None = None,
        stdin: BinaryIO | None = None,
    ) -> Judged | Unjudged:
        """Score a recording against all speakers, or say why it cannot be judged. BLAS should have one thread.

        What rests on wrong names being measured is refused (a band that does not fit, several voices); what costs names
        but makes none wrong is a warning (clipping).
        """
        analysis: Analysis | None = None
        try:
            analysis = analyse(source, self.front_end, channel=channel, raw=raw, stdin=stdin)
            require_speech(
                analysis.seconds, analysis.speech_seconds, source.label, self.decision.minimum_speech_seconds
            )
        except RecordingError as error:
            lengths = (analysis.speech_seconds, analysis.seconds) if analysis else (None, None)
            return Unjudged(error.reason, located(source, str(error)), *lengths)
        log_likelihoods, of_world, heard, stretches = self._scores(analysis)
        lengths = (analysis.speech_seconds, analysis.seconds)
        evidence = None if of_world is None else self.evidence(log_likelihoods - of_world, analysis.speech_seconds)
        warning = self.warning(
            source.label, source_rate=analysis.source_rate, clipped_fraction=analysis.clipped_fraction,
            lacks_band=heard.lacks_band, full_band=heard.full_band,
        )  # fmt: skip
        judged = Judged(log_likelihoods, of_world, evidence, warning, *lengths)
        if heard.refused:
            return Unjudged("band", located(source, f"{source.label}: {_NARROW_REFUSED}"), *lengths, judged)
        if stretches:
            message = f"{source.label}: {self._voices(stretches)}; ask who speaks when (identify --timeline)"
            return Unjudged("several_voices", located(source, message), *lengths, judged)
        return judged

    def _voices(self, stretches: Sequence[_Stretch]) -> str:
        """Who speaks, and when."""
        by_voice: dict[int | None, list[str]] = {}
        for speaker, start, end in stretches:
            by_voice.setdefault(speaker, []).append(f"{start:.1f}-{end:.1f}")
        texts = []
        for speaker, times in by_voice.items():
            more = ", ..." if len(times) > _LISTED else ""
            name = "somebody else" if speaker is None else self._names[speaker]
            texts.append(f"{name} ({', '.join(times[:_LISTED])}{more} s)")
        # a machine that starts is no second voice, but it fits the first one as badly
        what = "two voices, or a sound that changes" if None in by_voice else "two voices"
        return f"{what}: {', '.join(texts)}"

    def evidence(self, ratios: NDArray[np.float64], seconds: float) -> Evidence | None:
        """Calibrate the scores of one recording or segment.

        Parameters
        ----------
        ratios : ndarray, shape (n_speakers,)
            Mean log-likelihood ratios to the world model, nats a frame.
        seconds : float
            Of speech.

        Returns
        -------
        evidence : Evidence or None
            None without a calibration.
        """
        if self.calibration is None:
            return None
        calibrated = self.calibration.ratios(ratios[None, :], np.array([seconds]), self.expected)
        speakers, nobody = posteriors(calibrated)
        return Evidence(calibrated[0], speakers[0], float(nobody[0]))

    def warning(
        self, label: str, *, source_rate: int, clipped_fraction: float, lacks_band: bool, full_band: bool
    ) -> str | None:
        """Say what makes a name doubtful: a band narrower than the enrolment's, clipping.

        Parameters
        ----------
        label : str
            Of the recording.
        source_rate : int
            Its own, Hz.
        clipped_fraction : float
        lacks_band : bool
            The upper band is not there, and the speakers are enrolled with it.
        full_band : bool
            It is there.
        """
        warnings = []
        if lacks_band:
            warnings.append(_NARROW_DOUBTED)
        elif source_rate < _LOWER_RATE * self._band_rate:
            warnings.append(
                f"sampled at {source_rate / 1000:g} kHz, the speakers at {self._band_rate / 1000:g} kHz and more: "
                "it lacks the upper band, and the answer is doubtful"
            )
        if self._enrolled_band == "narrow" and full_band:
            warnings.append(
                "it has the full band, and the speakers are enrolled from narrow-band recordings: enrolled voices may come "
                "out as unknown; enrol recordings like this one as well"
            )
        if clipped_fraction > _CLIPPED:
            share = 100 * clipped_fraction
            warnings.append(
                f"clipped ({share:.1f} % of the samples at full scale): an enrolled voice may come out as unknown; "
                "record with less gain"
            )
        return f"{label}: {'; '.join(warnings)}" if warnings else None
