"""Identification: a recording against all enrolled speakers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from speakerid.audio import RawFormat, Recording
from speakerid.config import Config, DecisionConfig, FrontEndConfig
from speakerid.errors import RecordingError, StoreError, UsageError
from speakerid.frontend import Features, finish
from speakerid.mixtures import GaussianMixture
from speakerid.parallel import effective_jobs, map_in_order, one_blas_thread
from speakerid.scoring import AdaptedStack, MixtureStack, decide
from speakerid.store import Store, World
from speakerid.workflows.analysis import Analysis, Source, analyse, as_source, located, require_speech
from speakerid.workflows.learning import world_of

__all__ = ["Identification", "Identifier", "Score"]

_CLIPPED = 0.02


@dataclass(frozen=True)
class Score:
    """How well a recording fits one speaker.

    Attributes
    ----------
    speaker : str
    log_likelihood : float
        Mean over the speech frames, nats a frame.
    llr : float or None
        The same less the world model's; None without a world model.
    probability : float or None
        Calibrated; None without a calibration.
    """

    speaker: str
    log_likelihood: float
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
        For "undecided", a word: unreadable, empty, truncated, no_speech, too_short.
    message : str or None
        The reason as a sentence; for a name, a warning if there is one.
    speech_seconds, duration_seconds : float or None
        None when the recording could not be read.
    margin : float or None
        Nats a frame that the best speaker is ahead of the next one.
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


class Identifier:
    """Enrolled speakers, ready to be asked. Made from a store by :meth:`open`.

    Parameters
    ----------
    mixtures : mapping of str to GaussianMixture
        At least one speaker.
    front_end : FrontEndConfig
        The one that the mixtures were trained with.
    decision : DecisionConfig, optional
    world : World, optional
        With it every score has a log-likelihood ratio.
    top_components : int, optional
        The mixtures were adapted from the world, and are scored by so many of its components a frame. Left out: all
        components of all mixtures.
    highest_source_rate : int
        Of the enrolled recordings, in Hz; 0 if it is not known. Recordings of a much lower rate get a warning.
    """

    def __init__(
        self,
        mixtures: Mapping[str, GaussianMixture],
        front_end: FrontEndConfig,
        decision: DecisionConfig | None = None,
        *,
        world: World | None = None,
        top_components: int | None = None,
        highest_source_rate: int = 0,
    ) -> None:
        if not mixtures:
            raise UsageError("nobody is enrolled: enrol somebody first")
        self.mixtures: Mapping[str, GaussianMixture] = MappingProxyType(dict(mixtures))
        self.front_end = front_end
        self.decision = decision or DecisionConfig()
        self._band_rate = min(highest_source_rate, front_end.sample_rate)
        self._names = tuple(self.mixtures)
        several = list(self.mixtures.values())
        self._adapted = self._world = None
        if world is not None and top_components is not None:
            self._adapted = AdaptedStack(world.mixture, several, top=top_components)
        else:
            self._stack = MixtureStack(several)
            self._world = None if world is None else MixtureStack([world.mixture])

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
        with Store(store_path) as store:
            if config is not None:
                store.require(config.front_end, config.training, whose="the ones asked for")
                store.require_world(world_of(config), whose="the settings")
            mixtures = store.mixtures()
            if not mixtures:
                raise StoreError(f"{store.path}: nobody is enrolled; enrol somebody first: speakerid enroll FOLDER")
            rate = store.highest_source_rate()
            config = config or Config()
            top = config.world.top_components if store.training.method == "map" else None
            return cls(
                mixtures,
                store.front_end,
                config.decision,
                world=store.world,
                top_components=top,
                highest_source_rate=rate,
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
        scores, of_world = self._scores(analysis)
        return np.append(scores, of_world) if world and of_world is not None else scores

    def _scores(self, analysis: Analysis) -> tuple[NDArray[np.float64], float | None]:
        """Mean log-likelihoods of the speakers, and of the world model if there is one."""
        frames = finish(analysis.static, self.front_end).speech_values
        if self._adapted is not None:
            ratios, of_world = self._adapted.mean_ratios(frames)
            return ratios + of_world, of_world
        scores = self._stack.mean_log_likelihoods(frames)
        return scores, None if self._world is None else float(self._world.mean_log_likelihoods(frames)[0])

    def identify(
        self,
        recording: Source | str | os.PathLike[str] | np.ndarray,
        *,
        sample_rate: int | None = None,
        threshold: float | None = None,
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
            The least margin, in nats a frame, that gets a name; below it the answer is "unknown".
        channel, raw, stdin
            As in :func:`speakerid.audio.open_samples`.

        Raises
        ------
        UsageError
            A threshold with a single enrolled speaker, or an array that cannot be samples.
        TypeError
            An array without `sample_rate`.
        """
        self._check_threshold(threshold)
        source = as_source(recording, sample_rate=sample_rate)
        with one_blas_thread():
            return self._identify(source, threshold=threshold, channel=channel, raw=raw, stdin=stdin)

    def identify_all(
        self,
        recordings: Iterable[Source],
        *,
        threshold: float | None = None,
        channel: int | None = None,
        raw: RawFormat | None = None,
        stdin: BinaryIO | None = None,
        jobs: int | None = None,
    ) -> Iterator[Identification]:
        """Return an iterator over the answers for many recordings, in order; BLAS has one thread until it ends.

        Raises
        ------
        UsageError
            A threshold with a single enrolled speaker.
        """
        self._check_threshold(threshold)
        function = partial(self._identify, threshold=threshold, channel=channel, raw=raw, stdin=stdin)

        def answers() -> Iterator[Identification]:
            with one_blas_thread():
                yield from map_in_order(function, recordings, effective_jobs(jobs))

        return answers()

    def _check_threshold(self, threshold: float | None) -> None:
        if threshold is not None and len(self._names) < 2:
            raise UsageError("a threshold needs two enrolled speakers: it compares the best with the next")

    def _identify(
        self,
        source: Source,
        *,
        threshold: float | None,
        channel: int | None,
        raw: RawFormat | None,
        stdin: BinaryIO | None,
    ) -> Identification:
        where: dict[str, Any] = {"path": source.label}
        if isinstance(source, Recording):
            where = {"path": source.path, "start": source.start, "end": source.end}
        analysis: Analysis | None = None
        try:
            analysis = analyse(source, self.front_end, channel=channel, raw=raw, stdin=stdin)
            require_speech(analysis, source.label, self.decision.minimum_speech_seconds)
        except RecordingError as error:
            return Identification(
                decision=None,
                status="undecided",
                reason=error.reason,
                message=located(source, str(error)),
                speech_seconds=analysis.speech_seconds if analysis else None,
                duration_seconds=analysis.seconds if analysis else None,
                **where,
            )
        log_likelihoods, of_world = self._scores(analysis)
        decision = decide(log_likelihoods, threshold=threshold)

        def score(i: int) -> Score:
            value = float(log_likelihoods[i])
            return Score(self._names[i], value, None if of_world is None else value - of_world)

        return Identification(
            decision=self._names[decision.speaker] if decision.status == "identified" else None,
            status=decision.status,
            message=self._warning(source, analysis),
            speech_seconds=analysis.speech_seconds,
            duration_seconds=analysis.seconds,
            margin=decision.margin,
            scores=tuple(map(score, decision.ranking)),
            **where,
        )

    def _warning(self, source: Source, analysis: Analysis) -> str | None:
        """Say what makes a name doubtful: a band narrower than the enrolment's, clipping."""
        warnings = []
        if analysis.source_rate < 0.75 * self._band_rate:
            warnings.append(
                f"sampled at {analysis.source_rate / 1000:g} kHz, the speakers at {self._band_rate / 1000:g} kHz: "
                "it lacks the upper band, and the name is doubtful"
            )
        if analysis.clipped_fraction > _CLIPPED:
            share = 100 * analysis.clipped_fraction
            warnings.append(f"clipped ({share:.0f} % of the samples at full scale): the name is doubtful")
        return f"{source.label}: {'; '.join(warnings)}" if warnings else None
