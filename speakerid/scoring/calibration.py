"""Calibration: from log-likelihood ratios to what they mean.

A recording's ratio to the world model, nats a frame, depends on the recordings as much as on the speaker: on devices and
words, on how much was enrolled. What does not depend on them is how the ratio compares with what it should be, and with the
other speakers'. With l_s the ratio of speaker s, T the seconds of speech and n speakers, three things are looked at:

- *own fit*  r = l_s / τ_s, where τ_s is what the speaker's own recordings reach when they are held out of the enrolment: 1
  fits as they do, 0 as anybody's. It enters as r and as r / √n: the more others there are, the less it says beside them;
- *margin*   m = (l_s − max of the others) / σ, with one slope where s is the best speaker and another where not;
- *distance* t = (l_s − mean of the others) / σ.

σ is the spread of the others, drawn to a quarter of the speakers' mean τ where they are few (test normalisation, of which
Auckenthaler, Carey and Lloyd-Thomas, Digital Signal Processing 10, 2000, with the enrolled speakers as the cohort).

The calibrated log-likelihood ratio of "this is s" against "this is somebody else" is linear in these, in their products with
log T, in log T and in log n, fitted by weighted logistic regression to trials of which both answers count half (Brümmer
and du Preez, "Application-independent evaluation of speaker detection", Computer Speech and Language 20, 2006; Pigeon,
Druyts and Verlinde, "Applying logistic regression to the fusion of the NIST'99 1-speaker submissions", Digital Signal
Processing 10, 2000). Where nobody else is enrolled, or the others must not count, r alone is there.

With the prior that a recording is of somebody who is not enrolled, the ratios give the probability of every speaker and of
nobody. A name is given when the best speaker's ratio, less log n for having been chosen among n, reaches the threshold that
a given share of strangers reached in the development data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

__all__ = ["Calibration", "CalibrationData", "expected_ratios", "fit_calibration", "posteriors"]

Floats = NDArray[np.float64]

# log T is held to what was seen in development
_SHORTEST, _LONGEST = 0.2, 8.0
# a speaker whose own recordings hardly fit: the ratios must not explode
_LEAST_EXPECTED = 0.5
# of a speaker of whom nothing can be held out, when there is nobody else: the middle of the development data
_TYPICAL_EXPECTED = 3.0
_N_SEVERAL, _N_SINGLE = 13, 4
# σ is drawn to this share of τ, as strongly as so many others' ratios would
_SHARE, _COUNT = 0.25, 20.0
# rates at which thresholds are kept; between them they are interpolated on a logarithmic scale
_RATES = (0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.002, 0.001)
_LARGEST = 1e6
_TABLES = ("strangers", "impostors")
# a rate is believed where so many recordings stand for it
_EVENTS = 2.0


def _log_seconds(seconds: Floats) -> Floats:
    return np.asarray(np.log(np.clip(seconds, _SHORTEST, _LONGEST)))


def _against_others(ratios: Floats, seconds: Floats, expected: Floats) -> Floats:
    """Terms for recordings asked of several speakers, (n, n_speakers, 13); the last one is 1."""
    if ratios.shape[1] < 2:  # nobody to be compared with
        return np.empty((0, ratios.shape[1], _N_SEVERAL))
    there = np.isfinite(ratios)
    count = there.sum(axis=1, keepdims=True)
    values = np.where(there, ratios, 0.0)
    typical = np.where(there, expected, 0.0).sum(axis=1, keepdims=True) / count
    second, first = np.partition(np.where(there, ratios, -np.inf), (-2, -1), axis=1)[:, -2:].T
    rival = np.where(values == first[:, None], second[:, None], first[:, None])
    mean = (values.sum(axis=1, keepdims=True) - values) / (count - 1)
    squares = (values**2).sum(axis=1, keepdims=True) - values**2 - (count - 1) * mean**2
    spread = np.sqrt(
        (_COUNT * (_SHARE * typical) ** 2 + np.maximum(squares, 0.0)) / (_COUNT + np.maximum(count - 2, 0))
    )
    margin, fit = (values - rival) / spread, values / expected
    parts = [np.maximum(margin, 0.0), np.minimum(margin, 0.0), (values - mean) / spread, fit / np.sqrt(count), fit]
    duration = np.broadcast_to(_log_seconds(seconds)[:, None], ratios.shape)
    one = np.ones_like(values)
    return np.stack([*parts, *(part * duration for part in parts), duration, np.log(count) * one, one], axis=-1)


def _alone(ratios: Floats, seconds: Floats, expected: Floats) -> Floats:
    """Terms without regard to others, (n, n_speakers, 4); the last one is 1."""
    fit = np.where(np.isfinite(ratios), ratios, 0.0) / expected
    duration = np.broadcast_to(_log_seconds(seconds)[:, None], ratios.shape)
    return np.stack([fit, fit * duration, duration, np.ones_like(fit)], axis=-1)


@dataclass(frozen=True)
class Calibration:
    """Weights and thresholds.

    Attributes
    ----------
    several : tuple of 13 floats
        Weights of the terms where several speakers are enrolled: m where positive, m where negative, t, r / √n, r, each of
        these times log T, log T, log n, 1.
    single : tuple of 4 floats
        The same of r, r log T, log T, 1.
    strangers : tuple of (float, float)
        Identification: a share of strangers, 0..1, and the threshold on the best ratio less log n that so many reach.
    impostors : tuple of (float, float)
        Verification: a share of false claims, and the threshold on the ratio that so many reach.
    about : dict
        Where it comes from: numbers and texts.
    """

    several: tuple[float, ...]
    single: tuple[float, ...]
    strangers: tuple[tuple[float, float], ...]
    impostors: tuple[tuple[float, float], ...]
    about: dict[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if len(self.several) != _N_SEVERAL or len(self.single) != _N_SINGLE:
            raise ValueError(f"a calibration has {_N_SEVERAL} and {_N_SINGLE} weights")
        numbers = [*self.several, *self.single]
        for table in (self.strangers, self.impostors):
            rates, thresholds = zip(*table, strict=True) if table else ((), ())
            if not table or sorted(rates, reverse=True) != list(rates) or sorted(thresholds) != list(thresholds):
                raise ValueError("the thresholds of a calibration rise as their rates fall")
            if not (min(rates) > 0 and max(rates) < 1) or len(set(rates)) < len(rates):
                raise ValueError("the rates of a calibration are between 0 and 1")
            numbers += [*rates, *thresholds]
        if not all(math.isfinite(value) and abs(value) <= _LARGEST for value in numbers):
            raise ValueError("the weights of a calibration are finite numbers")

    def ratios(self, ratios: Floats, seconds: NDArray[Any], expected: NDArray[Any], *, alone: bool = False) -> Floats:
        """Calibrated log-likelihood ratios.

        Parameters
        ----------
        ratios : ndarray, shape (n, n_speakers)
            To the world model, nats a frame; −inf for a speaker who is not to be compared.
        seconds : ndarray, shape (n,)
            Of speech.
        expected : ndarray, shape (n_speakers,)
            τ_s, nats a frame.
        alone : bool
            Leave the other speakers out of account, as where some are the same person.

        Returns
        -------
        ratios : ndarray, shape (n, n_speakers)
            Natural logarithms; −inf stays.
        """
        ratios = np.asarray(ratios, dtype=np.float64)
        seconds = np.asarray(seconds, dtype=np.float64)
        expected = np.broadcast_to(np.maximum(np.asarray(expected, dtype=np.float64), _LEAST_EXPECTED), ratios.shape)
        there = np.isfinite(ratios)
        result = _alone(ratios, seconds, expected) @ np.asarray(self.single)
        several = there.sum(axis=1) > 1
        if several.any() and not alone:
            rows = (ratios[several], seconds[several], expected[several])
            result[several] = _against_others(*rows) @ np.asarray(self.several)
        return np.where(there, result, -np.inf)

    def naming_threshold(self, false_accept_rate: float) -> float:
        """Return what the best ratio less log n must reach, so that a share of strangers is named."""
        return _threshold(self.strangers, false_accept_rate)

    def accepting_threshold(self, false_accept_rate: float) -> float:
        """Return what a ratio must reach, so that a share of false claims is accepted."""
        return _threshold(self.impostors, false_accept_rate)

    def to_dict(self) -> dict[str, Any]:
        """Return numbers and texts, for JSON."""
        tables = {name: [list(pair) for pair in getattr(self, name)] for name in _TABLES}
        return {"format": 1, "several": list(self.several), "single": list(self.single), **tables, "about": self.about}

    @staticmethod
    def from_dict(values: object) -> Calibration:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        ValueError
            It is no calibration.
        """
        try:
            return _parsed(values)
        except (TypeError, OverflowError, ValueError) as error:
            raise ValueError(f"no calibration: {error}") from None


def _parsed(values: object) -> Calibration:
    """Read a calibration of the types that JSON gives; `float` would take texts, too."""
    table = _of_type(values, Mapping)
    missing = [name for name in ("format", "several", "single", *_TABLES, "about") if name not in table]
    if missing:
        raise ValueError(f"{', '.join(missing)} missing")
    if type(table["format"]) is not int or table["format"] != 1:
        raise ValueError(f"format {table['format']!r:.20}, expected 1; if a newer speakerid made it, update this one")
    several, single = (tuple(map(_number, _of_type(table[name], list))) for name in ("several", "single"))
    strangers, impostors = (tuple(map(_pair, _of_type(table[name], list))) for name in _TABLES)
    return Calibration(several, single, strangers, impostors, dict(_of_type(table["about"], Mapping)))


def _of_type(value: object, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"expected a {kind.__name__.lower()}, got {value!r:.20}")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a number, got {value!r:.20}")
    return float(value)


def _pair(value: object) -> tuple[float, float]:
    rate, threshold = map(_number, _of_type(value, list))
    return rate, threshold


def _threshold(table: Sequence[tuple[float, float]], rate: float) -> float:
    """Interpolate; a rate beyond the table's ends is extrapolated as calibrated ratios would be, by its logarithm."""
    if not 0 < rate < 1:
        raise ValueError(f"a false-accept rate of {rate:g}: expected one between 0 and 1")
    rates, thresholds = (np.array(side) for side in zip(*reversed(table), strict=True))
    inside = float(np.clip(rate, rates[0], rates[-1]))
    beyond = math.log(inside) - math.log(rate) if rate < rates[0] else _log_odds(inside) - _log_odds(rate)
    return float(np.interp(math.log(inside), np.log(rates), thresholds)) + beyond


def _log_odds(rate: float) -> float:
    return math.log(rate) - math.log1p(-rate)


def expected_ratios(known: Sequence[float | None]) -> Floats:
    """τ_s of every speaker, (n_speakers,).

    Who has none, for having too little to hold out, is taken for typical; and so is who has next to none, because the
    recordings under that name do not fit each other: a small τ would make of every question a good one.
    """
    there = [value for value in known if value is not None and value >= _LEAST_EXPECTED]
    typical = float(np.mean(there)) if there else _TYPICAL_EXPECTED
    # not by the others where there is a value: in a list of trials every model stands for itself
    values = [typical if value is None else value if value >= _LEAST_EXPECTED else _TYPICAL_EXPECTED for value in known]
    return np.array(values, dtype=np.float64)


def posteriors(ratios: Floats, *, prior_unknown: float = 0.5) -> tuple[Floats, Floats]:
    """Probabilities of the enrolled speakers and of nobody enrolled; the enrolled ones share their prior equally.

    Parameters
    ----------
    ratios : ndarray, shape (n, n_speakers)
        Calibrated; −inf for a speaker who is not to be compared.
    prior_unknown : float
        That a recording is of somebody who is not enrolled, between 0 and 1.

    Returns
    -------
    speakers : ndarray, shape (n, n_speakers)
    nobody : ndarray, shape (n,)

    Raises
    ------
    ValueError
        The prior is certain, or none.
    """
    if not 0 < prior_unknown < 1:
        raise ValueError(f"a prior of {prior_unknown:g}: expected one between 0 and 1")
    count = np.maximum(np.isfinite(ratios).sum(axis=1, keepdims=True), 1)
    known = ratios + math.log1p(-prior_unknown) - np.log(count)
    everything = np.concatenate([known, np.full((len(ratios), 1), math.log(prior_unknown))], axis=1)
    everything = np.exp(everything - logsumexp(everything, axis=1, keepdims=True))
    return everything[:, :-1], everything[:, -1]


@dataclass(frozen=True, eq=False)
class CalibrationData:
    """Questions of one corpus, or of one store, to fit a calibration to.

    Attributes
    ----------
    ratios : ndarray, shape (n, n_speakers)
        To the world model, nats a frame; −inf for a speaker who is not among those asked.
    seconds : ndarray, shape (n,)
        Of speech.
    expected : ndarray, shape (n, n_speakers) or (n_speakers,)
        τ_s.
    truth : ndarray of int, shape (n,)
        Column of the speaker; −1 for a stranger.
    n_recordings : int
        Of which the questions are made: what they can know of rare things.
    """

    ratios: Floats
    seconds: Floats
    expected: Floats
    truth: NDArray[np.intp]
    n_recordings: int

    @property
    def targets(self) -> NDArray[np.bool_]:
        """Which speaker of each question is the true one, (n, n_speakers)."""
        targets = np.zeros(self.ratios.shape, dtype=np.bool_)
        known = np.flatnonzero(self.truth >= 0)
        targets[known, self.truth[known]] = True
        return targets

    def terms(self, *, alone: bool) -> tuple[Floats, NDArray[np.bool_], Floats]:
        """Terms (n_trials, p), which trials are targets, and weights, of which both sides have half."""
        there = np.isfinite(self.ratios)
        fit = np.flatnonzero(alone | (there.sum(axis=1) > 1))
        there, target = there[fit], self.targets[fit]
        expected = np.broadcast_to(np.maximum(self.expected, _LEAST_EXPECTED), self.ratios.shape)[fit]
        terms = (_alone if alone else _against_others)(self.ratios[fit], self.seconds[fit], expected)
        # every question weighs the same on the side of the non-targets, however many speakers it was asked of
        weights = np.where(target | ~there, 0.0, 1.0 / np.maximum(there.sum(axis=1, keepdims=True), 1))
        weights *= 0.5 / max(weights.sum(), 1e-300)
        weights[target] = 0.5 / max(target.sum(), 1)
        return terms[there], target[there], weights[there]


def fit_calibration(
    data: Sequence[CalibrationData], *, toward: Calibration | None = None, strength: float = 1e-3, about: Any = None
) -> Calibration:
    """Fit a calibration to development data.

    Parameters
    ----------
    data : sequence of CalibrationData
        Each weighs the same. Questions of a single speaker and of several may be mixed.
    toward : Calibration, optional
        What the weights are drawn to where the data say little; 0 if left out.
    strength : float
        How strongly, against the mean cost of a trial in nats.
    about : dict, optional

    Raises
    ------
    ValueError
        There are no targets, no non-targets or no strangers.
    """
    weights = []
    for alone in (False, True):
        parts = [each.terms(alone=alone) for each in data]
        start = np.zeros(_N_SINGLE if alone else _N_SEVERAL)
        if toward is not None:
            start = np.asarray(toward.single if alone else toward.several)
        nobody = not alone and all(len(target) == 0 for _terms, target, _weights in parts)
        weights.append(start if nobody else _logistic_regression(parts, start, strength))
    blank = ((0.5, 0.0),)
    draft = Calibration(tuple(weights[0].tolist()), tuple(weights[1].tolist()), blank, blank)
    strangers, impostors = [], []
    for each in data:
        ratios = draft.ratios(each.ratios, each.seconds, each.expected)
        stranger = each.truth < 0
        if stranger.any():
            count = np.isfinite(ratios[stranger]).sum(axis=1)
            strangers.append(ratios[stranger].max(axis=1) - np.log(count))
        false = np.isfinite(ratios) & ~each.targets
        if false.any():
            impostors.append(ratios[false])
    if not strangers or not impostors:
        raise ValueError("no strangers to set the thresholds by")
    rarest = _EVENTS / sum(each.n_recordings for each in data)
    tables = (_quantiles(strangers, rarest), _quantiles(impostors, rarest))
    return Calibration(draft.several, draft.single, *tables, dict(about or {}))


def _logistic_regression(
    parts: Sequence[tuple[Floats, NDArray[np.bool_], Floats]], start: Floats, strength: float
) -> Floats:
    """Weights with the least mean cost log(1 + exp(∓z)), by Newton's method; drawn to `start` in units of the terms."""
    X = np.concatenate([terms for terms, _target, _weights in parts])
    target = np.concatenate([target for _terms, target, _weights in parts])
    weights = np.concatenate([weights / len(parts) for _terms, _target, weights in parts])
    if not target.any() or target.all():
        raise ValueError("a calibration needs recordings of enrolled speakers and of others")
    spread = np.sqrt(weights @ (X - weights @ X / weights.sum()) ** 2)
    spread[spread < 1e-9] = 1.0
    penalty = strength * spread**2
    beta = start.copy()
    for _iteration in range(100):
        z = X @ beta
        p = expit(z)
        gradient = X.T @ (weights * (p - target)) + penalty * (beta - start)
        hessian = (X * (weights * p * (1 - p))[:, None]).T @ X + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        cost = _cost(z, target, weights) + 0.5 * penalty @ (beta - start) ** 2
        scale = 1.0
        while scale > 1e-6:
            moved = beta - scale * step
            if _cost(X @ moved, target, weights) + 0.5 * penalty @ (moved - start) ** 2 <= cost:
                break
            scale /= 2
        beta = beta - scale * step
        if float(np.abs(scale * step * spread).max()) < 1e-9:
            break
    return beta


def _cost(z: Floats, target: NDArray[np.bool_], weights: Floats) -> float:
    return float(weights @ np.logaddexp(0.0, np.where(target, -z, z)))


def _quantiles(groups: Sequence[Floats], rarest: float) -> tuple[tuple[float, float], ...]:
    """Thresholds that given shares reach, every group weighing the same; no shares smaller than `rarest` but the first."""
    values = np.concatenate(groups)
    weights = np.concatenate([np.full(len(group), 1.0 / len(group) / len(groups)) for group in groups])
    order = np.argsort(-values, kind="stable")
    reached = np.cumsum(weights[order])
    rates = [rate for rate in _RATES if rate >= rarest] or [_RATES[0]]
    places = [min(int(np.searchsorted(reached, rate * (1 + 1e-9))), len(values) - 1) for rate in rates]
    return tuple((rate, float(values[order[place]])) for rate, place in zip(rates, places, strict=True))
