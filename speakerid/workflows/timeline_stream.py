"""Who speaks when, while the samples come: features, windows, the path through them, segments.

Everything happens at fixed moments of the recording's own clock, so that the answer does not depend on how samples come: a
file that is read in blocks of any size, and a stream, have the same segments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from speakerid.audio.decode import LARGEST_SAMPLE
from speakerid.audio.readers import HIGHEST_RATE, LOWEST_RATE
from speakerid.errors import RecordingError, UsageError
from speakerid.frontend import StaticFeatures
from speakerid.frontend.spectrum import STREAM_CHUNK_FRAMES
from speakerid.frontend.stream import FeatureStream, Piece
from speakerid.parallel import one_blas_thread, worker_threads
from speakerid.scoring import AdaptedStack, Rule, refuses
from speakerid.scoring.gains import Gains
from speakerid.scoring.path import Entered, Left, PathFinder
from speakerid.scoring.windows import HopSums, WindowScores, WindowSums
from speakerid.workflows.analysis import require_speech
from speakerid.workflows.timeline import Beginning, Segment, Timeline

if TYPE_CHECKING:
    from speakerid.workflows.identify import Identifier

__all__ = ["TimelineStream"]

_SHORTEST_WINDOW, _LONGEST_WINDOW = 0.1, 3600.0
_PIECE_SECONDS, _BEFORE_SECONDS, _AFTER_SECONDS = 1.0, 3.0, 0.5
# what is told of noise and band rests on so much of what was before
_HEARD_SECONDS, _LEAST_HEARD_SECONDS = 30, 0.5
_LOOK_AGAIN_PIECES = 10


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A piece, and the speakers as they sound where it was recorded."""

    piece: Piece
    stack: AdaptedStack | None
    refused: bool


@dataclass(eq=False)
class _Sums:
    """What a segment is judged by."""

    ratios: NDArray[np.float64]
    speech: float = 0.0
    refused: float = 0.0

    def add(self, ratios: NDArray[np.float64], speech: float, refused: float) -> None:
        self.ratios = self.ratios + ratios
        self.speech += speech
        self.refused += refused


def _resampler(rate: int | None, wanted: int) -> Any:
    if rate is None or rate == wanted:
        return None
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise UsageError(f"a sample rate of {rate} Hz; speakerid takes {LOWEST_RATE} to {HIGHEST_RATE}")
    import soxr

    return soxr.ResampleStream(rate, wanted, 1, dtype="float32", quality="HQ")


class TimelineStream:
    """Takes samples, gives segments as they become firm. Made by :meth:`Identifier.timeline_stream`.

    Parameters
    ----------
    identifier : Identifier
    label : str
        What to call it in messages.
    path : str, optional
        And in the answer; the label if left out.
    start, end : float, optional
        The stretch that was cut out of a file, seconds: times are those of the file.
    sample_rate : int, optional
        Of the samples, Hz; that of the identifier's front end if left out.
    window, hop : float, optional
        Seconds, in place of the settings'.
    threshold, false_accept_rate, closed_set
        As :meth:`Identifier.identify`: what a segment needs to get the name of the speaker who fits it best.
    keep_windows : bool
        Keep the scores of all windows (`Timeline.windows`): 8 bytes a speaker and hop.
    jobs : int
        Threads.

    Raises
    ------
    UsageError
        Rules that exclude each other, or lengths that do not fit.
    """

    def __init__(
        self,
        identifier: Identifier,
        *,
        label: str = "(stream)",
        path: str | None = None,
        start: float | None = None,
        end: float | None = None,
        sample_rate: int | None = None,
        window: float | None = None,
        hop: float | None = None,
        threshold: float | None = None,
        false_accept_rate: float | None = None,
        closed_set: bool = False,
        keep_windows: bool = False,
        jobs: int = 1,
    ) -> None:
        self._identifier, self._label, self._jobs = identifier, label, jobs
        self._path_name, self._stretch = label if path is None else path, (start, end)
        self._begins_at = start or 0.0
        self._n_samples, self._ended = 0, False
        self._rate = sample_rate or identifier.front_end.sample_rate
        self._resampler = _resampler(sample_rate, identifier.front_end.sample_rate)
        self._segments: list[Segment] = []
        self._rule: Rule = identifier.rule(threshold, false_accept_rate, closed_set=closed_set)
        front_end, settings = identifier.front_end, identifier.timeline_settings
        frame = front_end.frame_shift / front_end.sample_rate
        window = settings.window_seconds if window is None else window
        hop = min(settings.hop_seconds, window) if hop is None else hop
        if not (_SHORTEST_WINDOW <= window <= _LONGEST_WINDOW and 0 < hop <= _LONGEST_WINDOW):
            raise UsageError(
                f"a window of {window:g} s with a hop of {hop:g} s: expected seconds, {_SHORTEST_WINDOW:g} to "
                f"{_LONGEST_WINDOW:g} for a window, such as 1.5 and 0.1"
            )
        self._hop_frames = max(round(hop / frame), 1)
        window_hops = max(round(window / (self._hop_frames * frame)), 1)
        if hop > window:
            raise UsageError(f"a hop of {hop:g} s is longer than the window of {window:g} s: what lies between is lost")
        self._frame, self._hop = frame, self._hop_frames * frame
        hops_a_piece = max(round(_PIECE_SECONDS / self._hop), 1)
        self._piece_seconds = hops_a_piece * self._hop
        self._features = FeatureStream(
            front_end,
            piece_frames=hops_a_piece * self._hop_frames,
            before_seconds=_BEFORE_SECONDS,
            after_seconds=_AFTER_SECONDS,
        )
        self._heard: deque[NDArray[np.float32]] = deque(maxlen=max(round(_HEARD_SECONDS / self._piece_seconds), 1))
        self._n_pieces = 0
        self._stack: AdaptedStack | None = None
        self._looked = self._refused = self._lacks_band = self._full_band = False
        self._windows = WindowSums(window_hops)
        self._gains = Gains(
            settings, frame, identifier.expected, identifier.calibration, window_hops * self._hop, closed_set=closed_set
        )
        delay = round(settings.longest_delay_seconds / self._hop)
        self._path = PathFinder(self._gains.shortest(self._hop), self._gains.costs(), longest_delay=delay)
        self._kept: list[WindowScores] | None = [] if keep_windows else None
        self._left: list[Left] = []
        self._n_hops = 0
        # hops since the end of the last segment: those that may still be of the next one apart, older ones as a sum
        self._first, self._recent = 0, deque[tuple[NDArray[np.float64], float, float]]()
        self._open = _Sums(np.zeros(len(identifier.speakers)))
        self._room = delay + self._path.slack
        self._held: tuple[Segment, _Sums] | None = None
        self._speech_seconds = 0.0

    @property
    def longest_delay_seconds(self) -> float:
        """Seconds after which it is firm at the latest who was speaking."""
        hops = self._windows.after + self._room
        return STREAM_CHUNK_FRAMES * self._frame + self._piece_seconds + _AFTER_SECONDS + hops * self._hop

    def push(self, samples: NDArray[np.float32]) -> list[Segment | Beginning]:
        """Take samples; return what has become firm.

        Parameters
        ----------
        samples : ndarray, shape (n,), float32
            Mono, full scale ±1, at the stream's rate.

        Raises
        ------
        ValueError
            They are of another shape or type or no numbers, or the recording has ended.
        """
        if self._ended:
            raise ValueError("the recording has ended: begin another stream")
        samples = np.asarray(samples)
        if samples.ndim != 1 or samples.dtype.kind != "f":
            raise ValueError(f"expected floats of shape (n,), got {samples.dtype} of shape {samples.shape}")
        if len(samples) and not float(np.abs(samples).max()) <= LARGEST_SAMPLE:
            raise ValueError("samples that are not finite numbers, or too large for audio")
        samples = samples.astype(np.float32, copy=False)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        return self._taken_in(samples)

    def _taken_in(self, samples: NDArray[np.float32]) -> list[Segment | Beginning]:
        self._n_samples += len(samples)
        return self._kept_events(self._features.push(samples), last=False)

    def finish(
        self,
        *,
        source_rate: int | None = None,
        clipped_fraction: float = 0.0,
        fault: RecordingError | None = None,
    ) -> Timeline:
        """End the recording.

        Parameters
        ----------
        source_rate : int, optional
            Its own rate in Hz, before resampling.
        clipped_fraction : float
            Share of its samples that stand at full scale.
        fault : RecordingError, optional
            Why it could not be read to its end.

        Returns
        -------
        timeline : Timeline
            With all segments: those that :meth:`push` returned, and the rest.

        Raises
        ------
        ValueError
            It has ended before.
        """
        if self._ended:
            raise ValueError("the recording has ended before")
        self._ended = True
        if self._resampler is not None:
            self._taken_in(self._resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
        self._kept_events(self._features.finish(), last=True)
        identifier = self._identifier
        seconds = self._n_samples / identifier.front_end.sample_rate
        found: dict[str, Any] = {
            "path": self._path_name, "duration_seconds": seconds, "speech_seconds": self._speech_seconds,
            "speakers": identifier.speakers, "segments": tuple(self._segments), "windows": self._windows_kept(),
            "start": self._stretch[0], "end": self._stretch[1],
        }  # fmt: skip
        try:
            if fault is not None:
                raise fault
            require_speech(seconds, self._speech_seconds, self._label, identifier.decision.minimum_speech_seconds)
            self._require_voices(seconds)
        except RecordingError as error:
            return Timeline(status="undecided", decision=None, reason=error.reason, message=str(error), **found)
        warning = identifier.warning(
            self._label,
            source_rate=source_rate or self._rate,
            clipped_fraction=clipped_fraction,
            lacks_band=self._lacks_band,
            full_band=self._full_band,
        )
        voices = {(each.status, each.decision) for each in self._segments if each.status != "undecided"}
        if len(voices) == 1:
            [(status, decision)] = voices
            return Timeline(status=status, decision=decision, reason=None, message=warning, **found)
        reason = "several_voices" if voices else "band"
        return Timeline(status="undecided", decision=None, reason=reason, message=warning, **found)

    def _require_voices(self, seconds: float) -> None:
        """Refuse a recording without a segment that is long enough.

        Raises
        ------
        RecordingError
            ``no_speech`` or ``too_short``.
        """
        if not self._segments:
            raise RecordingError(
                f"{self._label}: nobody is heard to speak in {seconds:.1f} s: {self._speech_seconds:.1f} s are like speech, "
                "and do not stand out of what is around them",
                reason="no_speech",
            )
        if all(each.reason == "too_short" for each in self._segments):
            raise RecordingError(
                f"{self._label}: only words of less than {self._identifier.decision.minimum_speech_seconds:g} s in "
                f"{seconds:.1f} s",
                reason="too_short",
            )

    def _windows_kept(self) -> WindowScores | None:
        if self._kept is None:
            return None
        if not self._kept:
            return WindowScores.none(len(self._identifier.speakers))
        windows = WindowScores.joined(self._kept)
        states = np.full(len(windows), self._gains.silence)
        for state, start, end in self._left:
            states[start:end] = state
        return replace(windows, states=states)

    def _kept_events(self, pieces: Iterable[Piece], *, last: bool) -> list[Segment | Beginning]:
        with one_blas_thread():
            events = list(self._events(pieces, last=last))
        self._segments += [event for event in events if isinstance(event, Segment)]
        return events

    def _events(self, pieces: Iterable[Piece], *, last: bool) -> Iterator[Segment | Beginning]:
        prepared = [self._prepared(piece) for piece in pieces]
        with worker_threads(min(self._jobs, max(len(prepared), 1))) as run:
            scored = run(self._hops, prepared)
        for each, hops in zip(prepared, scored, strict=True):
            yield from self._passed(hops, each.refused, self._windows.push(hops))
        if last:
            yield from self._passed(None, False, self._windows.finish())
            yield from self._told(self._path.finish())
            yield from self._released()

    def _prepared(self, piece: Piece) -> _Prepared:
        """Look at where it is recorded, from time to time: more often at the beginning."""
        self._heard.append(piece.values[piece.speech, : self._identifier.front_end.n_static])
        self._n_pieces += 1
        early = not self._looked or self._n_pieces & (self._n_pieces - 1) == 0
        if (early and self._n_pieces < _LOOK_AGAIN_PIECES) or self._n_pieces % _LOOK_AGAIN_PIECES == 0:
            self._look()
        return _Prepared(piece, self._stack, self._refused)

    def _look(self) -> None:
        speech = np.concatenate(list(self._heard))
        if len(speech) * self._frame < _LEAST_HEARD_SECONDS:
            return
        self._looked = True
        static = StaticFeatures(speech, np.ones(len(speech), dtype=np.bool_))
        heard = self._identifier.within(static)
        self._stack, self._refused = heard.stack, heard.refused
        self._lacks_band |= heard.lacks_band
        self._full_band |= heard.full_band

    def _hops(self, each: _Prepared) -> HopSums:
        """Score a piece: sums over its hops."""
        piece, n = each.piece, len(each.piece)
        edges = np.arange(0, n, self._hop_frames)
        speech = np.add.reduceat(piece.speech, edges, dtype=np.float64)
        starts = (np.cumsum(speech) - speech).astype(np.intp)
        frames = piece.values[piece.speech]
        if len(frames):
            ratios, world = self._identifier.block_sums(frames, starts, each.stack)
        else:
            ratios, world = np.zeros((len(edges), len(self._identifier.speakers))), np.zeros(len(edges))
        silence = np.stack(
            [np.add.reduceat(part(piece.silence, 0.0), edges, dtype=np.float64) for part in (np.maximum, np.minimum)],
            axis=1,
        )
        return HopSums(ratios, world, speech, silence, np.diff(np.append(edges, n)).astype(np.float64))

    def _passed(
        self, hops: HopSums | None, refused: bool, windows: Iterable[tuple[HopSums, HopSums]]
    ) -> Iterator[Segment | Beginning]:
        if hops is not None:
            share = hops.speech if refused else np.zeros(len(hops))
            self._recent.extend(zip(hops.ratios, hops.speech.tolist(), share.tolist(), strict=True))
            self._speech_seconds += float(hops.speech.sum()) * self._frame
        for middle, around in windows:
            gains = self._gains(middle, around)
            if self._kept is not None:
                first = self._begins_at + self._n_hops * self._hop
                self._kept.append(WindowScores.of(first, self._hop, around, self._frame, gains))
            self._n_hops += len(middle)
            yield from self._told(self._path.push(gains))
        while len(self._recent) > self._room + self._windows.after + 1:
            # whatever is open here goes on: its boundary would have been told
            self._open.add(*self._recent.popleft())
            self._first += 1

    def _told(self, events: Iterable[Entered | Left]) -> Iterator[Segment | Beginning]:
        for event in events:
            is_silence = event.state == self._gains.silence
            if isinstance(event, Entered):
                if is_silence:
                    yield from self._released()
                else:
                    yield Beginning(self._clock(event.start), self._name(event.state))
                continue
            if self._kept is not None:
                self._left.append(event)
            sums = self._taken(event.end)
            if is_silence:
                continue
            segment = self._judged(event.state, self._clock(event.start), self._clock(event.end), sums)
            if self._held is not None and self._held[0].end == segment.start and segment.status == "unknown":
                before, more = self._held
                sums.add(more.ratios, more.speech, more.refused)
                segment = self._judged(None, before.start, segment.end, sums)
                self._held = None
            yield from self._released()
            # a name that is refused may follow: then both are one unknown voice
            if segment.status == "unknown":
                self._held = segment, sums
            else:
                yield segment

    def _released(self) -> Iterator[Segment]:
        if self._held is not None:
            yield self._held[0]
            self._held = None

    def _clock(self, hops: int) -> float:
        """Seconds of a boundary; the last hop may be longer than the recording."""
        end = self._n_samples / self._identifier.front_end.sample_rate
        return round(self._begins_at + min(hops * self._hop, end), 6)

    def _name(self, state: int) -> str | None:
        speakers = self._identifier.speakers
        return speakers[state] if state < len(speakers) else None

    def _taken(self, end: int) -> _Sums:
        """Sums of the hops up to `end`, which are forgotten."""
        sums, self._open = self._open, _Sums(np.zeros(len(self._identifier.speakers)))
        while self._first < end and self._recent:
            sums.add(*self._recent.popleft())
            self._first += 1
        return sums

    def _judged(self, state: int | None, start: float, end: float, sums: _Sums) -> Segment:
        """Judge a segment as a recording of its own; the path says whose name it can get."""
        identifier = self._identifier
        seconds = sums.speech * self._frame
        if seconds < max(identifier.decision.minimum_speech_seconds, self._frame / 2):
            return Segment(start, end, None, "undecided", None, None, None, seconds, "too_short")
        mean = sums.ratios / sums.speech
        speaker = state if state is not None and state < len(identifier.speakers) else None
        evidence = identifier.evidence(mean, seconds)
        ratios = None if evidence is None else evidence.ratios
        if speaker is not None and refuses(self._rule, speaker, mean, ratios):
            speaker = None
        nearest = int((mean if ratios is None else ratios).argmax()) if speaker is None else speaker
        llr = probability = None
        if evidence is not None:
            llr = float(evidence.ratios[nearest])
            probability = evidence.probability_unknown if speaker is None else float(evidence.probabilities[speaker])
        name = None if speaker is None else identifier.speakers[speaker]
        if 2 * sums.refused > sums.speech:
            return Segment(start, end, None, "undecided", identifier.speakers[nearest], llr, None, seconds, "band")
        status: Literal["identified", "unknown"] = "unknown" if name is None else "identified"
        return Segment(start, end, name, status, identifier.speakers[nearest], llr, probability, seconds)
