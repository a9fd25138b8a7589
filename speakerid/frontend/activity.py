"""Which frames are speech, and whether there is any.

From the power spectrum that the cepstra come from, never going back to the waveform:

1. *Levels.* Energies of four bands between 100 Hz and 4 kHz in dB relative to a full-scale sine, pre-emphasis undone. A
   frame is active when it is within ``speech_range_db`` of the recording's loud frames (95th percentile) and above
   ``speech_floor_db``.
2. *Voicing.* The autocorrelation of the band up to 1 kHz (Wiener-Khinchin: cosine sums over the low bins of the power
   spectrum), summed over five frames, divided by its value at lag 0 and by the window's own autocorrelation
   (Boersma 1993, eq. 9), at the best lag between 2.5 and 12.5 ms (80-400 Hz). Vowels reach 0.8-1.
3. *Evidence*, over the frames within 30 dB of the loud ones: how much the shape of the spectrum varies (standard deviation
   of the bands' levels about the frame's mean level, mean over the bands, dB), and how far the level ranges (95th − 10th
   percentile over all audible frames, dB, 40 at most); over the frames that stand out, in the upper 60 % of that range, the
   share of clearly voiced ones, which noise below does not change. Speech varies by 3-9 dB and ranges over 20 and more, in
   noise 10 dB below it by 2.5-5 and over 15-20; white, pink and brown noise vary by less than 1.6, machines and kitchens by
   1-4 with a range below 14 mostly. The sum variation + weight(range) + 3·share must reach ``speech_evidence`` (2.5 less for
   the shortest clips, rising until a second is there to judge by); the weight rises steeply from 12 to 18 dB. Before that,
   some frame must be voiced, the level must range over 3 dB, the variation must reach 1.7 dB (rising to 2.4 from 0.3 to
   0.6 s), and the median movement 0.5 dB, which a tone that begins and ends does not. Otherwise no frame is speech.
4. *Speech* is an active frame within ``voicing_reach_ms`` of a voiced one: consonants and short pauses around vowels stay.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig
from speakerid.frontend.mel import taper

__all__ = [
    "LOUD_PERCENTILE",
    "ActivityMeasures",
    "Periodicity",
    "band_matrix",
    "lag_matrix",
    "silence_ratios",
    "speech_mask",
]

_BAND_EDGES_HZ = (100.0, 500.0, 1000.0, 2000.0, 4000.0)
_PITCH_BAND_HZ = (60.0, 1000.0)
_VOICING_PRE_EMPHASIS = 0.97
_LAGS_MS = np.arange(2.5, 12.51, 0.25)
_SMOOTHING = 2  # frames on each side that the autocorrelation is summed over
_LEAST_MOVEMENT_DB = 0.5
_LEAST_RANGE_DB = 3.0
_LEAST_VARIATION_DB = (1.7, 2.4)  # up to 0.3 s, and from 0.6 s on
_SHORT_CLIP_RELIEF = 2.5
_ROWS_A_PASS = 1024
LOUD_PERCENTILE, _QUIET_PERCENTILE = 95.0, 10.0
_LOUD_RANGE_DB = 30.0
_SILENCE_DB = -120.0
_WIDEST_RANGE_DB = 40.0
_CLEARLY_VOICED = 0.7
_STANDS_OUT, _LEAST_STANDING_DB = 0.6, 8.0  # of the range
_RANGES_DB, _WEIGHTS = (0.0, 12.0, 18.0, 40.0), (0.0, 1.5, 4.0, 5.5)
_VOICED_WEIGHT = 3.0
# of the regression that tells silence: nats a dB, for all voiced against none, and with neither
_LEVEL_WEIGHT, _VOICED_SHARE_WEIGHT, _SPEECH_OFFSET = 0.21, 5.0, -4.2
_MOST_ABOVE_DB, _RANGE_DB = 25.0, (12.0, 25.0)
_LEVEL_REACH, _VOICED_REACH_MS, _SURE = 3, 500.0, 3.0


def _undo_pre_emphasis(config: FrontEndConfig, bins: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 / |1 − a·e^{−jω}|² at the bins' frequencies."""
    omega = 2.0 * np.pi * bins / config.sample_rate
    response = np.abs(1.0 - config.pre_emphasis * np.exp(-1j * omega)) ** 2
    return np.asarray(1.0 / np.maximum(response, 1e-4))


def band_matrix(config: FrontEndConfig) -> NDArray[np.float64]:
    """Weights that turn a power spectrum into band energies, a full-scale sine being 1: shape (n_bins, n_bands)."""
    bins = np.fft.rfftfreq(config.transform_size, 1.0 / config.sample_rate)
    # Parseval: Σ_bins |X|² over the positive half is N/2 · Σ (w·x)²; a full-scale sine has mean square ½.
    scale = 4.0 / (config.transform_size * np.sum(taper(config) ** 2))
    weights = _undo_pre_emphasis(config, bins) * scale
    inside = [(bins >= low) & (bins < high) for low, high in itertools.pairwise(_BAND_EDGES_HZ)]
    return np.stack([np.where(band, weights, 0.0) for band in inside], axis=1)


def lag_matrix(config: FrontEndConfig) -> NDArray[np.float64]:
    """Cosines that turn the low bins of a power spectrum into an autocorrelation: shape (n_low_bins, 1 + n_lags).

    Column 0 is lag 0; the others are the pitch lags, already divided by the window's normalised autocorrelation.
    """
    bins = np.fft.rfftfreq(config.transform_size, 1.0 / config.sample_rate)
    low = bins[bins <= _PITCH_BAND_HZ[1]]
    # A falling spectrum alone (rumble, wind) has a broad autocorrelation that would pass for voicing: whatever the
    # config's pre-emphasis, this band is pre-emphasised by 0.97.
    tilt = np.abs(1.0 - _VOICING_PRE_EMPHASIS * np.exp(-2j * np.pi * low / config.sample_rate)) ** 2
    weights = np.where(low >= _PITCH_BAND_HZ[0], tilt * _undo_pre_emphasis(config, low), 0.0)
    cosines = np.cos(2.0 * np.pi * np.outer(low, np.concatenate([[0.0], _LAGS_MS / 1000.0])))
    window = taper(config)
    offsets = np.arange(len(window))

    def overlap(lag: float) -> float:
        """Autocorrelation of the window at a lag in samples, 1 at lag 0."""
        return float(np.interp(offsets + lag, offsets, window, right=0.0) @ window / (window @ window))

    lags = _LAGS_MS * config.sample_rate / 1000
    own = np.array([overlap(lag) for lag in lags])
    wrapped = np.array([overlap(max(config.transform_size - lag, 0.0)) for lag in lags])
    # beyond half of the frame the window overlaps itself too little to divide by
    cosines[:, 1:] /= np.maximum(own, 0.25)
    # the transform's autocorrelation is circular: a lag that mostly sees the frame's other end says nothing
    cosines[:, 1:][:, wrapped > 0.25 * own] = 0.0
    return np.asarray(weights[:, None] * cosines)


class Periodicity:
    """Takes autocorrelations in chunks, gives each frame's voicing, whatever the sizes of the chunks."""

    def __init__(self) -> None:
        # rows that wait until there are enough to be worth a pass; zeros stand for the frames before the first
        self._waiting: list[NDArray[np.float32]] = []
        self._n_waiting = 0
        self._done: list[NDArray[np.float32]] = []

    def push(self, autocorrelation: NDArray[np.float32]) -> None:
        """Take more frames, shape (n, 1 + n_lags)."""
        if not self._waiting:
            self._waiting.append(np.zeros((_SMOOTHING, autocorrelation.shape[1]), dtype=np.float32))
        self._waiting.append(autocorrelation)
        self._n_waiting += len(autocorrelation)
        if self._n_waiting >= _ROWS_A_PASS:
            self._work()

    def _work(self) -> None:
        rows = np.concatenate(self._waiting)
        n_ready = max(len(rows) - 2 * _SMOOTHING, 0)
        total = rows[:n_ready].copy()
        for offset in range(1, 2 * _SMOOTHING + 1):
            total += rows[offset : offset + n_ready]
        best = total[:, 1:].max(axis=1, initial=0.0)
        best /= np.maximum(total[:, 0], np.float32(1e-20))
        np.minimum(best, np.float32(1.0), out=best)
        self._done.append(best)
        self._waiting = [rows[n_ready:]]
        self._n_waiting = 0

    def take(self) -> NDArray[np.float32]:
        """Voicing of the frames since the last call that no later frame changes."""
        if self._waiting:
            self._work()
        done, self._done = self._done, []
        return np.concatenate(done) if done else np.zeros(0, dtype=np.float32)

    def finish(self) -> NDArray[np.float32]:
        """Voicing of every frame that was not taken, shape (n_frames,)."""
        if not self._waiting:
            return np.zeros(0, dtype=np.float32)
        self.push(np.zeros((_SMOOTHING, self._waiting[0].shape[1]), dtype=np.float32))
        self._work()
        self._waiting = []
        return np.concatenate(self._done)


@dataclass(frozen=True, eq=False)
class ActivityMeasures:
    """What speech activity knows of each frame.

    Attributes
    ----------
    bands : ndarray, shape (n_frames, 4), float32
        Energies of the bands, relative to a full-scale sine.
    voicing : ndarray, shape (n_frames,), float32
        Normalised autocorrelation at the best lag of the pitch range, 0..1.
    """

    bands: NDArray[np.float32]
    voicing: NDArray[np.float32]

    def __getitem__(self, part: slice) -> ActivityMeasures:
        return ActivityMeasures(self.bands[part], self.voicing[part])

    @staticmethod
    def joined(first: ActivityMeasures, second: ActivityMeasures) -> ActivityMeasures:
        """Frames of both, one after the other."""
        bands = np.concatenate([first.bands, second.bands])
        return ActivityMeasures(bands, np.concatenate([first.voicing, second.voicing]))

    @cached_property
    def level(self) -> NDArray[np.float32]:
        """Level of each frame, dB, (n_frames,)."""
        return _decibels(self.bands.sum(axis=1))

    @cached_property
    def loud_level(self) -> float:
        """Level of the loud frames, dB: the 95th percentile of all that are not digital silence, which has -120."""
        sounding = self.level[self.level > _SILENCE_DB]
        return float(np.percentile(sounding, LOUD_PERCENTILE)) if len(sounding) else _SILENCE_DB


def speech_mask(measures: ActivityMeasures, config: FrontEndConfig) -> NDArray[np.bool_]:
    """Tell speech frames from the others.

    Parameters
    ----------
    measures : ActivityMeasures
    config : FrontEndConfig

    Returns
    -------
    mask : ndarray of bool, shape (n_frames,)
    """
    n_frames = len(measures.bands)
    if config.speech_activity == "none":
        return np.ones(n_frames, dtype=np.bool_)
    level = measures.level
    audible = level > config.speech_floor_db
    if not audible.any():
        return audible
    quiet_db, loud_db = map(float, np.percentile(level[audible], (_QUIET_PERCENTILE, LOUD_PERCENTILE)))
    active = audible & (level >= loud_db - config.speech_range_db)
    if config.speech_activity == "energy":
        return active
    loud = audible & (level >= loud_db - _LOUD_RANGE_DB)
    # digital silence around a noise is no dynamics of its own, and more than speech has proves no more
    level_range = min(loud_db - quiet_db, _WIDEST_RANGE_DB)
    depth = max(_LEAST_STANDING_DB, min(_LOUD_RANGE_DB, _STANDS_OUT * level_range))
    standing = audible & (level >= loud_db - depth)
    if not _is_speech(measures, loud, standing, level_range, config):
        return np.zeros(n_frames, dtype=np.bool_)
    voiced = active & (measures.voicing >= config.voicing_threshold)
    reach = round(config.voicing_reach_ms / config.frame_shift_ms)
    return active & (_mean_around(voiced, reach) > 0.0)


def _is_speech(
    measures: ActivityMeasures,
    loud: NDArray[np.bool_],
    standing: NDArray[np.bool_],
    level_range: float,
    config: FrontEndConfig,
) -> bool:
    """Weigh the evidence of step 3."""
    if config.speech_evidence == 0:
        return True
    voicing = measures.voicing[loud]
    if not (voicing >= config.voicing_threshold).any():
        return False
    shape = _decibels(np.ascontiguousarray(measures.bands[loud].T))  # (n_bands, n)
    shape -= shape.mean(axis=0)
    variation = float(shape.std(axis=1).mean())
    loud_seconds = len(voicing) * config.frame_shift_ms / 1000
    least = np.interp(loud_seconds, (0.3, 0.6), _LEAST_VARIATION_DB)
    if variation < least or level_range < _LEAST_RANGE_DB:
        return False
    # A tone or a hum is periodic and can begin and end, but in between its spectrum stands still, as no voice does: the
    # median does not see the ends.
    movement = np.abs(shape - np.median(shape, axis=1, keepdims=True))
    if float(np.median(movement, axis=1).mean()) < _LEAST_MOVEMENT_DB:
        return False
    share = float(np.mean(measures.voicing[standing] >= _CLEARLY_VOICED))
    evidence = variation + float(np.interp(level_range, _RANGES_DB, _WEIGHTS)) + _VOICED_WEIGHT * share
    return evidence >= config.speech_evidence - _SHORT_CLIP_RELIEF * (1.0 - min(loud_seconds, 1.0))


def _decibels(energy: NDArray[np.float32]) -> NDArray[np.float32]:
    decibels: NDArray[np.float32] = np.log10(np.maximum(energy, np.float32(1e-12)))
    decibels *= np.float32(10.0)
    return decibels


def silence_ratios(
    measures: ActivityMeasures, speech: NDArray[np.bool_], before: NDArray[np.floating], config: FrontEndConfig
) -> NDArray[np.float32]:
    """By how much silence fits each frame better than speech.

    Nobody speaks where it is hardly louder than the quiet frames of the last seconds, and where little around it is voiced:
    a logistic regression on these two, fitted to meetings and read speech. Where noise leaves a small range of levels, what
    is above it counts for more. The speech mask of a recording is generous, so that no consonant is lost; this is about
    where a turn ends.

    Parameters
    ----------
    measures : ActivityMeasures
    speech : ndarray of bool, shape (n_frames,)
        From :func:`speech_mask`: beyond it there is silence, whatever the level.
    before : ndarray, shape (n,)
        Levels of the frames before these, dB.
    config : FrontEndConfig

    Returns
    -------
    ratios : ndarray, shape (n_frames,), float32
        −1 where it is sure that somebody speaks, 1 where nobody does.
    """
    level = np.maximum(measures.level, config.speech_floor_db)
    heard = np.concatenate([before, measures.level])
    # what is below the floor is quiet, but digital silence says nothing of the room
    heard = np.maximum(heard[heard > _SILENCE_DB], config.speech_floor_db)
    quiet, loud = np.percentile(heard, (_QUIET_PERCENTILE, LOUD_PERCENTILE)) if len(heard) else (0.0, 0.0)
    above = (_mean_around(level, _LEVEL_REACH) - quiet) * (_MOST_ABOVE_DB / np.clip(loud - quiet, *_RANGE_DB))
    evidence = _LEVEL_WEIGHT * np.clip(above, 0.0, _MOST_ABOVE_DB) + _SPEECH_OFFSET
    if len(measures.voicing):
        reach = round(_VOICED_REACH_MS / config.frame_shift_ms)
        evidence += _VOICED_SHARE_WEIGHT * _mean_around(measures.voicing > config.voicing_threshold, reach)
    ratios = np.clip(evidence / -_SURE, -1.0, 1.0).astype(np.float32)
    ratios[~speech] = 1.0
    return np.asarray(ratios, dtype=np.float32)


def _mean_around(values: NDArray[np.floating] | NDArray[np.bool_], reach: int) -> NDArray[np.float64]:
    """Mean of each value and `reach` on both sides of it, as many as there are."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    index = np.arange(len(values))
    first, last = np.maximum(index - reach, 0), np.minimum(index + reach + 1, len(values))
    return np.asarray((sums[last] - sums[first]) / (last - first))
