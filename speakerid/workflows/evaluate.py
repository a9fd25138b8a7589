"""Evaluation: a protocol in, the answers of one or several systems out.

Every system is what `enroll` and `identify` would make of the same recordings with its settings, to the last bit: speakers
are trained on the recordings that the protocol enrols, and every recording it asks is scored against all of them.
Analysed recordings come from a cache, so a second system, another round of a cross-validation or another run does not
read the audio again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from speakerid.audio import Degradation, Recording, parse_degradation
from speakerid.config import Config, FrontEndConfig, to_dict
from speakerid.errors import RecordingError, TrainingError, UsageError
from speakerid.evaluation.outcome import Listed, Outcome, Row
from speakerid.mixtures import GaussianMixture
from speakerid.parallel import effective_jobs, map_in_order, one_blas_thread
from speakerid.scoring import Calibration, cohort_scores, relative_scores
from speakerid.store import World
from speakerid.store.rows import as_stored
from speakerid.workflows import protocols
from speakerid.workflows.analysis import Analysis, analyse_for_training, located, require_speech
from speakerid.workflows.enroll import Problem
from speakerid.workflows.identify import Identifier
from speakerid.workflows.learning import learn_each, recording_frames, world_of
from speakerid.workflows.score_book import ScoreBook, ScoreBooks, models_fingerprint
from speakerid.workflows.shipped import shipped_calibration

__all__ = ["System", "SystemResult", "content_hashes", "degraded_systems", "evaluate_system", "steps_of"]

_LIKELIHOOD_ALONE = (
    "log-likelihood alone, because a single speaker is enrolled and there is no world model to compare with; it depends on "
    "the recording more than on the speaker"
)
_CALIBRATED = "calibrated log-likelihood ratio"
# where a book keeps what each speaker's own recordings reach, which is no recording's hash
_EXPECTED = "expected"
_ONE_SPEAKER = "a threshold needs two speakers, because it compares the best with the next; leave --threshold out"
# recordings whose frames are in memory at once while speakers are trained
_BATCH_RECORDINGS = 256
# frames of enrolled recordings that are kept between analysis and training: 80 bytes each with the default settings
_KEPT_FRAMES = 4_000_000

Progress = Callable[[int], None]


class Analyser(Protocol):
    """What gives analyses with content hashes: a cache."""

    def analyse(self, source: Recording, config: FrontEndConfig, *, channel: int | None = None) -> Analysis:
        """Analyse a recording, or raise RecordingError."""


@dataclass(frozen=True)
class System:
    """A name and settings, and what is done to the recordings that it is asked, never to those that it enrols.

    Attributes
    ----------
    name : str
    config : Config
    degradation : Degradation, optional
    degradation_seed : int
        Of what is drawn for it.
    own_calibration : Calibration, optional
        In place of the one that comes with the program.
    """

    name: str
    config: Config
    degradation: Degradation | None = None
    degradation_seed: int = 0
    own_calibration: Calibration | None = None

    @functools.cached_property
    def world(self) -> World | None:
        """The world model that the settings name; see :func:`speakerid.workflows.learning.world_of`."""
        return world_of(self.config)

    @property
    def calibration(self) -> Calibration | None:
        """Of the scores of speakers that are adapted."""
        return (self.own_calibration or shipped_calibration()) if self.config.training.method == "map" else None


@dataclass(eq=False)
class SystemResult:
    """What a system answered.

    Attributes
    ----------
    system : System
    outcome : Outcome
    score : str
        How the detection scores are made, in words.
    problems : list of Problem
        Recordings that could not be enrolled.
    repeated : int
        Recordings asked that have the same audio as one that is enrolled.
    timings : dict of str to float
        Seconds: ``enrolling``, ``asking``; ``audio`` is how long the recordings are.
    """

    system: System
    outcome: Outcome
    score: str
    problems: list[Problem] = field(default_factory=list)
    repeated: int = 0
    timings: dict[str, float] = field(default_factory=dict)


def degraded_systems(
    systems: Sequence[System], degradations: Sequence[Degradation | str], *, seed: int
) -> list[System]:
    """Each system as it is, and once more for each degradation of what it is asked.

    They are called ``clean``, ``noise:10`` and so on; after the systems' own names if there are several.

    Raises
    ------
    UsageError
        A degradation that cannot be read or done here, or the same twice.
    """
    wanted = [each if isinstance(each, Degradation) else parse_degradation(each) for each in degradations]
    if not wanted:
        return list(systems)
    from speakerid.audio import check_degradation

    for number, degradation in enumerate(wanted):
        if degradation in wanted[:number]:
            raise UsageError(f'degradation "{degradation}" twice: give each once')
        check_degradation(degradation)
    made = []
    for system in systems:
        for each in (None, *wanted):
            name = "clean" if each is None else str(each)
            if len(systems) > 1:
                name = f"{system.name}, {name}"
            made.append(dataclasses.replace(system, name=name, degradation=each, degradation_seed=seed))
            made[-1].__dict__["world"] = system.world  # read once for all of them
    return made


def steps_of(protocol: protocols.Protocol) -> int:
    """Recordings to be worked on for one system, enrolled and asked."""
    return sum(len(each.enroll) + len(each.tests) for each in protocol.rounds)


def content_hashes(
    recordings: Sequence[Recording],
    config: Config,
    cache: Analyser,
    *,
    channel: int | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[str | RecordingError | None]:
    """Hash the samples of each recording, or say why it cannot be read. The analyses are in the cache then."""

    def content_hash(recording: Recording) -> str | RecordingError | None:
        try:
            return cache.analyse(recording, config.front_end, channel=channel).content_hash
        except RecordingError as error:
            return error

    result = []
    with one_blas_thread():
        for value in map_in_order(content_hash, recordings, effective_jobs(jobs)):
            result.append(value)
            if progress is not None:
                progress(len(result))
    return result


def evaluate_system(
    protocol: protocols.Protocol,
    system: System,
    cache: Analyser,
    *,
    channel: int | None = None,
    threshold: float | None = None,
    false_accept_rate: float | None = None,
    books: ScoreBooks | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> SystemResult:
    """Enrol what the protocol enrols, and ask what it asks.

    Parameters
    ----------
    protocol : Protocol
    system : System
    cache : Analyser
    channel : int, optional
        Channel to take, counted from 1.
    threshold : float, optional
        The least margin that gets a name, nats a frame; scores are margins then.
    false_accept_rate : float, optional
        Share of strangers that may get a name, in place of that of the settings; for calibrated systems.
    books : ScoreBooks, optional
        What was scored before, and where scores are kept.
    jobs : int, optional
        Workers; all cores if left out. The result does not depend on it.
    progress : callable, optional
        Called with the number of recordings that are done, :func:`steps_of` in all.

    Raises
    ------
    UsageError
        Nobody can be enrolled; a threshold is no number, or there is a single speaker and so nothing to compare with it;
        or with one speaker left out nobody or a single one remains.
    """
    if threshold is not None and not math.isfinite(threshold):
        raise UsageError(f"a threshold of {threshold}: expected a number of nats a frame, such as 2.5")
    if threshold is not None and protocol.trials is not None:
        raise UsageError(
            f"{protocol.source}: a threshold gives names, and a list of trials asks for none; leave it out"
        )
    if threshold is not None and len(protocol.models) < 2:
        raise UsageError(f"{protocol.source}: {_ONE_SPEAKER}")
    if false_accept_rate is not None and system.calibration is None:
        raise UsageError(
            f"{system.name}: a false-accept rate needs calibrated scores, and these settings have none: "
            '[training] method = "ml"; leave it out, or give a threshold'
        )
    run = _Run(protocol, system, cache, channel, books, effective_jobs(jobs), progress)
    with one_blas_thread():
        for number in range(len(protocol.rounds)):
            run.round(number)
    if threshold is not None and run.fewest < 2:
        raise UsageError(f"{protocol.source}: only one speaker could be enrolled, and {_ONE_SPEAKER}")
    return run.result(threshold, false_accept_rate)


@dataclass(eq=False)
class _Enrolment:
    """What a round enrols.

    `speakers` has each speaker's recordings by content hash, `owners` whose each audio is, `seconds` its speech. The
    analyses in `kept` need not be fetched again for the training.
    """

    speakers: dict[str, dict[str, Recording]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    kept: dict[str, Analysis] = field(default_factory=dict)
    frames: int = 0

    def keep(self, content_hash: str, analysis: Analysis) -> None:
        self.frames += len(analysis.static)
        if self.frames <= _KEPT_FRAMES:
            self.kept[content_hash] = analysis


@dataclass(frozen=True, eq=False)
class _Answer:
    """What was found in a recording: scores (n_speakers,), unless it cannot be judged or was not scored yet."""

    analysis: Analysis | None
    error: RecordingError | None
    scores: NDArray[np.float64] | None = None


class _Run:
    """One system on its way through the rounds."""

    def __init__(
        self,
        protocol: protocols.Protocol,
        system: System,
        cache: Analyser,
        channel: int | None,
        books: ScoreBooks | None,
        jobs: int,
        progress: Progress | None,
    ) -> None:
        self.protocol, self.system, self.cache, self.channel = protocol, system, cache, channel
        self.books, self.jobs, self.progress = books, jobs, progress
        self.world = system.world
        self.done = 0
        self.columns = {name: column for column, name in enumerate(protocol.models)}
        shape = (len(protocol.rounds), len(self.columns))
        self.enrolled, self.enrolled_seconds = np.zeros(shape, dtype=np.bool_), np.zeros(shape)
        self.expected = np.ones(shape)
        self.rows: list[Row] = []
        self.log_likelihoods: list[NDArray[np.float64]] = []
        self.problems: dict[tuple[str, str], Problem] = {}
        self.repeated = 0
        self.enrolling = self.asking = 0.0
        self.audio_seconds: dict[str, float] = {}

    def step(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done)

    def round(self, number: int) -> None:
        """Enrol and ask one round."""
        began = time.perf_counter()
        enrolment = self.enroll(number)
        if not enrolment.speakers:
            first = next(iter(self.problems.values()), None)
            why = f": {first.message}" if first else ""
            raise UsageError(f"{self.protocol.source}: nobody could be enrolled{why}")
        if self.protocol.leave_one_out and len(enrolment.speakers) < 3:
            raise UsageError(
                f"{self.protocol.source}: leaving one speaker out takes three who are enrolled, so that two remain to be "
                f"compared, but there is {len(enrolment.speakers)}; add speakers or drop --leave-one-speaker-out"
            )
        settings = to_dict(self.system.config) | {"channel": self.channel}
        settings["world_digest"] = self.world.digest if self.world else None
        hashes = [(name, sorted(recordings)) for name, recordings in enrolment.speakers.items()]
        models = models_fingerprint(hashes, settings)
        with contextlib.ExitStack() as stack:
            n_scores = len(hashes) + (self.world is not None)
            book = stack.enter_context(self.books.open(models, n_scores)) if self.books else None
            # what was scored before needs no models; whether that is all is seen on the way
            identifier = None if book is not None and len(book) else self.train(enrolment)
            if identifier is not None and len(identifier.speakers) < len(enrolment.speakers):
                book = None  # what could not be trained is a problem each time
            if identifier is None and book is not None and book.get(_EXPECTED) is None:
                identifier = self.train(enrolment)
            self._expect(number, enrolment, identifier, book)
            self.enrolling += time.perf_counter() - began
            began = time.perf_counter()
            self.ask(number, enrolment, identifier, book)
            self.asking += time.perf_counter() - began

    def enroll(self, number: int) -> _Enrolment:
        """Analyse what a round enrols."""
        enrolment = _Enrolment()
        recordings = _speaker_by_speaker(self.protocol.rounds[number].enroll)
        for recording, result in zip(recordings, self._analysed(recordings), strict=True):
            name = recording.speaker or ""
            self.enrolled[number, self.columns[name]] = True
            if isinstance(result, RecordingError):
                self._problem(recording, result.reason, str(result))
            else:
                self._take(recording, name, result, enrolment)
            self.step()
        enrolment.speakers = dict(sorted(enrolment.speakers.items()))  # as a store has them
        for name, by_hash in enrolment.speakers.items():
            self.enrolled_seconds[number, self.columns[name]] = sum(enrolment.seconds[h] for h in by_hash)
        return enrolment

    def _analysed(self, recordings: Sequence[Recording]) -> Iterator[Analysis | RecordingError]:
        config = self.system.config
        work = functools.partial(
            analyse_for_training,
            config=config.front_end,
            channel=self.channel,
            minimum_seconds=config.decision.minimum_speech_seconds,
            analyse=self.cache.analyse,
        )
        return map_in_order(work, recordings, self.jobs)

    def _take(self, recording: Recording, name: str, analysis: Analysis, enrolment: _Enrolment) -> None:
        content_hash = analysis.content_hash or ""
        owner = enrolment.owners.setdefault(content_hash, name)
        # in a list of trials a model is a recording, and one recording may be there under two names
        if owner != name and self.protocol.trials is None:
            message = f"{recording.label}: the same audio is enrolled as {owner}; it was not enrolled as {name}"
            self._problem(recording, "duplicate", message)
            return
        enrolment.speakers.setdefault(name, {})[content_hash] = recording
        enrolment.seconds[content_hash] = analysis.speech_seconds
        self.audio_seconds[content_hash] = analysis.seconds
        enrolment.keep(content_hash, analysis)

    def train(self, enrolment: _Enrolment) -> Identifier:
        """Learn the speakers' mixtures, as enrolment does: frames in the order of the content hashes."""
        config = self.system.config
        mixtures: dict[str, GaussianMixture] = {}
        expected: list[float | None] = []
        environments: list[dict[str, Any] | None] = []
        of_world = self.world.mixture if self.world is not None and config.training.only_means else None
        for names in _batches(enrolment):
            again = {h: r for name in names for h, r in enrolment.speakers[name].items() if h not in enrolment.kept}
            found = dict(zip(again, self._analysed(list(again.values())), strict=True)) | enrolment.kept
            frames = []
            for name in names:
                statics = []
                for content_hash in enrolment.speakers[name]:
                    analysis = found[content_hash]
                    if isinstance(analysis, RecordingError):
                        raise analysis  # it could be read a moment ago
                    statics.append((content_hash, analysis.static))
                frames.append(recording_frames(statics, config.front_end))
            for name, trained in zip(
                names, learn_each(frames, config.training, self.world, jobs=self.jobs), strict=True
            ):
                if isinstance(trained, TrainingError):
                    self.problems.setdefault((name, ""), Problem(name, "untrainable", f"{name}: {trained}"))
                else:
                    mixtures[name] = as_stored(trained[0], of_world)
                    expected.append(trained[1].expected_ratio)
                    environments.append(trained[1].environment)
        if not mixtures:
            raise UsageError(f"{self.protocol.source}: nobody could be trained")
        top = config.world.top_components if config.training.method == "map" else None
        compensate = config.world.compensation == "environment"
        return Identifier(
            mixtures,
            config.front_end,
            config.decision,
            world=self.world,
            top_components=top,
            calibration=self.system.calibration,
            expected=expected,
            # in a list of trials a model must not know the others, nor what is usual among them
            environments=environments if compensate and self.protocol.trials is None else None,
        )

    def _expect(
        self, number: int, enrolment: _Enrolment, identifier: Identifier | None, book: ScoreBook | None
    ) -> None:
        """Note what each speaker's own recordings reach, from the models or from the book."""
        columns = [self.columns[name] for name in enrolment.speakers]
        if identifier is None:
            kept = book.get(_EXPECTED) if book is not None else None
            assert kept is not None
        else:
            kept = np.ones(len(columns) + (self.world is not None))
            places = {name: place for place, name in enumerate(enrolment.speakers)}
            kept[[places[name] for name in identifier.speakers]] = identifier.expected
            if book is not None:
                book.add(_EXPECTED, kept)
        self.expected[number, columns] = kept[: len(columns)]

    def _problem(self, recording: Recording, reason: str, message: str) -> None:
        self.problems.setdefault(
            (recording.label, reason), Problem(recording.path, reason, located(recording, message))
        )

    def ask(self, number: int, enrolment: _Enrolment, identifier: Identifier | None, book: ScoreBook | None) -> None:
        """Score the recordings that are asked in a round; without `identifier`, only those that are not in the book."""
        tests = self.protocol.rounds[number].tests
        columns = [self.columns[name] for name in enrolment.speakers]
        if self.world is not None:
            columns.append(len(self.columns))  # the last one is the world's
        first = len({row.test for row in self.rows})
        missing = []
        for i, (recording, answer) in enumerate(
            zip(tests, self._answers(tests, enrolment, identifier, book), strict=True)
        ):
            analysis = answer.analysis
            if analysis is not None:
                self.repeated += analysis.content_hash in enrolment.owners
                self.audio_seconds[analysis.content_hash or ""] = analysis.seconds
            row = np.full(len(self.columns) + 1, -np.inf)
            if answer.scores is not None:
                row[columns] = answer.scores
            elif answer.error is None:
                missing.append(i)
            self.log_likelihoods.append(row)
            self.rows.append(_row(first + i, recording, number, answer))
            if answer.scores is not None or answer.error is not None:
                self.step()
        if missing:
            identifier = self.train(enrolment)
            again = self._answers([tests[i] for i in missing], enrolment, identifier, book)
            for i, answer in zip(missing, again, strict=True):
                if answer.error is not None:
                    raise answer.error  # it could be read a moment ago
                self.log_likelihoods[len(self.log_likelihoods) - len(tests) + i][columns] = answer.scores
                self.step()

    def _answers(
        self,
        tests: Sequence[Recording],
        enrolment: _Enrolment,
        identifier: Identifier | None,
        book: ScoreBook | None,
    ) -> Iterator[_Answer]:
        config = self.system.config
        places = {name: place for place, name in enumerate(enrolment.speakers)}
        trained = [places[name] for name in identifier.speakers] if identifier is not None else []
        if self.world is not None:
            trained.append(-1)

        def work(recording: Recording) -> _Answer:
            analysis = None
            if self.system.degradation is not None:
                recording = dataclasses.replace(
                    recording,
                    degradation=self.system.degradation,
                    degradation_seed=self.system.degradation_seed,
                )
            try:
                analysis = self.cache.analyse(recording, config.front_end, channel=self.channel)
                require_speech(
                    analysis.seconds, analysis.speech_seconds, recording.label, config.decision.minimum_speech_seconds
                )
            except RecordingError as error:
                return _Answer(analysis, error)
            scores = book.get(analysis.content_hash or "") if book is not None else None
            if scores is None and identifier is not None:
                scores = np.full(len(places) + (self.world is not None), -np.inf)
                scores[trained] = identifier.log_likelihoods(analysis, world=self.world is not None)
            return _Answer(analysis, None, scores)

        for answer in map_in_order(work, tests, self.jobs):
            if answer.scores is not None and answer.analysis is not None and book is not None:
                content_hash = answer.analysis.content_hash or ""
                if book.get(content_hash) is None:
                    book.add(content_hash, answer.scores)
                elif self.books is not None and identifier is None:
                    self.books.found += 1
            yield answer

    def result(self, threshold: float | None, false_accept_rate: float | None) -> SystemResult:
        """All rounds together."""
        rows, found = list(self.rows), np.array(self.log_likelihoods).reshape(len(self.rows), len(self.columns) + 1)
        log_likelihoods, of_world = found[:, :-1], found[:, -1:]
        if self.protocol.leave_one_out:
            rows, log_likelihoods, again = self._with_own_left_out(rows, log_likelihoods)
            of_world = np.concatenate([of_world, of_world[again]])
        scores, rule = self._scores(rows, log_likelihoods, of_world, calibrated=threshold is None)
        calibration, handicaps = self.system.calibration, None
        if threshold is None and calibration is not None and self.protocol.trials is None:
            rate = self.system.config.decision.false_accept_rate if false_accept_rate is None else false_accept_rate
            threshold = round(calibration.naming_threshold(rate), 6)
            # for having been chosen among so many, as identify counts it
            handicaps = np.log(np.maximum(np.isfinite(log_likelihoods).sum(axis=1), 1))
        outcome = Outcome(
            speakers=self.protocol.models,
            rows=tuple(rows),
            log_likelihoods=log_likelihoods,
            scores=scores,
            enrolled=self.enrolled,
            enrolled_seconds=self.enrolled_seconds,
            listed=_listed(self.protocol),
            threshold=threshold,
            handicaps=handicaps,
            ranked_by_score=handicaps is not None,
        )
        timings = {
            "enrolling": self.enrolling,
            "asking": self.asking,
            "audio": sum(self.audio_seconds.values()),
        }
        return SystemResult(self.system, outcome, rule, list(self.problems.values()), self.repeated, timings)

    def _scores(
        self,
        rows: Sequence[Row],
        log_likelihoods: NDArray[np.float64],
        of_world: NDArray[np.float64],
        *,
        calibrated: bool,
    ) -> tuple[NDArray[np.float64], str]:
        """Detection scores, and how they are made, in words."""
        if calibrated and self.system.calibration is not None:
            scores, rule = self._calibrated(rows, log_likelihoods, of_world), _CALIBRATED
        elif self.protocol.trials is None and self.fewest > 1:
            scores, rule = (
                relative_scores(log_likelihoods),
                "log-likelihood less that of the best other speaker enrolled",
            )
        elif self.world is not None:
            scores, rule = _less(log_likelihoods, of_world), "log-likelihood less that of the world model"
        elif self.fewest > 1:
            scores, rule = (
                cohort_scores(log_likelihoods),
                "log-likelihood less the mean of all other models of the list",
            )
        else:
            scores, rule = log_likelihoods, _LIKELIHOOD_ALONE
        # as they are written down: what is recomputed from the files agrees
        return np.round(scores, 6), rule

    def _calibrated(
        self, rows: Sequence[Row], log_likelihoods: NDArray[np.float64], of_world: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Calibrated ratios, as `identify` and `verify` give them; in a list of trials every model is alone."""
        calibration = self.system.calibration
        assert calibration is not None
        ratios, scores = _less(log_likelihoods, of_world), np.full(log_likelihoods.shape, -np.inf)
        seconds = np.array([row.speech_seconds or 0.0 for row in rows])
        rounds = np.array([row.round for row in rows])
        for number in np.unique(rounds):
            chosen = rounds == number
            scores[chosen] = calibration.ratios(
                ratios[chosen], seconds[chosen], self.expected[number], alone=self.protocol.trials is not None
            )
        return scores

    @property
    def fewest(self) -> int:
        """The least number of speakers who could be enrolled in a round."""
        return int((self.enrolled_seconds > 0).sum(axis=1).min())

    def _with_own_left_out(
        self, rows: list[Row], log_likelihoods: NDArray[np.float64]
    ) -> tuple[list[Row], NDArray[np.float64], list[int]]:
        """Ask every recording once more without its own speaker: the other scores do not depend on who is enrolled.

        (What is usual in the enrolment, which a recording in noise is compared with, still has the speaker in it.)

        The rows that were asked again are the last of what is returned.
        """
        own = [
            (i, column)
            for i, row in enumerate(rows)
            if (column := self.columns.get(row.speaker or "")) is not None and self.enrolled[row.round, column]
        ]
        without = log_likelihoods[[i for i, _column in own]]
        without[np.arange(len(own)), [column for _i, column in own]] = -np.inf
        again = [dataclasses.replace(rows[i], left_out=True) for i, _column in own]
        return rows + again, np.concatenate([log_likelihoods, without]), [i for i, _column in own]


def _less(log_likelihoods: NDArray[np.float64], of_world: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        return np.where(np.isneginf(log_likelihoods), log_likelihoods, log_likelihoods - of_world)


def _speaker_by_speaker(recordings: Sequence[Recording]) -> list[Recording]:
    """Sort by speaker, in the order in which they first come: of the same audio under two names the first has it."""
    place: dict[str, int] = {}
    for recording in recordings:
        place.setdefault(recording.speaker or "", len(place))
    return sorted(recordings, key=lambda recording: place[recording.speaker or ""])


def _batches(enrolment: _Enrolment) -> Iterator[list[str]]:
    """Speakers with some hundred recordings together: their frames are in memory at once."""
    batch: list[str] = []
    n_recordings = 0
    for name, recordings in enrolment.speakers.items():
        batch.append(name)
        n_recordings += len(recordings)
        if n_recordings >= _BATCH_RECORDINGS:
            yield batch
            batch, n_recordings = [], 0
    if batch:
        yield batch


def _row(test: int, recording: Recording, number: int, answer: _Answer) -> Row:
    analysis, error = answer.analysis, answer.error
    return Row(
        test=test,
        path=recording.path,
        speaker=recording.speaker,
        start=recording.start,
        end=recording.end,
        round=number,
        reason=error.reason if error else None,
        message=located(recording, str(error)) if error else None,
        speech_seconds=analysis.speech_seconds if analysis else None,
        duration_seconds=analysis.seconds if analysis else None,
    )


def _listed(protocol: protocols.Protocol) -> Listed | None:
    if protocol.trials is None:
        return None
    trials = protocol.trials
    return Listed(
        np.array([t.test for t in trials], dtype=np.intp),
        np.array([t.model for t in trials], dtype=np.intp),
        np.array([t.target for t in trials], dtype=np.bool_),
    )
