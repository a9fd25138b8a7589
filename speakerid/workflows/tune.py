"""Tuning: the number of components, and other settings on request, by what the recordings themselves say.

Every candidate is judged on the same recordings in four ways. BIC and AIC (see :mod:`speakerid.mixtures.criteria`) need no
further recordings: they are summed over the speakers' mixtures. The held-out log-likelihood and the accuracy of
identification are cross-validated: each fold's recordings are asked of mixtures that were trained on the others.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speakerid.config import Config, FrontEndConfig, TrainingConfig, from_dict, to_dict
from speakerid.errors import ConfigError, TrainingError, UsageError
from speakerid.mixtures import GaussianMixture, TrainingRecord, train_each
from speakerid.mixtures.criteria import aic_of, bic_of
from speakerid.parallel import effective_jobs, map_in_order, one_blas_thread
from speakerid.scoring import MixtureStack
from speakerid.workflows.material import Frames, Material

__all__ = [
    "Candidate",
    "SpeakerRow",
    "TuneRow",
    "behind",
    "best_row",
    "candidates",
    "comparable",
    "compare",
    "speaker_choices",
    "too_large",
]

_MOST_CANDIDATES = 1000
# components have an option of their own, and the others are of another way to train
_NOT_VARIED = ("components", "method", "relevance_factor", "adapted")


@dataclass(frozen=True)
class Candidate:
    """Settings to be judged.

    Attributes
    ----------
    config : Config
    varied : tuple of (str, str)
        The settings that were varied, and their values, apart from the number of components.
    """

    config: Config
    varied: tuple[tuple[str, str], ...] = ()

    @property
    def components(self) -> int | str:
        """K, or "auto"."""
        return self.config.training.components

    @property
    def label(self) -> str:
        """The varied settings in words; empty if there are none."""
        return ", ".join(f"{key} = {value}" for key, value in self.varied)


@dataclass(frozen=True)
class SpeakerRow:
    """How one candidate does for one speaker: K of the mixture, BIC, AIC, and held-out nats a frame (None without)."""

    components: int
    bic: float
    aic: float
    held_out: float | None


@dataclass(frozen=True)
class TuneRow:
    """How one candidate does.

    Attributes
    ----------
    candidate : Candidate
    components : float
        K, the mean over the speakers.
    log_likelihood : float
        Of the frames trained on, nats a frame.
    bic, aic : float
        Summed over the speakers.
    parameters : int
        Free parameters of all mixtures.
    held_out, held_out_error : float
        Log-likelihood of held-out frames under their own speaker's mixture, nats a frame, and its standard error over the
        recordings.
    right, asked : int
        Held-out windows that were identified, of how many.
    accuracy_error : float
        Standard error of right / asked over the recordings.
    speakers : dict of str to SpeakerRow
    recordings : ndarray, shape (n_recordings, 4)
        Of each held-out recording: its log-likelihood, frames, windows right, windows.
    """

    candidate: Candidate
    components: float
    log_likelihood: float
    bic: float
    aic: float
    parameters: int
    held_out: float
    held_out_error: float
    right: int
    asked: int
    accuracy_error: float
    speakers: dict[str, SpeakerRow]
    recordings: NDArray[np.float64] = field(repr=False, compare=False)

    @property
    def accuracy(self) -> float:
        """Share of held-out windows that were identified, 0..1."""
        return self.right / self.asked


def candidates(
    base: Config, components: Sequence[int | str], varied: Mapping[str, Sequence[str]] | None = None
) -> list[Candidate]:
    """Return every combination of settings.

    Parameters
    ----------
    base : Config
        What is not varied; trained by EM, also where the defaults adapt.
    components : sequence of int or "auto"
    varied : mapping of str to sequence of str, optional
        Names of settings (``covariance``, ``training.variance_floor``, ``front_end.cepstra``) and the values to try.

    Raises
    ------
    ConfigError
        No such setting, or a value that it cannot have.
    """
    if base.training.method == "map" and base.training != TrainingConfig():
        raise UsageError(
            "tune chooses how mixtures are trained by EM; an adapted speaker has the world model's components"
        )
    varied = varied or {}
    keys = [_table_and_key(base, name) for name in varied]
    n_combinations = len(components) * math.prod(map(len, varied.values()))
    if n_combinations > _MOST_CANDIDATES:
        raise UsageError(f"{n_combinations:,} combinations are too many: try {_MOST_CANDIDATES:,} at most")
    result: dict[Config, Candidate] = {}
    for values in itertools.product(*varied.values()):
        settings = to_dict(base)
        for (table, key), text in zip(keys, values, strict=True):
            settings[table][key] = _value(text)
        label = tuple(zip((key for _table, key in keys), values, strict=True))
        for k in components:
            settings["training"] |= {"components": k, "method": "ml"}
            config = from_dict(Config, settings)
            result.setdefault(config, Candidate(config, label))
    return list(result.values())


def _table_and_key(base: Config, name: str) -> tuple[str, str]:
    table, _dot, key = name.rpartition(".")
    tables = {t: v for t, v in to_dict(base).items() if t in ("front_end", "training")}
    for known, values in tables.items():
        if key in values and key not in _NOT_VARIED and table in ("", known):
            return known, key
    known_keys = [k for values in tables.values() for k in values if k not in _NOT_VARIED]
    if key == "components":
        raise ConfigError("components: give the numbers to try by --components")
    close = difflib.get_close_matches(key, known_keys, 1)
    meant = f"did you mean {close[0]}?" if close else f"known: {', '.join(known_keys)}"
    raise ConfigError(f"{name}: no setting that can be varied; {meant}")


def _value(text: str) -> object:
    """A number where it is one, else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(text, text)


Trained = list[tuple[GaussianMixture, TrainingRecord]]


def compare(
    tried: Iterable[Candidate],
    materials: Mapping[FrontEndConfig, Material],
    *,
    test_seconds: float,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[TuneRow]:
    """Judge candidates.

    Parameters
    ----------
    tried : iterable of Candidate
    materials : mapping of FrontEndConfig to Material
        For the front end of every candidate.
    test_seconds : float
        Held-out recordings are cut into windows of about so much speech, and each is identified.
    jobs : int, optional
        Workers; all cores if left out. The result does not depend on it.
    progress : callable, optional
        Called with the number of candidates that are done.

    Raises
    ------
    TrainingError
        A speaker's mixture cannot be trained.
    """
    rows = []
    for done, candidate in enumerate(tried, start=1):
        rows.append(_judge(candidate, materials[candidate.config.front_end], test_seconds, effective_jobs(jobs)))
        if progress is not None:
            progress(done)
    return rows


def _judge(candidate: Candidate, material: Material, test_seconds: float, jobs: int) -> TuneRow:
    front_end = candidate.config.front_end
    names = list(material.pieces)
    whole = _train(candidate, {n: [f for f, _fold in material.pieces[n]] for n in names}, jobs)
    window = max(round(test_seconds * front_end.sample_rate / front_end.frame_shift), 1)
    asked = []
    for fold in range(material.n_folds):
        rest = {n: [f for f, other in material.pieces[n] if other != fold] for n in names}
        # a speaker whose recordings are all in this fold cannot be asked for, but is a rival of the others
        known = [n for n in names if rest[n]]
        held_out = [(names.index(n), f) for n in known for f, other in material.pieces[n] if other == fold]
        if not held_out:
            continue
        # who has nothing in this fold is trained already
        fewer = [n for n in known if len(rest[n]) < len(material.pieces[n])]
        trained = dict(zip(fewer, _train(candidate, {n: rest[n] for n in fewer}, jobs), strict=True))
        stack = MixtureStack([trained.get(n, all_of_it)[0] for n, all_of_it in zip(names, whole, strict=True)])
        with one_blas_thread():
            results = map_in_order(partial(_ask, stack, window), held_out, jobs)
            asked += [(names[i], *result) for (i, _frames), result in zip(held_out, results, strict=True)]
    return _row(candidate, dict(zip(names, whole, strict=True)), asked)


def _train(candidate: Candidate, frames: Mapping[str, Sequence[Frames]], jobs: int) -> Trained:
    results = train_each([np.concatenate(parts) for parts in frames.values()], candidate.config.training, jobs=jobs)
    trained = []
    for name, result in zip(frames, results, strict=True):
        if isinstance(result, TrainingError):
            raise TrainingError(f"{name}: {result}")
        trained.append(result)
    return trained


def _ask(stack: MixtureStack, window: int, item: tuple[int, Frames]) -> tuple[float, int, int, int]:
    """Log-likelihood of all frames under the speaker's own mixture, frames, windows right, windows."""
    speaker, frames = item
    windows = np.array_split(frames, max(len(frames) // window, 1))
    scores = np.stack([stack.mean_log_likelihoods(w) for w in windows])
    own = sum(len(w) * s[speaker] for w, s in zip(windows, scores, strict=True))
    return float(own), len(frames), int(np.count_nonzero(scores.argmax(axis=1) == speaker)), len(windows)


def _row(
    candidate: Candidate,
    whole: Mapping[str, tuple[GaussianMixture, TrainingRecord]],
    asked: Sequence[tuple[str, float, int, int, int]],
) -> TuneRow:
    if not asked:
        raise UsageError(
            "nothing can be held out: every speaker has a single session, or a recording of a frame or two"
        )
    speakers = {}
    for name, (mixture, record) in whole.items():
        total, p = record.n_frames * record.log_likelihoods[-1], mixture.n_parameters
        own = [(ll, n) for who, ll, n, _right, _asked in asked if who == name]
        held = sum(ll for ll, _n in own) / sum(n for _ll, n in own) if own else None
        speakers[name] = SpeakerRow(mixture.n_components, bic_of(total, p, record.n_frames), aic_of(total, p), held)
    records = [record for _mixture, record in whole.values()]
    held_out, held_out_error = _ratio([ll for _w, ll, _n, _r, _a in asked], [n for _w, _ll, n, _r, _a in asked])
    _share, accuracy_error = _ratio([r for *_x, r, _a in asked], [a for *_x, a in asked])
    return TuneRow(
        candidate=candidate,
        components=float(np.mean([mixture.n_components for mixture, _record in whole.values()])),
        log_likelihood=sum(r.n_frames * r.log_likelihoods[-1] for r in records) / sum(r.n_frames for r in records),
        bic=sum(s.bic for s in speakers.values()),
        aic=sum(s.aic for s in speakers.values()),
        parameters=sum(mixture.n_parameters for mixture, _record in whole.values()),
        held_out=held_out,
        held_out_error=held_out_error,
        right=sum(right for *_rest, right, _asked in asked),
        asked=sum(n for *_rest, n in asked),
        accuracy_error=accuracy_error,
        speakers=speakers,
        recordings=np.array([result for _who, *result in asked], dtype=np.float64),
    )


def _ratio(tops: ArrayLike, bottoms: ArrayLike) -> tuple[float, float]:
    """Σ top / Σ bottom over recordings, and its standard error (Cochran 1977, eq. 2.44, the ratio estimator)."""
    top, bottom = np.asarray(tops, dtype=np.float64), np.asarray(bottoms, dtype=np.float64)
    ratio = top.sum() / bottom.sum()
    n = len(top)
    spread = np.square(top - ratio * bottom).sum() * (n / max(n - 1, 1))
    return float(ratio), float(np.sqrt(spread) / bottom.sum())


def comparable(rows: Sequence[TuneRow]) -> bool:
    """Whether likelihoods can be compared: those of other features are densities of other quantities."""
    return len({row.candidate.config.front_end for row in rows}) == 1


def behind(row: TuneRow, best: TuneRow, criterion: str) -> tuple[float, float]:
    """How far a row is behind another one, and the standard error of that difference.

    Both were asked the same recordings, so their differences are taken recording by recording: they vary far less than
    the recordings do. One window of one recording is the least error of an accuracy.

    Parameters
    ----------
    row, best : TuneRow
    criterion : {"accuracy", "held-out"}

    Returns
    -------
    difference, error : float
        Shares of the windows, or nats a frame.
    """
    top, bottom = (2, 3) if criterion == "accuracy" else (0, 1)
    least = 1 / row.asked if criterion == "accuracy" else 0.0
    if not np.array_equal(row.recordings[:, bottom], best.recordings[:, bottom]):
        # other front ends find speech of other lengths: not pairs
        difference = best.accuracy - row.accuracy
        return difference, max(float(np.hypot(row.accuracy_error, best.accuracy_error)), least)
    difference, error = _ratio(best.recordings[:, top] - row.recordings[:, top], row.recordings[:, bottom])
    return difference, max(error, least)


def best_row(rows: Sequence[TuneRow], criterion: str) -> tuple[TuneRow, str]:
    """Choose a row, and say why in a few words.

    By accuracy and by held-out log-likelihood the simplest row is chosen that is not behind the best by more than one
    standard error of the difference (Breiman et al. 1984, section 3.4.3); by accuracy, among those that held-out
    speech does not tell apart either, because where all windows are identified accuracy tells nothing. Between front
    ends accuracy alone decides, and where it is equal the first.

    Raises
    ------
    UsageError
        A criterion of likelihood, and rows of different front ends.
    """
    features = ""
    if not comparable(rows):
        if criterion != "accuracy":
            raise UsageError(
                f"{criterion} cannot compare front ends, whose features are other quantities: choose by accuracy"
            )
        best = max(rows, key=lambda r: r.accuracy)
        rows = [r for r in rows if r.candidate.config.front_end == best.candidate.config.front_end]
        features = " with these features"
        if len(rows) == 1:
            return rows[
                0
            ], f"the best accuracy, {100 * best.accuracy:.1f} %, of all front ends, the first where it is equal"
    if len(rows) == 1:
        return rows[0], "there was no other"
    if criterion == "bic":
        return min(rows, key=lambda r: r.bic), "the smallest BIC"
    if criterion == "aic":
        return min(rows, key=lambda r: r.aic), "the smallest AIC"
    near, reason = list(rows), ""
    if criterion == "accuracy" and len(rows[0].speakers) > 1:
        near = _near(rows, "accuracy")
        best = max(rows, key=lambda r: r.accuracy)
        if len(near) == 1:
            return (
                best,
                f"the best accuracy, {100 * best.accuracy:.1f} %; no other{features} is within one standard error of it",
            )
        reason = f"of the {len(near)}{features} whose accuracy is within one standard error of the best, "
    equal = _near(near, "held-out")
    chosen = min(equal, key=lambda r: r.parameters)
    if len(equal) == 1:
        return chosen, f"{reason}the largest held-out log-likelihood"
    return chosen, f"{reason}the simplest of the {len(equal)} whose held-out log-likelihood is within one, too"


def _near(rows: Sequence[TuneRow], criterion: str) -> list[TuneRow]:
    """Rows that are not behind the best by more than one standard error of the difference."""
    best = max(rows, key=lambda r: r.accuracy if criterion == "accuracy" else r.held_out)
    differences = [behind(row, best, criterion) for row in rows]
    return [row for row, (difference, error) in zip(rows, differences, strict=True) if difference <= error]


def too_large(tried: Sequence[Candidate], materials: Mapping[FrontEndConfig, Material]) -> list[Candidate]:
    """Candidates with more components than any speaker has speech for: they would all train the same mixtures."""

    def possible(candidate: Candidate) -> int:
        frames = materials[candidate.config.front_end].most_frames()
        return max(frames // candidate.config.training.minimum_frames_per_component, 1)

    return [c for c in tried if isinstance(c.components, int) and c.components > possible(c)]


def speaker_choices(rows: Sequence[TuneRow], chosen: TuneRow, name: str) -> dict[str, Any]:
    """K for one speaker by each criterion, among rows that differ from the chosen one in K only.

    None where nothing was held out.
    """
    group = [r for r in rows if r.candidate.varied == chosen.candidate.varied]
    numbered = [r for r in group if r.candidate.components != "auto"]
    fixed = [r.speakers[name] for r in numbered or group]
    held = [(s.held_out, s.components) for s in fixed if s.held_out is not None]
    return {
        "bic": min(fixed, key=lambda s: s.bic).components,
        "aic": min(fixed, key=lambda s: s.aic).components,
        "held_out": max(held, key=lambda pair: pair[0])[1] if held else None,
    }
