"""All speech of each label of a diarizer, scored as it comes: sums that do not grow with the recording."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from speakerid.audio.rttm import SpeakerTurn, one_voice
from speakerid.frontend import StaticFeatures
from speakerid.frontend.framing import frame_times
from speakerid.frontend.stream import Piece
from speakerid.parallel import worker_threads

if TYPE_CHECKING:
    from speakerid.workflows.identify import Heard, Identifier

__all__ = ["LabelSpeech", "SpeechSums"]

Floats = NDArray[np.float64]

# speech of one label that is scored at once, in the noise and the band that it has itself
_POOL_SECONDS = 30.0
# speech of all labels that waits for more, at most
_HELD_SECONDS = 1200.0


@dataclass(frozen=True, eq=False)
class SpeechSums:
    """What a label is judged by.

    Attributes
    ----------
    label : str
    ratios : ndarray, shape (n_speakers,)
        Sums over the frames, nats; see :meth:`Identifier.block_sums`.
    frames, refused : int
        Speech frames, and those in a band that cannot be compared.
    seconds, overlap_seconds : float
        Of the frames, and of all its speech where others speak too.
    overlapped : bool
        It never speaks alone: it is judged by what others speak over.
    """

    label: str
    ratios: Floats
    frames: int
    refused: int
    seconds: float
    overlap_seconds: float
    overlapped: bool


@dataclass(frozen=True)
class _Part:
    """Frames from `first` to `end`, excluded, in which a label speaks: alone, or as others do."""

    first: int
    end: int
    voice: int
    alone: bool


@dataclass(eq=False)
class _Pool:
    """Frames that wait to be scored, and sums over those that were."""

    ratios: Floats
    held: list[NDArray[np.float32]] = field(default_factory=list)
    n_held: int = 0
    n_frames: int = 0  # in all
    refused: int = 0  # in a band that cannot be compared

    def add(self, frames: NDArray[np.float32]) -> None:
        self.held.append(frames)
        self.n_held += len(frames)
        self.n_frames += len(frames)

    def taken(self, n_frames: int) -> NDArray[np.float32]:
        """Take the oldest frames out."""
        together = np.concatenate(self.held)
        # copies: the frames that are taken are soon gone
        self.held, self.n_held = [together[n_frames:].copy()], len(together) - n_frames
        return together[:n_frames]

    def emptied(self) -> None:
        self.held, self.n_held, self.n_frames = [], 0, 0


@dataclass(eq=False)
class _Voice:
    """A label: its speech alone, and where others speak too."""

    label: str
    alone: _Pool
    together: _Pool
    overlap: int = 0  # frames


class LabelSpeech:
    """Takes pieces of a recording, gives sums by label.

    Speech of a label is scored in stretches of 30 s that are put together from its turns, each in the environment that is
    heard in it. A label of no more than a minute of speech is scored as one recording.

    Parameters
    ----------
    identifier : Identifier
    turns : sequence of SpeakerTurn
        Of one recording, by their start.
    begins_at : float
        What the first sample's time is, seconds.
    jobs : int
        Threads.

    Attributes
    ----------
    lacks_band, full_band : bool
        Speech was found without the upper band where all speakers are enrolled with it; with it where all are without.
    """

    def __init__(self, identifier: Identifier, turns: Sequence[SpeakerTurn], begins_at: float, jobs: int) -> None:
        self._identifier, self._jobs = identifier, jobs
        front_end = identifier.front_end
        self._frame = front_end.frame_shift / front_end.sample_rate
        n = len(identifier.speakers)
        names = dict.fromkeys(turn.label for turn in turns)
        self._voices = [_Voice(label, _Pool(np.zeros(n)), _Pool(np.zeros(n))) for label in names]
        first = begins_at + float(frame_times(1, front_end)[0])
        self._parts = _parts(turns, {label: i for i, label in enumerate(names)}, first, self._frame)
        self._next, self._open = 0, list[_Part]()
        self._least = max(round(identifier.decision.minimum_speech_seconds / self._frame), 1)
        self._pool, self._most = round(_POOL_SECONDS / self._frame), round(_HELD_SECONDS / self._frame)
        self._since = 0  # frames since what is held was counted
        self._ready: list[tuple[_Pool, NDArray[np.float32]]] = []
        self.lacks_band = self.full_band = False

    def take(self, pieces: Iterable[Piece]) -> None:
        """Give the speech of some pieces to its labels."""
        for piece in pieces:
            end = piece.first + len(piece)
            while self._next < len(self._parts) and self._parts[self._next].first < end:
                self._open.append(self._parts[self._next])
                self._next += 1
            for part in self._open:
                rows = slice(max(part.first - piece.first, 0), max(part.end - piece.first, 0))
                self._add(part, piece.values[rows][piece.speech[rows]])
            self._open = [part for part in self._open if part.end > end]
            self._make_room()
            if len(self._ready) >= self._jobs:
                self._score()

    def finish(self) -> list[SpeechSums]:
        """Score what is left, and sum up: labels in the order of their first turns."""
        for voice in self._voices:
            for pool in (voice.alone, voice.together):
                if pool.n_held:
                    self._ready.append((pool, pool.taken(pool.n_held)))
        self._score()
        return [self._summed(voice) for voice in self._voices]

    def _summed(self, voice: _Voice) -> SpeechSums:
        pools = [voice.alone]
        if voice.together.n_frames:  # else it speaks alone for long enough, or never together
            pools.append(voice.together)
        frames = sum(pool.n_frames for pool in pools)
        return SpeechSums(
            voice.label, np.sum([pool.ratios for pool in pools], axis=0), frames, sum(pool.refused for pool in pools),
            frames * self._frame, voice.overlap * self._frame, len(pools) > 1,
        )  # fmt: skip

    def _enough(self, voice: _Voice) -> bool:
        return voice.alone.n_frames >= self._least

    def _add(self, part: _Part, frames: NDArray[np.float32]) -> None:
        voice = self._voices[part.voice]
        if not part.alone:
            voice.overlap += len(frames)
            if self._enough(voice):
                return
        pool = voice.alone if part.alone else voice.together
        pool.add(frames)
        self._since += len(frames)
        if self._enough(voice):
            voice.together.emptied()
        # the rest, which is scored at the end, is not less than a pool
        if pool.n_held >= 2 * self._pool:
            self._ready.append((pool, pool.taken(self._pool)))

    def _make_room(self) -> None:
        # counted from time to time: there may be many labels
        if self._since < self._pool:
            return
        self._since = 0
        pools = [pool for voice in self._voices for pool in (voice.alone, voice.together)]
        if sum(pool.n_held for pool in pools) > self._most:
            fullest = max(pools, key=lambda pool: pool.n_held)
            self._ready.append((fullest, fullest.taken(fullest.n_held)))

    def _score(self) -> None:
        ready, self._ready = self._ready, []
        with worker_threads(min(self._jobs, max(len(ready), 1))) as run:
            scored = run(self._scored, [frames for _pool, frames in ready])
            for (pool, frames), (ratios, heard) in zip(ready, scored, strict=True):
                pool.ratios = pool.ratios + ratios
                pool.refused += len(frames) if heard.refused else 0
                self.lacks_band |= heard.lacks_band
                self.full_band |= heard.full_band

    def _scored(self, frames: NDArray[np.float32]) -> tuple[Floats, Heard]:
        """Sum the ratios over frames, where they were recorded."""
        identifier = self._identifier
        static = StaticFeatures(frames[:, : identifier.front_end.n_static], np.ones(len(frames), dtype=np.bool_))
        heard = identifier.within(static)
        ratios, _world = identifier.block_sums(frames, np.zeros(1, dtype=np.intp), heard.stack)
        return ratios[0], heard


def _parts(turns: Sequence[SpeakerTurn], numbers: Mapping[str, int], first: float, frame: float) -> list[_Part]:
    """Cut the speech of all labels into what is alone and what is not; frames are where their centres are."""
    alone: dict[str, list[tuple[float, float]]] = {label: [] for label in numbers}
    for part in one_voice(turns):
        alone[part.label].append((part.start, part.end))
    spoken: dict[str, list[tuple[float, float]]] = {label: [] for label in numbers}
    for turn in turns:
        of_label = spoken[turn.label]
        if of_label and turn.start <= of_label[-1][1]:
            of_label[-1] = (of_label[-1][0], max(of_label[-1][1], turn.end))
        else:
            of_label.append((turn.start, turn.end))

    def number(seconds: float) -> int:
        return max(math.ceil((seconds - first) / frame - 1e-6), 0)

    found = [
        _Part(number(start), number(end), numbers[label], is_alone)
        for label in numbers
        for is_alone, stretches in ((True, alone[label]), (False, _rest(spoken[label], alone[label])))
        for start, end in stretches
    ]
    return sorted((part for part in found if part.end > part.first), key=lambda part: part.first)


def _rest(whole: Sequence[tuple[float, float]], parts: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """What is left of stretches without some parts of them; both sorted."""
    rest, following = [], iter([*parts, (math.inf, math.inf)])
    start, end = next(following)
    for begin, until in whole:
        at = begin
        while start < until:
            if start > at:
                rest.append((at, start))
            at = end
            start, end = next(following)
        if until > at:
            rest.append((at, until))
    return rest
