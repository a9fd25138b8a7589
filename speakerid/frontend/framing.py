"""Where frames lie. Every rule about the ends of a recording lives here.

Frame t covers the samples from t·shift (``centred = False``) or from t·shift − transform_size/2
(``centred = True``, librosa's ``center=True``, zeros beyond the ends). Only whole frames count: a remainder at the end
that does not fill a frame is left out. The time of a frame is that of its centre, in seconds from the start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig

__all__ = ["count_frames", "frame_times", "padding", "span"]


def padding(config: FrontEndConfig) -> int:
    """Zeros that are put before the first and after the last sample."""
    return config.transform_size // 2 if config.centred else 0


def span(config: FrontEndConfig) -> int:
    """Samples that a frame occupies: with ``centred`` the window sits in the middle of the whole transform."""
    return config.transform_size if config.centred else config.frame_length


def count_frames(n_samples: int, config: FrontEndConfig) -> int:
    """Whole frames in a recording of `n_samples` samples at the config's rate."""
    room = n_samples + 2 * padding(config) - span(config)
    if n_samples == 0 or room < 0:
        return 0
    return 1 + room // config.frame_shift


def frame_times(n_frames: int, config: FrontEndConfig) -> NDArray[np.float64]:
    """Centres of the frames in seconds, shape (n_frames,)."""
    first = 0.0 if config.centred else config.frame_length / 2
    return (np.arange(n_frames) * config.frame_shift + first) / config.sample_rate
