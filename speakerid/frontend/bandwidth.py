"""Whether a recording lacks the upper band that its features have room for.

A telephone call in a 16 kHz file, or a recording that was resampled from 8 kHz, has nothing but a floor above some edge:
the level there does not move with the speech, and falls steeply at the edge. The mel spectrum is taken back from the
static cepstra, so that it works on what a store keeps. Over the speech frames, in nats:

- *movement*: 95th less 5th percentile of the level of a band, mean over the bands above 6 kHz;
- *edge*: the largest fall of the mean level from a band to the third one above it, above about 1.3 kHz.

The band is narrow when the movement is below 0.7, or below 1.5 with an edge above 5. Clean speech moves by 0.8-17 and, where
it moves by less than 1.5, falls by less than 4.7; what is cut off at 3.4-5.5 kHz moves by 0.2-1.5.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig
from speakerid.frontend.features import StaticFeatures
from speakerid.frontend.mel import band_centres, cosine_transform

__all__ = ["is_narrow", "lacks_upper_band"]

_UPPER_HZ = 6000.0
_LEAST_UPPER_BANDS = 3
_STILL, _NEARLY_STILL, _STEEP = 0.7, 1.5, 5.0
_STEP_BANDS = 3
_EDGE_FROM = 0.4  # share of the bands below those where an edge is looked for
_NATS_PER_DECIBEL = np.log(10.0) / 10.0
_MOST_FRAMES = 6000


@lru_cache(maxsize=8)
def _plan(config: FrontEndConfig) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
    """Cepstra to mel bands (n_static, mel_bands), nats, and which are upper ones; None where that cannot be told."""
    upper = band_centres(config) > _UPPER_HZ
    # c0 tells the level; too few cepstra blur the edge; a floor that follows the loudest moment hides quiet bands
    unfit = config.c0 == "drop" or 2 * config.cepstra < config.mel_bands or config.dynamic_range_db > 0
    if unfit or upper.sum() < _LEAST_UPPER_BANDS:
        return None
    back = np.linalg.pinv(cosine_transform(config)) * (_NATS_PER_DECIBEL if config.log == "decibel" else 1.0)
    return back.astype(np.float32), upper


def is_narrow(static: StaticFeatures, config: FrontEndConfig) -> bool | None:
    """Tell whether a recording has nothing in the upper band.

    Parameters
    ----------
    static : StaticFeatures
        Of the recording; of a long one a part is looked at.
    config : FrontEndConfig

    Returns
    -------
    narrow : bool or None
        None where it cannot be told: features that end below 6 kHz or have too few cepstra, no speech.
    """
    return lacks_upper_band(static.cepstra[static.speech], config)


def lacks_upper_band(cepstra: NDArray[np.floating[Any]], config: FrontEndConfig) -> bool | None:
    """The same from the static cepstra of the speech frames alone, (n, n_static)."""
    plan = _plan(config)
    if plan is None or not len(cepstra):
        return None
    back, upper = plan
    cepstra = cepstra[:: -(-len(cepstra) // _MOST_FRAMES)]  # evenly, at most so many
    low, high = np.percentile(cepstra @ back[:, upper], (5, 95), axis=0)
    movement = float((high - low).mean())
    mean = cepstra.mean(axis=0, dtype=np.float64) @ back
    falls = (mean[:-_STEP_BANDS] - mean[_STEP_BANDS:])[int(_EDGE_FROM * len(mean)) :]
    return movement < _STILL or (movement < _NEARLY_STILL and float(falls.max()) > _STEEP)
