"""Enrolment advice: what the enrolled recordings themselves say about what to expect of them.

Recordings are scored against their own speaker without them (``held_out`` in the training record) and against the models of
all others, as ratios to the world model, nats a frame. From these, the amounts of speech and the noise come five kinds of
advice:

- *amount*: whether there is enough speech;
- *recordings* that do not sound like the speaker's others. With h_i held out, m the median of the others' and b_i the
  ratio of the other speaker who fits best, "fits another speaker" is h_i < 0.6 m and b_i − h_i > 0.25 m, and "fits
  nobody" is h_i < 0.15 m;
- *neighbours*: speakers a and b have the likeness (l_ab + l_ba) / (τ_a + τ_b), where l_ab is the mean ratio of a's
  recordings to b's model and τ the mean of their own held-out ratios, of recordings that sound like the speaker: about 1
  when they are one person, mostly below 0.3 when they are not;
- *inequality*: the largest amount of speech over the smallest;
- *surroundings* that are others' (:mod:`speakerid.workflows.surroundings`).

The limits were chosen by measurement; ``docs/advice.md`` has the rates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from speakerid.errors import UnknownSpeakerError
from speakerid.frontend import finish
from speakerid.parallel import effective_jobs, map_in_order, one_blas_thread
from speakerid.scoring import AdaptedStack
from speakerid.store import RecordingRow, Store, normal_name
from speakerid.workflows.surroundings import Apart, apart_from_others

__all__ = [
    "LITTLE_SECONDS",
    "MOST_SPEAKERS",
    "TOO_LITTLE_SECONDS",
    "Advice",
    "AdviceReport",
    "Amount",
    "Inequality",
    "Neighbour",
    "RecordingAdvice",
    "advise",
    "amount_of",
    "inequality_of",
    "judge_recordings",
    "likeness",
]

Amount = Literal["too_little", "little", "enough"]
Odd = Literal["fits_another", "fits_nobody"]
Alike = Literal["same_person", "similar"]

#: Seconds of speech below which a speaker has too little, and little.
TOO_LITTLE_SECONDS, LITTLE_SECONDS = 5.0, 10.0
#: Speakers in a store beyond which they are not compared: their models alone would fill the memory.
MOST_SPEAKERS = 1000

_SAME, _SIMILAR = 0.8, 0.6
# of the median of the speaker's other recordings: held out, behind another speaker, held out where nobody fits
_POOR_FIT, _BEHIND, _NO_FIT = 0.6, 0.25, 0.15
# nats a frame: less than this is no more typical of a speaker than of anybody
_LEAST_TYPICAL, _LEAST_EXPECTED = 1.5, 0.5
# "fits nobody" is said of one among several
_LEAST_RECORDINGS = 3
_UNEQUAL = 5.0
# frames of a speaker that are scored, evenly spaced: 30 s, and less where many speakers are
_MOST_FRAMES, _LEAST_FRAMES, _LEAST_OF_RECORDING = 3000, 200, 15
_EVALUATIONS = 20_000_000
_TOP = 5
# neighbours that are looked at from both sides, and the likeness from one side that is worth it
_NEIGHBOURS, _WORTH_A_LOOK = 3, 0.4


@dataclass(frozen=True)
class RecordingAdvice:
    """One recording among the others of its speaker.

    Attributes
    ----------
    content_hash, source : str
    fit : float or None
        How well it fits the speaker as learned from the others, as a share of what is typical of these: 1 fits as they do,
        0 no better than anybody. None where it cannot be told.
    nearest : str or None
        The other speaker who fits best.
    nearest_fit : float or None
        How well that one fits, in the same unit.
    finding : {"fits_another", "fits_nobody"} or None
    """

    content_hash: str
    source: str
    fit: float | None = None
    nearest: str | None = None
    nearest_fit: float | None = None
    finding: Odd | None = None


@dataclass(frozen=True)
class Neighbour:
    """Another speaker.

    Attributes
    ----------
    speaker : str
    fit : float
        How well this speaker's recordings fit the other one's model, as a share of how they fit their own.
    likeness : float or None
        The same from both sides; None where it was not looked at from the other side.
    finding : {"same_person", "similar"} or None
    """

    speaker: str
    fit: float
    likeness: float | None = None
    finding: Alike | None = None


@dataclass(frozen=True)
class Advice:
    """What there is to say of one speaker.

    Attributes
    ----------
    speaker : str
    speech_seconds : float
    amount : {"too_little", "little", "enough"}
    recordings : tuple of RecordingAdvice
        In the order of their content hashes.
    neighbours : tuple of Neighbour
        The nearest three, nearest first; empty where speakers were not compared.
    """

    speaker: str
    speech_seconds: float
    amount: Amount
    recordings: tuple[RecordingAdvice, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True)
class Inequality:
    """Amounts of speech that are very unequal, in seconds."""

    largest: str
    largest_seconds: float
    smallest: str
    smallest_seconds: float

    @property
    def factor(self) -> float:
        """How many times as much."""
        return self.largest_seconds / self.smallest_seconds


@dataclass(frozen=True)
class AdviceReport:
    """Advice on some speakers of a store.

    Attributes
    ----------
    speakers : tuple of Advice
    inequality : Inequality or None
        Of the whole store, when one of these speakers has the largest or the smallest amount and they are very unequal.
    adapted : bool
        The speakers were adapted from a world model; only such can be compared.
    skipped : str or None
        Why speakers were not compared, if there is a reason worth saying.
    apart : tuple of Apart
        Speakers of the store who were enrolled elsewhere than the others, when one of these speakers was.
    """

    speakers: tuple[Advice, ...] = ()
    inequality: Inequality | None = None
    adapted: bool = True
    skipped: str | None = None
    apart: tuple[Apart, ...] = ()


# decisions ------------------------------------------------------------------------------------------------------------


def amount_of(speech_seconds: float) -> Amount:
    """Whether so much speech is enough."""
    if speech_seconds < TOO_LITTLE_SECONDS:
        return "too_little"
    return "little" if speech_seconds < LITTLE_SECONDS else "enough"


def judge_recordings(
    held_out: NDArray[Any], seconds: NDArray[Any], best_of_others: NDArray[Any] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[Odd | None]]:
    """Find the recordings that do not sound like the speaker's others.

    Parameters
    ----------
    held_out : ndarray, shape (n,)
        Ratio of each of two or more recordings to the speaker as learned without it, nats a frame.
    seconds : ndarray, shape (n,)
        Of speech. Where the others have less than 5 s nothing is found: too little to tell.
    best_of_others : ndarray, shape (n,), optional
        Ratio to the other enrolled speaker who fits best, if there is one.

    Returns
    -------
    fits : ndarray, shape (n,)
        `held_out` as a share of what is typical of the others.
    typical : ndarray, shape (n,)
        Median of the others' ratios, nats a frame.
    findings : list of "fits_another", "fits_nobody" or None
    """
    n = len(held_out)
    typical = np.array([np.median(np.delete(held_out, i)) for i in range(n)])
    typical = np.maximum(typical, _LEAST_TYPICAL)
    fits = held_out / typical
    behind = np.full(n, -np.inf) if best_of_others is None else (best_of_others - held_out) / typical
    enough = np.sum(seconds) - seconds >= TOO_LITTLE_SECONDS
    findings: list[Odd | None] = [None] * n
    for i in np.flatnonzero(enough):
        if fits[i] < _POOR_FIT and behind[i] > _BEHIND:
            findings[i] = "fits_another"
        elif fits[i] < _NO_FIT and n >= _LEAST_RECORDINGS:
            findings[i] = "fits_nobody"
    return fits, typical, findings


def likeness(
    there: float, back: float, expected: tuple[float, float], seconds: tuple[float, float]
) -> tuple[float, Alike | None]:
    """How alike two speakers are.

    Parameters
    ----------
    there, back : float
        Mean ratio of the one's recordings to the other's model, and the other way round, nats a frame.
    expected : (float, float)
        Mean of each one's own held-out ratios.
    seconds : (float, float)
        Of each one's speech. With less than 5 s nobody is called the same person.

    Returns
    -------
    likeness : float
    finding : "same_person", "similar" or None
    """
    value = (there + back) / sum(max(each, _LEAST_EXPECTED) for each in expected)
    if value >= _SAME and min(seconds) >= TOO_LITTLE_SECONDS:
        return value, "same_person"
    return value, "similar" if value >= _SIMILAR else None


def inequality_of(speech_seconds: Mapping[str, float], names: Collection[str]) -> Inequality | None:
    """Return the largest and the smallest amount when they are very unequal and `names` have to do with it."""
    amounts = {name: seconds for name, seconds in speech_seconds.items() if seconds > 0}
    if len(amounts) < 2:
        return None
    largest, smallest = max(amounts, key=amounts.__getitem__), min(amounts, key=amounts.__getitem__)
    if amounts[largest] < _UNEQUAL * amounts[smallest] or not {largest, smallest} & set(names):
        return None
    return Inequality(largest, amounts[largest], smallest, amounts[smallest])


# reading a store ------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Material:
    """A speaker's recordings, and how they score against all models, (n_recordings, n_speakers)."""

    rows: list[RecordingRow]
    held_out: NDArray[np.float64] | None
    recorded: float | None
    ratios: NDArray[np.float64] | None = None
    findings: list[Odd | None] = field(default_factory=list)

    @property
    def seconds(self) -> NDArray[np.float64]:
        return np.array([row.speech_seconds for row in self.rows])

    @property
    def _weights(self) -> NDArray[np.float64]:
        """Of the recordings that sound like the speaker."""
        weights = self.seconds * np.array([not finding for finding in self.findings])
        return weights if weights.any() else np.ones(len(self.rows))

    @property
    def expected(self) -> float | None:
        """Mean held-out ratio, nats a frame; None when nothing was held out."""
        return self.recorded if self.held_out is None else float(np.average(self.held_out, weights=self._weights))

    def mean_ratios(self) -> NDArray[np.float64]:
        """Mean ratios to all models, (n_speakers,)."""
        assert self.ratios is not None
        return np.asarray(np.average(self.ratios, axis=0, weights=self._weights))


def advise(
    store_path: str | Path,
    names: Iterable[str] | None = None,
    *,
    neighbours: bool = False,
    most_speakers: int = MOST_SPEAKERS,
    jobs: int | None = None,
) -> AdviceReport:
    """Say what is worth knowing of speakers of a store.

    Parameters
    ----------
    store_path : path-like
    names : iterable of str, optional
        Of whom; all if left out. They are compared with everybody.
    neighbours : bool
        Look at the nearest speakers from both sides in any case, not only where they come close.
    most_speakers : int
        Do not compare speakers in a larger store.
    jobs : int, optional
        Threads; all cores if left out. The result does not depend on it.

    Raises
    ------
    StoreError
        The store cannot be used.
    UnknownSpeakerError
        Nobody of such a name is enrolled.
    """
    with Store(store_path) as store, store.reading():
        totals = {row.name: row.speech_seconds for row in store.speakers()}
        chosen = list(totals) if names is None else list(dict.fromkeys(map(normal_name, names)))
        for name in chosen:
            if name not in totals:
                raise UnknownSpeakerError(f"no speaker {name!r} in {store.path}")
        adapted = store.training.method == "map"
        unequal = inequality_of(totals, chosen)
        comparison = None
        skipped = None
        if adapted and chosen and len(totals) > 1:
            if len(totals) <= most_speakers:
                comparison = _Comparison(store, len(chosen), jobs)
            else:
                skipped = (
                    f"{store.path}: speakers were not compared with each other, as there are more than {most_speakers:,} "
                    "of them: keep groups that do not meet in stores of their own to have it done"
                )
        records = store.records() if adapted else {}
        materials = {name: _material(store, name, records.get(name, {})) for name in chosen}
        if comparison is not None:
            comparison.score(materials)
        for name, material in materials.items():
            _find_odd(material, comparison, name)
        speakers = tuple(
            Advice(
                name,
                totals[name],
                amount_of(totals[name]),
                _recordings(material, comparison, name),
                () if comparison is None else comparison.nearest(name, materials, records, totals, always=neighbours),
            )
            for name, material in materials.items()
        )
    return AdviceReport(speakers, unequal, adapted, skipped, apart_from_others(records, chosen))


def _material(store: Store, name: str, record: Mapping[str, Any]) -> _Material:
    rows = store.recordings(name)
    held_out = record.get("held_out") or ()
    # a single recording was held out by quarters: there are no others that it could be unlike
    known = len(held_out) == len(rows) > 1
    return _Material(
        rows, np.array(held_out, dtype=np.float64) if known else None, record.get("expected_ratio"),
        findings=[None] * len(rows),
    )  # fmt: skip


class _Comparison:
    """All models of a store, and the recordings of some speakers scored against them."""

    def __init__(self, store: Store, n_chosen: int, jobs: int | None) -> None:
        assert store.world is not None
        mixtures = store.mixtures()
        self.names = list(mixtures)
        self._place = {name: i for i, name in enumerate(self.names)}
        self._store, self._jobs = store, effective_jobs(jobs)
        self._stack = AdaptedStack(store.world.mixture, list(mixtures.values()), top=_TOP)
        # speakers who were not asked for, but come close to one who was
        self._looked_at: dict[str, _Material] = {}
        affordable = _EVALUATIONS // max(n_chosen * len(self.names), 1)
        self._n_frames = int(np.clip(affordable, _LEAST_FRAMES, _MOST_FRAMES))

    def score(self, materials: Mapping[str, _Material]) -> None:
        """Score the recordings of these speakers."""
        work = partial(_score, self._stack)
        # read here and not in the workers: a connection belongs to its thread
        frames = [self._frames(name, material) for name, material in materials.items()]
        with one_blas_thread():
            for material, ratios in zip(materials.values(), map_in_order(work, frames, self._jobs), strict=True):
                material.ratios = ratios

    def _frames(self, name: str, material: _Material) -> list[NDArray[np.float32]]:
        """Evenly spaced speech frames of each recording, about so many in all."""
        total = sum(row.speech_seconds for row in material.rows)
        chosen = []
        for row, (_hash, static) in zip(material.rows, self._store.static_features(name), strict=True):
            frames = finish(static, self._store.front_end).speech_values
            n = max(int(self._n_frames * row.speech_seconds / total) if total else 0, _LEAST_OF_RECORDING)
            places = np.linspace(0, len(frames) - 1, n).astype(np.intp) if n < len(frames) else slice(None)
            chosen.append(frames[places])
        return chosen

    def others(self, name: str, ratios: NDArray[np.float64]) -> tuple[list[str | None], NDArray[np.float64]]:
        """Return who fits best of the other speakers, for each recording, and that ratio."""
        without = ratios.copy()
        without[:, self._place[name]] = -np.inf
        best = without.argmax(axis=1)
        return [self.names[i] for i in best], without[np.arange(len(best)), best]

    def nearest(
        self,
        name: str,
        materials: Mapping[str, _Material],
        records: Mapping[str, Mapping[str, Any]],
        seconds: Mapping[str, float],
        *,
        always: bool,
    ) -> tuple[Neighbour, ...]:
        """Return the speakers whose models fit this one's recordings best."""
        own = materials[name]
        own_expected = own.expected
        if own_expected is None:
            return ()
        means = own.mean_ratios()
        ranking = [self.names[i] for i in np.argsort(-means, kind="stable") if self.names[i] != name]
        found: list[Neighbour] = []
        for other in ranking[:_NEIGHBOURS]:
            there = float(means[self._place[other]])
            fit = there / max(own_expected, _LEAST_EXPECTED)
            if not always and fit < _WORTH_A_LOOK:
                found.append(Neighbour(other, fit))
                continue
            material = self._of(other, materials, records)
            expected, back = material.expected, float(material.mean_ratios()[self._place[name]])
            if expected is None:
                found.append(Neighbour(other, fit))
                continue
            alike = likeness(there, back, (own_expected, expected), (seconds[name], seconds[other]))
            found.append(Neighbour(other, fit, *alike))
        return tuple(found)

    def _of(self, name: str, materials: Mapping[str, _Material], records: Mapping[str, Mapping[str, Any]]) -> _Material:
        material = materials.get(name) or self._looked_at.get(name)
        if material is None:
            material = self._looked_at[name] = _material(self._store, name, records[name])
            self.score({name: material})
            _find_odd(material, self, name)
        return material


def _score(stack: AdaptedStack, recordings: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Mean ratios of each recording, (n_recordings, n_speakers); 0 where there are no frames."""
    ratios = stack.frame_ratios(np.concatenate(recordings))
    means = np.zeros((len(recordings), ratios.shape[1]))
    first = 0
    for i, frames in enumerate(recordings):
        if len(frames):
            means[i] = ratios[first : first + len(frames)].mean(axis=0, dtype=np.float64)
        first += len(frames)
    return means


def _find_odd(material: _Material, comparison: _Comparison | None, name: str) -> None:
    if material.held_out is None:
        return
    best = None
    if comparison is not None and material.ratios is not None:
        _who, best = comparison.others(name, material.ratios)
    material.findings = judge_recordings(material.held_out, material.seconds, best)[2]


def _recordings(material: _Material, comparison: _Comparison | None, name: str) -> tuple[RecordingAdvice, ...]:
    n = len(material.rows)
    fits: Sequence[float | None] = [None] * n
    nearest: Sequence[str | None] = [None] * n
    nearest_fits: Sequence[float | None] = [None] * n
    if material.held_out is not None:
        shares, typical, _findings = judge_recordings(material.held_out, material.seconds, None)
        fits = shares.tolist()
    else:
        typical = np.full(n, max(material.expected or 0.0, _LEAST_TYPICAL))
    if comparison is not None and material.ratios is not None and n:
        nearest, best = comparison.others(name, material.ratios)
        nearest_fits = (best / typical).tolist()
    return tuple(
        RecordingAdvice(row.content_hash, row.source, fit, who, that_fit, finding)
        for row, fit, who, that_fit, finding in zip(
            material.rows, fits, nearest, nearest_fits, material.findings, strict=True
        )
    )
