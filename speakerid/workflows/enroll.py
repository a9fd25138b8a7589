"""Enrolment: recordings in, speakers in the store.

Recordings are analysed in parallel, in batches of whole speakers; each batch is trained and written in one transaction,
so a kill leaves every speaker wholly old or wholly new, and the same call again does the rest. A speaker's model is
trained on all of the speaker's recordings in the order of their content hashes, as the store gives them back: adding
recordings later gives the same model, bit for bit, as enrolling all at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from speakerid._version import __version__
from speakerid.audio import Recording, array_stream
from speakerid.config import Config, FrontEndConfig, TrainingConfig
from speakerid.errors import (
    ConflictError,
    DuplicateRecordingError,
    RecordingError,
    TrainingError,
    UnknownSpeakerError,
    UsageError,
)
from speakerid.frontend import StaticFeatures
from speakerid.mixtures import GaussianMixture, TrainingRecord
from speakerid.parallel import effective_jobs, map_in_order, one_blas_thread
from speakerid.store import NewRecording, SpeakerUpdate, Store, World, normal_name
from speakerid.workflows.analysis import Analysis, Source, Waveform, analyse_for_training, located
from speakerid.workflows.gather import Gathered
from speakerid.workflows.learning import learn_each, recording_frames, world_of

__all__ = ["EnrolledSpeaker", "EnrollmentReport", "Problem", "enroll_gathered", "enroll_recordings"]

# a batch is written when it has so many recordings or frames (about 16 hours): this is what a kill can cost, and
# most of what is in memory
_BATCH_RECORDINGS = 64
_BATCH_FRAMES = 6_000_000
_ATTEMPTS = 20
# a worker trains so many speakers at a time; their frames are in memory
_SPEAKERS_A_JOB = 32


@dataclass(frozen=True)
class Problem:
    """An input that could not be used: where, a word for programs, a sentence for people."""

    path: str
    reason: str
    message: str


@dataclass(frozen=True)
class EnrolledSpeaker:
    """What an enrolment did for one speaker.

    Attributes
    ----------
    name : str
    new : bool
        The speaker was not in the store before, or was replaced.
    replaced : bool
        The speaker was in the store, and what was there has been dropped.
    added, already : int
        Recordings added now, and recordings that were enrolled before (nothing was changed for them).
    n_recordings : int
        Of the speaker in all.
    speech_seconds : float
        Of the speaker in all.
    components, components_asked : int
        Of the model; less than asked when there is too little speech.
    chosen : bool
        The number of components was chosen by BIC.
    log_likelihood : float
        Of the model's own frames, nats a frame.
    iterations : int
        Of EM.
    """

    name: str
    new: bool
    replaced: bool
    added: int
    already: int
    n_recordings: int
    speech_seconds: float
    components: int
    components_asked: int
    chosen: bool
    log_likelihood: float
    iterations: int


@dataclass
class EnrollmentReport:
    """All that an enrolment did; `ignored` are files that are not audio by their name."""

    speakers: list[EnrolledSpeaker] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


@dataclass
class _Speaker:
    """A speaker's analysed recordings, waiting to be trained."""

    name: str
    analyses: list[tuple[Source, Analysis]] = field(default_factory=list)


@dataclass(frozen=True)
class _Trained:
    update: SpeakerUpdate | None
    summary: EnrolledSpeaker | None
    problems: tuple[Problem, ...]


def enroll_recordings(
    store_path: str | Path,
    recordings: Iterable[tuple[str, Source]],
    *,
    config: Config | None = None,
    replace: bool = False,
    components: int | Literal["auto"] | None = None,
    channel: int | None = None,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> EnrollmentReport:
    """Enrol recordings under their speakers' names.

    Parameters
    ----------
    store_path : path-like
        Made when the first speaker is ready, if it does not exist.
    recordings : iterable of (str, Recording or Waveform)
        Names and recordings, in any order.
    config : Config, optional
        Settings. Left out: the store's own, or the defaults for a new store. Given and different from the store's:
        refused.
    replace : bool
        Forget what these speakers had before.
    components : int or "auto", optional
        In place of the number in the settings.
    channel : int, optional
        Channel to take, counted from 1.
    jobs : int, optional
        Workers; all cores if left out. The result does not depend on it.
    progress : callable, optional
        Called with the number of recordings that are done.

    Returns
    -------
    report : EnrollmentReport

    Raises
    ------
    SpeakerNameError
        A name that cannot be one; nothing is enrolled.
    StoreError
        The store cannot be used, or was made with other settings.
    """
    store_path = Path(store_path)
    grouped: dict[str, list[Source]] = {}
    for name, source in recordings:
        if isinstance(source, Recording) and source.path == "-":
            raise UsageError("enroll cannot read standard input: give a file")
        if isinstance(source, Waveform):
            # an array that cannot be samples is a wrong request: refuse it before anything is written
            with contextlib.suppress(RecordingError):
                array_stream(source.samples, source.sample_rate, sample_rate=source.sample_rate).close()
        grouped.setdefault(normal_name(name), []).append(source)
    front_end, training, world = _settings(store_path, config, components)
    minimum = (config or Config()).decision.minimum_speech_seconds
    report = EnrollmentReport()
    writer = _Writer(store_path, front_end, training, world, replace=replace, report=report, jobs=effective_jobs(jobs))
    with one_blas_thread():
        items = [(name, source) for name, sources in grouped.items() for source in sources]
        work = partial(_analyse_one, config=front_end, channel=channel, minimum=minimum)
        results = map_in_order(work, items, writer.jobs)
        for batch in _batches(_analyse_all(items, results, report, progress)):
            writer.write(batch)
    return report


def enroll_gathered(
    store_path: str | Path, gathered: Gathered, *, speaker: str | None = None, **options: Any
) -> EnrollmentReport:
    """Enrol what was found in folders and manifests; what was passed over there is in the report too.

    Parameters
    ----------
    store_path : path-like
    gathered : Gathered
    speaker : str, optional
        Everybody's name, in place of the recordings' own.
    **options
        As in :func:`enroll_recordings`.
    """
    items = [(speaker or recording.speaker or "", recording) for recording in gathered.recordings]
    report = enroll_recordings(store_path, items, **options)
    report.problems[:0] = [Problem(path, "unreadable", message) for path, message in gathered.problems]
    report.ignored.extend(gathered.ignored)
    return report


def _settings(
    store_path: Path, config: Config | None, components: int | Literal["auto"] | None
) -> tuple[FrontEndConfig, TrainingConfig, World | None]:
    def asked(training: TrainingConfig) -> TrainingConfig:
        if components is None:
            return training
        # where the settings are about adaptation
        named = config is not None and config.world.file not in ("", "auto")
        if training.method == "map" and (named or training != TrainingConfig()):
            raise UsageError("--components is for training by EM; an adapted speaker has as many as the world model")
        # a number of components asks for mixtures of the speaker's own
        return dataclasses.replace(training, method="ml", components=components)

    if not store_path.exists():
        config = config or Config()
        return config.front_end, asked(config.training), world_of(config)
    with Store(store_path) as store:
        front_end, training = (config.front_end, config.training) if config else (store.front_end, store.training)
        store.require(front_end, asked(training), whose="the ones asked for")
        if config is not None:
            store.require_world(world_of(config), whose="the settings")
        return store.front_end, store.training, store.world


def _analyse_one(
    item: tuple[str, Source], *, config: FrontEndConfig, channel: int | None, minimum: float
) -> Analysis | RecordingError:
    return analyse_for_training(item[1], config, channel=channel, minimum_seconds=minimum)


def _analyse_all(
    items: Sequence[tuple[str, Source]],
    results: Iterable[Analysis | RecordingError],
    report: EnrollmentReport,
    progress: Callable[[int], None] | None,
) -> Iterator[_Speaker]:
    """Collect the analyses; yield a speaker when the speaker's last recording is done."""
    speaker: _Speaker | None = None
    for done, ((name, source), result) in enumerate(zip(items, results, strict=True), start=1):
        if speaker is not None and speaker.name != name:
            yield speaker
            speaker = None
        speaker = speaker or _Speaker(name)
        if isinstance(result, RecordingError):
            report.problems.append(_problem(source, result))
        else:
            speaker.analyses.append((source, result))
        if progress is not None:
            progress(done)
    if speaker is not None:
        yield speaker


def _problem(source: Source, error: RecordingError) -> Problem:
    path = source.path if isinstance(source, Recording) else source.label
    return Problem(path, error.reason, located(source, str(error)))


def _batches(speakers: Iterable[_Speaker]) -> Iterator[list[_Speaker]]:
    batch: list[_Speaker] = []
    n_recordings = n_frames = 0
    for speaker in speakers:
        if not speaker.analyses:
            continue  # all its recordings are in the report's problems
        batch.append(speaker)
        n_recordings += len(speaker.analyses)
        n_frames += sum(len(analysis.static) for _source, analysis in speaker.analyses)
        if n_recordings >= _BATCH_RECORDINGS or n_frames >= _BATCH_FRAMES:
            yield batch
            batch, n_recordings, n_frames = [], 0, 0
    if batch:
        yield batch


class _Writer:
    """Trains batches and writes them; trains again what another process changed meanwhile."""

    def __init__(
        self,
        path: Path,
        front_end: FrontEndConfig,
        training: TrainingConfig,
        world: World | None,
        *,
        replace: bool,
        report: EnrollmentReport,
        jobs: int,
    ) -> None:
        self.path, self.front_end, self.training, self.world = path, front_end, training, world
        self.replace, self.report, self.jobs = replace, report, jobs

    def write(self, batch: Sequence[_Speaker]) -> None:
        for _attempt in range(_ATTEMPTS):
            plans = list(self._plan(batch))
            step = _SPEAKERS_A_JOB * self.jobs
            trained = [result for i in range(0, len(plans), step) for result in self._train(plans[i : i + step])]
            updates = [t.update for t in trained if t.update is not None]
            if updates:
                try:
                    self._store(updates)
                except ConflictError:
                    continue
            for result in trained:
                self.report.problems.extend(result.problems)
                if result.summary is not None:
                    self.report.speakers.append(result.summary)
            return
        raise ConflictError(f"{self.path}: other processes keep changing the same speakers; try again later")

    def _store(self, updates: Sequence[SpeakerUpdate]) -> None:
        if not self.path.exists():
            Store.create(
                self.path, self.front_end, self.training, self.world, version=__version__, updates=updates
            ).close()
            return
        with Store(self.path) as store:
            store.require(self.front_end, self.training, whose="this enrolment")
            store.require_world(self.world, whose="this enrolment")
            store.write(updates)

    def _plan(self, batch: Sequence[_Speaker]) -> Iterator[_Plan]:
        """Decide, speaker by speaker, what is new, what is enrolled already, and what is somebody else's."""
        owners: dict[str, str] = {}
        stored: dict[str, list[tuple[str, StaticFeatures, float]]] = {}
        if self.path.exists():
            with Store(self.path) as store, store.reading():
                # another process may have made the store in the meantime, with other settings
                store.require(self.front_end, self.training, whose="this enrolment")
                store.require_world(self.world, whose="this enrolment")
                owners = store.owners()
                for speaker in batch:
                    seconds = {r.content_hash: r.speech_seconds for r in store.recordings(speaker.name)}
                    stored[speaker.name] = [
                        (h, static, seconds[h]) for h, static in store.static_features(speaker.name)
                    ]
        if self.replace:
            # what these speakers had is dropped, so it may be enrolled under another of their names
            replaced = {speaker.name for speaker in batch}
            owners = {h: name for h, name in owners.items() if name not in replaced}
        for speaker in batch:
            plan = _Plan(speaker.name, frozenset(h for h, _s, _t in stored.get(speaker.name, [])))
            plan.replace = self.replace and bool(plan.expected)
            plan.kept = [] if self.replace else stored.get(speaker.name, [])
            present = {h for h, _static, _seconds in plan.kept}
            for source, analysis in speaker.analyses:
                content_hash = analysis.content_hash
                assert content_hash is not None
                owner = owners.get(content_hash)
                if owner is not None and owner != speaker.name:
                    plan.problems.append(_problem(source, _duplicate(source, speaker.name, owner)))
                elif content_hash in present:
                    plan.already += 1
                else:
                    present.add(content_hash)
                    owners[content_hash] = speaker.name
                    plan.added.append((source, analysis))
            yield plan

    def _train(self, plans: Sequence[_Plan]) -> list[_Trained]:
        adding = [plan for plan in plans if plan.added]
        trained = learn_each([*map(self._frames, adding)], self.training, self.world, jobs=self.jobs)
        models = dict(zip((plan.name for plan in adding), trained, strict=True))
        return [self._finish(plan, models.get(plan.name)) for plan in plans]

    def _frames(self, plan: _Plan) -> list[NDArray[np.float32]]:
        statics = [(h, static) for h, static, _seconds in plan.kept]
        statics += [(a.content_hash or "", a.static) for _source, a in plan.added]
        return recording_frames(statics, self.front_end)

    def _finish(self, plan: _Plan, model: tuple[GaussianMixture, TrainingRecord] | TrainingError | None) -> _Trained:
        problems = tuple(plan.problems)
        if model is None:
            summary = None
            if plan.already:
                # removed by another process since the plan was made: then there is nothing to sum up
                with Store(self.path) as store, contextlib.suppress(UnknownSpeakerError):
                    summary = _summary(plan, *store.model(plan.name))
            return _Trained(None, summary, problems)
        if isinstance(model, TrainingError):
            failed = Problem(plan.name, "untrainable", f"{plan.name}: {model}")
            return _Trained(None, None, (*problems, failed))
        mixture, training_record = model
        record = dataclasses.asdict(training_record)
        added = tuple(_new_recording(source, analysis) for source, analysis in plan.added)
        update = SpeakerUpdate(plan.name, plan.expected, added, mixture, record, plan.replace)
        return _Trained(update, _summary(plan, mixture, record), problems)


@dataclass
class _Plan:
    """What is to be done for a speaker."""

    name: str
    expected: frozenset[str]
    replace: bool = False
    kept: list[tuple[str, StaticFeatures, float]] = field(default_factory=list)
    added: list[tuple[Source, Analysis]] = field(default_factory=list)
    already: int = 0
    problems: list[Problem] = field(default_factory=list)


def _duplicate(source: Source, name: str, owner: str) -> DuplicateRecordingError:
    return DuplicateRecordingError(
        f"{source.label}: the same audio is enrolled as {owner}; it was not enrolled as {name}: "
        "find out whose voice it is, and remove the wrong copy"
    )


def _new_recording(source: Source, analysis: Analysis) -> NewRecording:
    label = source.label.encode("utf-8", "replace").decode("utf-8")
    session = source.kept_together if isinstance(source, Recording) else None
    assert analysis.content_hash is not None
    return NewRecording(
        analysis.content_hash,
        label,
        session,
        analysis.source_rate,
        analysis.seconds,
        analysis.speech_seconds,
        analysis.static,
    )


def _summary(plan: _Plan, mixture: GaussianMixture, record: dict[str, Any]) -> EnrolledSpeaker:
    seconds = sum(seconds for _h, _s, seconds in plan.kept) + sum(a.speech_seconds for _s, a in plan.added)
    history = record["log_likelihoods"]
    return EnrolledSpeaker(
        name=plan.name,
        new=plan.replace or not plan.expected,
        replaced=plan.replace,
        added=len(plan.added),
        already=plan.already,
        n_recordings=len(plan.kept) + len(plan.added),
        speech_seconds=seconds,
        components=mixture.n_components,
        components_asked=record.get("components_asked", mixture.n_components),
        chosen=bool(record.get("considered")),
        log_likelihood=float(history[-1]),
        iterations=len(history) - 1,
    )
