"""What a room makes of features that were recorded close to the mouth.

In a mel band a room adds to the energy of each frame a tail of those before (Sehr, Maas and Kellermann, "Reverberation
model-based decoding in the logmelspec domain for robust distant-talking speech recognition", IEEE Transactions on Audio,
Speech, and Language Processing 18, 2010, eq. 5, here with one kernel for all bands). With R the energy of the direct sound
over that of all the rest, s the frame shift and r = 10^(-6 s / T60), by which energy falls from frame to frame,

    y(t) = x(t) + g Σ_{k ≥ 1} r^k x(t − k),  g = (1 − r) / (r R).

No room is drawn: one kernel does as well as many, and the copy of a recording is always the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig
from speakerid.frontend.activity import LOUD_PERCENTILE
from speakerid.frontend.deltas import append_deltas
from speakerid.frontend.environment import mel_basis

__all__ = ["in_a_room"]

_T60_SECONDS, _DIRECT_TO_REST_DB = 0.5, 3.0
_LEAST_SPEECH = 0.01  # of the floor


def in_a_room(frames: NDArray[np.floating[Any]], config: FrontEndConfig) -> NDArray[np.float32]:
    """Return features as they would be in a room of medium size, reflections having half the energy of the direct sound.

    Parameters
    ----------
    frames : ndarray, shape (n, n_features)
        Speech frames of a recording, one after the other: pauses do not matter.
    config : FrontEndConfig

    Returns
    -------
    copy : ndarray, shape (n, n_features), float32

    Raises
    ------
    ValueError
        Features that do not show the spectrum; see :func:`speakerid.frontend.environment.mel_basis`.
    """
    basis = mel_basis(config)
    if basis is None:
        raise ValueError("these features do not show the spectrum, so there is no telling what a room makes of them")
    from scipy.signal import lfilter

    cepstra = frames[:, : config.n_static].astype(np.float64)
    energy = np.maximum(np.exp(cepstra @ basis.back) - basis.floor, _LEAST_SPEECH * basis.floor)
    falls = 10.0 ** (-6.0 * config.frame_shift / config.sample_rate / _T60_SECONDS)
    gain = (1.0 - falls) / falls * 10.0 ** (-_DIRECT_TO_REST_DB / 10.0)
    heard = lfilter((1.0, (gain - 1.0) * falls), (1.0, -falls), energy, axis=0)
    # relative to the loud frames, as before
    heard *= np.percentile(energy.sum(axis=1), LOUD_PERCENTILE) / np.percentile(heard.sum(axis=1), LOUD_PERCENTILE)
    cepstra += np.log((heard + basis.floor) / (energy + basis.floor)) @ basis.forth
    return append_deltas(cepstra.astype(np.float32), config.deltas, config.delta_window)
