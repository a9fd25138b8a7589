"""Calibration on speakers' own recordings: who they are is known, so what scores mean can be learned.

Every recording is held out of its speaker's model in turn and cut into pieces of half a second, which are scored against all
speakers. From the pieces questions are put together as they come in life: a few of one speaker, asked of some of the
speakers, among whom the right one is or is not. So there are strangers without a recording of one, short questions and
long ones, and many sizes of stores; a ratio is a mean over frames, so that pieces need no scoring again.

Recordings held out are of the same day and the same words as those learned from, and later ones fit worse. So the ratios of
each question are multiplied by a factor drawn between 0.4 and 1.1. (Without it 69 % of dspspeech's recordings are refused
to keep 2 % of strangers out, though none is let in, when nothing of dspspeech is in the development data; with it 38 %.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.config import Config, TrainingConfig
from speakerid.errors import TrainingError, UsageError
from speakerid.evaluation import DetectionTrials, cllr
from speakerid.mixtures import GaussianMixture
from speakerid.parallel import effective_jobs, map_in_order, one_blas_thread
from speakerid.scoring import AdaptedStack, Calibration, CalibrationData, expected_ratios, fit_calibration
from speakerid.store import Store, World
from speakerid.workflows.learning import learn_each, recording_frames, world_of
from speakerid.workflows.shipped import shipped_calibration

__all__ = ["FOLDS", "CalibrationReport", "HeldOut", "calibrate", "forget_calibration", "hold_out", "questions"]

Frames = NDArray[np.float32]

#: Steps of :func:`hold_out`.
FOLDS = 4
# frames: a piece of half a second, and the least that is worth a score
_PIECE, _LEAST_PIECE = 50, 15
# pieces in a question, and speakers it is asked of
_LENGTHS = (1, 2, 4, 8, 16)
_SIZES = (1, 2, 3, 5, 8, 12, 20, 30, 60)
_QUESTIONS = 5000
# how much of its ratio a later recording keeps
_LATER = (0.4, 1.1)
# for a calibration of one's own
_LEAST_SPEAKERS, _LEAST_RECORDINGS = 3, 24
_TOP = 10


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Pieces of recordings, scored against speakers who were learned without them.

    Attributes
    ----------
    ratios : ndarray, shape (n_pieces, n_speakers)
        To the world model, nats a frame.
    expected : ndarray, shape (n_folds, n_speakers)
        τ_s of the speakers as they were learned in each fold.
    frames, speaker, recording, fold : ndarray, shape (n_pieces,)
        Length, and numbers of what each piece is of.
    frame_seconds : float
    """

    ratios: NDArray[np.float64]
    expected: NDArray[np.float64]
    frames: NDArray[np.intp]
    speaker: NDArray[np.intp]
    recording: NDArray[np.intp]
    fold: NDArray[np.intp]
    frame_seconds: float


def hold_out(
    speakers: Mapping[str, Sequence[Frames]],
    training: TrainingConfig,
    world: World,
    *,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> HeldOut:
    """Hold each recording out of its speaker's model, and score it against all speakers.

    Parameters
    ----------
    speakers : mapping of str to sequence of ndarray, shape (n_i, d)
        Speech frames of each speaker's recordings, of each speaker some. A single recording is held out by quarters.
    training : TrainingConfig
        Adaptation.
    world : World
    jobs : int, optional
    progress : callable, optional
        Called with the number of folds that are done, of 4.
    """
    parts = [_held_out_at_a_time(recordings) for recordings in speakers.values()]
    front_end = world.front_end
    numbers = np.cumsum([0, *map(len, parts)])
    rows: list[NDArray[np.float64]] = []
    notes: list[tuple[int, int, int, int]] = []
    expected = []
    for fold in range(FOLDS):
        # of few recordings each is held out once; what is alone is never held out, nor asked
        learned = [
            [x for i, x in enumerate(each) if len(each) == 1 or i % min(FOLDS, len(each)) != fold] for each in parts
        ]
        mixtures: list[GaussianMixture] = []
        ratios: list[float | None] = []
        for result in learn_each(learned, training, world, jobs=jobs):
            if isinstance(result, TrainingError):
                raise result
            mixtures.append(result[0])
            ratios.append(result[1].expected_ratio)
        stack = AdaptedStack(world.mixture, mixtures, top=_TOP)
        expected.append(expected_ratios(ratios))
        asked = [
            (speaker, int(numbers[speaker]) + i, piece)
            for speaker, each in enumerate(parts)
            for i, recording in enumerate(each)
            if len(each) > 1 and i % min(FOLDS, len(each)) == fold
            for piece in np.array_split(recording, max(len(recording) // _PIECE, 1))
            if len(piece) >= _LEAST_PIECE
        ]
        with one_blas_thread():
            scored = map_in_order(lambda item, stack=stack: stack.mean_ratios(item[2])[0], asked, effective_jobs(jobs))  # type: ignore[misc]
            rows.extend(scored)
        notes.extend((len(piece), speaker, recording, fold) for speaker, recording, piece in asked)
        if progress is not None:
            progress(fold + 1)
    frames, speaker, recording, folds = np.array(notes, dtype=np.intp).reshape(-1, 4).T
    scores = np.array(rows).reshape(len(rows), len(parts))
    seconds = front_end.frame_shift / front_end.sample_rate
    return HeldOut(scores, np.array(expected), frames, speaker, recording, folds, seconds)


def _held_out_at_a_time(recordings: Sequence[Frames]) -> list[Frames]:
    """Recordings with speech in them; of a single one its quarters."""
    there = [recording for recording in recordings if len(recording)]
    return there if len(there) > 1 else [part for one in there for part in np.array_split(one, FOLDS) if len(part)]


def questions(held_out: HeldOut, *, seed: int, count: int = _QUESTIONS, least_speakers: int = 1) -> CalibrationData:
    """Put questions together from pieces.

    Parameters
    ----------
    held_out : HeldOut
        Of two speakers at least.
    seed : int
    count : int
    least_speakers : int
        That a question is asked of.
    """
    rng = np.random.default_rng(seed)
    n_speakers = held_out.ratios.shape[1]
    sizes = [size for size in (*_SIZES, n_speakers - 1) if least_speakers <= size < n_speakers]
    pieces_of = {
        (fold, speaker): np.flatnonzero((held_out.fold == fold) & (held_out.speaker == speaker))
        for fold, speaker in {*zip(held_out.fold.tolist(), held_out.speaker.tolist(), strict=True)}
    }
    keys = sorted(pieces_of)
    width = max(sizes)
    ratios, expected = np.full((count, width), -np.inf), np.ones((count, width))
    seconds, truth = np.empty(count), np.full(count, -1, dtype=np.intp)
    for number in range(count):
        fold, speaker = keys[rng.integers(len(keys))]
        pieces = pieces_of[fold, speaker]
        length = min(int(rng.choice(_LENGTHS)), len(pieces))
        first = int(rng.integers(len(pieces) - length + 1))
        chosen = pieces[first : first + length]
        size = int(rng.choice(sizes))
        known = bool(rng.random() < 0.5)
        others = np.delete(np.arange(n_speakers), speaker)
        columns = rng.choice(others, size - known, replace=False)
        if known:
            columns = np.append(columns, speaker)
            truth[number] = size - 1
        weights = held_out.frames[chosen] / held_out.frames[chosen].sum()
        ratios[number, :size] = rng.uniform(*_LATER) * weights @ held_out.ratios[np.ix_(chosen, columns)]
        expected[number, :size] = held_out.expected[fold, columns]
        seconds[number] = held_out.frames[chosen].sum() * held_out.frame_seconds
    return CalibrationData(ratios, seconds, expected, truth, len(np.unique(held_out.recording)))


@dataclass(frozen=True)
class CalibrationReport:
    """A calibration, and what answers cost with the one that comes with the program and with this one, Cllr in bits.

    The latter is cross-validated: each half of the speakers by a calibration that was fitted to the other half. `left_out`
    are the speakers who have too little speech to take part.
    """

    calibration: Calibration
    cost_before: float
    cost_after: float
    left_out: tuple[str, ...] = ()


def calibrate(
    path: str | Path,
    *,
    config: Config | None = None,
    seed: int = 0,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> CalibrationReport:
    """Fit a calibration to the speakers of a store and keep it there.

    It is drawn to the one that comes with the program, the more the fewer recordings there are.

    Parameters
    ----------
    path : path-like
    config : Config, optional
        Given and with other settings than the store's: refused.
    seed : int
        Of how questions are put together.
    jobs, progress
        As in :func:`hold_out`.

    Raises
    ------
    StoreError
        There is no store, it cannot be used, or was made with other settings.
    UsageError
        There is too little to calibrate with, or the speakers were not adapted from a world model.
    """
    speakers: dict[str, list[Frames]] = {}
    left_out = []
    n_held_out = 0
    with Store(path) as store, store.reading():
        world = _require_adapted(store, config)
        front_end, training = store.front_end, store.training
        for name in store.names():
            frames = recording_frames(store.static_features(name), front_end)
            n_asked = sum(len(part) >= _LEAST_PIECE for part in _held_out_at_a_time(frames))
            if n_asked == 0 or sum(map(len, frames)) < FOLDS * _LEAST_PIECE:
                left_out.append(name)
            else:
                speakers[name] = frames
                n_held_out += n_asked
    if len(speakers) < _LEAST_SPEAKERS or n_held_out < _LEAST_RECORDINGS:
        without = f" ({len(left_out)} more have too little speech)" if left_out else ""
        raise UsageError(
            f"{path}: too little to calibrate with: {n_held_out} recordings (or quarters of single ones), speakers: "
            f"{len(speakers)}{without}; {_LEAST_RECORDINGS} and {_LEAST_SPEAKERS} are needed; until then the one that comes "
            "with the program is used"
        )
    held_out = hold_out(speakers, training, world, jobs=jobs, progress=progress)
    data = questions(held_out, seed=seed)
    about = {
        "fitted_to": "the recordings of this store",
        "speakers": len(speakers),
        "recordings": sum(map(len, speakers.values())),
        "seed": seed,
    }
    calibration = _fitted(data, about)
    costs = _cost(shipped_calibration(), data), _cross_validated(held_out, seed)
    with Store(path) as store:
        # somebody may have made another store in its place
        store.require(front_end, training, whose="the one that was calibrated")
        store.require_world(world, whose="the one that was calibrated")
        store.write_calibration(calibration)
    return CalibrationReport(calibration, *costs, tuple(left_out))


def forget_calibration(path: str | Path, *, config: Config | None = None) -> None:
    """Go back to the calibration that comes with the program; parameters and errors as :func:`calibrate`."""
    with Store(path) as store:
        _require_adapted(store, config)
        store.write_calibration(None)


def _require_adapted(store: Store, config: Config | None) -> World:
    """Return the world model that a store's speakers were adapted from."""
    if config is not None:
        store.require(config.front_end, config.training, whose="the ones asked for")
        store.require_world(world_of(config), whose="the settings")
    if store.training.method != "map" or store.world is None:
        raise UsageError(
            f"{store.path}: only speakers adapted from a world model can be calibrated, and these were trained by "
            f'[training] method = "{store.training.method}"; enrol them again with the defaults into another --db'
        )
    return store.world


def _fitted(data: CalibrationData, about: dict[str, Any] | None = None) -> Calibration:
    """Draw the calibration that comes with the program to one's own, as far as there are recordings to say so."""
    return fit_calibration([data], toward=shipped_calibration(), strength=1.0 / data.n_recordings, about=about)


def _cross_validated(held_out: HeldOut, seed: int) -> float:
    """Cost of answers of a calibration that was fitted without the questions of their speakers."""
    halves = []
    for half in range(2):
        chosen = held_out.speaker % 2 == half
        fitted = _fitted(questions(_only(held_out, ~chosen), seed=seed))
        halves.append(_cost(fitted, questions(_only(held_out, chosen), seed=seed + 1)))
    return float(np.mean(halves))


def _only(held_out: HeldOut, chosen: NDArray[np.bool_]) -> HeldOut:
    """Only the pieces chosen; they are still asked of everybody."""
    names = ("ratios", "frames", "speaker", "recording", "fold")
    return replace(held_out, **{name: getattr(held_out, name)[chosen] for name in names})


def _cost(calibration: Calibration, data: CalibrationData) -> float:
    """Cllr of all trials, bits."""
    ratios = calibration.ratios(data.ratios, data.seconds, data.expected)
    asked = np.isfinite(ratios)
    return cllr(DetectionTrials(ratios[asked], data.targets[asked]))
